"""The six emotions of paper B, apart from the contracts, so that names can be checked without torch."""

EMOTIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger")
"""Paper B's six emotions, in paper B's order."""
