"""A recogniser as a detector of 'same person', measured against what most people say, or against how the pairs were made.

Most generated faces belong to nobody: there is no true answer, so that people's majority stands in for it, and every figure says
how often the recogniser departs from people, not how often it is wrong. Pairs with as many yes as no have no majority and are left
out, and so are pairs without a face. A generator that knows who is who gives genuine pairs and pairs of two people a truth
(``same_identity``): they are held against that alone, and the pairs between against people alone, never both in one curve.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.bootstrap import NORMAL, RESAMPLES, draw_weights, percentile_interval
from core.analysis.encode import encode, list_recognisers, select_answers
from core.analysis.estimate import Array, Basis, Estimate, Proportion, Result, join_notes, safe_divide, undefined_estimate
from core.errors import LiminalError
from core.lazy_import import lazy_import

metrics, stats = lazy_import("sklearn.metrics"), lazy_import("scipy.stats")

Truth = Literal["majority", "construction"]

CONSTRUCTION = "Who is who is known of these pairs: 'wrongly' means against that."
NO_TRUTH = "Who is who is not known of these pairs: 'wrongly' means against the majority of people."


@dataclass(frozen=True)
class Sensitivity:
    """Signal detection (Green and Swets 1966). ``hits`` of the pairs that people call the same, ``false_alarms`` of the others."""

    hits: Proportion
    false_alarms: Proportion
    d_prime: Estimate  # z(H) - z(F): 0 cannot tell, 1 and more can
    criterion: Estimate  # -(z(H) + z(F)) / 2: above 0 strict, below 0 lenient


@dataclass(frozen=True, kw_only=True)
class Verification(Result):
    """One recogniser against the majority. Curves are over all thresholds at which anything changes, rising."""

    recogniser: str
    threshold: float
    same: int  # pairs that most people call the same person
    different: int
    tied: int  # pairs without a majority, left out
    far: Proportion  # false acceptance at the threshold: of the different
    frr: Proportion  # false rejection: of the same
    sensitivity: Sensitivity
    auc: Estimate
    eer: Estimate  # where both rates are equal
    eer_threshold: Estimate
    thresholds: Array  # (T,), accepted is distance < threshold; far and frr of each
    far_curve: Array
    frr_curve: Array


def compute_sensitivity(hits: int, signals: int, false_alarms: int, noises: int) -> Sensitivity:
    """Counts -> d' and criterion with the log-linear correction (x + .5) / (n + 1) (Hautus 1995, Behavior Research Methods 27).

    Interval: Gourevitch and Galanter 1967, Psychometrika 32. NaN where there are no signals or no noises. Raises LiminalError for
    counts that are impossible.
    """
    of_signals, of_noises = Proportion.of(hits, signals), Proportion.of(false_alarms, noises)
    if not signals or not noises:
        return Sensitivity(of_signals, of_noises, undefined_estimate(), undefined_estimate())
    h, f = (hits + 0.5) / (signals + 1), (false_alarms + 0.5) / (noises + 1)
    zh, zf = float(stats.norm.ppf(h)), float(stats.norm.ppf(f))
    variance = h * (1 - h) / (signals * stats.norm.pdf(zh) ** 2) + f * (1 - f) / (noises * stats.norm.pdf(zf) ** 2)
    half = NORMAL * math.sqrt(float(variance))
    n = signals + noises
    d, c = zh - zf, -(zh + zf) / 2
    return Sensitivity(of_signals, of_noises, Estimate(d, d - half, d + half, n), Estimate(c, c - half / 2, c + half / 2, n))


def find_majority(answers: pd.DataFrame, pair_ids: pd.Series[str]) -> tuple[Array, Array]:
    """Answers to 'same person?' -> for every pair 1 (most say yes), 0 (most say no), NaN (a tie or nobody), and its votes."""
    votes = encode(answers, pair_ids)
    share = votes.means()
    return np.where(share > 0.5, 1.0, np.where(share < 0.5, 0.0, np.nan)), votes.votes


def find_constructed_truth(pairs: pd.DataFrame) -> Array:
    """For every pair 1 (the same person by construction), 0 (two people), NaN where nobody knows (N,)."""
    if "same_identity" not in pairs:
        return np.full(len(pairs), np.nan)
    return np.asarray(pairs["same_identity"].astype("Float64").to_numpy(np.float64, na_value=np.nan), np.float64)


def verify_recogniser(
    pairs: pd.DataFrame,
    ratings: pd.DataFrame,
    recogniser: str,
    threshold: float,
    *,
    truth: Truth = "majority",
    excluded: Collection[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Verification:
    """FAR, FRR, ROC, DET and EER of one recogniser. Raises LiminalError where it did not judge the pairs.

    truth: majority takes the pairs whose truth nobody knows, construction those of which the generator knows it.
    """
    if recogniser not in list_recognisers(pairs):
        raise LiminalError(f"The recogniser '{recogniser}' did not judge these pairs; choose another one.")
    answers = select_answers(ratings, "identity", excluded=excluded)
    most, votes = find_majority(answers, pairs["pair_id"])
    constructed = find_constructed_truth(pairs)
    if truth == "construction":
        most, votes = constructed, np.zeros(len(pairs))
    else:
        between = np.isnan(constructed)
        most, votes = np.where(between, most, np.nan), np.where(between, votes, 0.0)
    distance = pairs[f"distance_{recogniser}"].to_numpy(np.float64)
    known = np.isfinite(most) & np.isfinite(distance)
    same, distance = most[known] == 1, distance[known]
    positives, negatives = int(same.sum()), int((~same).sum())
    accepted = distance < threshold
    counted = compute_sensitivity(int((accepted & same).sum()), positives, int((accepted & ~same).sum()), negatives)
    thresholds, far, frr = compute_error_rates(distance, same)
    both = positives > 0 and negatives > 0
    asked = encode(answers, pairs["pair_id"]).basis
    basis = Basis(0, 0, 0, "models") if truth == "construction" else asked
    who = "What is known says" if truth == "construction" else "Most people say"
    auc, eer, eer_threshold = _resample_areas(distance, same, resamples, seed) if both else (undefined_estimate(len(same)),) * 3
    return Verification(
        basis=Basis(len(same), basis.raters, int(votes[known].sum()), basis.source),
        interval="95 %: Wilson for rates, Gourevitch and Galanter 1967 for d', bootstrap over pairs for EER and area",
        note=join_notes(
            CONSTRUCTION if truth == "construction" else NO_TRUTH,
            "No pair has both a majority of people and a distance." if not len(same) else "",
            f"{who} 'same person' of all these pairs; it takes both kinds." if positives and not negatives else "",
            f"{who} 'different' of all these pairs; it takes both kinds." if negatives and not positives else "",
        ),
        recogniser=recogniser,
        threshold=threshold,
        same=positives,
        different=negatives,
        tied=int(((votes > 0) & ~np.isfinite(most)).sum()),
        far=counted.false_alarms,
        frr=Proportion.of(positives - counted.hits.count, positives),
        sensitivity=counted,
        auc=auc,
        eer=eer,
        eer_threshold=eer_threshold,
        thresholds=thresholds,
        far_curve=far,
        frr_curve=frr,
    )


def compute_error_rates(distance: Array, same: NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Distances (N,) and majority (N,) -> thresholds, FAR and FRR (T,), from nobody accepted to everybody; empty for one kind only.

    Below a threshold is accepted, so that each stands just above a distance that occurs.
    """
    if not same.any() or same.all():
        return np.empty(0), np.empty(0), np.empty(0)
    far, tpr, scores = metrics.roc_curve(same, -distance, drop_intermediate=False)
    thresholds = np.nextafter(-scores, math.inf)  # roc_curve accepts the score itself, we only what lies below
    thresholds[0] = float(distance.min())  # nobody; scikit-learn says -inf
    return thresholds, far, 1 - tpr


def find_equal_error(thresholds: Array, far: Array, frr: Array) -> tuple[float, float]:
    """Where the two rates cross -> the rate and the threshold, straight in between two steps."""
    gap = far - frr  # rises from -1 to 1
    after = int(np.argmax(gap >= 0))
    if after == 0 or gap[after] == 0:
        return float(far[after]), float(thresholds[after])
    before = after - 1
    part = -gap[before] / (gap[after] - gap[before])
    rate = far[before] + part * (far[after] - far[before])
    return float(rate), float(thresholds[before] + part * (thresholds[after] - thresholds[before]))


def _resample_areas(distance: Array, same: NDArray[np.bool_], resamples: int, seed: int) -> tuple[Estimate, Estimate, Estimate]:
    """Area under the ROC, EER and its threshold; pairs are drawn anew within the two kinds."""
    n = len(same)
    rate, limit = find_equal_error(*compute_error_rates(distance, same))
    order = np.argsort(distance, kind="stable")
    distance, same = distance[order], same[order]
    ends = np.append(np.flatnonzero(np.diff(distance) > 0), n - 1)  # last place of every distance that occurs
    rates, limits, areas = [], [], []
    for weights in draw_weights(n, 1, resamples=resamples, seed=seed, strata=same.astype(np.intp)):
        far = _cumulate(weights.images * ~same[:, None], ends)  # (T + 1, B)
        tpr = _cumulate(weights.images * same[:, None], ends)
        steps = np.append(distance[0], distance[ends])
        gap = far - (1 - tpr)
        after = np.maximum((gap >= 0).argmax(axis=0), 1)
        column = np.arange(gap.shape[1])
        low, high = gap[after - 1, column], gap[after, column]
        part = -low / (high - low)
        rates.append(far[after - 1, column] + part * (far[after, column] - far[after - 1, column]))
        limits.append(steps[after - 1] + part * (steps[after] - steps[after - 1]))
        areas.append((np.diff(far, axis=0) * (tpr[1:] + tpr[:-1]) / 2).sum(axis=0))
    intervals = [percentile_interval(np.concatenate(draws)) for draws in (areas, rates, limits)]
    values = (float(metrics.roc_auc_score(same, -distance)), rate, limit)
    auc, eer, threshold = (
        Estimate(value, float(low), float(high), n) for value, (low, high) in zip(values, intervals, strict=True)
    )
    return auc, eer, threshold


def _cumulate(weights: Array, ends: NDArray[np.intp]) -> Array:
    """Weights (N, B) in order of distance -> share accepted at every step, from 0 to 1 (T + 1, B)."""
    total = weights.cumsum(axis=0)[ends]
    return np.vstack([np.zeros((1, total.shape[1])), safe_divide(total, total[-1])])
