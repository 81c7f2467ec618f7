"""Models that learn from people: how they learned, and whether they are unsure where people are divided."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.figures import theme
from core.figures.theme import Source

BEFORE, AFTER = "before learning", "after learning"
SIDES = {"base": (BEFORE, theme.AMBER, "circle-open"), "group": (AFTER, theme.INDIGO, "diamond")}


def curves(table: pd.DataFrame, *, n: int | str, source: Source, epochs: int) -> go.Figure:
    """How often each network names what a person said, epoch by epoch, on answers that it does not learn from.

    table: name (who learns), epoch (0: before), accuracy (share of held-out answers). epochs: as many as were asked for.
    """
    known = table.dropna(subset=["accuracy"])
    if known.empty:
        return theme.empty("Nothing has been learned yet.", source)
    figure = go.Figure()
    for place, (name, part) in enumerate(known.groupby("name", sort=False)):
        figure.add_scatter(
            x=part["epoch"].to_numpy(),
            y=part["accuracy"].to_numpy(np.float64),
            mode="lines+markers",
            name=str(name),
            line={"color": theme.CATEGORIES[place % 6], "dash": theme.DASHES[place % 6], "width": 2},
            marker={"symbol": theme.SYMBOLS[place % 6], "size": 7},
            hovertemplate=f"{name}, round %{{x}}: %{{y:.1%}}<extra></extra>",
        )
    figure.update_layout(
        xaxis={"title": "rounds of learning (0: before)", "range": [-0.3, epochs + 0.3], "dtick": max(1, round(epochs / 8))},
        yaxis={"title": "held-out answers that it names", "tickformat": ".0%"},
        height=320,
        showlegend=known["name"].nunique() > 1,
    )
    last = known.groupby("name", sort=False).agg(first=("accuracy", "first"), now=("accuracy", "last"))
    told = [f"{name} goes from {theme.percent(row['first'])} to {theme.percent(row['now'])}" for name, row in last.iterrows()]
    says = f"While it learns, {theme.listed(told)} of the held-out answers."
    return theme.described(figure, says=says, n=n, source=source)


def own_curves(table: pd.DataFrame, mean: pd.DataFrame, *, says: str, n: int | str, source: Source, epochs: int) -> go.Figure:
    """One thin line a person, without names, and their mean.

    table: person (a number), epoch (0: before), accuracy (share of that person's held-out answers). mean: epoch, accuracy.
    """
    known = table.dropna(subset=["accuracy"])
    if known.empty:
        return theme.empty("Nobody has a model of their own yet.", source)
    figure = go.Figure()
    x: list[float] = []
    y: list[float] = []
    for _, part in known.groupby("person", sort=False):  # one trace for all: a hundred of them would be slow
        x += [*part["epoch"].astype(float), math.nan]
        y += [*part["accuracy"].astype(float), math.nan]
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name="one person each",
        line={"color": theme.faded(theme.SOFT, 0.5), "width": 1.3},
        hovertemplate="one person, round %{x}: %{y:.0%}<extra></extra>",
    )
    figure.add_scatter(
        x=mean["epoch"].to_numpy(np.float64),
        y=mean["accuracy"].to_numpy(np.float64),
        mode="lines+markers",
        name="their mean",
        line={"color": theme.INDIGO, "width": 2.6},
        marker={"symbol": "circle", "size": 7},
        hovertemplate="mean, round %{x}: %{y:.1%}<extra></extra>",
    )
    figure.update_layout(
        xaxis={
            "title": "rounds of learning (0: everybody's model)",
            "range": [-0.3, epochs + 0.3],
            "dtick": max(1, round(epochs / 8)),
        },
        yaxis={"title": "of their held-out answers", "tickformat": ".0%"},
        height=320,
    )
    return theme.described(figure, says=says, n=n, source=source)


def entropies(table: pd.DataFrame, *, before: float, after: float, n: int | str, source: Source, interval: str = "") -> go.Figure:
    """Doubt of people against doubt of a network, held-out images.

    table: stimulus, human, base, group (bits). before, after: Spearman's correlation of each with people's.
    """
    if len(table) < 3:
        return theme.empty("Fewer than three held-out faces have two answers, so doubts cannot be compared.", source)
    figure = go.Figure()
    for column, (name, colour, symbol) in SIDES.items():
        figure.add_scatter(
            x=table["human"].to_numpy(np.float64),
            y=table[column].to_numpy(np.float64),
            mode="markers",
            name=name,
            customdata=table["stimulus"].to_numpy(object),
            marker={"color": colour, "symbol": symbol, "size": 9, "opacity": 0.85, "line": {"width": 1.5, "color": colour}},
            hovertemplate=f"{name}: people %{{x:.2f}} bits, network %{{y:.2f}} bits<extra></extra>",
        )
    most = float(np.log2(6))
    figure.add_scatter(
        x=[0, most],
        y=[0, most],
        mode="lines",
        line={"color": theme.SOFT, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        name="as divided as people",
    )
    axis = {"range": [-0.06, most + 0.1], "dtick": 0.5}
    figure.update_layout(
        xaxis={"title": "how divided people are, bits", **axis},
        yaxis={"title": "how unsure the network is, bits", **axis},
        height=420,
    )
    first, then = theme.number(before), theme.number(after)
    says = f"How unsure the network is follows how divided people are: correlation {first} before learning, {then} after."
    return theme.described(figure, says=says, n=n, interval=interval, source=source)


def people(table: pd.DataFrame, *, says: str, n: int | str, source: Source) -> go.Figure:
    """What a model of their own brings to each person, beside the same with shuffled answers.

    table: rater, loss_gain, null_loss_gain (bits an answer; NaN: none). People stand in the order of their gain, without names. The
    median of the control is drawn across.
    """
    known = table.dropna(subset=["loss_gain"]).sort_values("loss_gain", ascending=False)
    if known.empty:
        return theme.empty("Nobody has a model of their own yet.", source)
    figure = go.Figure()
    place = np.arange(1, len(known) + 1)
    for column, name, colour, symbol in (
        ("loss_gain", "from their own answers", theme.INDIGO, "diamond"),
        ("null_loss_gain", "from shuffled answers (the control)", theme.AMBER, "circle-open"),
    ):
        figure.add_scatter(
            x=place,
            y=known[column].to_numpy(np.float64),
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 9, "line": {"width": 1.5, "color": colour}},
            hovertemplate=f"{name}: %{{y:+.2f}} bits an answer<extra></extra>",
        )
    figure.add_hline(y=0, line={"color": theme.SOFT, "width": 1.2, "dash": "dot"})
    shuffled = known["null_loss_gain"].dropna()
    if len(shuffled):
        figure.add_scatter(
            x=[0.5, len(known) + 0.5],
            y=[float(shuffled.median())] * 2,
            mode="lines",
            name="median of the control",
            line={"color": theme.AMBER, "width": 1.5, "dash": "dash"},
            hovertemplate="median of the control: %{y:+.2f} bits an answer<extra></extra>",
        )
    figure.update_layout(
        xaxis={"title": "people, largest gain first", "dtick": max(1, len(known) // 10)},
        yaxis={"title": "better than the group's model, bits an answer"},
        height=340,
    )
    return theme.described(figure, says=says, n=n, source=source)
