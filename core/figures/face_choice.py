"""How the faces of an adaptive study were chosen, and what that changed by the models of the people who were asked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.alignment.face_choice import FEWEST_VOTES, ChoiceBenefit, FaceTable, fit_group, measure_benefit
from core.analysis.estimate import join_notes
from core.errors import LiminalError
from core.figures import theme
from core.figures.exhibit import Exhibit, ExhibitView, describe_estimate, name_raters, name_source
from core.progress import Progress
from core.studies.adaptive import find_axes, list_faces

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData

DEFINITION = (
    "Each next face was the one whose answer was expected to take most from the log loss of the person's model on the "
    "study's boundary faces, those that the group is torn about (expected information: Lindley 1956, Annals of Mathematical "
    "Statistics 27; for predictions: Bickford Smith et al. 2023, arXiv:2304.08151); until the group was known by 5 answers "
    "a face, faces were shown at random. A person's share is the answers given over those that faces at random would have "
    "needed for the same expected log loss, by that person's model under the group's: below 1 choosing saved answers."
)
VOTES_NOTE = "Faces have unequal numbers of votes, and shares of a face are those of the people who were shown it."


def chooses_faces(study_data: StudyData) -> bool:
    """Whether the study chose each next face among faces that lie on no axis."""
    plan, stimuli = study_data.study.plan, study_data.stimuli
    if not plan.adaptive or find_axes(plan, stimuli):
        return False
    try:
        return bool(list_faces(plan, stimuli))
    except LiminalError:
        return False


def compute_benefit(study_data: StudyData) -> ChoiceBenefit | None:
    """What choosing saved; None before there is a group's model."""
    group = fit_group(FaceTable.of(study_data), study_data.ratings, study_data.excluded)
    return None if group is None else measure_benefit(group, study_data.ratings, study_data.excluded)


def describe_benefit(benefit: ChoiceBenefit | None, who: str) -> str:
    """One sentence with n and interval."""
    if benefit is None or not math.isfinite(benefit.share.value):
        return f"Faces are chosen once {who} who count have given {FEWEST_VOTES:g} answers a face on average; until then at random."
    low = benefit.share.low
    apart = math.isfinite(low) and (benefit.share.high < 1 or low > 1)
    doubt = "" if apart else "; the interval holds 1, so that it cannot be told whether choosing saved any"
    return (
        f"By the models of {benefit.share.n:,} {who}, choosing took {describe_estimate(benefit.share)} of the answers that faces "
        f"at random would have needed{doubt}."
    )


def plot_benefit(benefit: ChoiceBenefit | None, *, who: str, source: str) -> go.Figure:
    """Every person's share as a dot, sorted, with the mean and its interval as a band."""
    says = describe_benefit(benefit, who)
    if benefit is None or not math.isfinite(benefit.share.value):
        return theme.build_empty_figure(says, source)
    table, mean = benefit.table.sort_values("share"), benefit.share
    figure = go.Figure()
    figure.add_scatter(
        x=table["share"],
        y=np.arange(1, len(table) + 1),
        mode="markers",
        marker={"size": 9, "color": theme.INDIGO},
        text=[
            f"{rater}: {n} answers; {needed:.0f} to faces at random"
            for rater, n, needed in zip(table["rater"], table["n"], table["needed"], strict=True)
        ],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )
    if math.isfinite(mean.low):
        figure.add_vrect(x0=mean.low, x1=mean.high, fillcolor=theme.INDIGO, opacity=0.12, line_width=0)
    figure.add_vline(x=mean.value, line={"color": theme.INDIGO, "width": 2})
    figure.add_vline(x=1, line={"color": theme.SOFT, "width": 1.2, "dash": "dot"})
    for place, words in ((mean.value, "mean"), (1.0, "faces at random")):
        figure.add_annotation(
            x=place, y=1, yref="paper", text=words, showarrow=False, yanchor="bottom", font={"size": 12, "color": theme.SOFT}
        )
    figure.update_layout(
        xaxis={"title": "share of the answers that random faces need"},
        yaxis={"title": f"{who}, sorted", "rangemode": "tozero"},
        height=380,
    )
    n = f"{mean.n:,} {who}, {benefit.basis.answers:,} answers"
    return theme.describe_figure(figure, says=says, n=n, interval=benefit.interval, source=source)


def exhibit_face_choice(study_data: StudyData, _: ExhibitView, __: Progress) -> list[Exhibit]:
    """One exhibit: what choosing changed."""
    benefit, who = compute_benefit(study_data), name_raters(study_data)
    source = name_source(study_data, study_data.source)
    figure = plot_benefit(benefit, who=who, source=source)
    table = pd.DataFrame() if benefit is None else benefit.table
    note = join_notes("" if benefit is None else benefit.note, VOTES_NOTE)
    return [Exhibit("face-choice", figure, table, DEFINITION, note, numbers=benefit)]
