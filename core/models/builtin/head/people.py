"""From a latent to the description of one picture: person, face, scene and accessories put together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.description import BLOB_COUNT, HAIR_STYLES, MOLE_COUNT, HeadDescription
from core.models.builtin.head.expression import add_feeling_shapes, make_actions
from core.models.builtin.head.face_shapes import weigh_shapes
from core.models.builtin.head.geometry import load_geometry
from core.models.builtin.head.latents import Latent, Traits, check_latent, find_traits, named_values

if TYPE_CHECKING:
    from core.models.builtin.head.geometry import Geometry

Colour = NDArray[np.float64]


def linear(red: int, green: int, blue: int) -> Colour:
    """sRGB bytes -> linear RGB (3,)."""
    shares = np.array([red, green, blue]) / 255
    return np.asarray(np.where(shares < 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4), np.float64)


def _scale(*colours: tuple[int, int, int]) -> NDArray[np.float64]:
    return np.stack([linear(*colour) for colour in colours])


HAIR_COLOURS = _scale((20, 16, 15), (42, 29, 23), (78, 52, 36), (118, 82, 52), (150, 112, 70), (196, 160, 110))
RED_HAIR, WHITE_HAIR = linear(142, 66, 32), linear(180, 174, 165)
IRIS_COLOURS = _scale((44, 27, 17), (66, 41, 24), (94, 62, 33), (116, 98, 58), (106, 120, 84), (96, 120, 132), (112, 142, 170))
LIPSTICKS = _scale((168, 88, 88), (152, 62, 64), (150, 40, 50), (118, 38, 56), (92, 36, 48))
EYE_SHADOWS = _scale((96, 68, 54), (122, 72, 72), (92, 62, 92), (66, 72, 100))
SKIN_FOR_LIPS = _scale((229, 190, 166), (222, 178, 150), (208, 158, 127), (168, 117, 86), (114, 76, 55), (78, 52, 40))

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
BROWS_TO_SKIN = 0.4
"""Largest luminance of brows that are not grey, as a share of the skin's."""

STYLE_MARGIN = 1.2
"""Styles whose score is this far or more below the best do not show at all; narrower, hair would change at once on the way."""
STYLE_POWER = 5.0
"""Of the nearness to the best style: how fast others fade."""


def pick(colours: NDArray[np.float64], share: float) -> Colour:
    """The colour at a share 0..1 of a scale of colours, straight in between."""
    place = min(max(share, 0.0), 1.0) * (len(colours) - 1)
    start = min(int(place), len(colours) - 2)
    return _mix(colours[start], colours[start + 1], place - start)


def hue_colour(hue: float, saturation: float, lightness: float) -> Colour:
    """A colour of a hue 0..1 around the circle; saturation and lightness 0..1, lightness as linear light."""
    wheel = 0.5 + 0.5 * np.cos(2 * math.pi * (hue - np.array([0, 1 / 3, 2 / 3])))
    tint = wheel / float(wheel @ LUMINANCE)
    return np.asarray(lightness * (1 + saturation * (tint - 1)), np.float64)


def weigh_styles(values: Mapping[str, float]) -> NDArray[np.float64]:
    """Weights (10,) of the hair styles from their scores; what is missing to 1 is bald. One to three dominate."""
    scores = np.array([values[f"hair_{style}"] for style in (*HAIR_STYLES, "bald")])
    near = np.maximum(0, 1 - (scores.max() - scores) / STYLE_MARGIN) ** STYLE_POWER
    return np.asarray((near / near.sum())[:-1], np.float64)


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    return np.asarray(first + (second - first) * share, np.float64)


def describe(latent: Latent) -> HeadDescription:
    """The description of a latent (LATENT_DIM,). Raises LiminalError for a latent that is none."""
    checked = check_latent(latent)
    return describe_values(named_values(checked), find_traits(checked), load_geometry())


def describe_values(values: Mapping[str, float], traits: Traits, geometry: Geometry) -> HeadDescription:
    """The description of named values (all of ``latents.LATENTS``)."""
    shapes = weigh_shapes(values, traits.ancestry, geometry)
    add_feeling_shapes(shapes, values, geometry)
    actions, extra_actions = make_actions(values, geometry)
    return HeadDescription(
        shapes=shapes,
        actions=actions,
        extra_actions=extra_actions,
        gaze=np.radians([values["gaze_side"], values["gaze_up"]]),
        femininity=traits.femininity,
        age=traits.age,
        **_skin(values),
        **_hair_and_beard(values),
        **_eyes_and_lips(values),
        **_make_up_and_things(values),
        **_scene(values),
    )


def _skin(values: Mapping[str, float]) -> dict[str, Any]:
    moles = np.zeros(MOLE_COUNT)
    for number in range(MOLE_COUNT // 2):
        strength = values[f"mole_{number + 1}"]
        size = 0.020 * min(1.0, max(0.0, abs(strength) - 0.6) / 0.5)
        moles[number + (MOLE_COUNT // 2 if strength < 0 else 0)] = size
    return {
        "melanin": values["skin_darkness"],
        "redness": values["skin_redness"],
        "freckles": values["freckles"],
        "oil": values["skin_oil"],
        "brightness": values["skin_brightness"],
        "skin_warmth": values["skin_warmth"],
        "socket": values["socket_shade"],
        "under_eye": values["under_eye_shade"],
        "cheek": values["cheek_shade"],
        "chin": values["chin_shade"],
        "fold": values["fold_shade"],
        "moles": moles,
        "pattern": [values[f"skin_pattern_{number}"] for number in (1, 2, 3)],
    }


def _hair_and_beard(values: Mapping[str, float]) -> dict[str, Any]:
    natural = _mix(
        pick(HAIR_COLOURS, values["hair_lightness"]), RED_HAIR * (0.45 + values["hair_lightness"]), values["hair_redness"]
    )
    grey, beard = values["hair_grey"], values["beard"]
    return {
        "styles": weigh_styles(values),
        "hair_colour": natural,
        "hair_grey": grey,
        "white_colour": WHITE_HAIR,
        "hair_length": values["hair_length"],
        "hair_volume": values["hair_volume"],
        "hair_curl": values["hair_curl"],
        "hair_recession": values["hair_recession"],
        "moustache": beard * values["moustache_share"],
        "chin_beard": beard * values["chin_beard_share"],
        "cheek_beard": beard * values["cheek_beard_share"],
        "beard_length": beard * (0.25 + 0.75 * values["beard_length"]),
        "beard_colour": natural * 0.85,
        "beard_grey": min(1.0, 1.15 * grey),
        "brow_thickness": values["brow_thickness"],
        "brow_density": values["brow_density"],
        "brow_height": values["brow_height"],
        "brow_arch": values["brow_arch"],
        "brow_angle": values["brow_angle"],
        "brow_gap": values["brow_gap"],
        "brow_length": values["brow_hair_length"],
        "brow_fill": values["brow_fill"],
        "brow_colour": _darken_brows(natural * values["brow_lightness"], pick(SKIN_FOR_LIPS, values["skin_darkness"])),
        "brow_grey": 0.6 * grey**2,  # brows grey later than the hair
        "lash_length": values["lash_length"],
    }


def _darken_brows(colour: Colour, skin: Colour) -> Colour:
    """The colour of brows, never nearly as light as the skin, which would look like a face without brows."""
    luminance, most = float(colour @ LUMINANCE), BROWS_TO_SKIN * float(skin @ LUMINANCE)
    return colour * most * math.tanh(luminance / most) / luminance


def _eyes_and_lips(values: Mapping[str, float]) -> dict[str, Any]:
    skin = pick(SKIN_FOR_LIPS, values["skin_darkness"])
    redness, darkness = values["lip_redness"], values["lip_darkness"]
    natural = skin * np.array([0.61, 0.31 - 0.05 * redness, 0.37 - 0.04 * redness]) * math.exp(-0.3 * darkness)
    paint = pick(LIPSTICKS, values["lipstick_hue"]) * (1 - 0.45 * values["skin_darkness"])
    return {
        "iris": pick(IRIS_COLOURS, values["iris_colour"]) * values["iris_brightness"],
        "pupil": values["pupil"],
        "lip_colour": _mix(natural, paint, values["lipstick"]),
        "lip_strength": values["lip_definition"] + (0.95 - values["lip_definition"]) * 0.6 * values["lipstick"],
    }


def _make_up_and_things(values: Mapping[str, float]) -> dict[str, Any]:
    frame = hue_colour(0.03, 0.9 * values["glasses_redness"], 0.012 + 0.24 * values["glasses_lightness"] ** 2)
    return {
        "eye_shadow_colour": pick(EYE_SHADOWS, values["eye_shadow_hue"]),
        "eye_shadow": values["eye_shadow"],
        "eye_liner": values["eye_liner"],
        "blush": values["blush"],
        "glasses": values["glasses"],
        "glasses_width": values["glasses_width"],
        "glasses_height": values["glasses_height"],
        "glasses_squareness": values["glasses_squareness"],
        "glasses_thickness": values["glasses_thickness"],
        "glasses_colour": frame,
        "hat": values["hat"],
        "hat_height": values["hat_height"],
        "hat_colour": hue_colour(values["hat_hue"], 0.28, 0.02 + 0.25 * values["hat_lightness"]),
        "earrings": values["earrings"],
        "earring_size": values["earring_size"],
        "earring_colour": _mix(linear(214, 170, 92), linear(212, 212, 214), values["earring_lightness"]),
        "shirt_colour": hue_colour(values["shirt_hue"], values["shirt_saturation"], 0.02 + 0.45 * values["shirt_lightness"] ** 1.8),
    }


def _scene(values: Mapping[str, float]) -> dict[str, Any]:
    tint = np.exp(
        values["background_redness"] * np.array([1.0, -0.5, 0.0]) + values["background_blueness"] * np.array([-0.5, 0.0, 1.0])
    )
    background = values["background_brightness"] * tint
    blobs = np.zeros((BLOB_COUNT, 6))
    for number in range(BLOB_COUNT):
        x, y, size, light = (values[f"spot_{number + 1}_{part}"] for part in ("x", "y", "size", "light"))
        blobs[number] = [x, y, 25 - 18 * size, *(light * background)]
    return {
        "yaw": math.radians(values["head_turn"]),
        "pitch": math.radians(values["head_nod"]),
        "roll": math.radians(values["head_tilt"]),
        "key_azimuth": math.radians(values["light_side"]),
        "key_elevation": math.radians(values["light_height"]),
        "key_softness": values["light_softness"],
        "key_strength": values["light_strength"],
        "fill_ratio": values["fill_ratio"],
        "light_warmth": values["light_warmth"],
        "rim": values["rim_light"],
        "ambient": values["ambient_light"],
        "background": background,
        "background_blobs": blobs,
        "focal": values["camera_distance"],
        "framing": values["framing"],
    }
