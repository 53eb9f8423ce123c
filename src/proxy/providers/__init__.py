"""What providers speak: pure translation between core.chat and their wire formats."""
