"""Pages of studies: taking part, managing a study, importing answers."""
