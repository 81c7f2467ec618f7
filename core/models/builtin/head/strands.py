"""Strands of a person: scalp hair, beard, brows and lashes. Everything dissolves strand by strand, nothing pops."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head.curves import smooth, to_linear
from core.models.builtin.head.description import HAIR_STYLES, HeadDescription
from core.models.builtin.head.geometry import HeadVertices, load_geometry
from core.models.builtin.head.grown_hair import GrownStrands, load_grown_hair
from core.models.builtin.head.kernels_geometry import displace_cage, turn_points
from core.models.builtin.head.kernels_raster import rasterise_quads
from core.models.builtin.head.kernels_strands import place_strands
from core.models.builtin.head.scene import NECK

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]

LONG_STYLES = ("long", "longside", "bob")
SHORT_SIDES = ("crop", "fringe", "sidepart", "back")
LENGTHS = dict(zip(HAIR_STYLES, (0.05, 0.4, 0.7, 0.8, 1.0, 2.7, 2.7, 1.6, 1.2, 0.4), strict=True))
"""Decimetres of a typical strand, which limit how fast curls may turn from point to point."""
POINTS = dict(zip(HAIR_STYLES, (3, 7, 9, 9, 9, 13, 13, 11, 9, 13), strict=True))
"""Points of a strand in pictures of up to 256 pixels."""
WIDTHS = dict(zip(HAIR_STYLES, (0.44, 0.72, 0.8, 0.85, 0.85, 1.0, 1.0, 1.0, 0.9, 0.72), strict=True))
"""Width of the strands by style: short hair shows single locks, which must be finer."""
SCALP_COVER = dict(zip(HAIR_STYLES, (0.84, 0.93, 0.93, 0.93, 0.93, 0.86, 0.86, 0.86, 0.93, 0.95), strict=True))
"""How far the hair's colour covers the scalp: less where a parting shows."""
BALD_COVER = 0.06
NECK_BEARD = (6.08, 6.34)
"""Heights on the rest head between which the beard thins out down the neck."""
HAIR_RADIUS = 0.0046
"""Half the width in decimetres of a strand, which stands for a lock of many hairs."""
HEAD_CENTRE = np.array([0, 7.5, 0.2], np.float32)
HAIR_LINE_AZIMUTH = (0, 12, 24, 36, 48, 58, 66, 74, 80, 86, 94, 104, 120, 150, 180)
HAIR_LINE_HEIGHT = (7.92, 7.915, 7.89, 7.83, 7.70, 7.52, 7.30, 7.06, 6.98, 7.10, 7.36, 7.2, 6.9, 6.72, 6.65)
"""The hair line of the rest head: height over the azimuth from the front (degrees)."""
STRAY = 0.10
"""Decimetres over which roots stray about the hair line, so that it thins out."""
TIP = np.float32(0.3)
"""Opacity of a strand's end: hairs of a lock end at many places."""
FALL = (7.2, 6.1, 0.2)
"""Long hair that hangs free comes closer to the neck between these heights on the rest head, by this share of its distance."""
LASH_COLOUR = to_linear(22, 17, 15)


@dataclass(frozen=True, eq=False)
class Style:
    """A grown style and more per strand (n,):

    edge: height above a hair line along which roots stray (dm); recedes: how far the hair line moves past the root at recession 1
    (dm); dissolve, white: other fixed numbers in [0, 1); company: 0 for single strands across the face .. 1.
    """

    grown: GrownStrands
    edge: Floats
    recedes: Floats
    dissolve: Floats
    white: Floats
    company: Floats


def _measure_company(points: Floats) -> Floats:
    """0..1 per strand (n,): whether where it hangs below the front hair line others hang with it. 1 for strands that do not."""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    azimuth = np.degrees(np.arctan2(x, z - 0.35))
    below = np.interp(np.abs(azimuth), HAIR_LINE_AZIMUTH, HAIR_LINE_HEIGHT) - y
    crossing = (below > 0.02) & (np.abs(azimuth) < 62) & (y > 7.0)
    column = np.clip(((azimuth + 64) / 4).astype(int), 0, 31)
    row = np.clip(((y - 7.0) / 0.06).astype(int), 0, 19)
    counts = np.zeros((32, 20))
    np.add.at(counts, (column[crossing], row[crossing]), 1.0)
    alone = np.where(crossing, counts[column, row], np.inf).min(1) / len(points) * 12000
    return smooth(8, 40, alone).astype(np.float32)


@lru_cache(maxsize=1)
def load_styles() -> dict[str, Style]:
    """The grown styles as they are drawn, made once a process."""
    styles = {}
    for name, grown in load_grown_hair().styles.items():
        recedes = 0.15 * np.exp(-(((grown.azimuth - 40) / 18) ** 2)) + 0.07 * np.exp(-((grown.azimuth / 20) ** 2))
        if name in LONG_STYLES:
            points = grown.points.copy()
            points[..., 0] *= 1 - FALL[2] * smooth(FALL[0], FALL[1], points[..., 1])
            grown = replace(grown, points=points)
        number = grown.random.astype(np.float64)
        dissolve, stray, white = (number * 7919) % 1, (number * 4409) % 1 - 0.5, (number * 6571) % 1
        edge = grown.edge + STRAY * stray
        company = np.ones(len(dissolve)) if name in ("buzz", "fringe", "afro") else _measure_company(grown.points)
        styles[name] = Style(grown, *(values.astype(np.float32) for values in (edge, recedes, dissolve, white, company)))
    return styles


@dataclass(frozen=True, eq=False)
class StrandSet:
    """Strands ready to draw: points (n, K, 3) in the scene, colours (n, 3); per strand (n,): counts, alpha, tone 0..1, thickness.

    kind: scalp, beard, brow or lash. shown (n, K): less than 1 under a cap. radius in decimetres.
    """

    kind: str
    points: Floats
    counts: Integers
    shown: Floats
    alpha: Floats
    tone: Floats
    thickness: Floats
    colours: Floats
    radius: float


def mix_scalp_cover(d: HeadDescription) -> float:
    """How far the hair's colour covers the scalp, by the weights of the styles; less where a cap hides the difference."""
    weights = np.clip(d.styles, 0, 1)
    bald = max(0.0, 1 - float(weights.sum()))
    cover = sum(float(weight) * SCALP_COVER[name] for name, weight in zip(HAIR_STYLES, weights, strict=True))
    hairy = 1 - bald
    return cover * hairy**-0.4 + bald * BALD_COVER if hairy > 0 else BALD_COVER


def measure_beard(d: HeadDescription) -> tuple[float, float, float]:
    """Densities of moustache, chin and cheeks; a chin is never much barer than its cheeks, which would look cut out."""
    return d.moustache, d.chin_beard + 0.6 * max(0.0, d.cheek_beard - d.chin_beard), d.cheek_beard


def choose_detail(size: int) -> float:
    """Share of the strands that a picture of this size needs."""
    detail: float = 0.58 * (size / 256) ** 0.4
    return min(1.0, detail)


def place_hem(d: HeadDescription) -> Floats:
    """The cap's hem for the kernels: height at z = 0, slope along z, softness, opacity, how much it presses the hair.

    A cap comes and goes by its hem, which slides over the crown; only the last of it fades.
    """
    presence = min(1.0, max(0.0, d.hat))
    slope, front = 0.27, 7.52 + 0.26 * d.hat_height + 0.62 * (1 - presence)
    return np.array([front - slope * 1.45, slope, 0.02, smooth(0, 0.25, presence), presence], np.float32)


def turn_white(colour: Floats, white: Floats, share: float, random: Floats) -> Floats:
    """Colours (n, 3) of strands of which a share is white: grey hair is white and dark ones side by side. random (n,): 0..1."""
    whiteness = np.clip((1.3 * share - random) / 0.3, 0, 1)[:, None]
    return np.asarray(colour + (white - colour) * whiteness, np.float32)


def fade_in(presence: float) -> tuple[float, float]:
    """Opacity and growth (0..1) of something worn: opaque from two thirds on, and small until it is there as a whole.

    Half there, it is a smaller thing rather than a ghost; opacity rises evenly, since smooth steps on smooth steps would pop.
    """
    grown = min(1.0, max(0.0, presence))
    return min(1.0, 1.5 * grown), grown


@dataclass(frozen=True, eq=False)
class ChosenStrands:
    """Strands of one style that a person shows: numbers, lengths (shares), opacities, those at the root (n,); points of each."""

    name: str
    rows: Integers
    length: Floats
    alpha: Floats
    root: Floats
    count: int


def _choose_strands(d: HeadDescription, size: int) -> list[ChosenStrands]:
    """Which strands show: thinner and shorter towards the hair line; a style of small weight shows few and short ones."""
    chosen, detail = [], choose_detail(size)
    for name, weight in zip(HAIR_STYLES, d.styles, strict=True):
        if weight <= 0.005:
            continue
        style = load_styles()[name]
        n = int(len(style.dissolve) * detail)
        inside = style.edge[:n] - d.hair_recession * style.recedes[:n]
        fine = 0.03 if name in (*LONG_STYLES, "bun") else 0.0
        there = np.clip((1.08 * smooth(-0.06 + fine, 0.09 + fine, inside) - style.grown.random[:n]) / 0.08, 0, 1)
        # A long style comes in by its length rather than by its number of strands: between short and long hair lies hair of
        # middle length, and few long strands before the background would look like many.
        share = min(1.0, float(weight) / 0.95) ** 0.7
        grown = smooth(0, 1, (1.35 * smooth(0, 0.5, share) - style.dissolve[:n]) / 0.35)
        length = (0.45 + 0.55 * smooth(-0.02, 0.16, inside)) * grown * (1.0 if name == "bun" else d.hair_length)
        if name in SHORT_SIDES:  # clipped towards ears and nape, as short hair is
            length *= 0.5 + 0.5 * smooth(7.35, 8.0, style.grown.points[:n, 0, 1])
        length *= 1 - 0.95 * min(1.0, LENGTHS[name] / 0.9) * (1 - share)
        alpha = there * np.minimum(1, 3 * grown) * style.company[:n]
        rows = np.flatnonzero((alpha > 0.02) & (length > 0.02)).astype(np.int32)
        if len(rows):
            count = POINTS[name] + (0 if size <= 256 else 3)
            shares = np.minimum(1, length[rows]).astype(np.float32)
            root = 0.15 + 0.85 * smooth(0.0, 0.22, inside[rows])
            chosen.append(ChosenStrands(name, rows, shares, alpha[rows].astype(np.float32), root.astype(np.float32), count))
    return chosen


def grow_hair(d: HeadDescription, vertices: HeadVertices, rotation: Floats, size: int) -> list[StrandSet]:
    """Scalp hair and beard of a person, placed in the scene: no, one or two sets."""
    geometry, styles = load_geometry(), load_styles()
    nodes = displace_cage(geometry.cage_vertex, geometry.cage_weight, geometry.rest, vertices.rest)
    cage = (nodes, geometry.cage_low, geometry.cage_step, geometry.cage_shape)
    hem = place_hem(d)
    sets = []
    chosen = _choose_strands(d, size)
    if chosen:
        total = sum(len(part.rows) for part in chosen)
        points = np.zeros((total, max(part.count for part in chosen), 3), np.float32)
        shown = np.zeros(points.shape[:2], np.float32)
        start = 0
        for part in chosen:
            grown = styles[part.name].grown
            frequency = min(24.0, 2 * np.pi * (part.count - 1) / (LENGTHS[part.name] * 4.5))
            curl = 0.0 if part.name == "bun" else min(max(d.hair_curl, 0.0), 0.1)
            shape = np.array([d.hair_volume, curl, frequency], np.float32)
            bound = (grown.triangles, grown.corners, vertices.skin, geometry.rest, False, shape, grown.phase, hem)
            turn = (rotation, NECK, HEAD_CENTRE)
            place_strands(grown.points, part.rows, part.length, part.count, *cage, *bound, *turn, start, points, shown)
            rows = slice(start, start + len(part.rows))
            shown[rows, 0] *= part.root
            shown[rows, part.count - 1] *= TIP
            start += len(part.rows)
        thickness = [styles[part.name].grown.thickness[part.rows] * WIDTHS[part.name] for part in chosen]
        sets.append(
            StrandSet(
                "scalp",
                points,
                np.concatenate([np.full(len(part.rows), part.count, np.int32) for part in chosen]),
                shown,
                np.concatenate([part.alpha for part in chosen]),
                np.concatenate([styles[part.name].grown.random[part.rows] for part in chosen]),
                np.concatenate(thickness).astype(np.float32),
                turn_white(
                    d.hair_colour,
                    d.white_colour,
                    d.hair_grey,
                    np.concatenate([styles[part.name].white[part.rows] for part in chosen]),
                ),
                HAIR_RADIUS * choose_detail(size) ** -0.5 * (1.0 if size <= 256 else 0.7),
            )
        )
    beard = _grow_beard(d, vertices, rotation, size, cage, hem)
    return [*sets, beard] if beard else sets


def _grow_beard(
    d: HeadDescription,
    vertices: HeadVertices,
    rotation: Floats,
    size: int,
    cage: tuple[Floats, Floats, np.float32, Integers],
    hem: Floats,
) -> StrandSet | None:
    """The beard, rooted in the moving skin; None where no strand is left."""
    geometry, style, detail = load_geometry(), load_grown_hair().beard, choose_detail(size)
    n = int(len(style.random) * min(1.0, detail * 1.1))
    zones = style.zones[:n]
    density = zones @ np.array(measure_beard(d)) * smooth(*NECK_BEARD, style.points[:n, 0, 1])
    zone = np.minimum(1, zones.sum(1))
    long = min(max(d.beard_length, 0.0), 1.0)
    there = np.clip((1.75 * density - style.random[:n] * (0.25 + 0.75 * zone)) / 0.35, 0, 1) * smooth(0, 0.08, density)
    length = np.minimum(1, there * (0.13 + 0.87 * long**1.3) * (0.45 + 0.55 * zone))
    alpha = np.minimum(1, 4 * there)
    rows = np.flatnonzero((alpha > 0.02) & (length > 0.02)).astype(np.int32)
    if not len(rows):
        return None
    count = 4 if size <= 256 else 6
    points, shown = np.zeros((len(rows), count, 3), np.float32), np.zeros((len(rows), count), np.float32)
    shape = np.array([0, min(max(d.hair_curl, 0.0), 0.05) * 0.4, 24], np.float32)
    bound = (style.triangles, style.corners, vertices.skin, geometry.rest, True, shape, style.phase, hem)
    turn = (rotation, NECK, HEAD_CENTRE)
    place_strands(style.points, rows, length[rows].astype(np.float32), count, *cage, *bound, *turn, 0, points, shown)
    thickness = (0.5 + 0.5 * np.minimum(1, length[rows] / 0.4)).astype(np.float32)
    counts = np.full(len(rows), count, np.int32)
    tone, faint = style.random[rows], alpha[rows].astype(np.float32)
    colours = turn_white(d.beard_colour, d.white_colour, d.beard_grey, (tone * 7919) % 1)
    return StrandSet("beard", points, counts, shown, faint, tone, thickness, colours, 0.0023 * detail**-0.5)


# ---- brows: hairs in the coordinates of the brow (along, across), laid onto a grid of the moving forehead
BROW_X = (0.08, 0.14, 0.22, 0.33, 0.44, 0.54, 0.63)
BROW_Y = (7.468, 7.474, 7.484, 7.497, 7.502, 7.484, 7.435)
BROW_HALF = (0.027, 0.036, 0.040, 0.037, 0.031, 0.024, 0.016)
"""Middle and half width of the brow over \\|x\\| on the rest head."""
BROW_STEP = 0.03
BROW_WARMTH = np.array([1.12, 1.0, 0.80], np.float32)
"""Brows are seen against skin: without it grey ones look blue."""
BROW_COUNT = 1800
GRID_STEP = 0.02
GRID_X, GRID_Y = np.arange(-0.76, 0.765, GRID_STEP), np.arange(7.16, 7.845, GRID_STEP)


@dataclass(frozen=True, eq=False)
class BrowTemplate:
    """Triangles and weights (ny, nx, 3) of the forehead's grid; per hair (n,): side, along, across, random numbers, direction."""

    triangles: Integers
    corners: Floats
    side: Floats
    along: Floats
    across: Floats
    random: Floats
    thin: Floats
    direction: Floats
    length: Floats


def _bind_grid() -> tuple[Integers, Floats]:
    """Triangles of the rest skin in front (ny, nx, 3) that the grid's nodes lie on, and the weights of their corners."""
    geometry = load_geometry()
    shape = (len(GRID_Y), len(GRID_X))
    # The grid's nodes are the middles of samples of a picture of the rest head from the front, rows from the top down.
    places = np.stack(
        [
            (geometry.rest[:, 0] - GRID_X[0]) / GRID_STEP + 0.5,
            (GRID_Y[-1] - geometry.rest[:, 1]) / GRID_STEP + 0.5,
            -geometry.rest[:, 2],
        ],
        1,
    ).astype(np.float32)
    depth, ids, weights = np.full(shape, 1e9, np.float32), np.full(shape, -1, np.int32), np.zeros((*shape, 2), np.float32)
    quads = geometry.front_quads
    rasterise_quads(places, quads, depth, ids, weights, 0, False, geometry.masks["inside_mouth"], quads)
    ids, weights = ids[::-1], weights[::-1]
    corners = quads[ids >> 1]
    triangles = np.where((ids & 1)[..., None] == 1, corners[..., [0, 2, 3]], corners[..., [0, 1, 2]])
    return np.ascontiguousarray(triangles, np.int32), np.concatenate([weights, 1 - weights.sum(2, keepdims=True)], 2)


@lru_cache(maxsize=1)
def load_brows() -> BrowTemplate:
    """The grid on the forehead and the fixed random hairs, made once a process."""
    triangles, corners = _bind_grid()
    random = np.random.RandomState(7)
    along = random.rand(BROW_COUNT)
    across = np.clip(0.52 * random.randn(BROW_COUNT), -1.25, 1.25)
    direction = np.stack([0.30 + 0.95 * along, 0.85 - 1.35 * along - 0.30 * across], 1) + 0.13 * random.randn(BROW_COUNT, 2)
    length = (0.062 + 0.045 * random.rand(BROW_COUNT)) * (0.7 + 1.4 * along * (1 - along)) * (1 - 0.5 * smooth(0.6, 1.0, along))
    side = np.where(random.rand(BROW_COUNT) < 0.5, -1.0, 1.0)
    per_hair = [side, along, across, random.rand(BROW_COUNT), random.rand(BROW_COUNT)]
    single = [values.astype(np.float32) for values in (corners, *per_hair, direction, length)]
    return BrowTemplate(triangles, *single)


def _trace_brow(d: HeadDescription, x: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Height of the brow's middle and its half width over |x| on the rest head."""
    middle = (
        np.interp(x, BROW_X, BROW_Y) + d.brow_height + d.brow_arch * np.exp(-(((x - 0.44) / 0.13) ** 2)) + d.brow_angle * (x - 0.36)
    )
    return np.asarray(middle), np.asarray(0.006 + np.interp(x, BROW_X, BROW_HALF) * d.brow_thickness)


def _inner_end(d: HeadDescription) -> float:
    return 0.085 + d.brow_gap


def make_brow_table(d: HeadDescription) -> Floats:
    """The painted layer below the brow's hairs: height, half width and opacity over |x| in steps of BROW_STEP."""
    x = np.arange(25) * BROW_STEP
    middle, half = _trace_brow(d, x)
    inner = _inner_end(d)
    opacity = d.brow_fill * min(1.0, d.brow_density + 0.15) * smooth(inner - 0.05, inner + 0.10, x) * smooth(0.68, 0.48, x)
    half = half + 0.010
    return np.stack([middle, half, opacity]).astype(np.float32)


def place_forehead(vertices: HeadVertices) -> Floats:
    """The grid on the moving skin of forehead, brows and eyes: places (ny, nx, 3) of GRID_Y and GRID_X on the unturned head."""
    template = load_brows()
    return np.asarray(np.einsum("yxkc,yxk->yxc", vertices.skin[template.triangles], template.corners), np.float32)


def grow_brows(d: HeadDescription, vertices: HeadVertices, rotation: Floats, size: int) -> StrandSet:
    """Brow hairs on the moving skin; thinner and more of them in large pictures."""
    template = load_brows()
    n = BROW_COUNT if size > 256 else BROW_COUNT * 5 // 9
    along, across = template.along[:n].astype(float), template.across[:n].astype(float)
    soft = (0.35 + 0.65 * smooth(0, 0.22, along)) * (1 - 0.65 * smooth(0.62, 1.0, along))
    wanted = (
        min(1.0, max(0.0, d.brow_density))
        * soft
        * min(1.0, 0.45 + 0.6 * d.brow_thickness)
        * (1 - 0.35 * d.age * smooth(0.4, 1, along))
    )
    alpha = np.clip((1.15 * wanted - template.random[:n]) / 0.15, 0, 1)
    rows = np.flatnonzero(alpha > 0.02)
    along, across = along[rows], across[rows]
    inner = _inner_end(d)
    x = inner + (0.625 - inner) * along
    middle, half = _trace_brow(d, x)
    side = template.side[rows]
    grid = place_forehead(vertices)
    u = np.clip((side * x - GRID_X[0]) / GRID_STEP, 1, len(GRID_X) - 2.001)
    v = np.clip((middle + across * half - GRID_Y[0]) / GRID_STEP, 1, len(GRID_Y) - 2.001)
    i, j = u.astype(int), v.astype(int)
    fu, fv = (u - i)[:, None], (v - j)[:, None]
    low, high = grid[j, i] * (1 - fu) + grid[j, i + 1] * fu, grid[j + 1, i] * (1 - fu) + grid[j + 1, i + 1] * fu
    root = low * (1 - fv) + high * fv
    to_right = (grid[j, i + 1] - grid[j, i - 1] + grid[j + 1, i + 2] - grid[j + 1, i]) / (4 * GRID_STEP)
    to_up = (grid[j + 1, i] - grid[j - 1, i] + grid[j + 2, i + 1] - grid[j, i + 1]) / (4 * GRID_STEP)
    normal = np.cross(to_right, to_up)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    bend = template.direction[rows]
    way = to_right * (side * bend[:, 0])[:, None] + to_up * bend[:, 1:2]
    way /= np.linalg.norm(way, axis=1, keepdims=True) + 1e-9
    way += 0.22 * normal
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    length = (
        template.length[rows]
        * d.brow_length
        * min(1.0, 0.5 + 0.5 * d.brow_thickness)
        * (1 + 0.25 * d.age * template.thin[rows] ** 3)
    )[:, None, None]
    s = np.linspace(0, 1, 5)[None, :, None]
    points = root[:, None] + way[:, None] * length * s + normal[:, None] * (0.004 - 0.20 * length * s**2)
    points = points.astype(np.float32)
    turn_points(points.reshape(-1, 3), rotation, NECK, True)
    count = len(rows)
    thickness = (0.7 + 0.5 * template.thin[rows]).astype(np.float32)
    tone = (0.15 + 0.75 * template.thin[rows]).astype(np.float32)
    counts, shown = np.full(count, 5, np.int32), np.ones((count, 5), np.float32)
    radius = 0.0016 if size <= 256 else 0.0010
    colours = turn_white(d.brow_colour, d.white_colour * 0.55, d.brow_grey, (template.random[rows] * 7919) % 1) * BROW_WARMTH
    return StrandSet("brow", points, counts, shown, (0.8 * alpha[rows]).astype(np.float32), tone, thickness, colours, radius)


@lru_cache(maxsize=1)
def _lash_numbers() -> list[tuple[Floats, Floats, Floats]]:
    random = np.random.RandomState(0)
    return [
        (random.randn(400).astype(np.float32), random.rand(400).astype(np.float32), random.randn(400, 3).astype(np.float32))
        for _ in range(4)
    ]


def grow_lashes(d: HeadDescription, vertices: HeadVertices, rotation: Floats, size: int) -> StrandSet:
    """Lashes of all four lids, from the mesh's lash grids, moved with the lids' rims."""
    geometry = load_geometry()
    per_column = 3 if size <= 256 else 6
    parts, alpha = [], []
    for name, numbers in zip(("ll1", "ll2", "rl1", "rl2"), _lash_numbers(), strict=True):
        roots = geometry.lash_roots[name]
        grid = vertices.base[geometry.lash_grids[name]] + (vertices.skin[roots] - vertices.rest[roots])[None]
        columns = grid.shape[1]
        n = columns * per_column
        u = np.clip(np.linspace(0, columns - 1, n) + numbers[0][:n] * 0.1, 0, columns - 1.001)
        i = u.astype(int)
        f = (u - i)[None, :, None]
        strands = grid[:, i] * (1 - f) + grid[:, i + 1] * f
        length = (0.8 + 0.4 * numbers[1][:n]) * d.lash_length * (1.0 if name.endswith("2") else 0.38)
        strands = strands[:1] + (strands - strands[:1]) * length[None, :, None]
        strands[-1] += numbers[2][:n] * 0.006 * min(1.0, d.lash_length)
        parts.append(strands.transpose(1, 0, 2))
        alpha.append(np.full(n, 1.0 if name.endswith("2") else 0.55, np.float32))
    count = min(part.shape[1] for part in parts)
    points = np.concatenate([part[:, :count] for part in parts]).astype(np.float32)
    turn_points(points.reshape(-1, 3), rotation, NECK, True)
    n = len(points)
    ones, shown = np.ones(n, np.float32), np.ones((n, count), np.float32)
    radius = 0.0020 if size <= 256 else 0.0012
    colours = np.tile(np.asarray(LASH_COLOUR, np.float32), (n, 1))
    return StrandSet(
        "lash", points, np.full(n, count, np.int32), shown, np.concatenate(alpha), ones * np.float32(0.5), ones, colours, radius
    )
