"""How near an inversion came, in words: the same on the page and on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.models import registry

if TYPE_CHECKING:
    from core.sampling.inversion import Inversion

NOT_YOU = "A small generator cannot make most real faces: this is the nearest one it has, not you."


def verdict(found: Inversion) -> str:
    """What the recognisers say, in one sentence."""
    said: dict[bool | None, list[str]] = {True: [], False: [], None: []}
    for each in found.likenesses:
        said[each.same_person].append(registry.entry(each.recogniser).title)
    parts = []
    if said[True]:
        parts.append(f"{_listed(said[True])} {_take(said[True])} the two for the same person")
    if said[False]:
        parts.append(f"{_listed(said[False])} {_take(said[False])} them for two different people")
    if said[None]:
        parts.append(f"{_listed(said[None])} {'finds' if len(said[None]) == 1 else 'find'} no face in one of them")
    return "; ".join(parts) + "."


def facts(found: Inversion) -> list[tuple[str, str]]:
    """Numbers with the words that say what they mean."""
    rows = [
        (
            f"{found.lpips:.2f}",
            f"how different the two pictures look (LPIPS); 0 is the same picture, and the search began at {found.start_lpips:.2f}",
        )
    ]
    for each in found.likenesses:
        if each.same_person is not None:
            title = registry.entry(each.recogniser).title
            rows.append((f"{each.distance:.2f}", f"apart for {title}; under {each.threshold:.2f} is the same person"))
    return rows


def _listed(titles: Sequence[str]) -> str:
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"


def _take(titles: Sequence[str]) -> str:
    return "takes" if len(titles) == 1 else "take"
