"""What people choose for faces between two emotions: outcome shares and Figs. 4, 7 and 8 of paper B."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.analysis.answers import Array
from core.analysis.boundary import Outcomes
from core.analysis.choices import Choices, choices, fit
from core.analysis.deciders import probabilities
from core.analysis.outcomes import RULE, outcomes
from core.analysis.reaction import entropy_and_time
from core.errors import LiminalError
from core.figures import agreement as drawn_choices
from core.figures import emotion as drawn
from core.figures import theme
from core.figures.dots import dots
from core.figures.exhibits.exhibit import Exhibit, View, estimate, people, said, source_of, title_of
from core.models.emotions import EMOTIONS
from core.progress import Progress

if TYPE_CHECKING:
    from core.analysis.material import Material

MARKS = 400
"""Strokes below a distribution that can still be told apart."""


def outcome_shares(material: Material, _: View, __: Progress) -> list[Exhibit]:
    """Success, bias and failure by pair of emotions."""
    found = outcomes(material.asked, material.ratings, excluded=material.excluded)
    data = pd.DataFrame(
        [{"emotion1": first, "emotion2": second, **_counts(each)} for (first, second), each in found.pairs.items()],
        columns=["emotion1", "emotion2", "success", "bias", "failure", "low", "high"],
    )
    source = source_of(material, found.basis.source)
    chosen, pair_share = _by_pair(material.asked, votes_of(material).counts(), list(found.pairs))
    confusion = drawn_choices.confusion(chosen, rows="the two wanted feelings", columns="chosen", source=source)
    if chosen.to_numpy().sum():
        confusion.layout.meta["says"] = (
            f"In {theme.percent(pair_share)} of the votes one of the face's two wanted feelings is chosen."
        )
    return [
        Exhibit(
            "outcomes",
            drawn.outcome_shares(data, source=source, published=found.published_success_or_bias),
            data,
            f"Of each face, the shares of people who chose its two feelings are looked at. {RULE[:1].upper()}{RULE[1:]} (paper "
            "B, Fig. 4; equality goes to the worse outcome). The paper prints only that success and bias together are nearly 80 "
            "%.",
            found.note,
            numbers={name: getattr(found, name) for name in ("basis", "interval", "every", "success_or_bias", "rule")}
            | {"pairs": {f"{a}-{b}": each for (a, b), each in found.pairs.items()}},
        ),
        Exhibit(
            "choices",
            confusion,
            chosen.rename_axis("wanted").reset_index(),
            "Every row is a pair of wanted feelings: how the votes on its faces are spread over the six answers.",
        ),
    ]


def _by_pair(samples: pd.DataFrame, counts: Array, pairs: list[tuple[str, str]]) -> tuple[pd.DataFrame, float]:
    """Votes (N, 6) -> votes by pair of wanted feelings, a row each, and the share of all that went to the own pair."""
    rows, own = {}, 0.0
    for first, second in pairs:
        inside = ((samples["emotion1"] == first) & (samples["emotion2"] == second)).to_numpy(bool)
        total = counts[inside].sum(axis=0)
        rows[f"{first} – {second}"] = total.astype(np.int64)
        own += total[EMOTIONS.index(first)] + total[EMOTIONS.index(second)]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(EMOTIONS))
    return table, own / max(float(table.to_numpy().sum()), 1.0)


def votes_of(material: Material) -> Choices:
    """People's votes on the study's faces."""
    return choices(material.ratings, material.asked["sample_id"], excluded=material.excluded)


def _counts(found: Outcomes) -> dict[str, float | int]:
    return {
        "success": found.success.count,
        "bias": found.bias.count,
        "failure": found.failure.count,
        "low": found.success.low,
        "high": found.success.high,
    }


def divided(material: Material, _: View, __: Progress) -> list[Exhibit]:
    """Fig. 7a and 7c: entropy of the choices, and whether people take longer where they are divided."""
    votes = votes_of(material)
    slow = entropy_and_time(material.ratings, votes=votes)
    source = source_of(material, votes.basis.source)
    images = votes.table.rename(columns={"stimulus": "sample_id"})
    several = images[images["votes"] > 1]
    drawn_bits = drawn.entropy_histogram(several[["sample_id"]].assign(entropy=several["bits"]), source=source)
    points = slow.table.rename(columns={"stimulus": "sample_id", "bits": "entropy", "median_ms": "reaction_time_ms"})
    rho = slow.spearman
    return [
        Exhibit(
            "entropy",
            drawn_bits,
            images,
            "Entropy says in bits how evenly the answers are spread over the six feelings: 0 is one answer for all, 1 two "
            "equally frequent ones, 2.58 all six. With few votes the plain value is too small; Miller and Madow's correction is "
            "added. Paper B, Fig. 7a.",
            f"Mean over faces with two votes or more: {said(votes.bits)} bits; without the correction {said(votes.entropy)}."
            if math.isfinite(votes.bits.value)
            else votes.note,
            numbers={"basis": votes.basis, "interval": votes.interval, "bits": votes.bits, "plain": votes.entropy},
        ),
        Exhibit(
            "entropy-time",
            drawn.entropy_by_reaction_time(
                points,
                source=source,
                rho=(rho.value, rho.low, rho.high) if math.isfinite(rho.value) else None,
                published=slow.published,
            ),
            points,
            "Each mark is a face: the median time that people took, and how divided they are. Spearman's correlation compares "
            "the two orders. The published 0.42 is of a task with digits. Paper B, Fig. 7c.",
            slow.note,
            numbers={"basis": slow.basis, "spearman": rho, "p": slow.p, "published": slow.published},
        ),
    ]


def against_classifiers(material: Material, _: View, __: Progress) -> list[Exhibit]:
    """How well each classifier foretells people's votes."""
    votes = votes_of(material)
    found = {name: fit(votes, probabilities(material.asked, name, material.steerer), name) for name in _judging(material)}
    who = people(material)
    first = next(iter(found.values()), None)
    basis = first.basis if first else votes.basis
    source = source_of(material, basis.source, "models") if first else source_of(material, basis.source)
    shares = pd.DataFrame(
        [{"name": title_of(name), **estimate(each.accuracy)} for name, each in found.items()]
        + ([{"name": f"the most frequent answer of {who}", **estimate(first.best_accuracy)}] if first else []),
        columns=["name", "value", "low", "high", "n"],
    )
    bits = pd.DataFrame(
        [{"name": title_of(name), "series": "surprise per vote", **estimate(each.log_loss)} for name, each in found.items()]
        + [
            {"name": title_of(name), "series": "distance of the shares", **estimate(each.divergence)}
            for name, each in found.items()
        ],
        columns=["name", "series", "value", "low", "high", "n"],
    )
    n = f"{basis.images:,} images, {basis.answers:,} votes"
    interval = first.interval if first else ""
    nothing = "No classifier judged these faces, or nobody has answered about them yet."
    known = {name: each for name, each in found.items() if math.isfinite(each.accuracy.value)}
    says = bits_say = nothing
    if known and first is not None:
        name, best = max(known.items(), key=lambda item: item[1].accuracy.value)
        says = (
            f"{title_of(name)} gives the answer of {who} most often: {100 * best.accuracy.value:.0f} % of the votes; nothing "
            f"could reach more than {100 * first.best_accuracy.value:.0f} %, since {who} differ."
        )
        name, best = min(known.items(), key=lambda item: item[1].log_loss.value)
        bits_say = (
            f"{title_of(name)} is least surprised by the votes: {said(best.log_loss)} bits a vote, where guessing costs 2.58 and "
            f"knowing everybody's shares {said(first.best_log_loss)}."
        )
    return [
        Exhibit(
            "classifier-accuracy",
            dots(
                shares,
                measure="votes for the most probable feeling",
                says=says,
                n=n,
                interval=interval,
                source=source,
                share=True,
                span=(0, 1.02),
                reference=(1 / 6, "guessing"),
                nothing=nothing,
            ),
            shares,
            "The share of all votes that went to the feeling which the classifier finds most probable. Where people differ, no "
            "single answer can meet all votes: the most frequent one is the ceiling.",
            numbers=found,
        ),
        Exhibit(
            "classifier-bits",
            dots(
                bits,
                measure="bits: fewer are better",
                says=bits_say,
                n=n,
                interval=interval,
                source=source,
                reference=(math.log2(6), "guessing") if len(bits) else None,
                nothing=nothing,
            ),
            bits,
            "Surprise per vote: minus the logarithm of the probability that the classifier gave to it. Distance of the shares: "
            "Jensen-Shannon divergence of people's shares and the classifier's probabilities, 0 (the same) to 1 bit (nothing in "
            "common).",
        ),
    ]


def _judging(material: Material) -> list[str]:
    """Classifiers whose probabilities are in the table."""
    known = []
    for name in material.classifiers:
        try:
            probabilities(material.asked, name, material.steerer)
        except LiminalError:
            continue
        known.append(name)
    return known


def activations(material: Material, view: View, _: Progress) -> list[Exhibit]:
    """Fig. 8: how strongly a classifier answers to plain faces, the filter's limits, and the study's faces below."""
    from core.sampling.emotion.reference import load_reference

    name = view.classifier or material.steerer
    definition = (
        "Activations are what the classifier computes before it turns them into probabilities. The filter keeps a face whose "
        "two feelings both lie beyond the dashed line, the 75th percentile of plain faces. Strokes below are faces of this "
        "study. Paper B, equation (3) and Fig. 8, there of photographs (RAF-DB)."
    )
    try:
        reference = load_reference(material.generator)
        logits, limits = reference.logits[name], reference.percentiles(name).tolist()
    except (LiminalError, KeyError):
        figure = drawn.activations(np.empty((0, 6)), [0.0] * 6, classifier=title_of(name))
        return [Exhibit("activations", figure, pd.DataFrame(columns=list(EMOTIONS)), definition)]
    prefix = "logit_" if name == material.steerer else f"logit_{name}_"
    rows = material.asked
    marks: dict[str, list[float]] = {}
    for emotion in EMOTIONS:
        own = rows[(rows["emotion1"] == emotion) | (rows["emotion2"] == emotion)]
        if f"{prefix}{emotion}" in own:
            marks[emotion] = own[f"{prefix}{emotion}"].dropna().tolist()[:MARKS]
    figure = drawn.activations(logits, limits, classifier=title_of(name), marks=marks)
    quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
    data = pd.DataFrame(np.quantile(logits, quantiles, axis=0), columns=list(EMOTIONS)).assign(quantile=quantiles)
    return [Exhibit("activations", figure, data[["quantile", *EMOTIONS]], definition)]
