"""How what is kept is read."""
