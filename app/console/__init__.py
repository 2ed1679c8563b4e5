"""The console: a place to look, to write a rule and to understand an alert. A door that speaks HTML."""
