"""Pages of models that learn from people."""
