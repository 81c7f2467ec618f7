"""The map: images as points in two dimensions. Thumbnails are the page's; this stays light for 100,000 points."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from core.figures import theme
from core.figures.theme import Source

GL_FROM = 1000
MOST_KINDS = 12  # of a column with words: the rest are drawn as 'other'
DIGITS = 4  # significant digits of a coordinate: finer than a pixel


def map_figure(
    points: pd.DataFrame,
    *,
    source: Source,
    colour: str | None = None,
    title: str = "",
    axes: tuple[str, str] = ("", ""),
    marked: pd.DataFrame | None = None,
) -> go.Figure:
    """A projection of latents, embeddings or descriptors.

    points: id (in ``customdata``), x, y, and the column named by ``colour``: numbers are shaded from little to much, words get
    a colour and a mark each; rows without a value are grey. title: the column's name for people. axes: names of both axes,
    empty where they mean nothing. marked: x, y, label of points to be named (base, negative, optimum).
    """
    known = points.dropna(subset=["x", "y"])
    if known.empty:
        return theme.empty("There is no point to show; widen the filters.", source)
    size = float(np.clip(60 / np.sqrt(len(known)) * 2.2, 3.0, 9.0))
    figure = go.Figure()
    said = title or (colour or "")
    if colour is None:
        _trace(figure, known, len(known), "", {"color": theme.INDIGO, "size": size, "opacity": 0.7})
    elif is_numeric_dtype(known[colour]) and not is_bool_dtype(known[colour]):
        there = known[known[colour].notna()]
        _trace(figure, known[known[colour].isna()], len(known), "no value", {"color": theme.MISSING, "size": size, "opacity": 0.5})
        shown = there[colour].to_numpy(np.float64)
        bounds = np.quantile(shown, [0.01, 0.99]) if len(shown) else np.zeros(2)
        marker = {
            "color": _short(shown),
            "colorscale": [list(step) for step in theme.SCALE_OF_POINTS],
            "cmin": float(bounds[0]),
            "cmax": float(bounds[1]) if bounds[1] > bounds[0] else float(bounds[0]) + 1,
            "colorbar": {"title": said, "thickness": 10, "outlinewidth": 0},
            "size": size,
            "opacity": 0.8,
        }
        _trace(figure, there, len(known), "", marker, hover=f"{said}: %{{marker.color:.3g}}")
    else:
        values = known[colour].astype("object").where(known[colour].notna(), None)
        names = [str(name) for name in values.dropna().value_counts().index]
        words = values.map(lambda value: None if value is None else str(value))
        for place, name in enumerate(names[:MOST_KINDS]):
            marker = {"color": theme.colour_of(name, place), "symbol": theme.symbol_of(name, place), "size": size, "opacity": 0.75}
            _trace(figure, known[words == name], len(known), name, marker, hover=name)
        rest = words.isin(names[MOST_KINDS:])
        _trace(figure, known[rest], len(known), "other", {"color": theme.FADED, "size": size, "opacity": 0.6}, hover="other")
        _trace(figure, known[words.isna()], len(known), "no value", {"color": theme.MISSING, "size": size, "opacity": 0.5})
    if marked is not None and len(marked):
        figure.add_scatter(
            x=marked["x"],
            y=marked["y"],
            text=marked["label"],
            mode="markers+text",
            textposition="top center",
            marker={"size": 15, "color": theme.BRICK, "symbol": "x-thin-open", "line": {"width": 2.5}},
            showlegend=False,
            hoverinfo="skip",
        )
    blank = {"showgrid": False, "showline": False, "showticklabels": False, "ticks": ""}
    figure.update_layout(
        xaxis={"title": axes[0], **(blank if not axes[0] else {})},
        yaxis={"title": axes[1], "scaleanchor": "x", "scaleratio": 1, **(blank if not axes[1] else {})},
        dragmode="lasso",
        height=620,
        legend={"itemsizing": "constant"},
        uirevision="map",
    )
    says = "Points that lie near each other are alike" + (f"; the colour is {said}." if colour else ".")
    return theme.described(figure, says=says, n=f"{len(known):,} images", source=source)


def _trace(figure: go.Figure, part: pd.DataFrame, total: int, name: str, marker: dict[str, object], hover: str = "") -> None:
    if part.empty:
        return
    kind = go.Scattergl if total > GL_FROM else go.Scatter
    figure.add_trace(
        kind(
            x=_short(part["x"].to_numpy(np.float64)),
            y=_short(part["y"].to_numpy(np.float64)),
            customdata=part["id"].to_numpy(object),
            mode="markers",
            name=f"{name} ({len(part):,})" if name else "",
            showlegend=bool(name),
            marker=marker,
            hovertemplate=(hover or name or "%{customdata}") + "<extra></extra>",
            unselected={"marker": {"opacity": 0.15}},
        )
    )


def _short(values: np.ndarray) -> np.ndarray:
    """float32 with DIGITS significant digits of the whole range, which also compresses on its way to the browser."""
    reach = float(np.nanmax(np.abs(values))) if len(values) else 0.0
    if not np.isfinite(reach) or reach == 0:
        return values.astype(np.float32)
    return np.round(values, max(0, DIGITS - 1 - int(np.floor(np.log10(reach))))).astype(np.float32)
