"""What became of a request, and how it is reported."""
