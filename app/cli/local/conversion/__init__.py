"""Rules of other systems as rules of this one: a file each, which reads one document and says what it wishes."""
