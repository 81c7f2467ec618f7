"""Acceptance at any threshold, and recognisers held against the majority of people: acceptance curves, ROC, DET, error rates.

Generated faces have no true identity; people's majority stands in for it (``core.analysis.detection``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.analysis.detection import NO_TRUTH, Verification, verify_recogniser
from core.analysis.estimate import Proportion, wilson_interval
from core.analysis.identity_tables import SAMPLE_TYPE_ORDER
from core.errors import LiminalError
from core.figures import theme
from core.figures.dots import plot_dots
from core.figures.exhibit import Exhibit, ExhibitView, build_row, find_threshold, find_title, name_source, order_recognisers
from core.figures.theme import Source
from core.lazy_import import lazy_import
from core.progress import Progress
from core.sampling.stored.population import load_thresholds

stats = lazy_import("scipy.stats")

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData


DET_TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)
DET_EDGE = 0.0005  # rates of 0 and 1 lie at infinity on a DET curve; they are drawn here


def plot_roc(
    curves: pd.DataFrame, rates: pd.DataFrame, *, source: Source, interval: str = "95 % intervals of the EER"
) -> go.Figure:
    """Receiver operating characteristic of every decider against the majority of people.

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
    found = {str(row["name"]): row for row in rates.dropna(subset=["eer"]).to_dict("records")}
    for place, (key, part) in enumerate(known.groupby("name", sort=False)):
        name = str(key)
        colour, dash = theme.CATEGORIES[place % 6], theme.DASHES[place % 6]
        far, frr = part["far"].to_numpy(np.float64), part["frr"].to_numpy(np.float64)
        label = name
        if name in found:
            label += f", EER {theme.format_percent(found[name]['eer'])}"
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
        if name in found:
            eer = float(found[name]["eer"])
            figure.add_scatter(
                x=x_of(np.array([eer])),
                y=x_of(np.array([eer])) if det else [1 - eer],
                mode="markers",
                marker={
                    "color": colour,
                    "size": 10,
                    "symbol": theme.SYMBOLS[place % 6],
                    "line": {"color": theme.PAPER, "width": 1.5},
                },
                showlegend=False,
                hovertemplate=f"{name}: equal error rate {theme.format_percent(eer)}<extra></extra>",
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
    says = "Held against the majority of people, since generated pairs have no true identity."
    if len(found):
        best = min(found.values(), key=lambda row: float(row["eer"]))
        says = (
            f"{best['name']!s} errs least: at its equal error rate it is wrong on {theme.format_percent(best['eer'])} "
            f"({theme.format_percent(best['low'])} to {theme.format_percent(best['high'])}) of both kinds of pairs. {says}"
        )
    n = f"{int(rates['n'].max()):,} pairs" if len(rates) and rates["n"].notna().any() else "not known"
    return theme.describe_figure(figure, says=says, n=n, interval=interval if len(found) else "", source=source)


def plot_acceptance_curve(
    table: pd.DataFrame,
    *,
    recogniser: str,
    source: Source,
    thresholds: Mapping[str, float] | None = None,
    interval: str = "95 % Wilson intervals",
) -> go.Figure:
    """Which share of each type is accepted at any threshold.

    table: sample_type, threshold, share, low, high (NaN: no band), n. thresholds: words -> distance, drawn as lines
    ("default", "calibrated to 1 %").
    """
    known = table.dropna(subset=["share"])
    if known.empty:
        return theme.build_empty_figure(f"No pair has a distance by {recogniser}.", source)
    figure = go.Figure()
    for place, (key, part) in enumerate(known.groupby("sample_type", sort=False)):
        name = str(key)
        colour = theme.pick_colour(name, place)
        x = part["threshold"].to_numpy(np.float32)
        if part["low"].notna().all():
            _add_band(figure, x, part["low"].to_numpy(), part["high"].to_numpy(), colour, name)
        figure.add_scatter(
            x=x,
            y=part["share"].to_numpy(np.float32),
            mode="lines",
            name=f"{name} ({int(part['n'].max()):,})",
            legendgroup=name,
            line={"color": colour, "width": 2.2, "dash": theme.DASHES[place % 6]},
            hovertemplate=f"{name}: %{{y:.0%}} accepted below %{{x:.3f}}<extra></extra>",
        )
    for place, (words, value) in enumerate((thresholds or {}).items()):
        figure.add_vline(x=value, line={"color": theme.BRICK, "width": 1.4, "dash": "dash"})
        figure.add_annotation(
            x=value,
            y=1 - 0.09 * place,
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


def exhibit_acceptance(material: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """How many of each type are accepted at any threshold, with the default, the calibrated and the chosen one."""
    name, title = view.recogniser, find_title(view.recogniser)
    marks = list_thresholds(material, name)
    if view.threshold is not None:
        marks = {"chosen": view.threshold, **marks}
    curve = build_acceptance_curves(material.pairs, name)
    at = pd.DataFrame(
        [
            {"name": sample_type, "series": f"{words} ({limit:.3f})", **_describe_share(material.pairs, sample_type, name, limit)}
            for words, limit in marks.items()
            for sample_type in _list_types(material.pairs)
        ],
        columns=["name", "series", "value", "low", "high", "n"],
    )
    source = "models"
    chosen_limit = next(iter(marks.values()))
    every = Proportion.of(*_count_accepted(material.pairs, name, chosen_limit))
    strangers = Proportion.of(*_count_accepted(material.pairs[material.pairs["sample_type"] == "negative"], name, chosen_limit))
    says = f"At {next(iter(marks))} threshold {chosen_limit:.3g}, {title} accepts {theme.format_percent(every.share)} of all pairs"
    says += f" and {theme.format_percent(strangers.share)} of two different people." if strangers.n else "."
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


def list_thresholds(material: StudyData, recogniser: str) -> Mapping[str, float]:
    """Words -> threshold: the default one, then the calibrated ones where they are stored for the set's generator."""
    marks = {"default": material.thresholds[recogniser]} if recogniser in material.thresholds else {}
    try:
        for each in load_thresholds(material.generator, recogniser).calibrated:
            marks[f"calibrated to {100 * each.rate:g} %"] = each.distance
    except LiminalError:
        pass  # never calibrated for this generator
    return marks


def build_acceptance_curves(pairs: pd.DataFrame, recogniser: str) -> pd.DataFrame:
    """sample_type, threshold, share, low, high, n: one row a type and threshold, over all distances that occur."""
    column = f"distance_{recogniser}"
    columns = ["sample_type", "threshold", "share", "low", "high", "n"]
    known = pairs.dropna(subset=[column]) if column in pairs else pairs.head(0)
    if known.empty:
        return pd.DataFrame(columns=columns)
    limits = np.linspace(0, float(known[column].max()) * 1.03, CURVE_STEPS)
    parts = []
    for sample_type in _list_types(known):
        distances = np.sort(known.loc[known["sample_type"] == sample_type, column].to_numpy(np.float64))
        count = np.searchsorted(distances, limits, side="left").astype(np.float64)  # strictly below
        share, low, high = wilson_interval(count, np.full(CURVE_STEPS, len(distances), np.float64))
        parts.append(
            pd.DataFrame(
                {"sample_type": sample_type, "threshold": limits, "share": share, "low": low, "high": high, "n": len(distances)}
            )
        )
    return pd.concat(parts, ignore_index=True)


def exhibit_verification(material: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """ROC, DET and error rates of all recognisers against the majority of people."""
    found = {name: _verify(material, name, view) for name in order_recognisers(material, view)}
    curves = pd.concat(
        [
            pd.DataFrame({"name": find_title(name), "threshold": each.thresholds, "far": each.far_curve, "frr": each.frr_curve})
            for name, each in found.items()
        ],
        ignore_index=True,
    )
    rates = pd.DataFrame(
        [
            {
                "name": find_title(name),
                "eer": each.eer.value,
                "low": each.eer.low,
                "high": each.eer.high,
                "n": each.basis.images,
                "threshold": each.eer_threshold.value,
            }
            for name, each in found.items()
        ]
    )
    first = next(iter(found.values()))
    source = name_source(material, first.basis.source, "models")
    note = " ".join(dict.fromkeys(each.note for each in found.values()))
    definition = (
        "Generated faces have no true identity, so what most people say stands in for it. Wrongly accepted: people say "
        "'different' and the recogniser accepts. Wrongly refused: the other way round. Equal error rate: where both are equal."
    )
    points = pd.DataFrame([row for name, each in found.items() for row in _build_rate_rows(find_title(name), each)])
    worst = max(found.values(), key=lambda each: -1 if math.isnan(each.far.share) else each.far.share)
    says = (
        f"At its threshold {worst.threshold:.3g}, {find_title(worst.recogniser)} wrongly accepts {theme.format_percent(worst.far.share)} "
        f"of the pairs that most people call different, and wrongly refuses {theme.format_percent(worst.frr.share)} of those they call "
        "the same."
        if worst.far.n and worst.frr.n
        else "It takes pairs that most people call the same and pairs that most call different."
    )
    det = plot_det(curves, rates, source=source)
    if len(curves):
        det.layout.meta["says"] = (
            "On axes that stretch small rates: the nearer a line comes to the corner at the lower left, the less often its "
            "recogniser departs from people."
        )
    return [
        Exhibit("roc", plot_roc(curves, rates, source=source), curves, definition, note, numbers=found),
        Exhibit(
            "det",
            det,
            curves,
            f"{definition} The same as the curve before, on axes that stretch the small rates (Martin et al. 1997).",
            numbers=rates,
        ),
        Exhibit(
            "error-rates",
            plot_dots(
                points,
                measure="share of pairs",
                says=says,
                n=f"{first.basis.images:,} pairs with a majority",
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


def _verify(material: StudyData, name: str, view: ExhibitView) -> Verification:
    threshold = find_threshold(material, view, name)
    return verify_recogniser(material.pairs, material.ratings, name, threshold, excluded=material.excluded)


def _build_rate_rows(title: str, each: Verification) -> list[dict[str, object]]:
    of = {"wrongly accepted": each.far, "wrongly refused": each.frr}
    rows: list[dict[str, object]] = [
        {"name": name, "series": title, "value": rate.share, "low": rate.low, "high": rate.high, "n": rate.n}
        for name, rate in of.items()
    ]
    rows.append({"name": "equal error rate", "series": title, **build_row(each.eer)})
    return rows


def _list_types(pairs: pd.DataFrame) -> list[str]:
    there = set(pairs["sample_type"])
    return [name for name in SAMPLE_TYPE_ORDER if name in there]


def _count_accepted(pairs: pd.DataFrame, recogniser: str, limit: float) -> tuple[int, int]:
    distances = pairs[f"distance_{recogniser}"].dropna()
    return int((distances < limit).sum()), len(distances)


def _describe_share(pairs: pd.DataFrame, sample_type: str, recogniser: str, limit: float) -> dict[str, float | int]:
    found = Proportion.of(*_count_accepted(pairs[pairs["sample_type"] == sample_type], recogniser, limit))
    return {"value": found.share, "low": found.low, "high": found.high, "n": found.n}
