"""Accepting and refusing at any threshold, held against the majority of people; and the way from one face to another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy.stats import norm

from core.figures import theme
from core.figures.theme import Source

DET_TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)
DET_EDGE = 0.0005  # rates of 0 and 1 lie at infinity on a DET curve; they are drawn here


def roc(curves: pd.DataFrame, rates: pd.DataFrame, *, source: Source, interval: str = "95 % intervals of the EER") -> go.Figure:
    """Receiver operating characteristic of every decider against the majority of people.

    curves: name, threshold, far, frr (shares wrongly accepted and wrongly refused), rising in threshold within a name.
    rates: name, eer, low, high, n (pairs), threshold (that of the EER).
    """
    return _curves(curves, rates, source, interval, det=False)


def det(curves: pd.DataFrame, rates: pd.DataFrame, *, source: Source, interval: str = "95 % intervals of the EER") -> go.Figure:
    """Detection error trade-off on normal-deviate axes (Martin et al. 1997, Eurospeech); tables as for ``roc``."""
    return _curves(curves, rates, source, interval, det=True)


def _curves(curves: pd.DataFrame, rates: pd.DataFrame, source: Source, interval: str, *, det: bool) -> go.Figure:
    known = curves.dropna(subset=["far", "frr"])
    if known.empty:
        return theme.empty("Where people are all of one mind about every pair, errors of one kind cannot be counted.", source)

    def x_of(values: np.ndarray) -> np.ndarray:
        return np.asarray(norm.ppf(np.clip(values, DET_EDGE, 1 - DET_EDGE))) if det else values

    figure = go.Figure()
    found = {str(row["name"]): row for row in rates.dropna(subset=["eer"]).to_dict("records")}
    for place, (key, part) in enumerate(known.groupby("name", sort=False)):
        name = str(key)
        colour, dash = theme.CATEGORIES[place % 6], theme.DASHES[place % 6]
        far, frr = part["far"].to_numpy(np.float64), part["frr"].to_numpy(np.float64)
        label = name
        if name in found:
            label += f", EER {theme.percent(found[name]['eer'])}"
        figure.add_scatter(
            x=x_of(far),
            y=x_of(frr) if det else 1 - frr,
            mode="lines",
            name=label,
            line={"color": colour, "dash": dash, "width": 2.2},
            customdata=np.column_stack([part["threshold"], far, frr]).round(4),
            hovertemplate=f"{name} at %{{customdata[0]:.3f}}<br>wrongly accepted %{{customdata[1]:.1%}}, wrongly refused "
            "%{customdata[2]:.1%}<extra></extra>",
        )
        if name in found:
            eer = float(found[name]["eer"])
            figure.add_scatter(
                x=x_of(np.array([eer])),
                y=x_of(np.array([eer])) if det else [1 - eer],
                mode="markers",
                marker={
                    "color": colour,
                    "size": 10,
                    "symbol": theme.SYMBOLS[place % 6],
                    "line": {"color": theme.PAPER, "width": 1.5},
                },
                showlegend=False,
                hovertemplate=f"{name}: equal error rate {theme.percent(eer)}<extra></extra>",
            )
    chance = [-3.0, 3.0] if det else [0.0, 1.0]
    figure.add_scatter(
        x=chance,
        y=chance[::-1] if det else chance,
        mode="lines",
        line={"color": theme.FADED, "width": 1, "dash": "dot"},
        name="guessing",
        hoverinfo="skip",
    )
    if det:
        ticks = {"tickvals": norm.ppf(DET_TICKS), "ticktext": [f"{100 * tick:g} %" for tick in DET_TICKS]}
        bounds = [float(norm.ppf(DET_EDGE)), float(norm.ppf(0.97))]
        figure.update_layout(
            xaxis={"title": "wrongly accepted", "range": bounds, **ticks},
            yaxis={"title": "wrongly refused", "range": bounds, **ticks},
        )
    else:
        figure.update_layout(
            xaxis={"title": "wrongly accepted: people say 'different'", "range": [-0.02, 1.02], "tickformat": ".0%"},
            yaxis={"title": "rightly accepted: people say 'same'", "range": [-0.02, 1.02], "tickformat": ".0%"},
        )
    says = "Held against the majority of people, since generated pairs have no true identity."
    if len(found):
        best = min(found.values(), key=lambda row: float(row["eer"]))
        says = (
            f"{best['name']!s} errs least: at its equal error rate it is wrong on {theme.percent(best['eer'])} "
            f"({theme.percent(best['low'])} to {theme.percent(best['high'])}) of both kinds of pairs. {says}"
        )
    n = f"{int(rates['n'].max()):,} pairs" if len(rates) and rates["n"].notna().any() else "not known"
    return theme.described(figure, says=says, n=n, interval=interval if len(found) else "", source=source)


def acceptance_curve(
    table: pd.DataFrame,
    *,
    recogniser: str,
    source: Source,
    thresholds: Mapping[str, float] | None = None,
    interval: str = "95 % Wilson intervals",
) -> go.Figure:
    """Which share of each type is accepted at any threshold.

    table: sample_type, threshold, share, low, high (NaN: no band), n. thresholds: words -> distance, drawn as lines
    ("default", "calibrated to 1 %").
    """
    known = table.dropna(subset=["share"])
    if known.empty:
        return theme.empty(f"No pair has a distance by {recogniser}.", source)
    figure = go.Figure()
    for place, (key, part) in enumerate(known.groupby("sample_type", sort=False)):
        name = str(key)
        colour = theme.colour_of(name, place)
        x = part["threshold"].to_numpy(np.float32)
        if part["low"].notna().all():
            _band(figure, x, part["low"].to_numpy(), part["high"].to_numpy(), colour, name)
        figure.add_scatter(
            x=x,
            y=part["share"].to_numpy(np.float32),
            mode="lines",
            name=f"{name} ({int(part['n'].max()):,})",
            legendgroup=name,
            line={"color": colour, "width": 2.2, "dash": theme.DASHES[place % 6]},
            hovertemplate=f"{name}: %{{y:.0%}} accepted below %{{x:.3f}}<extra></extra>",
        )
    for place, (words, value) in enumerate((thresholds or {}).items()):
        figure.add_vline(x=value, line={"color": theme.BRICK, "width": 1.4, "dash": "dash"})
        figure.add_annotation(
            x=value,
            y=1 - 0.09 * place,
            yref="paper",
            text=f"{words} {value:.3f}",
            showarrow=False,
            xanchor="left",
            yanchor="top",
            xshift=4,
            font={"size": 12, "color": theme.BRICK},
            bgcolor=theme.faded(theme.PAPER, 0.75),
        )
    figure.update_layout(
        xaxis={"title": f"threshold of {recogniser}"}, yaxis={"title": "accepted", "range": [-0.02, 1.03], "tickformat": ".0%"}
    )
    return theme.described(
        figure,
        says=f"The farther right the threshold, the more pairs {recogniser} accepts as one person.",
        n=f"{int(known.groupby('sample_type')['n'].max().sum()):,} pairs with two faces",
        interval=interval,
        source=source,
    )


def psychometric(
    points: pd.DataFrame,
    curves: pd.DataFrame,
    fits: pd.DataFrame,
    *,
    source: Source,
    interval: str = "95 % intervals",
) -> go.Figure:
    """The share that says 'same person' on the way from the base (0) to the other face (1), with the fitted function.

    points: name (people, or a recogniser), fraction, share, low, high, n. curves: name, fraction, share (may be empty).
    fits: name, threshold (fraction at which half say 'same'), low, high (may be empty; NaN: not fitted).
    """
    known = points.dropna(subset=["share"])
    if known.empty:
        return theme.empty("No interpolated pair has an answer yet.", source)
    figure = go.Figure()
    sentences = []
    for place, (key, part) in enumerate(known.groupby("name", sort=False)):
        name = str(key)
        colour = (theme.AMBER, theme.INDIGO, theme.TEAL, theme.BRICK, theme.SKY, theme.INK)[place % 6]
        share = part["share"].to_numpy(np.float64)
        figure.add_scatter(
            x=part["fraction"].to_numpy(),
            y=share,
            mode="markers",
            name=name,
            legendgroup=name,
            marker={"color": colour, "size": 10, "symbol": theme.SYMBOLS[place % 6]},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": np.nan_to_num(part["high"].to_numpy() - share).clip(0),
                "arrayminus": np.nan_to_num(share - part["low"].to_numpy()).clip(0),
                "color": colour,
                "width": 0,
            },
            customdata=part["n"].to_numpy(),
            hovertemplate=f"{name}: %{{y:.0%}} say 'same' at %{{x:.0%}} of the way, n = %{{customdata}}<extra></extra>",
        )
        curve = curves[curves["name"] == name]
        if len(curve):
            figure.add_scatter(
                x=curve["fraction"].to_numpy(np.float32),
                y=curve["share"].to_numpy(np.float32),
                mode="lines",
                line={"color": colour, "width": 2.2, "dash": theme.DASHES[place % 6]},
                legendgroup=name,
                showlegend=False,
                hoverinfo="skip",
            )
        fit = fits[(fits["name"] == name) & fits["threshold"].notna()]
        if len(fit):
            row = fit.iloc[0]
            figure.add_scatter(
                x=[row["low"], row["high"]],
                y=[0.5, 0.5],
                mode="lines",
                line={"color": colour, "width": 5},
                opacity=0.5,
                legendgroup=name,
                showlegend=False,
                hovertemplate=f"{name}: half way at {row['threshold']:.2f}<extra></extra>",
            )
            sentences.append(f"{name} at {theme.percent(float(row['threshold']))}")
    figure.add_hline(y=0.5, line={"color": theme.FADED, "width": 1, "dash": "dot"})
    figure.update_layout(
        xaxis={"title": "way from the base to the other face", "range": [-0.03, 1.03], "tickformat": ".0%"},
        yaxis={"title": "says 'same person'", "range": [-0.03, 1.05], "tickformat": ".0%"},
    )
    says = "The share that sees the same person falls on the way to the other face."
    if sentences:
        says = f"Half say 'same person' at this point of the way to the other face: {theme.listed(sentences)}."
    return theme.described(figure, says=says, n=f"{int(known['n'].sum()):,} decisions", interval=interval, source=source)


def _band(figure: go.Figure, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, group: str) -> None:
    figure.add_scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([low, high[::-1]]).astype(np.float32),
        fill="toself",
        fillcolor=theme.faded(colour, 0.14),
        line={"width": 0},
        legendgroup=group,
        showlegend=False,
        hoverinfo="skip",
    )
