"""The only folder that touches JavaScript: turns the platform into the ports of core."""
