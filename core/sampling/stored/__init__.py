"""TODO: stored."""
