"""The mesh of the parametric head: shapes, subdivision, masks, lashes, and the vertices of a description.

MakeHuman's base mesh and targets and Face Units 01, all CC0 1.0, packed by ``core.models.training.head_geometry``. Decimetres; x to
the person's left, y up, z forward; the eyes lie near y 7.29. The coarse mesh holds skin and helpers (eyes, teeth, tongue, lashes);
the fine mesh is one Catmull-Clark level of the skin alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.builtin.head.description import HeadDescription
from core.models.builtin.head.kernels_geometry import combine_shapes, push_out_of_sphere, subdivide
from core.models.builtin.head.skin_maps import WRINKLES_HIGH, WRINKLES_LOW, WRINKLES_SHAPE, make_noise, make_wrinkles
from core.models.builtin.head.stored_arrays import read_head_arrays

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]

YOUNGEST = 2 / 3
"""The mesh's age of a young adult (MakeHuman: 25 years); 1 is the oldest. No shape of a child is stored."""

LID_MARGIN, LID_REACH, LID_DEPTH = 1.012, 0.32, 1.2
"""Lids stay this factor of the radius from an eyeball's centre; only skin within the reach and in front of the depth is moved."""

SMALLEST_WEIGHT = 1e-5
"""Weights below it are no weights: they move nothing by a thousandth of a millimetre."""


@dataclass(frozen=True, eq=False)
class HeadVertices:
    """The vertices of one description, the head not yet turned.

    base (5558, 3): coarse mesh of the person at rest; coarse (5558, 3): the same with facial actions; rest and skin (19095, 3): the
    fine skin of both, the lids of ``skin`` in front of the eyeballs; eye_centres (2, 3) and eye_radii (2,): left, right.
    """

    base: Floats
    coarse: Floats
    rest: Floats
    skin: Floats
    eye_centres: Floats
    eye_radii: Floats


@dataclass(frozen=True, eq=False)
class Geometry:
    """The stored mesh; one read-only object for all threads. Index arrays are int32, all others float32 unless said.

    Shapes (S of them): ``shape_name``; entries of shape s are shape_ptr[s] to shape_ptr[s + 1] of shape_idx (E,) and shape_d
    (E, 3), offsets of coarse vertices. The first ``phenotype_count`` are phenotype shapes. axis_positive, axis_negative (A, 2):
    shapes of the two ends of an axis, left and right, -1 for none; asymmetry (25, 2): opposite pairs; outline: forms of the head;
    head_scale: age, fat and size of the head; action (52,), extra_action (4,): facial actions.

    Meshes: base (5558, 3) coarse rest vertices, the first ``skin_count`` are skin; rest (19095, 3) fine skin; quads (F, 4) and
    front_quads, those that a camera in front can see; subdivision as compressed rows s_ptr, s_idx, s_val; masks: lips, ears,
    eyelids, inside_mouth -> (19095,) in [0, 1]; parts: upper, lower, tongue, eye_l, eye_r -> coarse vertices; lash_grids: ll1
    (lower), ll2 (upper), rl1, rl2 -> coarse vertices (rows from the lid out, columns); lash_roots: the fine vertex at each root.

    Cage: cage_low (3,), cage_step, cage_shape (3,), cage_vertex (N, 8) fine vertices and cage_weight (N, 8) of each node.
    Maps of the skin: noise (64, 64, 64); wrinkles (384, 160, 4) over (y, |x|), first node wrinkles_low, wrinkles_scale nodes a dm.
    """

    shape_name: tuple[str, ...]
    shape_ptr: Integers
    shape_idx: Integers
    shape_d: Floats
    phenotype_mask: NDArray[np.bool_]
    variations: tuple[str, ...]
    axis_name: tuple[str, ...]
    axis_positive: Integers
    axis_negative: Integers
    axis_scale: Floats
    asymmetry: Integers
    outline_name: tuple[str, ...]
    outline: Integers
    head_scale_name: tuple[str, ...]
    head_scale: Integers
    action_name: tuple[str, ...]
    action: Integers
    extra_action: Integers
    base: Floats
    skin_count: int
    rest: Floats
    quads: Integers
    front_quads: Integers
    s_ptr: Integers
    s_idx: Integers
    s_val: Floats
    masks: Mapping[str, Floats]
    parts: Mapping[str, Integers]
    lash_grids: Mapping[str, Integers]
    lash_roots: Mapping[str, Integers]
    cage_low: Floats
    cage_step: np.float32
    cage_shape: Integers
    cage_vertex: Integers
    cage_weight: Floats
    noise: Floats
    wrinkles: Floats
    wrinkles_low: Floats
    wrinkles_scale: Floats

    @property
    def phenotype_count(self) -> int:
        """How many of the first shapes are products of gender, age, muscle, weight, proportions and ancestry."""
        return len(self.phenotype_mask)

    @cached_property
    def shape_number(self) -> Mapping[str, int]:
        """Shape name -> its number. Names are ``kind:name``: universal, race, height, proportions, local, (extra_)action."""
        return {name: number for number, name in enumerate(self.shape_name)}

    @cached_property
    def action_number(self) -> Mapping[str, int]:
        """Name of a facial action -> its place in ``HeadDescription.actions``."""
        return {name: number for number, name in enumerate(self.action_name)}

    def phenotype_weights(
        self, *, gender: float, age: float, muscle: float, weight: float, proportions: float, ancestry: Sequence[float]
    ) -> NDArray[np.float64]:
        """Weights (P,) of the phenotype shapes: products of the interpolation weights of the variations that a shape is made of.

        gender 0 male to 1 female; age ``YOUNGEST`` to 1; muscle, weight and proportions 0 to 1, values outside taken as the limit;
        ancestry: three parts, not negative, of any sum above 0.
        """
        parts = np.asarray(ancestry, float)
        young = np.clip((1 - age) / (1 - YOUNGEST), 0, 1)
        values = [parts / parts.sum(), _interpolate(gender, 2), [young, 1 - young]]
        values += [_interpolate(muscle, 3), _interpolate(weight, 3), _interpolate(proportions, 2)]
        factors: NDArray[np.float64] = np.where(self.phenotype_mask, np.concatenate(values), 1.0).prod(1)
        return factors

    def subdivide(self, coarse: Floats) -> Floats:
        """Fine skin (19095, 3) of coarse vertices (5558, 3)."""
        fine: Floats = subdivide(self.s_ptr, self.s_idx, self.s_val, coarse[: self.skin_count])
        return fine

    def add_shapes(self, coarse: Floats, shapes: NDArray[Any], weights: NDArray[Any]) -> Floats:
        """Coarse vertices plus the weighted sum of the shapes with these numbers; ``coarse`` stays as it is."""
        chosen = np.flatnonzero(np.abs(weights) > SMALLEST_WEIGHT)
        moved: Floats = combine_shapes(
            coarse,
            self.shape_ptr,
            self.shape_idx,
            self.shape_d,
            np.asarray(shapes)[chosen].astype(np.int32),
            np.asarray(weights)[chosen].astype(np.float32),
        )
        return moved

    def make_vertices(self, description: HeadDescription) -> HeadVertices:
        """The vertices of a person and expression. Raises LiminalError where the weights are not one for each shape."""
        if len(description.shapes) != len(self.shape_name):
            raise LiminalError(
                f"A head's 'shapes' has {len(description.shapes)} weights; the mesh has {len(self.shape_name)} shapes. "
                "Give one weight for each."
            )
        base = self.add_shapes(self.base, np.arange(len(self.shape_name)), description.shapes)
        moving = np.concatenate([self.action, self.extra_action])
        coarse = self.add_shapes(base, moving, np.concatenate([description.actions, description.extra_actions]))
        eyes = [base[self.parts[name]] for name in ("eye_l", "eye_r")]
        centres = np.stack([eye.mean(0) for eye in eyes])
        radii = np.array([np.linalg.norm(eye - eye.mean(0), axis=1).mean() for eye in eyes], np.float32)
        skin = self.subdivide(coarse)
        for centre, radius in zip(centres, radii, strict=True):
            limits = np.array([radius * LID_MARGIN, LID_REACH, LID_DEPTH], np.float32)
            push_out_of_sphere(skin, centre, *limits)
        return HeadVertices(base, coarse, self.subdivide(base), skin, centres, radii)


def _interpolate(value: float, count: int) -> NDArray[np.float64]:
    """Linear weights (count,) of evenly spaced anchors from 0 to 1."""
    return np.asarray(np.maximum(0, 1 - np.abs(np.clip(value, 0, 1) * (count - 1) - np.arange(count))))


@lru_cache(maxsize=1)
def load_geometry(folder: Path | None = None) -> Geometry:
    """The stored geometry, read once a process. Raises LiminalError where the file is missing or a byte of it was altered."""
    stored = read_head_arrays("geometry", folder)

    def text(name: str) -> tuple[str, ...]:
        return tuple(str(word) for word in stored[name])

    def index(name: str) -> Integers:
        return stored[name].astype(np.int32)

    def named(prefix: str, names: Sequence[str]) -> dict[str, Integers]:
        return {name: index(f"{prefix}_{name}") for name in names}

    s_ptr = np.concatenate([[0], np.cumsum(stored["subdivision_counts"], dtype=np.int32)]).astype(np.int32)
    s_idx, s_val = index("subdivision_columns"), stored["subdivision_values"][stored["subdivision_codes"]]
    base, skin_count, quads = stored["base"], int(stored["skin_count"]), index("quads")
    span = np.subtract(WRINKLES_HIGH, WRINKLES_LOW)
    geometry = Geometry(
        shape_name=text("shape_name"),
        shape_ptr=index("shape_start"),
        shape_idx=np.cumsum(stored["shape_vertex_steps"], dtype=np.int32),
        shape_d=np.ascontiguousarray((stored["shape_units"] * stored["shape_unit"]).T, np.float32),
        phenotype_mask=stored["phenotype_mask"],
        variations=text("variations"),
        axis_name=text("axis_name"),
        axis_positive=index("axis_positive"),
        axis_negative=index("axis_negative"),
        axis_scale=stored["axis_scale"],
        asymmetry=index("asymmetry"),
        outline_name=text("outline_name"),
        outline=index("outline"),
        head_scale_name=text("head_scale_name"),
        head_scale=index("head_scale"),
        action_name=text("action_name"),
        action=index("action"),
        extra_action=index("extra_action"),
        base=base,
        skin_count=skin_count,
        rest=subdivide(s_ptr, s_idx, s_val, base[:skin_count]),
        quads=quads,
        front_quads=np.ascontiguousarray(quads[stored["front"]]),
        s_ptr=s_ptr,
        s_idx=s_idx,
        s_val=s_val,
        masks={name: (stored[f"mask_{name}"] / 255).astype(np.float32) for name in ("lips", "ears", "eyelids", "inside_mouth")},
        parts=named("parts", ("upper", "lower", "tongue", "eye_l", "eye_r")),
        lash_grids=named("lash", ("ll1", "ll2", "rl1", "rl2")),
        lash_roots=named("lash_root", ("ll1", "ll2", "rl1", "rl2")),
        cage_low=stored["cage_low"],
        cage_step=np.float32(stored["cage_step"]),
        cage_shape=index("cage_shape"),
        cage_vertex=index("cage_vertex"),
        cage_weight=(stored["cage_weight"] / 65535).astype(np.float32),
        noise=make_noise(),
        wrinkles=np.ascontiguousarray(make_wrinkles().transpose(1, 0, 2)),
        wrinkles_low=np.array(WRINKLES_LOW, np.float32),
        wrinkles_scale=((np.array(WRINKLES_SHAPE) - 1) / span).astype(np.float32),
    )
    for value in vars(geometry).values():
        for array in value.values() if isinstance(value, dict) else [value]:
            if isinstance(array, np.ndarray):
                array.setflags(write=False)
    return geometry
