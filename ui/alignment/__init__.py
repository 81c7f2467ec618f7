"""Pages about models that learn from people: alignment of a study, and the profile of a visitor."""
