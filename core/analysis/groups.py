"""Ways to part the people of one study in two."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from core.errors import LiminalError

if TYPE_CHECKING:
    from core.analysis.material import Material

FEWEST = 2
"""People a side."""
MOST_VALUES = 12
"""A fact about people with more different values than this parts nobody, unless it is a number."""


def groupings(material: Material) -> dict[str, dict[str, tuple[str, ...]]]:
    """What people can be parted by -> group -> raters: when they came, how quick they are, whether they pass the rules, and what
    they said about themselves. Only groups of at least FEWEST people, and at least two of them.
    """
    ratings = material.ratings
    counted = [rater for rater in material.exclusions.raters if rater not in material.excluded]
    own = ratings[ratings["rater"].isin(counted)]
    first_seen = own.groupby("rater")["created_at"].min().sort_values(kind="stable")
    median = own.groupby("rater")["reaction_time_ms"].median().dropna().sort_values(kind="stable")
    found = {
        "when they came": _halves(first_seen.index.tolist(), "came first", "came later"),
        "how quick they are": _halves(median.index.tolist(), "the quicker half", "the slower half"),
        "the rules of exclusion": {"attentive": tuple(counted), "left out by the rules": tuple(material.excluded)},
    }
    facts = {each.rater: each.demographics for each in material.raters if each.rater in set(counted)}
    for name in dict.fromkeys(key for each in facts.values() for key in each):
        values = pd.Series({rater: each[name] for rater, each in facts.items() if each.get(name) not in (None, "")})
        found[name.replace("_", " ")] = _by_fact(values)
    large = {name: {group: raters for group, raters in groups.items() if len(raters) >= FEWEST} for name, groups in found.items()}
    return {name: groups for name, groups in large.items() if len(groups) > 1}


def only(material: Material, raters: Collection[str]) -> Material:
    """The same study with the answers of some people, those who are left out by the rules too where they are named."""
    known = material.ratings["rater"].isin(list(raters))
    reasons = {rater: why for rater, why in material.excluded.items() if rater not in set(raters)}
    exclusions = replace(material.exclusions, raters=tuple(sorted(raters)), reasons=reasons)
    if not known.any():
        raise LiminalError("Nobody in this group has answered; choose another one.")
    return replace(material, ratings=material.ratings[known].reset_index(drop=True), exclusions=exclusions)


def _halves(raters: list[str], first: str, second: str) -> dict[str, tuple[str, ...]]:
    middle = len(raters) // 2
    return {first: tuple(raters[:middle]), second: tuple(raters[middle:])}


def _by_fact(values: pd.Series[Any]) -> dict[str, tuple[str, ...]]:
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().all() and numbers.nunique() > MOST_VALUES // 2:
        middle = float(numbers.median())
        low, high = numbers[numbers <= middle], numbers[numbers > middle]
        return {f"{middle:g} or less": tuple(low.index), f"more than {middle:g}": tuple(high.index)}
    groups = values.astype(str).groupby(values.astype(str)).groups
    return {str(name): tuple(raters) for name, raters in groups.items()} if len(groups) <= MOST_VALUES else {}
