"""What a person wears: glasses with lenses, earrings, a knitted cap. Meshes that fade in with their opacity and throw a shadow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.curves import smooth
from core.models.builtin.head.description import HeadDescription
from core.models.builtin.head.geometry import HeadVertices, load_geometry
from core.models.builtin.head.kernels_geometry import compute_normals, turn_points
from core.models.builtin.head.kernels_objects import O_ALPHA, O_COLOUR, O_KNIT, O_LENS, O_MIRROR, O_REST, O_ROUGH, OBJECT_COLUMNS
from core.models.builtin.head.scene import NECK
from core.models.builtin.head.strands import fade_in, place_forehead, place_hem

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int32]

RIM_STEPS, TUBE_SIDES = 56, 8
TEMPLE_DEPTHS = (1.25, 1.10, 0.95, 0.80, 0.65, 0.50)
"""Depths z on the rest head at which a temple of the glasses is kept off the skin, the last one at the top of the ear."""
CAP_ROWS, CAP_COLUMNS = 20, 72
CAP_THICKNESS = 0.06


@dataclass(frozen=True, eq=False)
class ObjectMesh:
    """Quads and attributes (n, OBJECT_COLUMNS) of things worn, in the scene; points (m, 3) and weights (m,) that throw a shadow."""

    quads: Integers
    attributes: Floats
    shade_points: Floats
    shade_weights: Floats


@dataclass(frozen=True, eq=False)
class Anchors:
    """Fine vertices that things hang on: along the side of the head to the ear (2, n), ear lobes (2,), and the cap's binding.

    cap_vertices, cap_weights (rows * columns, k): skin vertices below every node of the cap; cap_rest (rows * columns, 3).
    """

    temples: Integers
    lobes: Integers
    cap_vertices: Integers
    cap_weights: Floats
    cap_rest: Floats


@lru_cache(maxsize=1)
def load_anchors() -> Anchors:
    """The vertices of the rest head that accessories are placed by, found once a process."""
    geometry = load_geometry()
    rest = geometry.rest.astype(float)
    x, y, z = rest.T
    ears = geometry.masks["ears"]
    temples, lobes = [], []
    for sign in (1.0, -1.0):
        side = np.flatnonzero((ears < 0.2) & (sign * x > 0.3))
        temples.append([side[np.argmin((y[side] - 7.34) ** 2 + (z[side] - depth) ** 2)] for depth in TEMPLE_DEPTHS])
        ear = np.flatnonzero((ears > 0.5) & (sign * x > 0))
        lobes.append(ear[np.argmin(y[ear] - 0.2 * z[ear])])
    # Cap: directions from the middle of the skull; each node hangs on the skin vertices that lie nearest to its direction.
    centre = np.array([0, 7.45, 0.3])
    skull = np.flatnonzero((ears < 0.05) & (y > 6.9) & ((z < 0.9) | (y > 7.45)) & (geometry.masks["eyelids"] < 0.05))
    ways = rest[skull] - centre
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    elevation = np.radians(np.linspace(-22, 90, CAP_ROWS))
    azimuth = np.linspace(0, 2 * np.pi, CAP_COLUMNS, endpoint=False)
    e, a = np.meshgrid(elevation, azimuth, indexing="ij")
    nodes = np.stack([np.cos(e) * np.sin(a), np.sin(e), np.cos(e) * np.cos(a)], -1).reshape(-1, 3)
    cosine = (nodes.astype(np.float32) @ ways.T.astype(np.float32)).astype(float)
    nearest = np.argpartition(-cosine, 12, axis=1)[:, :12]
    angle = np.arccos(np.clip(np.take_along_axis(cosine, nearest, 1), -1, 1))
    weights = 1 / (angle + 0.03) ** 2
    weights /= weights.sum(1, keepdims=True)
    vertices = skull[nearest]
    cap_rest = (rest[vertices] * weights[..., None]).sum(1)
    return Anchors(
        np.array(temples, np.int32),
        np.array(lobes, np.int32),
        vertices.astype(np.int32),
        weights.astype(np.float32),
        cap_rest.astype(np.float32),
    )


def _sweep_tube(path: Doubles, radius: Doubles | float, closed: bool) -> tuple[Doubles, Integers]:
    """Points (n * TUBE_SIDES, 3) and quads of a round tube along a path (n, 3)."""
    n = len(path)
    along = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    first = np.cross(along, [0.05, 0.1, 1.0])
    flat = np.linalg.norm(first, axis=1, keepdims=True)
    first = np.where(flat < 0.3, np.cross(along, [0.05, 1.0, 0.1]), first)
    first /= np.linalg.norm(first, axis=1, keepdims=True) + 1e-9
    second = np.cross(along, first)
    turn = np.linspace(0, 2 * np.pi, TUBE_SIDES, endpoint=False)
    ring = first[:, None] * np.cos(turn)[None, :, None] + second[:, None] * np.sin(turn)[None, :, None]
    points = path[:, None] + ring * np.broadcast_to(np.asarray(radius, float), (n,))[:, None, None]
    i, j = np.meshgrid(np.arange(n if closed else n - 1), np.arange(TUBE_SIDES), indexing="ij")
    i1, j1 = (i + 1) % n, (j + 1) % TUBE_SIDES
    quads = np.stack([i * TUBE_SIDES + j, i * TUBE_SIDES + j1, i1 * TUBE_SIDES + j1, i1 * TUBE_SIDES + j], -1)
    return points.reshape(-1, 3), _orient(points.reshape(-1, 3), quads.reshape(-1, 4), ring.reshape(-1, 3))


def _orient(points: Doubles, quads: NDArray[np.int64], outward: Doubles) -> Integers:
    """The quads with their corners in the order that makes normals point outward, as the rasteriser wants them."""
    turned = quads.astype(np.int32)
    if (compute_normals(points.astype(np.float32), turned) * outward).sum() < 0:
        turned = turned[:, ::-1].copy()
    return turned


def _finish(
    parts: list[tuple[Doubles, Integers]], rotation: Floats, colour: Floats, alpha: float, rough: float, mirror: float
) -> tuple[Integers, Floats]:
    """Parts joined and turned with the head: quads, attributes (n, OBJECT_COLUMNS)."""
    starts = np.cumsum([0, *[len(points) for points, _ in parts]])
    quads = np.concatenate([part + start for (_, part), start in zip(parts, starts[:-1], strict=True)]).astype(np.int32)
    places = np.concatenate([points for points, _ in parts]).astype(np.float32)
    turn_points(places, rotation, NECK, True)
    attributes = np.zeros((len(places), OBJECT_COLUMNS), np.float32)
    attributes[:, :3] = compute_normals(places, quads)
    attributes[:, 3:6] = places
    attributes[:, O_COLOUR : O_COLOUR + 3] = colour
    attributes[:, [O_ALPHA, O_ROUGH, O_MIRROR]] = alpha, rough, mirror
    return quads, attributes


def _trace_rim(d: HeadDescription, centre: Floats, sign: float, depth: float, shrink: float) -> Doubles:
    """Closed path (RIM_STEPS, 3) around a lens, a superellipse that follows the curve of the face."""
    t = np.linspace(0, 2 * np.pi, RIM_STEPS, endpoint=False)
    power = max(1.2, d.glasses_squareness)
    cos, sin = np.cos(t), np.sin(t)
    radius = (np.abs(cos) ** power + np.abs(sin) ** power) ** (-1 / power) * shrink
    x = centre[0] + sign * 0.025 + d.glasses_width * cos * radius
    y = centre[1] - 0.03 + d.glasses_height * sin * radius
    return np.stack([x, y, depth - _recede(x, y - centre[1])], 1)


def _recede(x: Doubles, rise: Doubles) -> Doubles:
    """How far the frame lies behind its foremost place: it follows the curve of the face and leans back at the top."""
    return np.asarray(0.25 * np.maximum(0, np.abs(x) - 0.30) ** 1.5 + 0.06 * rise)


def _clear_brows(d: HeadDescription, vertices: HeadVertices, depth: float) -> float:
    """Depth of the frame that keeps its rims in front of brows and lids by half a millimetre and their own thickness."""
    skin = place_forehead(vertices).astype(float)
    for side, sign in enumerate((1.0, -1.0)):
        centre = vertices.eye_centres[side]
        across = np.abs(skin[..., 0] - centre[0] - sign * 0.02) / (d.glasses_width + 0.03)
        up = np.abs(skin[..., 1] - centre[1] + 0.03) / (d.glasses_height + 0.03)
        # Only below the rims: places far inside or outside count less and less.
        off = 0.5 * np.abs(np.maximum(across, up) - 0.95)
        needed = skin[..., 2] + _recede(skin[..., 0], skin[..., 1] - centre[1]) - off
        depth = max(depth, float(needed.max()) + 0.005 + 1.5 * d.glasses_thickness)
    return depth


def make_glasses(d: HeadDescription, vertices: HeadVertices, rotation: Floats) -> tuple[ObjectMesh, ObjectMesh] | None:
    """Frame and lenses; None where there are none. The frame sits in front of the eyes, its temples go back to the ears."""
    alpha, grown = fade_in(d.glasses)
    if alpha <= 0:
        return None
    anchors = load_anchors()
    depth = _clear_brows(d, vertices, float(vertices.eye_centres[:, 2].max()) + 0.27)
    thick = max(0.002, d.glasses_thickness) * (0.4 + 0.6 * grown)
    frame, lenses, rims = [], [], []
    for side, sign in enumerate((1.0, -1.0)):
        centre = vertices.eye_centres[side]
        rim = _trace_rim(d, centre, sign, depth, 1.0)
        rims.append(rim)
        frame.append(_sweep_tube(rim, thick, True))
        inner = _trace_rim(d, centre, sign, depth, 0.55)
        middle = inner.mean(0)
        lens = np.concatenate([rim, inner + np.array([0, 0, 0.02]), np.broadcast_to(middle + np.array([0, 0, 0.028]), rim.shape)])
        j = np.arange(RIM_STEPS)
        k = (j + 1) % RIM_STEPS
        disc = np.concatenate([np.stack([r + j, r + k, r + RIM_STEPS + k, r + RIM_STEPS + j], 1) for r in (0, RIM_STEPS)])
        lenses.append((lens, _orient(lens, disc, np.array([0, 0, 1.0]))))
        end = rim[0 if sign > 0 else RIM_STEPS // 2] + np.array([0, 0.055, 0])
        skin = vertices.skin[anchors.temples[side]].astype(float)
        # an end piece as wide as the temples are, so that the arms go straight back and hide behind it from the front
        wide = max(0.04, sign * skin[1, 0] + 0.015 - sign * end[0])
        hinge = end + np.array([sign * wide, 0, -0.3 * wide])
        stops = np.concatenate([[hinge + np.array([sign * 0.01, 0, -0.03])], skin + np.array([sign * 0.03, 0, 0])])
        height = np.linspace(hinge[1], skin[-1, 1] + 0.03, len(stops))
        outside = np.maximum(sign * stops[:, 0], np.linspace(sign * stops[0, 0], sign * stops[-1, 0], len(stops)))
        path = np.stack([sign * outside, height, stops[:, 2]], 1)
        s = np.linspace(0, len(path) - 1, 21)
        path = np.stack([np.interp(s, np.arange(len(path)), path[:, c]) for c in range(3)], 1)
        path = np.concatenate([[end, 0.5 * (end + hinge), hinge], path])
        frame.append(_sweep_tube(path, np.full(len(path), thick * 0.95), False))
    left, right = rims[0][np.argmin(rims[0][:, 0])], rims[1][np.argmax(rims[1][:, 0])]
    u = np.linspace(0, 1, 11)[:, None]
    lift = np.array([0, 0.035, 0.03])
    bridge = left * (1 - u) + right * u + np.sin(np.pi * u) * lift + np.array([0, 0.02, 0])
    frame.append(_sweep_tube(bridge, thick * 0.95, False))
    quads, attributes = _finish(frame, rotation, d.glasses_colour, alpha, 0.30, 0.0)
    lens_quads, lens_attributes = _finish(lenses, rotation, d.glasses_colour, alpha, 0.1, 0.0)
    lens_attributes[:, O_LENS] = 1
    weights = np.full(len(attributes), alpha * min(1.5, thick / 0.010), np.float32)
    none = np.zeros(0, np.float32)
    return (
        ObjectMesh(quads, attributes, np.ascontiguousarray(attributes[:, 3:6]), weights),
        ObjectMesh(lens_quads, lens_attributes, none.reshape(0, 3), none),
    )


def make_earrings(d: HeadDescription, vertices: HeadVertices, rotation: Floats) -> ObjectMesh | None:
    """A ring below each ear lobe; None where there are none."""
    alpha, grown = fade_in(d.earrings)
    size = max(0.0, d.earring_size) * (0.4 + 0.6 * grown)
    if alpha <= 0 or size <= 0:
        return None
    parts = []
    t = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    for sign, lobe in zip((1.0, -1.0), load_anchors().lobes, strict=True):
        hook = vertices.skin[lobe].astype(float) + np.array([sign * 0.012, 0.03, 0.02])
        ring = np.stack([sign * 0.55 * np.sin(t), np.cos(t) - 1, 0.84 * np.sin(t)], 1) * size
        parts.append(_sweep_tube(hook + ring, 0.006 + 0.10 * size, True))
    quads, attributes = _finish(parts, rotation, d.earring_colour, alpha, 0.25, 0.9)
    points = np.ascontiguousarray(attributes[:, 3:6])
    return ObjectMesh(quads, attributes, points, np.full(len(points), 0.5 * alpha, np.float32))


def make_cap(d: HeadDescription, vertices: HeadVertices, rotation: Floats) -> ObjectMesh | None:
    """A close knitted cap over the skull; None where there is none. Its hem is cut where it is shaded, see kernels_objects.knit."""
    if d.hat <= 0:
        return None
    anchors = load_anchors()
    shape = (CAP_ROWS, CAP_COLUMNS, 3)
    nodes = np.einsum("nk,nkc->nc", anchors.cap_weights, vertices.rest[anchors.cap_vertices]).reshape(shape).astype(float)
    for _ in range(2):  # a cap spans hollows
        nodes[1:-1] = 0.25 * (nodes[:-2] + nodes[2:]) + 0.25 * (np.roll(nodes[1:-1], 1, 1) + np.roll(nodes[1:-1], -1, 1))
    nodes[-1] = nodes[-1].mean(0)
    i, j = np.meshgrid(np.arange(CAP_ROWS - 1), np.arange(CAP_COLUMNS), indexing="ij")
    k = (j + 1) % CAP_COLUMNS
    quads = np.stack([i * CAP_COLUMNS + j, i * CAP_COLUMNS + k, (i + 1) * CAP_COLUMNS + k, (i + 1) * CAP_COLUMNS + j], -1)
    points = nodes.reshape(-1, 3).astype(np.float32)
    quads = _orient(points.astype(float), quads.reshape(-1, 4), points - nodes.mean((0, 1)))
    normals = compute_normals(points, quads)
    rest = anchors.cap_rest
    hem = place_hem(d)
    alpha = float(hem[3])
    above = rest[:, 1] - hem[0] - hem[1] * rest[:, 2]
    slack = CAP_THICKNESS + 0.09 * smooth(0.0, 0.4, above) - 0.05 * smooth(8.0, 8.5, rest[:, 1])
    points = points + normals * slack[:, None].astype(np.float32)
    quads, attributes = _finish([(points.astype(float), quads)], rotation, d.hat_colour, alpha, 0.8, 0.0)
    attributes[:, O_REST : O_REST + 3] = rest
    attributes[:, O_KNIT] = 1
    none = np.zeros(0, np.float32)
    return ObjectMesh(quads, attributes, none.reshape(0, 3), none)


def dress(d: HeadDescription, vertices: HeadVertices, rotation: Floats) -> list[ObjectMesh]:
    """Everything that a person wears, in the order of drawing; an empty list where that is nothing."""
    glasses = make_glasses(d, vertices, rotation)
    worn = [make_cap(d, vertices, rotation), make_earrings(d, vertices, rotation)]
    if glasses:
        worn += [glasses[1], glasses[0]]
    return [mesh for mesh in worn if mesh]
