"""Do people agree, and how much of what they say could anyone foretell? Alpha, ICC, leave one out, split half."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from core.analysis.answers import Array, Coded, chosen, coded, divided
from core.analysis.bootstrap import RESAMPLES, correlations, crossed_weights, interval
from core.analysis.boundary import Estimate, bootstrap
from core.analysis.results import Result, sentences, undefined
from core.studies.ratings import Task

SPLITS = 200
OVERLAP = 0.5
"""Two people belong to one block where they share more than half of what either was asked."""


@dataclass(frozen=True)
class Block:
    """People who answered about the same images, as those of one batch do; images that one of them skipped are left out."""

    raters: int
    images: int
    icc: Estimate  # ICC(2,k): of the mean of these people; n: images


@dataclass(frozen=True, kw_only=True)
class Agreement(Result):
    """Agreement of people on one task."""

    task: Task
    alpha: Estimate  # Krippendorff's: 1 agreement, 0 chance; nominal for identity and emotion, interval for similarity
    icc: Estimate  # mean over blocks; similarity only; n: blocks
    blocks: tuple[Block, ...]
    leave_one_out: Estimate  # one person with all others, mean over people; n: people
    leave_one_out_is: str  # in words: a correlation or a share
    split_half: Estimate  # corrected to all people by Spearman and Brown; n: images; identity and similarity


def agreement(
    ratings: pd.DataFrame, task: Task, *, excluded: Collection[str] = (), resamples: int = RESAMPLES, seed: int = 0
) -> Agreement:
    """All of it for one task. Attention checks are left out: nearly everyone agrees there."""
    codes = coded(chosen(ratings, task, excluded=excluded, sentinels=False))
    several = codes.votes[codes.image] > 1 if len(codes.value) else np.empty(0, bool)
    blocks = _blocks(codes) if task == "similarity" else ()
    alone = _emotion_leave_one_out(codes) if task == "emotion" else _leave_one_out(codes)
    return Agreement(
        basis=codes.basis,
        interval="95 %: alpha and split half by bootstrap over images, leave one out over people, ICC by F or over blocks (t)",
        note=sentences(
            "Nobody has answered yet." if not len(codes.value) else "",
            "One person answered, so that there is nothing to agree with." if len(codes.raters) == 1 else "",
            "No image has two answers." if len(codes.raters) > 1 and not several.any() else "",
            "All answers are the same: agreement beyond chance is not defined."
            if several.any() and np.ptp(codes.value) == 0
            else "",
        ),
        task=task,
        alpha=alpha(codes, "interval" if task == "similarity" else "nominal", resamples=resamples, seed=seed),
        icc=_over_blocks(blocks),
        blocks=blocks,
        leave_one_out=bootstrap(alone, np.mean, seed=seed, draws=resamples),
        leave_one_out_is="share of answers that are the others' most frequent one, ties shared out"
        if task == "emotion"
        else "Pearson correlation over images of one person's answers with the mean of all others'",
        split_half=undefined() if task == "emotion" else split_half(codes, seed=seed),
    )


def alpha(codes: Coded, level: Literal["nominal", "interval"], *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """Krippendorff's alpha ("nominal" or "interval") with its interval over images; n: images with two answers or more.

    The value is the krippendorff library's. The resamples need only each image's own disagreement and the moments of all values
    (Krippendorff 2004, Content Analysis, ch. 11), where both are sums over images.
    """
    import krippendorff

    votes = codes.votes
    used = votes[codes.image] > 1
    image, value = codes.image[used], codes.value[used]
    paired = np.unique(image)
    if not len(image) or np.ptp(value) == 0:
        return undefined(len(paired))
    value = np.round(value) if level == "interval" else value  # 101 levels are enough, and the library's table stays small
    domain, place = np.unique(value, return_inverse=True)
    row = np.searchsorted(paired, image)
    counts = np.bincount(row * len(domain) + place, minlength=len(paired) * len(domain)).reshape(len(paired), len(domain))
    if len(domain) < 2:
        return undefined(len(paired))
    found = float(krippendorff.alpha(value_counts=counts, value_domain=domain, level_of_measurement=level))
    inside, moments = _disagreements(counts.astype(np.float64), domain, level)
    draws = [
        _alpha(inside @ each.images, moments.T @ each.images, level)
        for each in crossed_weights(len(paired), 1, resamples=resamples, seed=seed)
    ]
    low, high = interval(np.concatenate(draws))
    return Estimate(found, float(low), float(high), len(paired))


def _disagreements(counts: Array, domain: Array, level: str) -> tuple[Array, Array]:
    """Of each image (N,): its disagreement among pairs of answers; and what adds up to the expected one (N, M)."""
    m = counts.sum(axis=1)
    if level == "nominal":
        return (m**2 - (counts**2).sum(axis=1)) / (m - 1), counts
    first, second = counts @ domain, counts @ domain**2
    return 2 * (m * second - first**2) / (m - 1), np.column_stack([m, first, second])


def _alpha(observed: Array, moments: Array, level: str) -> Array:
    """Sums over images, (B,) and (M, B) -> alpha (B,)."""
    if level == "nominal":
        n = moments.sum(axis=0)
        expected = n**2 - (moments**2).sum(axis=0)
    else:
        n = moments[0]
        expected = 2 * (n * moments[2] - moments[1] ** 2)
    result: Array = 1 - divided(observed * (n - 1), np.where(expected > 1e-9, expected, 0.0))
    return result


def _blocks(codes: Coded) -> tuple[Block, ...]:
    """People in blocks that share most of their images, each with its ICC."""
    if not len(codes.value):
        return ()
    answered = codes.matrix(np.ones(len(codes.value))).T.tocsr() > 0  # (R, I)
    shared = (answered.astype(np.float64) @ answered.T.astype(np.float64)).toarray()
    own = np.diag(shared)
    _, block = connected_components(sparse.csr_array(shared > OVERLAP * np.maximum(own[:, None], own[None, :])), directed=False)
    means = divided(codes.matrix(codes.value).toarray(), codes.matrix(np.ones(len(codes.value))).toarray())  # (I, R)
    found = []
    for each in np.unique(block):
        table = means[:, block == each]
        table = table[np.isfinite(table).all(axis=1)]
        if table.shape[1] > 1 and len(table) > 2:
            found.append(Block(table.shape[1], len(table), icc2k(table)))
    return tuple(found)


def icc2k(table: Array) -> Estimate:
    """Answers (images, people) without gaps -> ICC(2,k), two-way random, absolute agreement of means (Shrout and Fleiss 1979)."""
    if np.ptp(table.mean(axis=1)) < 1e-9 or min(table.shape) < 2:
        return undefined(len(table))
    import pingouin

    pingouin.options["round.column.CI95"] = None  # two digits by default
    images, people = table.shape
    long = pd.DataFrame(
        {"image": np.repeat(np.arange(images), people), "rater": np.tile(np.arange(people), images), "value": table.ravel()}
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # pingouin 0.7 calls pandas 3 in outdated ways, and divides by 0 where all agree
        rows = pingouin.intraclass_corr(long, targets="image", raters="rater", ratings="value").set_index("Type")
    row = rows.loc["ICC(A,k)"]  # McGraw and Wong's name of ICC(2,k)
    low, high = (float(each) for each in row["CI95"])
    return Estimate(float(row["ICC"]), low, high, images)


def _over_blocks(blocks: tuple[Block, ...]) -> Estimate:
    """Mean over blocks; one block's own interval where there is one."""
    known = np.array([block.icc.value for block in blocks if math.isfinite(block.icc.value)])
    if len(known) == 1:
        only = next(block.icc for block in blocks if math.isfinite(block.icc.value))
        return Estimate(only.value, only.low, only.high, 1)
    if not len(known):
        return undefined()
    from scipy.stats import t

    half = float(t.ppf(0.975, len(known) - 1)) * float(known.std(ddof=1)) / math.sqrt(len(known))
    return Estimate(float(known.mean()), float(known.mean()) - half, float(known.mean()) + half, len(known))


def _leave_one_out(codes: Coded) -> Array:
    """Each person's correlation with the mean of the others (R,), NaN under three images or where one of the two is constant."""
    votes, sums = codes.votes, codes.of_images(codes.value)
    others = divided((sums[codes.image] - codes.value), votes[codes.image] - 1)
    people = sparse.csr_array(
        (np.ones(len(codes.value)), (codes.rater, np.arange(len(codes.value)))), shape=(len(codes.raters), len(codes.value))
    )
    known = np.isfinite(others).astype(np.float64)[:, None]
    found = correlations(codes.value[:, None], others[:, None], known, people)[:, 0]
    return np.where((people @ known)[:, 0] > 2, found, np.nan)


def _emotion_leave_one_out(codes: Coded) -> Array:
    """Each person's share of answers that are the others' most frequent one (R,); of m equally frequent ones, each counts 1 / m."""
    k = int(codes.value.max()) + 1 if len(codes.value) else 1
    value = codes.value.astype(np.intp)
    counts = np.bincount(codes.image * k + value, minlength=len(codes.images) * k).reshape(len(codes.images), k)
    others = counts[codes.image]
    others[np.arange(len(value)), value] -= 1
    most = others.max(axis=1) if len(others) else np.empty(0)
    agrees = (others[np.arange(len(value)), value] == most) / np.maximum((others == most[:, None]).sum(axis=1), 1)
    asked = most > 0
    total = np.bincount(codes.rater[asked], minlength=len(codes.raters)).astype(np.float64)
    return divided(np.bincount(codes.rater[asked], weights=agrees[asked], minlength=len(codes.raters)), total)


def split_half(codes: Coded, *, splits: int = SPLITS, seed: int = 0) -> Estimate:
    """Correlation over images of two random halves' means, corrected to the whole: 2 r / (1 + r) (Spearman 1910; Brown 1910).

    Each image's answers are split anew; images with one answer are left out. Interval: the same with images drawn anew.
    """
    used = codes.votes[codes.image] > 1 if len(codes.value) else np.empty(0, bool)
    paired, image = np.unique(codes.image[used], return_inverse=True)
    value = codes.value[used]
    n = len(paired)
    if n < 3 or np.ptp(value) == 0:
        return undefined(n)
    random = np.random.default_rng(seed)
    first, second = (np.empty((n, splits)) for _ in range(2))
    for each in range(splits):
        half = _halves(image, random)
        for side, means in enumerate((first, second)):
            mine = half == side
            sums, counts = (np.bincount(image[mine], weights=w, minlength=n) for w in (value[mine], None))
            means[:, each] = divided(sums, counts)
    every = sparse.csr_array(np.ones((1, n)))
    points = correlations(first, second, np.ones((n, splits)), every)[0]
    weights = np.hstack([part.images for part in crossed_weights(n, 1, resamples=splits, seed=seed)])
    drawn = correlations(first, second, weights, every)[0]
    known = spearman_brown(points[np.isfinite(points)])
    if not len(known):
        return undefined(n)
    low, high = interval(spearman_brown(drawn))
    return Estimate(float(known.mean()), float(low), float(high), n)


def _halves(image: NDArray[np.intp], random: np.random.Generator) -> NDArray[np.intp]:
    """Every answer's half, 0 or 1: each image's answers are dealt out in random order, an odd one to either half."""
    order = np.lexsort((random.random(len(image)), image))
    starts = np.flatnonzero(np.r_[True, np.diff(image[order]) > 0])
    place = np.arange(len(image)) - np.repeat(starts, np.diff(np.r_[starts, len(image)]))
    half = np.empty(len(image), np.intp)
    half[order] = (place + random.integers(0, 2, len(starts))[image[order]]) % 2
    return half


def spearman_brown(r: Array) -> Array:
    """Reliability of a half -> of the whole; NaN at -1."""
    return divided(2 * r, 1 + r)
