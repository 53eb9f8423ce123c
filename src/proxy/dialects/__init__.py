"""What callers speak: each dialect parses to core.chat and renders from it."""
