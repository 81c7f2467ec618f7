"""Components with their own JavaScript that show faces: each is a .js and a .css file of this folder, mounted by a function.

The theme and the view for an audience, faces in groups, a gallery, an interpolation strip, the wall of strangers under a threshold,
running searches, rankings with intervals, what machine and people mind, activations (paper B, Fig. 8), boundary samples with their
paths over the map (paper B, Fig. 6), a morph under a slider, and the face map (points that can be moved, magnified and drawn
around; faces where they do not overlap).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from ui.pictures import asset_url

if TYPE_CHECKING:
    from core.sampling.stored.gallery import Gallery  # the masthead loads no core.sampling


COMPONENTS = Path(__file__).resolve().parent


@cache
def _read_source(name: str, kind: str) -> str:
    return (COMPONENTS / f"{name}.{kind}").read_text(encoding="utf-8")


def mount(name: str, inner: str = "", *, parts: tuple[str, ...] = ()) -> Any:
    """The component of that name; ``parts``: further JavaScript files that its own builds on, put before it.

    Registered on every run: a cheap dictionary entry, and the registry belongs to the server.
    """
    return st.components.v2.component(
        f"liminal_{name}",
        html=f'<div class="{name}-root">{inner}</div>',
        css=_read_source(name, "css"),
        js="\n".join(_read_source(file, "js") for file in (*parts, name)),
        isolate_styles=False,
    )


def pick_callback(key: str, on_pick: Callable[[str], None]) -> Callable[[], None]:
    """The callback of a component's ``picked`` value: passes on the id of what was pressed."""

    def picked() -> None:
        identifier = st.session_state[key].get("picked")
        if identifier:
            on_pick(identifier)

    return picked


Verdict = Literal["open", "closed", "none"]


def sync_theme(page: str = "") -> None:
    """Tell the whole document whether the theme is light or dark, and the masthead which page is open; again when that changes.

    page: its address, "" for the first.
    """
    mount("theme")(data={"page": page}, key="theme")


def offer_presenting(*, private: bool) -> None:
    """The page for an audience (``?present=1``), and a talk: a list of views that this browser keeps.

    private: the page shows what was made from a visitor's photo, of which nothing is kept.
    """
    mount("present")(data={"private": private}, key="present")


@dataclass(frozen=True)
class Tile:
    """One face that can be pressed."""

    id: str
    src: str
    alt: str
    title: str = ""
    words: str = ""  # the verdict, in words
    note: str = ""
    verdict: Verdict | None = None


@dataclass(frozen=True)
class FaceGroup:
    """Faces under one heading."""

    tiles: Sequence[Tile]
    title: str = ""
    note: str = ""
    columns: int | None = None


def show_faces(
    groups: Sequence[FaceGroup],
    *,
    key: str,
    on_pick: Callable[[str], None],
    selected: str | None = None,
    layout: Literal["grid", "strip", "rows"] = "grid",
    tile: str = "9rem",
    follow: str = "",
) -> None:
    """Groups of faces; ``on_pick`` is called with the id of the one that was pressed.

    follow: key of the container to scroll to when the first faces appear.
    """
    mount("faces")(
        data={
            "groups": [asdict(group) for group in groups],
            "selected": selected,
            "layout": layout,
            "tile": tile,
            "follow": follow,
        },
        key=key,
        on_picked_change=pick_callback(key, on_pick),
    )


def show_gallery(gallery: Gallery, selected: str, *, on_pick: Callable[[str], None]) -> None:
    """The gallery's faces in a strip, one of them selected."""
    tiles = [Tile(base.base_id, asset_url(base.image), f"Generated face: {base.title}") for base in gallery.bases]
    show_faces([FaceGroup(tiles)], key="gallery", on_pick=on_pick, selected=selected, layout="strip", tile="6.4rem")


@dataclass(frozen=True)
class FrameDistances:
    """One recogniser's distances from a strip's first frame to each frame (None where no face was found), and its threshold."""

    title: str
    distances: Sequence[float | None]
    threshold: float


def show_strip(
    frames: Sequence[str],
    opinions: Sequence[FrameDistances],
    *,
    key: str,
    start: str,
    end: str,
    phone: bool = False,
    playable: bool = True,
    at: int = 0,
) -> None:
    """A face turning from the first picture to the last, with the verdict of exactly the picture shown, by the first recogniser."""
    guard, *others = opinions
    mount("walk")(
        data={
            "frames": list(frames),
            "recogniser": guard.title,
            "distances": list(guard.distances),
            "threshold": guard.threshold,
            "others": [asdict(other) for other in others],
            "start": start,
            "end": end,
            "phone": phone,
            "playable": playable,
            "at": at,
        },
        key=key,
    )


@dataclass(frozen=True)
class ThresholdMark:
    """A threshold to choose with one press."""

    value: float
    label: str


@dataclass(frozen=True)
class WallTile:
    """A stranger on the wall, with its distance to the owner."""

    id: str
    src: str
    distance: float


def show_threshold_wall(
    *,
    identity: str,
    distances: Sequence[float],
    wall: Sequence[WallTile],
    threshold: float,
    bounds: tuple[float, float],
    marks: Sequence[ThresholdMark],
    recogniser: str,
    source: str,
    note: str,
    key: str,
    on_threshold: Callable[[float], None],
    on_pick: Callable[[str], None],
    genuine: Sequence[float] = (),
) -> None:
    """The wall of strangers under a threshold that can be dragged. ``identity`` changes when distances or pictures do.

    genuine: distances of the owner to the owner's own face in other scenes, where they are known.
    """

    def moved() -> None:
        value = st.session_state[key].get("threshold")
        if value is not None:
            on_threshold(float(value))

    mount("judge")(
        data={
            "id": identity,
            "distances": list(distances),
            "wall": [asdict(face) for face in wall],
            "threshold": threshold,
            "low": bounds[0],
            "high": bounds[1],
            "marks": [asdict(mark) for mark in marks],
            "recogniser": recogniser,
            "source": source,
            "note": note,
            "genuine": list(genuine),
        },
        key=key,
        on_threshold_change=moved,
        on_picked_change=pick_callback(key, on_pick),
    )


@dataclass(frozen=True)
class SearchCurve:
    """One search: best face so far and (iteration, best distance) pairs."""

    src: str | None
    curve: Sequence[tuple[int, float | None]]
    words: str
    verdict: Verdict = "none"


def show_search_chart(
    runs: Sequence[SearchCurve], *, iterations: int, targets: Sequence[ThresholdMark], axis: str, alt: str, key: str
) -> None:
    """Searches while they run: best faces so far and falling distances."""
    mount("search", '<div class="search-faces"></div><div class="search-chart"></div>')(
        data={
            "runs": [asdict(run) for run in runs],
            "iterations": iterations,
            "targets": [asdict(target) for target in targets],
            "axis": axis,
            "alt": alt,
        },
        key=key,
    )


@dataclass(frozen=True)
class RankedTile:
    """One tile. at, low, high: the score and its interval as positions on the score's range, 0 to 1; None where there are none."""

    id: str
    pictures: Sequence[str]  # addresses, from above to below
    alt: str
    place: str  # in the ranking
    score: str
    words: Sequence[str]  # the answers, a line each
    interval: str = ""
    at: float | None = None
    low: float | None = None
    high: float | None = None
    mark: str = ""  # a caveat on the score


def show_ranking(
    tiles: Sequence[RankedTile],
    *,
    key: str,
    ends: tuple[str, str],
    zero: float | None,
    on_pick: Callable[[str], None],
    selected: str | None = None,
) -> None:
    """Tiles in the order of their scores. ``on_pick`` is called with the id of the tile that was pressed.

    ends: names of the range's ends. zero: the position of a score of 0 on it, 0 to 1; None: at its beginning.
    """
    mount("ranking")(
        data={"tiles": [asdict(tile) for tile in tiles], "ends": list(ends), "zero": zero, "selected": selected},
        key=key,
        on_picked_change=pick_callback(key, on_pick),
    )


@dataclass(frozen=True)
class CauseValue:
    """A value and its interval as positions on their axis, 0 to 1, and in words. hollow: predicted, or simulated."""

    at: float
    low: float | None
    high: float | None
    text: str
    hollow: bool = False


@dataclass(frozen=True)
class CauseRow:
    """One part of the face that was moved alone: pictures of both ends (None: not drawn yet), and what each side minds."""

    id: str
    title: str
    group: str
    kind: str
    alt: str
    low_words: str
    high_words: str
    machine: CauseValue
    people: CauseValue | None = None
    low: str | None = None
    high: str | None = None


def show_causes(
    rows: Sequence[CauseRow],
    *,
    machine: tuple[str, str],
    people: tuple[str, str],
    key: str,
    on_pick: Callable[[str], None],
    selected: str | None = None,
) -> None:
    """The rows in their order. machine, people: each side's name and axis in words. ``on_pick`` gets the row that was pressed."""
    mount("causes")(
        data={
            "rows": [asdict(row) for row in rows],
            "machine": machine[0],
            "machine_axis": machine[1],
            "people": people[0],
            "people_axis": people[1],
            "selected": selected,
        },
        key=key,
        on_picked_change=pick_callback(key, on_pick),
    )


@dataclass(frozen=True)
class ActivationMark:
    """A face on the scale of one emotion."""

    id: str
    value: float  # logit
    words: str
    verdict: Verdict


@dataclass(frozen=True)
class Activation:
    """The distribution of one emotion's logits: counts in bins of equal width from ``low`` to ``high``."""

    emotion: str
    counts: Sequence[int]
    low: float
    high: float
    percentile: float  # the filter's limit
    wanted: bool  # one of the pair
    marks: Sequence[ActivationMark]


def show_activations(rows: Sequence[Activation], *, key: str, on_pick: Callable[[str], None]) -> None:
    """Six small distributions; ``on_pick`` is called with the id of a face whose mark was pressed."""
    mount("activations")(data={"rows": [asdict(row) for row in rows]}, key=key, on_picked_change=pick_callback(key, on_pick))


MapPosition = tuple[float, float]
"""Shares of the first and of the second emotion of a pair, in [0, 1]."""


@dataclass(frozen=True)
class FaceChange:
    """What one part of a face does more (or less) than in the base, 1 where an action is fully done: 'mouth open', 0.3."""

    words: str
    change: float


@dataclass(frozen=True)
class BoundaryFace:
    """One face: its tile, its path over the map and its position there; ``src`` and ``place`` are None until it is made."""

    id: str
    src: str | None = None
    alt: str = ""
    words: str = ""
    note: str = ""
    verdict: Verdict = "none"  # open: kept; closed: filtered out
    place: MapPosition | None = None
    path: Sequence[MapPosition] = ()
    changes: Sequence[FaceChange] = ()


@dataclass(frozen=True)
class BoundaryGroup:
    """Faces under one heading."""

    faces: Sequence[BoundaryFace]
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class BaseFace:
    """The face that all others start from."""

    src: str
    alt: str
    title: str
    words: str = ""
    place: MapPosition | None = None


def show_boundary_map(
    groups: Sequence[BoundaryGroup],
    base: BaseFace,
    emotions: tuple[str, str],
    *,
    rule: float,
    key: str,
    follow: bool = False,
    on_pick: Callable[[str], None],
) -> None:
    """Tiles beside the base and the map of paper B's Fig. 6.

    ``rule``: the share that divides the map's regions; ``follow``: scroll there when it first appears.
    ``on_pick`` is called with the id of the face that was pressed.
    """
    mount("boundary")(
        data={
            "groups": [asdict(group) for group in groups],
            "base": asdict(base),
            "emotions": list(emotions),
            "rule": rule,
            "follow": follow,
        },
        key=key,
        on_picked_change=pick_callback(key, on_pick),
    )


@dataclass(frozen=True)
class GridCell:
    """One face of the grid of two feelings. src: None until it is made.

    side: 0 or 1, the feeling of the pair that a network finds strongest, -1 another one (``other``); share: how likely it finds it;
    votes: answers for the first feeling, for others, and for the second one.
    """

    id: str
    src: str | None = None
    alt: str = ""
    side: int = -1
    other: str = ""
    share: float = 0.0
    votes: Sequence[int] = ()


def show_feeling_grid(
    cells: Sequence[GridCell],
    lines: Sequence[tuple[float, float, float, float]],
    *,
    emotions: tuple[str, str],
    side: int,
    key: str,
    on_pick: Callable[[str], None],
) -> None:
    """Faces of one person, the first feeling growing upward and the second to the right; ``on_pick`` gets the id of one pressed.

    cells: row by row, the weakest first feeling first; lines: the boundary, x1, y1, x2, y2 in columns and rows of ``cells``.
    """
    mount("feeling_grid")(
        data={"cells": [asdict(cell) for cell in cells], "lines": list(lines), "emotions": list(emotions), "side": side},
        key=key,
        on_picked_change=pick_callback(key, on_pick),
    )


@dataclass(frozen=True)
class MorphVoice:
    """One network along the row: six shares a frame (None while it is not made), where its answer flips, and that in words."""

    title: str
    part: str  # whether it steered
    shares: Sequence[Sequence[float] | None]
    flips: Sequence[float]  # in [0, 1] of the way
    even: Sequence[float]  # where both are equally likely by a curve through all frames, and its interval's ends; empty: nowhere
    words: str  # "" while the row is not complete


def show_morph_row(
    frames: Sequence[str | None],
    voices: Sequence[MorphVoice],
    *,
    emotions: Sequence[str],
    pair: tuple[int, int],
    key: str,
    follow: bool = False,
) -> None:
    """A row of faces under a slider, and every network's shares along it.

    frames: addresses, None while a frame is not made; pair: from which of ``emotions`` to which; follow: scroll there when it first
    appears.
    """
    mount("morph")(
        data={
            "frames": list(frames),
            "voices": [asdict(voice) for voice in voices],
            "emotions": list(emotions),
            "pair": list(pair),
            "follow": follow,
        },
        key=key,
    )


FACE_MAP_PARTS = ("map_points", "map_thinning")


@dataclass(frozen=True)
class MapPoint:
    """A face drawn at its own position on the map: one that was just made, or one that has a name there."""

    x: float
    y: float
    label: str
    src: str


def show_face_map(
    *,
    url: str,
    count: int,
    sets: Sequence[str],
    colour: Mapping[str, Any],
    selected: NDArray[np.bool_],
    marked: Sequence[MapPoint],
    extras: Sequence[MapPoint],
    key: str,
    on_select: Callable[[NDArray[np.bool_]], None],
) -> None:
    """The map. url: where positions, ids and sets of ``count`` faces are (``ui.analysis.map_page.pack_positions``).

    colour: what the points' colours mean (``ui.analysis.map_page.ColourCoding``).
    ``on_select`` is called with what was drawn around, one value a face. selected: what is marked now.
    """

    def chosen() -> None:
        bits = st.session_state[key].get("selected")
        if bits is not None:
            on_select(unpack_bits(bits, count))

    mount("face_map", parts=FACE_MAP_PARTS)(
        data={
            "url": url,
            "count": count,
            "sets": list(sets),
            "colour": dict(colour),
            "selected": pack_bits(selected),
            "marked": [asdict(point) for point in marked],
            "extras": [asdict(point) for point in extras],
        },
        key=key,
        on_selected_change=chosen,
    )


def pack_bits(chosen: NDArray[np.bool_]) -> str:
    """One bit a face, the first in the lowest bit, as base64; '' for none."""
    return base64.b64encode(np.packbits(chosen, bitorder="little").tobytes()).decode() if chosen.any() else ""


def unpack_bits(bits: str, count: int) -> NDArray[np.bool_]:
    """The inverse of ``pack_bits``: ``count`` values, whatever a browser sends."""
    try:
        content = np.frombuffer(base64.b64decode(str(bits), validate=True), np.uint8)
    except ValueError:
        content = np.zeros(0, np.uint8)
    chosen = np.unpackbits(content, bitorder="little")[:count].astype(bool)
    return np.pad(chosen, (0, count - len(chosen)))
