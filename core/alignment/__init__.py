"""Models that learn from people: the group, the individual, the next question (paper B, section V)."""
