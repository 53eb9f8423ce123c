"""What is tried out by hand; README.md says how each is read."""
