"""The search for an impostor: a stranger whom one recogniser accepts and who looks as little like the owner as can be.

Runs start from people of the population who look unlike the owner and move toward the owner's descriptor (``search``); LPIPS
says how
different the result looks. Impostors: generated people; the owner: a generated face, or a photo that stays in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


IMPOSTOR_SEARCHES = 4
TARGET_SHARE = 0.95
"""A search goes on until it is this share of the threshold away: inside, not on the line."""


@dataclass(frozen=True)
class Impostor:
    """A face found by one search. distances by recogniser, NaN where no face was found; lpips: how different it looks."""

    image: NDArray[np.uint8]
    start: NDArray[np.uint8]
    distances: dict[str, float]
    lpips: float
    accepted: bool


def _resize_to(image: Tensor, side: int) -> Tensor:
    """(1, 3, H, W) at the generator's size: LPIPS compares pictures of one size."""
    from torch.nn.functional import interpolate

    return interpolate(image, (side, side), mode="area") if image.shape[-1] != side else image
