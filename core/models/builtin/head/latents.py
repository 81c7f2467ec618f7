"""The named latents of the head: one table of what each of them is, its unit, its range, and what it does.

A latent is a standard normal number; its curve (``value_curves``) turns it into a value in its unit. What depends on who a person
is otherwise (grey hair on age, a beard on the masculine end, skin on ancestry) is a shift of the latent before its curve, a
continuous function of a few ``Traits``: nothing is a class, and every value has an exact inverse.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.builtin.head.description import HAIR_STYLES
from core.models.builtin.head.face_shapes import ASYMMETRIES, HEAD_SHAPES, HEAD_SIZES, LOCAL_SHAPES
from core.models.builtin.head.value_curves import Bounded, Even, Presence, Ramp, ValueCurve

Latent = NDArray[np.float32]

BLOCKS = ("identity", "expression", "scene", "accessories")
FEELINGS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger")
ANCESTRY_SHARPNESS = 2.6
"""Factor of the three unnamed ancestry latents before their softmax: most people lie near one corner, many between two."""

MAX_SIGMA = 50.0
"""A latent further out than this is refused: it is an error, no face."""


@dataclass(frozen=True)
class Traits:
    """What other values depend on: femininity 0..1, age 0 (18 years)..1 (80 years), shares of the three ancestry axes."""

    femininity: float
    age: float
    ancestry: tuple[float, float, float]

    @property
    def masculinity(self) -> float:
        return 1 - self.femininity


Shift = Callable[[Traits], float]
"""Linear in the traits (``surrogate_features`` relies on it)."""


@dataclass(frozen=True)
class NamedLatent:
    """One latent: its block, its name, the unit and curve of its value, what it does, and what shifts it."""

    block: str
    name: str
    unit: str
    curve: ValueCurve
    meaning: str
    shift: Shift | None = None

    def value(self, latent: float, traits: Traits) -> float:
        """The value in its unit."""
        return self.curve.value(latent + (self.shift(traits) if self.shift is not None else 0.0))


def _identity() -> list[NamedLatent]:
    rows: list[tuple[str, str, ValueCurve, str, Shift | None]] = [
        ("femininity", "share", Even(0, 1, sharpness=2.6), "0 masculine .. 1 feminine", None),
        ("age", "years", Even(18, 80, power=1.4), "age in years", None),
        ("muscle", "share", Even(0.30, 0.75), "how muscular", None),
        ("weight", "share", Even(0.20, 0.64), "how heavy", None),
        ("proportions", "share", Even(0.15, 0.65), "regular .. unusual proportions", None),
        *[
            (f"ancestry_{number}", "sd", Bounded(0, 1, -6, 6), "one of three unnamed axes of shape and skin", None)
            for number in (1, 2, 3)
        ],
        *[(local.name, "share", Even(-local.reach, local.reach, sharpness=1.1), local.meaning, None) for local in LOCAL_SHAPES],
        *[(name, "share", Even(-reach, reach), meaning, None) for name, _, reach, meaning in HEAD_SIZES],
        *[(name, "share", Ramp(0, 1 / 0.17, 0.48), f"shape of the whole head: {words}", None) for name, words in HEAD_SHAPES],
        *[
            (name, "share", Bounded(0, sd, -3 * sd, 3 * sd), f"left and right differ: {words}", None)
            for name, words, _, sd in ASYMMETRIES
        ],
        *_SKIN,
        *_HAIR,
        *_BEARD,
        *_BROWS_EYES_LIPS,
    ]
    return [NamedLatent("identity", *row) for row in rows]


_SKIN: list[tuple[str, str, ValueCurve, str, Shift | None]] = [
    (
        "skin_darkness",
        "share",
        Bounded(0.0, 0.17, 0.0, 1.0),
        "0 very light .. 1 very dark",
        lambda traits: (0.84 * traits.ancestry[0] + 0.32 * traits.ancestry[1] + 0.10 * traits.ancestry[2]) / 0.17,
    ),
    ("skin_redness", "share", Bounded(0.58, 0.48, -0.3, 1.5), "pale .. rosy cheeks, nose and ears", None),
    ("freckles", "share", Ramp(0.7, 0.9, 1.5), "freckles of light skin", lambda traits: 3.2 * (traits.ancestry[2] - 1)),
    ("skin_oil", "share", Bounded(0.4, 0.25, 0.0, 1.0), "dull .. shiny skin", None),
    ("skin_brightness", "share", Bounded(0, 0.6, -1.6, 1.6), "darker .. lighter beside the skin's darkness", None),
    ("skin_warmth", "share", Bounded(0, 0.5, -1.4, 1.4), "pinkish .. yellowish skin", None),
    ("socket_shade", "share", Bounded(0.11, 0.10, -0.1, 0.45), "shade of the eye sockets", lambda traits: 1.2 * traits.age),
    ("under_eye_shade", "share", Bounded(0.07, 0.07, -0.05, 0.35), "shade below the eyes", lambda traits: 1.3 * traits.age),
    ("cheek_shade", "share", Bounded(0, 0.10, -0.25, 0.25), "shade of the cheeks", None),
    ("chin_shade", "share", Bounded(0, 0.08, -0.2, 0.2), "shade of the chin", None),
    ("fold_shade", "share", Ramp(0.2, 6.0, 0.5), "shade of the fold from nose to mouth", lambda traits: 1.5 * traits.age),
    *[
        (f"mole_{number}", "share", Bounded(0, 0.5, -1.5, 1.5), "a mole where it is beyond -0.6 or 0.6, in one of two places", None)
        for number in (1, 2, 3, 4)
    ],
    *[(f"skin_pattern_{number}", "sd", Bounded(0, 1, -6, 6), "where redness and tone are patchy", None) for number in (1, 2, 3)],
]

_STYLE_SHIFTS: Mapping[str, tuple[float, float, float]] = {
    "buzz": (0.1, -2.0, 0.3),
    "crop": (0.6, -0.7, 0.1),
    "fringe": (0.2, -0.6, -1.0),
    "sidepart": (0.3, 0.3, -0.9),
    "back": (0.2, 0.1, -0.3),
    "long": (-1.9, 1.0, -0.3),
    "longside": (-1.9, 1.0, -0.4),
    "bob": (-1.7, 0.9, -0.3),
    "bun": (-2.2, 0.3, 0.5),
    "afro": (-2.6, -2.4, 3.3),
}
"""Style -> how much its score gains at the masculine end, at the feminine end, and with the first ancestry axis."""


def _shift_style(style: str) -> Shift:
    masculine, feminine, ancestry = _STYLE_SHIFTS[style]
    return lambda traits: masculine * traits.masculinity + feminine * traits.femininity + ancestry * traits.ancestry[0]


_HAIR: list[tuple[str, str, ValueCurve, str, Shift | None]] = [
    *[
        (
            f"hair_{style}",
            "score",
            Bounded(0, 1, -6, 6),
            f"how much the hair is like '{style}'; the highest score shows, two near ones mix",
            _shift_style(style),
        )
        for style in HAIR_STYLES
    ],
    (
        "hair_bald",
        "score",
        Bounded(0, 1, -6, 6),
        "how bald; as the styles",
        lambda traits: -0.4 + 1.7 * traits.age - 5 * traits.femininity,
    ),
    (
        "hair_lightness",
        "share",
        Even(0, 1),
        "black .. blond",
        lambda traits: 0.2 + 0.3 * traits.femininity - 2.3 * (1 - traits.ancestry[2]),
    ),
    ("hair_redness", "share", Ramp(0.9, 0.8, 1.0), "how red", lambda traits: -2.2 * (1 - traits.ancestry[2])),
    (
        "hair_grey",
        "share",
        Even(0, 1, sharpness=1.3),
        "how grey",
        lambda traits: 6.5 * (traits.age - 0.67) - 0.7 * traits.femininity,
    ),
    ("hair_length", "share", Even(0.60, 1.10), "shorter .. longer than the style", None),
    ("hair_volume", "dm", Bounded(0, 0.035, -0.1, 0.1), "flat .. full hair", None),
    ("hair_curl", "dm", Ramp(0.1, 20, 0.1), "radius of curls", lambda traits: 1.5 * traits.ancestry[0]),
    (
        "hair_recession",
        "share",
        Ramp(0, 1.5, 1.3),
        "receding hair line",
        lambda traits: -0.5 + 2.0 * traits.age - 4 * traits.femininity,
    ),
]

_BEARD: list[tuple[str, str, ValueCurve, str, Shift | None]] = [
    (
        "beard",
        "share",
        Ramp(0.0, 0.75, 1.0),
        "beard: 0 shaven, 0.3 stubble, 1 full",
        lambda traits: 0.15 - 5 * traits.femininity + 0.3 * traits.ancestry[2] - 0.4 * traits.ancestry[1],
    ),
    ("moustache_share", "share", Bounded(0.85, 0.35, 0, 1), "how much of the beard the upper lip has", None),
    ("chin_beard_share", "share", Bounded(0.85, 0.35, 0, 1), "how much of the beard the chin has", None),
    ("cheek_beard_share", "share", Bounded(0.62, 0.45, 0, 1), "how much of the beard cheeks and jaw have", None),
    ("beard_length", "share", Even(0.1, 1.0), "short .. long beard", None),
]

_BROWS_EYES_LIPS: list[tuple[str, str, ValueCurve, str, Shift | None]] = [
    (
        "brow_thickness",
        "factor",
        Bounded(0.72, 0.25, 0.42, 1.35),
        "thin .. bushy brows",
        lambda traits: 0.9 * traits.masculinity + 0.25 * traits.age,
    ),
    ("brow_density", "share", Bounded(0.72, 0.18, 0.42, 1.0), "sparse .. dense brows", lambda traits: 0.7 * traits.masculinity),
    ("brow_height", "dm", Bounded(0.002, 0.017, -0.035, 0.045), "low .. high brows", lambda traits: 0.4 * traits.femininity),
    ("brow_arch", "dm", Bounded(0.003, 0.013, -0.022, 0.04), "flat .. arched brows", lambda traits: 0.5 * traits.femininity),
    ("brow_angle", "slope", Bounded(-0.065, 0.036, -0.2, 0.05), "outer ends low .. high", None),
    ("brow_gap", "dm", Bounded(0.028, 0.016, 0.0, 0.07), "brows near .. far apart", None),
    ("brow_hair_length", "factor", Bounded(1.0, 0.15, 0.7, 1.5), "short .. long brow hairs", None),
    ("brow_fill", "share", Bounded(0.36, 0.16, 0.1, 0.75), "how full brows look below their hairs", None),
    ("brow_lightness", "factor", Bounded(0.80, 0.30, 0.35, 1.2), "brows darker .. lighter than the hair", None),
    (
        "iris_colour",
        "share",
        Even(0, 1),
        "dark brown .. hazel .. green .. blue",
        lambda traits: 0.3 - 2.8 * (1 - traits.ancestry[2]),
    ),
    ("iris_brightness", "factor", Bounded(0.95, 0.26, 0.4, 1.6), "dark .. bright iris", None),
    ("pupil", "degrees", Bounded(8.3, 0.9, 5.5, 12.0), "angle of the pupil's rim in the eyeball", None),
    ("lash_length", "factor", Bounded(0.55, 0.11, 0.3, 1.2), "short .. long lashes", lambda traits: 3.2 * traits.femininity),
    ("lip_redness", "share", Bounded(0.0, 0.6, -1.5, 1.5), "brownish .. red lips", None),
    ("lip_darkness", "share", Bounded(0.0, 0.5, -1.3, 1.3), "light .. dark lips", None),
    ("lip_definition", "share", Bounded(0.44, 0.13, 0.15, 0.95), "faint .. clear lips", lambda traits: 1.3 * traits.femininity),
]


def _expression() -> list[NamedLatent]:
    rows: list[tuple[str, str, ValueCurve, str]] = [
        *[(feeling, "share", Ramp(1.0, 0.9, 1.1), f"strength of {feeling} in the face") for feeling in FEELINGS],
        ("brow_raise", "share", Bounded(0, 0.13, -0.4, 1.3), "brows lowered .. raised"),
        ("inner_brow_raise", "share", Ramp(0.3, 4, 1.3), "inner ends of the brows raised"),
        ("brow_furrow", "share", Ramp(0.5, 4, 1.3), "brows drawn together and down"),
        ("eye_opening", "share", Bounded(0, 0.16, -0.6, 1.2), "eyes narrowed .. opened wide"),
        ("eye_squint", "share", Ramp(0.3, 4, 1.0), "lower lids raised"),
        ("lid_droop", "share", Ramp(0.7, 5, 1.0), "upper lids lowered; 1: closed"),
        ("cheek_raise", "share", Ramp(0.3, 4, 1.2), "cheeks raised"),
        ("smile", "share", Bounded(0.04, 0.13, -0.3, 1.3), "corners of the mouth drawn up"),
        ("frown", "share", Ramp(0.5, 4, 1.3), "corners of the mouth drawn down"),
        ("lip_pucker", "share", Ramp(0.8, 5, 1.0), "lips pushed forward"),
        ("lip_press", "share", Ramp(0.4, 4, 1.0), "lips pressed together"),
        ("lip_stretch", "share", Ramp(0.8, 4.5, 1.2), "mouth stretched to the sides"),
        ("jaw_open", "share", Ramp(1.0, 5.5, 0.9), "mouth open"),
        ("chin_raise", "share", Ramp(0.5, 5, 1.0), "chin pushed up"),
        ("nose_wrinkle", "share", Ramp(1.0, 4.5, 1.2), "nose wrinkled (AU9)"),
        ("upper_lip_raise", "share", Ramp(1.0, 4.5, 1.2), "upper lip raised (AU10)"),
        ("brow_asymmetry", "share", Bounded(0, 0.11, -0.6, 0.6), "actions of the brows stronger on the person's right .. left"),
        ("eye_asymmetry", "share", Bounded(0, 0.08, -0.4, 0.4), "actions of the eyes stronger on the person's right .. left"),
        ("mouth_asymmetry", "share", Bounded(0, 0.10, -0.6, 0.6), "actions of the mouth stronger on the person's right .. left"),
        ("jaw_side", "share", Bounded(0, 0.05, -0.3, 0.3), "jaw to the person's right .. left"),
        ("gaze_side", "degrees", Bounded(0, 3.5, -25, 25), "eyes to the picture's left .. right"),
        ("gaze_up", "degrees", Bounded(0, 2.0, -18, 18), "eyes down .. up"),
    ]
    return [NamedLatent("expression", *row) for row in rows]


def _scene() -> list[NamedLatent]:
    rows: list[tuple[str, str, ValueCurve, str]] = [
        ("head_turn", "degrees", Bounded(0, 12, -35, 35), "head to the picture's left .. right"),
        ("head_nod", "degrees", Bounded(0, 8, -35, 35), "head raised .. lowered"),
        ("head_tilt", "degrees", Bounded(0, 2.6, -15, 15), "head tilted clockwise .. counter-clockwise"),
        ("light_side", "degrees", Bounded(0, 42, -90, 90), "main light from the picture's left .. right"),
        ("light_height", "degrees", Bounded(28, 11, 2, 65), "main light from the front .. above"),
        ("light_softness", "share", Even(0, 1), "hard .. soft shadows"),
        ("light_strength", "factor", Bounded(1.0, 0.11, 0.65, 1.4), "dark .. bright picture"),
        ("fill_ratio", "to 1", Even(1.1, 4.0, power=1.4), "main light to fill light"),
        ("light_warmth", "share", Bounded(0, 0.4, -1, 1), "cool .. warm light"),
        ("rim_light", "share", Even(0, 1, power=1.5), "light from behind"),
        ("ambient_light", "share", Even(0, 1), "light from everywhere"),
        ("background_brightness", "share", Even(0.05, 0.55, power=1.2), "dark .. bright background"),
        ("background_redness", "share", Bounded(0, 0.16, -0.6, 0.6), "background greener .. redder"),
        ("background_blueness", "share", Bounded(0, 0.16, -0.6, 0.6), "background yellower .. bluer"),
    ]
    for number in (1, 2, 3):
        rows += [
            (f"spot_{number}_x", "share", Even(-0.1, 1.1), "where a soft spot of the background lies, left .. right"),
            (f"spot_{number}_y", "share", Even(0.0, 1.0), "where it lies, top .. bottom"),
            (f"spot_{number}_size", "share", Even(0, 1), "small .. large"),
            (f"spot_{number}_light", "factor", Bounded(0.04, 0.16, -0.4, 0.8), "darker .. lighter than the background"),
        ]
    rows += [
        ("camera_distance", "dm", Bounded(12.5, 2, 7, 20), "distance of the camera: near ones enlarge the nose"),
        ("framing", "dm", Bounded(1.24, 0.035, 1.12, 1.40), "half the width that the picture shows"),
    ]
    return [NamedLatent("scene", *row) for row in rows]


def _accessories() -> list[NamedLatent]:
    def by_femininity(masculine: float, feminine: float) -> Shift:
        return lambda traits: masculine * traits.masculinity + feminine * traits.femininity

    rows: list[tuple[str, str, ValueCurve, str, Shift | None]] = [
        ("glasses", "share", Presence(0.25, 0.5), "absent .. there", None),
        ("glasses_width", "dm", Bounded(0.245, 0.013, 0.20, 0.29), "half the width of a lens", None),
        ("glasses_height", "dm", Bounded(0.160, 0.016, 0.11, 0.22), "half the height of a lens", None),
        ("glasses_squareness", "power", Even(2.0, 4.2), "round .. square lenses", None),
        ("glasses_thickness", "dm", Even(0.005, 0.020, power=1.2), "thin .. thick frame", None),
        ("glasses_lightness", "share", Even(0, 1, sharpness=1.3, power=3.5), "black .. metal frame", None),
        ("glasses_redness", "share", Even(0, 1, power=1.5), "neutral .. brown or red frame", None),
        ("hat", "share", Presence(1.35, 0.3), "knitted cap: absent .. there", None),
        ("hat_height", "share", Even(0.2, 0.9), "how high its hem lies", None),
        ("hat_lightness", "share", Even(0, 1, power=1.5), "dark .. light cap", None),
        ("hat_hue", "share", Even(0, 1), "its hue around the colour circle", None),
        ("earrings", "share", Presence(0.75, 0.5), "absent .. there", by_femininity(-1.0, 0.7)),
        ("earring_size", "dm", Even(0.018, 0.06, power=1.5), "radius", None),
        ("earring_lightness", "share", Even(0, 1), "gold .. silver", None),
        ("lipstick", "share", Ramp(0.3, 1.3, 0.95), "lips painted", by_femininity(-4, 0.5)),
        ("lipstick_hue", "share", Even(0, 1), "rose .. red .. plum", None),
        ("eye_shadow", "share", Ramp(0.6, 2.2, 0.7), "lids painted", by_femininity(-4, 0.4)),
        ("eye_shadow_hue", "share", Even(0, 1), "brown .. rose .. violet .. blue", None),
        ("eye_liner", "share", Ramp(0.4, 1.5, 1.0), "lines at the lids", by_femininity(-4, 0.4)),
        ("blush", "share", Ramp(0.6, 2.2, 0.7), "cheeks painted", by_femininity(-4, 0.4)),
        ("shirt_lightness", "share", Even(0, 1), "dark .. light shirt", None),
        ("shirt_hue", "share", Even(0, 1), "its hue around the colour circle", None),
        ("shirt_saturation", "share", Even(0, 0.75, power=1.3), "grey .. colourful shirt", None),
    ]
    return [NamedLatent("accessories", *row) for row in rows]


LATENTS: tuple[NamedLatent, ...] = (*_identity(), *_expression(), *_scene(), *_accessories())
"""All latents, in their order."""

LATENT_DIM = len(LATENTS)
INDEX: Mapping[str, int] = {latent.name: index for index, latent in enumerate(LATENTS)}


@cache
def block(name: str) -> slice:
    """The latents of a block. Raises LiminalError for an unknown one."""
    places = [index for index, latent in enumerate(LATENTS) if latent.block == name]
    if not places:
        raise LiminalError(f"There is no block of latents called '{name}'; the blocks are {', '.join(BLOCKS)}.")
    return slice(places[0], places[-1] + 1)


def check_latent(latent: Latent) -> Latent:
    """The latent as float32 (LATENT_DIM,). Raises LiminalError for another length, a value that is no finite number, or one
    beyond 50 standard deviations."""
    checked = np.asarray(latent, dtype=np.float32)
    if checked.shape != (LATENT_DIM,):
        raise LiminalError(f"A head has {LATENT_DIM} latents, but the shape given is {checked.shape}; give one row of that length.")
    if not np.isfinite(checked).all():
        broken = LATENTS[int(np.flatnonzero(~np.isfinite(checked))[0])].name
        raise LiminalError(f"The latent '{broken}' is no finite number; give standard normal numbers.")
    furthest = int(np.abs(checked).argmax())
    if abs(checked[furthest]) > MAX_SIGMA:
        raise LiminalError(
            f"The latent '{LATENTS[furthest].name}' lies {abs(checked[furthest]):.4g} standard deviations out, beyond "
            f"{MAX_SIGMA:g}; give standard normal numbers."
        )
    return checked


def find_traits(latent: Latent) -> Traits:
    """The traits of a checked latent."""
    femininity = LATENTS[INDEX["femininity"]].curve.value(float(latent[INDEX["femininity"]]))
    age_curve = LATENTS[INDEX["age"]].curve
    age = (age_curve.value(float(latent[INDEX["age"]])) - age_curve.low) / (age_curve.high - age_curve.low)
    start = INDEX["ancestry_1"]
    axes = [LATENTS[start + number].curve.value(float(latent[start + number])) for number in range(3)]
    weights = np.exp(ANCESTRY_SHARPNESS * (np.array(axes) - max(axes)))
    first, second, third = (float(weight) for weight in weights / weights.sum())
    return Traits(femininity, age, (first, second, third))


def named_values(latent: Latent) -> dict[str, float]:
    """Name -> value in its unit, in the order of the table. Raises LiminalError for a latent that is none."""
    checked = check_latent(latent)
    traits = find_traits(checked)
    return {named.name: named.value(float(number), traits) for named, number in zip(LATENTS, checked, strict=True)}


def find_latent(name: str) -> NamedLatent:
    """The named latent. Raises LiminalError for an unknown name, with those that are near it."""
    if name not in INDEX:
        near = difflib.get_close_matches(name.strip().lower().replace(" ", "_"), list(INDEX), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; 'python -m core models show head' lists them."
        raise LiminalError(f"There is no latent called '{name}'{hint}")
    return LATENTS[INDEX[name]]


def set_named_value(latent: Latent, name: str, value: float) -> Latent:
    """A copy of the latent in which one named value is ``value`` and no other latent has changed.

    Values that depend on the changed one (grey hair on age) follow it. Raises LiminalError for an unknown name, a value out of
    range, or a latent that is none.
    """
    named, changed = find_latent(name), check_latent(latent).copy()
    low, high = named.curve.low, named.curve.high
    if not low <= value <= high:
        raise LiminalError(
            f"'{name}' of {value:g} is out of range; it goes from {low:g} to {high:g} ({named.unit}: {named.meaning})."
        )
    traits = find_traits(changed)
    if named.value(float(changed[INDEX[name]]), traits) != value:
        changed[INDEX[name]] = named.curve.latent(value) - (named.shift(traits) if named.shift is not None else 0.0)
    return changed
