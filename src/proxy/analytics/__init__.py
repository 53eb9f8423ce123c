"""What happened and what it means: events, roll-ups, insights."""
