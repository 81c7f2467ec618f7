"""Components with their own JavaScript: each is a .js and a .css file here, mounted by a function that says what it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import streamlit as st

from ui.components.mounting import mount, picks
from ui.images import asset_url

if TYPE_CHECKING:
    from core.sampling.gallery import Gallery

Verdict = Literal["open", "closed", "none"]


def theme(page: str = "") -> None:
    """Tells the whole document whether the theme is light or dark, and the masthead which page is open; again when that changes.

    page: its address, "" for the first.
    """
    mount("theme")(data={"page": page}, key="theme")


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
class Group:
    """Faces under one heading."""

    tiles: Sequence[Tile]
    title: str = ""
    note: str = ""
    columns: int | None = None


def faces(
    groups: Sequence[Group],
    *,
    key: str,
    on_pick: Callable[[str], None],
    selected: str | None = None,
    layout: Literal["grid", "strip", "rows"] = "grid",
    tile: str = "9rem",
) -> None:
    """Groups of faces; ``on_pick`` is called with the id of the one that was pressed."""

    mount("faces")(
        data={"groups": [asdict(group) for group in groups], "selected": selected, "layout": layout, "tile": tile},
        key=key,
        on_picked_change=picks(key, on_pick),
    )


def gallery(gallery: Gallery, selected: str, *, on_pick: Callable[[str], None]) -> None:
    """The gallery's faces in a strip, one of them selected."""
    tiles = [Tile(base.base_id, asset_url(base.image), f"Generated face: {base.title}") for base in gallery.bases]
    faces([Group(tiles)], key="gallery", on_pick=on_pick, selected=selected, layout="strip", tile="6.4rem")


@dataclass(frozen=True)
class Opinion:
    """What one recogniser says of each frame of a walk: distances (None where no face was found) and its threshold."""

    title: str
    distances: Sequence[float | None]
    threshold: float


def walk(
    frames: Sequence[str],
    opinions: Sequence[Opinion],
    *,
    key: str,
    start: str,
    end: str,
    phone: bool = False,
    playable: bool = True,
    at: int = 0,
) -> None:
    """A face walking from the first picture to the last, with the verdict of exactly the picture shown; the first opinion leads."""
    lead, *others = opinions
    mount("walk")(
        data={
            "frames": list(frames),
            "recogniser": lead.title,
            "distances": list(lead.distances),
            "threshold": lead.threshold,
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
class Mark:
    """A ready-made threshold."""

    value: float
    label: str


@dataclass(frozen=True)
class WallFace:
    """A stranger on the wall."""

    id: str
    src: str
    distance: float


def judge(
    *,
    identity: str,
    distances: Sequence[float],
    wall: Sequence[WallFace],
    threshold: float,
    bounds: tuple[float, float],
    marks: Sequence[Mark],
    recogniser: str,
    source: str,
    note: str,
    key: str,
    on_threshold: Callable[[float], None],
    on_pick: Callable[[str], None],
) -> None:
    """The wall of strangers under a threshold that can be dragged. ``identity`` changes when distances or pictures do."""

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
        },
        key=key,
        on_threshold_change=moved,
        on_picked_change=picks(key, on_pick),
    )


@dataclass(frozen=True)
class Run:
    """One search: best face so far and (iteration, best distance) pairs."""

    src: str | None
    curve: Sequence[tuple[int, float | None]]
    words: str
    verdict: Verdict = "none"


def search(runs: Sequence[Run], *, iterations: int, targets: Sequence[Mark], axis: str, alt: str, key: str) -> None:
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
