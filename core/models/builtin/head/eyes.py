"""Eyeballs: a sphere with the cornea's bulge, turned by gaze and facial actions, and the upper lids' rims that shade them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.description import HeadDescription
from core.models.builtin.head.geometry import HeadVertices, load_geometry
from core.models.builtin.head.kernels_geometry import compute_normals, turn_points
from core.models.builtin.head.kernels_painting import EYE_COLUMNS, GAZE, LID_PLACE, LID_STEPS
from core.models.builtin.head.scene import NECK, make_rotation
from core.models.builtin.head.skin import choose_exposure

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]

IRIS_SIZE = 22.8
"""Degrees of the eyeball from the centre to the iris's rim."""
BALL = 0.968
"""Radius of the drawn eyeball in radii of the mesh's."""
RINGS, SEGMENTS = 30, 56


@dataclass(frozen=True, eq=False)
class Eyeball:
    """Unit directions (n, 3), the cornea's bulge (n, 1) and quads of one eyeball; `quads` of both eyes, the left one's first."""

    directions: Floats
    bulge: Floats
    one: Integers
    quads: Integers


@lru_cache(maxsize=1)
def load_eyeball() -> Eyeball:
    """The front of a sphere, to 105 degrees, finer where the iris is; the cornea rises by 3.5 % within 25 degrees."""
    inner = RINGS * 2 // 3
    rings = np.radians(np.concatenate([np.linspace(0, 30, inner), np.linspace(30, 105, RINGS - inner + 1)[1:]]))
    around = np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False)
    a, t = np.meshgrid(rings, around, indexing="ij")
    directions = np.stack([np.sin(a) * np.cos(t), np.sin(a) * np.sin(t), np.cos(a)], -1).reshape(-1, 3).astype(np.float32)
    i, j = np.meshgrid(np.arange(len(rings) - 1), np.arange(SEGMENTS), indexing="ij")
    k = (j + 1) % SEGMENTS
    quads = np.stack([i * SEGMENTS + j, (i + 1) * SEGMENTS + j, (i + 1) * SEGMENTS + k, i * SEGMENTS + k], -1)
    one = quads.reshape(-1, 4).astype(np.int32)
    bulge = 1 + 0.035 * np.clip(1 - (np.degrees(a).reshape(-1, 1) / 25) ** 2, 0, 1)
    return Eyeball(directions, bulge.astype(np.float32), one, np.concatenate([one, one + len(directions)]).astype(np.int32))


@dataclass(frozen=True, eq=False)
class Eyes:
    """Attributes (2 n, EYE_COLUMNS) of both eyeballs, height of the upper lids' rims (2, LID_STEPS) in radii, E_ parameters."""

    attributes: Floats
    lids: Floats
    parameters: Floats


def _measure_lid(rim: Floats, centre: Floats, radius: float) -> Floats:
    """Height of the rim over x from -1.2 to 1.2 radii, both from the eye's centre in radii."""
    x, y = (rim[:, 0] - centre[0]) / radius, (rim[:, 1] - centre[1]) / radius
    order = np.argsort(x, kind="stable")
    return np.asarray(np.interp(np.linspace(-1.2, 1.2, LID_STEPS), x[order], y[order]), np.float32)


def place_eyes(d: HeadDescription, vertices: HeadVertices, rotation: Floats) -> Eyes:
    """Both eyes, turned by gaze, by the actions that look, and against a part of the head's turn, so that they keep contact."""
    geometry, ball = load_geometry(), load_eyeball()
    count = len(ball.directions)
    attributes = np.zeros((2 * count, EYE_COLUMNS), np.float32)
    lids = np.zeros((2, LID_STEPS), np.float32)
    for side, (name, sign) in enumerate((("Left", 1.0), ("Right", -1.0))):
        centre, radius = vertices.eye_centres[side], float(vertices.eye_radii[side])
        look = {word: float(d.actions[geometry.action_number[f"eyeLook{word}{name}"]]) for word in ("Up", "Down", "In", "Out")}
        right = float(d.gaze[0]) + 0.4 * sign * (look["Out"] - look["In"]) - 0.75 * d.yaw
        up = float(d.gaze[1]) + 0.35 * (look["Up"] - look["Down"])
        turn = make_rotation(right, -up - 0.5 * d.pitch)
        relative = (ball.directions * ball.bulge) @ turn.T
        places = (relative * np.float32(radius * BALL) + centre).astype(np.float32)
        rows = slice(side * count, (side + 1) * count)
        attributes[rows, GAZE : GAZE + 3] = ball.directions
        attributes[rows, LID_PLACE : LID_PLACE + 3] = relative * BALL
        turn_points(places, rotation, NECK, True)
        attributes[rows, :3] = compute_normals(places, ball.one)
        attributes[rows, 3:6] = places
        lids[side] = _measure_lid(vertices.skin[geometry.lash_roots["ll2" if side == 0 else "rl2"]], centre, radius)
    white = float(choose_exposure(d)) ** -1.2  # exposed for dark skin, the whites would glare
    parameters = np.array([d.pupil, IRIS_SIZE, *d.iris, d.lash_length, white], np.float32)
    return Eyes(attributes, lids, parameters)
