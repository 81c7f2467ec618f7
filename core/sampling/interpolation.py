"""Interpolation samples: on the straight way between two latents (paper A, section 3.2.5)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def between(start: NDArray[np.float32], end: NDArray[np.float32], fractions: Sequence[float]) -> list[NDArray[np.float32]]:
    """The latents at ``fractions`` of the way. 25 % from one end equals 75 % from the other to the byte."""
    return [(np.float32(1 - fraction) * start + np.float32(fraction) * end).astype(np.float32) for fraction in fractions]
