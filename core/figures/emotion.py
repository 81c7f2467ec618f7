"""What people say of faces on perceptual boundaries: Figs. 4, 7 and 8 of paper B."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from core.figures import theme
from core.figures.theme import Source
from core.models.emotions import EMOTIONS

OUTCOMES = (
    ("success", "both feelings", theme.AMBER, ""),
    ("bias", "mostly one of the two", theme.SKY, "/"),
    ("failure", "something else", theme.INDIGO, "x"),
)
BULK_BITS = (0.5, 2.0)  # where paper B found most images (Fig. 7a)
BULK_MS = (500.0, 1500.0)  # where it found most reaction times (Fig. 7b)
SLOWEST = 0.99  # quantile of reaction times beyond which they share the last bar
GL_FROM = 2000


def outcome_shares(
    table: pd.DataFrame, *, source: Source, published: float | None = None, interval: str = "95 % Wilson intervals of both feelings"
) -> go.Figure:
    """Success, bias and failure by pair of emotions (paper B, Fig. 4b).

    table: emotion1, emotion2, success, bias, failure (numbers of images), low, high (of success, shares; NaN: none).
    published: success and bias together, as printed; drawn as a line.
    """
    counts = table[[name for name, *_ in OUTCOMES]].to_numpy(np.float64) if len(table) else np.zeros((0, 3))
    known = table[counts.sum(axis=1) > 0] if len(table) else table
    if known.empty:
        return theme.empty("No image has enough votes for an outcome yet.", source)
    total = known[[name for name, *_ in OUTCOMES]].sum(axis=1)
    known = known.assign(total=total, share=known["success"] / total).sort_values("share", kind="stable")
    names = [f"{row['emotion1']} – {row['emotion2']} ({int(row['total'])})" for row in known.to_dict("records")]
    figure = go.Figure()
    for name, words, colour, shape in OUTCOMES:
        error: dict[str, Any] = {}
        if name == "success" and known["low"].notna().any():
            error = {
                "type": "data",
                "symmetric": False,
                "array": np.nan_to_num(known["high"] - known["share"]).clip(0),
                "arrayminus": np.nan_to_num(known["share"] - known["low"]).clip(0),
                "color": theme.INK,
                "thickness": 1.3,
                "width": 0,
            }
        figure.add_bar(
            y=names,
            x=(known[name] / known["total"]).to_numpy(np.float64).round(5),
            orientation="h",
            name=f"{name}: {words}",
            marker={
                "color": colour,
                "line": {"width": 0},
                "pattern": {"shape": shape, "size": 6, "solidity": 0.14, "fillmode": "overlay", "fgcolor": theme.PAPER},
            },
            error_x=error or None,
            customdata=known[name].to_numpy(),
            hovertemplate=f"%{{y}}<br>{name}: %{{customdata}} images, %{{x:.0%}}<extra></extra>",
        )
    if published is not None:
        figure.add_vline(x=published, line={"color": theme.SOFT, "width": 1.5, "dash": "dot"})
        figure.add_annotation(
            x=published,
            y=0.02,
            yref="paper",
            yanchor="bottom",
            xanchor="right",
            textangle=-90,
            showarrow=False,
            text=f"paper B: {theme.percent(published)} success or bias",
            font={"size": 12, "color": theme.INK},
            bgcolor=theme.faded(theme.PAPER, 0.75),
        )
    figure.update_layout(
        barmode="stack",
        xaxis={"range": [0, 1], "tickformat": ".0%", "title": "share of images"},
        yaxis={"showgrid": False, "type": "category"},
        legend={"traceorder": "normal"},
        height=150 + 30 * len(known),
    )
    seen = float((known["success"] + known["bias"]).sum() / known["total"].sum())
    return theme.described(
        figure,
        says=f"In {theme.percent(seen)} of the images most choices fall on the wanted pair, and in "
        f"{theme.percent(float(known['success'].sum() / known['total'].sum()))} each of the two feelings gets more than a quarter.",
        n=f"{int(known['total'].sum()):,} images of {len(known)} pairs",
        interval=interval if known["low"].notna().any() else "",
        source=source,
    )


def entropy_histogram(images: pd.DataFrame, *, source: Source, corrected: bool = True) -> go.Figure:
    """How divided people are over an image (paper B, Fig. 7a). images: sample_id, entropy (bits); corrected: Miller-Madow."""
    values = images["entropy"].dropna().to_numpy(np.float64) if len(images) else np.empty(0)
    if not len(values):
        return theme.empty("No image has votes yet, so nobody can be divided over one.", source)
    top = max(float(np.log2(len(EMOTIONS))), float(values.max()))
    counts, edges = np.histogram(values, bins=np.arange(0, top + 0.2, 0.1))
    figure = _bars(edges, counts, "%{y} images, about %{x:.2f} bits")
    _bulk(figure, BULK_BITS, "most images of paper B")
    figure.update_layout(xaxis={"title": "entropy of the choices, bits"}, yaxis={"title": "images"}, showlegend=False)
    inside = float(((values >= BULK_BITS[0]) & (values <= BULK_BITS[1])).mean())
    how = " (corrected for few votes)" if corrected else " (not corrected for few votes)"
    return theme.described(
        figure,
        says=f"People are divided by {float(np.median(values)):.2f} bits over the median image{how}; {theme.percent(inside)} of "
        "the images lie between 0.5 and 2 bits, where paper B found most of its own.",
        n=f"{len(values):,} images",
        source=source,
    )


def reaction_time_histogram(answers: pd.DataFrame, *, source: Source) -> go.Figure:
    """How long people take (paper B, Fig. 7b). answers: reaction_time_ms (NaN: not measured), one row an answer."""
    values = answers["reaction_time_ms"].dropna().to_numpy(np.float64) if len(answers) else np.empty(0)
    if not len(values):
        return theme.empty("No answer has a measured reaction time.", source)
    most = max(float(np.quantile(values, SLOWEST)), 100.0)
    counts, edges = np.histogram(values.clip(0, most), bins=np.linspace(0, most, 51))
    figure = _bars(edges, counts, "%{y} answers, about %{x:.0f} ms")
    _bulk(figure, BULK_MS, "most answers of paper B")
    figure.update_layout(
        xaxis={"title": f"reaction time, ms; the last bar holds all above {most:,.0f}"},
        yaxis={"title": "answers"},
        showlegend=False,
    )
    inside = float(((values >= BULK_MS[0]) & (values <= BULK_MS[1])).mean())
    return theme.described(
        figure,
        says=f"The median answer takes {float(np.median(values)):,.0f} ms; {theme.percent(inside)} take 500 to 1,500 ms, where "
        "paper B found most of its own.",
        n=f"{len(values):,} answers",
        source=source,
    )


def entropy_by_reaction_time(
    images: pd.DataFrame, *, source: Source, rho: tuple[float, float, float] | None = None, published: float | None = 0.42
) -> go.Figure:
    """Images over which people are divided take them longer (paper B, Fig. 7c).

    images: sample_id, entropy, reaction_time_ms (an image's mean). rho: Spearman's rank correlation with its interval.
    """
    known = images.dropna(subset=["entropy", "reaction_time_ms"])
    if known.empty:
        return theme.empty("No image has both votes and measured reaction times.", source)
    kind = go.Scattergl if len(known) > GL_FROM else go.Scatter
    figure = go.Figure(
        kind(
            x=known["reaction_time_ms"].round(1).to_numpy(np.float32),
            y=known["entropy"].round(3).to_numpy(np.float32),
            mode="markers",
            customdata=known["sample_id"].to_numpy(object),
            marker={"size": 6, "color": theme.INDIGO, "opacity": 0.45},
            hovertemplate="%{x:.0f} ms, %{y:.2f} bits<extra></extra>",
        )
    )
    slow = float(known["reaction_time_ms"].quantile(0.995))
    figure.update_layout(
        xaxis={"title": "mean reaction time, ms", "range": [0.9 * float(known["reaction_time_ms"].min()), 1.05 * slow]},
        yaxis={"title": "entropy of the choices, bits", "rangemode": "tozero"},
        showlegend=False,
    )
    says = "Each mark is an image: how long people took, and how divided they are."
    if rho is not None and np.isfinite(rho[0]):
        between = f" ({rho[1]:.2f} to {rho[2]:.2f})" if np.isfinite(rho[1]) else ""
        way = "longer" if rho[0] > 0 else "no longer"
        says = f"People take {way} over images that divide them: Spearman's correlation is {rho[0]:.2f}{between}"
        says += f", and was {published:.2f} in paper B." if published is not None else "."
    interval = "95 % interval of the correlation" if rho is not None and np.isfinite(rho[1]) else ""
    return theme.described(figure, says=says, n=f"{len(known):,} images", interval=interval, source=source)


def activations(
    logits: NDArray[Any],
    limits: Sequence[float],
    *,
    classifier: str,
    marks: Mapping[str, Sequence[float]] | None = None,
    quantile: float = 0.75,
) -> go.Figure:
    """Activations of a reference population, emotion by emotion (paper B, Fig. 8), with the filter's limits.

    logits: (N, 6) over EMOTIONS; limits: (6,), the filter's percentiles; marks: emotion -> values to stroke below.
    """
    values = np.asarray(logits, dtype=np.float64)
    if not len(values):
        return theme.empty(f"No reference faces were judged by {classifier}.", "model")
    figure = make_subplots(rows=2, cols=3, subplot_titles=list(EMOTIONS), vertical_spacing=0.2, horizontal_spacing=0.06)
    for place, emotion in enumerate(EMOTIONS):
        row, column = place // 3 + 1, place % 3 + 1
        own = values[:, place]
        own = own[np.isfinite(own)]
        strokes = np.asarray((marks or {}).get(emotion, ()), dtype=np.float64)
        low, high = (float(each) for each in np.quantile(own, [0.002, 0.998]))
        if len(strokes):
            low, high = min(low, float(strokes.min())), max(high, float(strokes.max()))
        counts, edges = np.histogram(own, bins=44, range=(low, high) if high > low else (low - 0.5, low + 0.5))
        middle = (edges[:-1] + edges[1:]) / 2
        figure.add_bar(
            x=middle,
            y=counts,
            width=np.diff(edges),
            row=row,
            col=column,
            marker={"color": np.where(middle > limits[place], theme.AMBER, theme.FADED).tolist(), "line": {"width": 0}},
            hovertemplate=f"{emotion}: %{{y}} faces about %{{x:.2f}}<extra></extra>",
        )
        figure.add_vline(x=float(limits[place]), line={"color": theme.BRICK, "width": 1.4, "dash": "dash"}, row=row, col=column)
        if len(strokes):
            figure.add_scatter(
                x=strokes,
                y=np.full(len(strokes), -0.05 * counts.max()),
                mode="markers",
                marker={"symbol": "line-ns-open", "size": 9, "color": theme.INDIGO, "line": {"width": 1.5}},
                row=row,
                col=column,
                hovertemplate="this run: %{x:.2f}<extra></extra>",
            )
    figure.update_layout(showlegend=False, bargap=0, height=440)
    figure.update_yaxes(showticklabels=False)
    return theme.described(
        figure,
        says=f"How strongly {classifier} answers to plain faces; beyond the dashed line lies one face in {1 / (1 - quantile):g}, "
        "and a wanted face must lie beyond it for both of its feelings.",
        n=f"{len(values):,} faces",
        source="model",
    )


def _bars(edges: NDArray[Any], counts: NDArray[Any], hover: str) -> go.Figure:
    return go.Figure(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=np.diff(edges) * 0.92,
            marker={"color": theme.INDIGO, "line": {"width": 0}},
            hovertemplate=f"{hover}<extra></extra>",
        )
    )


def _bulk(figure: go.Figure, span: tuple[float, float], words: str) -> None:
    figure.update_yaxes(range=[0, 1.18 * max(float(np.max(each.y)) for each in figure.data)])  # the words stand above the bars
    figure.add_vrect(x0=span[0], x1=span[1], fillcolor=theme.AMBER, opacity=0.13, line_width=0, layer="below")
    figure.add_annotation(
        x=sum(span) / 2, y=1, yref="paper", yanchor="top", text=words, showarrow=False, font={"size": 12, "color": theme.SOFT}
    )
