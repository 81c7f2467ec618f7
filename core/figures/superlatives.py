"""Which of several estimates is the highest or the lowest, as far as their intervals tell: no winner where these overlap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from core.analysis.estimate import Estimate
from core.figures.theme import format_interval, join_names

LEAST_VALUES = 5
"""An estimate of fewer values takes part in no comparison."""
MAX_NAMED = 2


def find_extreme(estimates: Mapping[str, Estimate], *, highest: bool = True) -> list[str]:
    """Names that may be the highest (else the lowest) one: the most extreme estimate, then all whose intervals reach its own.

    One name alone stands out. Empty where fewer than two have an interval over LEAST_VALUES values.
    """
    known = {
        name: estimate
        for name, estimate in estimates.items()
        if estimate.n >= LEAST_VALUES and math.isfinite(estimate.value) and math.isfinite(estimate.low + estimate.high)
    }
    if len(known) < 2:
        return []
    ranked = sorted(known, key=lambda name: known[name].value, reverse=highest)
    first = known[ranked[0]]
    tied = [name for name in ranked[1:] if (known[name].high >= first.low if highest else known[name].low <= first.high)]
    return [ranked[0], *tied]


def name_tied(names: list[str]) -> str:
    """'a and b', and of many '4 others'."""
    return join_names(names) if len(names) <= MAX_NAMED else f"{len(names)} others"


def describe_extremes(
    measure: str, estimates: Mapping[str, Estimate], total: Estimate | None, *, digits: int = 2, unit: str = ""
) -> str:
    """Say for which samples a measure is highest and lowest, as far as intervals tell. total: over all samples."""

    def value_of(estimate: Estimate) -> str:
        return format_interval(estimate.value, estimate.low, estimate.high, digits, unit)

    measure = f"{measure[:1].upper()}{measure[1:]}"
    highest, lowest = find_extreme(estimates), find_extreme(estimates, highest=False)
    if not highest or set(highest) & set(lowest):
        over_all = f" is {value_of(total)} over all samples" if total is not None else " is compared"
        if len(estimates) < 2:
            return f"{measure}{over_all}."
        why = "intervals overlap" if highest else "there are too few values"
        return f"{measure}{over_all}; for which kind it is highest or lowest cannot be told, as {why}."
    parts = []
    for word, names in (("highest", highest), ("lowest", lowest)):
        first = f"{names[0]}: {value_of(estimates[names[0]])}"
        tied = "" if len(names) == 1 else f", with no clear difference from {name_tied(names[1:])}"
        parts.append(f"{word} for {first}{tied}")
    return f"{measure} is {parts[0]}; it is {parts[1]}."


def describe_strongest(cells: Sequence[Mapping[Any, Any]]) -> str:
    """Say which measure goes most closely with rated identity, among correlations that are not chance (Holm)."""
    sure = [cell for cell in cells if math.isfinite(cell["r"]) and cell["p"] < 0.05]
    if not sure:
        return "No correlation with rated identity can be told from chance."
    sure.sort(key=lambda cell: -abs(cell["r"]))
    first = sure[0]
    reach = min(abs(first["low"]), abs(first["high"]))  # the interval does not hold 0
    tied = [cell for cell in sure[1:] if not max(abs(cell["low"]), abs(cell["high"])) < reach]
    most = "goes most closely" if not tied else "goes closely"
    rest = f"; {len(tied)} other correlation{'s' * (len(tied) != 1)} cannot be told apart from it" if tied else ""
    r = f"{first['r']:.2f}".replace("-", "−")
    return f"Among {first['sample_type']} samples, {first['measure']} {most} with rated identity (r = {r}){rest}."
