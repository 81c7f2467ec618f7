"""Two figures of one kind side by side, on the same axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from core.errors import LiminalError
from core.figures import theme

GAP = 0.05


def side_by_side(figures: Sequence[tuple[str, go.Figure]]) -> go.Figure:
    """(title, figure) of two or more figures with one pair of axes each -> one figure; zooming one zooms all.

    Colour scales and the legend are shared: a name is listed once. Raises LiminalError for a figure of several panels.
    """
    made = go.Figure()
    width = (1 - GAP * (len(figures) - 1)) / len(figures)
    layout: dict[str, Any] = {}
    listed: set[str] = set()
    for place, (title, figure) in enumerate(figures):
        plain = figure.to_plotly_json()
        if "xaxis2" in plain["layout"]:
            raise LiminalError("Only figures with one panel can stand side by side; choose another figure.")
        suffix = "" if place == 0 else str(place + 1)
        left = place * (width + GAP)
        for trace in plain["data"]:
            trace = {**trace, "xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
            name = str(trace.get("legendgroup") or str(trace.get("name") or "").split(" (")[0])
            trace["legendgroup"] = name
            if trace.get("name") and trace.get("showlegend") is not False:
                trace["showlegend"] = name not in listed
                listed.add(name)
            made.add_trace(trace)
        own = plain["layout"]
        layout[f"xaxis{suffix}"] = {**own.get("xaxis", {}), "domain": [left, left + width], "anchor": f"y{suffix}"}
        layout[f"yaxis{suffix}"] = {**own.get("yaxis", {}), "anchor": f"x{suffix}"}
        if place:
            layout[f"xaxis{suffix}"]["matches"], layout[f"yaxis{suffix}"]["matches"] = "x", "y"
            layout[f"yaxis{suffix}"] |= {"title": None, "showticklabels": False}
        for kind in ("annotations", "shapes"):
            for each in own.get(kind, ()):
                layout.setdefault(kind, []).append(_moved(each, suffix))
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
            if name in own:
                layout[name] = own[name]
    layout["legend"] = {"y": -0.16, "yanchor": "top"}
    made.update_layout(layout)
    metas = [figure.layout.meta for _, figure in figures]
    sources = [meta["source"] for meta in metas]
    return theme.described(
        made,
        says=" ".join(f"{title}: {meta['says']}" for (title, _), meta in zip(figures, metas, strict=True)),
        n=" and ".join(str(meta["n"]) for meta in metas),
        interval=metas[0]["interval"],
        source=" and ".join(dict.fromkeys(name for source in sources if source for name in source.split(" and "))),
    )


def _moved(part: dict[str, Any], suffix: str) -> dict[str, Any]:
    """An annotation or shape onto its panel's axes."""
    moved = dict(part)
    for axis in ("x", "y"):
        where = str(moved.get(f"{axis}ref", axis))
        moved[f"{axis}ref"] = f"{axis}{suffix} domain" if where in ("paper", f"{axis} domain") else f"{axis}{suffix}"
    return moved
