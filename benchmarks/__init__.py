"""Measurements beside the tests: speed beside the papers' own stack, parity with the originals, and the check on a GPU."""
