"""The responses that are kept for the key that made them."""
