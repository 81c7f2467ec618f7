"""Groups of raters by what they said of themselves, so that one group can be looked at beside another."""

from __future__ import annotations

from collections.abc import Sequence

from core.studies.study import Rater

LEAST = 2
"""Raters of a group that is offered: a single person's answers are nobody else's business."""
AGES = ((0, 24), (25, 34), (35, 49), (50, 120))
"""Years, both ends included."""


def groups(raters: Sequence[Rater]) -> dict[str, frozenset[str]]:
    """Name of each group -> the raters in it: by gender as they said it, and by age; those with fewer than LEAST are left out."""
    found: dict[str, set[str]] = {}
    for rater in raters:
        gender = str(rater.demographics.get("gender", "")).strip().lower()
        if gender:
            found.setdefault(f"gender: {gender}", set()).add(rater.rater)
        age = rater.demographics.get("age")
        if isinstance(age, int | float) and not isinstance(age, bool):
            for low, high in AGES:
                if low <= age <= high:
                    found.setdefault(_named(low, high), set()).add(rater.rater)
    ordered = sorted(found, key=lambda name: (not name.startswith("gender"), name))
    return {name: frozenset(found[name]) for name in ordered if len(found[name]) >= LEAST}


def _named(low: int, high: int) -> str:
    return f"age: up to {high}" if low == 0 else f"age: from {low}" if high == AGES[-1][1] else f"age: {low} to {high}"
