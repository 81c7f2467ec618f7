"""Which faces to make: the sample types of paper A, made from a base (identity), and paper B's faces between two emotions
(emotion).
"""
