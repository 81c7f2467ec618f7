"""Statistics of samples and ratings: tables in, result dataclasses out."""
