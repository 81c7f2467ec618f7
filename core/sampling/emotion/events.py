"""What emotion work reports while it runs, so that a page can draw the way and the faces as they appear.

All events pass through ``Progress.emit``; none of them is needed for the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.sampling.events import Image


@dataclass(frozen=True)
class Opinion:
    """What one classifier says of one image, over EMOTIONS."""

    raw: tuple[float, ...]  # probabilities as the network gives them
    calibrated: tuple[float, ...]  # at its temperature of the reference population
    logits: tuple[float, ...]


@dataclass(frozen=True)
class BaseShown:
    """The base of the samples from ``first`` on, until the next one."""

    first: int
    image: Image
    opinions: Mapping[str, Opinion]  # by classifier


@dataclass(frozen=True)
class Denoising:
    """One step of several samples at once: where the embeddings would land if they were denoised at once.

    shares: (n, 2), the steerer's probabilities of emotion 1 and emotion 2, in [0, 1]; fraction: of the way, in [0, 1].
    """

    first: int  # the first sample's index; the others follow it
    fraction: float
    shares: NDArray[np.float64]


@dataclass(frozen=True)
class BoundaryMade:
    """One image is ready and judged."""

    index: int
    image: Image
    opinions: Mapping[str, Opinion]
    passed: Mapping[str, bool]  # filter (3), by classifier
    above: Mapping[str, tuple[bool, bool]]  # whether each emotion of the pair is above its 75th percentile, by classifier
    distance: float  # to the base by the recogniser; NaN where no face was found
    sample_id: str
