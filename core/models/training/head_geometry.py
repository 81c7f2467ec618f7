"""Build ``assets/head/geometry.npz``: mesh, sparse shapes, subdivision, masks, lashes and the cage that carries hair.

From the raw files that ``head_source`` reads (all CC0). Offsets are whole multiples of 0.0001 decimetres, as MakeHuman's files are
for all but the actions built here, so that nothing visible is lost. ``core.models.builtin.head.geometry`` reads the result.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import KDTree

from core.models.builtin.head.description import EXTRA_ACTIONS
from core.models.builtin.head.stored_arrays import write_head_arrays
from core.models.training.head_source import (
    FACIAL_ACTIONS,
    MASKS,
    SOURCE_FACTS,
    VARIATIONS,
    RawHead,
    RawShape,
    list_local_targets,
    read_actions,
    read_local_shapes,
    read_phenotype_shapes,
    read_raw_head,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

OFFSET_STEP = 1e-4
"""Decimetres of one unit of a stored offset: 0.01 mm."""

SMALLEST_SHAPE = 1e-4
"""A shape that moves no vertex further than this (decimetres) is left out."""

OPPOSITES = (
    *(("incr", "decr"), ("up", "down"), ("out", "in"), ("forward", "backward"), ("concave", "convex")),
    *(("compress", "uncompress"), ("round", "square"), ("pointed", "triangle")),
)
"""Endings of the two targets of one axis."""

BODY_WORDS = (
    *("breast", "nipple", "arm", "hand", "leg", "torso", "hip", "stomach", "pelvis", "butt", "foot", "shoulder", "bust"),
    *("measure-", "waist"),
)
"""Targets with these in their names change the body, not the face."""

RIGID_AXES = (
    *("head-trans", "neck-trans", "mouth-trans-out", "mouth-trans-in", "nose-trans-out", "nose-trans-in", "head-angle"),
    *("neck-back", "ear-shape", "head-age", "head-fat", "head-scale-vert", "head-scale-horiz", "head-scale-depth"),
)
"""Beginnings of axes that move the head as a whole, put a face out of its middle, or act like age and weight."""

AXIS_SCALES = (
    *(("ear", 0.4), ("neck", 0.3), ("eye-scale", 0.3), ("eye-", 0.42), ("nose", 0.45), ("mouth", 0.4), ("chin", 0.42)),
    *(("cheek", 0.45), ("forehead", 0.4), ("eyebrows", 0.5), ("", 0.35)),
)
"""Spread of an axis among people: the first entry whose word is in its name, times 0.44."""

HEAD_SCALES = tuple(
    f"head-{name}-{end}" for name in ("age", "fat", "scale-vert", "scale-horiz", "scale-depth") for end in ("incr", "decr")
)


@dataclass(frozen=True, eq=False)
class Subdivision:
    """One Catmull-Clark level: the matrix (fine, coarse) and the fine quads (4F, 4)."""

    matrix: sparse.csr_matrix
    quads: Integers


def subdivide_catmull_clark(quads: Integers, count: int) -> Subdivision:
    """The subdivision of a mesh of ``count`` vertices; open borders become cubic B-splines (Catmull and Clark 1978)."""
    faces = len(quads)
    edges = np.sort(np.stack([quads, np.roll(quads, -1, 1)], 2).reshape(-1, 2), 1)
    edges, edge_of, uses = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    edge_of, corners, border = edge_of.reshape(faces, 4), np.repeat(np.arange(faces), 4), uses != 2

    def incidence(rows: Integers, columns: Integers, shape: tuple[int, int], value: float = 1.0) -> sparse.csr_matrix:
        return sparse.csr_matrix((np.full(len(rows), value), (rows, columns)), shape)

    def scale(values: Floats) -> sparse.dia_matrix:
        return sparse.diags(values)

    ends = np.repeat(np.arange(len(edges)), 2)
    face_points = incidence(corners, quads.ravel(), (faces, count), 0.25)
    middles = incidence(ends, edges.ravel(), (len(edges), count), 0.5)
    edge_faces = incidence(edge_of.ravel(), corners, (len(edges), faces))
    edge_points = scale(1.0 * ~border) @ (0.5 * middles + 0.25 * (edge_faces @ face_points)) + scale(1.0 * border) @ middles

    vertex_faces = incidence(quads.ravel(), corners, (count, faces))
    vertex_edges = incidence(edges.ravel(), ends, (count, len(edges)))
    valence = np.maximum(np.asarray(vertex_faces.sum(1)).ravel(), 1)
    edge_count = np.maximum(np.asarray(vertex_edges.sum(1)).ravel(), 1)
    on_border = np.zeros(count, bool)
    on_border[edges[border].ravel()] = True
    around = scale(1 / valence) @ vertex_faces @ face_points + 2 * (scale(1 / edge_count) @ vertex_edges @ middles)
    inner = scale(1 / valence) @ around + scale((valence - 3) / valence)
    border_edges = vertex_edges @ scale(1.0 * border)
    border_count = np.maximum(np.asarray(border_edges.sum(1)).ravel(), 1)
    outer = 0.5 * sparse.identity(count) + 0.5 * scale(1 / border_count) @ border_edges @ middles
    vertex_points = scale(1.0 * ~on_border) @ inner + scale(1.0 * on_border) @ outer

    matrix = sparse.vstack([vertex_points, edge_points, face_points]).tocsr()
    edge_numbers, face_numbers = count + edge_of, count + len(edges) + np.arange(faces)
    fine = [np.stack([quads[:, i], edge_numbers[:, i], face_numbers, edge_numbers[:, (i - 1) % 4]], 1) for i in range(4)]
    return Subdivision(matrix, np.stack(fine, 1).reshape(-1, 4))


def build_geometry(source: Path, folder: Path | None = None) -> int:
    """Write ``geometry.npz`` and its card; returns the number of bytes. ``source``: as ``head_source.find_source`` gives it."""
    head = read_raw_head(source)
    shapes, index = _read_shapes(head)
    fine = subdivide_catmull_clark(head.skin_faces, head.skin_count)
    rest = fine.matrix.astype(np.float32) @ head.vertices[: head.skin_count].astype(np.float32)
    masks = {name: fine.matrix @ head.masks[name][: head.skin_count] for name in MASKS}
    arrays: dict[str, NDArray[Any]] = {
        **_pack_shapes(shapes),
        **index,
        **_pack_subdivision(fine),
        **_pack_masks(masks),
        **_find_lashes(head, rest),
        **_make_cage(rest, (masks["inside-mouth"] < 0.3) & (masks["ears"] < 0.3)),
        "base": head.vertices.astype(np.float32),
        "skin_count": np.array(head.skin_count, np.int32),
        "quads": fine.quads.astype(np.uint16),
        "front": _find_front_quads(rest, fine.quads),
        **{f"parts_{name}": np.unique(head.helper_faces[name]).astype(np.int16) for name in _PARTS},
    }
    facts = {**SOURCE_FACTS, "figures": {"shapes": len(shapes), "vertices": len(rest), "quads": len(fine.quads)}}
    return write_head_arrays("geometry", arrays, facts, folder)


_PARTS = ("upper", "lower", "tongue", "eye_l", "eye_r")


def _read_shapes(head: RawHead) -> tuple[list[RawShape], dict[str, NDArray[Any]]]:
    """All shapes that can ever be used, phenotype shapes first, and the arrays that say which is which."""
    wanted = list_local_targets(head.folder)
    local = {shape.label.removeprefix("local:"): shape for shape in read_local_shapes(head, wanted) if _moves(shape)}
    asymmetries = _list_targets(head, "asym", lambda name: name.startswith("asym-") and "ear" not in name)
    outlines = [name for name in _list_targets(head, "head", lambda name: True) if name.removeprefix("head/") not in local]
    actions = read_actions(head)
    axes = _pair_axes(list(local))
    used = [name for axis in axes for end in axis[1:] for name in end if name]

    shapes = [shape for shape in read_phenotype_shapes(head) if _moves(shape)]
    phenotypes = len(shapes)
    shapes += [local[name] for name in used]
    shapes += read_local_shapes(head, [*asymmetries, *outlines])
    shapes += actions + _make_extra_actions(head, actions, local)
    shapes += [local[name] for name in HEAD_SCALES]
    number = {shape.label: index for index, shape in enumerate(shapes)}

    def find(names: list[str]) -> list[int]:
        return [number[f"local:{name.split('/')[-1]}"] if name else -1 for name in names]

    left = [name for name in asymmetries if name.endswith("-l")]
    return shapes, {
        "phenotype_mask": np.array([[name in shape.factors for name in VARIATIONS] for shape in shapes[:phenotypes]]),
        "variations": np.array(VARIATIONS),
        "axis_name": np.array([axis[0] for axis in axes]),
        "axis_positive": np.array([find(axis[1]) for axis in axes], np.int16),
        "axis_negative": np.array([find(axis[2]) for axis in axes], np.int16),
        "axis_scale": np.array([_find_axis_scale(axis[0]) for axis in axes], np.float32),
        "asymmetry": np.array([find([name, f"{name.removesuffix('-l')}-r"]) for name in left], np.int16),
        "outline_name": np.array([name.removeprefix("head/head-") for name in outlines]),
        "outline": np.array(find(outlines), np.int16),
        "action_name": np.array(FACIAL_ACTIONS),
        "action": np.array([number[f"action:{name}"] for name in FACIAL_ACTIONS], np.int16),
        "extra_action": np.array([number[f"extra_action:{name}"] for name in EXTRA_ACTIONS], np.int16),
        "head_scale_name": np.array(HEAD_SCALES),
        "head_scale": np.array(find(list(HEAD_SCALES)), np.int16),
    }


def _moves(shape: RawShape) -> bool:
    return bool(np.linalg.norm(shape.offsets, axis=1).max() > SMALLEST_SHAPE)


def _list_targets(head: RawHead, part: str, wanted: Any) -> list[str]:
    files = sorted((head.folder / "mpfb2/targets" / part).glob("*.target.gz"))
    names = [file.name.removesuffix(".target.gz") for file in files]
    return [f"{part}/{name}" for name in names if wanted(name)]


def _pair_axes(names: list[str]) -> list[tuple[str, list[str], list[str]]]:
    """Axes of the face: name, the targets of its positive end (left and right) and of its negative end; '' where there is none."""
    axes, done = [], set()
    for name in names:
        if name in done:
            continue
        other = _find_opposite(name, names)
        done |= {name, other}
        if name.startswith("r-") or any(word in name for word in BODY_WORDS):
            continue
        positive, negative = [name, ""], [other, ""]
        if name.startswith("l-"):
            positive[1] = f"r-{name[2:]}" if f"r-{name[2:]}" in names else ""
            negative[1] = f"r-{other[2:]}" if other and f"r-{other[2:]}" in names else ""
            done |= {f"r-{name[2:]}", negative[1]}
        axes.append((name.removeprefix("l-"), positive, negative))
    return [axis for axis in axes if not axis[0].startswith(RIGID_AXES)]


def _find_opposite(name: str, names: list[str]) -> str:
    for pair in OPPOSITES:
        for one, other in (pair, pair[::-1]):
            if name.endswith(f"-{one}") and name[: -len(one)] + other in names:
                return name[: -len(one)] + other
    return ""


def _find_axis_scale(name: str) -> float:
    anywhere = ("ear", "eye-scale", "eye-", "cheek", "")
    return 0.44 * next(s for word, s in AXIS_SCALES if (word in name if word in anywhere else name.startswith(word)))


def _make_extra_actions(head: RawHead, actions: list[RawShape], local: dict[str, RawShape]) -> list[RawShape]:
    """Actions that Face Units 01 lacks, in the order of ``EXTRA_ACTIONS``.

    Its ``noseSneer`` is mostly a lowered brow. The nose wrinkler (AU9) takes its lower part and lifts wings, inner cheeks and lip
    between; the upper lip raiser (AU10) squares the lip and deepens the fold beside it; the lowered brow is the upper part alone.
    The fourth lowers the corners of the mouth (AU15).
    """
    x, y, z = head.vertices.T
    width, depth = np.abs(x), np.clip((z - 1.05) / 0.17, 0, 1)
    skin = (np.arange(len(x)) < head.skin_count)[:, None]

    def spot(across: float, height: float, radius: float) -> Floats:
        return np.asarray(np.exp(-((width - across) ** 2 + (y - height) ** 2) / radius**2) * depth)

    sneer = sum(shape.offsets for shape in actions if shape.label.startswith("action:noseSneer"))
    below_brow = np.clip((7.42 - y) / 0.10, 0, 1)[:, None]
    lift = (
        0.030 * spot(0.18, 6.95, 0.09)
        + 0.026 * spot(0.29, 7.04, 0.13)
        + 0.020 * spot(0.13, 6.70, 0.10)
        + 0.012 * spot(0.05, 7.10, 0.10)
    )
    wrinkle = np.stack([np.sign(x) * 0.010 * spot(0.19, 6.93, 0.07), lift, 0.012 * spot(0.26, 6.98, 0.12)], 1)
    raise_lip = np.stack(
        [0 * x, 0.040 * spot(0.17, 6.70, 0.11) + 0.014 * spot(0.30, 6.95, 0.16), 0.012 * spot(0.33, 6.88, 0.13)], 1
    )
    offsets = (
        (1.2 * sneer * below_brow + wrinkle) * skin,
        raise_lip * skin,
        sneer * (1 - below_brow),
        local["mouth-angles-down"].offsets,
    )
    return [RawShape(f"extra_action:{name}", (), values) for name, values in zip(EXTRA_ACTIONS, offsets, strict=True)]


def _pack_shapes(shapes: list[RawShape]) -> dict[str, NDArray[Any]]:
    """Sparse offsets: entries of shape s are those from shape_start[s] on; their vertices as differences, which compress well."""
    units = [np.rint(shape.offsets / OFFSET_STEP).astype(np.int32) for shape in shapes]
    moved = [np.flatnonzero(values.any(1)) for values in units]
    return {
        "shape_name": np.array([shape.label for shape in shapes]),
        "shape_start": np.cumsum([0, *(len(index) for index in moved)]).astype(np.int32),
        "shape_vertex_steps": np.diff(np.concatenate(moved), prepend=0).astype(np.int16),
        "shape_units": np.concatenate([values[index] for values, index in zip(units, moved, strict=True)]).T.copy(),
        "shape_unit": np.array(OFFSET_STEP, np.float32),
    }


def _pack_subdivision(fine: Subdivision) -> dict[str, NDArray[Any]]:
    matrix = fine.matrix.astype(np.float32)
    values, codes = np.unique(matrix.data, return_inverse=True)
    return {
        "subdivision_counts": np.diff(matrix.indptr).astype(np.uint8),
        "subdivision_columns": matrix.indices.astype(np.int16),
        "subdivision_values": values,
        "subdivision_codes": codes.astype(np.uint8 if len(values) <= 256 else np.uint16),
    }


def _pack_masks(masks: dict[str, Floats]) -> dict[str, NDArray[Any]]:
    return {f"mask_{name.replace('-', '_')}": np.rint(np.clip(mask, 0, 1) * 255).astype(np.uint8) for name, mask in masks.items()}


def _find_front_quads(rest: NDArray[np.float32], quads: Integers) -> NDArray[np.bool_]:
    """Which quads a camera within some 45 degrees of the front can see; what lies inside the mouth faces forward and stays."""
    normals = np.cross(rest[quads[:, 2]] - rest[quads[:, 0]], rest[quads[:, 3]] - rest[quads[:, 1]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    visible: NDArray[np.bool_] = normals[:, 2] * np.cos(0.7) + np.abs(normals[:, 0]) * np.sin(0.7) > -0.55
    return visible


def _find_lashes(head: RawHead, rest: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Grids of the four rows of lashes, row 0 at the lid, and the fine skin vertex nearest to each root."""
    tree, arrays = KDTree(rest), {}
    for name in ("ll1", "ll2", "rl1", "rl2"):
        grid = _order_grid(head.helper_faces[name])
        centre = head.vertices[np.unique(head.helper_faces[f"eye_{name[0]}"])].mean(0)
        first, last = (np.linalg.norm(head.vertices[row] - centre, axis=1).mean() for row in (grid[0], grid[-1]))
        grid = grid[::-1] if first > last else grid
        arrays[f"lash_{name}"] = grid.astype(np.int16)
        arrays[f"lash_root_{name}"] = tree.query(head.vertices[grid[0]])[1].astype(np.int16)
    return arrays


def _order_grid(faces: Integers) -> Integers:
    """The vertices of a strip of quads as a grid (rows, columns), the longer side along the columns."""
    uses = Counter(faces.ravel().tolist())
    near: defaultdict[int, set[int]] = defaultdict(set)
    for face in faces.tolist():
        for one, other in zip(face, face[1:] + face[:1], strict=True):
            near[one].add(other)
            near[other].add(one)

    def walk(path: list[int]) -> list[int]:
        while uses[path[-1]] != 1:
            path.append(next(other for other in near[path[-1]] if other not in path and uses[other] <= 2))
        return path

    corner = next(vertex for vertex, count in uses.items() if count == 1)
    short, row = sorted((walk([corner, other]) for other in near[corner]), key=len)
    rows = [row]
    for start in short[1:]:
        row = [start]
        for before, above in zip(rows[-1], rows[-1][1:], strict=False):
            row.append(next(other for other in near[row[-1]] & near[above] if other != before))
        rows.append(row)
    return np.array(rows)


CAGE_LOW, CAGE_STEP, CAGE_SHAPE = (-1.9, 4.8, -1.7), 0.24, (17, 18, 17)


def _make_cage(rest: NDArray[np.float32], smooth: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """A regular grid around the head whose nodes follow the eight nearest skin vertices: so that hair moves with the head."""
    skin = np.flatnonzero((rest[:, 1] > 5.2) & smooth)
    axes = [low + CAGE_STEP * np.arange(count) for low, count in zip(CAGE_LOW, CAGE_SHAPE, strict=True)]
    distance, nearest = KDTree(rest[skin]).query(np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3), k=8)
    weight = 1 / (distance + 0.05) ** 2
    return {
        "cage_low": np.array(CAGE_LOW, np.float32),
        "cage_step": np.array(CAGE_STEP, np.float32),
        "cage_shape": np.array(CAGE_SHAPE, np.int32),
        "cage_vertex": skin[nearest].astype(np.int16),
        "cage_weight": np.rint(weight / weight.sum(1, keepdims=True) * 65535).astype(np.uint16),
    }
