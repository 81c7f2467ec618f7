"""Faces between two emotions, and the map of the way that each of them took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from ui.components import Verdict
from ui.components.mounting import mount, picks
from ui.emotion_words import Place


@dataclass(frozen=True)
class BoundaryFace:
    """One face: its tile, its way over the map and where it ended; ``src`` and ``place`` are None until it is made."""

    id: str
    src: str | None = None
    alt: str = ""
    words: str = ""
    note: str = ""
    verdict: Verdict = "none"  # open: could be either; closed: filtered out
    place: Place | None = None
    path: Sequence[Place] = ()


@dataclass(frozen=True)
class BoundaryGroup:
    """Faces under one heading."""

    faces: Sequence[BoundaryFace]
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class BaseFace:
    """The face that all others started from."""

    src: str
    alt: str
    title: str
    words: str = ""
    place: Place | None = None


def boundary(
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
        on_picked_change=picks(key, on_pick),
    )
