"""Camera, lights and the turn of the head."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.description import ARRAY_SHAPES, SCALAR_NAMES, HeadDescription

Floats = NDArray[np.float32]

NECK = np.array([0, 6.3, 0.25], np.float32)
"""The point that the head turns about."""
SHADOW_SIZE = 288
SHADOW_SPAN = 3.4
"""Side of the light's map in texels and in decimetres."""


def make_rotation(yaw: float, pitch: float, roll: float = 0.0) -> Floats:
    """Rotation matrix (3, 3): first roll about z, then pitch about x, then yaw about y (radians)."""
    cy, sy, cp, sp, cr, sr = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch), math.cos(roll), math.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray((about_y @ about_x @ about_z).astype(np.float32))


def point_to(azimuth: float, elevation: float) -> Floats:
    """Unit vector (3,) to a light: azimuth 0 in front, positive to the picture's right."""
    flat = math.cos(elevation)
    return np.array([math.sin(azimuth) * flat, math.sin(elevation), math.cos(azimuth) * flat], np.float32)


def _unit(vector: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(vector / (np.linalg.norm(vector) + 1e-9), float)


LIMITS = {
    "focal": (6.0, 60.0),
    "framing": (0.5, 4.0),
    "fill_ratio": (0.1, 20.0),
    "key_strength": (0.0, 5.0),
    "key_softness": (0.0, 2.0),
    "brightness": (-5.0, 5.0),
    "skin_warmth": (-5.0, 5.0),
}
"""Values beyond these would put the camera into the head or burn the picture out; they are drawn as the limit."""
LARGEST = 50.0
"""The same for all other values: none of them means anything beyond."""


def limit_description(d: HeadDescription) -> HeadDescription:
    """The description with its values brought into the limits; the same object where they are."""
    beyond: dict[str, Any] = {}
    for name in SCALAR_NAMES:
        low, high = LIMITS.get(name, (-LARGEST, LARGEST))
        value = float(getattr(d, name))
        if not low <= value <= high:
            beyond[name] = min(max(value, low), high)
    for name in ARRAY_SHAPES:
        array = getattr(d, name)
        if array.size and max(array.max(), -array.min()) > LARGEST:
            beyond[name] = np.clip(array, -LARGEST, LARGEST)
    return replace(d, **beyond) if beyond else d


@dataclass(frozen=True, eq=False)
class Camera:
    """place (3,), axes (3, 3) right, up, forward; centre (3,) is what it looks at; scale: samples of a decimetre at depth one."""

    place: Floats
    axes: Floats
    centre: Floats
    scale: np.float32
    focal: float


def place_camera(d: HeadDescription, eyes: Floats, size: int) -> Camera:
    """The camera at the height of the eyes, looking at a point a little below and behind their middle (`eyes`, already turned)."""
    centre = eyes + np.array([0, -0.14, -0.2], np.float32)
    place = centre + np.array([0, 0.12, d.focal], np.float32)
    forward = _unit(centre - place)
    right = _unit(np.cross(forward, [0, 1, 0]))
    axes = np.stack([right, np.cross(right, forward), forward]).astype(np.float32)
    return Camera(place, axes, centre, np.float32(size / d.framing * d.focal), d.focal)


@dataclass(frozen=True, eq=False)
class Lights:
    """Key, fill and rim: directions (3, 3), colours (3, 3); ambient (3,); axes (3, 3) of the key's map; softness in its texels."""

    directions: Floats
    colours: Floats
    ambient: Floats
    axes: Floats
    softness: np.float32


def place_lights(d: HeadDescription) -> Lights:
    """Key by its angles; fill from the other side; rim from behind, opposite the key. All continuous through the front."""
    side = d.key_azimuth / math.sqrt(d.key_azimuth**2 + 0.05)
    directions = np.stack(
        [
            point_to(d.key_azimuth, d.key_elevation),
            point_to(-0.8 * d.key_azimuth - 0.3 * side, 0.1),
            point_to(math.pi - 0.6 * side, 0.6),
        ]
    )
    total = 2.6 * d.key_strength
    key = total * d.fill_ratio / (1 + d.fill_ratio)
    w = 0.5 * d.light_warmth
    colours = np.stack(
        [
            np.array([1 + 0.14 * w, 1, 1 - 0.20 * w]) * key,
            np.array([1 - 0.08 * w, 1, 1 + 0.08 * w]) * (total - key) * 0.85,
            np.full(3, 0.9 * d.rim),
        ]
    )
    ambient = np.array([0.56, 0.58, 0.61]) * (0.52 + 0.36 * d.ambient)
    forward = directions[0]
    right = _unit(np.cross(forward, [0, 1, 0]))
    axes = np.stack([right, np.cross(right, forward), -forward])
    softness = np.float32(1.6 + 5 * d.key_softness)
    return Lights(directions, colours.astype(np.float32), ambient.astype(np.float32), axes.astype(np.float32), softness)
