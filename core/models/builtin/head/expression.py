"""Feelings, single facial actions and gaze: from named values to the mesh's facial actions.

A feeling is a mix of actions found by fitting what three emotion classifiers say of the rendered face, kept within what looks like
one. The classifiers contradict each other on disgust; the mix is the one that people read most easily.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.description import EXTRA_ACTIONS
from core.models.builtin.head.face_shapes import add_axis

if TYPE_CHECKING:
    from core.models.builtin.head.geometry import Geometry

RESTING = {"browDown": -0.30, "mouthSmile": 0.14, "eyeWide": -0.05, "mouthShrugLower": 0.10}
"""Added to every face, so that a neutral one reads as neutral and not as cross."""

FEELING_ACTIONS: Mapping[str, Mapping[str, float]] = {
    "disgust": {
        "noseSneer": 0.55,
        "noseWrinkle": 1.05,
        "upperLipRaise": 0.9,
        "mouthUpperUp": 0.72,
        "mouthFrown": 0.5,
        "mouthShrugLower": 0.68,
        "mouthLowerDown": 0.12,
        "cheekSquint": 0.58,
        "eyeSquint": 0.75,
        "browDown": 0.64,
        "jawOpen": 0.16,
        "eyeBlink": 0.12,
        "eyeLookDown": 0.1,
    },
    "fear": {
        "browInnerUp": 1.66,
        "browOuterUp": 0.22,
        "browDown": 0.9,
        "eyeWide": 1.52,
        "mouthStretch": 1.2,
        "jawOpen": 0.06,
        "mouthLowerDown": 0.76,
        "mouthFrown": 0.6,
        "mouthUpperUp": 0.12,
        "mouthShrugUpper": 0.06,
    },
    "sadness": {
        "browInnerUp": 1.72,
        "browDown": 0.66,
        "mouthFrown": 1.1,
        "mouthShrugLower": 0.18,
        "eyeSquint": 0.14,
        "eyeBlink": 0.27,
        "eyeLookDown": 0.38,
        "cheekSquint": 0.27,
        "mouthLowerDown": 0.26,
        "mouthPress": 0.12,
        "mouthPucker": 0.08,
    },
    "surprise": {
        "browInnerUp": 1.36,
        "browOuterUp": 1.23,
        "eyeWide": 1.39,
        "jawOpen": 0.78,
        "mouthFunnel": 0.44,
        "mouthUpperUp": 0.12,
    },
    "anger": {
        "browDown": 1.66,
        "eyeSquint": 0.38,
        "eyeWide": 0.55,
        "noseSneer": 1.15,
        "mouthPress": 0.12,
        "mouthFrown": 0.62,
        "jawForward": 0.32,
        "mouthRollUpper": 0.21,
        "mouthRollLower": 0.26,
        "mouthShrugLower": 0.12,
        "upperLipRaise": 0.06,
    },
    "happiness": {
        "mouthSmile": 1.15,
        "cheekSquint": 1.17,
        "eyeSquint": 0.43,
        "mouthUpperUp": 0.74,
        "jawOpen": 0.24,
        "mouthDimple": 0.29,
        "mouthLowerDown": 0.56,
        "browInnerUp": 0.17,
        "mouthStretch": 0.1,
    },
}
"""Feeling -> actions at full strength; a name without a side means both."""

FEELING_SHAPES: Mapping[str, Mapping[str, float]] = {
    "disgust": {"mouth-upperlip-middle-up": 0.69, "nose-trans-up": 0.15},
    "fear": {"mouth-angles-up": -0.22},
    "sadness": {"mouth-angles-up": -0.5, "eye-corner2-up": -0.26},
    "surprise": {"mouth-scale-horiz-incr": -0.17},
    "anger": {"eyebrows-trans-forward": 0.34},
    "happiness": {"cheek-trans-up": 0.41},
}
"""Feeling -> local shapes of the mesh that its actions lack."""

SINGLE_ACTIONS: Mapping[str, Mapping[str, float]] = {
    "brow_raise": {"browInnerUp": 0.8, "browOuterUp": 1.0},
    "inner_brow_raise": {"browInnerUp": 1.0},
    "brow_furrow": {"browDown": 1.0},
    "eye_opening": {"eyeWide": 1.0},
    "eye_squint": {"eyeSquint": 1.0},
    "lid_droop": {"eyeBlink": 1.0},
    "cheek_raise": {"cheekSquint": 1.0},
    "smile": {"mouthSmile": 1.0, "cheekSquint": 0.35},
    "frown": {"mouthFrown": 1.0},
    "lip_pucker": {"mouthPucker": 1.0},
    "lip_press": {"mouthPress": 1.0},
    "lip_stretch": {"mouthStretch": 1.0},
    "jaw_open": {"jawOpen": 1.0},
    "chin_raise": {"mouthShrugLower": 1.0},
    "nose_wrinkle": {"noseWrinkle": 1.0},
    "upper_lip_raise": {"upperLipRaise": 1.0},
}
"""Named value -> actions at 1."""

TOTAL_FEELING = 1.3
"""Feelings of a higher sum are scaled down to it: two at once share one face."""


def weigh_feelings(values: Mapping[str, float]) -> dict[str, float]:
    """Feeling -> its strength in the face, once all of them share it."""
    total = sum(values[feeling] for feeling in FEELING_ACTIONS)
    share = 1 / max(1.0, total / TOTAL_FEELING)
    return {feeling: share * values[feeling] for feeling in FEELING_ACTIONS}


def combine_actions(values: Mapping[str, float]) -> dict[str, float]:
    """Named values -> facial action without a side -> its strength in the face: of its rest, of feelings and of single actions."""
    strengths = dict(RESTING)
    for amount, mix in [
        *((amount, FEELING_ACTIONS[feeling]) for feeling, amount in weigh_feelings(values).items()),
        *((values[name], actions) for name, actions in SINGLE_ACTIONS.items()),
    ]:
        for action, strength in mix.items():
            strengths[action] = strengths.get(action, 0.0) + amount * strength
    return strengths


def make_actions(values: Mapping[str, float], geometry: Geometry) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Named values -> facial actions (52,), left and right as uneven as the person makes them, and extra actions (4,)."""
    strengths = combine_actions(values)
    numbers = geometry.action_number
    actions, extra = np.zeros(len(numbers), np.float32), np.zeros(len(EXTRA_ACTIONS), np.float32)
    for action, strength in strengths.items():
        if action in EXTRA_ACTIONS:
            extra[EXTRA_ACTIONS.index(action)] = strength
        elif action in numbers:
            actions[numbers[action]] = strength
        else:
            uneven = values[_asymmetry_of(action)]
            actions[numbers[f"{action}Left"]] = strength * (1 + uneven)
            actions[numbers[f"{action}Right"]] = strength * (1 - uneven)
    actions[numbers["jawLeft"]] = max(0.0, values["jaw_side"])
    actions[numbers["jawRight"]] = max(0.0, -values["jaw_side"])
    return actions, extra


def _asymmetry_of(action: str) -> str:
    for start, name in (("brow", "brow_asymmetry"), ("eye", "eye_asymmetry")):
        if action.startswith(start):
            return name
    return "mouth_asymmetry"


def add_feeling_shapes(weights: NDArray[np.float32], values: Mapping[str, float], geometry: Geometry) -> None:
    """Add what feelings move beyond the facial actions to the weights (S,) of the mesh's shapes."""
    for feeling, amount in weigh_feelings(values).items():
        if amount > 0:
            for axis, weight in FEELING_SHAPES[feeling].items():
                add_axis(weights, axis, amount * weight, geometry)
