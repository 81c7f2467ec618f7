"""Evaluate an alignment on held-out answers: paper B's Fig. 5, a null control, and where a model's answers changed.

Accuracy of BaseNet, GroupNet and IndivNet, entropy of models and people. The control: the same individual training on answers
that were shuffled between people within each image. It should show no individual gain; what it shows is the effect of more
training alone. It is summarised by the median over people, so that a few people with few held-out answers do not dominate it.
``shift_gains``: individuals without fine-tuning, the group's model shifted by the eight numbers of ``observer``, judged as
IndivNet is. ``rank_changes`` and ``count_confusions``: images whose answer moved most, and which answers a model takes for
which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.alignment.alignment import Alignment
from core.alignment.data import DataSplit, IndexArray, count_people, count_votes
from core.alignment.observer import fit_person, fit_prior
from core.alignment.store import Probabilities
from core.analysis.bootstrap import RESAMPLES, bootstrap_statistic, correlation_interval
from core.analysis.choices import PROBABILITY_FLOOR, correct_entropy, jensen_shannon_divergence, shannon_entropy
from core.analysis.estimate import Array, Basis, Estimate, Result, bootstrap_estimate, join_notes, safe_divide, undefined_estimate
from core.lazy_import import lazy_import
from core.models.emotions import EMOTIONS

stats = lazy_import("scipy.stats")

LEVELS = ("base", "group", "individual")
PUBLISHED_GAINS = (
    "Paper B, Fig. 5: on people's answers the group's models gained 5 to 35 points, the individuals' another 1 to 3.5; Spearman of "
    "model and human entropy rose from 0.26 to 0.85 (DAN)."
)
MIN_PEOPLE = 6
"""With fewer people Wilcoxon's test cannot reject at 0.05 (its smallest p is 0.0625 with five)."""
SPEARMAN_DRAWS = 1000


@dataclass(frozen=True)
class ModelGain:
    """A difference per person between two models: its bootstrap interval over people, Wilcoxon's signed-rank p (two-sided).

    value: the mean over people (``mean_gain``); of a null control, the median over people (``median_gain``). p: NaN under
    MIN_PEOPLE people or where nobody differs.
    """

    value: Estimate
    p: float


@dataclass(frozen=True, kw_only=True)
class AlignmentReport(Result):
    """One classifier. Accuracies are shares of answers that are the model's first choice, by LEVELS; losses in bits an answer.

    people: rater, answers (held out), accuracy_<level>, loss_<level>, gain and loss_gain (group -> individual; of the loss,
    positive is better), null_gain, null_loss_gain, shift_gain, shift_loss_gain, null_shift_loss_gain; NaN for those without one.
    entropies: stimulus, votes, human, base, group (bits), held-out images with two votes or more.
    """

    classifier: str
    reference: Mapping[str, Estimate]  # on reference faces
    group: Mapping[str, Estimate]  # on everybody's held-out answers
    own: Mapping[str, Estimate]  # on each person's held-out answers, mean over people who have a model
    loss: Mapping[str, Estimate]  # the same in bits
    group_gain: ModelGain  # base -> group, on each person's answers, all people
    individual_gain: ModelGain  # group -> individual
    individual_loss_gain: ModelGain
    null_gain: ModelGain  # median over people, as all controls
    null_loss_gain: ModelGain
    shift_gain: ModelGain  # group -> the group's model shifted by eight numbers, no fine-tuning
    shift_loss_gain: ModelGain
    null_shift_loss_gain: ModelGain
    entropy_base: Estimate  # Spearman of model and human entropy over held-out images
    entropy_group: Estimate
    people: pd.DataFrame
    entropies: pd.DataFrame


def evaluate_classifier(alignment: Alignment, classifier: str, *, seed: int = 0, shifts: bool = True) -> AlignmentReport:
    """All figures of one classifier. Raises LiminalError where the group's model is not trained; individuals may be missing.

    shifts: whether each person's shift is fitted, which takes nine tenths of the time; without it the shift gains are undefined.
    """
    split = alignment.split
    base, group = alignment.base(classifier), alignment.group(classifier)
    own_nets = {rater: alignment.individual(classifier, rater) for rater in alignment.people(classifier)}
    people = _make_people_table(alignment, classifier, base.images, group.images, own_nets)
    for null in (False, True):
        fitted = shift_gains(alignment, classifier, null=null) if shifts else pd.DataFrame(columns=_shift_columns(null))
        people = people.merge(fitted, on="rater", how="left")
    have = people[people["rater"].isin(list(own_nets))]
    _, judged = split.group()
    entropies = _make_entropy_table(alignment, judged, base.images, group.images)
    eligible = split.eligible_raters
    truth = alignment.labels.labels.argmax(axis=1)[alignment.reference_held]

    def of_reference(p: Array) -> Array:
        right: Array = (p[alignment.reference_held].argmax(axis=1) == truth).astype(np.float64)
        return right

    def over_people(column: str) -> Estimate:
        return bootstrap_estimate(have[column].dropna().to_numpy(np.float64), np.mean, seed=seed)

    def gained(column: str) -> ModelGain:
        return (median_gain if column.startswith("null_") else mean_gain)(people[column].to_numpy(np.float64), seed)

    missing, few = len(eligible) - len(own_nets), len(alignment.answers.raters) - len(eligible)
    notes = [
        "" if own_nets else "No individual has learned yet.",
        f"No model yet of {count_people(missing)} with enough answers." if own_nets and missing > 0 else "",
        f"{count_people(few)} gave too few answers for a model of their own." if few else "",
        alignment.note,
    ]
    return AlignmentReport(
        basis=Basis(
            len(np.unique(split.answers.image[judged])),
            len(np.unique(split.answers.rater[judged])),
            len(judged),
            alignment.answers.source,
        ),
        interval="95 %, bootstrap over people (of controls: of the median); on reference faces over faces, of entropies over "
        "images (Fisher's z)",
        note=join_notes(*notes),
        classifier=classifier,
        reference={
            "base": bootstrap_estimate(of_reference(base.reference), np.mean, seed=seed),
            "group": bootstrap_estimate(of_reference(group.reference), np.mean, seed=seed),
            "individual": bootstrap_estimate(
                np.array([of_reference(individual.reference).mean() for individual in own_nets.values()]), np.mean, seed=seed
            ),
        },
        group={
            "base": _pooled_accuracy(split, judged, base.images, seed),
            "group": _pooled_accuracy(split, judged, group.images, seed),
            "individual": bootstrap_estimate(
                np.array([score_hits(split, judged, individual.images).mean() for individual in own_nets.values()]),
                np.mean,
                seed=seed,
            ),
        },
        own={level: over_people(f"accuracy_{level}") for level in LEVELS},
        loss={level: over_people(f"loss_{level}") for level in LEVELS},
        group_gain=mean_gain((people["accuracy_group"] - people["accuracy_base"]).to_numpy(np.float64), seed),
        individual_gain=gained("gain"),
        individual_loss_gain=gained("loss_gain"),
        null_gain=gained("null_gain"),
        null_loss_gain=gained("null_loss_gain"),
        shift_gain=gained("shift_gain"),
        shift_loss_gain=gained("shift_loss_gain"),
        null_shift_loss_gain=gained("null_shift_loss_gain"),
        entropy_base=correlate_ranks(entropies["human"].to_numpy(), entropies["base"].to_numpy(), seed),
        entropy_group=correlate_ranks(entropies["human"].to_numpy(), entropies["group"].to_numpy(), seed),
        people=people,
        entropies=entropies,
    )


def mean_gain(differences: Array, seed: int = 0) -> ModelGain:
    """The mean of differences of people (P,), NaN where there is none, with its interval and p."""
    return _summarise_gain(differences, np.mean, seed)


def median_gain(differences: Array, seed: int = 0) -> ModelGain:
    """The median of differences of people, for a null control, with its interval and p."""
    return _summarise_gain(differences, np.median, seed)


def _summarise_gain(differences: Array, statistic: Callable[..., Array], seed: int) -> ModelGain:
    finite = differences[np.isfinite(differences)]
    p = math.nan
    if len(finite) >= MIN_PEOPLE and np.any(finite != 0):
        p = float(stats.wilcoxon(finite).pvalue)
    return ModelGain(bootstrap_estimate(finite, statistic, seed=seed), p)


def score_hits(split: DataSplit, rows: IndexArray, p: Array) -> Array:
    """Whether each of these answers is the first choice of a model with probabilities (I, 6) -> 0 or 1 (rows,)."""
    right: Array = (p[split.answers.image[rows]].argmax(axis=1) == split.answers.emotion[rows]).astype(np.float64)
    return right


def score_losses(split: DataSplit, rows: IndexArray, p: Array) -> Array:
    """-log2 of the probability that a model gave each of these answers (rows,)."""
    losses: Array = -np.log2(np.maximum(p[split.answers.image[rows], split.answers.emotion[rows]], PROBABILITY_FLOOR))
    return losses


def correlate_ranks(first: Array, second: Array, seed: int = 0) -> Estimate:
    """Spearman's rank correlation over images with its interval; NaN under three images or where one of them is constant."""
    n = len(first)
    if n < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return undefined_estimate(n)
    random = np.random.default_rng(seed)
    r = float(np.corrcoef(stats.rankdata(first), stats.rankdata(second))[0, 1])
    chosen = random.integers(0, n, (SPEARMAN_DRAWS, n))
    x, y = stats.rankdata(first[chosen], axis=1), stats.rankdata(second[chosen], axis=1)
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    draws = safe_divide((x * y).sum(axis=1), np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1)))
    return Estimate(r, *correlation_interval(r, draws), n)


def _pooled_accuracy(split: DataSplit, rows: IndexArray, p: Array, seed: int) -> Estimate:
    """Accuracy over all these answers, people resampled."""
    right, rater = score_hits(split, rows, p), split.answers.rater[rows]
    size = len(split.answers.raters)
    sums = np.column_stack([np.bincount(rater, right, size), np.bincount(rater, minlength=size)]).astype(np.float64)

    def ratio(values: Array, weights: Array) -> Array:
        return safe_divide(values[:, 0] @ weights, values[:, 1] @ weights)

    return bootstrap_statistic(sums[sums[:, 1] > 0], ratio, resamples=RESAMPLES, seed=seed)


def _make_people_table(
    alignment: Alignment, classifier: str, base: Array, group: Array, own_nets: Mapping[str, Probabilities]
) -> pd.DataFrame:
    with_null = set(alignment.people(classifier, null=True))
    rows_of_people = []
    for rater in alignment.answers.raters:
        _, rows = alignment.split.person(rater)
        if not len(rows):
            continue
        levels = {"base": base, "group": group}
        if rater in own_nets:
            levels["individual"] = own_nets[rater].images
        row: dict[str, object] = {"rater": rater, "answers": len(rows)}
        for name, measure in (("accuracy", score_hits), ("loss", score_losses)):
            for level in LEVELS:
                has = level in levels
                row[f"{name}_{level}"] = float(measure(alignment.split, rows, levels[level]).mean()) if has else math.nan
        of_null = _null_gains(alignment, classifier, rater, group) if rater in with_null else (math.nan, math.nan)
        rows_of_people.append({**row, "null_gain": of_null[0], "null_loss_gain": of_null[1]})
    table = pd.DataFrame(rows_of_people)
    table["gain"] = table["accuracy_individual"] - table["accuracy_group"]
    table["loss_gain"] = table["loss_group"] - table["loss_individual"]
    return table


def _null_gains(alignment: Alignment, classifier: str, rater: str, group: Array) -> tuple[float, float]:
    """Gain of accuracy and of loss of a model that learned from shuffled answers, judged by shuffled answers."""
    _, rows = alignment.null.person(rater)
    individual = alignment.individual(classifier, rater, null=True).images
    if not len(rows):
        return math.nan, math.nan

    def mean(measure: Callable[[DataSplit, IndexArray, Array], Array], p: Array) -> float:
        return float(measure(alignment.null, rows, p).mean())

    return mean(score_hits, individual) - mean(score_hits, group), mean(score_losses, group) - mean(score_losses, individual)


def _make_entropy_table(alignment: Alignment, judged: IndexArray, base: Array, group: Array) -> pd.DataFrame:
    answers = alignment.answers
    counts = count_votes(answers.image[judged], answers.emotion[judged], len(answers.images))
    seen = np.flatnonzero(counts.sum(axis=1) >= 2)
    return pd.DataFrame(
        {
            "stimulus": [answers.images[image] for image in seen],
            "votes": counts[seen].sum(axis=1).astype(np.int64),
            "human": correct_entropy(counts[seen]),
            "base": shannon_entropy(base[seen]),
            "group": shannon_entropy(group[seen]),
        }
    )


def evaluate_alignment(
    alignment: Alignment, classifiers: Sequence[str] | None = None, *, seed: int = 0
) -> tuple[AlignmentReport, ...]:
    """The reports of all classifiers whose group model is trained."""
    names = classifiers if classifiers is not None else alignment.configuration.classifiers
    return tuple(evaluate_classifier(alignment, name, seed=seed) for name in names if alignment.ready(name))


MAX_PRIOR_PEOPLE = 60
"""The prior's spread is fitted to at most so many people."""


def shift_gains(alignment: Alignment, classifier: str, *, null: bool = False) -> pd.DataFrame:
    """Gains of the shifted group model over the group's: rater, shift_gain (accuracy), shift_loss_gain (bits an answer).

    The shift and its prior are fitted to the answers that IndivNet learns from and judged on the held-out ones. null: of shuffled
    answers.
    """
    split = alignment.null if null else alignment.split
    answers, p = split.answers, alignment.group(classifier).images
    rows = {rater: split.person(rater) for rater in split.eligible_raters}
    learned = {rater: (p[answers.image[training]], answers.emotion[training]) for rater, (training, _) in rows.items()}
    prior = fit_prior(list(learned.values())[:MAX_PRIOR_PEOPLE])
    gains = []
    for rater, (group, answered) in learned.items():
        judged = rows[rater][1]
        truth, before = answers.emotion[judged], p[answers.image[judged]]
        after = fit_person(group, answered, prior).probabilities(before)
        positions = np.arange(len(judged))
        right = (after.argmax(axis=1) == truth).mean() - (before.argmax(axis=1) == truth).mean()
        bits = np.log2(
            np.maximum(after[positions, truth], PROBABILITY_FLOOR) / np.maximum(before[positions, truth], PROBABILITY_FLOOR)
        ).mean()
        gains.append((rater, float(right), float(bits)))
    return pd.DataFrame(gains, columns=_shift_columns(null))


def _shift_columns(null: bool) -> list[str]:
    prefix = "null_" if null else ""
    return ["rater", f"{prefix}shift_gain", f"{prefix}shift_loss_gain"]


ModelLevel = str
"""One of ``LEVELS``."""


def rank_changes(alignment: Alignment, classifier: str, rater: str = "") -> pd.DataFrame:
    """All images of the study, the largest change of probabilities first: base -> group, or with ``rater`` group -> individual.

    stimulus, held_out, votes, people (most frequent answer, "" over none), before and after (first choices), p_before, p_after
    (of the people's answer; NaN over none), change (Jensen-Shannon divergence, bits).
    """
    first = alignment.group(classifier).images if rater else alignment.base(classifier).images
    second = alignment.individual(classifier, rater).images if rater else alignment.group(classifier).images
    counts, names = alignment.answers.counts, np.array(EMOTIONS)
    votes, most, rows = counts.sum(axis=1), counts.argmax(axis=1), np.arange(len(counts))
    table = pd.DataFrame(
        {
            "stimulus": list(alignment.answers.images),
            "held_out": alignment.split.images,
            "votes": votes.astype(np.int64),
            "people": np.where(votes > 0, names[most], ""),
            "before": names[first.argmax(axis=1)],
            "after": names[second.argmax(axis=1)],
            "p_before": np.where(votes > 0, first[rows, most], np.nan),
            "p_after": np.where(votes > 0, second[rows, most], np.nan),
            "change": jensen_shannon_divergence(first, second),
        }
    )
    return table.sort_values(["change", "stimulus"], ascending=[False, True]).reset_index(drop=True)


def count_confusions(alignment: Alignment, classifier: str, level: ModelLevel = "group", rater: str = "") -> Array:
    """Held-out answers by what was said (row) and a model's first choice (column) -> counts (6, 6).

    rater: that person's answers, and for level "individual" their model; "": everybody's answers (base or group).
    """
    if level == "individual":
        p = alignment.individual(classifier, rater).images
    else:
        p = (alignment.base(classifier) if level == "base" else alignment.group(classifier)).images
    _, rows = alignment.split.person(rater) if rater else alignment.split.group()
    answers = alignment.split.answers.emotion[rows]
    named = p[alignment.split.answers.image[rows]].argmax(axis=1)
    k = len(EMOTIONS)
    return np.bincount(answers * k + named, minlength=k * k).reshape(k, k).astype(np.float64)
