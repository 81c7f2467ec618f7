"""Events of long sampling work, identity and emotion, from which a page draws curves and faces as they appear.

All events pass through ``Progress.emit``; none of them is needed for the result. Images are uint8 arrays (H, W, 3), RGB.
Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(H, W, 3), RGB."""


@dataclass(frozen=True)
class UnjudgedSample:
    """One sample of a base, before it has been judged."""

    sample_type: str  # genuine | positive | negative | interpolation | optimized | semantic
    step: float  # paper units; the fraction for interpolation, the target for optimized; NaN for negatives
    partner: int | None  # index in the batch of the negative it came from
    image: Image


@dataclass(frozen=True)
class BasesFound:
    """The bases of a batch, in order, with the number of draws that it took to find them."""

    batch: int
    images: tuple[Image, ...]
    draws: int


@dataclass(frozen=True)
class SamplesMade:
    """Samples of one base are ready to be looked at. Comes once before the search and once (optimized only) after it."""

    batch: int
    base: int  # index in the batch
    samples: tuple[UnjudgedSample, ...]


@dataclass(frozen=True)
class SearchStep:
    """One run of a search has finished an iteration (iteration 0 is the start itself)."""

    run: int
    base: int  # index in the batch whose descriptor is sought; 0 where there is only a given descriptor
    partner: int  # index in the batch of the negative where the run started; the start's index where there is no batch
    iteration: int
    distance: float  # the best so far; NaN while no face was found
    image: Image | None  # the best so far, only when it improved and not more often than every few iterations
    evaluations: int  # of this run so far
    finished: bool  # the lowest target is reached, or the iterations are used up


@dataclass(frozen=True)
class ClassifierScores:
    """What one classifier says of one image, over EMOTIONS."""

    raw: tuple[float, ...]  # probabilities as the network gives them
    calibrated: tuple[float, ...]  # at its temperature of the reference population
    logits: tuple[float, ...]


@dataclass(frozen=True)
class BaseShown:
    """The base of the samples from ``first`` on, until the next one."""

    first: int
    image: Image
    opinions: Mapping[str, ClassifierScores]  # by classifier


@dataclass(frozen=True)
class DenoisingStep:
    """One step of several samples at once: where the embeddings would land if they were denoised at once.

    shares: (n, 2), the steerer's probabilities of emotion 1 and emotion 2, in [0, 1]; fraction: of the way, in [0, 1].
    """

    first: int  # the first sample's index; the others follow it
    fraction: float
    shares: NDArray[np.float64]


@dataclass(frozen=True)
class BoundarySampleMade:
    """One image is ready and judged."""

    index: int
    image: Image
    opinions: Mapping[str, ClassifierScores]
    passed: Mapping[str, bool]  # filter (3), by classifier
    above: Mapping[str, tuple[bool, bool]]  # whether each emotion of the pair is above its 75th percentile, by classifier
    distance: float  # to the base by the recogniser; NaN where no face was found
    sample_id: str
    latent: NDArray[np.float32] | None = None  # (d,)
