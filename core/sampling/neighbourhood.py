"""Positive samples: small steps away from a base in random directions (paper A, sections 3.2.2 and 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.models.contracts import Generator
from core.sampling.bases import Base
from core.sampling.seeds import sample_seed


@dataclass(frozen=True)
class Step:
    """One step: ``size`` in paper units, the seed of its direction, and where it leads (latent_dim,)."""

    size: float
    seed: int
    latent: NDArray[np.float32]


def positives(base: Base, directions: int, sizes: Sequence[float], generator: Generator, seed: int) -> list[Step]:
    """``base + s n`` for each direction n ~ N(0, I) and each size s: a step is about s sqrt(latent_dim) long."""
    steps = []
    for number in range(directions):
        drawn = sample_seed(seed, base.seed, "positive", number)
        direction = generator.sample([drawn]).numpy()[0]
        steps += [Step(size, drawn, base.latent + np.float32(size) * direction) for size in sizes]
    return steps
