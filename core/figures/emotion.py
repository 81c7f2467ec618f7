"""People's choices for faces between two emotions: outcomes, entropy, classifiers and activations (paper B, Figs. 4, 7 and 8)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from core.analysis.choices import Choices, count_choices, measure_fit, relate_entropy_to_time
from core.analysis.emotion_tables import OUTCOME_RULE, OutcomeShares, build_outcome_table
from core.analysis.encode import select_probabilities
from core.analysis.estimate import Array
from core.errors import LiminalError
from core.figures import theme
from core.figures.answers import add_published_range, plot_bars, plot_confusion
from core.figures.dots import plot_dots
from core.figures.exhibit import Exhibit, ExhibitView, build_row, describe_estimate, name_raters, name_source
from core.figures.superlatives import find_extreme, name_tied
from core.figures.theme import Source
from core.models import registry
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.stored.reference import load_reference_set

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData


OUTCOME_STYLES = (
    ("success", "both feelings", theme.AMBER, ""),
    ("bias", "mostly one of the two", theme.SKY, "/"),
    ("failure", "something else", theme.INDIGO, "x"),
)
PUBLISHED_RANGE_BITS = (0.5, 2.0)  # where paper B found most images (Fig. 7a)
WEBGL_FROM = 2000


def plot_outcome_shares(
    table: pd.DataFrame, *, source: Source, published: float | None = None, interval: str = "95 % Wilson intervals of both feelings"
) -> go.Figure:
    """Success, bias and failure by pair of emotions (paper B, Fig. 4b).

    table: emotion1, emotion2, success, bias, failure (numbers of images), low, high (of success, shares; NaN: none).
    published: success and bias together, as printed; drawn as a line.
    """
    counts = table[[name for name, *_ in OUTCOME_STYLES]].to_numpy(np.float64) if len(table) else np.zeros((0, 3))
    known = table[counts.sum(axis=1) > 0] if len(table) else table
    if known.empty:
        return theme.build_empty_figure("No image has enough votes for an outcome yet.", source)
    total = known[[name for name, *_ in OUTCOME_STYLES]].sum(axis=1)
    known = known.assign(total=total, share=known["success"] / total).sort_values("share", kind="stable")
    names = [f"{row['emotion1']} – {row['emotion2']} ({int(row['total'])})" for row in known.to_dict("records")]
    figure = go.Figure()
    for name, words, colour, shape in OUTCOME_STYLES:
        error: dict[str, Any] = {}
        if name == "success" and known["low"].notna().any():
            error = {
                "type": "data",
                "symmetric": False,
                "array": np.nan_to_num(known["high"] - known["share"]).clip(0),
                "arrayminus": np.nan_to_num(known["share"] - known["low"]).clip(0),
                "color": theme.INK,
                "thickness": 1.3,
                "width": 0,
            }
        figure.add_bar(
            y=names,
            x=(known[name] / known["total"]).to_numpy(np.float64).round(5),
            orientation="h",
            name=f"{name}: {words}",
            marker={
                "color": colour,
                "line": {"width": 0},
                "pattern": {"shape": shape, "size": 6, "solidity": 0.14, "fillmode": "overlay", "fgcolor": theme.PAPER},
            },
            error_x=error or None,
            customdata=known[name].to_numpy(),
            hovertemplate=f"%{{y}}<br>{name}: %{{customdata}} images, %{{x:.0%}}<extra></extra>",
        )
    if published is not None:
        figure.add_vline(x=published, line={"color": theme.SOFT, "width": 1.5, "dash": "dot"})
        figure.add_annotation(
            x=published,
            y=0.02,
            yref="paper",
            yanchor="bottom",
            xanchor="right",
            textangle=-90,
            showarrow=False,
            text=f"paper B: {theme.format_percent(published, 0)} success or bias",
            font={"size": 12, "color": theme.INK},
            bgcolor=theme.fade_colour(theme.PAPER, 0.75),
        )
    figure.update_layout(
        barmode="stack",
        xaxis={"range": [0, 1], "tickformat": ".0%", "title": "share of images"},
        yaxis={"showgrid": False, "type": "category"},
        legend={"traceorder": "normal"},
        height=max(150 + 30 * len(known), 330 if published is not None else 0),  # room for the published value's words
    )
    pair_share, success_share = (
        theme.format_percent(float(known[names].to_numpy().sum() / known["total"].sum()), 0)
        for names in (["success", "bias"], ["success"])
    )
    return theme.describe_figure(
        figure,
        says=f"In {pair_share} of the images most choices fall on the wanted pair, and in {success_share} each of the two feelings "
        "gets more than a quarter.",
        n=f"{int(known['total'].sum()):,} images of {len(known)} {'pair' if len(known) == 1 else 'pairs'}",
        interval=interval if known["low"].notna().any() else "",
        source=source,
    )


def plot_entropy_histogram(
    images: pd.DataFrame, *, source: Source, corrected: bool = True, choices: int = len(EMOTIONS), published: bool = True
) -> go.Figure:
    """Histogram of the entropy of people's choices over images (paper B, Fig. 7a).

    images: sample_id, entropy (bits); corrected: by Miller and Madow. choices: of how many. published: beside paper B's range.
    """
    values = images["entropy"].dropna().to_numpy(np.float64) if len(images) else np.empty(0)
    if not len(values):
        return theme.build_empty_figure("No image has votes yet, so nobody can be divided over one.", source)
    top = max(float(np.log2(choices)), float(values.max()))
    counts, edges = np.histogram(values, bins=np.arange(0, top + 0.2, 0.1))
    figure = plot_bars(edges, counts, "%{y} images, about %{x:.2f} bits")
    if published:
        add_published_range(figure, PUBLISHED_RANGE_BITS, "most images of paper B")
    figure.update_layout(xaxis={"title": "entropy of the choices, bits"}, yaxis={"title": "images"}, showlegend=False)
    inside = float(((values >= PUBLISHED_RANGE_BITS[0]) & (values <= PUBLISHED_RANGE_BITS[1])).mean())
    how = " (corrected for few votes)" if corrected else " (not corrected for few votes)"
    return theme.describe_figure(
        figure,
        says=f"People are divided by {float(np.median(values)):.2f} bits over the median image{how}; "
        + (
            f"{theme.format_percent(inside, 0)} of the images lie between 0.5 and 2 bits, where paper B found most of its own."
            if published
            else f"{np.log2(choices):.2f} would be all {choices} answers alike."
        ),
        n=f"{len(values):,} images",
        source=source,
    )


def plot_entropy_by_reaction_time(
    images: pd.DataFrame, *, source: Source, rho: tuple[float, float, float] | None = None, published: float | None = 0.42
) -> go.Figure:
    """Entropy of people's choices against mean reaction time, one mark an image (paper B, Fig. 7c).

    images: sample_id, entropy, reaction_time_ms (an image's mean). rho: Spearman's rank correlation with its interval.
    """
    known = images.dropna(subset=["entropy", "reaction_time_ms"])
    if known.empty:
        return theme.build_empty_figure("No image has both votes and measured reaction times.", source)
    kind = go.Scattergl if len(known) > WEBGL_FROM else go.Scatter
    figure = go.Figure(
        kind(
            x=known["reaction_time_ms"].round(1).to_numpy(np.float32),
            y=known["entropy"].round(3).to_numpy(np.float32),
            mode="markers",
            customdata=known["sample_id"].to_numpy(object),
            marker={"size": 6, "color": theme.INDIGO, "opacity": 0.45},
            hovertemplate="%{x:.0f} ms, %{y:.2f} bits<extra></extra>",
        )
    )
    slow = float(known["reaction_time_ms"].quantile(0.995))
    figure.update_layout(
        xaxis={"title": "mean reaction time, ms", "range": [0.9 * float(known["reaction_time_ms"].min()), 1.05 * slow]},
        yaxis={"title": "entropy of the choices, bits", "rangemode": "tozero"},
        showlegend=False,
    )
    says = "Each mark is an image: how long people took, and how divided they are."
    if rho is not None and np.isfinite(rho[0]):
        between = f" ({rho[1]:.2f} to {rho[2]:.2f})" if np.isfinite(rho[1]) else ""
        way = "longer" if rho[0] > 0 else "no longer"
        says = f"People take {way} over images that divide them: Spearman's correlation is {rho[0]:.2f}{between}"
        says += f", and was {published:.2f} in paper B." if published is not None else "."
    interval = "95 % interval of the correlation" if rho is not None and np.isfinite(rho[1]) else ""
    return theme.describe_figure(figure, says=says, n=f"{len(known):,} images", interval=interval, source=source)


def plot_activations(
    logits: NDArray[Any],
    limits: Sequence[float],
    *,
    classifier: str,
    marks: Mapping[str, Sequence[float]] | None = None,
    quantile: float = 0.75,
) -> go.Figure:
    """Activations of a reference population, emotion by emotion (paper B, Fig. 8), with the filter's limits.

    logits: (N, 6) over EMOTIONS; limits: (6,), the filter's percentiles; marks: emotion -> values to stroke below.
    """
    values = np.asarray(logits, dtype=np.float64)
    if not len(values):
        return theme.build_empty_figure(f"No reference faces were judged by {classifier}.", "model")
    figure = make_subplots(rows=2, cols=3, subplot_titles=list(EMOTIONS), vertical_spacing=0.2, horizontal_spacing=0.06)
    for index, emotion in enumerate(EMOTIONS):
        row, column = index // 3 + 1, index % 3 + 1
        activations = values[:, index]
        activations = activations[np.isfinite(activations)]
        strokes = np.asarray((marks or {}).get(emotion, ()), dtype=np.float64)
        low, high = (float(edge) for edge in np.quantile(activations, [0.002, 0.998]))
        if len(strokes):
            low, high = min(low, float(strokes.min())), max(high, float(strokes.max()))
        counts, edges = np.histogram(activations, bins=44, range=(low, high) if high > low else (low - 0.5, low + 0.5))
        middle = (edges[:-1] + edges[1:]) / 2
        figure.add_bar(
            x=middle,
            y=counts,
            width=np.diff(edges),
            row=row,
            col=column,
            marker={"color": np.where(middle > limits[index], theme.AMBER, theme.FADED).tolist(), "line": {"width": 0}},
            hovertemplate=f"{emotion}: %{{y}} faces about %{{x:.2f}}<extra></extra>",
        )
        figure.add_vline(x=float(limits[index]), line={"color": theme.BRICK, "width": 1.4, "dash": "dash"}, row=row, col=column)
        if len(strokes):
            figure.add_scatter(
                x=strokes,
                y=np.full(len(strokes), -0.05 * counts.max()),
                mode="markers",
                marker={"symbol": "line-ns-open", "size": 9, "color": theme.INDIGO, "line": {"width": 1.5}},
                row=row,
                col=column,
                hovertemplate="this run: %{x:.2f}<extra></extra>",
            )
    figure.update_layout(showlegend=False, bargap=0, height=440)
    figure.update_yaxes(showticklabels=False)
    return theme.describe_figure(
        figure,
        says=f"How strongly {classifier} answers to plain faces; beyond the dashed line lies one face in {1 / (1 - quantile):g}, "
        "and a wanted face must lie beyond it for both of its feelings.",
        n=f"{len(values):,} faces",
        source="model",
    )


MAX_MARKS = 400
"""Strokes below a distribution that can still be told apart."""


def exhibit_outcomes(study_data: StudyData, _: ExhibitView, __: Progress) -> list[Exhibit]:
    """Success, bias and failure by pair of emotions."""
    if study_data.own_pictures and not study_data.generator:
        raise LiminalError("These pictures were not made between two feelings, so there is none that people could miss.")
    outcomes = build_outcome_table(study_data.asked, study_data.ratings, excluded=study_data.excluded)
    data = pd.DataFrame(
        [{"emotion1": first, "emotion2": second, **_count_outcomes(shares)} for (first, second), shares in outcomes.pairs.items()],
        columns=["emotion1", "emotion2", "success", "bias", "failure", "low", "high"],
    )
    source = name_source(study_data, outcomes.basis.source)
    boundary = study_data.asked[study_data.asked["sample_type"] == "boundary"]
    votes = count_choices(study_data.ratings, boundary["sample_id"], excluded=study_data.excluded)
    chosen, pair_share = _split_votes_by_pair(boundary, votes.counts(), list(outcomes.pairs))
    confusion = plot_confusion(chosen, rows="the two wanted feelings", columns="chosen", source=source)
    if chosen.to_numpy().sum():
        confusion.layout.meta["says"] = (
            f"In {theme.format_percent(pair_share, 0)} of the votes one of the face's two wanted feelings is chosen."
        )
    return [
        Exhibit(
            "outcomes",
            plot_outcome_shares(data, source=source, published=outcomes.published_success_or_bias),
            data,
            "Of each face, the shares of people who chose its two feelings are looked at. "
            f"{OUTCOME_RULE[:1].upper()}{OUTCOME_RULE[1:]} (paper B, Fig. 4; equality goes to the worse outcome). The paper prints "
            "only that success and bias together are nearly 80 %.",
            outcomes.note,
            numbers={name: getattr(outcomes, name) for name in ("basis", "interval", "every", "success_or_bias", "rule")}
            | {"pairs": {f"{a}-{b}": shares for (a, b), shares in outcomes.pairs.items()}},
        ),
        Exhibit(
            "choices",
            confusion,
            chosen.rename_axis("wanted").reset_index(),
            "Every row is a pair of wanted feelings: how the votes on the faces made for it are spread over the six answers. Base "
            "faces and frames of morphs that were asked about too are not among them.",
        ),
    ]


def _split_votes_by_pair(samples: pd.DataFrame, counts: Array, pairs: list[tuple[str, str]]) -> tuple[pd.DataFrame, float]:
    """Sum votes (N, 6) by pair of wanted emotions, one row a pair, and return the share of votes for one of the two wanted ones."""
    rows, votes_for_pair = {}, 0.0
    for first, second in pairs:
        inside = ((samples["emotion1"] == first) & (samples["emotion2"] == second)).to_numpy(bool)
        total = counts[inside].sum(axis=0)
        rows[f"{first} – {second}"] = total.astype(np.int64)
        votes_for_pair += total[EMOTIONS.index(first)] + total[EMOTIONS.index(second)]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(EMOTIONS))
    return table, votes_for_pair / max(float(table.to_numpy().sum()), 1.0)


def count_study_votes(study_data: StudyData) -> Choices:
    """Count people's votes on the study's faces."""
    return count_choices(study_data.ratings, study_data.asked["sample_id"], excluded=study_data.excluded)


def _count_outcomes(outcomes: OutcomeShares) -> dict[str, float | int]:
    return {
        "success": outcomes.success.count,
        "bias": outcomes.bias.count,
        "failure": outcomes.failure.count,
        "low": outcomes.success.low,
        "high": outcomes.success.high,
    }


def exhibit_entropy(study_data: StudyData, _: ExhibitView, __: Progress) -> list[Exhibit]:
    """Entropy of people's choices, and its relation to reaction time (paper B, Fig. 7a and 7c)."""
    votes = count_study_votes(study_data)
    slow = relate_entropy_to_time(study_data.ratings, votes=votes)
    source = name_source(study_data, votes.basis.source)
    images = votes.table.rename(columns={"stimulus": "sample_id"})
    several = images[images["votes"] > 1]
    drawn_bits = plot_entropy_histogram(several[["sample_id"]].assign(entropy=several["bits"]), source=source)
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
            f"Mean over faces with two votes or more: {describe_estimate(votes.bits)} bits; without the correction "
            f"{describe_estimate(votes.entropy)}."
            if math.isfinite(votes.bits.value)
            else votes.note,
            numbers={"basis": votes.basis, "interval": votes.interval, "bits": votes.bits, "plain": votes.entropy},
        ),
        Exhibit(
            "entropy-time",
            plot_entropy_by_reaction_time(
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


def exhibit_classifiers(study_data: StudyData, _: ExhibitView, __: Progress) -> list[Exhibit]:
    """Fit of each classifier to people's votes: accuracy, log loss and divergence."""
    votes = count_study_votes(study_data)
    fits = {
        name: measure_fit(votes, select_probabilities(study_data.asked, name, study_data.steerer), name)
        for name in _list_classifiers(study_data)
    }
    who = name_raters(study_data)
    first = next(iter(fits.values()), None)
    basis = first.basis if first else votes.basis
    source = name_source(study_data, basis.source, "models") if first else name_source(study_data, basis.source)
    shares = pd.DataFrame(
        [{"name": registry.title(name), **build_row(fit.accuracy)} for name, fit in fits.items()]
        + ([{"name": f"the most frequent answer of {who}", **build_row(first.best_accuracy)}] if first else []),
        columns=["name", "value", "low", "high", "n"],
    )
    bits = pd.DataFrame(
        [{"name": registry.title(name), "series": "surprise per vote", **build_row(fit.log_loss)} for name, fit in fits.items()]
        + [
            {"name": registry.title(name), "series": "distance of the shares", **build_row(fit.divergence)}
            for name, fit in fits.items()
        ],
        columns=["name", "series", "value", "low", "high", "n"],
    )
    n = f"{basis.images:,} images, {basis.answers:,} votes"
    interval = first.interval if first else ""
    nothing = "No classifier judged these faces, or nobody has answered about them yet."
    known = {name: fit for name, fit in fits.items() if math.isfinite(fit.accuracy.value)}
    says = bits_say = nothing
    if known and first is not None:
        name, best = max(known.items(), key=lambda item: item[1].accuracy.value)
        tied = [registry.title(other) for other in find_extreme({key: fit.accuracy for key, fit in known.items()})]
        says = (
            f"{registry.title(name)} gives the answer of {who} {'most often: ' if len(tied) == 1 else ''}"
            f"{'' if len(tied) == 1 else 'in '}{theme.format_percent(best.accuracy.value, 0)} of the votes"
            f"{_describe_tied(tied)}; nothing could reach more than {theme.format_percent(first.best_accuracy.value, 0)}, "
            f"since {who} differ."
        )
        name, best = min(known.items(), key=lambda item: item[1].log_loss.value)
        tied = [registry.title(other) for other in find_extreme({key: fit.log_loss for key, fit in known.items()}, highest=False)]
        bits_say = (
            f"{registry.title(name)} is {'least ' if len(tied) == 1 else ''}surprised by the votes: "
            f"{describe_estimate(best.log_loss)} bits a vote{_describe_tied(tied)}, where guessing costs 2.58 and knowing "
            f"everybody's shares {describe_estimate(first.best_log_loss)}."
        )
    return [
        Exhibit(
            "classifier-accuracy",
            plot_dots(
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
            numbers=fits,
        ),
        Exhibit(
            "classifier-bits",
            plot_dots(
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


def _describe_tied(tied: Sequence[str]) -> str:
    """In brackets: the others that cannot be told apart from the first one."""
    return f" ({name_tied(list(tied[1:]))} cannot be told apart from it)" if len(tied) > 1 else ""


def _list_classifiers(study_data: StudyData) -> list[str]:
    """Classifiers whose probabilities are in the table."""
    known = []
    for name in study_data.classifiers:
        try:
            select_probabilities(study_data.asked, name, study_data.steerer)
        except LiminalError:
            continue
        known.append(name)
    return known


def exhibit_activations(study_data: StudyData, view: ExhibitView, _: Progress) -> list[Exhibit]:
    """Activations of a classifier on reference faces, the filter's limits, and the study's faces as strokes (paper B, Fig. 8)."""
    if study_data.own_pictures and not study_data.generator:
        raise LiminalError("These pictures were not made by a generator, so there are no plain faces of it to compare them with.")
    name = view.classifier or study_data.steerer
    definition = (
        "Activations are what the classifier computes before it turns them into probabilities. The filter keeps a face whose "
        "two feelings both lie beyond the dashed line, the 75th percentile of plain faces. Strokes below are faces of this "
        "study. Paper B, equation (3) and Fig. 8, there of photographs (RAF-DB)."
    )
    try:
        reference = load_reference_set(study_data.generator)
        logits, limits = reference.logits[name], reference.percentiles(name).tolist()
    except (LiminalError, KeyError):
        figure = plot_activations(np.empty((0, 6)), [0.0] * 6, classifier=registry.title(name))
        return [Exhibit("activations", figure, pd.DataFrame(columns=list(EMOTIONS)), definition)]
    prefix = "logit_" if name == study_data.steerer else f"logit_{name}_"
    rows = study_data.asked
    marks: dict[str, list[float]] = {}
    for emotion in EMOTIONS:
        made_for = rows[(rows["emotion1"] == emotion) | (rows["emotion2"] == emotion)]
        if f"{prefix}{emotion}" in made_for:
            marks[emotion] = made_for[f"{prefix}{emotion}"].dropna().tolist()[:MAX_MARKS]
    figure = plot_activations(logits, limits, classifier=registry.title(name), marks=marks)
    quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
    data = pd.DataFrame(np.quantile(logits, quantiles, axis=0), columns=list(EMOTIONS)).assign(quantile=quantiles)
    return [Exhibit("activations", figure, data[["quantile", *EMOTIONS]], definition)]
