"""Models that a user adds: listed in ``models.json`` of the data folder, found by the registry like the built-in ones."""
