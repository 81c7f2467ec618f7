"""How consistently deciders err together, and how the votes are spread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.figures import theme
from core.figures.theme import Source

WRITTEN_UP_TO = 14  # deciders: more cells than this hold no text


def error_consistency(
    kappas: pd.DataFrame,
    *,
    n: int | str,
    source: Source,
    ceiling: tuple[float, float, float] | None = None,
    interval: str = "",
) -> go.Figure:
    """Cohen's kappa of every two deciders (Geirhos et al. 2020, NeurIPS, arXiv:2006.16736): 0 is chance, 1 the same answers.

    kappas: square, index and columns are the deciders' names, NaN where undefined. ceiling: how consistent people are with
    each other, with its interval; written above the figure.
    """
    values = kappas.to_numpy(np.float64).copy()
    lower = np.tril(np.ones(values.shape, dtype=bool), -1)
    values[~lower] = np.nan
    if not np.isfinite(values).any():
        return theme.empty(
            "There are no two deciders with answers to the same images yet, or all of them always say the same.", source
        )
    names = [str(name) for name in kappas.index]
    texts = np.where(np.isfinite(values), np.char.mod("%.2f", np.nan_to_num(values)), "")
    if len(names) > WRITTEN_UP_TO:
        texts = np.full(values.shape, "")
    figure = go.Figure(
        go.Heatmap(
            z=values[1:, :-1].round(4),
            x=names[:-1],
            y=names[1:],
            text=texts[1:, :-1],
            texttemplate="%{text}",
            colorscale=[list(step) for step in theme.DIVERGING],
            zmin=-1,
            zmax=1,
            xgap=2 if len(names) <= 40 else 0,
            ygap=2 if len(names) <= 40 else 0,
            hoverongaps=False,
            hovertemplate="%{y} and %{x}: kappa %{z:.2f}<extra></extra>",
            colorbar={"title": "kappa", "thickness": 10, "outlinewidth": 0},
        )
    )
    figure.update_layout(
        xaxis={"showgrid": False, "type": "category"},
        yaxis={"autorange": "reversed", "showgrid": False, "type": "category"},
        height=min(760, 200 + 46 * len(names)),
    )
    says = f"Two deciders agree beyond chance by {float(np.nanmedian(values)):.2f} (median kappa)"
    if ceiling is not None and np.isfinite(ceiling[0]):
        between = f" ({ceiling[1]:.2f} to {ceiling[2]:.2f})" if np.isfinite(ceiling[1]) else ""
        figure.add_annotation(
            x=0.98,
            y=0.98,
            xref="paper",
            yref="paper",
            xanchor="right",
            yanchor="top",
            align="right",
            showarrow=False,
            text=f"people with each other:<br><b>{ceiling[0]:.2f}</b>{between}",
            font={"size": 14, "color": theme.INK},
        )
        says += f"; people agree with each other by {ceiling[0]:.2f}{between}"
    return theme.described(figure, says=says + ".", n=n, interval=interval, source=source)


def votes_per_image(votes: Sequence[int] | pd.Series[int], *, source: Source, wanted: int | None = None) -> go.Figure:
    """How many images have how many votes. votes: one number an image. wanted: votes that the plan asks for."""
    counts = np.asarray(votes, dtype=np.int64)
    if not len(counts):
        return theme.empty("No image is part of this study yet.", source)
    found = np.bincount(counts)
    first = int(counts.min())
    figure = go.Figure(
        go.Bar(
            x=np.arange(first, len(found)),
            y=found[first:],
            marker={"color": theme.INDIGO, "line": {"width": 0}},
            hovertemplate="%{y} images have %{x} votes<extra></extra>",
        )
    )
    if wanted is not None:
        figure.add_vline(x=wanted, line={"color": theme.BRICK, "width": 1.5, "dash": "dash"})
    figure.update_layout(xaxis={"title": "votes an image", "rangemode": "tozero"}, yaxis={"title": "images"}, showlegend=False)
    says = f"An image has {float(np.median(counts)):g} votes in the middle, {counts.min()} at least and {counts.max()} at most."
    return theme.described(figure, says=says, n=f"{len(counts):,} images, {int(counts.sum()):,} votes", source=source)


def confusion(counts: pd.DataFrame, *, rows: str, columns: str, source: Source) -> go.Figure:
    """What was chosen for what: every row adds up to 100 %.

    counts: whole numbers; index: what was wanted or what a model says, columns: what was chosen. rows, columns: their titles.
    """
    values = counts.to_numpy(np.float64)
    total = values.sum(axis=1, keepdims=True)
    if not values.sum():
        return theme.empty("Nobody has chosen anything here yet.", source)
    shares = np.divide(values, total, out=np.full(values.shape, np.nan), where=total > 0)
    texts = np.where(total > 0, np.char.add(np.char.mod("%.0f", 100 * np.nan_to_num(shares)), " %"), "")
    figure = go.Figure(
        go.Heatmap(
            z=shares.round(4),
            x=[str(name) for name in counts.columns],
            y=[f"{name} ({int(each):,})" for name, each in zip(counts.index, total[:, 0], strict=True)],
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
    says = f"In {theme.percent(hit)} of all choices both say the same." if same else "Every row shows how its choices are spread."
    return theme.described(figure, says=says, n=f"{int(values.sum()):,} choices", source=source)
