"""Skin of the parametric head: zones of the rest head, colours of a person, and what the shading kernel is told about both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.curves import smooth, to_linear
from core.models.builtin.head.description import HeadDescription
from core.models.builtin.head.geometry import Geometry, HeadVertices, load_geometry
from core.models.builtin.head.grown_hair import load_grown_hair
from core.models.builtin.head.kernels_geometry import relax_displacement
from core.models.builtin.head.kernels_painting import (
    P_BROW_STEP,
    P_FINE,
    P_FRECKLES,
    P_GLOSS,
    P_GRAIN,
    P_LIPS,
    P_MOTTLE,
    P_PATTERN,
    P_PORES,
    P_RED,
    P_SCALP,
    P_SPOTS,
    P_STUBBLE,
    P_WRAP,
    P_WRINKLES,
    SKIN_COLUMNS,
    SKIN_PARAMETERS,
    V_AGE,
    V_BLUSH,
    V_CHEEK,
    V_CHEEK_BEARD,
    V_CHIN,
    V_CHIN_BEARD,
    V_FOLD,
    V_LINE_LOW,
    V_LINE_UP,
    V_LINER,
    V_MOUSTACHE,
    V_OIL,
    V_RECESSION,
    V_RED,
    V_RED_SCALE,
    V_SHADOW,
    V_SOCKET,
    V_UNDER_EYE,
    VERTEX_PARAMETERS,
    paint_vertices,
)
from core.models.builtin.head.strands import BROW_STEP, NECK_BEARD, make_brow_table, measure_beard, mix_scalp_cover

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]

MOLE_PLACES = ((0.33, 6.86), (-0.46, 6.78), (0.16, 6.47), (-0.21, 7.02), (0.52, 7.22), (-0.30, 6.36), (0.24, 7.70), (-0.60, 7.02))
"""x and y on the rest head where a person may have moles."""


TONES = np.stack(
    [to_linear(*c) for c in ((229, 190, 166), (222, 178, 150), (208, 158, 127), (168, 117, 86), (114, 76, 55), (78, 52, 40))]
)
"""Skin colours at melanin 0, 0.2 .. 1."""
INSIDE_MOUTH = to_linear(116, 40, 38)
SMALLEST_MOLE = 1e-4
"""Radius in decimetres from which a mole is drawn."""


@dataclass(frozen=True, eq=False)
class SkinZones:
    """Where things are on the rest head: zones (n, ZONE_COLUMNS), the push of the collar along the normal (n, 1), moles (8, 3).

    cheeks: vertices beside the mouth's corners (m,), by which share they are evened out (m,), their neighbours as compressed rows.
    shadow_quads: the faces before the subdivision, by their corners, which throw the same shadow as its four quads do.
    """

    zones: Floats
    collar_push: Floats
    moles: Floats
    cheeks: tuple[Integers, Floats, Integers, Integers]
    temples: tuple[Integers, Floats, Integers, Integers]
    shadow_quads: Integers


def _measure_margin(geometry: Geometry, grids: tuple[str, str]) -> NDArray[np.float64]:
    """1 at the roots of these lashes, falling off within 0.2 mm."""
    roots = geometry.rest[np.unique(np.concatenate([geometry.lash_roots[name] for name in grids]))]
    margin = np.zeros(len(geometry.rest))
    near = np.flatnonzero((np.abs(geometry.rest[:, 1:] - roots[:, 1:].mean(0)) < 0.3).all(1))
    apart = np.linalg.norm(geometry.rest[near, None].astype(float) - roots[None], axis=2).min(1)
    margin[near] = np.exp(-((apart / 0.020) ** 2))
    return margin


def _soften(geometry: Geometry, mask: NDArray[np.float64], rounds: int) -> NDArray[np.float64]:
    """The mask, averaged over the faces around each vertex, so many rounds."""
    count = np.maximum(1, np.bincount(geometry.quads.ravel(), minlength=len(mask)))
    for _ in range(rounds):
        spread = np.repeat(mask[geometry.quads].mean(1), 4)
        mask = np.bincount(geometry.quads.ravel(), spread, minlength=len(mask)) / count
    return np.asarray(mask)


TEMPLE_ROUNDS = 30
"""How often vertices at the temples take a share of their neighbours' mean."""


@lru_cache(maxsize=1)
def load_skin_zones() -> SkinZones:
    """The zones of the rest head, made once a process."""
    geometry = load_geometry()
    rest = geometry.rest
    x, y, z = rest.T.astype(float)
    side = np.abs(x)
    ears, lids, lips, inside = (geometry.masks[name].astype(float) for name in ("ears", "eyelids", "lips", "inside_mouth"))

    def spot(cx: float, cy: float, cz: float, radius: float) -> NDArray[np.float64]:
        return np.asarray(np.exp(-(((side - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) / radius**2)))

    cheek, nose, chin = spot(0.48, 6.92, 1.25, 0.24), spot(0, 6.92, 1.72, 0.13), spot(0, 6.35, 1.5, 0.2)
    oil = 0.9 * spot(0, 7.72, 1.55, 0.38) + spot(0, 6.98, 1.7, 0.22) + 0.45 * spot(0.42, 7.0, 1.35, 0.2)
    oil += 0.5 * spot(0, 6.36, 1.52, 0.16)
    # Collar line: a crew neck, lower in front; positive below it.
    neck = 5.62 + 0.30 * np.clip(side - 0.30, 0, 1.4) - 0.10 * (z > 0) * np.exp(-((side / 0.35) ** 2)) * smooth(0.0, 0.6, z)
    collar = np.clip(neck - y, -0.3, 0.6)
    crease = np.exp(-(((side - 0.42) / 0.14) ** 2 + ((y - 6.75) / 0.2) ** 2)) * smooth(0.5, 0.9, z)
    azimuth = np.degrees(np.arctan2(side, z - 0.35))
    along = np.clip((side - 0.070) / 0.060, 0, 1)
    nostrils = np.exp(-((side - 0.070 - 0.060 * along) ** 2 + (y - 6.868) ** 2 + (z - 1.588 + 0.050 * along) ** 2) / 0.019**2)
    hair = load_grown_hair()
    zones = [
        *(cheek, nose, chin, ears, spot(0.31, 7.29, 1.36, 0.2) * (1 - lids * 0.3), spot(0.32, 7.10, 1.38, 0.13)),
        *(smooth(0.25, 0.7, lids) * smooth(7.22, 7.30, y), crease),
        *(_measure_margin(geometry, ("ll2", "rl2")), _measure_margin(geometry, ("ll1", "rl1"))),
        *(np.clip(oil, 0, 1), *(hair.beard_zones.T * smooth(*NECK_BEARD, y))),
        smooth(0.08, 0.5, cheek + nose + 0.35 * spot(0, 7.7, 1.5, 0.5)),
        np.where(ears < 0.3, hair.edge, -1),
        0.15 * np.exp(-(((azimuth - 40) / 18) ** 2)) + 0.07 * np.exp(-((azimuth / 20) ** 2)),
        *(collar, _soften(geometry, lips, 2), inside, spot(0.50, 6.95, 1.2, 0.22), spot(0.60, 6.75, 1.0, 0.22), nostrils),
    ]
    push = smooth(-0.012, 0.012, collar) * 0.045 * smooth(0.65, 0.05, collar)
    front = np.flatnonzero((z > 0.75) & (lips < 0.1) & (inside < 0.1) & (lids < 0.3))
    nearest = [front[np.argmin((x[front] - px) ** 2 + (y[front] - py) ** 2)] for px, py in MOLE_PLACES]
    beside = np.exp(-(((side - 0.40) / 0.17) ** 2) - ((y - 6.74) / 0.24) ** 2) * (z > 0.6) * (1 - smooth(0.05, 0.3, lips + inside))
    cheeks = _list_neighbours(geometry, np.flatnonzero(beside > 0.05).astype(np.int32), beside)
    temple = (
        np.exp(-(((side - 0.63) / 0.14) ** 2) - ((y - 7.6) / 0.28) ** 2 - ((z - 1.05) / 0.3) ** 2) * (lids < 0.05) * (ears < 0.05)
    )
    temples = _list_neighbours(geometry, np.flatnonzero(temple > 0.05).astype(np.int32), temple)
    shadow_quads = np.ascontiguousarray(geometry.quads.reshape(-1, 4, 4)[:, :, 0])
    columns, pushes = np.stack(zones, 1).astype(np.float32), push[:, None].astype(np.float32)
    return SkinZones(columns, pushes, rest[nearest], cheeks, temples, shadow_quads)


def _list_neighbours(
    geometry: Geometry, chosen: Integers, weight: NDArray[np.float64]
) -> tuple[Integers, Floats, Integers, Integers]:
    """Chosen vertices, their weights, and the vertices that share an edge with each: pointer (m + 1,), neighbours."""
    quads = geometry.quads[np.isin(geometry.quads, chosen).any(1)]
    edges = np.concatenate([quads[:, [k, (k + 1) % 4]] for k in range(4)])
    edges = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    first, last = np.searchsorted(edges[:, 0], chosen), np.searchsorted(edges[:, 0], chosen, "right")
    neighbours = np.concatenate([edges[a:b, 1] for a, b in zip(first, last, strict=True)])
    pointer = np.concatenate([[0], np.cumsum(last - first)])
    return chosen, weight[chosen].astype(np.float32), pointer.astype(np.int32), neighbours.astype(np.int32)


def relax_skin(vertices: HeadVertices) -> None:
    """Even out, in place, how smiles and snarls fold the skin beside the mouth's corners, where the mesh's actions bulge, and how
    shapes fold it at the temples, where some of the mesh's end in a ridge."""
    zones = load_skin_zones()
    relax_displacement(vertices.skin, vertices.rest, *zones.cheeks, 10)
    relax_displacement(vertices.skin, load_geometry().rest, *zones.temples, TEMPLE_ROUNDS)


def mix_tone(melanin: float) -> NDArray[np.float64]:
    """Colour (3,) of bare skin at melanin 0..1."""
    u = min(max(melanin, 0.0), 1.0) * (len(TONES) - 1)
    i = min(int(u), len(TONES) - 2)
    return np.asarray(TONES[i] + (TONES[i + 1] - TONES[i]) * (u - i), float)


def choose_exposure(d: HeadDescription) -> np.float32:
    """Factor of all light: exposed for the face, so that very light skin is not burnt out and dark skin keeps its detail."""
    luminance = float(mix_tone(d.melanin) @ np.array([0.30, 0.55, 0.15])) * float(np.exp(0.08 * d.brightness))
    return np.float32((0.34 / luminance) ** 0.17)


def paint_person(d: HeadDescription) -> Floats:
    """Skin attributes (n, SKIN_COLUMNS) of a person; normals and places are left to be filled in."""
    geometry, zones = load_geometry(), load_skin_zones()
    base = mix_tone(d.melanin) * np.exp(
        d.brightness * 0.09 * np.array([1, 0.9, 0.8]) - d.skin_warmth * 0.06 * np.array([0, 0.5, 1.2])
    )
    q = np.zeros(VERTEX_PARAMETERS, np.float32)
    q[[V_RED, V_RED_SCALE]] = d.redness, 1 - d.melanin * 0.55
    q[[V_SOCKET, V_UNDER_EYE, V_CHEEK, V_CHIN]] = d.socket + 0.12 * d.age, d.under_eye + 0.10 * d.age, d.cheek, d.chin
    q[[V_FOLD, V_AGE]] = d.fold, d.age
    q[[V_LINE_UP, V_LINE_LOW]] = 0.48 + 0.24 * d.femininity, 0.10 + 0.10 * d.femininity
    q[[V_OIL, V_RECESSION]] = d.oil, d.hair_recession
    q[[V_SHADOW, V_LINER, V_BLUSH]] = d.eye_shadow, d.eye_liner, d.blush
    q[[V_MOUSTACHE, V_CHIN_BEARD, V_CHEEK_BEARD]] = [_stubble(density) for density in measure_beard(d)]
    attributes = np.zeros((len(geometry.rest), SKIN_COLUMNS), np.float32)
    pattern = (3 * d.pattern).astype(np.float32)
    paint_vertices(zones.zones, geometry.rest, geometry.noise, pattern, base.astype(np.float32), d.eye_shadow_colour, q, attributes)
    return attributes


def _stubble(density: float) -> float:
    """Share of hair colour seen through shaved skin: rises fast from clean, then with density."""
    return 0.25 * min(1.0, density / 0.12) + 0.75 * min(1.0, density * 1.3)


@dataclass(frozen=True, eq=False)
class SkinLook:
    """What the shading kernel is told: parameters (SKIN_PARAMETERS,), tints (6, 3), brow table (3, n), moles (m, 4)."""

    parameters: Floats
    tints: Floats
    brow: Floats
    moles: Floats


def describe_skin(d: HeadDescription, size: int) -> SkinLook:
    """The skin's parameters for pictures of `size` pixels: bumps finer than a pixel are taken out of them."""
    geometry = load_geometry()

    def action(*names: str) -> float:
        return float(np.mean([d.actions[geometry.action_number[name]] for name in names]))

    raised = max(action("browInnerUp"), action("browOuterUpLeft", "browOuterUpRight"))
    squint, frown = (
        action("cheekSquintLeft", "cheekSquintRight"),
        action("browDownLeft", "browDownRight") + 0.5 * d.extra_actions[2],
    )
    smile, sneer = action("mouthSmileLeft", "mouthSmileRight"), action("noseSneerLeft", "noseSneerRight") * 0.5 + d.extra_actions[0]
    lifted = 0.35 * d.extra_actions[1] + 0.2 * action("mouthUpperUpLeft", "mouthUpperUpRight")
    old = d.age
    aged = max(0.0, old - 0.25)
    p = np.zeros(SKIN_PARAMETERS, np.float32)
    pixel = d.framing / size
    fine = float(np.clip(0.0089 / (2 * pixel), 0.45, 1.0))
    p[[P_PORES, P_MOTTLE, P_GRAIN]] = (0.040 + 0.012 * old) * fine, 0.024 + 0.012 * old, 0.036 * fine
    p[[P_RED, P_FRECKLES, P_LIPS]] = 0.026 * (1 - 0.5 * d.melanin), min(1.0, d.freckles), d.lip_strength
    p[P_STUBBLE] = 0.44 * (1 - 0.4 * d.melanin)
    p[P_SCALP] = mix_scalp_cover(d)
    p[P_WRINKLES : P_WRINKLES + 4] = (
        max(0.0, 0.95 * aged + 0.42 * raised * (0.3 + 0.7 * old)),
        max(0.0, 0.95 * aged + 0.45 * squint * (0.25 + 0.75 * old)),
        max(0.0, 0.45 * aged + 0.50 * frown + 0.3 * sneer),
        max(0.0, 0.08 + 0.30 * old + 0.45 * aged + 0.20 * max(smile, 0.9 * sneer) + lifted),
    )
    p[P_WRAP : P_WRAP + 3] = 0.34, 0.15, 0.09
    p[P_FINE] = 0.032 * float(np.clip((0.0055 - pixel) / 0.002, 0, 1))
    p[P_SPOTS] = 0.7 * float(smooth(0.45, 1.0, np.array(old)))
    p[P_PATTERN : P_PATTERN + 3] = 2 * d.pattern
    p[P_BROW_STEP] = BROW_STEP
    p[P_GLOSS] = 1 - 0.12 * d.melanin
    # The layer below the hairs of brows and beard is their shadow on the skin: never lighter, or grey ones would look like fog.
    weigh = np.array([0.30, 0.55, 0.15])
    light = float(mix_tone(d.melanin) @ weigh)
    hair, beard, brow = (
        colour + (d.white_colour - colour) * share
        for colour, share in ((d.hair_colour, d.hair_grey), (d.beard_colour, d.beard_grey), (d.brow_colour, d.brow_grey))
    )
    brow, beard = (
        colour * min(1.0, most * light / (float(colour @ weigh) + 1e-4))
        for colour, most in ((brow, 0.75), (beard * 0.6 + 0.012, 0.5))
    )
    tints = np.stack([d.lip_colour, hair * 0.8, beard, d.shirt_colour, INSIDE_MOUTH, brow])
    moles = np.concatenate([load_skin_zones().moles, d.moles[:, None]], 1)[d.moles >= SMALLEST_MOLE]
    return SkinLook(p, tints.astype(np.float32), make_brow_table(d), moles.astype(np.float32))
