"""TODO: phone."""
