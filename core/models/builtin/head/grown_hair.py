"""Strands grown beforehand on the rest head: ten hair styles and the beard, and the fields of the skin that they are bound to.

Grown by ``core.models.training.head_strands`` and stored in ``assets/head/hair.npz``. Strands lie in the order of a space-filling
curve there; here they come in an order of which every beginning covers the head evenly, so that fewer strands are a fair sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.description import HAIR_STYLES
from core.models.builtin.head.geometry import load_geometry
from core.models.builtin.head.stored_arrays import read_head_arrays

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]

STRAND_POINTS, BEARD_POINTS = 16, 6
"""Points of a strand, from the root on."""

BEARD_ZONES = ("moustache", "chin", "cheeks")

GOLDEN, PLASTIC = 0.6180339887498949, 0.7548776662466927
"""Steps of two additive sequences that spread evenly along the curve and have nothing to do with each other."""

EDGE_STRAY = 0.05
"""Decimetres over which single roots stray about the hair line, so that it is no drawn line."""


@dataclass(frozen=True, eq=False)
class GrownStrands:
    """Strands on the rest head, decimetres; all arrays read-only.

    points (n, P, 3), the first on the skin; triangles (n, 3) int32 fine vertices around the root and corners (n, 3) their weights;
    edge (n,): height of the root above the hair line; azimuth (n,): degrees of the root from the front, 0 to 180; random (n,):
    evenly spread in [0, 1), also among neighbours; phase (n,): radians, one for a lock; thickness (n,): 0.3 to 1, less at parting
    and hair line; zones (n, 3): how far a root of the beard belongs to ``BEARD_ZONES``, zero for scalp hair.
    """

    points: Floats
    triangles: Integers
    corners: Floats
    edge: Floats
    azimuth: Floats
    random: Floats
    phase: Floats
    thickness: Floats
    zones: Floats


@dataclass(frozen=True, eq=False)
class GrownHair:
    """All styles by name, the beard, and fields of the fine skin: edge (V,) above the hair line (dm), beard_zones (V, 3) 0 to 1."""

    styles: Mapping[str, GrownStrands]
    beard: GrownStrands
    edge: Floats
    beard_zones: Floats


@lru_cache(maxsize=1)
def load_grown_hair(folder: Path | None = None) -> GrownHair:
    """The stored strands, read once a process. Raises LiminalError where the file is missing or a byte of it was altered."""
    stored = read_head_arrays("hair", folder)
    edge = stored["edge"] * np.float32(stored["edge_unit"])
    zones = (stored["beard_zones"] / 255).astype(np.float32)
    for field in (edge, zones):
        field.setflags(write=False)
    return GrownHair(
        styles={name: _unpack(stored, name, STRAND_POINTS, edge, np.zeros_like(zones)) for name in HAIR_STYLES},
        beard=_unpack(stored, "beard", BEARD_POINTS, edge, zones),
        edge=edge,
        beard_zones=zones,
    )


def _unpack(stored: Mapping[str, NDArray[Any]], name: str, points: int, edge: Floats, zones: Floats) -> GrownStrands:
    """Strands of one style: control points are differences along the strand and between neighbours on the curve."""
    geometry = load_geometry()
    units = stored[f"{name}_bends"].astype(np.int32).cumsum(2).cumsum(0).cumsum(0)  # (K - 1, 3, n)
    order = spread_order(units.shape[2])
    quads = geometry.quads[stored[f"{name}_root"][order] >> 1]
    second = (stored[f"{name}_root"][order] & 1).astype(bool)
    triangles = np.where(second[:, None], quads[:, [0, 2, 3]], quads[:, [0, 1, 2]])
    corners = (stored[f"{name}_corners"][:, order].T / 255).astype(np.float32)
    corners = np.concatenate([1 - corners.sum(1, keepdims=True), corners], 1)
    roots = (geometry.rest[triangles] * corners[..., None]).sum(1)

    control = np.zeros((units.shape[2], units.shape[0] + 1, 3), np.float32)
    control[:, 1:] = units.transpose(2, 0, 1)[order] * np.float32(stored["point_unit"])
    made = GrownStrands(
        points=_resample(control, points) + roots[:, None],
        triangles=triangles.astype(np.int32),
        corners=corners,
        edge=((edge[triangles] * corners).sum(1) + EDGE_STRAY * ((order + 0.5) * PLASTIC % 1 - 0.5)).astype(np.float32),
        azimuth=measure_azimuth(roots),
        random=((order + 0.5) * GOLDEN % 1).astype(np.float32),
        phase=(stored[f"{name}_phase"][order] * (2 * np.pi / 256)).astype(np.float32),
        thickness=(stored[f"{name}_thickness"][order] / 255).astype(np.float32),
        zones=(zones[triangles] * corners[..., None]).sum(1),
    )
    for array in vars(made).values():
        array.setflags(write=False)
    return made


def spread_order(count: int) -> NDArray[np.int64]:
    """An order of 0 to count - 1 of which every beginning is spread evenly: bit reversal (van der Corput 1935)."""
    bits = max(1, int(count - 1).bit_length())
    reversed_numbers = np.zeros(1 << bits, np.int64)
    for bit in range(bits):
        reversed_numbers |= ((np.arange(1 << bits) >> bit) & 1) << (bits - 1 - bit)
    return reversed_numbers[reversed_numbers < count]


def measure_azimuth(places: NDArray[Any]) -> Floats:
    """Degrees around the vertical axis of the skull, 0 in front to 180 behind, the same on both sides."""
    return np.asarray(np.degrees(np.arctan2(np.abs(places[:, 0]), places[:, 2] - 0.35)), np.float32)


def _resample(control: Floats, points: int) -> Floats:
    """Control points (n, K, 3) -> (n, points, 3) at even steps on the Catmull-Rom curve through them."""
    count = control.shape[1]
    places = np.linspace(0, count - 1, points)
    first = np.minimum(places.astype(int), count - 2)
    t = (places - first)[:, None]
    before, after = np.maximum(first - 1, 0), np.minimum(first + 2, count - 1)
    weights = np.zeros((points, count), np.float32)
    rows = np.arange(points)
    for index, values in (
        (before, -t + 2 * t**2 - t**3),
        (first, 2 - 5 * t**2 + 3 * t**3),
        (first + 1, t + 4 * t**2 - 3 * t**3),
        (after, t**3 - t**2),
    ):
        np.add.at(weights, (rows, index), values[:, 0] / 2)
    resampled: Floats = weights @ control
    return resampled
