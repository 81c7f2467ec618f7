"""Models fitted to people's verdicts: the psychometric function along interpolations, and the mixed model of similarity by type
and distance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.analysis.estimate import Estimate, Proportion, join_notes
from core.analysis.mixed import fit_mixed_model
from core.analysis.psychometric import fit_psychometric_function, select_interpolations
from core.figures import theme
from core.figures.dots import plot_dots
from core.figures.exhibit import (
    Exhibit,
    ExhibitView,
    build_row,
    describe_estimate,
    find_threshold,
    name_raters,
    name_source,
    order_recognisers,
)
from core.figures.superlatives import find_extreme
from core.figures.theme import Source
from core.models import registry
from core.progress import Progress

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData


def exhibit_psychometric(study_data: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """Psychometric function of people along interpolations, with the shares that recognisers accept."""
    fitted_function = fit_psychometric_function(study_data.pairs, study_data.ratings, excluded=study_data.excluded)
    who = name_raters(study_data)
    points: list[dict[str, object]] = [
        {"name": who, "fraction": point.fraction, **_build_share_row(point.same)} for point in fitted_function.points
    ]
    for name in order_recognisers(study_data, view):
        points += build_recogniser_points(study_data.pairs, name, find_threshold(study_data, view, name))
    data = pd.DataFrame(points, columns=["name", "fraction", "share", "low", "high", "n"])
    fractions = np.linspace(0, 1, 81)
    fitted = np.isfinite(fitted_function.threshold.value)
    curve = pd.DataFrame(
        {"name": who, "fraction": fractions, "share": fitted_function.curve(fractions)}
        if fitted
        else {"name": [], "fraction": [], "share": []}
    )
    fit = pd.DataFrame(
        [
            {
                "name": who,
                "threshold": fitted_function.threshold.value,
                "low": fitted_function.threshold.low,
                "high": fitted_function.threshold.high,
            }
        ]
    )
    figure = plot_psychometric(
        data,
        curve,
        fit,
        source=name_source(study_data, fitted_function.basis.source, "models"),
        interval=f"95 % Wilson intervals of the shares; of the point of half, {fitted_function.interval}",
    )
    more = ""
    if fitted:
        more = (
            f"The curve falls by {_describe_slope(fitted_function.slope)} a whole way at its steepest, and "
            f"{theme.format_percent(fitted_function.lapse.value, 0)} of answers look like slips."
        )
    return [
        Exhibit(
            "psychometric",
            figure,
            data,
            "Pairs at 0 % are the base with itself, at 100 % the base with another person, in between what the generator makes "
            "of a mix. A logistic function with slips and beta-binomial spread is fitted to people's answers (psignifit; Schütt "
            "et al. 2016).",
            join_notes(fitted_function.note, more),
            numbers=fitted_function,
        )
    ]


def _describe_slope(slope: Estimate) -> str:
    return describe_estimate(Estimate(-slope.value, -slope.high, -slope.low, slope.n), 1)


def build_recogniser_points(pairs: pd.DataFrame, recogniser: str, threshold: float) -> list[dict[str, object]]:
    """Share that a recogniser accepts at each fraction of the way."""
    chain, fraction = select_interpolations(pairs)
    distance = chain[f"distance_{recogniser}"].to_numpy(np.float64)
    known = np.isfinite(distance) & np.isfinite(fraction)
    return [
        {
            "name": registry.title(recogniser),
            "fraction": float(step),
            **_build_share_row(
                Proportion.of(
                    int((distance[known & (fraction == step)] < threshold).sum()), int((known & (fraction == step)).sum())
                )
            ),
        }
        for step in np.unique(fraction[known])
    ]


def _build_share_row(share: Proportion) -> dict[str, float | int]:
    return {"share": share.share, "low": share.low, "high": share.high, "n": share.n}


def exhibit_mixed_model(study_data: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """Mixed model similarity ~ type x distance + (1 | rater) + (1 | pair): levels and slopes by type."""
    order_recognisers(study_data, view, required=True)
    model = fit_mixed_model(study_data.pairs, study_data.ratings, view.recogniser, excluded=study_data.excluded)
    title = registry.title(view.recogniser)
    n = f"{model.basis.answers:,} answers of {model.basis.raters:,} {name_raters(study_data)} about {model.basis.images:,} pairs"
    source = name_source(study_data, model.basis.source)
    slopes = pd.DataFrame([{"name": effect.sample_type, **build_row(effect.slope)} for effect in model.effects])
    levels = pd.DataFrame([{"name": effect.sample_type, **build_row(effect.level)} for effect in model.effects])
    nothing = model.note or "There are too few answers for this model."
    says, level_says = nothing, nothing
    if model.effects:
        differ = model.interaction_p < 0.05
        steepest = min(model.effects, key=lambda effect: effect.slope.value)
        alone = differ and len(find_extreme({effect.sample_type: effect.slope for effect in model.effects}, highest=False)) == 1
        says = (
            f"A distance larger by 0.1 costs {'most for' if alone else 'similarity, for'} {steepest.sample_type} samples"
            f"{': ' if alone else ' '}{abs(steepest.slope.value) / 10:.1f} points; the types "
            f"{'differ in this' if differ else 'do not clearly differ in this'}."
        )
        highest, lowest = (pick(model.effects, key=lambda effect: effect.level.value) for pick in (max, min))
        level_says = (
            f"At the same distance of {model.centre:.2f}, people find {highest.sample_type} samples {highest.level.value:.0f} of "
            f"100 alike and {lowest.sample_type} samples {lowest.level.value:.0f}"
            f"{'' if highest.level.low > lowest.level.high else '; their intervals overlap'}."
        )
    definition = (
        "A linear mixed model of single answers: similarity depends on the type of sample, on the distance and on both "
        "together, while each person and each pair has a level of its own (fitted by restricted maximum likelihood)."
    )
    spread = (
        f"People differ by {model.rater_deviation:.1f} points (standard deviation), pairs by {model.pair_deviation:.1f}, single "
        f"answers by {model.residual_deviation:.1f}."
        if model.effects
        else ""
    )
    return [
        Exhibit(
            "slopes",
            plot_dots(
                slopes if len(slopes) else pd.DataFrame({"name": [], "value": [], "low": [], "high": [], "n": []}),
                measure=f"points of similarity for 1 more distance by {title}",
                says=says,
                n=n,
                interval=model.interval,
                source=source,
                digits=0,
                reference=(0.0, "no relation"),
                nothing=nothing,
            ),
            slopes,
            definition,
            join_notes(model.note if model.effects else "", spread),
            numbers=model,
        ),
        Exhibit(
            "levels",
            plot_dots(
                levels if len(levels) else pd.DataFrame({"name": [], "value": [], "low": [], "high": [], "n": []}),
                measure=f"similarity at distance {model.centre:.2f}" if model.effects else "similarity",
                says=level_says,
                n=n,
                interval=model.interval,
                source=source,
                digits=0,
                nothing=nothing,
            ),
            levels,
            definition,
        ),
    ]


def plot_psychometric(
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
        return theme.build_empty_figure("No interpolated pair has an answer yet.", source)
    figure = go.Figure()
    sentences = []
    for index, (key, part) in enumerate(known.groupby("name", sort=False)):
        name = str(key)
        colour = (theme.AMBER, theme.INDIGO, theme.TEAL, theme.BRICK, theme.SKY, theme.INK)[index % 6]
        share = part["share"].to_numpy(np.float64)
        figure.add_scatter(
            x=part["fraction"].to_numpy(),
            y=share,
            mode="markers",
            name=name,
            legendgroup=name,
            marker={"color": colour, "size": 10, "symbol": theme.SYMBOLS[index % 6]},
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
                line={"color": colour, "width": 2.2, "dash": theme.DASHES[index % 6]},
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
            sentences.append(f"{name} at {theme.format_percent(float(row['threshold']), 0)}")
    figure.add_hline(y=0.5, line={"color": theme.FADED, "width": 1, "dash": "dot"})
    figure.update_layout(
        xaxis={"title": "way from the base to the other face", "range": [-0.03, 1.03], "tickformat": ".0%"},
        yaxis={"title": "says 'same person'", "range": [-0.03, 1.05], "tickformat": ".0%"},
    )
    says = "The share that sees the same person falls on the way to the other face."
    if sentences:
        says = f"Half say 'same person' at this point of the way to the other face: {theme.join_names(sentences)}."
    return theme.describe_figure(figure, says=says, n=f"{int(known['n'].sum()):,} decisions", interval=interval, source=source)
