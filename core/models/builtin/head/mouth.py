"""Teeth, gums and tongue: built once at rest, placed for a person by the mesh's teeth, the lower ones turned with the jaw."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.curves import smooth, to_linear
from core.models.builtin.head.geometry import HeadVertices, load_geometry
from core.models.builtin.head.kernels_geometry import compute_normals, turn_points
from core.models.builtin.head.kernels_painting import MOUTH_COLOUR, MOUTH_COLUMNS, MOUTH_LIGHT
from core.models.builtin.head.scene import NECK

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int32]

# Crown widths and heights in decimetres, from the midline: central and lateral incisor, canine, premolars, molar
UPPER_WIDTHS, UPPER_HEIGHTS = (0.086, 0.068, 0.077, 0.071, 0.067, 0.10), (0.106, 0.096, 0.106, 0.098, 0.092, 0.08)
LOWER_WIDTHS, LOWER_HEIGHTS = (0.054, 0.060, 0.069, 0.071, 0.071, 0.108), (0.088, 0.090, 0.100, 0.084, 0.074, 0.066)
IVORY, GUM, TONGUE = to_linear(236, 223, 198), to_linear(188, 108, 102), to_linear(176, 94, 92)
ACROSS = np.array([-1, -0.93, -0.8, -0.5, -0.18, 0.18, 0.5, 0.8, 0.93, 1.0])
DOWN = np.array([0.03, 0.16, 0.36, 0.58, 0.78, 0.92, 0.985])
"""Columns of a crown across, rows from gum to edge."""
SEAM_UPPER, SEAM_LOWER = 474, 493
"""Coarse vertices on the midline where the lips meet."""


@dataclass(frozen=True, eq=False)
class MouthPart:
    """Points (n, 3) at rest, quads, colours (n, 3), share of the light that arrives (n,)."""

    points: Doubles
    quads: Integers
    colours: Doubles
    light: Doubles


def _make_grid_quads(rows: int, columns: int) -> Integers:
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
    a = i * columns + j
    return np.stack([a, a + columns, a + columns + 1, a + 1], -1).reshape(-1, 4).astype(np.int32)


def _trace_arch(half_width: float, depth: float, s: Doubles) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Points x, z and outward normals x, z on a half ellipse at arc length s from the midline."""
    t = np.linspace(0, np.pi / 2, 400)
    x, z = half_width * np.sin(t), -depth * (1 - np.cos(t))
    length = np.r_[0, np.cumsum(np.hypot(np.diff(x), np.diff(z)))]
    angle = np.interp(np.abs(s), length, t)
    nx, nz = depth * np.sin(angle), half_width * np.cos(angle)
    size = np.hypot(nx, nz)
    return np.sign(s) * half_width * np.sin(angle), -depth * (1 - np.cos(angle)), np.sign(s) * nx / size, nz / size


def _make_teeth(upper: bool, half_width: float, depth: float, front: float, edge_height: float) -> MouthPart:
    """A strip over the arch: three rows of gum, rows of the crowns, two rows behind the edge."""
    up = 1.0 if upper else -1.0
    widths, heights = (UPPER_WIDTHS, UPPER_HEIGHTS) if upper else (LOWER_WIDTHS, LOWER_HEIGHTS)
    columns = []
    for side in (-1, 1):
        start = 0.0
        for number, (width, height) in enumerate(zip(widths, heights, strict=True)):
            columns += [(side * (start + width * (1 + u) / 2), u * side if side > 0 else u, number, height) for u in ACROSS]
            start += width
    columns.sort(key=lambda column: column[0])
    s, u, crown, tall = (np.array(values, float) for values in zip(*columns, strict=True))
    x, z, nx, nz = _trace_arch(half_width, depth, s)
    au = np.abs(u)
    canine = np.exp(-(((crown - 2) / 0.3) ** 2))
    uneven = np.random.RandomState(3).randn(13)[(np.sign(s) * (crown + 1) + 6).astype(int)]
    edge = 0.016 * au**5 + 0.010 * au**2 * canine + 0.008 * (crown == 1) * upper + 0.002 * uneven - 0.006 * canine
    edge = edge_height + up * edge
    gum = edge + up * (tall - 0.028 * au**2 - 0.016 * au**5)
    deep = 1 - 0.85 * smooth(0.20, 0.46, np.abs(s))
    gap = np.exp(-(((1 - au) / 0.055) ** 2))
    one = np.ones((len(s), 1))
    points, colours, light = [], [], []

    def add_row(y: Doubles, out: Doubles | float, colour: NDArray[np.floating], share: Doubles) -> None:
        points.append(np.stack([x + nx * out, y, front + z + nz * out], 1))
        colours.append(colour)
        light.append(share)

    add_row(gum + up * 0.11, -0.030, one * GUM * 0.6, deep * 0.4)
    add_row(gum + up * 0.045, 0.004, one * GUM * 0.9, deep * 0.75)
    add_row(gum + up * 0.008, 0.008 + 0.004 * (1 - au**2), one * GUM, deep * 0.9)
    for v in DOWN:
        bulge = 0.011 * (1 - au**4) * (1 - 0.5 * v * v) - 0.010 * gap
        shade = 1 - 0.50 * gap * (1 - 0.5 * v)
        colour = IVORY * np.array([1, 1 - 0.10 * (1 - v) ** 2, 1 - 0.22 * (1 - v) ** 2]) * (1 - 0.10 * smooth(0.8, 1, v))
        colour = colour * np.array([0.97, 0.99, 1.0 + 0.04 * v]) * shade[:, None]
        add_row(
            gum + (edge - gum) * v, bulge, colour * (1 - 0.12 * canine[:, None] * np.array([0.3, 0.5, 1])), deep * (0.82 + 0.18 * v)
        )
    add_row(edge + up * 0.002, -0.014, IVORY * 0.8 * one, deep * 0.8)
    add_row(edge + up * 0.05, -0.05, IVORY * 0.5 * one, deep * 0.45)
    quads = _make_grid_quads(len(points), len(s))
    return MouthPart(np.concatenate(points), quads if upper else quads[:, ::-1], np.concatenate(colours), np.concatenate(light))


def _make_tongue() -> MouthPart:
    rows, columns = 15, 13
    t, v = np.meshgrid(np.linspace(0, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    width = 0.205 * np.sqrt(np.clip(1 - np.clip((t - 0.55) / 0.47, 0, 1) ** 2.4, 0.02, 1))
    y = 6.535 + 0.03 * np.sin(np.pi * np.clip(t * 1.1, 0, 1)) - 0.06 * np.abs(v) ** 2.5
    y = y - 0.085 * np.clip((t - 0.62) / 0.38, 0, 1) ** 2.2 - 0.012 * np.exp(-((v / 0.12) ** 2)) * (t < 0.93)
    points = np.stack([width * v, y, 0.92 + 0.50 * t - 0.03 * v**2 * t], -1).reshape(-1, 3)
    bumps = 1 + 0.06 * np.random.RandomState(2).randn(rows * columns, 1)
    light = 0.05 + 0.80 * smooth(0.25, 1.0, t) * (1 - 0.45 * np.abs(v) ** 2)
    return MouthPart(points, _make_grid_quads(rows, columns), TONGUE * bumps, light.ravel())


@dataclass(frozen=True, eq=False)
class RestMouth:
    """Upper teeth, lower teeth and tongue; quads, colours (n, 3) and light (n,) of all three in this order."""

    parts: tuple[MouthPart, MouthPart, MouthPart]
    quads: Integers
    colours: Floats
    light: Floats


@lru_cache(maxsize=1)
def load_mouth() -> RestMouth:
    """The mouth's parts at rest, made once a process."""
    parts = (_make_teeth(True, 0.302, 0.46, 1.476, 6.588), _make_teeth(False, 0.262, 0.43, 1.446, 6.606), _make_tongue())
    starts = np.cumsum([0] + [len(part.points) for part in parts])
    quads = np.concatenate([part.quads + start for part, start in zip(parts, starts[:3], strict=True)]).astype(np.int32)
    colours = np.concatenate([part.colours for part in parts]).astype(np.float32)
    return RestMouth(parts, quads, colours, np.concatenate([part.light for part in parts]).astype(np.float32))


def place_mouth(vertices: HeadVertices, rotation: Floats) -> Floats:
    """Attributes (n, MOUTH_COLUMNS): shifted and stretched as the mesh's teeth are; lit once the lips part by 4 mm."""
    geometry, mouth = load_geometry(), load_mouth()
    places = []
    for part, name in zip(mouth.parts, ("upper", "lower", "lower"), strict=True):
        chosen = geometry.parts[name]
        stored, person = geometry.base[chosen].astype(float), vertices.base[chosen].astype(float)
        middle = person.mean(0)
        stretch = np.clip(person.std(0) / stored.std(0), 0.7, 1.3)
        stretch[1] = 0.5 + 0.5 * stretch[1]
        points = (part.points - stored.mean(0)) * stretch + middle
        if name == "lower":
            moved = vertices.coarse[chosen].astype(float)
            u, v = person - middle, moved - moved.mean(0)
            cross, dot = u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1], u[:, 1] * v[:, 1] + u[:, 2] * v[:, 2]
            angle = np.arctan2(cross.sum(), dot.sum())
            q, c, s = points - middle, np.cos(angle), np.sin(angle)
            points = np.stack([q[:, 0], c * q[:, 1] - s * q[:, 2], s * q[:, 1] + c * q[:, 2]], 1) + moved.mean(0)
        places.append(points)
    turned = np.concatenate(places).astype(np.float32)
    turn_points(turned, rotation, NECK, True)
    opening = 0.03 + 0.97 * smooth(0.012, 0.045, max(0.0, vertices.coarse[SEAM_UPPER, 1] - vertices.coarse[SEAM_LOWER, 1]))
    attributes = np.empty((len(turned), MOUTH_COLUMNS), np.float32)
    attributes[:, :3] = compute_normals(turned, mouth.quads)
    attributes[:, 3:6] = turned
    attributes[:, MOUTH_COLOUR : MOUTH_COLOUR + 3] = mouth.colours
    attributes[:, MOUTH_LIGHT] = mouth.light * np.float32(opening)
    return attributes
