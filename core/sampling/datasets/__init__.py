"""Data sets too large for one sample set: a plan, cut into pieces that can be made anywhere, kept as partitioned Parquet."""
