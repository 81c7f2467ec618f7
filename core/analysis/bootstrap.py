"""Crossed bootstrap: people and images are both resampled, since both are samples of a population.

An answer's weight in a resample is (times its rater was drawn) x (times its image was drawn); no answer is copied
(Owen 2007, Annals of Applied Statistics 1, "The pigeonhole bootstrap"; Brennan, Harris and Hanson 1987 on crossed designs).
The interval is a little too wide rather than too narrow (McCullagh 2000, Bernoulli 6).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.analysis.encode import EncodedRatings
from core.analysis.estimate import Array, Estimate, safe_divide, undefined_estimate
from core.lazy_import import lazy_import

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = lazy_import("scipy.sparse")

RESAMPLES = 2000
NORMAL = 1.959963984540054
"""97.5 % quantile of the normal distribution."""
CELLS_AT_ONCE = 4_000_000
"""Weights that are in memory at once, whatever the number of images."""


@dataclass(frozen=True)
class ResampleWeights:
    """Some resamples: how often each image (I, B) and each rater (R, B) was drawn. Images come first: that is how they add up."""

    images: Array
    raters: Array


def draw_weights(
    images: int, raters: int, *, resamples: int = RESAMPLES, seed: int = 0, strata: NDArray[np.intp] | None = None
) -> Iterator[ResampleWeights]:
    """All resamples in parts that fit into memory; the same ones whatever the parts.

    strata (I,): images are drawn within each of its values, so that every resample has as many of each type as the study.
    """
    of_images, of_raters = (np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(2))
    at_once = max(1, min(resamples, CELLS_AT_ONCE // max(1, images + raters)))
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        yield ResampleWeights(_draw_stratified(of_images, images, count, strata), _draw_counts(of_raters, raters, count).T)


def _draw_stratified(random: np.random.Generator, images: int, count: int, strata: NDArray[np.intp] | None) -> Array:
    if strata is None or not images:
        return _draw_counts(random, images, count).T
    order = np.argsort(strata, kind="stable")
    _, starts, sizes = np.unique(strata[order], return_index=True, return_counts=True)
    of_place, start_of = np.repeat(sizes, sizes), np.repeat(starts, sizes)  # (I,) in the order of strata
    # one row a resample, drawn in one go: the same numbers whatever the count
    places = start_of + np.floor(random.random((count, images)) * of_place).astype(np.intp)
    weights = np.empty((images, count))
    weights[order] = _count_places(places, images).T
    return weights


def _draw_counts(random: np.random.Generator, n: int, count: int) -> Array:
    """Times that each of n was drawn, (count, n)."""
    return _count_places(np.floor(random.random((count, n)) * n).astype(np.intp), n)


def _count_places(places: NDArray[np.intp], n: int) -> Array:
    offsets = np.arange(len(places), dtype=np.intp)[:, None] * n
    return np.bincount((places + offsets).ravel(), minlength=len(places) * n).reshape(len(places), n).astype(np.float64)


@dataclass(frozen=True)
class VoteSums:
    """Answers of one task ready to be weighted: sums and counts by image and rater, both (I, R)."""

    sums: sparse.csr_array
    counts: sparse.csr_array

    @classmethod
    def of(cls, answers: EncodedRatings) -> VoteSums:
        """Sums of the values, and how many there are."""
        return cls(answers.sum_by_image_and_rater(answers.value), answers.sum_by_image_and_rater(np.ones(len(answers.value))))

    def weighted(self, raters: Array) -> tuple[Array, Array]:
        """Raters' weights (R, B) -> weighted sums and counts of every image, both (I, B)."""
        return self.sums @ raters, self.counts @ raters


def pooled_means(votes: VoteSums, weights: ResampleWeights, cells: sparse.csr_array) -> Array:
    """Mean over all answers to the images of each cell (C, I) in every resample -> (C, B); NaN where none was drawn."""
    sums, counts = votes.weighted(weights.raters)
    return safe_divide(cells @ (sums * weights.images), cells @ (counts * weights.images))


def image_means(values: Array, weights: ResampleWeights, cells: sparse.csr_array) -> Array:
    """Mean over the images of each cell of a value per image (I,), those without one left out -> (C, B)."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)[:, None]
    return safe_divide(cells @ (filled * weights.images), cells @ (known[:, None] * weights.images))


def correlate_cells(first: Array, second: Array, images: Array, cells: sparse.csr_array) -> Array:
    """Pearson's r of two values per image, (I, B) or (I, 1), with images weighted (I, B), within each cell (C, I) -> (C, B).

    Images where either is NaN are left out; NaN where fewer than two differ.
    """
    known = np.isfinite(first) & np.isfinite(second) & (images > 0)
    weight = np.where(known, images, 0.0)
    # shifted by a constant of the column so that squares keep their digits
    x = np.where(known, first - _finite_mean(first), 0.0)
    y = np.where(known, second - _finite_mean(second), 0.0)
    n, sx, sy = cells @ weight, cells @ (weight * x), cells @ (weight * y)
    sxx, syy, sxy = cells @ (weight * x * x), cells @ (weight * y * y), cells @ (weight * x * y)
    vx, vy = sxx - safe_divide(sx * sx, n), syy - safe_divide(sy * sy, n)
    vary = (vx > 1e-12 * np.maximum(sxx, 1e-300)) & (vy > 1e-12 * np.maximum(syy, 1e-300))
    scale = np.where(vary, np.sqrt(np.where(vary, vx * vy, 1.0)), 0.0)
    return np.clip(safe_divide(sxy - safe_divide(sx * sy, n), scale), -1.0, 1.0)


def _finite_mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else 0.0


ZERO_WIDTH = 1e-12
"""Relative to the values: resamples that differ by less are equal but for rounding."""


def percentile_interval(draws: Array, level: float = 0.95) -> tuple[Array, Array]:
    """Percentile interval over the last axis, resamples without a value left out -> low and high.

    NaN where none has a value, and where all have the same one: an interval of no width would claim to be certain.
    """
    draws = np.asarray(draws, np.float64)
    low, high = np.full(draws.shape[:-1], np.nan), np.full(draws.shape[:-1], np.nan)
    tails = [(1 - level) / 2, (1 + level) / 2]
    for index in np.ndindex(draws.shape[:-1]):
        known = draws[index][np.isfinite(draws[index])]
        if len(known) and np.ptp(known) > ZERO_WIDTH * max(1.0, float(np.abs(known).max())):
            low[index], high[index] = np.quantile(known, tails)
    return low, high


def correlation_interval(r: float, draws: Array) -> tuple[float, float]:
    """r and its resamples (B,) -> normal interval on Fisher's z with their standard error; NaN where r is NaN.

    Not percentiles: drawing people anew adds noise to every image's mean, which weakens all resampled correlations.
    """
    z = np.arctanh(np.clip(draws[np.isfinite(draws)], -1 + 1e-12, 1 - 1e-12))
    if not math.isfinite(r) or len(z) < 2:
        return math.nan, math.nan
    half = NORMAL * float(z.std(ddof=1))
    middle = math.atanh(min(max(r, -1 + 1e-12), 1 - 1e-12))
    return min(math.tanh(middle - half), r), max(math.tanh(middle + half), r)


def bootstrap_statistic(
    values: Array, statistic: Callable[[Array, Array], Array], *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """A statistic of independent values (N, ...) with its interval by resampling them alone; too few for one: NaN.

    statistic: (values, weights (N, B)) -> (B,).
    """
    n = len(values)
    if not n:
        return undefined_estimate()
    value = float(statistic(values, np.ones((n, 1)))[0])
    if n < 2 or not math.isfinite(value):
        return Estimate(value, math.nan, math.nan, n)
    parts = [statistic(values, weights.images) for weights in draw_weights(n, 1, resamples=resamples, seed=seed)]
    low, high = percentile_interval(np.concatenate(parts))
    return Estimate(value, float(low), float(high), n)
