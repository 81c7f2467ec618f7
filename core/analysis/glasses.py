"""Does this face wear glasses? Edges around the eyes, by direction (HOG, Dalal and Triggs 2005), weighed by a logistic function.

The weights were fitted to generated faces labelled by eye (``core.analysis.glasses_fitting``). Judged on 100 other random faces
labelled by eye (``assets/labels/glasses.json``; a test does it again), one of them without a face: right on 92 of 99 (93 %, from
86 to 97), 7 of 10 glasses found (recall 0.70), 7 of 11 that it reports are glasses (precision 0.64); always saying "none" would be
right on 90 %. A simpler detector was judged on the same 100 before and dropped, so these figures may be a little kind. It misses
thin and pale frames and mistakes heavy shadows: use it to compare many faces, not to decide about one.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.sampling.descriptors import ASSETS, read_arrays

FOLDER = ASSETS / "labels"
LABELS, SHEET, FITTING, WEIGHTS = (FOLDER / f"glasses{end}" for end in (".json", ".webp", "_fitting.json", ".npz"))
COMMAND = "python -m core.analysis.glasses_fitting"

AREA = slice(40, 88), slice(10, 118)  # rows and columns of the aligned face of 128 pixels: brows to cheeks, temple to temple
CELL = (6, 9)
LEAST_CONTRAST = 0.02  # below this the picture is nearly even

Array = NDArray[np.float64]


def evidence(faces: Array) -> Array:
    """Aligned faces (F, 128, 128, 3) of ``core.sampling.attributes.aligned`` -> edges around the eyes, (F, 2464)."""
    from skimage.feature import hog

    grey = faces @ np.array([0.299, 0.587, 0.114])
    grey = grey / (grey[:, 40:112, 30:98].std(axis=(1, 2)) + LEAST_CONTRAST)[:, None, None]
    rows = [hog(face[AREA], orientations=8, pixels_per_cell=CELL, cells_per_block=(2, 2)) for face in grey]
    return np.asarray(rows, dtype=np.float64)


def probability(faces: Array) -> Array:
    """Aligned faces (F, 128, 128, 3) -> (F,) in [0, 1]; above one half: glasses. A face and its mirror image get the same."""
    if not len(faces):
        return np.zeros(0)
    weights, offset = _weights()
    said = (evidence(faces) + evidence(faces[:, :, ::-1])) / 2 @ weights + offset
    chance: Array = 1 / (1 + np.exp(-said))
    return chance


@lru_cache(maxsize=1)
def _weights() -> tuple[Array, float]:
    stored = read_arrays(WEIGHTS, COMMAND)
    return stored["weights"].astype(np.float64), float(stored["offset"])
