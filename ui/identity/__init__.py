"""TODO: identity."""
