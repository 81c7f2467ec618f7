"""What long sampling work reports while it runs, so that a page can draw curves and faces as they appear.

All events pass through ``Progress.emit``; none of them is needed for the result. Images are uint8 arrays (H, W, 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(H, W, 3), RGB."""


@dataclass(frozen=True)
class MadeSample:
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
    samples: tuple[MadeSample, ...]


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
