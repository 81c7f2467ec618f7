"""Which faces to make: the sample types of paper A, found from a base."""
