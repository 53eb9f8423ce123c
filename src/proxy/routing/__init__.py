"""Which provider answers, and what happens when it does not."""
