"""Each person's curve along an axis, the group's, and where every network flips on the same pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.alignment.thresholds import CURVE_LEVELS, AxisThresholds, measure_thresholds
from core.analysis.causes import load_limits
from core.analysis.encode import select_probabilities
from core.errors import LiminalError
from core.figures import theme
from core.figures.exhibit import (
    Exhibit,
    ExhibitView,
    find_threshold,
    name_raters,
    name_source,
    order_recognisers,
)
from core.models import registry
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.studies.adaptive import list_axes

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData

MAX_CURVES = 60
DEFINITION = (
    "Each person is asked along the axis where their next answer tells most about their threshold (psi method: Kontsevich and "
    "Tyler 1999, Vision Research 39). At the threshold both answers are equally likely; 0 % is the first end of the axis, "
    "100 % the other. Vertical lines: where a network's own verdict on the same pictures changes, a recogniser's at the limit that "
    "lets 1 stranger in 1,000 in."
)


def has_axes(study_data: StudyData) -> bool:
    """Whether the study asks along axes."""
    try:
        return bool(list_axes(study_data.study.plan, study_data.stimuli))
    except LiminalError:
        return False


def plot_thresholds(result: AxisThresholds, *, who: str, source: str) -> go.Figure:
    """The curves of people, thin, and of the group, thick; networks' flips as lines with their names."""
    if not result.people:
        return theme.build_empty_figure(result.note or "Nobody has answered along this axis yet.", source)
    figure, levels = go.Figure(), [100 * level for level in CURVE_LEVELS]
    for number, person in enumerate(result.people[:MAX_CURVES]):
        figure.add_scatter(
            x=levels,
            y=[100 * share for share in person.curve],
            mode="lines",
            line={"color": theme.FADED, "width": 1.6},
            name=f"one of the {who}",
            showlegend=number == 0,
            hoverinfo="skip",
        )
    if result.curve:
        figure.add_scatter(
            x=levels,
            y=[100 * share for share in result.curve],
            mode="lines",
            line={"color": theme.INDIGO, "width": 4},
            name="all together",
            hoverinfo="skip",
        )
    for number, flip in enumerate(flip for flip in result.networks if math.isfinite(flip.level)):
        figure.add_vline(
            x=100 * flip.level, line={"color": theme.AMBER, "width": 2, "dash": theme.DASHES[number % len(theme.DASHES)]}
        )
        figure.add_annotation(
            x=100 * flip.level, y=1 - 0.09 * number, yref="paper", text=registry.title(flip.network), showarrow=False,
            xanchor="left", xshift=5, font={"size": 12, "color": theme.SOFT},
        )  # fmt: skip
    what = "two people" if result.positive == "0" else result.positive
    figure.update_layout(
        xaxis={"title": f"of the way along ‘{result.axis}’, %", "range": [0, 100]},
        yaxis={"title": f"answers '{what}', %", "range": [0, 100]},
        height=430,
    )
    says = result.note if not math.isfinite(result.group.value) else _say_threshold(result, who)
    n = f"{result.basis.raters:,} {who}, {result.basis.answers:,} answers"
    return theme.describe_figure(figure, says=says, n=n, interval=result.interval, source=source)


def _say_threshold(result: AxisThresholds, who: str) -> str:
    flips = [f"{registry.title(flip.network)} at {100 * flip.level:.0f} %" for flip in result.networks if math.isfinite(flip.level)]
    networks = f", {theme.join_names(flips)}" if flips else "; no network changes its own"
    value, low, high = (100 * share for share in (result.group.value, result.group.low, result.group.high))
    at = theme.format_interval(value, low, high, 0, " %")
    return f"Along ‘{result.axis}’ {who} change their answer at {at} of the way on average{networks}."


def exhibit_thresholds(study_data: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """One exhibit an axis."""
    who = name_raters(study_data)
    plan, stimuli, left_out = study_data.study.plan, study_data.stimuli, list(study_data.excluded)
    verdicts = _read_verdicts(study_data, view)
    results = measure_thresholds(plan, stimuli, study_data.ratings, verdicts, excluded=left_out)
    exhibits = []
    for number, result in enumerate(results, start=1):
        source = name_source(study_data, result.basis.source, "models")
        table = pd.DataFrame(
            [
                {
                    "rater": person.rater,
                    "threshold": person.threshold.value,
                    "low": person.threshold.low,
                    "high": person.threshold.high,
                    "width": person.width.value,
                    "lapse": person.lapse.value,
                    "n": person.threshold.n,
                }
                for person in result.people
            ]
        )
        figure = plot_thresholds(result, who=who, source=source)
        exhibits.append(Exhibit(f"threshold-{number}", figure, table, DEFINITION, result.note, numbers=result))
    return exhibits


def _read_verdicts(study_data: StudyData, view: ExhibitView) -> dict[str, dict[str, float]]:
    """By network, stimulus -> a value that passes 0.5 where its verdict changes: distance over twice the limit; of two feelings the
    share of the second."""
    if study_data.kind == "identity":
        verdicts = {}
        for name in order_recognisers(study_data, view):
            limit = find_threshold(study_data, view, name)
            if study_data.generator and (view.threshold is None or name != view.recogniser):
                limit = load_limits(study_data.generator, [name])[name].distance
            apart = study_data.pairs[f"distance_{name}"] / (2 * limit)
            verdicts[name] = dict(zip(study_data.pairs["pair_id"], apart, strict=True))
        return verdicts
    samples = study_data.asked
    samples = samples[samples["emotion1"].isin(EMOTIONS) & samples["emotion2"].isin(EMOTIONS)].reset_index(drop=True)
    first, second = ([EMOTIONS.index(name) for name in samples[column]] for column in ("emotion1", "emotion2"))
    rows, shares = np.arange(len(samples)), {}
    for name in study_data.classifiers:
        p = select_probabilities(samples, name, study_data.steerer)
        shares[name] = dict(zip(samples["sample_id"], p[rows, second] / (p[rows, first] + p[rows, second]), strict=True))
    return shares
