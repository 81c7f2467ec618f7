"""What asking the question that tells most saves, against asking at random: simulated people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from core.figures import alignment as drawn
from core.figures import theme
from core.figures.exhibits.exhibit import Exhibit, estimate

if TYPE_CHECKING:
    from core.alignment.next_simulation import NextQuestion

RANDOM, CHOSEN, NEAR = "at random", "what tells most", "at random, between these two feelings"


def saved(found: NextQuestion) -> Exhibit:
    """How fast people become known, by order of asking."""
    data = pd.DataFrame(
        [
            {"answers": n, "order": name, **estimate(each)}
            for name, series in ((RANDOM, found.random), (CHOSEN, found.chosen), (NEAR, found.near))
            for n, each in zip(found.answers, series, strict=bool(series))
        ]
    )
    size = f"{found.basis.raters:,} simulated people"
    return Exhibit(
        "saved",
        drawn.asking(data, says=sentence(found), n=size, interval=found.interval, source="simulated"),
        data,
        f"How many bits the guess of an answer is worse than knowing the person exactly, on {_judged(found)} that are never asked "
        "about, after so many answers. 0 is as good as it can get. What tells most: out of faces of all kinds, the one whose "
        "answer is expected to improve these guesses most.",
        limits(found),
        numbers=found,
    )


def sentence(found: NextQuestion) -> str:
    """How many answers choosing saved, or that it cannot be told."""
    total, needed = found.answers[-1], found.needed
    worth = f"{needed.value:.0f} answers to what tells most ({needed.low:.0f} to {needed.high:.0f}) are worth {total} at random"
    if found.note:
        return f"In {total} questions asking what tells most did not get as far as asking at random."
    if needed.high >= total:
        return f"Whether asking what tells most saves answers cannot be told: {worth}."
    return f"{worth}: {theme.percent(found.share.value)} of them."


def limits(found: NextQuestion) -> str:
    """What the saving comes from, and how much could be saved at best."""
    each = found.near_share
    if math.isfinite(each.value):
        told = (
            f"Asking at random, but only about faces between the two feelings, takes {theme.percent(each.value)} "
            f"({theme.percent(each.low)} to {theme.percent(each.high)}): what matters is to ask about the right faces."
        )
    else:
        told = (
            "Here any face tells nearly as much as any other: even the best order would need "
            f"{theme.percent(found.possible)} of the answers, if people were as the model takes them to be."
        )
    return f"{found.note} {told}".strip()


def _judged(found: NextQuestion) -> str:
    if found.goal == "everything":
        return "faces of all kinds"
    pairs = theme.listed([" and ".join(pair) for pair in found.pairs])
    return f"faces between two feelings ({pairs}; each person has one of these)"
