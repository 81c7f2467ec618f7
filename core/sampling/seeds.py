"""One seed a sample, derived from what the sample is, never from how many others are made with it."""

from __future__ import annotations

import hashlib

import numpy as np


def sample_seed(seed: int, *path: str | int) -> int:
    """A seed in [0, 2**63) for the sample at ``path``, for example ``(batch, "positive", base, direction)``.

    A hash of the whole path: the same seed and path give the same number whatever else is drawn, on every machine.
    """
    text = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator_for(seed: int) -> np.random.Generator:
    """NumPy's random numbers for one sample: PCG64 behind a SeedSequence."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
