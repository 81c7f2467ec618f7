"""Proportions of a face: distances between landmarks of the mesh, kept as varied as people's and no more.

The mesh's axes are independent: drawn far out in one direction together they make caricatures, such as a nose that is long by three
axes at once. So distances are measured on the person's mesh, each is brought from the spread of the axes to one that adults have
(means and spreads after Farkas, Anthropometry of the Head and Face, 1994, in the mesh's size), softly limited, and the local shapes
are moved by the least that does so. Everything is continuous in the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from core.models.builtin.head.geometry import Geometry

LIMIT = 2.2
"""Standard deviations beyond which no proportion goes."""
STIFFNESS = 0.03
"""Variance, in standard deviations, by which a proportion may stay off rather than move axes far that hardly change it."""
X, Y, Z = 0, 1, 2


@dataclass(frozen=True)
class Proportion:
    """A sum of coordinates of coarse vertices, in decimetres: (vertex, coordinate, factor) of each.

    drawn, wanted: means at the masculine and at the feminine end and standard deviation, as drawn and as they shall be.
    """

    name: str
    parts: tuple[tuple[int, int, float], ...]
    drawn: tuple[float, float, float]
    wanted: tuple[float, float, float]

    def correct(self, value: float, femininity: float) -> float:
        """What a value becomes: as far from the wanted mean as it was from the drawn one, softly limited."""
        masculine, feminine, spread = self.drawn
        share = (value - masculine - (feminine - masculine) * femininity) / spread
        masculine, feminine, spread = self.wanted
        return masculine + (feminine - masculine) * femininity + spread * LIMIT * float(np.tanh(share / LIMIT))


PROPORTIONS = (
    Proportion("skull_height", ((881, Y, 1), (5028, Y, -1)), (1.191, 1.227, 0.084), (1.215, 1.215, 0.07)),
    Proportion("nose_length", ((5028, Y, 1), (343, Y, -1)), (0.6, 0.497, 0.05), (0.555, 0.505, 0.042)),
    Proportion("upper_lip_length", ((343, Y, 1), (523, Y, -1)), (0.207, 0.206, 0.035), (0.205, 0.19, 0.027)),
    Proportion("chin_height", ((523, Y, 1), (1963, Y, -1)), (0.469, 0.458, 0.088), (0.47, 0.43, 0.052)),
    Proportion("temple_width", ((3384, X, 1), (1008, X, -1)), (1.58, 1.526, 0.055), (1.58, 1.53, 0.055)),
    Proportion("cheek_width", ((4739, X, 1), (2403, X, -1)), (1.63, 1.52, 0.056), (1.615, 1.52, 0.055)),
    Proportion("jaw_width", ((4256, X, 1), (1908, X, -1)), (1.347, 1.241, 0.07), (1.335, 1.225, 0.065)),
    Proportion("chin_width", ((3942, X, 1), (1583, X, -1)), (0.877, 0.782, 0.057), (0.865, 0.775, 0.055)),
    Proportion("crown_width", ((3264, X, 1), (877, X, -1)), (1.295, 1.222, 0.059), (1.29, 1.25, 0.05)),
    Proportion("eye_width", ((3436, X, 1), (4787, X, -1)), (0.247, 0.262, 0.026), (0.282, 0.29, 0.019)),
    Proportion("eye_opening", ((3430, Y, 1), (3443, Y, -1)), (0.096, 0.114, 0.02), (0.108, 0.124, 0.019)),
    Proportion("eye_distance", ((3436, X, 1), (4787, X, 1)), (0.661, 0.61, 0.049), (0.638, 0.615, 0.042)),
    Proportion("eye_slant", ((3436, Y, 1), (4787, Y, -1)), (0.017, 0.02, 0.019), (0.014, 0.019, 0.019)),
    Proportion("brow_ridge_height", ((2634, Y, 1), (5028, Y, -1)), (0.117, 0.148, 0.02), (0.117, 0.148, 0.018)),
    Proportion("nose_width", ((2739, X, 1), (288, X, -1)), (0.41, 0.33, 0.073), (0.385, 0.332, 0.058)),
    Proportion("nose_tip_height", ((297, Y, 1), (343, Y, -1)), (0.059, 0.108, 0.047), (0.08, 0.107, 0.037)),
    Proportion("nose_wing_height", ((2783, Y, 1), (343, Y, -1)), (0.178, 0.149, 0.026), (0.178, 0.149, 0.023)),
    Proportion("nose_depth", ((297, Z, 1), (343, Z, -1)), (0.16, 0.136, 0.045), (0.152, 0.134, 0.036)),
    Proportion("bridge_curve", ((164, Z, 1), (132, Z, -0.5), (297, Z, -0.5)), (0.014, -0.002, 0.022), (0.014, -0.002, 0.02)),
    Proportion("bridge_width", ((4318, X, 1), (1974, X, -1)), (0.311, 0.294, 0.027), (0.311, 0.294, 0.024)),
    Proportion("brow_ridge_depth", ((234, Z, 1), (132, Z, -1)), (0.05, 0.001, 0.026), (0.047, 0.002, 0.026)),
    Proportion("mouth_width", ((2866, X, 1), (424, X, -1)), (0.525, 0.467, 0.059), (0.542, 0.51, 0.048)),
    Proportion("upper_lip_height", ((455, Y, 1), (468, Y, -1)), (0.082, 0.085, 0.019), (0.08, 0.086, 0.018)),
    Proportion("lower_lip_height", ((474, Y, 1), (495, Y, -1)), (0.06, 0.053, 0.02), (0.064, 0.066, 0.019)),
    Proportion("mouth_corner_height", ((2866, Y, 1), (523, Y, -1)), (0.029, 0.023, 0.018), (0.014, 0.017, 0.014)),
    Proportion("mouth_depth", ((509, Z, 1), (132, Z, -1)), (0.073, 0.083, 0.04), (0.073, 0.083, 0.036)),
    Proportion("lower_lip_depth", ((513, Z, 1), (509, Z, -1)), (-0.015, -0.012, 0.021), (-0.015, -0.012, 0.019)),
    Proportion("chin_depth", ((1829, Z, 1), (513, Z, -1)), (-0.056, -0.112, 0.038), (-0.056, -0.112, 0.035)),
    Proportion("cheek_depth", ((4313, Z, 1), (132, Z, -1)), (-0.195, -0.175, 0.036), (-0.195, -0.175, 0.033)),
    Proportion(
        "cheek_fullness",
        ((2721, X, 1), (270, X, -1), (4739, X, -0.5), (2403, X, 0.5), (4256, X, -0.5), (1908, X, 0.5)),
        (-0.032, 0.008, 0.026),
        (-0.024, 0.011, 0.022),
    ),
    Proportion("brow_slope", ((4275, Y, 1), (2665, Y, -1)), (0.081, 0.058, 0.033), (0.081, 0.058, 0.029)),
    Proportion("ear_height", ((4418, Y, 1), (4735, Y, -1)), (0.626, 0.524, 0.071), (0.6, 0.55, 0.035)),
    Proportion("ear_standing", ((4444, X, 1), (4739, X, -1)), (0.105, 0.101, 0.038), (0.105, 0.101, 0.034)),
)


@dataclass(frozen=True, eq=False)
class ProportionTable:
    """Proportions of the rest head (M,), what each shape adds (S, M), and how axes move to change them (M, A)."""

    rest: NDArray[np.float64]
    by_shape: NDArray[np.float64]
    moves: NDArray[np.float64]


@cache
def _load_table(geometry: Geometry, axes: tuple[str, ...], reaches: tuple[float, ...]) -> ProportionTable:
    """The table for these axes of the mesh, of which each may move in proportion to its reach."""
    vertices = sorted({vertex for proportion in PROPORTIONS for vertex, _, _ in proportion.parts})
    place = np.full(len(geometry.base), -1)
    place[vertices] = np.arange(len(vertices))
    offsets = np.zeros((len(geometry.shape_name), len(vertices), 3))
    shape = np.repeat(np.arange(len(offsets)), np.diff(geometry.shape_ptr))
    entries = np.flatnonzero(place[geometry.shape_idx] >= 0)
    offsets[shape[entries], place[geometry.shape_idx[entries]]] = geometry.shape_d[entries]

    def measure(points: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.stack(
            [sum(factor * points[..., place[v], c] for v, c, factor in proportion.parts) for proportion in PROPORTIONS], -1
        )

    by_shape = measure(offsets)
    rows = {name: row for row, name in enumerate(geometry.axis_name)}
    effects = np.zeros((len(axes), len(PROPORTIONS)))
    for number, axis in enumerate(axes):
        upper, lower = geometry.axis_positive[rows[axis]], geometry.axis_negative[rows[axis]]
        effects[number] = by_shape[upper[upper >= 0]].sum(0)
        if lower[0] >= 0:  # the two ends of an axis differ a little; their mean keeps everything continuous
            effects[number] = (effects[number] - by_shape[lower[lower >= 0]].sum(0)) / 2
    of_ears = np.array([proportion.name.startswith("ear_") for proportion in PROPORTIONS])
    for number, axis in enumerate(axes):  # no ear or neck gives way to a cheek beside it
        if axis.startswith("ear-"):
            effects[number, ~of_ears] = 0
        elif axis.startswith("neck-"):
            effects[number] = 0
    spread = np.array([proportion.wanted[2] for proportion in PROPORTIONS])
    reach = np.array(reaches)[:, None]
    scaled = effects * reach / spread
    moves = np.linalg.solve(scaled.T @ scaled + STIFFNESS * np.eye(len(spread)), scaled.T) * reach.T / spread[:, None]
    return ProportionTable(measure(geometry.base[vertices]), by_shape, moves)


def measure_proportions(weights: NDArray[np.floating], table: ProportionTable) -> NDArray[np.float64]:
    """The proportions (M,) of a person whose shapes have the weights (S,)."""
    return np.asarray(table.rest + weights @ table.by_shape, np.float64)


def fit_axes(
    weights: NDArray[np.floating], axes: tuple[str, ...], reaches: tuple[float, ...], femininity: float, geometry: Geometry
) -> NDArray[np.float64]:
    """What to add to the axes (A,), so that a person whose shapes have the weights (S,) gets natural proportions."""
    table = _load_table(geometry, axes, reaches)
    values = measure_proportions(weights, table)
    wanted = [proportion.correct(float(value), femininity) for proportion, value in zip(PROPORTIONS, values, strict=True)]
    return np.asarray((np.array(wanted) - values) @ table.moves, np.float64)
