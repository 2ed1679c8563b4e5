"""What the doors of HTTP share: the request, who may be asked for, what is counted and what is noted."""
