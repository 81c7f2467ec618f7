"""Does this face wear glasses? Three pieces of evidence around the eyes, weighed by a logistic function.

The weights were fitted to 117 generated faces labelled by eye (``assets/labels/glasses_fitting.json``); how well it does was then
measured once on 98 others (``assets/labels/glasses.json``, of which two have no face that YuNet finds). PERFORMANCE
It misses thin and pale frames, and takes strong shadows on the bridge of the nose for a frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.sampling.descriptors import ASSETS

LABELS = ASSETS / "labels" / "glasses.json"
SHEET = LABELS.with_suffix(".webp")
EVIDENCE = ("bridge", "rim", "temple")

BRIDGE = slice(48, 66), slice(58, 70)  # rows, columns of the aligned face of 128 pixels: between the eyes
RIM = slice(68, 84), slice(38, 54)  # below the eye on the left; its mirror image on the right
TEMPLE = slice(46, 66), slice(20, 32)  # beside it, where the arm of a frame runs back
REACH = 2  # pixels to either side that a dark line must stand out from
LEAST_CONTRAST = 0.02  # below this the picture is nearly even

CENTRE = np.array([0.7943, 1.9085, 1.8695])
SPREAD = np.array([0.3166, 0.6605, 0.7445])
WEIGHTS = np.array([1.7108, 0.6901, 0.7774])
OFFSET = -1.7547


def evidence(faces: NDArray[np.float64]) -> NDArray[np.float64]:
    """Aligned faces (F, 128, 128, 3) of ``core.sampling.attributes.aligned`` -> (F, 3), each 0 where there is none.

    bridge: mean vertical change of grey between the eyes. rim, temple: the strongest horizontal line below and beside an eye,
    on the side where it is stronger. All in contrasts of the face.
    """
    grey = faces @ np.array([0.299, 0.587, 0.114])
    contrast = grey[:, 40:112, 30:98].std(axis=(1, 2)) + LEAST_CONTRAST
    grey = grey / contrast[:, None, None]
    change = np.abs(np.gradient(grey, axis=1))
    line = np.roll(grey, REACH, axis=1) + np.roll(grey, -REACH, axis=1) - 2 * grey  # positive where darker than above and below

    def strongest(area: tuple[slice, slice]) -> NDArray[np.float64]:
        sides = [part[:, area[0], area[1]].mean(axis=2) for part in (line, line[:, :, ::-1])]
        values: NDArray[np.float64] = np.abs(np.stack(sides)).max(axis=(0, 2))
        return values

    return np.column_stack([change[:, BRIDGE[0], BRIDGE[1]].mean(axis=(1, 2)), strongest(RIM), strongest(TEMPLE)])


def probability(faces: NDArray[np.float64]) -> NDArray[np.float64]:
    """Aligned faces (F, 128, 128, 3) -> (F,) in [0, 1]; above one half: glasses."""
    standard = (np.log1p(10 * evidence(faces)) - CENTRE) / SPREAD
    chance: NDArray[np.float64] = 1 / (1 + np.exp(-(standard @ WEIGHTS + OFFSET)))
    return chance
