"""Which emotions people choose for an image: shares, entropy in bits, and how far a classifier's probabilities are from them.

With 10 to 13 votes an image the plain entropy is biased low by a tenth of a bit or more: Miller and Madow's correction adds
(K - 1) / (2 N) nats, K the emotions that were chosen (Miller 1955, in Quastler, Information Theory in Psychology).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial.distance import jensenshannon

from core.analysis.answers import Array, Coded, chosen, coded, divided
from core.analysis.bootstrap import CELLS_AT_ONCE, RESAMPLES, over_one
from core.analysis.boundary import Estimate, bootstrap, entropy
from core.analysis.results import Basis, Result, undefined
from core.models.emotions import EMOTIONS

DRAWS = 200
"""Dirichlet draws behind the interval of one image."""
PRIOR = 0.5
"""Jeffreys' prior: half a vote for every emotion."""
FLOOR = 1e-6
"""Probabilities below it count as it in the log loss, so that one vote cannot be infinitely surprising."""
BINS = 10


@dataclass(frozen=True, kw_only=True)
class Choices(Result):
    """Votes of people, one row an image. Intervals are those of the images' own votes.

    table: stimulus, votes, count_<emotion>, share_<emotion>, chosen (most frequent, "" over none), entropy (plain), bits
    (Miller-Madow, at most log2 6), low and high (of ``bits``), reaction_time_ms (median).
    """

    table: pd.DataFrame
    entropy: Estimate  # mean plain entropy over images with at least two votes, bits
    bits: Estimate  # the same, corrected

    def counts(self) -> Array:
        """Votes by emotion (N, 6)."""
        return self.table[[f"count_{emotion}" for emotion in EMOTIONS]].to_numpy(np.float64)

    def shares(self) -> Array:
        """Shares by emotion (N, 6), NaN where nobody voted."""
        return self.table[[f"share_{emotion}" for emotion in EMOTIONS]].to_numpy(np.float64)


@dataclass(frozen=True, kw_only=True)
class Fit(Result):
    """How well one classifier's probabilities foretell people's votes. Means over images, except where said."""

    classifier: str
    divergence: Estimate  # Jensen-Shannon divergence of shares and probabilities, bits: 0 the same, 1 nothing in common
    log_loss: Estimate  # mean over votes of -log2 p(vote), bits; log2 6 = 2.58 is a blind guess
    best_log_loss: Estimate  # of the people's own shares: nothing can be lower
    accuracy: Estimate  # share of votes for the classifier's most probable emotion
    best_accuracy: Estimate  # share of votes for each image's most frequent emotion: nothing can be higher
    calibration_error: Estimate  # |confidence - share of votes that agree|, over ten bins of confidence, weighted by votes


def choices(
    ratings: pd.DataFrame,
    images: pd.Series[str] | None = None,
    *,
    excluded: Collection[str] = (),
    sentinels: bool = False,
    seed: int = 0,
) -> Choices:
    """Answers to emotion trials -> votes of every image (of ``images``, in that order, or of all that were answered)."""
    answers = chosen(ratings, "emotion", excluded=excluded, sentinels=sentinels)
    codes = coded(answers, images)
    counts = vote_counts(codes)  # (N, 6)
    votes = counts.sum(axis=1)
    shares = divided(counts, votes[:, None])
    plain_bits = np.where(votes > 0, entropy(np.nan_to_num(shares)), np.nan)
    bits = miller_madow(counts)
    low, high = dirichlet_interval(counts, entropy, bits, seed=seed)
    times = answers.groupby("stimulus", sort=False)["reaction_time_ms"].median().reindex(codes.images)
    table = pd.DataFrame({"stimulus": codes.images.to_numpy(), "votes": votes.astype(np.int64)})
    for place, emotion in enumerate(EMOTIONS):
        table[f"count_{emotion}"] = counts[:, place].astype(np.int64)
        table[f"share_{emotion}"] = shares[:, place]
    table["chosen"] = np.where(votes > 0, np.array(EMOTIONS)[counts.argmax(axis=1)] if len(counts) else "", "")
    table = table.assign(entropy=plain_bits, bits=bits, low=low, high=high, reaction_time_ms=times.to_numpy(np.float64))
    enough = votes > 1
    return Choices(
        basis=codes.basis,
        interval=f"95 %: of an image, {DRAWS} draws from the Dirichlet of its votes; of means, bootstrap over images",
        note="" if votes.any() else "Nobody has answered about these images yet.",
        table=table,
        entropy=bootstrap(plain_bits[enough], np.mean, seed=seed),
        bits=bootstrap(bits[enough], np.mean, seed=seed),
    )


def vote_counts(codes: Coded) -> Array:
    """Votes by image and emotion (N, 6)."""
    k = len(EMOTIONS)
    flat = np.bincount(codes.image * k + codes.value.astype(np.intp), minlength=len(codes.images) * k)
    return flat.reshape(len(codes.images), k).astype(np.float64)


def miller_madow(counts: Array) -> Array:
    """Votes (N, K) -> entropy in bits (N,), corrected, at most log2 K; NaN where there are none."""
    votes = counts.sum(axis=1)
    plain_bits = entropy(np.nan_to_num(divided(counts, votes[:, None])))
    added = divided((counts > 0).sum(axis=1) - 1.0, 2 * votes) / math.log(2)
    corrected: Array = np.minimum(plain_bits + added, math.log2(max(counts.shape[1], 1)))
    return corrected


def divergence(first: Array, second: Array) -> Array:
    """Jensen-Shannon divergence of rows (N, K) in bits (N,), 0 to 1; NaN where one of the two is (Lin 1991, IEEE Trans. IT 37)."""
    result = np.full(len(first), np.nan)
    known = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    if known.any():
        # equal rows come out as the root of a tiny negative number, which scipy turns into NaN
        with np.errstate(invalid="ignore"):
            root = jensenshannon(first[known], second[known], base=2, axis=1)
        result[known] = np.clip(np.nan_to_num(root) ** 2, 0, 1)
    return result


def dirichlet_interval(
    counts: Array, statistic: Callable[..., Array], values: Array, *beside: Array, seed: int = 0
) -> tuple[Array, Array]:
    """95 % interval of a statistic of each image's choice probabilities, (N, K) -> (N,), from its votes.

    beside: what the statistic takes besides, (N, ...) each: images are worked through in parts that fit into memory.
    Draws from the Dirichlet posterior under Jeffreys' prior, widened where it does not hold the value itself, which is computed
    from the votes alone. NaN where there are no votes.
    """
    n, k = counts.shape
    low, high = np.full(n, np.nan), np.full(n, np.nan)
    random = np.random.default_rng(seed)
    at_once = max(1, CELLS_AT_ONCE // (DRAWS * max(k, 1)))
    for start in range(0, n, at_once):
        part = slice(start, min(start + at_once, n))
        drawn = random.standard_gamma(np.broadcast_to(counts[part] + PRIOR, (DRAWS, *counts[part].shape)))
        drawn /= drawn.sum(axis=2, keepdims=True)
        own = [each[part] for each in beside]
        of_draws = np.stack([statistic(each, *own) for each in drawn])
        low[part], high[part] = np.quantile(of_draws, [0.025, 0.975], axis=0)
    voted = counts.sum(axis=1) > 0
    return np.where(voted, np.fmin(low, values), np.nan), np.where(voted, np.fmax(high, values), np.nan)


def fit(votes: Choices, p: Array, classifier: str, *, resamples: int = RESAMPLES, seed: int = 0) -> Fit:
    """Votes of N images and a classifier's probabilities of the same images (N, 6), NaN rows where it said nothing."""
    counts = votes.counts()
    known = (counts.sum(axis=1) > 0) & np.isfinite(p).all(axis=1)
    counts, p = counts[known], p[known]
    n, shares = counts.sum(axis=1), divided(counts, counts.sum(axis=1)[:, None])
    floored = np.maximum(p, FLOOR)
    loss = -(counts * np.log2(floored / floored.sum(axis=1, keepdims=True))).sum(axis=1)  # (N,), summed over votes
    agreeing = counts[np.arange(len(counts)), p.argmax(axis=1)] if len(counts) else np.empty(0)
    most = counts.max(axis=1) if len(counts) else np.empty(0)

    def over_votes(total: Array) -> Estimate:
        def ratio(values: Array, weights: Array) -> Array:
            return divided(values[:, 0] @ weights, values[:, 1] @ weights)

        return over_one(np.column_stack([total, n]), ratio, resamples=resamples, seed=seed)

    return Fit(
        basis=Basis(len(counts), votes.basis.raters, int(n.sum()), votes.basis.source),
        interval="95 %, bootstrap over images",
        note="" if len(counts) else f"No image was judged both by people and by {classifier}.",
        classifier=classifier,
        divergence=bootstrap(divergence(shares, p), np.mean, seed=seed, draws=resamples),
        log_loss=over_votes(loss),
        best_log_loss=over_votes(n * entropy(shares)),
        accuracy=over_votes(agreeing),
        best_accuracy=over_votes(most),
        calibration_error=_calibration(p, agreeing, n, resamples, seed),
    )


def _calibration(p: Array, agreeing: Array, n: Array, resamples: int, seed: int) -> Estimate:
    """Expected calibration error (Naeini, Cooper and Hauskrecht 2015, AAAI), every vote one prediction."""
    if not len(p):
        return undefined()
    sure = p.max(axis=1)
    bins = np.minimum((sure * BINS).astype(np.intp), BINS - 1)
    of_bin = (bins == np.arange(BINS)[:, None]).astype(np.float64)  # (BINS, N)

    def error(_: Array, weights: Array) -> Array:
        gap = np.abs(of_bin @ ((n * sure - agreeing)[:, None] * weights)).sum(axis=0)
        return divided(gap, n @ weights)

    return over_one(sure, error, resamples=resamples, seed=seed)
