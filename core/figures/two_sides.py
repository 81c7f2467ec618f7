"""Both sides of a comparison on one axis and their difference beside it, as two exhibits; figures that share their axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.analysis.comparison import Comparison
from core.errors import LiminalError
from core.figures import theme
from core.figures.dots import plot_dots
from core.figures.exhibit import Exhibit

PANEL_GAP = 0.05


def place_side_by_side(figures: Sequence[tuple[str, go.Figure]]) -> go.Figure:
    """Put two or more (title, figure), each with one pair of axes, beside each other in one figure; zooming one zooms all.

    Colour scales and the legend are shared: a name is listed once. Raises LiminalError for a figure of several panels.
    """
    panels = go.Figure()
    width = (1 - PANEL_GAP * (len(figures) - 1)) / len(figures)
    layout: dict[str, Any] = {}
    listed: set[str] = set()
    for index, (title, figure) in enumerate(figures):
        plain = figure.to_plotly_json()
        if "xaxis2" in plain["layout"]:
            raise LiminalError("Only figures with one panel can stand side by side; choose another figure.")
        suffix = "" if index == 0 else str(index + 1)
        left = index * (width + PANEL_GAP)
        for trace in plain["data"]:
            trace = {**trace, "xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
            name = str(trace.get("legendgroup") or str(trace.get("name") or "").split(" (")[0])
            trace["legendgroup"] = name
            if trace.get("name") and trace.get("showlegend") is not False:
                trace["showlegend"] = name not in listed
                listed.add(name)
            panels.add_trace(trace)
        panel_layout = plain["layout"]
        layout[f"xaxis{suffix}"] = {**panel_layout.get("xaxis", {}), "domain": [left, left + width], "anchor": f"y{suffix}"}
        layout[f"yaxis{suffix}"] = {**panel_layout.get("yaxis", {}), "anchor": f"x{suffix}"}
        if index:
            layout[f"xaxis{suffix}"]["matches"], layout[f"yaxis{suffix}"]["matches"] = "x", "y"
            layout[f"yaxis{suffix}"] |= {"title": None, "showticklabels": False}
        for kind in ("annotations", "shapes"):
            for part in panel_layout.get(kind, ()):
                layout.setdefault(kind, []).append(_move_to_panel(part, suffix))
        layout.setdefault("annotations", []).append(
            {
                "text": f"<b>{title}</b>",
                "xref": "paper",
                "yref": "paper",
                "x": left,
                "y": 1,
                "xanchor": "left",
                "yanchor": "bottom",
                "yshift": 4,
                "showarrow": False,
            }
        )
        for name in ("barmode", "violinmode", "violingap", "height"):
            if name in panel_layout:
                layout[name] = panel_layout[name]
    layout["legend"] = {"y": -0.16, "yanchor": "top"}
    panels.update_layout(layout)
    metas = [figure.layout.meta for _, figure in figures]
    sources = [meta["source"] for meta in metas]
    return theme.describe_figure(
        panels,
        says=" ".join(f"{title}: {meta['says']}" for (title, _), meta in zip(figures, metas, strict=True)),
        n=" and ".join(str(meta["n"]) for meta in metas),
        interval=metas[0]["interval"],
        source=" and ".join(dict.fromkeys(name for source in sources if source for name in source.split(" and "))),
    )


def _move_to_panel(part: dict[str, Any], suffix: str) -> dict[str, Any]:
    """Move an annotation or shape to its panel's axes."""
    moved = dict(part)
    for axis in ("x", "y"):
        where = str(moved.get(f"{axis}ref", axis))
        moved[f"{axis}ref"] = f"{axis}{suffix} domain" if where in ("paper", f"{axis} domain") else f"{axis}{suffix}"
    return moved


def exhibit_sides(
    comparison: Comparison, key: str, measure: str, *, share: bool, source: str, noun: str, by: str = "by type of sample"
) -> list[Exhibit]:
    """Two exhibits of a comparison by groups of images: both sides on one axis, and their difference.

    The comparison's last row is called 'all'. noun: pairs or faces; by: what the rows are, in words.
    """
    whole = comparison.table[comparison.table["name"] == "all"].iloc[0]
    digits, factor, unit = (0, 100.0, " %") if share else (1, 1.0, "")

    def format_value(value: float) -> str:
        return theme.format_number(factor * value, digits)

    titled = f"{measure[:1].upper()}{measure[1:]}"
    first = f"{titled}: {format_value(whole['first'])}{unit} for {comparison.first}, "
    first += f"{format_value(whole['second'])}{unit} for {comparison.second}."
    clear = comparison.clear()
    clear = clear[clear["name"] != "all"]
    if np.isfinite(whole["difference"]):
        sure = whole["low"] > 0 or whole["high"] < 0
        points = "percentage points" if share else "bits" if measure.endswith("bits") else "points"
        way = "above" if whole["difference"] > 0 else "below"
        second = (
            f"{comparison.second[:1].upper()}{comparison.second[1:]} lies {format_value(abs(whole['difference']))} {points} {way} "
            f"{comparison.first} ({_describe_difference(whole, sure, format_value)})"
            + (", a clear difference." if sure else ", which may be chance.")
        )
        if len(clear):
            names = [str(name) for name in clear["name"].head(4)] + ["others"] * (len(clear) > 4)
            second += f" Row by row it is clear for {theme.join_names(names)}."
    else:
        second = "There is nothing to compare: one side has no values."
    return _draw_both(comparison, key, measure, (first, second), f"{titled}, {by}.", share=share, source=source, noun=noun)


def exhibit_shares(comparison: Comparison, key: str, measure: str, *, source: str, noun: str) -> list[Exhibit]:
    """Two exhibits of a comparison whose rows are the answers to choose from: each answer's share on both sides, and the
    difference. noun: pairs or faces.
    """
    table = comparison.table.dropna(subset=["first", "second"])
    if table.empty:
        sentences = ("There is nothing to compare: one side has no values.",) * 2
    else:
        names, top = table["name"].to_numpy(str), []
        for side, title in (("first", comparison.first), ("second", comparison.second)):
            share = table[side].to_numpy(np.float64)
            top.append(f"'{names[share.argmax()]}' for {title} ({theme.format_percent(float(share.max()), 0)})")
        clear = comparison.clear()
        parts = [
            f"{theme.join_names([_describe_change(row) for row in rows.to_dict('records')])} {word} for {comparison.second}"
            for word, rows in (("more often", clear[clear["low"] > 0]), ("more seldom", clear[clear["high"] < 0]))
            if len(rows)
        ]
        sentences = (
            f"Highest: {top[0]}; {top[1]}.",
            f"Clearly: {'; '.join(parts)}." if parts else "No answer's share differs clearly.",
        )
    return _draw_both(
        comparison, key, measure, sentences, f"{measure[:1].upper()}{measure[1:]}.", share=True, source=source, noun=noun
    )


def _describe_change(row: Mapping[Any, Any]) -> str:
    """'fear' by 12 points (4 to 21)."""
    low, high = sorted((abs(row["low"]), abs(row["high"])))
    numbers = [theme.format_number(100 * value, 0) for value in (abs(row["difference"]), low, high)]
    return f"'{row['name']}' by {numbers[0]} points ({numbers[1]} to {numbers[2]})"


def _draw_both(
    comparison: Comparison,
    key: str,
    measure: str,
    sentences: tuple[str, str],
    definition: str,
    *,
    share: bool,
    source: str,
    noun: str,
) -> list[Exhibit]:
    """The two exhibits. sentences: of both sides, and of the difference."""
    table = comparison.table
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
            for of, title in (("first", comparison.first), ("second", comparison.second))
        ],
        ignore_index=True,
    )
    apart = table.rename(columns={"difference": "value"})[["name", "value", "low", "high"]].assign(
        n=table[["first_n", "second_n"]].min(axis=1)
    )
    n = f"{comparison.basis.images:,} {noun}" + (f", {comparison.basis.raters:,} raters" if comparison.basis.raters else "")
    definition += (
        f" The difference is {comparison.second} minus {comparison.first}; where its interval holds 0, it may be chance. Intervals "
        "are not corrected for looking at several rows."
    )
    options: dict[str, Any] = {"n": n, "interval": comparison.interval, "source": source, "share": share}
    return [
        Exhibit(
            f"{key}-both",
            plot_dots(sides, measure=measure, says=sentences[0], **options),
            sides,
            definition,
            comparison.note,
            comparison,
        ),
        Exhibit(
            f"{key}-difference",
            plot_dots(
                apart,
                measure=f"difference in {measure}",
                says=sentences[1],
                difference=share,
                reference=(0.0, "no difference"),
                **options,
            ),
            apart,
            definition,
        ),
    ]


def _describe_difference(whole: pd.Series[Any], sure: bool, format_value: Callable[[float], str]) -> str:
    """Describe the interval of a difference whose sign the sentence names already."""
    low, high = float(whole["low"]), float(whole["high"])
    if not sure:
        return f"{format_value(abs(low))} below to {format_value(abs(high))} above"
    return f"{format_value(min(abs(low), abs(high)))} to {format_value(max(abs(low), abs(high)))}"
