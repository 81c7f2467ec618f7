"""Psychometric function of 'same person?' along interpolations from one face to another, and the point along a row of faces where
a network finds two feelings equally likely.

For people's answers a logistic function with one lapse rate at both ends and beta-binomial spread, since people differ more than
coins, fitted by psignifit (Schütt, Harmeling, Macke and Wichmann 2016, Vision Research 122).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.analysis.encode import encode, select_answers
from core.analysis.estimate import Array, Estimate, Proportion, Result, undefined_estimate
from core.lazy_import import lazy_import

psignifit = lazy_import("psignifit")  # a second and a half

EVEN_DRAWS, EVEN_ROUNDS = 400, 25
"""Bootstrap draws of the even point, and Newton's steps of each fit."""

PSIGNIFIT_GRID = {"threshold": 24, "width": 24, "lambda": 16, "eta": 12}
"""Steps of psignifit's grid: its defaults take ten times as long and differ by less than a tenth of the interval."""


@dataclass(frozen=True)
class PsychometricPoint:
    """Answers at one fraction of the way."""

    fraction: float  # 0: the base itself (genuine pairs), 1: the other face (negatives)
    same: Proportion


@dataclass(frozen=True, kw_only=True)
class PsychometricFunction(Result):
    """P(same person) = lapse + (1 - 2 lapse) / (1 + exp((fraction - threshold) / scale)), with scale = width / (2 ln 19)."""

    points: tuple[PsychometricPoint, ...]
    threshold: Estimate  # the fraction at which half say 'same person'
    width: Estimate  # from 95 % to 5 %, lapses apart
    slope: Estimate  # change of P(same person) per whole way, at the threshold: negative
    lapse: Estimate
    spread: float  # psignifit's eta: 0 as if all answers were independent, towards 1 as if people were of two minds

    def curve(self, fractions: Array) -> Array:
        """P(same person) at fractions (N,), NaN where nothing could be fitted."""
        scale = self.width.value / (2 * math.log(19))
        lapse = self.lapse.value
        falling: Array = lapse + (1 - 2 * lapse) / (1 + np.exp((np.asarray(fractions) - self.threshold.value) / scale))
        return falling


def select_interpolations(pairs: pd.DataFrame) -> tuple[pd.DataFrame, Array]:
    """The pairs along interpolations and the fraction of the way of each (N,): genuine pairs 0, negatives 1."""
    chain = pairs[pairs["sample_type"].isin(["genuine", "interpolation", "negative"])]
    ends = chain["sample_type"].map({"genuine": 0.0, "negative": 1.0})
    fraction: Array = np.where(ends.notna(), ends, chain["step"]).astype(np.float64)
    return chain, fraction


def fit_psychometric_function(
    pairs: pd.DataFrame, ratings: pd.DataFrame, *, excluded: Collection[str] = ()
) -> PsychometricFunction:
    """Fit the function to the answers to 'same person?' about interpolated, genuine and negative pairs. Takes some seconds.

    Nothing is fitted (NaN, and a sentence) under three fractions, or where people never or always say 'same person'.
    """
    chain, fraction = select_interpolations(pairs)
    votes = encode(select_answers(ratings, "identity", excluded=excluded), chain["pair_id"])
    yes, n = votes.sum_by_image(votes.value), votes.votes
    points = tuple(
        PsychometricPoint(float(step), Proportion.of(int(yes[fraction == step].sum()), int(n[fraction == step].sum())))
        for step in np.unique(fraction[np.isfinite(fraction) & (n > 0)])
    )
    shares = [point.same.share for point in points]
    note = ""
    if len(points) < 3:
        note = "It takes answers at three fractions of the way at least."
    elif min(shares) > 0.5:
        note = "Most people say 'same person' all the way, so that there is no point at which half do."
    elif max(shares) < 0.5:
        note = "Most people say 'different' all the way, so that there is no point at which half do."
    count = int(n.sum())
    nothing = undefined_estimate(count)
    fitted = (nothing, nothing, nothing, nothing, math.nan) if note else _fit(points, count)
    threshold, width, slope, lapse, spread = fitted
    return PsychometricFunction(
        basis=votes.basis,
        interval="95 % credible, psignifit 4",
        note=note,
        points=points,
        threshold=threshold,
        width=width,
        slope=slope,
        lapse=lapse,
        spread=spread,
    )


def locate_even_point(first: Array, second: Array, *, seed: int = 0) -> Estimate:
    """Where along a row of faces two probabilities (N,) are equal, in [0, 1] of the way, by a logistic curve through all faces.

    The curve is fitted to second / (first + second) by likelihood, faces equally far apart. Interval: 95 %, bootstrap over faces:
    how well the row as a whole says where the point is. NaN where neither ever is the likelier one.
    """
    share = np.asarray(second, np.float64) / (np.asarray(first, np.float64) + np.asarray(second, np.float64))
    n = len(share)
    if not share.min() < 0.5 < share.max():
        return undefined_estimate(n)
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), EVEN_DRAWS).astype(np.float64)
    weights = np.vstack([np.ones(n), draws])  # (1 + EVEN_DRAWS, N)
    way = np.linspace(-0.5, 0.5, n)
    level, slope = np.zeros(len(weights)), np.zeros(len(weights))
    for _ in range(EVEN_ROUNDS):
        fitted = 1 / (1 + np.exp(-np.clip(level[:, None] + slope[:, None] * way, -30, 30)))
        missing, steep = weights * (share - fitted), weights * np.maximum(fitted * (1 - fitted), 1e-3)
        a, b, c = steep.sum(axis=1), steep @ way, steep @ way**2 + 1e-3
        u, v = missing.sum(axis=1), missing @ way
        determinant = a * c - b * b
        level += np.clip((c * u - b * v) / determinant, -4, 4)
        slope += np.clip((a * v - b * u) / determinant, -20, 20)
    even = np.clip(0.5 - level / np.where(np.abs(slope) < 1e-9, 1e-9, slope), 0.0, 1.0)
    low, high = np.percentile(even[1:], [2.5, 97.5])
    return Estimate(float(even[0]), float(low), float(high), n)


def _fit(points: tuple[PsychometricPoint, ...], n: int) -> tuple[Estimate, Estimate, Estimate, Estimate, float]:
    # psignifit's functions rise: it gets the answers 'different'
    data = np.array([[point.fraction, point.same.n - point.same.count, point.same.n] for point in points], np.float64)
    result = psignifit.psignifit(
        data, sigmoid="logistic", experiment_type="equal asymptote", grid_steps=PSIGNIFIT_GRID, verbose=False
    )
    values = result.parameter_estimate
    ends = {name: levels["0.95"] for name, levels in result.confidence_intervals.items()}
    threshold, width, lapse = (
        Estimate(float(values[name]), float(ends[name][0]), float(ends[name][1]), n) for name in ("threshold", "width", "lambda")
    )
    # the logistic function's steepest place, where width spans 5 to 95 %
    steep = -(1 - 2 * lapse.value) * math.log(19) / 2
    slope = Estimate(steep / width.value, steep / width.low, steep / width.high, n)
    return threshold, width, slope, lapse, float(values["eta"])
