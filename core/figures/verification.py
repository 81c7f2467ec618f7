"""Acceptance at any threshold, and recognisers held against the majority of people: acceptance curves, ROC, DET, error rates.

Where generated faces have no true identity, people's majority stands in for it (``core.analysis.detection``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.analysis import identity_tables
from core.analysis.detection import NO_TRUTH, Truth, Verification, find_constructed_truth, verify_recogniser
from core.analysis.estimate import Estimate, Proportion, join_notes, wilson_interval
from core.analysis.identity_tables import build_acceptance_table, order_sample_types
from core.figures import theme
from core.figures.dots import plot_dots
from core.figures.exhibit import Exhibit, ExhibitView, build_row, describe_share, find_threshold, name_source, order_recognisers
from core.figures.superlatives import find_extreme
from core.figures.theme import Source
from core.lazy_import import lazy_import
from core.models import registry
from core.progress import Progress

stats = lazy_import("scipy.stats")

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData


DET_TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)
DET_EDGE = 0.0005  # rates of 0 and 1 lie at infinity on a DET curve; they are drawn here


AGAINST_PEOPLE = "Held against the majority of people, since who is who is not known."


def plot_roc(
    curves: pd.DataFrame, rates: pd.DataFrame, *, source: Source, interval: str = "95 % intervals of the EER"
) -> go.Figure:
    """Receiver operating characteristic of every recogniser against the majority of people.

    curves: name, threshold, far, frr (shares wrongly accepted and wrongly refused), rising in threshold within a name.
    rates: name, eer, low, high, n (pairs), threshold (that of the EER).
    """
    return _plot_error_curves(curves, rates, source, interval, det=False)


def plot_det(
    curves: pd.DataFrame, rates: pd.DataFrame, *, source: Source, interval: str = "95 % intervals of the EER"
) -> go.Figure:
    """Detection error trade-off on normal-deviate axes (Martin et al. 1997, Eurospeech); tables as for ``plot_roc``."""
    return _plot_error_curves(curves, rates, source, interval, det=True)


def _plot_error_curves(curves: pd.DataFrame, rates: pd.DataFrame, source: Source, interval: str, *, det: bool) -> go.Figure:
    known = curves.dropna(subset=["far", "frr"])
    if known.empty:
        return theme.build_empty_figure(
            "Where people are all of one mind about every pair, errors of one kind cannot be counted.", source
        )

    def x_of(values: np.ndarray) -> np.ndarray:
        return np.asarray(stats.norm.ppf(np.clip(values, DET_EDGE, 1 - DET_EDGE))) if det else values

    figure = go.Figure()
    rate_of = {str(row["name"]): row for row in rates.dropna(subset=["eer"]).to_dict("records")}
    for index, (key, part) in enumerate(known.groupby("name", sort=False)):
        name = str(key)
        colour, dash = theme.CATEGORIES[index % 6], theme.DASHES[index % 6]
        far, frr = part["far"].to_numpy(np.float64), part["frr"].to_numpy(np.float64)
        label = name
        if name in rate_of:
            label += f", EER {theme.format_percent(rate_of[name]['eer'])}"
        figure.add_scatter(
            x=x_of(far),
            y=x_of(frr) if det else 1 - frr,
            mode="lines",
            name=label,
            line={"color": colour, "dash": dash, "width": 2.2},
            customdata=np.column_stack([part["threshold"], far, frr]).round(4),
            hovertemplate=f"{name} at %{{customdata[0]:.3f}}<br>wrongly accepted %{{customdata[1]:.1%}}, wrongly refused "
            "%{customdata[2]:.1%}<extra></extra>",
        )
        if name in rate_of:
            eer = float(rate_of[name]["eer"])
            figure.add_scatter(
                x=x_of(np.array([eer])),
                y=x_of(np.array([eer])) if det else [1 - eer],
                mode="markers",
                marker={
                    "color": colour,
                    "size": 10,
                    "symbol": theme.SYMBOLS[index % 6],
                    "line": {"color": theme.PAPER, "width": 1.5},
                },
                showlegend=False,
                hovertemplate=f"{name}: equal error rate {theme.format_percent(eer, 0)}<extra></extra>",
            )
    chance = [-3.0, 3.0] if det else [0.0, 1.0]
    figure.add_scatter(
        x=chance,
        y=chance[::-1] if det else chance,
        mode="lines",
        line={"color": theme.FADED, "width": 1, "dash": "dot"},
        name="guessing",
        hoverinfo="skip",
    )
    if det:
        ticks = {"tickvals": stats.norm.ppf(DET_TICKS), "ticktext": [f"{100 * tick:g} %" for tick in DET_TICKS]}
        bounds = [float(stats.norm.ppf(DET_EDGE)), float(stats.norm.ppf(0.97))]
        figure.update_layout(
            xaxis={"title": "wrongly accepted", "range": bounds, **ticks},
            yaxis={"title": "wrongly refused", "range": bounds, **ticks},
        )
    else:
        figure.update_layout(
            xaxis={"title": "wrongly accepted: people say 'different'", "range": [-0.02, 1.02], "tickformat": ".0%"},
            yaxis={"title": "rightly accepted: people say 'same'", "range": [-0.02, 1.02], "tickformat": ".0%"},
        )
    says = f"{_describe_least_errors(rate_of)} {AGAINST_PEOPLE}" if len(rate_of) else AGAINST_PEOPLE
    n = f"{int(rates['n'].max()):,} pairs" if len(rates) and rates["n"].notna().any() else "not known"
    return theme.describe_figure(figure, says=says, n=n, interval=interval if len(rate_of) else "", source=source)


def _describe_least_errors(rate_of: Mapping[str, Mapping[Any, Any]]) -> str:
    """Say which recogniser errs least at its equal error rate, or that intervals do not tell. rate_of: name -> row of rates."""
    estimates = {
        name: Estimate(float(row["eer"]), float(row["low"]), float(row["high"]), int(row["n"])) for name, row in rate_of.items()
    }

    def wrong_on(name: str) -> str:
        estimate = estimates[name]
        between = [theme.format_percent(end, 0) for end in (estimate.low, estimate.high) if math.isfinite(end)]
        return theme.format_percent(estimate.value, 0) + (f" ({' to '.join(between)})" if between else "")

    tied = find_extreme(estimates, highest=False)
    if len(tied) == 1:
        return f"{tied[0]} errs least: where both kinds of error are equally frequent (EER), on {wrong_on(tied[0])} of the pairs."
    rates = theme.join_names([f"{name} on {wrong_on(name)}" for name in sorted(estimates, key=lambda name: estimates[name].value)])
    which = " Which of them errs least cannot be told." if len(estimates) > 1 else ""
    return f"Where both kinds of error are equally frequent (EER), {rates.replace(' on ', ' errs on ', 1)} of the pairs.{which}"


def plot_acceptance_curve(
    table: pd.DataFrame,
    *,
    recogniser: str,
    source: Source,
    thresholds: Mapping[str, float] | None = None,
    interval: str = "95 % Wilson intervals",
) -> go.Figure:
    """Share of each sample type that is accepted, by threshold.

    table: sample_type, threshold, share, low, high (NaN: no band), n. thresholds: words -> distance, drawn as lines
    ("default", "calibrated to 1 %").
    """
    known = table.dropna(subset=["share"])
    if known.empty:
        return theme.build_empty_figure(f"No pair has a distance by {recogniser}.", source)
    figure = go.Figure()
    for index, (key, part) in enumerate(known.groupby("sample_type", sort=False)):
        name = str(key)
        colour = theme.pick_colour(name, index)
        x = part["threshold"].to_numpy(np.float32)
        if part["low"].notna().all():
            _add_band(figure, x, part["low"].to_numpy(), part["high"].to_numpy(), colour, name)
        figure.add_scatter(
            x=x,
            y=part["share"].to_numpy(np.float32),
            mode="lines",
            name=f"{name} ({int(part['n'].max()):,})",
            legendgroup=name,
            line={"color": colour, "width": 2.2, "dash": theme.DASHES[index % 6]},
            hovertemplate=f"{name}: %{{y:.0%}} accepted below %{{x:.3f}}<extra></extra>",
        )
    for index, (words, value) in enumerate((thresholds or {}).items()):
        figure.add_vline(x=value, line={"color": theme.BRICK, "width": 1.4, "dash": "dash"})
        figure.add_annotation(
            x=value,
            y=1 - 0.09 * index,
            yref="paper",
            text=f"{words} {value:.3f}",
            showarrow=False,
            xanchor="left",
            yanchor="top",
            xshift=4,
            font={"size": 12, "color": theme.BRICK},
            bgcolor=theme.fade_colour(theme.PAPER, 0.75),
        )
    figure.update_layout(
        xaxis={"title": f"threshold of {recogniser}"}, yaxis={"title": "accepted", "range": [-0.02, 1.03], "tickformat": ".0%"}
    )
    return theme.describe_figure(
        figure,
        says=f"The farther right the threshold, the more pairs {recogniser} accepts as one person.",
        n=f"{int(known.groupby('sample_type')['n'].max().sum()):,} pairs with two faces",
        interval=interval,
        source=source,
    )


def _add_band(figure: go.Figure, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str, group: str) -> None:
    figure.add_scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([low, high[::-1]]).astype(np.float32),
        fill="toself",
        fillcolor=theme.fade_colour(colour, 0.14),
        line={"width": 0},
        legendgroup=group,
        showlegend=False,
        hoverinfo="skip",
    )


CURVE_STEPS = 140
"""Thresholds of a curve."""


def exhibit_acceptance(study_data: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """Share of each sample type that is accepted: at the chosen, the default and the calibrated thresholds, and at any."""
    order_recognisers(study_data, view, required=True)
    name, title = view.recogniser, registry.title(view.recogniser)
    marks = list_thresholds(study_data, name)
    if view.threshold is not None:
        marks = {"chosen": view.threshold, **marks}
    curve = build_acceptance_curves(study_data.pairs, name)
    tables = {words: build_acceptance_table(study_data.pairs, name, limit) for words, limit in marks.items()}
    at = pd.DataFrame(
        [
            {"name": row.sample_type, "series": f"{words} ({table.threshold:.3f})", **_build_share_row(row.accepted)}
            for words, table in tables.items()
            for row in table.rows
            if row.step is None and row.direction is None and row.sample_type != "all"
        ],
        columns=["name", "series", "value", "low", "high", "n"],
    )
    source = "models"
    first_mark, first = next(iter(tables.items()))
    every = first.row("all").accepted
    says = f"At {first_mark} threshold {first.threshold:.3g}, {title} accepts {describe_share(every)} of all pairs"
    strangers = [row.accepted for row in first.rows if row.sample_type == "negative"]
    if strangers and strangers[0].n:
        says += f" and {describe_share(strangers[0])} of two different people."
    else:
        says += "."
    return [
        Exhibit(
            "acceptance-at",
            plot_dots(
                at,
                measure=f"accepted by {title}",
                says=says.replace("At default", "At its default").replace("At chosen", "At the chosen"),
                n=f"{every.n:,} pairs with two faces",
                interval="95 % Wilson intervals",
                source=source,
                share=True,
                span=(-0.02, 1.02),
                nothing=f"No pair has a distance by {title}.",
            ),
            at,
            "The share of pairs that a device with this recogniser would take for one person. Calibrated: the threshold at "
            "which the stated share of two random faces of this generator is accepted. Paper A, Table 1, in brackets.",
        ),
        Exhibit(
            "acceptance-curve",
            plot_acceptance_curve(curve, recogniser=title, source=source, thresholds=marks),
            curve,
            "Read it upwards from a threshold: each line says which share of its type of samples would be accepted there.",
        ),
    ]


def list_thresholds(study_data: StudyData, recogniser: str) -> Mapping[str, float]:
    """Thresholds by name: the default one, then the calibrated ones where they are stored for the set's generator."""
    thresholds = identity_tables.list_thresholds(recogniser, study_data.thresholds.get(recogniser), study_data.generator)
    return {
        "default" if threshold.rate is None else f"calibrated to {100 * threshold.rate:g} %": threshold.distance
        for threshold in thresholds
    }


def build_acceptance_curves(pairs: pd.DataFrame, recogniser: str) -> pd.DataFrame:
    """Table of accepted shares: sample_type, threshold, share, low, high, n; thresholds span all distances that occur."""
    column = f"distance_{recogniser}"
    columns = ["sample_type", "threshold", "share", "low", "high", "n"]
    known = pairs.dropna(subset=[column]) if column in pairs else pairs.head(0)
    if known.empty:
        return pd.DataFrame(columns=columns)
    limits = np.linspace(0, float(known[column].max()) * 1.03, CURVE_STEPS)
    parts = []
    for sample_type in order_sample_types(known["sample_type"]):
        distances = np.sort(known.loc[known["sample_type"] == sample_type, column].to_numpy(np.float64))
        count = np.searchsorted(distances, limits, side="left").astype(np.float64)  # strictly below
        share, low, high = wilson_interval(count, np.full(CURVE_STEPS, len(distances), np.float64))
        parts.append(
            pd.DataFrame(
                {"sample_type": sample_type, "threshold": limits, "share": share, "low": low, "high": high, "n": len(distances)}
            )
        )
    return pd.concat(parts, ignore_index=True)


def exhibit_verification(study_data: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """ROC, DET and error rates of all recognisers: against the majority of people, and against construction where that is known."""
    known = np.isfinite(find_constructed_truth(study_data.pairs))
    exhibits = _exhibit_errors(study_data, view, "majority") if not known.all() or not len(known) else []
    if known.any():
        exhibits += _exhibit_errors(study_data, view, "construction")
    return exhibits


EQUAL_ERRORS = (
    "Equal error rate (EER): the share of both kinds of error at the threshold where they are equally frequent; "
    "the lower, the better."
)
_DEFINITIONS: Mapping[Truth, str] = {
    "majority": "Who is who is not known of these pairs, so what most people say stands in for it. Wrongly accepted: people say "
    "'different' and the recogniser accepts. Wrongly refused: the other way round. " + EQUAL_ERRORS,
    "construction": "Who is who is known of these pairs. Wrongly accepted: pairs of two people that the recogniser accepts. "
    f"Wrongly refused: pairs of one person that it refuses. {EQUAL_ERRORS}",
}


def _exhibit_errors(study_data: StudyData, view: ExhibitView, truth: Truth) -> list[Exhibit]:
    results = {name: _verify(study_data, name, view, truth) for name in order_recognisers(study_data, view, required=True)}
    suffix = "" if truth == "majority" else f"-{truth}"
    curves = pd.concat(
        [
            pd.DataFrame(
                {"name": registry.title(name), "threshold": result.thresholds, "far": result.far_curve, "frr": result.frr_curve}
            )
            for name, result in results.items()
        ],
        ignore_index=True,
    )
    rates = pd.DataFrame(
        [
            {
                "name": registry.title(name),
                "eer": result.eer.value,
                "low": result.eer.low,
                "high": result.eer.high,
                "n": result.basis.images,
                "threshold": result.eer_threshold.value,
            }
            for name, result in results.items()
        ]
    )
    first = next(iter(results.values()))
    source = name_source(study_data, first.basis.source, "models")
    note = join_notes(*(result.note for result in results.values()))
    definition = _DEFINITIONS[truth]
    points = pd.DataFrame([row for name, result in results.items() for row in _build_rate_rows(registry.title(name), result)])
    different, same = ("pairs that most people call different", "those that most call the same")
    if truth == "construction":
        different, same = "pairs of two people", "those of one person"
    worst = max(results.values(), key=lambda result: -1 if math.isnan(result.far.share) else result.far.share)
    says = (
        f"At its threshold {worst.threshold:.3g}, {registry.title(worst.recogniser)} wrongly accepts "
        f"{describe_share(worst.far)} of the {different}, and wrongly refuses {describe_share(worst.frr)} of {same}."
        if worst.far.n and worst.frr.n
        else f"It takes {same.replace('those', 'pairs')} and {different}."
    )
    roc, det = plot_roc(curves, rates, source=source), plot_det(curves, rates, source=source)
    if truth == "construction":
        roc.layout.meta["says"] = roc.layout.meta["says"].replace(AGAINST_PEOPLE, "Held against who is who, which is known.")
        roc.update_layout(xaxis_title="wrongly accepted: two people", yaxis_title="rightly accepted: one person")
    if len(curves):
        det.layout.meta["says"] = (
            "On axes that stretch small rates: the nearer a line comes to the corner at the lower left, the less often its "
            f"recogniser {'departs from people' if truth == 'majority' else 'errs'}."
        )
    return [
        Exhibit(f"roc{suffix}", roc, curves, definition, note, numbers=results),
        Exhibit(
            f"det{suffix}",
            det,
            curves,
            f"{definition} The same as the curve before, on axes that stretch the small rates (Martin et al. 1997).",
            numbers=rates,
        ),
        Exhibit(
            f"error-rates{suffix}",
            plot_dots(
                points,
                measure="share of pairs",
                says=says,
                n=f"{first.basis.images:,} pairs {'with a majority' if truth == 'majority' else 'whose truth is known'}",
                interval=first.interval,
                source=source,
                share=True,
                nothing=first.note or NO_TRUTH,
            ),
            points,
            f"{definition} Sensitivity d′ says how well a recogniser tells the two apart (0: not at all), whatever its threshold.",
            note,
        ),
    ]


def _verify(study_data: StudyData, name: str, view: ExhibitView, truth: Truth) -> Verification:
    threshold = find_threshold(study_data, view, name)
    return verify_recogniser(study_data.pairs, study_data.ratings, name, threshold, truth=truth, excluded=study_data.excluded)


def _build_rate_rows(title: str, result: Verification) -> list[dict[str, object]]:
    of = {"wrongly accepted": result.far, "wrongly refused": result.frr}
    rows: list[dict[str, object]] = [{"name": name, "series": title, **_build_share_row(rate)} for name, rate in of.items()]
    rows.append({"name": "equal error rate", "series": title, **build_row(result.eer)})
    return rows


def _build_share_row(share: Proportion) -> dict[str, float | int]:
    return {"value": share.share, "low": share.low, "high": share.high, "n": share.n}
