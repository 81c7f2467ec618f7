"""Named values as dots on their intervals, one row a name; several series lie above each other in a row."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.figures import theme
from core.figures.theme import Source

ROW_HEIGHT = 34  # pixels of a row with one series
SERIES_HEIGHT = 15  # for each further series
SERIES_SPREAD = 0.22  # of a row, between two series


def plot_dots(
    table: pd.DataFrame,
    *,
    measure: str,
    says: str,
    n: int | str,
    source: Source,
    interval: str = "",
    share: bool = False,
    difference: bool = False,
    digits: int = 2,
    reference: tuple[float, str] | None = None,
    span: tuple[float, float] | None = None,
    nothing: str = "There is no value to show yet.",
) -> go.Figure:
    """Dot plot of a table: name, value, low, high (NaN: none), n, in order from top to bottom; series (optional): whose value.

    measure: the axis in words; share: values in [0, 1], shown in per cent; difference: of shares, in percentage points; reference:
    a line and what it is; span: the axis' ends.
    """
    known = table.dropna(subset=["value"])
    if known.empty:
        return theme.build_empty_figure(nothing, source)
    names = list(dict.fromkeys(known["name"].astype(str)))
    series = list(dict.fromkeys(known["series"].astype(str))) if "series" in known else [""]
    row_of = {name: row for row, name in enumerate(names)}
    factor, decimals, unit = (100.0, 0, " points" if difference else " %") if share else (1.0, digits, "")
    figure = go.Figure()
    for number, of in enumerate(series):
        part = known[known["series"].astype(str) == of] if "series" in known else known
        value, low, high = (part[name].to_numpy(np.float64) * factor for name in ("value", "low", "high"))
        shift = (number - (len(series) - 1) / 2) * SERIES_SPREAD
        colour = theme.CATEGORIES[number % len(theme.CATEGORIES)]
        figure.add_scatter(
            x=value,
            y=np.array([row_of[str(name)] for name in part["name"]]) + shift,
            mode="markers",
            cliponaxis=False,
            name=of,
            showlegend=len(series) > 1,
            marker={"size": 10, "color": colour, "symbol": theme.SYMBOLS[number % len(theme.SYMBOLS)]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": np.nan_to_num(high - value).clip(0),
                "arrayminus": np.nan_to_num(value - low).clip(0),
                "color": colour,
                "thickness": 1.8,
                "width": 0,
            },
            text=[
                f"{name}{f', {of}' if of else ''}: {theme.format_interval(a, b, c, decimals, unit)}, n = {int(count):,}"
                for name, a, b, c, count in zip(part["name"], value, low, high, part["n"], strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    if reference is not None:
        figure.add_vline(x=reference[0] * factor, line={"color": theme.SOFT, "width": 1.2, "dash": "dot"})
        if reference[1]:
            figure.add_annotation(
                x=reference[0] * factor,
                y=0,
                yref="paper",
                xanchor="left",
                yanchor="bottom",
                xshift=4,
                text=reference[1],
                showarrow=False,
                font={"size": 12, "color": theme.SOFT},
            )
    figure.update_layout(
        xaxis={
            "title": wrap_label(measure + ((", percentage points" if difference else ", %") if share else "")),
            **({"range": [span[0] * factor, span[1] * factor]} if span else {}),
        },
        yaxis={
            "tickmode": "array",
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "range": [len(names) - 0.45, -0.55],
            "showgrid": False,
        },
        height=130 + len(names) * (ROW_HEIGHT + SERIES_HEIGHT * (len(series) - 1)),
    )
    return theme.describe_figure(figure, says=says, n=n, interval=interval, source=source)


def wrap_label(title: str, width: int = 38) -> str:
    """Break a long axis title into several lines, so that it fits a narrow screen."""
    return "<br>".join(textwrap.wrap(title, width))


def narrow_labels(figure: go.Figure, width: int = 24) -> go.Figure:
    """Break long row labels into several lines, so that a narrow screen keeps room for the values."""
    return figure.update_yaxes(ticktext=[wrap_label(name, width) for name in figure.layout.yaxis.ticktext or ()])
