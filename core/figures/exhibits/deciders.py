"""Do people agree with each other, and do models err like people?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.analysis.agreement import Agreement, agreement
from core.analysis.consistency import Consistency, error_consistency
from core.analysis.deciders import classifier_answers, recogniser_answers
from core.figures import agreement as drawn
from core.figures.dots import dots
from core.figures.exhibits.exhibit import Exhibit, View, estimate, in_order, people, said, source_of, threshold_of, title_of
from core.progress import Progress
from core.studies.ratings import Task

if TYPE_CHECKING:
    from core.analysis.material import Material

TASKS: dict[Task, str] = {"similarity": "how alike", "identity": "same person?", "emotion": "which feeling?"}
SHOWN = 40
"""Deciders whose cells can still be told apart."""


def consistency(material: Material, view: View, _: Progress) -> list[Exhibit]:
    """Error consistency of all deciders, and each model with people beside what people reach among themselves."""
    task: Task = "identity" if material.kind == "identity" else "emotion"
    ratings = pd.concat([material.ratings, model_answers(material, view)], ignore_index=True)
    found = error_consistency(ratings, task, excluded=material.excluded)
    who = people(material)
    rows = [{"name": f"{who} with each other", **estimate(found.ceiling)}]
    rows += [{"name": f"{title_of(name)} with {who}", **estimate(each)} for name, each in found.models.items()]
    data = pd.DataFrame(rows)
    source = source_of(material, found.basis.source)
    definition = (
        "Cohen's kappa: do two deciders give the same answer more often than their habits alone would make them? 1 is always, 0 "
        "is chance. What people reach among themselves is what a model would reach if it were one of them; one that answers "
        "like their mean can go beyond (Geirhos, Meding and Wichmann 2020, NeurIPS). Attention checks are left out."
    )
    return [
        Exhibit(
            "consistency",
            dots(
                data,
                measure="kappa beyond chance",
                says=_closest(found, who),
                n=f"{found.basis.images:,} images, {found.basis.raters:,} {who}",
                interval=found.interval,
                source=source,
                reference=(0.0, "chance"),
                nothing=found.note or "It takes two deciders to compare.",
            ),
            data,
            definition,
            found.note,
            numbers=_numbers(found),
        ),
        _matrix(found, source, definition),
    ]


def model_answers(material: Material, view: View) -> pd.DataFrame:
    """What every model says of the study's images, in the row schema."""
    if material.kind == "identity":
        limits = {name: threshold_of(material, view, name) for name in in_order(material, view)}
        return recogniser_answers(material.pairs, limits, study=material.study.name)
    return classifier_answers(material.asked, material.steerer, material.classifiers, study=material.study.name)


def _closest(found: Consistency, who: str) -> str:
    known = {name: each for name, each in found.models.items() if np.isfinite(each.value)}
    if not known:
        return (
            f"{who.capitalize()} agree with each other by kappa {said(found.ceiling)}."
            if found.ceiling.n
            else "Nobody can be compared yet."
        )
    name, best = max(known.items(), key=lambda item: item[1].value)
    if not found.ceiling.n or not np.isfinite(found.ceiling.value):
        return f"{title_of(name)} errs most like {who}: kappa {said(best)}."
    return f"{title_of(name)} errs most like {who}: kappa {said(best)}, where {who} reach {said(found.ceiling)} with each other."


def _matrix(found: Consistency, source: str, definition: str) -> Exhibit:
    """Everybody with everybody; of many people those with the most pairs in common with others."""
    place = np.arange(len(found.deciders))
    is_model = np.array([each == "model" for each in found.sources], bool)
    cut = ""
    if len(place) > SHOWN:
        shared = np.where(is_model, np.inf, np.nansum(np.isfinite(found.kappa), axis=1))
        place = np.sort(np.argsort(-shared, kind="stable")[:SHOWN])
        cut = (
            f"The {SHOWN} of {len(found.deciders)} deciders that can be compared with most others are drawn; all are in the table."
        )
    names = [title_of(name) if model else name for name, model in zip(found.deciders, is_model, strict=True)]
    every = pd.DataFrame(found.kappa, index=names, columns=names)
    figure = drawn.error_consistency(
        every.iloc[place, place],
        n=f"{found.basis.images:,} images, {len(place)} deciders",
        source=source,
        ceiling=(found.ceiling.value, found.ceiling.low, found.ceiling.high),
        interval="95 % bootstrap over people" if np.isfinite(found.ceiling.low) else "",
    )
    first, second = np.triu_indices(len(names), 1)
    data = pd.DataFrame(
        {
            "first": np.array(names, object)[first],
            "second": np.array(names, object)[second],
            "kappa": found.kappa[first, second],
            "low": found.low[first, second],
            "high": found.high[first, second],
            "observed": found.observed[first, second],
            "expected": found.expected[first, second],
            "images": found.shared[first, second].astype(np.int64),
        }
    )
    return Exhibit("consistency-pairs", figure, data[data["images"] > 0].reset_index(drop=True), definition, cut)


def _numbers(found: Consistency) -> dict[str, object]:
    """Without the matrices, which are in the other exhibit's table."""
    return {
        "basis": found.basis,
        "interval": found.interval,
        "note": found.note,
        "ceiling": found.ceiling,
        "models": found.models,
    }


def agreements(material: Material, _: View, __: Progress) -> list[Exhibit]:
    """Krippendorff's alpha, ICC, leave one out and split half, by question."""
    tasks: tuple[Task, ...] = ("similarity", "identity") if material.kind == "identity" else ("emotion",)
    found = {task: agreement(material.ratings, task, excluded=material.excluded) for task in tasks}
    rows = [row for task, each in found.items() for row in _agreement_rows(task, each)]
    data = pd.DataFrame(rows, columns=["name", "series", "value", "low", "high", "n"])
    first = found[tasks[-1]]
    alpha = first.alpha
    who = people(material).capitalize()
    strong = "well" if alpha.value >= 0.667 else "moderately" if alpha.value >= 0.4 else "little"
    says = f"{who} agree {strong} beyond chance on '{TASKS[tasks[-1]]}': Krippendorff's alpha is {said(alpha)}."
    if not np.isfinite(alpha.value):
        says = first.note or "It takes two people who answered about the same images to speak of agreement."
    figure = dots(
        data,
        measure="agreement",
        says=says,
        n=f"{first.basis.images:,} images, {first.basis.raters:,} {who.lower()}, {first.basis.answers:,} answers",
        interval=first.interval,
        source=source_of(material, first.basis.source),
        reference=(0.0, "chance"),
        nothing=says,
    )
    return [
        Exhibit(
            "agreement",
            figure,
            data,
            "Alpha (Krippendorff): 1 is full agreement, 0 chance; above 0.67 is usually called good. ICC(2,k): how reliable the "
            "mean of the people is who rated the same pairs. One with the others: a single person's answers against the mean of "
            "all others'. Split half: two random halves of the people, corrected to all of them (Spearman and Brown).",
            " ".join(dict.fromkeys(each.note for each in found.values() if each.note)),
            numbers=found,
        )
    ]


def _agreement_rows(task: Task, found: Agreement) -> list[dict[str, object]]:
    named = {
        "alpha": found.alpha,
        "ICC(2,k)": found.icc,
        "one with the others": found.leave_one_out,
        "split half": found.split_half,
    }
    return [{"name": name, "series": TASKS[task], **estimate(each)} for name, each in named.items() if np.isfinite(each.value)]


def times(material: Material, _: View, __: Progress) -> list[Exhibit]:
    """How long people take."""
    from core.analysis.reaction import reaction_times
    from core.figures.emotion import reaction_time_histogram

    task: Task = "identity" if material.kind == "identity" else "emotion"
    found = reaction_times(material.ratings, task, excluded=material.excluded)
    figure = reaction_time_histogram(pd.DataFrame({"reaction_time_ms": found.times}), source=material.source)
    return [
        Exhibit(
            "reaction-times",
            figure,
            found.table,
            "From the first frame of the picture to the answer. The slowest answers share the last bar. Paper B, Fig. 7b.",
            found.note,
            numbers={name: getattr(found, name) for name in ("basis", "median", "quantiles", "usual", "skewness")},
        )
    ]
