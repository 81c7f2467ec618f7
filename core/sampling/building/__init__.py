"""Makes what ``core.sampling.stored`` loads: galleries, populations, thresholds, reference sets and directions."""
