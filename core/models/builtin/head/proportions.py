"""Proportions of a face: distances between landmarks of the mesh, kept as varied as people's and no more.

The mesh's axes are independent: drawn far out in one direction together they make caricatures, such as a nose that is long by three
axes at once. So distances are measured on the person's mesh, each is brought from the spread of the axes to one that adults have
(means and spreads near those of published measurements of adults, adjusted by eye, in the size of the mesh), softly limited, and
the local shapes are moved by the least that does so. Everything is continuous in the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from core.models.builtin.head.geometry import Geometry

LIMIT = 2.6
"""Standard deviations beyond which no proportion goes."""
SPREAD = 1.45
"""Of proportions, in that of ``PROPORTIONS``. At 1 recognisers tell heads apart worse than people (dlib refuses 12 % of genuine
pairs where it accepts 1 % of others, here 7 %), since heads differ in fewer ways than people do; by eye the two hardly differ."""
STIFFNESS = 0.03
"""Variance, in standard deviations, by which a proportion may stay off rather than move axes far that hardly change it."""
X, Y, Z = 0, 1, 2


@dataclass(frozen=True)
class FaceProportion:
    """A sum of coordinates of coarse vertices, in decimetres: (vertex, coordinate, factor) of each.

    drawn, wanted: means at the masculine and at the feminine end and standard deviation, as drawn and as they shall be.
    """

    name: str
    parts: tuple[tuple[int, int, float], ...]
    drawn: tuple[float, float, float]
    wanted: tuple[float, float, float]

    def correct(self, value: float, femininity: float) -> float:
        """What a value becomes: in standard deviations as far from the wanted mean as from the drawn one, softly limited."""
        masculine, feminine, spread = self.drawn
        share = (value - masculine - (feminine - masculine) * femininity) / spread
        masculine, feminine, spread = self.wanted
        return masculine + (feminine - masculine) * femininity + SPREAD * spread * LIMIT * float(np.tanh(share / LIMIT))


PROPORTIONS = (
    FaceProportion("skull_height", ((881, Y, 1), (5028, Y, -1)), (1.186, 1.234, 0.079), (1.13, 1.11, 0.05)),
    FaceProportion("nose_length", ((5028, Y, 1), (343, Y, -1)), (0.599, 0.497, 0.05), (0.54, 0.496, 0.04)),
    FaceProportion("upper_lip_length", ((343, Y, 1), (523, Y, -1)), (0.208, 0.205, 0.032), (0.205, 0.19, 0.023)),
    FaceProportion("chin_height", ((523, Y, 1), (1963, Y, -1)), (0.468, 0.461, 0.085), (0.505, 0.465, 0.044)),
    FaceProportion("temple_width", ((3384, X, 1), (1008, X, -1)), (1.464, 1.418, 0.047), (1.47, 1.43, 0.052)),
    FaceProportion("cheek_width", ((4739, X, 1), (2403, X, -1)), (1.515, 1.412, 0.051), (1.46, 1.385, 0.052)),
    FaceProportion("jaw_width", ((4256, X, 1), (1908, X, -1)), (1.249, 1.146, 0.058), (1.2, 1.095, 0.055)),
    FaceProportion("chin_width", ((3942, X, 1), (1583, X, -1)), (0.807, 0.722, 0.032), (0.81, 0.735, 0.034)),
    FaceProportion("crown_width", ((3264, X, 1), (877, X, -1)), (1.2, 1.134, 0.05), (1.25, 1.195, 0.04)),
    FaceProportion("eye_width", ((3436, X, 1), (4787, X, -1)), (0.228, 0.246, 0.021), (0.3, 0.308, 0.02)),
    FaceProportion("eye_opening", ((3430, Y, 1), (3443, Y, -1)), (0.096, 0.115, 0.02), (0.101, 0.114, 0.018)),
    FaceProportion("eye_distance", ((3436, X, 1), (4787, X, 1)), (0.615, 0.565, 0.047), (0.635, 0.612, 0.032)),
    FaceProportion("eye_slant", ((3436, Y, 1), (4787, Y, -1)), (0.018, 0.019, 0.015), (0.014, 0.019, 0.015)),
    FaceProportion("brow_ridge_height", ((2634, Y, 1), (5028, Y, -1)), (0.118, 0.15, 0.018), (0.118, 0.15, 0.018)),
    FaceProportion("nose_width", ((2739, X, 1), (288, X, -1)), (0.381, 0.306, 0.066), (0.37, 0.322, 0.036)),
    FaceProportion("nose_tip_height", ((297, Y, 1), (343, Y, -1)), (0.059, 0.114, 0.041), (0.105, 0.128, 0.032)),
    FaceProportion("nose_wing_height", ((2783, Y, 1), (343, Y, -1)), (0.176, 0.15, 0.025), (0.176, 0.15, 0.025)),
    FaceProportion("nose_depth", ((297, Z, 1), (343, Z, -1)), (0.16, 0.136, 0.039), (0.152, 0.134, 0.027)),
    FaceProportion("bridge_curve", ((164, Z, 1), (132, Z, -0.5), (297, Z, -0.5)), (0.014, -0.004, 0.017), (0.014, -0.004, 0.017)),
    FaceProportion("bridge_depth", ((132, Z, 1), (4787, Z, -1)), (0.104, 0.143, 0.019), (0.152, 0.15, 0.014)),
    FaceProportion("bridge_height", ((164, Z, 1), (4787, Z, -1)), (0.244, 0.243, 0.039), (0.27, 0.256, 0.024)),
    FaceProportion("bridge_width", ((4318, X, 1), (1974, X, -1)), (0.29, 0.275, 0.024), (0.295, 0.28, 0.024)),
    FaceProportion("brow_ridge_depth", ((234, Z, 1), (132, Z, -1)), (0.05, -0.002, 0.023), (0.047, 0.002, 0.023)),
    FaceProportion("mouth_width", ((2866, X, 1), (424, X, -1)), (0.489, 0.434, 0.054), (0.54, 0.508, 0.035)),
    FaceProportion(
        "mouth_beside_jaw",
        ((2866, X, 1), (424, X, -1), (4256, X, -0.4), (1908, X, 0.4)),
        (-0.011, -0.025, 0.0588),
        (0.06, 0.07, 0.03),
    ),
    FaceProportion("upper_lip_height", ((455, Y, 1), (468, Y, -1)), (0.082, 0.085, 0.015), (0.07, 0.077, 0.013)),
    FaceProportion("lower_lip_height", ((474, Y, 1), (495, Y, -1)), (0.06, 0.052, 0.016), (0.057, 0.061, 0.013)),
    FaceProportion("mouth_corner_height", ((2866, Y, 1), (523, Y, -1)), (0.029, 0.022, 0.016), (0.014, 0.017, 0.011)),
    FaceProportion("mouth_depth", ((509, Z, 1), (132, Z, -1)), (0.075, 0.083, 0.03), (0.075, 0.083, 0.024)),
    FaceProportion("lower_lip_depth", ((513, Z, 1), (509, Z, -1)), (-0.016, -0.012, 0.018), (-0.016, -0.012, 0.013)),
    FaceProportion("chin_depth", ((1829, Z, 1), (513, Z, -1)), (-0.055, -0.113, 0.034), (-0.055, -0.113, 0.028)),
    FaceProportion("cheek_depth", ((4313, Z, 1), (132, Z, -1)), (-0.193, -0.18, 0.024), (-0.193, -0.18, 0.024)),
    FaceProportion(
        "cheek_fullness",
        ((2721, X, 1), (270, X, -1), (4739, X, -0.5), (2403, X, 0.5), (4256, X, -0.5), (1908, X, 0.5)),
        (-0.03, 0.005, 0.016),
        (-0.024, 0.011, 0.022),
    ),
    FaceProportion("brow_slope", ((4275, Y, 1), (2665, Y, -1)), (0.08, 0.056, 0.032), (0.08, 0.056, 0.025)),
    FaceProportion("ear_height", ((4418, Y, 1), (4735, Y, -1)), (0.622, 0.523, 0.067), (0.6, 0.55, 0.035)),
    FaceProportion("ear_standing", ((4444, X, 1), (4739, X, -1)), (0.092, 0.087, 0.037), (0.1, 0.095, 0.035)),
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
    weights: NDArray[np.floating],
    ancestry: NDArray[np.floating],
    axes: tuple[str, ...],
    reaches: tuple[float, ...],
    femininity: float,
    geometry: Geometry,
) -> NDArray[np.float64]:
    """What to add to the axes (A,), so that a person whose shapes have the weights (S,) gets natural proportions.

    ancestry (P,): what a person's ancestry adds to the phenotype's weights; that is kept, and deviations are measured from it.
    """
    table = _load_table(geometry, axes, reaches)
    kept = ancestry @ table.by_shape[: len(ancestry)]
    values = measure_proportions(weights, table) - kept
    wanted = [proportion.correct(float(value), femininity) for proportion, value in zip(PROPORTIONS, values, strict=True)]
    return np.asarray((np.array(wanted) - values) @ table.moves, np.float64)
