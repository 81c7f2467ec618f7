"""Agreement of people on one task: Krippendorff's alpha, ICC(2,k), leave-one-out agreement and split-half reliability."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.bootstrap import RESAMPLES, correlate_cells, draw_weights, percentile_interval
from core.analysis.encode import EncodedRatings, encode, explain_no_answers, select_answers
from core.analysis.estimate import Array, Estimate, Result, bootstrap_estimate, join_notes, safe_divide, undefined_estimate
from core.lazy_import import lazy_import
from core.studies.ratings import TEXT_TASKS, Task

csgraph, sparse, stats = lazy_import("scipy.sparse.csgraph"), lazy_import("scipy.sparse"), lazy_import("scipy.stats")
krippendorff, pingouin = lazy_import("krippendorff"), lazy_import("pingouin")

HALF_SPLITS = 200
MIN_OVERLAP = 0.5
"""Two people belong to one block where they share more than half of what either was asked."""


@dataclass(frozen=True)
class RaterBlock:
    """People who answered about the same images, as those of one batch do; images that one of them skipped are left out."""

    raters: int
    images: int
    icc: Estimate  # ICC(2,k): of the mean of these people; n: images


@dataclass(frozen=True, kw_only=True)
class AgreementResult(Result):
    """Agreement of people on one task."""

    task: Task
    alpha: Estimate  # Krippendorff's: 1 agreement, 0 chance; interval for similarity and scale, else nominal
    icc: Estimate  # mean over blocks; similarity and scale only; n: blocks
    blocks: tuple[RaterBlock, ...]
    leave_one_out: Estimate  # one person with all others, mean over people; n: people
    leave_one_out_is: str  # in words: a correlation or a share
    split_half: Estimate  # corrected to all people by Spearman and Brown; n: images; not of names


def measure_agreement(
    ratings: pd.DataFrame, task: Task, *, excluded: Collection[str] = (), resamples: int = RESAMPLES, seed: int = 0
) -> AgreementResult:
    """Compute all measures for one task. Attention checks are left out, since nearly everyone agrees there."""
    codes = encode(select_answers(ratings, task, excluded=excluded, sentinels=False))
    several = codes.votes[codes.image] > 1 if len(codes.value) else np.empty(0, bool)
    graded, named = task in ("similarity", "scale"), task in TEXT_TASKS
    blocks = _find_blocks(codes) if graded else ()
    alone = _share_with_others(codes) if named else _correlate_with_others(codes)
    return AgreementResult(
        basis=codes.basis,
        interval="95 %: alpha and split half by bootstrap over images, leave one out over people, ICC by F or over blocks (t)",
        note=join_notes(
            explain_no_answers(ratings, excluded) if not len(codes.value) else "",
            "One person answered, so that there is nothing to agree with." if len(codes.raters) == 1 else "",
            "No image has two answers." if len(codes.raters) > 1 and not several.any() else "",
            "All answers are the same: agreement beyond chance is not defined."
            if several.any() and np.ptp(codes.value) == 0
            else "",
        ),
        task=task,
        alpha=krippendorff_alpha(codes, "interval" if graded else "nominal", resamples=resamples, seed=seed),
        icc=_average_blocks(blocks),
        blocks=blocks,
        leave_one_out=bootstrap_estimate(alone, np.mean, seed=seed, draws=resamples),
        leave_one_out_is="share of answers that are the others' most frequent one, ties shared out"
        if named
        else "Pearson correlation over images of one person's answers with the mean of all others'",
        split_half=undefined_estimate() if named else correlate_halves(codes, seed=seed),
    )


def krippendorff_alpha(
    codes: EncodedRatings, level: Literal["nominal", "interval"], *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """Krippendorff's alpha ("nominal" or "interval") with its interval over images; n: images with two answers or more.

    The value is the krippendorff library's. The resamples need only each image's own disagreement and the moments of all values
    (Krippendorff 2004, Content Analysis, ch. 11), where both are sums over images.
    """
    votes = codes.votes
    used = votes[codes.image] > 1
    image, value = codes.image[used], codes.value[used]
    paired = np.unique(image)
    if not len(image) or np.ptp(value) == 0:
        return undefined_estimate(len(paired))
    value = np.round(value) if level == "interval" else value  # 101 levels are enough, and the library's table stays small
    domain, code = np.unique(value, return_inverse=True)
    row = np.searchsorted(paired, image)
    counts = np.bincount(row * len(domain) + code, minlength=len(paired) * len(domain)).reshape(len(paired), len(domain))
    if len(domain) < 2:
        return undefined_estimate(len(paired))
    alpha = float(krippendorff.alpha(value_counts=counts, value_domain=domain, level_of_measurement=level))
    inside, moments = _sum_disagreements(counts.astype(np.float64), domain, level)
    draws = [
        _alpha_from_sums(inside @ weights.images, moments.T @ weights.images, level)
        for weights in draw_weights(len(paired), 1, resamples=resamples, seed=seed)
    ]
    low, high = percentile_interval(np.concatenate(draws))
    return Estimate(alpha, float(low), float(high), len(paired))


def _sum_disagreements(counts: Array, domain: Array, level: str) -> tuple[Array, Array]:
    """Of each image (N,): its disagreement among pairs of answers; and what adds up to the expected one (N, M)."""
    m = counts.sum(axis=1)
    if level == "nominal":
        return (m**2 - (counts**2).sum(axis=1)) / (m - 1), counts
    first, second = counts @ domain, counts @ domain**2
    return 2 * (m * second - first**2) / (m - 1), np.column_stack([m, first, second])


def _alpha_from_sums(observed: Array, moments: Array, level: str) -> Array:
    """Sums over images, (B,) and (M, B) -> alpha (B,)."""
    if level == "nominal":
        n = moments.sum(axis=0)
        expected = n**2 - (moments**2).sum(axis=0)
    else:
        n = moments[0]
        expected = 2 * (n * moments[2] - moments[1] ** 2)
    result: Array = 1 - safe_divide(observed * (n - 1), np.where(expected > 1e-9, expected, 0.0))
    return result


def _find_blocks(codes: EncodedRatings) -> tuple[RaterBlock, ...]:
    """Group the raters into blocks that share most of their images, each with its ICC."""
    if not len(codes.value):
        return ()
    answered = codes.sum_by_image_and_rater(np.ones(len(codes.value))).T.tocsr() > 0  # (R, I)
    shared = (answered.astype(np.float64) @ answered.T.astype(np.float64)).toarray()
    answers = np.diag(shared)
    _, block = csgraph.connected_components(
        sparse.csr_array(shared > MIN_OVERLAP * np.maximum(answers[:, None], answers[None, :])), directed=False
    )
    means = safe_divide(
        codes.sum_by_image_and_rater(codes.value).toarray(), codes.sum_by_image_and_rater(np.ones(len(codes.value))).toarray()
    )  # (I, R)
    blocks = []
    for number in np.unique(block):
        table = means[:, block == number]
        table = table[np.isfinite(table).all(axis=1)]
        if table.shape[1] > 1 and len(table) > 2:
            blocks.append(RaterBlock(table.shape[1], len(table), intraclass_correlation(table)))
    return tuple(blocks)


def intraclass_correlation(table: Array) -> Estimate:
    """Answers (images, people) without gaps -> ICC(2,k), two-way random, absolute agreement of means (Shrout and Fleiss 1979)."""
    if np.ptp(table.mean(axis=1)) < 1e-9 or min(table.shape) < 2:
        return undefined_estimate(len(table))
    pingouin.options["round.column.CI95"] = None  # two digits by default
    images, people = table.shape
    long = pd.DataFrame(
        {"image": np.repeat(np.arange(images), people), "rater": np.tile(np.arange(people), images), "value": table.ravel()}
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # pingouin 0.7 calls pandas 3 in outdated ways, and divides by 0 where all agree
        rows = pingouin.intraclass_corr(long, targets="image", raters="rater", ratings="value").set_index("Type")
    row = rows.loc["ICC(A,k)"]  # McGraw and Wong's name of ICC(2,k)
    low, high = (float(bound) for bound in row["CI95"])
    return Estimate(float(row["ICC"]), low, high, images)


def _average_blocks(blocks: tuple[RaterBlock, ...]) -> Estimate:
    """Mean over blocks; one block's own interval where there is one."""
    known = np.array([block.icc.value for block in blocks if math.isfinite(block.icc.value)])
    if len(known) == 1:
        only = next(block.icc for block in blocks if math.isfinite(block.icc.value))
        return Estimate(only.value, only.low, only.high, 1)
    if not len(known):
        return undefined_estimate()
    half = float(stats.t.ppf(0.975, len(known) - 1)) * float(known.std(ddof=1)) / math.sqrt(len(known))
    return Estimate(float(known.mean()), float(known.mean()) - half, float(known.mean()) + half, len(known))


def _correlate_with_others(codes: EncodedRatings) -> Array:
    """Each person's correlation with the mean of the others (R,), NaN under three images or where one of the two is constant."""
    votes, sums = codes.votes, codes.sum_by_image(codes.value)
    others = safe_divide((sums[codes.image] - codes.value), votes[codes.image] - 1)
    people = sparse.csr_array(
        (np.ones(len(codes.value)), (codes.rater, np.arange(len(codes.value)))), shape=(len(codes.raters), len(codes.value))
    )
    known = np.isfinite(others).astype(np.float64)[:, None]
    correlations = correlate_cells(codes.value[:, None], others[:, None], known, people)[:, 0]
    return np.where((people @ known)[:, 0] > 2, correlations, np.nan)


def _share_with_others(codes: EncodedRatings) -> Array:
    """Each person's share of answers that are the others' most frequent one (R,); of m equally frequent ones, each counts 1 / m."""
    k = int(codes.value.max()) + 1 if len(codes.value) else 1
    value = codes.value.astype(np.intp)
    counts = np.bincount(codes.image * k + value, minlength=len(codes.images) * k).reshape(len(codes.images), k)
    others = counts[codes.image]
    others[np.arange(len(value)), value] -= 1
    most = others.max(axis=1) if len(others) else np.empty(0)
    agrees = (others[np.arange(len(value)), value] == most) / np.maximum((others == most[:, None]).sum(axis=1), 1)
    comparable = most > 0
    total = np.bincount(codes.rater[comparable], minlength=len(codes.raters)).astype(np.float64)
    return safe_divide(np.bincount(codes.rater[comparable], weights=agrees[comparable], minlength=len(codes.raters)), total)


def correlate_halves(codes: EncodedRatings, *, splits: int = HALF_SPLITS, seed: int = 0) -> Estimate:
    """Correlation over images of two random halves' means, corrected to the whole: 2 r / (1 + r) (Spearman 1910; Brown 1910).

    Each image's answers are split anew; images with one answer are left out. Interval: the same with images drawn anew.
    """
    used = codes.votes[codes.image] > 1 if len(codes.value) else np.empty(0, bool)
    paired, image = np.unique(codes.image[used], return_inverse=True)
    value = codes.value[used]
    n = len(paired)
    if n < 3 or np.ptp(value) == 0:
        return undefined_estimate(n)
    random = np.random.default_rng(seed)
    first, second = (np.empty((n, splits)) for _ in range(2))
    for split in range(splits):
        half = _deal_halves(image, random)
        for side, means in enumerate((first, second)):
            mine = half == side
            sums, counts = (np.bincount(image[mine], weights=w, minlength=n) for w in (value[mine], None))
            means[:, split] = safe_divide(sums, counts)
    every = sparse.csr_array(np.ones((1, n)))
    points = correlate_cells(first, second, np.ones((n, splits)), every)[0]
    weights = np.hstack([part.images for part in draw_weights(n, 1, resamples=splits, seed=seed)])
    drawn = correlate_cells(first, second, weights, every)[0]
    known = correct_spearman_brown(points[np.isfinite(points)])
    if not len(known):
        return undefined_estimate(n)
    low, high = percentile_interval(correct_spearman_brown(drawn))
    return Estimate(float(known.mean()), float(low), float(high), n)


def _deal_halves(image: NDArray[np.intp], random: np.random.Generator) -> NDArray[np.intp]:
    """Every answer's half, 0 or 1: each image's answers are dealt out in random order, an odd one to either half."""
    order = np.lexsort((random.random(len(image)), image))
    starts = np.flatnonzero(np.r_[True, np.diff(image[order]) > 0])
    position = np.arange(len(image)) - np.repeat(starts, np.diff(np.r_[starts, len(image)]))
    half = np.empty(len(image), np.intp)
    half[order] = (position + random.integers(0, 2, len(starts))[image[order]]) % 2
    return half


def correct_spearman_brown(r: Array) -> Array:
    """Reliability of a half -> of the whole; NaN at -1."""
    return safe_divide(2 * r, 1 + r)
