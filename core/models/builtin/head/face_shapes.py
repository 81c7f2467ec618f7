"""The shape of a face: which latents move which shapes of the mesh, how far, and what is added for men and women.

The mesh's own axes are taken by name; those left out here hardly show in a portrait. Spreads were set by how far each axis moves
recognisers' descriptors, then calmed where it soon looks like an expression or a caricature.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.proportions import fit_axes

if TYPE_CHECKING:
    from core.models.builtin.head.geometry import Geometry


@dataclass(frozen=True)
class LocalShape:
    """A latent of the local shape: the mesh's axis, the largest weight either way, and what rises with it.

    Weights are spread evenly, not normally: as varied as a normal spread, without its tails, which are caricatures.
    """

    axis: str
    name: str
    reach: float
    meaning: str


def _rows(*rows: tuple[str, str, float, str]) -> tuple[LocalShape, ...]:
    return tuple(LocalShape(axis, name, reach, meaning) for axis, name, reach, meaning in rows)


LOCAL_SHAPES = _rows(
    ("cheek-trans-up", "cheek_height", 0.55, "low .. high cheeks"),
    ("cheek-volume-incr", "cheek_volume", 0.6, "hollow .. round cheeks"),
    ("cheek-inner-incr", "inner_cheek_volume", 0.35, "flat .. full beside the nose"),
    ("cheek-bones-incr", "cheekbones", 0.6, "flat .. prominent cheekbones"),
    ("chin-jaw-drop-incr", "jaw_drop", 0.45, "jaw higher .. lower"),
    ("chin-height-incr", "chin_height", 0.78, "short .. long chin"),
    ("chin-prominent-incr", "chin_prominence", 0.55, "receding .. prominent chin"),
    ("chin-bones-incr", "jaw_corners", 0.55, "soft .. marked corners of the jaw"),
    ("chin-width-incr", "chin_width", 0.6, "narrow .. wide chin"),
    ("chin-cleft-incr", "chin_cleft", 0.5, "smooth .. cleft chin"),
    ("chin-prognathism-incr", "lower_jaw_forward", 0.35, "lower jaw back .. forward"),
    ("ear-lobe-incr", "ear_lobes", 0.5, "small .. large ear lobes"),
    ("ear-rot-forward", "ear_slant", 0.5, "ears slanting back .. forward"),
    ("ear-trans-up", "ear_height", 0.75, "ears low .. high"),
    ("ear-scale-incr", "ear_size", 0.6, "small .. large ears"),
    ("ear-wing-incr", "ear_standing", 0.5, "ears close to the head .. standing off"),
    ("eyebrows-angle-up", "brow_ridge_angle", 0.34, "outer ends of the brow ridge low .. high"),
    ("eyebrows-trans-up", "brow_ridge_height", 0.8, "low .. high brow ridge"),
    ("eyebrows-trans-forward", "brow_ridge_depth", 0.4, "flat .. protruding brow ridge"),
    ("eye-corner1-up", "inner_eye_corner", 0.61, "inner corners of the eyes low .. high"),
    ("eye-height1-incr", "eye_opening_inner", 0.8, "inner part of the eye narrow .. open"),
    ("eye-scale-incr", "eye_size", 0.64, "small .. large eyes"),
    ("eye-push1-out", "inner_lid_depth", 0.5, "inner part of the lid deep .. forward"),
    ("eye-eyefold-up", "lid_fold_height", 0.89, "lid fold low .. high"),
    ("eye-height3-incr", "eye_opening_outer", 0.8, "outer part of the eye narrow .. open"),
    ("eye-height2-incr", "eye_opening_middle", 0.85, "middle of the eye narrow .. open"),
    ("eye-bag-incr", "eye_bags", 0.6, "smooth .. full below the eyes"),
    ("eye-push2-out", "outer_lid_depth", 0.5, "outer part of the lid deep .. forward"),
    ("eye-trans-up", "eye_height", 0.8, "eyes low .. high in the face"),
    ("eye-bag-height-incr", "eye_bag_height", 0.5, "bags below the eyes short .. long"),
    ("eye-epicanthus-out", "inner_lid_fold", 0.93, "fold at the inner corner: covering .. open"),
    ("eye-corner2-up", "outer_eye_corner", 0.89, "outer corners of the eyes low .. high"),
    ("eye-trans-out", "eye_spacing", 0.88, "eyes near .. far apart"),
    ("forehead-temple-incr", "temple_width", 0.8, "hollow .. full temples"),
    ("forehead-trans-forward", "forehead_depth", 0.5, "forehead back .. forward"),
    ("forehead-scale-vert-incr", "forehead_height", 0.36, "low .. high forehead"),
    ("forehead-nubian-incr", "forehead_roundness", 0.3, "flat .. round forehead"),
    ("mouth-lowerlip-height-incr", "lower_lip_height", 0.67, "thin .. full lower lip"),
    ("mouth-scale-horiz-incr", "mouth_width", 0.8, "narrow .. wide mouth"),
    ("mouth-cupidsbow-incr", "cupids_bow", 0.61, "flat .. marked bow of the upper lip"),
    ("mouth-scale-depth-incr", "mouth_depth", 0.35, "flat .. deep mouth"),
    ("mouth-lowerlip-volume-incr", "lower_lip_volume", 0.45, "flat .. round lower lip"),
    ("mouth-angles-up", "mouth_corners", 0.54, "corners of the mouth low .. high"),
    ("mouth-lowerlip-width-incr", "lower_lip_width", 0.6, "narrow .. wide lower lip"),
    ("mouth-trans-forward", "mouth_forward", 0.35, "mouth back .. forward"),
    ("mouth-upperlip-width-incr", "upper_lip_width", 0.6, "narrow .. wide upper lip"),
    ("mouth-scale-vert-incr", "mouth_fullness", 0.5, "thin .. full mouth"),
    ("mouth-upperlip-height-incr", "upper_lip_height", 0.61, "thin .. full upper lip"),
    ("mouth-upperlip-volume-incr", "upper_lip_volume", 0.42, "flat .. round upper lip"),
    ("mouth-upperlip-middle-up", "upper_lip_middle", 0.35, "middle of the upper lip low .. high"),
    ("mouth-trans-up", "mouth_height", 0.72, "mouth low .. high in the face"),
    ("mouth-lowerlip-middle-up", "lower_lip_middle", 0.35, "middle of the lower lip low .. high"),
    ("neck-scale-horiz-incr", "neck_width", 0.54, "slender .. wide neck"),
    ("neck-scale-vert-incr", "neck_length", 0.49, "short .. long neck"),
    ("nose-nostrils-angle-up", "nostril_angle", 0.55, "nostrils low .. high at their outer ends"),
    ("nose-flaring-incr", "nostril_flare", 0.6, "nostrils narrow .. flaring"),
    ("nose-curve-convex", "nose_curve", 0.6, "concave .. convex bridge"),
    ("nose-scale-depth-incr", "nose_depth", 0.71, "flat .. long nose in profile"),
    ("nose-scale-vert-incr", "nose_length", 0.85, "short .. long nose"),
    ("nose-point-width-incr", "nose_tip_width", 0.73, "fine .. broad tip of the nose"),
    ("nose-scale-horiz-incr", "nose_width", 0.98, "narrow .. wide nose"),
    ("nose-width1-incr", "nose_root_width", 0.6, "narrow .. wide root of the nose"),
    ("nose-trans-forward", "nose_forward", 0.45, "nose back .. forward"),
    ("nose-trans-up", "nose_height", 0.89, "nose low .. high in the face"),
    ("nose-hump-incr", "nose_hump", 0.6, "straight .. humped bridge"),
    ("nose-nostrils-width-incr", "nostril_width", 0.8, "narrow .. wide nostrils"),
    ("nose-greek-incr", "nose_bridge_depth", 0.7, "deep .. straight root of the nose"),
    ("nose-point-up", "nose_tip_height", 0.71, "tip of the nose down .. up"),
    ("nose-width2-incr", "nose_bridge_width", 0.6, "narrow .. wide bridge"),
    ("nose-width3-incr", "nose_wing_width", 0.6, "narrow .. wide wings"),
    ("nose-septumangle-incr", "septum_angle", 0.23, "septum flat .. steep"),
    ("nose-base-up", "nose_base_height", 0.5, "base of the nose low .. high"),
    ("nose-volume-incr", "nose_volume", 0.55, "slender .. heavy nose"),
)
"""Axes of the mesh that a face varies in."""

HEAD_SHAPES = (
    ("head_diamond", "widest at the cheekbones"),
    ("head_inverted_triangle", "narrowing downwards"),
    ("head_oval", "oval"),
    ("head_rectangle", "long and angular"),
    ("head_round", "round"),
    ("head_square", "short and angular"),
    ("head_triangle", "widening downwards"),
)
"""Forms of the whole head, in the order of the mesh's outlines."""

ASYMMETRIES = (
    ("uneven_brows", "one brow higher", 0, 0.09),
    ("uneven_cheeks_1", "one cheek further out", 2, 0.11),
    ("uneven_cheeks_2", "one cheek higher", 3, 0.11),
    ("uneven_eyes_1", "eyes to one side", 4, 0.08),
    ("uneven_eyes_2", "one eye higher", 5, 0.045),
    ("uneven_lids_1", "one upper lid higher", 7, 0.055),
    ("uneven_lids_2", "one lower lid higher", 11, 0.055),
    ("uneven_jaw", "jaw to one side", 12, 0.055),
    ("uneven_chin", "chin to one side", 14, 0.05),
    ("uneven_mouth_1", "mouth aslant", 15, 0.035),
    ("uneven_mouth_2", "mouth to one side", 16, 0.045),
    ("uneven_nose_1", "tip of the nose to one side", 17, 0.07),
    ("uneven_nose_2", "root of the nose to one side", 20, 0.06),
)
"""Name, what differs between left and right, which of the mesh's pairs it is, and the standard deviation of its weight."""

SEX_OFFSETS: Mapping[str, tuple[float, float, float]] = {
    "chin-width-incr": (-0.06, 0.24, -0.48),
    "chin-bones-incr": (0, 0.35, -0.70),
    "chin-jaw-drop-incr": (0, 0.10, -0.30),
    "chin-prominent-incr": (0, 0.22, -0.20),
    "cheek-bones-incr": (0, -0.05, 0.30),
    "cheek-volume-incr": (0, -0.12, 0.22),
    "neck-scale-horiz-incr": (0, 0.30, -0.60),
    "eye-scale-incr": (0.10, -0.04, 0.42),
    "eye-height2-incr": (0.32, 0, 0.15),
    "eye-height1-incr": (0.10, 0, 0.05),
    "eye-height3-incr": (0.12, 0, 0.08),
    "mouth-scale-horiz-incr": (0.10, 0.05, -0.05),
    "mouth-angles-up": (0.40, 0, 0),
    "mouth-upperlip-volume-incr": (0, -0.15, 0.35),
    "mouth-lowerlip-volume-incr": (0, -0.10, 0.28),
    "nose-scale-horiz-incr": (0, 0.15, -0.60),
    "nose-scale-vert-incr": (0, 0.05, -0.40),
    "nose-hump-incr": (0, 0.10, -0.40),
    "nose-point-up": (0, -0.05, 0.35),
    "forehead-nubian-incr": (0, -0.05, 0.35),
    "forehead-trans-forward": (0, -0.10, 0.20),
    "eyebrows-trans-up": (0.12, -0.08, 0.25),
    "eyebrows-angle-up": (-0.14, 0, 0),
    "eyebrows-trans-forward": (-0.12, 0.15, -0.30),
    "ear-wing-incr": (-0.35, 0, 0),
    "ear-scale-incr": (0, 0.10, -0.30),
}
"""Axis -> what is added for all, at the masculine end, at the feminine end: an oval face by default, angular only for men."""

COMPANIONS = (
    ("nose-trans-up", "mouth-trans-up", 0.45),
    ("nose-scale-vert-incr", "mouth-trans-up", -0.25),
    ("eye-trans-up", "eyebrows-trans-up", 0.5),
    ("chin-width-incr", "mouth-scale-horiz-incr", 0.2),
    ("nose-scale-horiz-incr", "mouth-scale-horiz-incr", 0.2),
    ("cheek-volume-incr", "chin-width-incr", 0.25),
)
"""Axis, another, and how much of the first the other follows: parts of a face that fit each other."""

JUVENILE: Mapping[str, float] = {
    "eye-scale-incr": 1.0,
    "forehead-scale-vert-incr": 1.0,
    "forehead-nubian-incr": 1.0,
    "cheek-volume-incr": 0.7,
    "chin-height-incr": -1.0,
    "chin-prominent-incr": -0.7,
    "chin-jaw-drop-incr": -0.7,
    "nose-scale-vert-incr": -1.0,
    "nose-scale-depth-incr": -0.7,
    "eye-trans-up": -1.0,
}
"""Axis -> how much it looks like a child's, in its own range. All at once are toned down: everybody here is an adult."""

JUVENILE_SHARE = 1.0
"""Share of a juvenile face's common part that is taken back."""
JUVENILE_MARGIN = 0.1
"""How far on the grown-up side of the mean that begins, in the axes' own range."""

RUGGED = {
    "eyebrows-trans-forward": 0.6,
    "forehead-nubian-incr": 0.7,
    "chin-jaw-drop-incr": 0.7,
    "chin-prominent-incr": 0.8,
    "chin-prognathism-incr": 0.7,
    "nose-hump-incr": 0.7,
    "eye-bag-incr": 0.6,
    "neck-scale-horiz-incr": 0.6,
}
"""Axis -> factor of its weight at the feminine end."""

HEAD_SIZES = (
    ("head_height", "head-scale-vert", 0.22, "low .. high head"),
    ("head_width", "head-scale-horiz", 0.24, "narrow .. wide head"),
    ("head_depth", "head-scale-depth", 0.30, "short .. long head, from front to back"),
    ("face_fullness", "head-fat", 0.4, "hollow .. full face"),
)
"""Name, the mesh's shapes (-incr and -decr), the largest weight either way, and what rises with it."""

NARROWER = 0.40
"""How much narrower than the mesh every head is: the mesh's face is wider than an adult's of its height."""

OUTLINE_OFFSETS: Mapping[str, tuple[float, float, float]] = {
    "oval": (1.0, 0.20, 0.0),
    "invertedtriangular": (0.7, 0.08, 0.10),
    "square": (0.4, 0.0, 0.0),
    "rectangular": (0.6, 0.0, 0.0),
}
"""Form of the head -> factor, what is added for all, and at the feminine end."""

YOUNG_AGE, OLD_AGE = 0.70, 1.0
"""Ages 18 and 80 on the mesh's own scale; its young adult of 25 years stands at 2 / 3, so that nobody looks like a child."""


REACH_BEND, REACH_END = 0.8, 1.5
"""Where the weight of an axis starts to bend and where it ends, in its reach, once proportions and sex have been added."""


@cache
def _reaches() -> tuple[float, ...]:
    return tuple(shape.reach for shape in LOCAL_SHAPES)


@cache
def _axis_rows(geometry: Geometry) -> dict[str, int]:
    return {name: row for row, name in enumerate(geometry.axis_name)}


def weigh_shapes(values: Mapping[str, float], ancestry: tuple[float, float, float], geometry: Geometry) -> NDArray[np.float32]:
    """Weights (S,) of the mesh's shapes for the named values of a person."""
    femininity, masculinity = values["femininity"], 1 - values["femininity"]
    age = (values["age"] - 18) / 62
    body = {name: values[name] for name in ("muscle", "weight", "proportions")}
    years = YOUNG_AGE + (OLD_AGE - YOUNG_AGE) * age
    mixed, own = (
        geometry.phenotype_weights(gender=femininity, age=years, ancestry=shares, **body) for shares in ((1, 1, 1), ancestry)
    )
    weights = np.zeros(len(geometry.shape_name), np.float32)
    weights[: geometry.phenotype_count] = own
    local = {shape.axis: values[shape.name] * (1 - (1 - RUGGED.get(shape.axis, 1.0)) * femininity) for shape in LOCAL_SHAPES}
    _tone_down_juvenile(local)
    for leading, following, share in COMPANIONS:
        local[following] += share * local[leading]
    for axis, (always, masculine, feminine) in SEX_OFFSETS.items():
        local[axis] += always + masculine * masculinity + feminine * femininity
    for name, _, pair, _ in ASYMMETRIES:
        left, right = geometry.asymmetry[pair]
        weights[left if values[name] > 0 else right] += abs(values[name])
    for outline, number, (name, _) in zip(geometry.outline_name, geometry.outline, HEAD_SHAPES, strict=True):
        factor, always, feminine = OUTLINE_OFFSETS.get(outline, (1.0, 0.0, 0.0))
        weights[number] += factor * values[name] + always + feminine * femininity
    scale = dict(zip(geometry.head_scale_name, geometry.head_scale, strict=True))
    for name, shape, _, _ in HEAD_SIZES:
        weights[scale[f"{shape}-incr"]] += max(0.0, values[name])
        weights[scale[f"{shape}-decr"]] += max(0.0, -values[name])
    weights[scale["head-scale-horiz-decr"]] += NARROWER
    weights[scale["head-age-incr"]] += 0.10 + 0.50 * age**1.5
    # all shapes together decide the proportions; the axes then give way
    drawn = weights.copy()
    for axis, weight in local.items():
        add_axis(drawn, axis, weight, geometry)
    axes = tuple(local)
    changes = fit_axes(drawn, own - mixed, axes, _reaches(), femininity, geometry)
    for axis, change, reach in zip(axes, changes, _reaches(), strict=True):
        add_axis(weights, axis, _limit_weight(local[axis] + float(change), reach), geometry)
    return weights


def _limit_weight(weight: float, reach: float) -> float:
    """The weight of an axis, bent softly towards the end of what still looks natural."""
    start, end = REACH_BEND * reach, REACH_END * reach
    beyond = abs(weight) - start
    return weight if beyond <= 0 else math.copysign(start + (end - start) * math.tanh(beyond / (end - start)), weight)


def _tone_down_juvenile(local: dict[str, float]) -> None:
    """Take back what the juvenile axes have in common, where that is on the child's side or near it."""
    reach = {shape.axis: shape.reach for shape in LOCAL_SHAPES if shape.axis in JUVENILE}
    common = sum(sign * local[axis] / reach[axis] for axis, sign in JUVENILE.items()) / sum(sign**2 for sign in JUVENILE.values())
    for axis, sign in JUVENILE.items():
        local[axis] -= JUVENILE_SHARE * max(0.0, common + JUVENILE_MARGIN) * sign * reach[axis]


def add_axis(weights: NDArray[np.float32], axis: str, weight: float, geometry: Geometry) -> None:
    """Add the weight of an axis of the mesh: to the shapes of its upper end, or of its lower one where it has them."""
    row = _axis_rows(geometry)[axis]
    upper, lower = geometry.axis_positive[row], geometry.axis_negative[row]
    one_sided = lower[0] < 0
    for shape in upper if weight > 0 or one_sided else lower:
        if shape >= 0:
            weights[shape] += weight if one_sided else abs(weight)
