"""People and models as raters: agreement among people, error consistency of models with people, reaction times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.analysis.agreement import AgreementResult, measure_agreement
from core.analysis.choices import summarise_reaction_times
from core.analysis.consistency import ErrorConsistency, measure_error_consistency
from core.analysis.encode import build_classifier_answers, build_recogniser_answers
from core.analysis.estimate import join_notes
from core.figures import theme
from core.figures.answers import plot_reaction_times
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
from core.figures.superlatives import find_extreme, name_tied
from core.figures.theme import Source
from core.models import registry
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.studies.ratings import RATINGS, Task, type_columns

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData


TASK_TITLES: dict[Task, str] = {
    "similarity": "how alike",
    "identity": "same person?",
    "emotion": "which feeling?",
    "label": "which label?",
    "scale": "the rating",
}
MAX_MATRIX_SIZE = 40
"""Deciders whose cells can still be told apart."""


def exhibit_consistency(study_data: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """Error consistency of all deciders (people and models), and of each model with people beside people with each other."""
    task = study_data.main_task
    ratings = pd.concat([study_data.ratings, build_model_answers(study_data, view)], ignore_index=True)
    consistency = measure_error_consistency(ratings, task, excluded=study_data.excluded)
    who = name_raters(study_data)
    rows = [{"name": f"{who} with each other", **build_row(consistency.ceiling)}]
    rows += [{"name": f"{registry.title(name)} with {who}", **build_row(estimate)} for name, estimate in consistency.models.items()]
    data = pd.DataFrame(rows)
    source = name_source(study_data, consistency.basis.source)
    definition = (
        "Cohen's kappa: do two deciders give the same answer more often than their habits alone would make them? 1 is always, 0 "
        "is chance. What people reach among themselves is what a model would reach if it were one of them; one that answers "
        "like their mean can go beyond (Geirhos, Meding and Wichmann 2020, NeurIPS). Attention checks are left out."
    )
    return [
        Exhibit(
            "consistency",
            plot_dots(
                data,
                measure="kappa beyond chance",
                says=_select_closest(consistency, who),
                n=f"{consistency.basis.images:,} images, {consistency.basis.raters:,} {who}",
                interval=consistency.interval,
                source=source,
                reference=(0.0, "chance"),
                nothing=consistency.note or "It takes two deciders to compare.",
            ),
            data,
            definition,
            consistency.note,
            numbers=_summarise_consistency(consistency),
        ),
        _exhibit_matrix(consistency, source, definition),
    ]


def build_model_answers(study_data: StudyData, view: ExhibitView) -> pd.DataFrame:
    """Decisions of every model about the study's images, in the row schema of ratings, as answers to the study's question.

    Classifiers know six emotions: they answer a question with other labels where the emotions are among them, and no scale.
    """
    if study_data.study.plan.asks not in ("identity", "emotion"):
        labels = study_data.study.plan.labels
        if study_data.kind == "identity" or not set(EMOTIONS) <= set(labels):
            return type_columns(pd.DataFrame(columns=list(RATINGS)))
        answers = build_classifier_answers(
            study_data.asked, study_data.steerer, study_data.classifiers, study=study_data.study.name
        )
        return answers.assign(task="label")
    if study_data.kind == "identity":
        limits = {name: find_threshold(study_data, view, name) for name in order_recognisers(study_data, view)}
        return build_recogniser_answers(study_data.pairs, limits, study=study_data.study.name)
    return build_classifier_answers(study_data.asked, study_data.steerer, study_data.classifiers, study=study_data.study.name)


def _select_closest(consistency: ErrorConsistency, who: str) -> str:
    known = {name: estimate for name, estimate in consistency.models.items() if np.isfinite(estimate.value)}
    if not known:
        return (
            f"{who.capitalize()} agree with each other by kappa {describe_estimate(consistency.ceiling)}."
            if consistency.ceiling.n
            else "Nobody can be compared yet."
        )
    name, best = max(known.items(), key=lambda item: item[1].value)
    tied = find_extreme(known)
    says = f"{registry.title(name)} {'errs most like' if len(tied) == 1 else 'agrees with'} {who}: kappa {describe_estimate(best)}"
    if consistency.ceiling.n and np.isfinite(consistency.ceiling.value):
        says += f", where {who} reach {describe_estimate(consistency.ceiling)} with each other"
    if len(tied) > 1:
        says += f"; {name_tied([registry.title(other) for other in tied[1:]])} cannot be told apart from it"
    return f"{says}."


def _exhibit_matrix(consistency: ErrorConsistency, source: str, definition: str) -> Exhibit:
    """Matrix of all deciders; of many people those that can be compared with most others."""
    selected = np.arange(len(consistency.deciders))
    is_model = np.array([name == "model" for name in consistency.sources], bool)
    cut = ""
    if len(selected) > MAX_MATRIX_SIZE:
        shared = np.where(is_model, np.inf, np.nansum(np.isfinite(consistency.kappa), axis=1))
        selected = np.sort(np.argsort(-shared, kind="stable")[:MAX_MATRIX_SIZE])
        cut = f"The {MAX_MATRIX_SIZE} of {len(consistency.deciders)} deciders that can be compared with most others are drawn; "
        cut += "all are in the table."
    names = [registry.title(name) if model else name for name, model in zip(consistency.deciders, is_model, strict=True)]
    every = pd.DataFrame(consistency.kappa, index=names, columns=names)
    figure = plot_error_consistency(
        every.iloc[selected, selected],
        n=f"{consistency.basis.images:,} images, {len(selected)} deciders",
        source=source,
        ceiling=(consistency.ceiling.value, consistency.ceiling.low, consistency.ceiling.high),
        interval="95 % bootstrap over people" if np.isfinite(consistency.ceiling.low) else "",
    )
    first, second = np.triu_indices(len(names), 1)
    data = pd.DataFrame(
        {
            "first": np.array(names, object)[first],
            "second": np.array(names, object)[second],
            "kappa": consistency.kappa[first, second],
            "low": consistency.low[first, second],
            "high": consistency.high[first, second],
            "observed": consistency.observed[first, second],
            "expected": consistency.expected[first, second],
            "images": consistency.shared[first, second].astype(np.int64),
        }
    )
    return Exhibit("consistency-pairs", figure, data[data["images"] > 0].reset_index(drop=True), definition, cut)


def _summarise_consistency(consistency: ErrorConsistency) -> dict[str, object]:
    """The result without its matrices, which are in the other exhibit's table."""
    return {
        "basis": consistency.basis,
        "interval": consistency.interval,
        "note": consistency.note,
        "ceiling": consistency.ceiling,
        "models": consistency.models,
    }


def exhibit_agreement(study_data: StudyData, _: ExhibitView, __: Progress) -> list[Exhibit]:
    """Krippendorff's alpha, ICC, leave one out and split half, by question."""
    tasks = study_data.study.plan.tasks
    results = {task: measure_agreement(study_data.ratings, task, excluded=study_data.excluded) for task in tasks}
    rows = [row for task, result in results.items() for row in _build_agreement_rows(task, result)]
    data = pd.DataFrame(rows, columns=["name", "series", "value", "low", "high", "n"])
    first = results[tasks[-1]]
    alpha = first.alpha
    who = name_raters(study_data).capitalize()
    strong = "well" if alpha.value >= 0.667 else "moderately" if alpha.value >= 0.4 else "little"
    says = f"{who} agree {strong} beyond chance on '{TASK_TITLES[tasks[-1]]}': Krippendorff's alpha is {describe_estimate(alpha)}."
    if not np.isfinite(alpha.value):
        says = first.note or "It takes two people who answered about the same images to speak of agreement."
    figure = plot_dots(
        data,
        measure="agreement",
        says=says,
        n=f"{first.basis.images:,} images, {first.basis.raters:,} {who.lower()}, {first.basis.answers:,} answers",
        interval=first.interval,
        source=name_source(study_data, first.basis.source),
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
            join_notes(*(result.note for result in results.values())),
            numbers=results,
        )
    ]


def _build_agreement_rows(task: Task, result: AgreementResult) -> list[dict[str, object]]:
    named = {
        "alpha": result.alpha,
        "ICC(2,k)": result.icc,
        "one with the others": result.leave_one_out,
        "split half": result.split_half,
    }
    return [
        {"name": name, "series": TASK_TITLES[task], **build_row(estimate)}
        for name, estimate in named.items()
        if np.isfinite(estimate.value)
    ]


def exhibit_reaction_times(study_data: StudyData, _: ExhibitView, __: Progress) -> list[Exhibit]:
    """Reaction times of the study's main task."""
    task = study_data.main_task
    times = summarise_reaction_times(study_data.ratings, task, excluded=study_data.excluded)
    figure = plot_reaction_times(
        pd.DataFrame({"reaction_time_ms": times.times}), source=study_data.source, published=task == "emotion"
    )
    paper = " Paper B, Fig. 7b." if task == "emotion" else ""
    return [
        Exhibit(
            "reaction-times",
            figure,
            times.table,
            "From the first frame of the picture to the answer. The slowest answers share the last bar." + paper,
            times.note,
            numbers={name: getattr(times, name) for name in ("basis", "median", "quantiles", "usual", "skewness")},
        )
    ]


MAX_TEXT_CELLS = 14  # deciders: more cells than this hold no text


def plot_error_consistency(
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
        return theme.build_empty_figure(
            "There are no two deciders with answers to the same images yet, or all of them always say the same.", source
        )
    names = [str(name) for name in kappas.index]
    texts = np.where(np.isfinite(values), np.char.mod("%.2f", np.nan_to_num(values)), "")
    if len(names) > MAX_TEXT_CELLS:
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
    return theme.describe_figure(figure, says=says + ".", n=n, interval=interval, source=source)
