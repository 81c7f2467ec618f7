"""What people and a recogniser say of pairs of faces: Figs. 4 and 5 of paper A.

All functions take one row a pair and ignore rows without the values they draw; ``pair_id`` travels in ``customdata``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.analysis.acceptance import ORDER, Proportion
from core.figures import theme
from core.figures.theme import Source

BIN = 5.0  # of similarity, which runs from 0 to 100
GL_FROM = 2000  # more points than this are drawn by WebGL, which is fast but prints less finely
SIZES = (5.0, 17.0)  # pixels of a mark at the smallest and the largest latent distance


def similarity_histogram(pairs: pd.DataFrame, *, source: Source) -> go.Figure:
    """How similar people find each type of sample (paper A, Fig. 4 left).

    pairs: pair_id, sample_type, similarity (a pair's mean, 0 to 100).
    """
    known = pairs.dropna(subset=["similarity"])
    if known.empty:
        return theme.empty("No pair has a rating of similarity yet.", source)
    edges = np.arange(0, 100 + BIN, BIN)
    figure = go.Figure()
    for place, (name, part) in enumerate(_by_type(known)):
        counts, _ = np.histogram(part["similarity"].clip(0, 100), bins=edges)
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts,
            width=BIN * 0.92,
            name=f"{name} ({len(part):,})",
            marker={"color": theme.colour_of(name, place), "line": {"width": 0}},
            hovertemplate=f"{name}: %{{y}} pairs about %{{x:.0f}}<extra></extra>",
        )
    figure.update_layout(barmode="stack", xaxis={"title": "mean similarity, 0 to 100", "range": [0, 100]}, yaxis={"title": "pairs"})
    means = known.groupby("sample_type")["similarity"].mean().sort_values()
    says = f"People find {means.index[-1]} samples most similar to their base ({means.iloc[-1]:.0f} of 100 on average)"
    says += f" and {means.index[0]} samples least ({means.iloc[0]:.0f})." if len(means) > 1 else "."
    return theme.described(figure, says=says, n=f"{len(known):,} pairs", source=source)


def similarity_by_distance(pairs: pd.DataFrame, *, recogniser: str, source: Source, threshold: float | None = None) -> go.Figure:
    """What people say against what a recogniser says (paper A, Fig. 4 right); the mark's area grows with latent distance.

    pairs: pair_id, sample_type, similarity, distance (the recogniser's), latent_distance. recogniser: its name for people.
    """
    known = pairs.dropna(subset=["similarity", "distance"])
    if known.empty:
        return theme.empty(f"No pair has both a rating of similarity and a distance by {recogniser} yet.", source)
    latent = known["latent_distance"].fillna(0).to_numpy(np.float64)
    share = np.sqrt(latent / latent.max()) if latent.max() > 0 else np.zeros(len(latent))
    sizes = pd.Series(SIZES[0] + (SIZES[1] - SIZES[0]) * share, index=known.index)
    kind = go.Scattergl if len(known) > GL_FROM else go.Scatter
    figure = go.Figure()
    for place, (name, part) in enumerate(_by_type(known)):
        figure.add_trace(
            kind(
                x=part["distance"].to_numpy(np.float32),
                y=part["similarity"].to_numpy(np.float32),
                mode="markers",
                name=name,
                customdata=part["pair_id"].to_numpy(object),
                marker={
                    "color": theme.colour_of(name, place),
                    "symbol": theme.symbol_of(name, place),
                    "size": sizes.loc[part.index].round(1).to_numpy(np.float32),
                    "opacity": 0.6,
                    "line": {"width": 0.5, "color": theme.PAPER},
                },
                hovertemplate=f"{name}<br>distance %{{x:.2f}}, similarity %{{y:.0f}}<extra></extra>",
            )
        )
    if threshold is not None:
        _threshold(figure, threshold, f"accepted below {threshold:.2f}", vertical=True)
    figure.update_layout(
        xaxis={"title": f"distance by {recogniser}", "rangemode": "tozero"},
        yaxis={"title": "mean similarity, 0 to 100", "range": [-3, 104]},
        legend={"itemsizing": "constant"},
    )
    spread = known["distance"].std() > 0 and known["similarity"].std() > 0 and len(known) > 2
    r = float(known["distance"].corr(known["similarity"])) if spread else float("nan")
    said = f": Pearson's r is {r:.2f}" if np.isfinite(r) else ""
    trend = "The larger the recogniser's distance, the less similar people find a pair" if r < 0 else "Each mark is a pair"
    says = f"{trend}{said}; larger marks lie farther from their base in the generator's latent space."
    return theme.described(figure, says=says, n=f"{len(known):,} pairs", source=source)


def distance_violins(
    pairs: pd.DataFrame,
    *,
    recogniser: str,
    threshold: float,
    source: Source,
    alignment: tuple[float, float, float] | None = None,
) -> go.Figure:
    """Distances of each type of sample, split by what most people said (paper A, Fig. 5), with the threshold.

    Widths are proportional to the number of pairs, over the whole figure. pairs: pair_id, sample_type, distance, same (bool,
    null where people are divided or were not asked). alignment: share of pairs on which threshold and people agree, with its
    interval (section 6.3); None: counted here, with Wilson's interval, pairs taken as independent.
    """
    known = pairs.dropna(subset=["distance", "same"])
    if known.empty:
        return theme.empty(f"No pair has both a decision of people and a distance by {recogniser} yet.", source)
    same = known["same"].astype(bool)
    figure = go.Figure()
    types = [name for name, _ in _by_type(known)]
    for said, words, colour, side in (
        (False, "most people: different", theme.INDIGO, "negative"),
        (True, "most people: same person", theme.AMBER, "positive"),
    ):
        part = known[same == said]
        figure.add_violin(
            x=part["sample_type"].to_numpy(object),
            y=part["distance"].to_numpy(np.float32),
            customdata=part["pair_id"].to_numpy(object),
            name=f"{words} ({len(part):,})",
            side=side,
            scalegroup="all",
            scalemode="count",
            width=0.95,
            points="all" if len(known) <= GL_FROM else False,
            pointpos=-0.08 if side == "negative" else 0.08,
            jitter=0.08,
            marker={"size": 3, "opacity": 0.5},
            line={"color": colour, "width": 1.4},
            fillcolor=theme.faded(colour, 0.45),
            spanmode="hard",
            meanline={"visible": len(part) > 1},
            hoveron="points",
            hovertemplate="%{x}: distance %{y:.2f}<extra></extra>",
        )
    if alignment is None:
        counted = Proportion.of(int(((known["distance"] < threshold) == same).sum()), len(known))
        alignment = counted.share, counted.low, counted.high
    agree = f"{theme.percent(alignment[0])} ({100 * alignment[1]:.0f} to {100 * alignment[2]:.0f})"
    _threshold(figure, threshold, f"threshold {threshold:.2f}: agrees with people on {agree}", vertical=False)
    figure.update_layout(
        violinmode="overlay",
        violingap=0,
        xaxis={"categoryorder": "array", "categoryarray": types},
        yaxis={"title": f"distance by {recogniser}", "rangemode": "tozero"},
    )
    return theme.described(
        figure,
        says=f"Below the line {recogniser} says 'same person', and it agrees with most people on {agree} of the pairs.",
        n=f"{len(known):,} pairs, {int(same.sum()):,} of them 'same person'",
        interval="95 % interval of the agreement",
        source=source,
    )


def _by_type(pairs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Types in Table 1's order; others follow."""
    there = list(dict.fromkeys(pairs["sample_type"].astype(str)))
    order = [name for name in ORDER if name in there] + sorted(name for name in there if name not in ORDER)
    return [(name, pairs[pairs["sample_type"] == name]) for name in order]


def _threshold(figure: go.Figure, value: float, words: str, *, vertical: bool) -> None:
    line = {"color": theme.BRICK, "width": 1.6, "dash": "dash"}
    if vertical:
        figure.add_vline(x=value, line=line)
        figure.add_annotation(
            x=value,
            y=1,
            yref="paper",
            text=words,
            showarrow=False,
            xanchor="left",
            yanchor="top",
            xshift=5,
            font={"color": theme.BRICK, "size": 12},
        )
    else:
        figure.add_hline(y=value, line=line)
        figure.add_annotation(
            x=0,
            xref="paper",
            y=value,
            text=words,
            showarrow=False,
            xanchor="left",
            yanchor="bottom",
            font={"color": theme.BRICK, "size": 12},
            bgcolor=theme.faded(theme.PAPER, 0.75),
        )
