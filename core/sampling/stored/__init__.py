"""Loads what was computed before: galleries, populations, thresholds, reference sets, directions, the home strip. No torch."""
