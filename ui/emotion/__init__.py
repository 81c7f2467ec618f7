"""TODO: emotion."""
