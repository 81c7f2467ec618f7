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
from core.figures import theme
from core.figures.answers import plot_reaction_times
from core.figures.dots import plot_dots
from core.figures.exhibit import (
    Exhibit,
    ExhibitView,
    build_row,
    describe_estimate,
    find_threshold,
    find_title,
    name_raters,
    name_source,
    order_recognisers,
)
from core.figures.theme import Source
from core.progress import Progress
from core.studies.ratings import Task

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData


TASK_TITLES: dict[Task, str] = {"similarity": "how alike", "identity": "same person?", "emotion": "which feeling?"}
MAX_MATRIX_SIZE = 40
"""Deciders whose cells can still be told apart."""


def exhibit_consistency(material: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """Error consistency of all deciders, and each model with people beside what people reach among themselves."""
    task: Task = "identity" if material.kind == "identity" else "emotion"
    ratings = pd.concat([material.ratings, build_model_answers(material, view)], ignore_index=True)
    found = measure_error_consistency(ratings, task, excluded=material.excluded)
    who = name_raters(material)
    rows = [{"name": f"{who} with each other", **build_row(found.ceiling)}]
    rows += [{"name": f"{find_title(name)} with {who}", **build_row(each)} for name, each in found.models.items()]
    data = pd.DataFrame(rows)
    source = name_source(material, found.basis.source)
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
                says=_select_closest(found, who),
                n=f"{found.basis.images:,} images, {found.basis.raters:,} {who}",
                interval=found.interval,
                source=source,
                reference=(0.0, "chance"),
                nothing=found.note or "It takes two deciders to compare.",
            ),
            data,
            definition,
            found.note,
            numbers=_summarise_consistency(found),
        ),
        _exhibit_matrix(found, source, definition),
    ]


def build_model_answers(material: StudyData, view: ExhibitView) -> pd.DataFrame:
    """What every model says of the study's images, in the row schema."""
    if material.kind == "identity":
        limits = {name: find_threshold(material, view, name) for name in order_recognisers(material, view)}
        return build_recogniser_answers(material.pairs, limits, study=material.study.name)
    return build_classifier_answers(material.asked, material.steerer, material.classifiers, study=material.study.name)


def _select_closest(found: ErrorConsistency, who: str) -> str:
    known = {name: each for name, each in found.models.items() if np.isfinite(each.value)}
    if not known:
        return (
            f"{who.capitalize()} agree with each other by kappa {describe_estimate(found.ceiling)}."
            if found.ceiling.n
            else "Nobody can be compared yet."
        )
    name, best = max(known.items(), key=lambda item: item[1].value)
    if not found.ceiling.n or not np.isfinite(found.ceiling.value):
        return f"{find_title(name)} errs most like {who}: kappa {describe_estimate(best)}."
    return f"{find_title(name)} errs most like {who}: kappa {describe_estimate(best)}, where {who} reach {describe_estimate(found.ceiling)} with each other."


def _exhibit_matrix(found: ErrorConsistency, source: str, definition: str) -> Exhibit:
    """Everybody with everybody; of many people those with the most pairs in common with others."""
    place = np.arange(len(found.deciders))
    is_model = np.array([each == "model" for each in found.sources], bool)
    cut = ""
    if len(place) > MAX_MATRIX_SIZE:
        shared = np.where(is_model, np.inf, np.nansum(np.isfinite(found.kappa), axis=1))
        place = np.sort(np.argsort(-shared, kind="stable")[:MAX_MATRIX_SIZE])
        cut = f"The {MAX_MATRIX_SIZE} of {len(found.deciders)} deciders that can be compared with most others are drawn; all are in the table."
    names = [find_title(name) if model else name for name, model in zip(found.deciders, is_model, strict=True)]
    every = pd.DataFrame(found.kappa, index=names, columns=names)
    figure = plot_error_consistency(
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


def _summarise_consistency(found: ErrorConsistency) -> dict[str, object]:
    """Without the matrices, which are in the other exhibit's table."""
    return {
        "basis": found.basis,
        "interval": found.interval,
        "note": found.note,
        "ceiling": found.ceiling,
        "models": found.models,
    }


def exhibit_agreement(material: StudyData, _: ExhibitView, __: Progress) -> list[Exhibit]:
    """Krippendorff's alpha, ICC, leave one out and split half, by question."""
    tasks: tuple[Task, ...] = ("similarity", "identity") if material.kind == "identity" else ("emotion",)
    found = {task: measure_agreement(material.ratings, task, excluded=material.excluded) for task in tasks}
    rows = [row for task, each in found.items() for row in _build_agreement_rows(task, each)]
    data = pd.DataFrame(rows, columns=["name", "series", "value", "low", "high", "n"])
    first = found[tasks[-1]]
    alpha = first.alpha
    who = name_raters(material).capitalize()
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
        source=name_source(material, first.basis.source),
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


def _build_agreement_rows(task: Task, found: AgreementResult) -> list[dict[str, object]]:
    named = {
        "alpha": found.alpha,
        "ICC(2,k)": found.icc,
        "one with the others": found.leave_one_out,
        "split half": found.split_half,
    }
    return [
        {"name": name, "series": TASK_TITLES[task], **build_row(each)} for name, each in named.items() if np.isfinite(each.value)
    ]


def exhibit_reaction_times(material: StudyData, _: ExhibitView, __: Progress) -> list[Exhibit]:
    """How long people take."""
    task: Task = "identity" if material.kind == "identity" else "emotion"
    found = summarise_reaction_times(material.ratings, task, excluded=material.excluded)
    figure = plot_reaction_times(pd.DataFrame({"reaction_time_ms": found.times}), source=material.source)
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
