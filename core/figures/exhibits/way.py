"""The way from one face to another, and what distance explains of similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.analysis.acceptance import Proportion
from core.analysis.boundary import Estimate
from core.analysis.mixed import mixed_model
from core.analysis.psychometric import on_the_way, psychometric_function
from core.figures import verification as drawn
from core.figures.dots import dots
from core.figures.exhibits.exhibit import Exhibit, View, estimate, in_order, people, said, source_of, threshold_of, title_of
from core.progress import Progress

if TYPE_CHECKING:
    from core.analysis.material import Material


def psychometric(material: Material, view: View, _: Progress) -> list[Exhibit]:
    """Share that says 'same person' on the way to another face, people's with the fitted function, recognisers' as they are."""
    found = psychometric_function(material.pairs, material.ratings, excluded=material.excluded)
    who = people(material)
    points: list[dict[str, object]] = [{"name": who, "fraction": each.fraction, **_share(each.same)} for each in found.points]
    for name in in_order(material, view):
        points += recogniser_points(material.pairs, name, threshold_of(material, view, name))
    data = pd.DataFrame(points, columns=["name", "fraction", "share", "low", "high", "n"])
    fractions = np.linspace(0, 1, 81)
    fitted = np.isfinite(found.threshold.value)
    curve = pd.DataFrame(
        {"name": who, "fraction": fractions, "share": found.curve(fractions)}
        if fitted
        else {"name": [], "fraction": [], "share": []}
    )
    fit = pd.DataFrame(
        [{"name": who, "threshold": found.threshold.value, "low": found.threshold.low, "high": found.threshold.high}]
    )
    figure = drawn.psychometric(
        data,
        curve,
        fit,
        source=source_of(material, found.basis.source, "models"),
        interval=f"95 % Wilson intervals of the shares; of the point of half, {found.interval}",
    )
    more = ""
    if fitted:
        more = (
            f"The curve falls by {_steepness(found.slope)} a whole way at its steepest, and {100 * found.lapse.value:.0f} % of "
            "answers look like slips."
        )
    return [
        Exhibit(
            "psychometric",
            figure,
            data,
            "Pairs at 0 % are the base with itself, at 100 % the base with another person, in between what the generator makes "
            "of a mix. A logistic function with slips and beta-binomial spread is fitted to people's answers (psignifit; Schütt "
            "et al. 2016).",
            " ".join(each for each in (found.note, more) if each),
            numbers=found,
        )
    ]


def _steepness(slope: Estimate) -> str:
    return said(Estimate(-slope.value, -slope.high, -slope.low, slope.n), 1)


def recogniser_points(pairs: pd.DataFrame, recogniser: str, threshold: float) -> list[dict[str, object]]:
    """What share a recogniser accepts at each fraction of the way."""
    chain, fraction = on_the_way(pairs)
    distance = chain[f"distance_{recogniser}"].to_numpy(np.float64)
    known = np.isfinite(distance) & np.isfinite(fraction)
    return [
        {
            "name": title_of(recogniser),
            "fraction": float(each),
            **_share(
                Proportion.of(
                    int((distance[known & (fraction == each)] < threshold).sum()), int((known & (fraction == each)).sum())
                )
            ),
        }
        for each in np.unique(fraction[known])
    ]


def _share(found: Proportion) -> dict[str, float | int]:
    return {"share": found.share, "low": found.low, "high": found.high, "n": found.n}


def mixed(material: Material, view: View, _: Progress) -> list[Exhibit]:
    """similarity ~ type x distance + (1 | rater) + (1 | pair): levels and slopes by type."""
    found = mixed_model(material.pairs, material.ratings, view.recogniser, excluded=material.excluded)
    title = title_of(view.recogniser)
    n = f"{found.basis.answers:,} answers of {found.basis.raters:,} {people(material)} about {found.basis.images:,} pairs"
    source = source_of(material, found.basis.source)
    slopes = pd.DataFrame([{"name": each.sample_type, **estimate(each.slope)} for each in found.effects])
    levels = pd.DataFrame([{"name": each.sample_type, **estimate(each.level)} for each in found.effects])
    nothing = found.note or "There are too few answers for this model."
    says, level_says = nothing, nothing
    if found.effects:
        differ = found.interaction_p < 0.05
        steepest = min(found.effects, key=lambda each: each.slope.value)
        says = (
            f"A distance larger by 0.1 costs most for {steepest.sample_type} samples: {abs(steepest.slope.value) / 10:.1f} "
            f"points of similarity; the types {'differ in this' if differ else 'do not clearly differ in this'}."
        )
        highest, lowest = (pick(found.effects, key=lambda each: each.level.value) for pick in (max, min))
        level_says = (
            f"At the same distance of {found.centre:.2f}, people find {highest.sample_type} samples {highest.level.value:.0f} of "
            f"100 alike and {lowest.sample_type} samples {lowest.level.value:.0f}."
        )
    definition = (
        "A linear mixed model of single answers: similarity depends on the type of sample, on the distance and on both "
        "together, while each person and each pair has a level of its own (fitted by restricted maximum likelihood)."
    )
    spread = (
        f"People differ by {found.rater_deviation:.1f} points (standard deviation), pairs by {found.pair_deviation:.1f}, single "
        f"answers by {found.residual_deviation:.1f}."
        if found.effects
        else ""
    )
    return [
        Exhibit(
            "slopes",
            dots(
                slopes if len(slopes) else pd.DataFrame({"name": [], "value": [], "low": [], "high": [], "n": []}),
                measure=f"points of similarity for 1 more distance by {title}",
                says=says,
                n=n,
                interval=found.interval,
                source=source,
                digits=0,
                reference=(0.0, "no relation"),
                nothing=nothing,
            ),
            slopes,
            definition,
            " ".join(each for each in (found.note if found.effects else "", spread) if each),
            numbers=found,
        ),
        Exhibit(
            "levels",
            dots(
                levels if len(levels) else pd.DataFrame({"name": [], "value": [], "low": [], "high": [], "n": []}),
                measure=f"similarity at distance {found.centre:.2f}" if found.effects else "similarity",
                says=level_says,
                n=n,
                interval=found.interval,
                source=source,
                digits=0,
                nothing=nothing,
            ),
            levels,
            definition,
        ),
    ]
