"""Changes of single named latents in words for people: 'the head turned to the right by 31 degrees', 'with strong glasses'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.expression import FEELING_ACTIONS, RESTING, combine_actions
from core.models.builtin.head.latents import INDEX, LATENT_DIM, LATENTS, Latent, find_latent, named_values
from core.models.emotions import EMOTIONS

__all__ = [
    "INDEX",
    "LATENTS",
    "LATENT_DIM",
    "MAIN_LATENTS",
    "SEMANTIC_LATENTS",
    "explain_change",
    "find_actions",
    "find_latent",
    "group_latent",
    "list_changeable_latents",
    "named_values",
    "read_feelings",
]

SAME_PERSON_PARTS = ("hair_", "beard", "moustache_", "chin_beard", "cheek_beard", "brow_thickness", "brow_fill", "skin_oil")
"""Beginnings of the names of identity latents that one and the same person can change."""

FIXED_CONDITIONS = ("spot_", "background_", "framing", "camera_distance", "shirt_", "glasses_", "hat_", "earring_")
"""Beginnings of the names of latents that are about the picture rather than the person's looks, or about the form of a thing."""

FIXED_DETAILS = ("_hue", "_share", "_asymmetry")
"""Endings of the names of details."""

HAIR_WORDS = {
    "hair_buzz": "shorn",
    "hair_crop": "short",
    "hair_fringe": "in a fringe",
    "hair_sidepart": "parted at the side",
    "hair_back": "combed back",
    "hair_long": "long",
    "hair_longside": "long and parted at the side",
    "hair_bob": "in a bob",
    "hair_bun": "in a bun",
    "hair_afro": "in an afro",
}


SEMANTIC_LATENTS = ("happiness", "jaw_open", "head_turn", "light_height", "hair_lightness", "beard", "glasses", "age")
"""Latents of the semantic samples."""


MAIN_LATENTS = (
    *("femininity", "age", "weight", "face_fullness", "head_width", "head_height", "cheekbones", "jaw_corners"),
    *("chin_width", "chin_height", "forehead_height", "eye_size", "eye_spacing", "eye_opening_middle", "eye_bags"),
    *("nose_length", "nose_width", "nose_hump", "mouth_width", "mouth_fullness", "ear_size", "neck_width"),
    *("skin_darkness", "freckles", "iris_colour", "brow_height"),
    *("brow_thickness", "hair_length", "hair_volume", "hair_curl", "hair_lightness", "hair_grey", "hair_bald", "beard"),
    *("glasses", "hat", "earrings", "lipstick", "eye_shadow"),
    *("surprise", "fear", "disgust", "happiness", "sadness", "anger"),
    *("smile", "jaw_open", "brow_raise", "eye_opening", "lid_droop", "gaze_side"),
    *("head_turn", "head_nod", "head_tilt", "light_side", "light_height", "light_softness", "light_strength", "light_warmth"),
    "camera_distance",
)
"""Latents that people have a word for."""

LatentGroup = Literal["person", "looks", "expression", "scene"]


def group_latent(name: str) -> LatentGroup:
    """What a latent is about: who somebody is, looks that one person can change, the expression, or the scene.

    Raises LiminalError for an unknown name.
    """
    block = find_latent(name).block
    if block in ("expression", "scene"):
        return "expression" if block == "expression" else "scene"
    return "looks" if block == "accessories" or name.startswith(SAME_PERSON_PARTS) else "person"


def list_changeable_latents() -> list[str]:
    """Names of the latents that one person can change: expression, scene, accessories, hair, beard and brows."""
    return [
        latent.name
        for latent in LATENTS
        if (latent.block != "identity" or latent.name.startswith(SAME_PERSON_PARTS))
        and not latent.name.startswith(FIXED_CONDITIONS)
        and not latent.name.endswith(FIXED_DETAILS)
    ]


def explain_change(before: Latent, after: Latent, name: str) -> str:
    """What changed in one named latent, in words: from one latent (d,) to another; "" where its value stays at an end of its range.

    Raises LiminalError for an unknown name.
    """
    named = find_latent(name)
    old, new = named_values(before)[name], named_values(after)[name]
    if abs(new - old) < 1e-3 * (named.curve.high - named.curve.low):
        return ""
    if name in _WORDS:
        return _WORDS[name](old, new)
    low, _, high = named.meaning.partition(" .. ")
    words = name.replace("_", " ")
    if named.unit == "degrees":
        return f"{words} from {old:.0f} to {new:.0f} degrees"
    amount = f"from {old:.2f} to {new:.2f}"
    if not high:
        return f"{'more' if new > old else 'less'} {words} ({amount})"
    return f"{words}: towards '{high if new > old else low}' ({amount})"


ACTION_WORDS: Mapping[str, str] = {
    "browInnerUp": "inner ends of the brows raised",
    "browOuterUp": "outer ends of the brows raised",
    "browDown": "brows lowered and drawn together",
    "eyeWide": "eyes opened wide",
    "eyeSquint": "lower lids raised",
    "eyeBlink": "upper lids lowered",
    "eyeLookDown": "eyes cast down",
    "cheekSquint": "cheeks raised",
    "noseSneer": "nostrils raised",
    "noseWrinkle": "nose wrinkled",
    "upperLipRaise": "middle of the upper lip raised",
    "mouthUpperUp": "upper lip raised",
    "mouthLowerDown": "lower lip drawn down",
    "mouthSmile": "corners of the mouth drawn up",
    "mouthFrown": "corners of the mouth drawn down",
    "mouthStretch": "mouth stretched to the sides",
    "mouthDimple": "dimples at the mouth",
    "mouthFunnel": "lips rounded",
    "mouthPucker": "lips pushed forward",
    "mouthPress": "lips pressed together",
    "mouthRollUpper": "upper lip rolled in",
    "mouthRollLower": "lower lip rolled in",
    "mouthShrugUpper": "upper lip pushed up",
    "mouthShrugLower": "chin pushed up",
    "jawOpen": "mouth open",
    "jawForward": "jaw pushed forward",
}
"""Every facial action that feelings and single actions use -> what it looks like."""


def find_actions(latent: Latent) -> dict[str, float]:
    """What each facial action looks like -> its strength in the face of a latent (d,), 1 a strong one."""
    strengths = combine_actions(named_values(latent))
    return {words: strengths.get(action, 0.0) for action, words in ACTION_WORDS.items()}


@cache
def _feeling_readings() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The pseudo-inverse of the feelings' actions (6, actions), by EMOTIONS, and the actions of a face at rest (actions,)."""
    mixes = np.array([[FEELING_ACTIONS[feeling].get(action, 0.0) for action in ACTION_WORDS] for feeling in EMOTIONS])
    return np.linalg.pinv(mixes.T), np.array([RESTING.get(action, 0.0) for action in ACTION_WORDS])


def read_feelings(latent: Latent) -> NDArray[np.float64]:
    """How much of each feeling the facial actions of a latent (d,) are most like, by least squares -> (6,) over EMOTIONS."""
    inverse, rest = _feeling_readings()
    feelings: NDArray[np.float64] = inverse @ (np.array(list(find_actions(latent).values())) - rest)
    return feelings


def _turn(towards_high: str, towards_low: str, what: str) -> Callable[[float, float], str]:
    return lambda old, new: f"{what} {towards_high if new > old else towards_low} by {abs(new - old):.0f} degrees"


def _wear(what: str) -> Callable[[float, float], str]:
    def words(old: float, new: float) -> str:
        if new < 0.05:
            return f"without {what}"
        return f"with {what}" if new >= 0.5 else f"with a trace of {what}"

    return words


def _feel(what: str) -> Callable[[float, float], str]:
    return lambda old, new: f"{'showing more' if new > old else 'showing less'} {what} (from {old:.2f} to {new:.2f})"


def _age(old: float, new: float) -> str:
    return f"{abs(new - old):.0f} years {'older' if new > old else 'younger'} ({new:.0f} instead of {old:.0f})"


def _grow_beard(old: float, new: float) -> str:
    if new < 0.05:
        return "shaven"
    return f"with {'a full beard' if new >= 0.6 else 'a short beard' if new >= 0.35 else 'stubble'}"


def _light_hair(old: float, new: float) -> str:
    return f"with {'lighter' if new > old else 'darker'} hair"


def _open_mouth(old: float, new: float) -> str:
    return "the mouth more open" if new > old else "the mouth more closed"


def _wear_hair(how: str) -> Callable[[float, float], str]:
    return lambda old, new: f"the hair {'more' if new > old else 'less'} {how}"


_WORDS: Mapping[str, Callable[[float, float], str]] = {
    "head_turn": _turn("to the right", "to the left", "the head turned"),
    "head_nod": _turn("down", "up", "the head nodded"),
    "head_tilt": _turn("to one side", "to the other side", "the head tilted"),
    "gaze_side": _turn("to the right", "to the left", "the eyes turned"),
    "gaze_up": _turn("up", "down", "the eyes turned"),
    "light_side": _turn("to the right", "to the left", "the light moved"),
    "light_height": _turn("up", "down", "the light moved"),
    "glasses": _wear("glasses"),
    "hat": _wear("a knitted hat"),
    "earrings": _wear("earrings"),
    "lipstick": _wear("lipstick"),
    "age": _age,
    "beard": _grow_beard,
    "hair_lightness": _light_hair,
    "jaw_open": _open_mouth,
    **{name: _wear_hair(how) for name, how in HAIR_WORDS.items()},
    **{feeling: _feel(feeling) for feeling in ("surprise", "fear", "disgust", "happiness", "sadness", "anger")},
}
assert set(_WORDS) <= set(INDEX)
