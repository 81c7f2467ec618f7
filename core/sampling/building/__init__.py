"""TODO: building."""
