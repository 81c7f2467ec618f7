"""Grow ``assets/head/hair.npz``: ten hair styles and the beard, strand by strand on the rest head.

A strand starts along the skin's normal and the style's combing direction, bends under gravity and stays off the skin. Locks pull
neighbours together towards their tips. Everything is drawn from fixed seeds. ``core.models.builtin.head.grown_hair`` unpacks it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial import KDTree

from core.models.builtin.head.geometry import Geometry
from core.models.builtin.head.grown_hair import BEARD_POINTS, EDGE_STRAY, STRAND_POINTS, measure_azimuth
from core.models.builtin.head.kernels_geometry import compute_normals
from core.models.builtin.head.stored_arrays import write_head_arrays
from core.models.training.head_source import SOURCE_FACTS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

POINT_UNIT = 0.0025
"""Decimetres of one unit of a stored point; points are stored relative to the root."""

EDGE_UNIT = 0.001

HAIR_LINE = (
    *((0, 7.92), (12, 7.915), (24, 7.89), (36, 7.83), (48, 7.70), (58, 7.52), (66, 7.30), (74, 7.06), (80, 6.98), (86, 7.10)),
    *((94, 7.36), (104, 7.2), (120, 6.9), (150, 6.72), (180, 6.65)),
)
"""Azimuth of the hair line in degrees -> its height on the rest head: forehead, temple, sideburn, behind the ear, nape."""

BEARD_LINE = ((0, 6.78), (0.2, 6.76), (0.30, 6.71), (0.42, 6.70), (0.53, 6.77), (0.60, 6.94), (0.65, 7.2), (0.9, 7.25))
"""Distance from the middle of the face -> height where a full beard ends: below the nose, across the cheek, up to the sideburn."""

CROWN = np.array([0.0, 8.3, -0.25])
"""Where hair parts by itself."""

UP, DOWN, FORWARD = np.array([0.0, 1.0, 0.0]), np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class HairStyle:
    """How one style grows. Lengths in decimetres; 'top' is 1 on the upper head and 0 on its sides.

    length: base, more on top, spread among strands; away, forward, back, sideways, down, noise: weights of the directions away
    from the crown, to the front (top only), up and back, to the side of the parting, down (sides only) and of a slow noise; lift:
    share of the normal at the root; clearance: how far the mass stands off the skin, base and more on top; part: x of the parting,
    None without; lock: how far locks draw together; soft_edge: length at the hair line; fade: how much shorter and flatter the
    sides are; off_face: long hair that falls beside the face; points: control points stored.
    """

    count: int
    points: int
    length: tuple[float, float, float]
    away: float = 0.0
    forward: float = 0.0
    back: float = 0.0
    sideways: float = 0.0
    down: float = 0.0
    noise: float = 0.0
    lift: float = 0.35
    gravity: float = 0.5
    clearance: tuple[float, float] = (0.05, 0.09)
    part: float | None = None
    lock: float = 0.42
    soft_edge: float = 0.3
    fade: float = 0.0
    off_face: bool = False
    knot: tuple[float, float, float] | None = None
    frizz: float = 0.0


LONG = HairStyle(
    14000,
    10,
    (2.5, 0.8, 0.22),
    sideways=0.9,
    back=0.35,
    down=0.5,
    lift=0.3,
    gravity=2.0,
    clearance=(0.07, 0.09),
    part=0,
    off_face=True,
)

STYLES: dict[str, HairStyle] = {
    "buzz": HairStyle(12000, 3, (0.05, 0, 0.3), away=1, forward=0.3, lift=0.8, gravity=0, clearance=(0.03, 0), lock=0),
    "crop": HairStyle(12000, 6, (0.15, 0.26, 0.5), away=0.6, forward=0.35, down=1, noise=0.4, lift=0.5, gravity=0.25, fade=0.5),
    "fringe": HairStyle(
        12000,
        7,
        (0.42, 0.26, 0.35),
        away=0.8,
        forward=0.7,
        down=1.2,
        noise=0.1,
        clearance=(0.05, 0.12),
        gravity=0.6,
        lock=0.3,
        fade=0.3,
    ),
    "sidepart": HairStyle(
        12000,
        7,
        (0.16, 0.38, 0.4),
        sideways=1,
        back=0.45,
        down=1.2,
        noise=0.15,
        lift=0.4,
        gravity=0.35,
        clearance=(0.04, 0.12),
        fade=0.6,
        part=-0.28,
    ),
    "back": HairStyle(
        12000, 7, (0.26, 0.8, 0.3), back=1, down=0.7, noise=0.15, lift=0.5, gravity=0.35, clearance=(0.04, 0.14), fade=0.6
    ),
    "long": LONG,
    "longside": replace(LONG, part=-0.26),
    "bob": HairStyle(
        13000,
        9,
        (1.2, 0.8, 0.15),
        sideways=0.9,
        back=0.2,
        down=0.5,
        lift=0.33,
        gravity=1.6,
        clearance=(0.09, 0.09),
        part=-0.2,
        off_face=True,
    ),
    "bun": HairStyle(12000, 8, (0, 0, 0), lift=0.05, gravity=0, clearance=(0.035, 0.02), knot=(0, 7.75, -0.85)),
    "afro": HairStyle(14000, 12, (0.38, 0.1, 0.3), away=0.5, lift=0.6, gravity=0.05, lock=0, frizz=0.7),
}

BEARD = HairStyle(
    13000, 4, (0.08, 0, 1.2), down=1, forward=0.2, sideways=0.3, noise=0.25, lift=0.36, gravity=0.5, clearance=(0.03, 0), lock=0.15
)


def rise(low: float, high: float, values: Any) -> Floats:
    """0 at ``low``, 1 at ``high``, smooth between; falls where high < low."""
    u = np.clip((np.asarray(values, float) - low) / (high - low), 0, 1)
    return np.asarray(u * u * (3 - 2 * u))


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9))


class SmoothNoise:
    """A random function of space with unit variance: a sum of plane waves of about ``frequency`` radians a decimetre."""

    def __init__(self, seed: int, frequency: float, waves: int = 24) -> None:
        random = np.random.RandomState(seed)
        self._waves = _unit(random.randn(waves, 3)) * frequency * (0.6 + 0.8 * random.rand(waves, 1))
        self._phases = random.rand(waves) * 2 * np.pi

    def __call__(self, places: Floats) -> Floats:
        """Values (n,) at places (n, 3)."""
        return np.asarray(np.cos(places @ self._waves.T + self._phases).sum(1) * np.sqrt(2 / len(self._phases)))


class RestHead:
    """The fine skin at rest as strands see it: normals, hair line, zones of the beard, and the nearest vertex to a place."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.places = geometry.rest.astype(float)
        self.normals = compute_normals(geometry.rest, geometry.quads).astype(float)
        self.triangles = np.stack([geometry.quads[:, [0, 1, 2]], geometry.quads[:, [0, 2, 3]]], 1).reshape(-1, 3)
        self.edge = measure_edge(self.places)
        bare = geometry.masks["ears"] < 0.3
        self.scalp = rise(-0.05, 0.06, self.edge) * bare
        self.beard_zones = self._find_beard_zones()
        self._near = np.flatnonzero(self.places[:, 1] > 5.0)
        self._tree = KDTree(self.places[self._near])

    def find_nearest(self, places: Floats) -> Integers:
        """The fine vertices nearest to places (n, 3)."""
        return np.asarray(self._near[self._tree.query(places)[1]])

    def _find_beard_zones(self) -> Floats:
        """Moustache, chin and cheeks (V, 3): how far each vertex belongs to them, 0 to 1; a full beard is their sum."""
        x, y, z = np.abs(self.places[:, 0]), self.places[:, 1], self.places[:, 2]
        masks = self.geometry.masks
        skin = (1 - rise(0.2, 0.5, masks["lips"])) * (1 - rise(0.2, 0.5, masks["inside_mouth"])) * (masks["ears"] < 0.3)
        line, across = PchipInterpolator(*np.array(BEARD_LINE).T), np.clip(x, 0, BEARD_LINE[-1][0])
        above = y - line(across) + 0.03 * SmoothNoise(79, 14.0)(self.places)
        above /= np.hypot(1, line.derivative()(across))  # the distance from a steep line
        full = (
            rise(0.05, -0.06, above)
            * (1 - 0.7 * rise(7.0, 7.3, y))
            * rise(0.36, 0.46, z)
            * rise(5.95, 6.2, y)
            * (1 - rise(6.80, 6.85, y) * rise(0.3, 0.2, x))
        )
        moustache = rise(6.845, 6.77, y) * rise(0.34, 0.24, x) * rise(6.60, 6.68, y) * (z > 1.2)
        middle = rise(0.44, 0.28, x) * rise(6.74, 6.60, y)
        chin, cheeks = full * middle, full * (1 - middle) * (1 - moustache)
        return np.stack([np.clip(zone * skin, 0, 1) for zone in (moustache, chin, cheeks)], 1)


def measure_edge(places: Floats) -> Floats:
    """Height of places (n, 3) above the hair line, decimetres; the line wavers a little."""
    line = PchipInterpolator(*np.array(HAIR_LINE).T)(measure_azimuth(places))
    return np.asarray(places[:, 1] - line + 0.02 * SmoothNoise(77, 9.0)(places))


@dataclass(frozen=True, eq=False)
class Roots:
    """Roots along a space-filling curve: triangle numbers (n,), weights of its second and third corner in 255ths (n, 2), places."""

    triangles: Integers
    corners: NDArray[np.uint8]
    places: Floats
    normals: Floats


def place_roots(head: RestHead, density: Floats, count: int, random: np.random.RandomState) -> Roots:
    """Roots spread evenly by the density of the vertices (V,): one in each of ``count`` equal pieces of the curve over the skin."""
    corners = head.places[head.triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    share = area * density[head.triangles].mean(1)
    order = np.argsort(_interleave_bits(corners.mean(1)), kind="stable")
    reached = np.cumsum(share[order]) / share.sum()
    pieces = (np.arange(count) + random.rand(count)) / count
    chosen = order[np.minimum(np.searchsorted(reached, pieces), len(order) - 1)]
    # the additive sequence of Roberts (2018) fills a triangle more evenly than chance
    u = (np.arange(count)[:, None] * np.array([0.7548776662466927, 0.5698402909980532]) + random.rand(2)) % 1
    u = np.where(u.sum(1, keepdims=True) > 1, 1 - u, u)
    stored = np.floor(u * 255).astype(np.uint8)
    weights = np.concatenate([1 - stored.sum(1, keepdims=True) / 255.0, stored / 255.0], 1)[..., None]
    used = head.triangles[chosen]
    order = np.argsort(_interleave_bits((head.places[used] * weights).sum(1)), kind="stable")
    used, weights = used[order], weights[order]
    return Roots(chosen[order], stored[order], (head.places[used] * weights).sum(1), _unit((head.normals[used] * weights).sum(1)))


def _interleave_bits(places: Floats) -> Integers:
    """Morton numbers (n,) of places (n, 3) in cells of 0.02 decimetres: near numbers lie near in space."""
    cells = ((places - places.min(0)) / 0.02).astype(np.int64)
    numbers = np.zeros(len(places), np.int64)
    for bit in range(10):
        for axis in range(3):
            numbers |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return numbers


@dataclass(frozen=True, eq=False)
class Strands:
    """Grown strands: points (n, P, 3), their roots, phase of the lock (n,) in radians, thickness (n,) 0.3 to 1."""

    points: Floats
    roots: Roots
    phase: Floats
    thickness: Floats


def grow_strands(head: RestHead, style: HairStyle, seed: int = 0) -> Strands:
    """Grow one style of scalp hair on the rest head."""
    random = np.random.RandomState(seed)
    parting, near_edge = _measure_parting(style, head.places), np.exp(-np.clip(head.edge, 0, None) / 0.10)
    roots = place_roots(head, head.scalp * (1 + 3.0 * np.exp(-((parting / 0.07) ** 2)) + 0.8 * near_edge), style.count, random)
    edge = measure_edge(roots.places) + EDGE_STRAY * (random.rand(style.count) - 0.5)
    parting = _measure_parting(style, roots.places)
    count, top, one = len(edge), rise(7.55, 8.1, roots.places[:, 1]), random.rand(style.count)
    at_part = np.exp(-((parting / 0.07) ** 2))
    # close to the parting a hair may fall to either side
    side = np.where(random.rand(count) < 1 / (1 + np.exp(-np.clip(parting / 0.022, -30, 30))), 1.0, -1.0)

    length, combed = _choose_length(style, roots, top, one), _choose_combing(style, roots, top, 1 - top, side, seed)
    start = rise(0.0, 0.16, edge) if not (style.off_face or style.knot or style.back) else 0.55 + 0.45 * rise(0, 0.10, edge)
    length = length * (style.soft_edge + (1 - style.soft_edge) * start) * (1 - 0.25 * near_baby(edge) * random.rand(count))
    length = length * (1 - style.fade * (1 - top) * (1 - rise(0, 0.5, edge)))
    if style.frizz:
        combed = _unit(combed + roots.normals + style.frizz * random.randn(count, 3))
    clearance = (style.clearance[0] + style.clearance[1] * top) * (0.25 + 0.75 * rise(0, 0.25, edge)) * (0.35 + 0.65 * np.sqrt(one))
    clearance = clearance * (0.4 + 0.6 * rise(0, 0.5, np.abs(parting)))
    lift = np.clip(style.lift * (1 - style.fade * (1 - top)) + 0.15 * at_part + 0.05 * random.randn(count), 0, 0.95)[:, None]
    direction = _unit(roots.normals * lift + combed * (1 - lift))
    points = _walk(head, style, roots, direction, combed, length, clearance, side, random)
    points, phase = _pull_into_locks(head, points, roots, style, side, random)
    if style.frizz:
        points += _coil(length, random)
    points += 0.012 * random.randn(count, 1, 3) * np.linspace(0, 1, STRAND_POINTS)[None, :, None]
    thickness = (1 - 0.4 * at_part) * (0.45 + 0.55 * rise(0, 0.18, edge)) * (0.75 + 0.25 * random.rand(count))
    return Strands(points, roots, phase, np.clip(thickness, 0.3, 1))


def near_baby(edge: Floats) -> Floats:
    """1 at the hair line, 0 from 0.15 decimetres above it on."""
    return 1 - rise(0, 0.15, edge)


def grow_beard(head: RestHead, seed: int = 1) -> Strands:
    """Grow the beard at its fullest; which roots belong to which zone the skin's fields say."""
    random = np.random.RandomState(seed)
    roots = place_roots(head, np.clip(head.beard_zones.sum(1), 0, 1), BEARD.count, random)
    one, count = random.rand(BEARD.count), BEARD.count
    side = np.tanh(roots.places[:, 0] / 0.15)
    combed = _choose_combing(BEARD, roots, np.ones(count), np.ones(count), side, seed)
    zone = head.beard_zones.max(1)[head.find_nearest(roots.places)]
    length = (BEARD.length[0] + 0.12 * one) * (0.4 + 0.6 * zone)
    lift = np.full((count, 1), BEARD.lift)
    direction = _unit(roots.normals * lift + combed * (1 - lift))
    points = _walk(
        head, BEARD, roots, direction, combed, length, BEARD.clearance[0] * (0.35 + 0.65 * one), side, random, BEARD_POINTS
    )
    points, phase = _pull_into_locks(head, points, roots, BEARD, side, random)
    points += 0.012 * random.randn(count, 1, 3) * np.linspace(0, 1, BEARD_POINTS)[None, :, None]
    return Strands(points, roots, phase, np.ones(count))


def _measure_parting(style: HairStyle, places: Floats) -> Floats:
    """Signed distance (n,) from the parting, which wavers; 9 dm where there is none: behind the crown and on the sides."""
    if style.part is None:
        return np.full(len(places), 9.0)
    distance = places[:, 0] - style.part - 0.02 * SmoothNoise(31, 5.0)(places)
    reach = rise(-0.7, -0.45, places[:, 2]) * rise(7.6, 7.75, places[:, 1])
    return np.asarray(distance + 9 * np.sign(distance) * (1 - reach))


def _choose_length(style: HairStyle, roots: Roots, top: Floats, one: Floats) -> Floats:
    base, more, spread = style.length
    if style.knot:
        return np.asarray(1.02 * np.linalg.norm(roots.places - np.array(style.knot), axis=1))
    return np.asarray((base + more * top) * (1 - spread / 2 + spread * one))


def _choose_combing(style: HairStyle, roots: Roots, upper: Floats, lower: Floats, side: Floats, seed: int) -> Floats:
    """Unit directions (n, 3) along the skin; ``upper`` and ``lower`` (n,): how far forward and down count at each root."""
    places, normals = roots.places, roots.normals
    if style.knot:
        return _project(np.array(style.knot) - places, normals)
    sideways = np.stack([side, 0 * side, 0 * side], 1)
    slow = np.stack([SmoothNoise(seed + 11, 2.0)(places), 0 * side, SmoothNoise(seed + 12, 2.0)(places)], 1)
    wanted = (
        style.away * _project(places - CROWN, normals)
        + style.forward * FORWARD * upper[:, None]
        - style.back * (FORWARD - 0.6 * UP * rise(0.5, 1.1, places[:, 2:]))
    )
    wanted = wanted + style.sideways * sideways + style.down * DOWN * lower[:, None] + style.noise * slow
    return _project(wanted, normals)


def _project(vectors: Floats, normals: Floats) -> Floats:
    """The part along the skin, as unit vectors."""
    return _unit(vectors - normals * (vectors * normals).sum(1, keepdims=True))


def _walk(
    head: RestHead,
    style: HairStyle,
    roots: Roots,
    direction: Floats,
    combed: Floats,
    length: Floats,
    clearance: Floats,
    side: Floats,
    random: np.random.RandomState,
    points: int = STRAND_POINTS,
) -> Floats:
    """Points (n, P, 3) of strands that start in ``direction``, turn to the combing and to gravity, and stay off the skin."""
    place, step = roots.places.copy(), (length / (points - 1))[:, None]
    path = [place]
    for number in range(1, points):
        along = number / (points - 1)
        if style.knot:
            direction = _unit(0.5 * direction + 0.5 * _unit(np.array(style.knot) - place))
        elif style.frizz:
            direction = _unit(direction + 0.12 * random.randn(*direction.shape))
        else:
            flat = _project(combed, head.normals[head.find_nearest(place)])
            pull = DOWN * style.gravity * 0.16 * (1 + 0.6 * along)
            direction = _unit(0.62 * direction + 0.28 * (1 - (0.9 if style.off_face else 0.6) * along) * flat + pull)
        place = place + direction * step
        if not style.frizz:
            nearest = head.find_nearest(place)
            height = ((place - head.places[nearest]) * head.normals[nearest]).sum(1)
            missing = np.maximum(clearance * min(1, 4 * along) - height, 0) * (np.abs(height) < 0.8)
            place = place + head.normals[nearest] * missing[:, None]
        if style.off_face:
            place = _keep_off_face(place, side)
        path.append(place)
    made = np.stack(path, 1)
    for _ in range(0 if style.frizz else 3):  # pushed off the skin, step by step, a strand zigzags
        made[:, 1:-1] = 0.5 * made[:, 1:-1] + 0.25 * (made[:, :-2] + made[:, 2:])
    return made


def _keep_off_face(places: Floats, side: Floats) -> Floats:
    """Long hair beside the face: places in front of it go most of the way to its outline."""
    x, y, z = places.T
    outline = np.interp(y, [6.0, 6.9, 7.5, 7.95], [0.72, 0.76, 0.73, 0.34]) * rise(0.45, 0.8, z)
    inside = (z > 0.55) & (y < 7.95) & (np.abs(x) < outline)
    return np.stack([np.where(inside, side * (0.35 * np.abs(x) + 0.65 * outline), x), y, z], 1)


def _pull_into_locks(
    head: RestHead, points: Floats, roots: Roots, style: HairStyle, side: Floats, random: np.random.RandomState
) -> tuple[Floats, Floats]:
    """Strands drawn towards the middle strand of their lock, in two sizes of locks; one strand in 40 stays half on its own.

    A lock falls to one side of the parting. What the mean of strands brought into the head comes out again.
    """
    count, features = len(points), np.column_stack([roots.places, side])
    along = np.linspace(0, 1, points.shape[1])[None, :, None] ** 1.5
    phase = np.zeros(count)
    loose = np.where(random.rand(count) < 0.025, 0.4, 1.0) * (0.6 + 0.5 * random.rand(count))
    for size, share in ((60, 0.55), (14, 0.45)):
        middles = random.choice(count, max(20, count // size), replace=False)
        lock = KDTree(features[middles]).query(features)[1]
        pull = (style.lock * share * loose)[:, None, None] * along
        shift = 0.35 * (roots.places[middles][lock] - roots.places)[:, None]
        points = points * (1 - pull) + (points[middles][lock] - shift) * pull
        phase = 2 * np.pi * random.rand(len(middles))[lock] if size == 60 else phase
    flat = points[:, 1:].reshape(-1, 3)
    nearest = head.find_nearest(flat)
    height = ((flat - head.places[nearest]) * head.normals[nearest]).sum(1)
    outward = np.where(np.abs(height) < 0.5, np.maximum(0.01 - height, 0), 0)[:, None] * head.normals[nearest]
    points = np.concatenate([points[:, :1], (flat + outward).reshape(count, -1, 3)], 1)
    return points, phase


def _coil(length: Floats, random: np.random.RandomState) -> Floats:
    """Offsets (n, P, 3) of tight coils."""
    phase = random.rand(len(length), 1) * 2 * np.pi
    along = np.linspace(0, 1, STRAND_POINTS)[None] * length[:, None]
    radius = 0.035 * np.minimum(1, 3 * along)
    return np.stack(
        [radius * np.cos(28 * along + phase), 0.5 * radius * np.sin(25 * along + phase + 1), radius * np.sin(28 * along + phase)],
        -1,
    )


def build_hair(geometry: Geometry, folder: Path | None = None) -> int:
    """Write ``hair.npz`` and its card; returns the number of bytes."""
    head = RestHead(geometry)
    grown = {name: _drop_hidden(name, grow_strands(head, style)) for name, style in STYLES.items()}
    grown["beard"] = grow_beard(head)
    arrays: dict[str, NDArray[Any]] = {
        "edge": np.rint(np.where(geometry.masks["ears"] < 0.3, head.edge, -1) / EDGE_UNIT).astype(np.int16),
        "edge_unit": np.array(EDGE_UNIT, np.float32),
        "beard_zones": np.rint(head.beard_zones * 255).astype(np.uint8),
        "point_unit": np.array(POINT_UNIT, np.float32),
    }
    for name, strands in grown.items():
        packed = pack_strands(strands, (STYLES | {"beard": BEARD})[name].points)
        arrays |= {f"{name}_{part}": values for part, values in packed.items()}
    facts = {**SOURCE_FACTS, "figures": {name: len(strands.points) for name, strands in grown.items()}}
    return write_head_arrays("hair", arrays, facts, folder)


def _drop_hidden(name: str, strands: Strands) -> Strands:
    """Without the roots that no camera in front sees: at the back of the head, every second one of long hair, all of others."""
    hidden = (measure_azimuth(strands.roots.places) > 125) & (strands.roots.places[:, 1] < 8.25)
    if STYLES[name].off_face:
        hidden &= np.arange(len(hidden)) % 2 == 1
    roots = strands.roots
    kept = Roots(roots.triangles[~hidden], roots.corners[~hidden], roots.places[~hidden], roots.normals[~hidden])
    return Strands(strands.points[~hidden], kept, strands.phase[~hidden], strands.thickness[~hidden])


def pack_strands(strands: Strands, points: int) -> dict[str, NDArray[Any]]:
    """The strands as small whole numbers: bends along the strand, as differences to the neighbour on the curve."""
    count, whole = strands.points.shape[:2]
    places = np.linspace(0, whole - 1, points)
    first = np.minimum(places.astype(int), whole - 2)
    share = (places - first)[None, :, None]
    control = strands.points[:, first] * (1 - share) + strands.points[:, first + 1] * share
    units = np.rint((control[:, 1:] - control[:, :1]) / POINT_UNIT).astype(np.int32)
    bends = np.diff(units, n=2, axis=1, prepend=np.zeros((count, 2, 3), np.int32))
    return {
        "bends": np.diff(bends.transpose(1, 2, 0), axis=2, prepend=0).astype(np.int16),
        "root": strands.roots.triangles.astype(np.uint16),
        "corners": np.ascontiguousarray(strands.roots.corners.T),
        "phase": (strands.phase / (2 * np.pi) * 256).astype(np.uint8),
        "thickness": np.rint(strands.thickness * 255).astype(np.uint8),
    }
