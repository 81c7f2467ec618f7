"""Faces in the order of a score, each with its interval: a base above its sample, or one face."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from ui.components.mounting import mount, picks


@dataclass(frozen=True)
class Ranked:
    """One tile. at, low, high: places on the score's range, 0 to 1, None where there are none."""

    id: str
    pictures: Sequence[str]  # addresses, from above to below
    alt: str
    place: str  # in the ranking
    score: str
    words: Sequence[str]  # what was said, a line each
    interval: str = ""
    at: float | None = None
    low: float | None = None
    high: float | None = None
    mark: str = ""  # what speaks against believing the score


def ranking(
    tiles: Sequence[Ranked],
    *,
    key: str,
    ends: tuple[str, str],
    zero: float | None,
    on_pick: Callable[[str], None],
    selected: str | None = None,
) -> None:
    """``ends``: what the ends of the range are called; ``zero``: where nothing lies on it, 0 to 1, None: at its beginning.

    ``on_pick`` is called with the id of the tile that was pressed.
    """
    mount("ranking")(
        data={"tiles": [asdict(tile) for tile in tiles], "ends": list(ends), "zero": zero, "selected": selected},
        key=key,
        on_picked_change=picks(key, on_pick),
    )
