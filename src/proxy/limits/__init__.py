"""How much each caller may use, and how much each provider bears."""
