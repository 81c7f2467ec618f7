"""What one picture of a head shows, in the units of the renderer: the link between latents and renderer.

Every field is continuous: no seeds, no classes, nothing that jumps where two descriptions are mixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError

Array = NDArray[np.float32]

HAIR_STYLES = ("buzz", "crop", "fringe", "sidepart", "back", "long", "longside", "bob", "bun", "afro")
"""The grown styles, in the order of ``HeadDescription.styles``."""

EXTRA_ACTIONS = ("noseWrinkle", "upperLipRaise", "browLower", "spare")
"""Facial actions that the mesh's own set lacks: AU9, AU10, the brow as disgust lowers it; one is kept free."""

ACTION_COUNT = 52
MOLE_COUNT = 8
BLOB_COUNT = 3


def _array(*values: float) -> Callable[[], Array]:
    return lambda: np.array(values, dtype=np.float32)


def _zeros(*shape: int) -> Callable[[], Array]:
    return lambda: np.zeros(shape, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class HeadDescription:
    """One picture of a head. Arrays are float32 and read-only, colours linear RGB (3,), angles radians, lengths decimetres.

    Raises LiminalError where a field has the wrong shape or a value that is not finite. The defaults are a plain face lit from
    the front, for tests.
    """

    shapes: Array
    """(S,) weights of the mesh's shapes, in the order of the geometry file."""
    actions: Array = field(default_factory=_zeros(ACTION_COUNT))
    """(52,) facial actions in the order of the geometry's names; the resting offset is in them."""
    extra_actions: Array = field(default_factory=_zeros(len(EXTRA_ACTIONS)))
    """(4,) ``EXTRA_ACTIONS``."""
    gaze: Array = field(default_factory=_zeros(2))
    """(2,) to the picture's right and up, of the eyes in the head."""
    femininity: float = 0.5
    """0..1, as the shapes have it."""
    age: float = 0.3
    """0: 18 years, 1: 80 years."""

    melanin: float = 0.2
    """0 very light .. 1 very dark."""
    redness: float = 0.5
    freckles: float = 0.0
    oil: float = 0.4
    brightness: float = 0.0
    """Of the skin's colour beside melanin, -1..1."""
    skin_warmth: float = 0.0
    """-1 pinkish .. 1 yellowish."""
    socket: float = 0.13
    """Darkening of eye sockets."""
    under_eye: float = 0.07
    cheek: float = 0.0
    chin: float = 0.0
    fold: float = 0.0
    """Shading of the fold from nose to mouth."""
    moles: Array = field(default_factory=_zeros(MOLE_COUNT))
    """(8,) radii at fixed places; 0: none there."""
    pattern: Array = field(default_factory=_zeros(3))
    """(3,) where in the noise this skin lies."""

    styles: Array = field(default_factory=_zeros(len(HAIR_STYLES)))
    """(10,) weights of ``HAIR_STYLES``, their sum at most 1; what is missing to 1 is bald."""
    hair_colour: Array = field(default_factory=_array(0.03, 0.02, 0.015))
    """Of hairs that have kept theirs; ``white_colour`` of those that have not."""
    hair_grey: float = 0.0
    """Share of white hairs, 0..1."""
    white_colour: Array = field(default_factory=_array(0.51, 0.49, 0.45))
    hair_length: float = 0.8
    """Factor of the styles' own length."""
    hair_volume: float = 0.0
    """Decimetres that the hair stands further off, -0.1..0.1."""
    hair_curl: float = 0.0
    """Radius of the curls in decimetres, 0..0.1."""
    hair_recession: float = 0.0
    """0: a full hair line; 1: clearly receded temples."""

    moustache: float = 0.0
    chin_beard: float = 0.0
    cheek_beard: float = 0.0
    """Densities 0..1."""
    beard_length: float = 0.5
    """0 stubble .. 1 full."""
    beard_colour: Array = field(default_factory=_array(0.03, 0.02, 0.015))
    beard_grey: float = 0.0
    """Share of white hairs, 0..1, as that of the brows."""

    brow_thickness: float = 0.7
    """Factor, 0.3 thin .. 1.4 bushy."""
    brow_density: float = 0.7
    """0..1."""
    brow_height: float = 0.0
    brow_arch: float = 0.0
    """Decimetres."""
    brow_angle: float = 0.0
    """Rise of the outer half per decimetre."""
    brow_gap: float = 0.0
    """Decimetres that the inner ends begin further out."""
    brow_length: float = 1.0
    """Factor of the hairs' length."""
    brow_fill: float = 0.4
    """Opacity of the painted layer below the hairs."""
    brow_colour: Array = field(default_factory=_array(0.03, 0.02, 0.015))
    brow_grey: float = 0.0

    iris: Array = field(default_factory=_array(0.05, 0.02, 0.01))
    pupil: float = 8.3
    """Degrees of the eyeball from the centre to the pupil's rim."""
    lash_length: float = 0.6
    """Factor."""
    lip_colour: Array = field(default_factory=_array(0.35, 0.12, 0.11))
    lip_strength: float = 0.5
    """Opacity of the lips' colour over the skin, make-up included."""

    eye_shadow_colour: Array = field(default_factory=_array(0.1, 0.05, 0.06))
    eye_shadow: float = 0.0
    eye_liner: float = 0.0
    blush: float = 0.0
    """Opacities 0..1."""
    glasses: float = 0.0
    """Opacity; 0: absent."""
    glasses_width: float = 0.22
    glasses_height: float = 0.15
    """Half axes of a lens."""
    glasses_squareness: float = 2.6
    """Power of the superellipse: 2 round, 4 nearly square."""
    glasses_thickness: float = 0.008
    """Half the frame's thickness."""
    glasses_colour: Array = field(default_factory=_array(0.015, 0.013, 0.012))
    hat: float = 0.0
    """Opacity of a close knitted cap; 0: absent."""
    hat_height: float = 0.5
    """Height of its hem, 0 at the brows .. 1 at the hair line; beyond, the cap slides off over the crown."""
    hat_colour: Array = field(default_factory=_array(0.1, 0.1, 0.12))
    earrings: float = 0.0
    """Opacity; 0: absent."""
    earring_size: float = 0.03
    """Radius."""
    earring_colour: Array = field(default_factory=_array(0.8, 0.6, 0.25))
    shirt_colour: Array = field(default_factory=_array(0.2, 0.22, 0.26))

    yaw: float = 0.0
    """Turn of the head to the picture's right."""
    pitch: float = 0.0
    """Nod downwards."""
    roll: float = 0.0
    """Tilt, counter-clockwise in the picture."""
    key_azimuth: float = 0.0
    """Where the key light stands: to the picture's right."""
    key_elevation: float = 0.5
    key_softness: float = 0.5
    """0 hard .. 1 very soft shadows."""
    key_strength: float = 1.0
    fill_ratio: float = 2.0
    """Key to fill, 1..4."""
    light_warmth: float = 0.0
    """-1 cool .. 1 warm."""
    rim: float = 0.3
    """0..1, light from behind."""
    ambient: float = 0.5
    """0..1."""
    background: Array = field(default_factory=_array(0.25, 0.26, 0.28))
    background_blobs: Array = field(default_factory=_zeros(BLOB_COUNT, 6))
    """(3, 6) soft spots: x and y in shares of the side, sharpness (7 wide .. 25 narrow), added RGB."""
    focal: float = 12.0
    """Distance of the camera from the head."""
    framing: float = 1.2
    """Half width of the picture: 1.14 tight .. 1.32 with hair and collar."""

    def __post_init__(self) -> None:
        for name, shape in ARRAY_SHAPES.items():
            value = np.array(getattr(self, name), dtype=np.float32)
            if value.ndim != len(shape) or any(wanted not in (0, found) for wanted, found in zip(shape, value.shape, strict=True)):
                wanted_text = " x ".join(str(length) if length else "any" for length in shape)
                raise LiminalError(
                    f"A head's '{name}' has the shape {value.shape}; it must be {wanted_text}. Give it that many values."
                )
            if not np.isfinite(value).all():
                raise LiminalError(f"A head's '{name}' has a value that is no finite number; give finite ones.")
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        for name in SCALAR_NAMES:
            number = float(getattr(self, name))
            if not math.isfinite(number):
                raise LiminalError(f"A head's '{name}' is no finite number; give a finite one.")
            object.__setattr__(self, name, number)


_COLOURS = [entry.name for entry in fields(HeadDescription) if entry.name.endswith("colour")]

ARRAY_SHAPES: Mapping[str, tuple[int, ...]] = {
    "shapes": (0,),
    "actions": (ACTION_COUNT,),
    "extra_actions": (len(EXTRA_ACTIONS),),
    "gaze": (2,),
    "moles": (MOLE_COUNT,),
    "pattern": (3,),
    "styles": (len(HAIR_STYLES),),
    "background_blobs": (BLOB_COUNT, 6),
    **dict.fromkeys([*_COLOURS, "iris", "background"], (3,)),
}
"""Fields that are arrays -> their shapes; 0: any length."""

SCALAR_NAMES = tuple(entry.name for entry in fields(HeadDescription) if entry.name not in ARRAY_SHAPES)
"""Fields that are single numbers."""
