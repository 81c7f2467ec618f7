"""How strongly a network answers to plain faces, emotion by emotion, with some faces marked on it (paper B, Fig. 8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from ui.components import Verdict
from ui.components.mounting import mount, picks


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


def activations(rows: Sequence[Activation], *, key: str, on_pick: Callable[[str], None]) -> None:
    """Six small distributions; ``on_pick`` is called with the id of a face whose mark was pressed."""
    mount("activations")(data={"rows": [asdict(row) for row in rows]}, key=key, on_picked_change=picks(key, on_pick))
