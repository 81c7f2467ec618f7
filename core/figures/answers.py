"""Figures of plain answers that several subjects use: votes an image, reaction times, confusions.

Imports no analysis, so that the overview of a running study stays light.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.figures import theme
from core.figures.theme import Source


def plot_votes_per_image(
    votes: Sequence[int] | pd.Series[int], *, source: Source, wanted: int | None = None, noun: str = "image"
) -> go.Figure:
    """Histogram of votes an image. votes: one number an image. wanted: votes that the plan asks for. noun: image or pair."""
    counts = np.asarray(votes, dtype=np.int64)
    if not len(counts):
        return theme.build_empty_figure(f"No {noun} is part of this study yet.", source)
    images = np.bincount(counts)
    first = int(counts.min())
    figure = go.Figure(
        go.Bar(
            x=np.arange(first, len(images)),
            y=images[first:],
            marker={"color": theme.INDIGO, "line": {"width": 0}},
            hovertemplate=f"%{{y}} {noun}s with %{{x}} votes<extra></extra>",
        )
    )
    if wanted is not None:
        figure.add_vline(x=wanted, line={"color": theme.BRICK, "width": 1.5, "dash": "dash"})
    figure.update_layout(
        xaxis={"title": f"votes a{'n' * (noun == 'image')} {noun}", "rangemode": "tozero"},
        yaxis={"title": f"{noun}s"},
        showlegend=False,
    )
    least, median, most = int(counts.min()), float(np.median(counts)), int(counts.max())
    many = "1 vote" if most == least == 1 else f"{most:,} votes"
    says = (
        f"Every {noun} has {many}."
        if least == most
        else f"{noun.capitalize()}s have {least:,} to {many} each; the median is {median:g}."
    )
    return theme.describe_figure(figure, says=says, n=f"{len(counts):,} {noun}s, {int(counts.sum()):,} votes", source=source)


def plot_confusion(counts: pd.DataFrame, *, rows: str, columns: str, source: Source) -> go.Figure:
    """Confusion matrix of choices: every row adds up to 100 %.

    counts: whole numbers; index: what was wanted or what a model says, columns: what was chosen. rows, columns: their titles.
    """
    values = counts.to_numpy(np.float64)
    total = values.sum(axis=1, keepdims=True)
    if not values.sum():
        return theme.build_empty_figure("Nobody has chosen anything here yet.", source)
    shares = np.divide(values, total, out=np.full(values.shape, np.nan), where=total > 0)
    texts = np.where(total > 0, np.char.add(np.char.mod("%.0f", 100 * np.nan_to_num(shares)), " %"), "")
    figure = go.Figure(
        go.Heatmap(
            z=shares.round(4),
            x=[str(name) for name in counts.columns],
            y=[f"{name} ({int(count):,})" for name, count in zip(counts.index, total[:, 0], strict=True)],
            text=texts,
            customdata=values,
            texttemplate="%{text}",
            colorscale=[list(step) for step in theme.SCALE],
            zmin=0,
            zmax=1,
            xgap=2,
            ygap=2,
            hovertemplate="%{y} → %{x}: %{z:.0%}, %{customdata} times<extra></extra>",
            colorbar={"thickness": 10, "outlinewidth": 0, "tickformat": ".0%"},
        )
    )
    figure.update_layout(
        xaxis={"title": columns, "side": "top", "showgrid": False, "type": "category"},
        yaxis={"title": rows, "autorange": "reversed", "showgrid": False, "type": "category"},
        height=180 + 46 * len(counts),
    )
    same = [name for name in counts.index if name in counts.columns]
    hit = float(sum(counts[name].loc[name] for name in same)) / float(values.sum())
    says = (
        f"In {theme.format_percent(hit, 0)} of all choices both say the same."
        if same
        else "Every row shows how its choices are spread."
    )
    return theme.describe_figure(figure, says=says, n=f"{int(values.sum()):,} choices", source=source)


PUBLISHED_RANGE_MS = (500.0, 1500.0)  # where paper B found most reaction times (Fig. 7b)
SLOWEST_QUANTILE = 0.99  # quantile of reaction times beyond which they share the last bar


def plot_reaction_times(answers: pd.DataFrame, *, source: Source, published: bool = True) -> go.Figure:
    """Histogram of reaction times (paper B, Fig. 7b). answers: reaction_time_ms (NaN: not measured), one row an answer.

    published: whether the task is the paper's, a feeling seen in a brief face, so that the times can be compared with its own.
    """
    values = answers["reaction_time_ms"].dropna().to_numpy(np.float64) if len(answers) else np.empty(0)
    if not len(values):
        return theme.build_empty_figure("No answer has a measured reaction time.", source)
    most = max(float(np.quantile(values, SLOWEST_QUANTILE)), 100.0)
    counts, edges = np.histogram(values.clip(0, most), bins=np.linspace(0, most, 51))
    figure = plot_bars(edges, counts, "%{y} answers, about %{x:.0f} ms")
    if published:
        add_published_range(figure, PUBLISHED_RANGE_MS, "most answers of paper B")
    figure.update_layout(
        xaxis={"title": f"reaction time, ms; the last bar holds all above {most:,.0f}"},
        yaxis={"title": "answers"},
        showlegend=False,
    )
    inside = float(((values >= PUBLISHED_RANGE_MS[0]) & (values <= PUBLISHED_RANGE_MS[1])).mean())
    says = f"The median answer takes {float(np.median(values)):,.0f} ms"
    says += f"; {theme.format_percent(inside, 0)} take 500 to 1,500 ms, where paper B found most of its own." if published else "."
    return theme.describe_figure(figure, says=says, n=f"{len(values):,} answers", source=source)


def plot_bars(edges: NDArray[Any], counts: NDArray[Any], hover: str) -> go.Figure:
    """A histogram that was counted already. edges: (N + 1,), counts: (N,); hover: Plotly's template of a bar's text."""
    return go.Figure(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=np.diff(edges) * 0.92,
            marker={"color": theme.INDIGO, "line": {"width": 0}},
            hovertemplate=f"{hover}<extra></extra>",
        )
    )


def add_published_range(figure: go.Figure, span: tuple[float, float], words: str) -> None:
    """Shade the part of a histogram's axis where a publication found most values; words: written above it."""
    figure.update_yaxes(range=[0, 1.18 * max(float(np.max(trace.y)) for trace in figure.data)])  # the words stand above the bars
    figure.add_vrect(x0=span[0], x1=span[1], fillcolor=theme.AMBER, opacity=0.13, line_width=0, layer="below")
    figure.add_annotation(
        x=sum(span) / 2, y=1, yref="paper", yanchor="top", text=words, showarrow=False, font={"size": 12, "color": theme.SOFT}
    )
