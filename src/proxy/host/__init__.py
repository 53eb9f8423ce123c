"""What the platform starts."""
