"""Features of a head for its surrogate: what the latents mean rather than the latents, so that little is left to learn.

The table's curves and shifts (``latents.LATENTS``) in torch, batched and with a gradient; then what the picture depends on as a
product or an angle: colour times the hair that there is, a feeling times the turn of the head, where the light stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.models.builtin.head.description import HAIR_STYLES
from core.models.builtin.head.expression import FEELING_ACTIONS, SINGLE_ACTIONS, TOTAL_FEELING
from core.models.builtin.head.face_shapes import ASYMMETRIES, LOCAL_SHAPES
from core.models.builtin.head.latents import ANCESTRY_SHARPNESS, INDEX, LATENT_DIM, LATENTS, Traits
from core.models.builtin.head.people import STYLE_MARGIN, STYLE_POWER
from core.models.builtin.head.value_curves import SOFT_SHARE, Bounded, Even, Presence, Ramp, ValueCurve

Values = Callable[[Sequence[str]], Tensor]
"""Names -> their values (N, names)."""

PERSON = ("femininity", "age", "ancestry_1", "ancestry_2", "ancestry_3", "skin_darkness", "weight", "face_fullness")
POSE = ("head_turn", "head_nod", "head_tilt")
LIGHT = ("light_height", "light_softness", "light_strength", "fill_ratio", "rim_light", "ambient_light")

GATED = {
    "beard": (
        *("moustache_share", "chin_beard_share", "cheek_beard_share", "beard_length"),
        *("hair_lightness", "hair_grey", "hair_redness", "skin_darkness"),
    ),
    "glasses": (
        *("glasses_width", "glasses_height", "glasses_squareness"),
        *("glasses_thickness", "glasses_lightness", "glasses_redness", "head_turn", "skin_darkness"),
    ),
    "hat": ("hat_height", "hat_lightness", "hat_hue", "head_nod"),
    "earrings": ("earring_size", "earring_lightness"),
    "lipstick": ("lipstick_hue", "skin_darkness"),
    "eye_shadow": ("eye_shadow_hue", "skin_darkness"),
    "skin_darkness": ("skin_brightness", "light_strength", "fill_ratio", "ambient_light", "light_softness", "freckles"),
    "iris_colour": ("iris_brightness", "eye_opening_middle"),
    "head_turn": ("gaze_side",),
    "head_nod": ("gaze_up",),
}
"""What shows only as far as something else is there -> that."""

HAIR_LOOKS = ("hair_lightness", "hair_grey", "hair_redness", "hair_length", "hair_volume", "hair_curl", "hair_recession")


def expand_features(latents: Tensor) -> Tensor:
    """Latents (N, LATENT_DIM) -> features (N, F). Differentiable."""
    traits = _find_traits(latents)
    values, scaled = _apply_curves(_shift(latents, traits))

    def natural(names: Sequence[str]) -> Tensor:
        return values.index_select(1, _columns(tuple(names), latents.device))

    def standard(names: Sequence[str]) -> Tensor:
        return scaled.index_select(1, _columns(tuple(names), latents.device))

    person, pose = standard(PERSON), standard(POSE)
    styles, feelings, lights = _weigh_styles(natural), _weigh_feelings(natural), _expand_light(natural, standard)
    singles = natural(tuple(SINGLE_ACTIONS))
    gates = [_multiply(standard((gate,)), standard(names)) for gate, names in GATED.items()]
    parts = [
        scaled,
        *(traits, styles, feelings, lights),
        torch.cat([feelings, singles], dim=1) @ _action_matrix(latents.device),
        standard([shape.name for shape in LOCAL_SHAPES]).abs(),
        standard([name for name, *_ in ASYMMETRIES]).abs(),
        *(_multiply_pairs(part) for part in (person, pose, feelings)),
        _multiply(feelings, torch.cat([pose, traits], dim=1)),
        _multiply(pose[:, :2], lights[:, :3]),
        _multiply(styles, standard(HAIR_LOOKS)),
        _multiply(styles, standard(("hat",))),
        *gates,
    ]
    return torch.cat(parts, dim=1)


def name_values(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Latents (N, LATENT_DIM) -> values in their units, as ``latents.named_values`` has them, and about standardised ones; both
    (N, LATENT_DIM)."""
    return _apply_curves(_shift(latents, _find_traits(latents)))


def combine_actions(latents: Tensor) -> Tensor:
    """Latents (N, LATENT_DIM) -> strengths of ACTIONS (N, A), beyond those of a face at rest; as ``expression.combine_actions``."""
    values, _ = name_values(latents)

    def natural(names: Sequence[str]) -> Tensor:
        return values.index_select(1, _columns(tuple(names), latents.device))

    strengths: Tensor = torch.cat([_weigh_feelings(natural), natural(tuple(SINGLE_ACTIONS))], dim=1) @ _action_matrix(
        latents.device
    )
    return strengths


def _shift(latents: Tensor, traits: Tensor) -> Tensor:
    """The latents with what the traits (N, 5) add to them."""
    constant, weights = _shift_weights(latents.device)
    return latents + constant + traits @ weights


@cache
def _shift_weights(device: torch.device) -> tuple[Tensor, Tensor]:
    """The table's shifts as constants (LATENT_DIM,) and weights of the traits (5, LATENT_DIM).

    Raises TypeError where a shift is not linear in the traits.
    """

    def shift(*traits: float) -> NDArray[np.float64]:
        point = Traits(traits[0], traits[1], traits[2:])  # type: ignore[arg-type]
        return np.array([0.0 if named.shift is None else named.shift(point) for named in LATENTS])

    constant = shift(0, 0, 0, 0, 0)
    weights = np.stack([shift(*unit) for unit in np.eye(5).tolist()]) - constant
    mixed = np.array([0.3, 0.6, 0.2, 0.7, 0.1])
    for named, expected, linear in zip(LATENTS, shift(*mixed.tolist()), constant + mixed @ weights, strict=True):
        if not np.isclose(expected, linear):
            raise TypeError(f"the shift of '{named.name}' is not linear in the traits, which the surrogate's features need")
    with torch.inference_mode(False):  # they take part in gradients later
        return (
            torch.tensor(constant, dtype=torch.float32, device=device),
            torch.tensor(weights, dtype=torch.float32, device=device),
        )


def _find_traits(latents: Tensor) -> Tensor:
    """-> (N, 5): femininity, age 0..1, shares of the ancestry axes; as ``latents.find_traits``."""
    names = ("femininity", "age", "ancestry_1", "ancestry_2", "ancestry_3")
    values, _ = _apply_curves(latents, tuple(INDEX[name] for name in names))
    curve = LATENTS[INDEX["age"]].curve
    age = (values[:, 1:2] - curve.low) / (curve.high - curve.low)
    return torch.cat([values[:, :1], age, torch.softmax(ANCESTRY_SHARPNESS * values[:, 2:], dim=1)], dim=1)


def _apply_curves(latents: Tensor, chosen: tuple[int, ...] = tuple(range(LATENT_DIM))) -> tuple[Tensor, Tensor]:
    """Shifted latents (N, LATENT_DIM) -> values of the chosen ones in their units, and about standardised ones; (N, chosen)."""
    curves, order = _curves(latents.device, chosen)
    parts = [curve(latents.index_select(1, columns)) for columns, curve in curves]
    values, scaled = (torch.cat(columns, dim=1).index_select(1, order) for columns in zip(*parts, strict=True))
    return values, scaled


BatchedCurve = Callable[[Tensor], tuple[Tensor, Tensor]]


@cache
def _curves(device: torch.device, chosen: tuple[int, ...]) -> tuple[list[tuple[Tensor, BatchedCurve]], Tensor]:
    """The columns of each kind of curve and all its curves at once, then the order that brings them back to the chosen latents'.

    Raises TypeError for a kind that is unknown here.
    """
    kinds: dict[type[ValueCurve], list[int]] = {}
    for index in chosen:
        kinds.setdefault(type(LATENTS[index].curve), []).append(index)
    batched = {Bounded: _batch_bounded, Even: _batch_even, Ramp: _batch_ramp, Presence: _batch_presence}
    unknown = [kind.__name__ for kind in kinds if kind not in batched]
    if unknown:
        raise TypeError(f"the surrogate's features know no curve '{unknown[0]}'")

    def parameters(columns: Sequence[int]) -> Callable[[str], Tensor]:
        return lambda name: torch.tensor([getattr(LATENTS[index].curve, name) for index in columns], device=device)

    place = {index: number for number, index in enumerate(index for columns in kinds.values() for index in columns)}
    with torch.inference_mode(False):  # they take part in gradients later
        curves = [(torch.tensor(columns, device=device), batched[kind](parameters(columns))) for kind, columns in kinds.items()]
        return curves, torch.tensor([place[index] for index in chosen], device=device)


def _batch_bounded(parameter: Callable[[str], Tensor]) -> BatchedCurve:
    mean, sd, low, high = (parameter(name) for name in ("mean", "sd", "low", "high"))
    margin = SOFT_SHARE * (high - low)

    def curve(latents: Tensor) -> tuple[Tensor, Tensor]:
        straight = mean + sd * latents
        over, under = (straight - high + margin).relu(), (low + margin - straight).relu()
        bent = straight - over + margin * (1 - torch.exp(-over / margin)) + under - margin * (1 - torch.exp(-under / margin))
        return bent, (bent - mean) / sd

    return curve


def _batch_even(parameter: Callable[[str], Tensor]) -> BatchedCurve:
    low, high, sharpness, power = (parameter(name) for name in ("low", "high", "sharpness", "power"))

    def curve(latents: Tensor) -> tuple[Tensor, Tensor]:
        share = torch.special.ndtr(sharpness * latents) ** power
        return low + (high - low) * share, 3.5 * share - 1.75

    return curve


def _batch_ramp(parameter: Callable[[str], Tensor]) -> BatchedCurve:
    start, width, high = (parameter(name) for name in ("start", "width", "high"))

    def curve(latents: Tensor) -> tuple[Tensor, Tensor]:
        share = torch.tanh((latents - start).relu() / (width * high))
        return high * share, 2 * share

    return curve


def _batch_presence(parameter: Callable[[str], Tensor]) -> BatchedCurve:
    start, width = (parameter(name) for name in ("start", "width"))

    def curve(latents: Tensor) -> tuple[Tensor, Tensor]:
        share = ((latents - start) / width).clamp(0, 1)
        there = share * share * (3 - 2 * share)
        return there, 2 * there

    return curve


@cache
def _columns(names: tuple[str, ...], device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # they take part in gradients later
        return torch.tensor([INDEX[name] for name in names], device=device)


def _weigh_styles(natural: Values) -> Tensor:
    """-> (N, 11): weights of the hair styles and of none, as ``people.weigh_styles``."""
    scores = natural([f"hair_{style}" for style in (*HAIR_STYLES, "bald")])
    near = (1 - (scores.amax(dim=1, keepdim=True) - scores) / STYLE_MARGIN).relu() ** STYLE_POWER
    return near / near.sum(dim=1, keepdim=True)


def _weigh_feelings(natural: Values) -> Tensor:
    """-> (N, 6), as ``expression.weigh_feelings``."""
    values = natural(tuple(FEELING_ACTIONS))
    return values / (values.sum(dim=1, keepdim=True) / TOTAL_FEELING).clamp_min(1.0)


_MIXES = (*FEELING_ACTIONS.values(), *SINGLE_ACTIONS.values())
ACTIONS = tuple(sorted({action for mix in _MIXES for action in mix}))
"""The facial actions that feelings and single actions move, both sides together; the columns of ``combine_actions``."""


@cache
def _action_matrix(device: torch.device) -> Tensor:
    """(feelings and single actions, ACTIONS): how much of each facial action is in each."""
    with torch.inference_mode(False):  # it takes part in gradients later
        return torch.tensor([[mix.get(action, 0.0) for action in ACTIONS] for mix in _MIXES], device=device)


def _expand_light(natural: Values, standard: Values) -> Tensor:
    """-> (N, 15): where the main light stands, and what makes a side of the face dark."""
    angle = natural(("light_side",)) * (math.pi / 180)
    side, front, others = angle.sin(), angle.cos(), standard(LIGHT)
    return torch.cat([2 * side, 2 * front, 2 * angle.abs(), side * others, side.abs() * others], dim=1)


def _multiply(first: Tensor, second: Tensor) -> Tensor:
    """All products: (N, A), (N, B) -> (N, A B)."""
    return (first[:, :, None] * second[:, None, :]).flatten(1)


def _multiply_pairs(part: Tensor) -> Tensor:
    """All squares and products of two: (N, A) -> (N, A (A + 1) / 2)."""
    rows, columns = torch.triu_indices(part.shape[1], part.shape[1], device=part.device)
    return part[:, rows] * part[:, columns]
