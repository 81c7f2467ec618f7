"""Answers to questions of a study's own: labels and rating scales. Paper B's figures are of its six emotions, and are not here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.choices import Choices, count_choices
from core.analysis.encode import encode, explain_no_answers, select_answers
from core.analysis.estimate import bootstrap_estimate
from core.figures.dots import plot_dots
from core.figures.emotion import plot_entropy_histogram
from core.figures.exhibit import Exhibit, ExhibitView, build_row, describe_estimate, name_raters, name_source
from core.figures.theme import format_percent
from core.progress import Progress
from core.studies.words import load_words

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData

OTHER_LABELS = (
    "Outcomes, classifiers and activations of paper B are figures of its own six emotions; this study's answers are others, so "
    "that those figures are not shown."
)
EVERYTHING = "all"
MOST_SERIES = 4
"""With more types of samples the dots of one answer run into those of the next: all together are drawn, and the table has each."""


def count_own_choices(study_data: StudyData) -> Choices:
    """The votes on everything that was shown, attention checks aside, by the study's own answers."""
    plan = study_data.study.plan
    return count_choices(
        study_data.ratings,
        study_data.shown["stimulus"],
        excluded=study_data.excluded,
        task=plan.main_task,
        labels=plan.choices,
    )


def _group_by_type(study_data: StudyData) -> dict[str, NDArray[np.bool_]]:
    """Which rows of ``shown`` belong to each type of sample, and all of them where there are several types."""
    types = study_data.shown["sample_type"].astype(str).to_numpy()
    names = list(dict.fromkeys(types))
    groups: dict[str, NDArray[np.bool_]] = {EVERYTHING: np.ones(len(types), bool)} if len(names) != 1 else {}
    return groups | {str(name) or EVERYTHING: np.asarray(types == name, bool) for name in names}


def exhibit_answers(study_data: StudyData, _: ExhibitView, __: Progress) -> list[Exhibit]:
    """The share of each answer, over all that was shown and by type of sample."""
    plan, votes = study_data.study.plan, count_own_choices(study_data)
    shares = votes.shares()
    rows = [
        {"name": label, "series": group, **build_row(bootstrap_estimate(shares[inside, column], np.mean))}
        for column, label in enumerate(plan.choices)
        for group, inside in _group_by_type(study_data).items()
    ]
    data = pd.DataFrame(rows)
    first = data.drop_duplicates("name").dropna(subset=["value"])
    who = name_raters(study_data)
    says = votes.note
    if len(first):
        top = first.iloc[int(first["value"].to_numpy().argmax())]
        share = format_percent(top["value"], 0)
        says = f"{who.capitalize()} answer '{top['name']}' most often: {share} of the answers about an image."
    drawn = data if data["series"].nunique() <= MOST_SERIES else data[data["series"] == EVERYTHING]
    figure = plot_dots(
        drawn,
        measure="share of the answers about an image",
        says=says,
        n=f"{votes.basis.images:,} images, {votes.basis.raters:,} {who}, {votes.basis.answers:,} answers",
        interval="95 % bootstrap over images",
        source=name_source(study_data, votes.basis.source),
        share=True,
        span=(0.0, 1.0),
        nothing=says,
    )
    definition = (
        f"Of each image the share of people who gave an answer, averaged over images. The question: "
        f"{plan.wording or load_words('en').say('ask.labels')}"
    )
    note = OTHER_LABELS if plan.asks == "labels" and plan.kind == "emotion" else ""
    return [Exhibit("answers", figure, data, definition, note, numbers={"basis": votes.basis, "shares": data})]


def exhibit_divided(study_data: StudyData, _: ExhibitView, __: Progress) -> list[Exhibit]:
    """The entropy of the answers about an image."""
    votes, plan = count_own_choices(study_data), study_data.study.plan
    table = votes.table[votes.table["votes"] > 1]
    images = pd.DataFrame({"sample_id": table["stimulus"], "entropy": table["bits"]})
    source = name_source(study_data, votes.basis.source)
    figure = plot_entropy_histogram(images, source=source, choices=len(plan.choices), published=False)
    return [
        Exhibit(
            "divided",
            figure,
            votes.table,
            "Shannon entropy of the answers about an image in bits, corrected for few votes (Miller and Madow); images with two "
            "answers or more. Below each image: 95 % of draws from the Dirichlet of its votes.",
            votes.note,
            numbers={"basis": votes.basis, "entropy": votes.entropy, "bits": votes.bits},
        )
    ]


def exhibit_ratings(study_data: StudyData, _: ExhibitView, __: Progress) -> list[Exhibit]:
    """The mean rating on the study's scale, over all that was shown and by type of sample."""
    plan, shown = study_data.study.plan, study_data.shown
    codes = encode(select_answers(study_data.ratings, "scale", excluded=study_data.excluded, sentinels=False), shown["stimulus"])
    means = codes.means()
    estimates = {name: bootstrap_estimate(means[inside], np.mean) for name, inside in _group_by_type(study_data).items()}
    data = pd.DataFrame([{"name": name, **build_row(estimate)} for name, estimate in estimates.items()])
    who = name_raters(study_data)
    says = explain_no_answers(study_data.ratings, study_data.excluded)
    if len(codes.value):
        overall = next(iter(estimates.values()))
        says = f"{who.capitalize()} rate the images {describe_estimate(overall)} on average, from 1 to {plan.scale_points}."
    figure = plot_dots(
        data,
        measure=f"mean rating: 1 is '{plan.scale_low}', {plan.scale_points} is '{plan.scale_high}'",
        says=says,
        n=f"{codes.basis.images:,} images, {codes.basis.raters:,} {who}, {codes.basis.answers:,} answers",
        interval="95 % bootstrap over images",
        source=name_source(study_data, codes.basis.source),
        span=(1.0, float(plan.scale_points)),
        nothing=says,
    )
    definition = f"Of each image the mean rating, averaged over images. The question: {plan.wording}"
    return [Exhibit("ratings", figure, data, definition, numbers={"basis": codes.basis, "means": data})]
