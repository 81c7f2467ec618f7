"""Both sides of a comparison on one axis, and their difference beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from core.analysis.acceptance import ORDER
from core.analysis.comparison import Comparison
from core.figures import theme
from core.figures.dots import dots
from core.figures.exhibits.exhibit import Exhibit


def exhibits(found: Comparison, key: str, measure: str, *, share: bool, source: str) -> list[Exhibit]:
    """Both sides on one axis, and the difference beside them."""
    table = found.table
    sides = pd.concat(
        [
            pd.DataFrame(
                {
                    "name": table["name"],
                    "series": title,
                    "value": table[of],
                    "low": table[f"{of}_low"],
                    "high": table[f"{of}_high"],
                    "n": table[f"{of}_n"],
                }
            )
            for of, title in (("first", found.first), ("second", found.second))
        ],
        ignore_index=True,
    )
    apart = table.rename(columns={"difference": "value"})[["name", "value", "low", "high"]].assign(
        n=table[["first_n", "second_n"]].min(axis=1)
    )
    noun = "pairs" if table["name"].isin(ORDER).any() else "faces"
    n = f"{found.basis.images:,} {noun}" + (f", {found.basis.raters:,} raters" if found.basis.raters else "")
    whole = table[table["name"] == "all"].iloc[0]
    digits, factor, unit = (0, 100.0, " %") if share else (1, 1.0, "")

    def said(value: float) -> str:
        return theme.number(factor * value, digits)

    titled = f"{measure[:1].upper()}{measure[1:]}"
    values = f"{said(whole['first'])}{unit} for {found.first}, {said(whole['second'])}{unit} for {found.second}"
    first = f"{titled}: {values}."
    clear = found.clear()
    clear = clear[clear["name"] != "all"]
    if np.isfinite(whole["difference"]):
        sure = whole["low"] > 0 or whole["high"] < 0
        points = "percentage points" if share else "bits" if measure.endswith("bits") else "points"
        way = "above" if whole["difference"] > 0 else "below"
        second = (
            f"{found.second[:1].upper()}{found.second[1:]} lies {said(abs(whole['difference']))} {points} {way} {found.first} "
            f"({_between(whole, sure, said)})" + (", a clear difference." if sure else ", which may be chance.")
        )
        if len(clear):
            few = theme.listed([str(name) for name in clear["name"].head(4)])
            second += f" Row by row it is clear for {few}{' and others' if len(clear) > 4 else ''}."
    else:
        second = "There is nothing to compare: one side has no values."
    definition = (
        f"{titled}, by {'type of sample' if table['name'].isin(ORDER).any() else 'pair of feelings'}. The difference is "
        f"{found.second} minus {found.first}; where its interval holds 0, it may be chance. Intervals are not corrected for "
        "looking at several rows."
    )
    return [
        Exhibit(
            f"{key}-both",
            dots(sides, measure=measure, says=first, n=n, interval=found.interval, source=source, share=share),
            sides,
            definition,
            found.note,
            found,
        ),
        Exhibit(
            f"{key}-difference",
            dots(
                apart,
                measure=f"difference in {measure}",
                says=second,
                n=n,
                interval=found.interval,
                source=source,
                share=share,
                reference=(0.0, "no difference"),
            ),
            apart,
            definition,
        ),
    ]


def _between(whole: pd.Series[Any], sure: bool, said: Callable[[float], str]) -> str:
    """The interval of a difference whose direction was said already."""
    low, high = float(whole["low"]), float(whole["high"])
    if not sure:
        return f"{said(-low)} below to {said(high)} above"
    return f"{said(min(abs(low), abs(high)))} to {said(max(abs(low), abs(high)))}"
