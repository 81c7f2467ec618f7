"""What people choose for an image: shares, entropy in bits, distance from classifiers' probabilities, reaction times.

With 10 to 13 votes an image the plain entropy is biased low by a tenth of a bit or more: Miller and Madow's correction adds
(K - 1) / (2 N) nats, K the number of answers that were chosen (Miller 1955, in Quastler, Information Theory in Psychology).
Reaction times are in milliseconds, of any task; for emotion trials they are related to the entropy of the votes (paper B,
Fig. 7).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.analysis.bootstrap import (
    CELLS_AT_ONCE,
    RESAMPLES,
    bootstrap_statistic,
    correlate_cells,
    draw_weights,
    percentile_interval,
)
from core.analysis.encode import EncodedRatings, encode, explain_no_answers, select_answers
from core.analysis.estimate import Array, Basis, Estimate, Proportion, Result, bootstrap_estimate, safe_divide, undefined_estimate
from core.lazy_import import lazy_import
from core.models.emotions import EMOTIONS
from core.studies.ratings import TEXT, TEXT_TASKS, Task

distance, sparse, stats = lazy_import("scipy.spatial.distance"), lazy_import("scipy.sparse"), lazy_import("scipy.stats")

DIRICHLET_DRAWS = 200
"""Dirichlet draws behind the interval of one image."""
DIRICHLET_PRIOR = 0.5
"""Jeffreys' prior: half a vote for every emotion."""
PROBABILITY_FLOOR = 1e-6
"""Probabilities below it count as it in the log loss, so that one vote cannot be infinitely surprising."""
CALIBRATION_BINS = 10


@dataclass(frozen=True, kw_only=True)
class Choices(Result):
    """Votes of people, one row an image. Intervals are those of the images' own votes.

    table: stimulus, votes, count_<label>, share_<label>, chosen (most frequent, "" over none), entropy (plain), bits
    (Miller-Madow, at most log2 K), low and high (of ``bits``), reaction_time_ms (median). labels: the K answers to choose from.
    """

    table: pd.DataFrame
    entropy: Estimate  # mean plain entropy over images with at least two votes, bits
    bits: Estimate  # the same, corrected

    labels: tuple[str, ...] = EMOTIONS

    def counts(self) -> Array:
        """Votes by label (N, K)."""
        return self.table[[f"count_{label}" for label in self.labels]].to_numpy(np.float64)

    def shares(self) -> Array:
        """Shares by label (N, K), NaN where nobody voted."""
        return self.table[[f"share_{label}" for label in self.labels]].to_numpy(np.float64)


@dataclass(frozen=True, kw_only=True)
class ClassifierFit(Result):
    """How well one classifier's probabilities predict people's votes. Means over images, except where said."""

    classifier: str
    divergence: Estimate  # Jensen-Shannon divergence of shares and probabilities, bits: 0 the same, 1 nothing in common
    log_loss: Estimate  # mean over votes of -log2 p(vote), bits; log2 6 = 2.58 is a blind guess
    best_log_loss: Estimate  # of the people's own shares: nothing can be lower
    accuracy: Estimate  # share of votes for the classifier's most probable emotion
    best_accuracy: Estimate  # share of votes for each image's most frequent emotion: nothing can be higher
    calibration_error: Estimate  # |confidence - share of votes that agree|, over ten bins of confidence, weighted by votes


def count_choices(
    ratings: pd.DataFrame,
    images: pd.Series[str] | None = None,
    *,
    excluded: Collection[str] = (),
    sentinels: bool = False,
    seed: int = 0,
    task: Task = "emotion",
    labels: Sequence[str] = EMOTIONS,
) -> Choices:
    """Count the answers of a task by image (of ``images``, in that order, or of all that were answered).

    labels: the answers to choose from: names, or the points of a scale as text.
    """
    answers = select_answers(ratings, task, excluded=excluded, sentinels=sentinels)
    if task not in TEXT_TASKS:
        answers = answers.assign(value=answers["value"].map("{:g}".format).astype(TEXT))
    codes = encode(answers, images, labels)
    counts = count_votes(codes, len(labels))  # (N, K)
    votes = counts.sum(axis=1)
    shares = safe_divide(counts, votes[:, None])
    plain_bits = np.where(votes > 0, shannon_entropy(np.nan_to_num(shares)), np.nan)
    bits = correct_entropy(counts)
    low, high = dirichlet_interval(counts, shannon_entropy, bits, seed=seed)
    times = answers.groupby("stimulus", sort=False)["reaction_time_ms"].median().reindex(codes.images)
    table = pd.DataFrame({"stimulus": codes.images.to_numpy(), "votes": votes.astype(np.int64)})
    for column, label in enumerate(labels):
        table[f"count_{label}"] = counts[:, column].astype(np.int64)
        table[f"share_{label}"] = shares[:, column]
    table["chosen"] = np.where(votes > 0, np.array(labels)[counts.argmax(axis=1)] if len(counts) else "", "")
    table = table.assign(entropy=plain_bits, bits=bits, low=low, high=high, reaction_time_ms=times.to_numpy(np.float64))
    enough = votes > 1
    return Choices(
        basis=codes.basis,
        interval=f"95 %: of an image, {DIRICHLET_DRAWS} draws from the Dirichlet of its votes; of means, bootstrap over images",
        note="" if votes.any() else explain_no_answers(ratings, excluded),
        table=table,
        entropy=bootstrap_estimate(plain_bits[enough], np.mean, seed=seed),
        bits=bootstrap_estimate(bits[enough], np.mean, seed=seed),
        labels=tuple(labels),
    )


def count_votes(codes: EncodedRatings, k: int = len(EMOTIONS)) -> Array:
    """Votes by image and label (N, K)."""
    flat = np.bincount(codes.image * k + codes.value.astype(np.intp), minlength=len(codes.images) * k)
    return flat.reshape(len(codes.images), k).astype(np.float64)


def correct_entropy(counts: Array) -> Array:
    """Votes (N, K) -> entropy in bits (N,), corrected, at most log2 K; NaN where there are none."""
    votes = counts.sum(axis=1)
    plain_bits = shannon_entropy(np.nan_to_num(safe_divide(counts, votes[:, None])))
    added = safe_divide((counts > 0).sum(axis=1) - 1.0, 2 * votes) / math.log(2)
    corrected: Array = np.minimum(plain_bits + added, math.log2(max(counts.shape[1], 1)))
    return corrected


def jensen_shannon_divergence(first: Array, second: Array) -> Array:
    """Jensen-Shannon divergence of rows (N, K) in bits (N,), 0 to 1; NaN where one of the two is (Lin 1991, IEEE Trans. IT 37)."""
    result = np.full(len(first), np.nan)
    known = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    if known.any():
        # equal rows come out as the root of a tiny negative number, which scipy turns into NaN
        with np.errstate(invalid="ignore"):
            root = distance.jensenshannon(first[known], second[known], base=2, axis=1)
        result[known] = np.clip(np.nan_to_num(root) ** 2, 0, 1)
    return result


def dirichlet_interval(
    counts: Array, statistic: Callable[..., Array], values: Array, *beside: Array, seed: int = 0
) -> tuple[Array, Array]:
    """95 % interval of a statistic of each image's choice probabilities, (N, K) -> (N,), from its votes.

    beside: further arguments of the statistic, (N, ...) each, as images are processed in parts that fit into memory.
    Draws from the Dirichlet posterior under Jeffreys' prior, widened where it does not hold the value itself, which is computed
    from the votes alone. NaN where there are no votes.
    """
    n, k = counts.shape
    low, high = np.full(n, np.nan), np.full(n, np.nan)
    random = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // (DIRICHLET_DRAWS * max(k, 1)))
    for start in range(0, n, at_once):
        part = slice(start, min(start + at_once, n))
        drawn = random.standard_gamma(np.broadcast_to(counts[part] + DIRICHLET_PRIOR, (DIRICHLET_DRAWS, *counts[part].shape)))
        drawn /= drawn.sum(axis=2, keepdims=True)
        context = [values_of_image[part] for values_of_image in beside]
        of_draws = np.stack([statistic(probabilities, *context) for probabilities in drawn])
        low[part], high[part] = np.quantile(of_draws, [0.025, 0.975], axis=0)
    voted = counts.sum(axis=1) > 0
    return np.where(voted, np.fmin(low, values), np.nan), np.where(voted, np.fmax(high, values), np.nan)


def measure_fit(votes: Choices, p: Array, classifier: str, *, resamples: int = RESAMPLES, seed: int = 0) -> ClassifierFit:
    """Compare votes on N images with a classifier's probabilities of the same images (N, 6), NaN rows where it did not judge."""
    counts = votes.counts()
    known = (counts.sum(axis=1) > 0) & np.isfinite(p).all(axis=1)
    counts, p = counts[known], p[known]
    n, shares = counts.sum(axis=1), safe_divide(counts, counts.sum(axis=1)[:, None])
    floored = np.maximum(p, PROBABILITY_FLOOR)
    loss = -(counts * np.log2(floored / floored.sum(axis=1, keepdims=True))).sum(axis=1)  # (N,), summed over votes
    agreeing = counts[np.arange(len(counts)), p.argmax(axis=1)] if len(counts) else np.empty(0)
    most = counts.max(axis=1) if len(counts) else np.empty(0)

    def over_votes(total: Array) -> Estimate:
        def ratio(values: Array, weights: Array) -> Array:
            return safe_divide(values[:, 0] @ weights, values[:, 1] @ weights)

        return bootstrap_statistic(np.column_stack([total, n]), ratio, resamples=resamples, seed=seed)

    return ClassifierFit(
        basis=Basis(len(counts), votes.basis.raters, int(n.sum()), votes.basis.source),
        interval="95 %, bootstrap over images",
        note="" if len(counts) else f"No image was judged both by people and by {classifier}.",
        classifier=classifier,
        divergence=bootstrap_estimate(jensen_shannon_divergence(shares, p), np.mean, seed=seed, draws=resamples),
        log_loss=over_votes(loss),
        best_log_loss=over_votes(n * shannon_entropy(shares)),
        accuracy=over_votes(agreeing),
        best_accuracy=over_votes(most),
        calibration_error=_measure_calibration(p, agreeing, n, resamples, seed),
    )


def _measure_calibration(p: Array, agreeing: Array, n: Array, resamples: int, seed: int) -> Estimate:
    """Expected calibration error (Naeini, Cooper and Hauskrecht 2015, AAAI), every vote one prediction."""
    if not len(p):
        return undefined_estimate()
    sure = p.max(axis=1)
    bins = np.minimum((sure * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    of_bin = (bins == np.arange(CALIBRATION_BINS)[:, None]).astype(np.float64)  # (BINS, N)

    def error(_: Array, weights: Array) -> Array:
        gap = np.abs(of_bin @ ((n * sure - agreeing)[:, None] * weights)).sum(axis=0)
        return safe_divide(gap, n @ weights)

    return bootstrap_statistic(sure, error, resamples=resamples, seed=seed)


PUBLISHED_RANGE_MS = (500.0, 1500.0)
"""Where paper B's reaction times concentrate."""
PUBLISHED_SPEARMAN = 0.42
"""Of entropy and reaction time (paper B, Fig. 7c: its digit recognition task)."""


@dataclass(frozen=True, kw_only=True)
class ReactionTimeSummary(Result):
    """Reaction times of one task in milliseconds. ``table``: one row an image: stimulus, votes, median_ms."""

    median: Estimate  # over answers
    quantiles: dict[str, float]  # 5, 25, 50, 75 and 95 %, over answers
    usual: Proportion  # answers between 500 and 1,500 ms
    skewness: float  # above 0: a tail of slow answers
    times: Array  # of all answers that were timed (K,)
    table: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class EntropyAndTime(Result):
    """Spearman's rank correlation over images of entropy and median reaction time, beside the published one."""

    spearman: Estimate
    p: float
    published: float
    table: pd.DataFrame  # stimulus, bits, median_ms: the points


def summarise_reaction_times(
    ratings: pd.DataFrame, task: Task, *, excluded: Collection[str] = (), seed: int = 0
) -> ReactionTimeSummary:
    """Summarise the reaction times of one task's answers; answers without a time are left out."""
    answers = select_answers(ratings, task, excluded=excluded, sentinels=task != "emotion")
    answers = answers[np.isfinite(answers["reaction_time_ms"].to_numpy(np.float64))]
    times = answers["reaction_time_ms"].to_numpy(np.float64)
    per_image = answers.groupby("stimulus", sort=False)["reaction_time_ms"]
    n = len(times)
    levels = {"5 %": 0.05, "25 %": 0.25, "50 %": 0.5, "75 %": 0.75, "95 %": 0.95}
    return ReactionTimeSummary(
        basis=encode(answers).basis,
        interval="95 %, bootstrap over answers; Wilson for shares",
        note="" if n else "No answer to this question was timed.",
        median=bootstrap_estimate(times, np.median, seed=seed, draws=500),
        quantiles={name: float(np.quantile(times, level)) if n else math.nan for name, level in levels.items()},
        usual=Proportion.of(int(((times >= PUBLISHED_RANGE_MS[0]) & (times <= PUBLISHED_RANGE_MS[1])).sum()), n),
        skewness=float(stats.skew(times)) if n > 2 and np.ptp(times) > 0 else math.nan,
        times=times,
        table=pd.DataFrame({"votes": per_image.size(), "median_ms": per_image.median()}).rename_axis("stimulus").reset_index(),
    )


def relate_entropy_to_time(
    ratings: pd.DataFrame,
    *,
    excluded: Collection[str] = (),
    votes: Choices | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> EntropyAndTime:
    """Correlate entropy with reaction time over images with at least two timed votes: do people take longer where they differ?"""
    votes = votes or count_choices(ratings, excluded=excluded)
    table = votes.table[(votes.table["votes"] > 1) & votes.table["reaction_time_ms"].notna()]
    table = table[["stimulus", "bits", "reaction_time_ms"]].rename(columns={"reaction_time_ms": "median_ms"}).reset_index(drop=True)
    spearman, p = correlate_spearman(
        table["bits"].to_numpy(np.float64), table["median_ms"].to_numpy(np.float64), resamples=resamples, seed=seed
    )
    return EntropyAndTime(
        basis=votes.basis,
        interval="95 %, bootstrap over images (of their ranks)",
        note=""
        if math.isfinite(spearman.value)
        else "There is no correlation to speak of: it takes three timed images that differ.",
        spearman=spearman,
        p=p,
        published=PUBLISHED_SPEARMAN,
        table=table,
    )


def correlate_spearman(first: Array, second: Array, *, resamples: int = RESAMPLES, seed: int = 0) -> tuple[Estimate, float]:
    """Rank correlation of two values per image (N,) with its interval, and the two-sided p; NaN where one does not vary."""
    known = np.isfinite(first) & np.isfinite(second)
    x, y = stats.rankdata(first[known]), stats.rankdata(second[known])
    n = len(x)
    if n < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return undefined_estimate(n), math.nan
    result = stats.spearmanr(x, y)
    every = sparse.csr_array(np.ones((1, n)))
    draws = [
        correlate_cells(x[:, None], y[:, None], weights.images, every)[0]
        for weights in draw_weights(n, 1, resamples=resamples, seed=seed)
    ]
    low, high = percentile_interval(np.concatenate(draws))
    return Estimate(float(result.statistic), float(low), float(high), n), float(result.pvalue)


def shannon_entropy(probabilities: Array) -> Array:
    """Shannon entropy of each row (N, K) in bits -> (N,). 0 log 0 is 0."""
    p = np.asarray(probabilities, np.float64)
    bits: Array = -np.where(p > 0, p * np.log2(np.where(p > 0, p, 1.0)), p * 0).sum(axis=1)
    return np.abs(bits)  # no -0.0
