"""Linear mixed model of rated similarity: similarity ~ type x distance + (1 | rater) + (1 | pair).

Its question is whether distance explains similarity alike for all sample types. REML as in statsmodels' MixedLM, to which a test
pins it; that one needs minutes for a study of paper A's size, since it treats two crossed factors as one dense block. Here the
larger factor, whose block is diagonal, is eliminated first (Henderson 1953; Bates, Mächler, Bolker and Walker 2015, Journal of
Statistical Software 67, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.bootstrap import NORMAL
from core.analysis.encode import EncodedRatings, encode, list_recognisers, select_answers
from core.analysis.estimate import Array, Estimate, Result, join_notes
from core.analysis.identity_tables import order_sample_types
from core.errors import LiminalError
from core.lazy_import import lazy_import

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = lazy_import("scipy.sparse")
linalg, optimize, stats = lazy_import("scipy.linalg"), lazy_import("scipy.optimize"), lazy_import("scipy.stats")

MAX_LEVELS = 3000
"""Levels of the smaller factor (raters or pairs): with more the fit takes minutes."""


@dataclass(frozen=True)
class TypeEffect:
    """One type of samples."""

    sample_type: str
    level: Estimate  # similarity at ``centre``, 0 to 100
    slope: Estimate  # points of similarity per unit of distance


@dataclass(frozen=True, kw_only=True)
class MixedModel(Result):
    """The fitted model; the types' own levels and slopes say the same as main effects and interaction."""

    column: str
    centre: float  # mean distance, where the levels are
    effects: tuple[TypeEffect, ...]
    interaction_p: float  # Wald test that all slopes are equal; NaN for one type
    rater_deviation: float  # standard deviations in points of similarity
    pair_deviation: float
    residual_deviation: float
    log_likelihood: float  # restricted


@dataclass(frozen=True)
class RemlEstimates:
    """REML estimates: coefficients (p,), their covariance (p, p), standard deviations."""

    coefficients: Array
    covariance: Array
    rater: float
    pair: float
    residual: float
    log_likelihood: float


def fit_mixed_model(pairs: pd.DataFrame, ratings: pd.DataFrame, column: str, *, excluded: Collection[str] = ()) -> MixedModel:
    """Fit the model to single answers about the similarity of pairs.

    column: a recogniser's name, "lpips" or "latent_distance". Sample types whose distance does not vary (genuine) are left out.
    Raises LiminalError for a column that the pairs do not have.
    """
    name = f"distance_{column}" if column in list_recognisers(pairs) else column
    if name not in pairs:
        raise LiminalError(
            f"There is no distance '{column}' in these pairs; there are {', '.join(list_recognisers(pairs))} and lpips."
        )
    distances = pairs[name].to_numpy(np.float64)
    types = pairs["sample_type"].to_numpy(object)
    answers = encode(select_answers(ratings, "similarity", excluded=excluded), pairs["pair_id"])
    answered = (answers.votes > 0) & np.isfinite(distances)
    present = order_sample_types(types)
    varying = [sample_type for sample_type in present if _varies(distances[answered & (types == sample_type)])]
    use = np.isin(types, varying) & answered
    rows = use[answers.image]
    y, x, kind = answers.value[rows], distances[answers.image[rows]], types[answers.image[rows]]
    used = EncodedRatings(answers.raters, answers.images, answers.sources, answers.rater[rows], answers.image[rows], y)
    centre = float(x.mean()) if len(x) else math.nan
    note = _explain_no_fit(used, varying)
    fitted = None
    if not note:
        of_type = np.array([kind == sample_type for sample_type in varying], np.float64).T  # (n, types)
        fitted = fit_reml(np.hstack([of_type, of_type * (x - centre)[:, None]]), used)
    left_out = [sample_type for sample_type in present if sample_type not in varying]
    return MixedModel(
        basis=used.basis,
        interval="95 %, Wald with REML estimates; none for the standard deviations",
        note=join_notes(
            note, f"Left out, since their distance does not vary: {', '.join(left_out)}." if left_out and varying else ""
        ),
        column=column,
        centre=centre,
        effects=_build_effects(varying, fitted, kind),
        interaction_p=_test_equal_slopes(fitted, len(varying)) if fitted else math.nan,
        rater_deviation=fitted.rater if fitted else math.nan,
        pair_deviation=fitted.pair if fitted else math.nan,
        residual_deviation=fitted.residual if fitted else math.nan,
        log_likelihood=fitted.log_likelihood if fitted else math.nan,
    )


def _varies(values: Array) -> bool:
    return len(values) >= 3 and float(np.ptp(values)) > 1e-9


def _explain_no_fit(used: EncodedRatings, varying: list[str]) -> str:
    raters, images = len(np.unique(used.rater)), len(np.unique(used.image))
    if not varying:
        return "No type of samples has answers at different distances."
    if raters < 2:
        return "One person answered: people cannot be told from what they saw."
    if np.ptp(used.value) == 0:
        return "All answers are the same."
    if len(used.value) <= raters + images:
        return "There are fewer answers than people and pairs together; ask more people about the same pairs."
    if min(raters, images) > MAX_LEVELS:
        return f"More than {MAX_LEVELS:,} people and pairs would take minutes; choose fewer."
    return ""


def fit_reml(x: Array, answers: EncodedRatings) -> RemlEstimates:
    """Design (n, p) and answers -> REML with a random intercept for each rater and each image."""
    y, n, p = answers.value, *x.shape
    together = np.column_stack([x, y])  # (n, p + 1)
    small, large = _renumber_levels(answers.rater), _renumber_levels(answers.image)
    swapped = len(np.unique(small)) > len(np.unique(large))
    if swapped:
        small, large = large, small
    a, b = int(small.max()) + 1, int(large.max()) + 1
    of_small_rows, of_large_rows = _build_indicator(small, a), _build_indicator(large, b)  # Z' of both factors
    crossed = of_small_rows @ of_large_rows.T  # (a, b), sparse: not everyone answers about everything
    of_small, of_large = np.bincount(small, minlength=a), np.bincount(large, minlength=b)
    sums_small, sums_large = of_small_rows @ together, of_large_rows @ together
    squares = together.T @ together

    def parts(ratios: Array) -> tuple[float, Array]:
        """Standard deviations over the residual's -> log |V| and (X y)' V^-1 (X y)."""
        s, t = ratios
        inverse = 1 / (1 + t**2 * of_large)
        scaled = crossed * inverse[None, :]
        left = np.diag(1 + s**2 * of_small) - (s * t) ** 2 * (scaled @ crossed.T).toarray()
        factor = linalg.cho_factor(left, lower=True)
        above = s * sums_small - s * t * (scaled @ (t * sums_large))
        explained = (t * sums_large).T @ (inverse[:, None] * (t * sums_large)) + above.T @ linalg.cho_solve(factor, above)
        return float(2 * np.log(np.diag(factor[0])).sum() - np.log(inverse).sum()), squares - explained

    def criterion(ratios: Array) -> float:
        """-2 restricted log-likelihood with coefficients and residual variance profiled out."""
        logdet, left = parts(ratios)
        residual, logdet_x = _solve_normal_equations(left)[1:]
        value = logdet + logdet_x + (n - p) * (1 + math.log(2 * math.pi * residual / (n - p)))
        return float(value)

    starts = [optimize.minimize(criterion, start, method="Nelder-Mead", bounds=[(0, 50)] * 2) for start in ([0.5, 0.5], [0.1, 2.0])]
    best = min(starts, key=lambda result: float(result.fun))
    _, left = parts(best.x)
    coefficients, residual, _ = _solve_normal_equations(left)
    variance = residual / (n - p)
    of_first, of_second = (float(ratio) * math.sqrt(variance) for ratio in best.x)
    rater, pair = (of_second, of_first) if swapped else (of_first, of_second)
    covariance = variance * np.linalg.inv(left[:p, :p])
    return RemlEstimates(coefficients, covariance, rater, pair, math.sqrt(variance), -0.5 * float(best.fun))


def _build_indicator(levels: NDArray[np.intp], count: int) -> sparse.csr_array:
    """Which answers (n) belong to each level (count, n)."""
    n = len(levels)
    return sparse.csr_array((np.ones(n), (levels, np.arange(n))), shape=(count, n))


def _renumber_levels(places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Places in a longer list -> places among those that occur."""
    return np.asarray(np.unique(places, return_inverse=True)[1], np.intp)


def _solve_normal_equations(left: Array) -> tuple[Array, float, float]:
    """(X y)' V^-1 (X y) -> coefficients, residual sum of squares, log |X' V^-1 X|."""
    p = len(left) - 1
    factor = linalg.cho_factor(left[:p, :p], lower=True)
    coefficients: Array = linalg.cho_solve(factor, left[:p, p])
    residual = max(float(left[p, p] - left[:p, p] @ coefficients), 1e-300)
    return coefficients, residual, float(2 * np.log(np.diag(factor[0])).sum())


def _build_effects(varying: list[str], fitted: RemlEstimates | None, kind: NDArray[np.object_]) -> tuple[TypeEffect, ...]:
    if fitted is None:
        return ()
    half = NORMAL * np.sqrt(np.diag(fitted.covariance))
    numbers = [int((kind == sample_type).sum()) for sample_type in varying]
    estimates = [
        Estimate(float(value), float(value - reach), float(value + reach), n)
        for value, reach, n in zip(fitted.coefficients, half, numbers * 2, strict=True)
    ]
    return tuple(TypeEffect(name, estimates[index], estimates[index + len(varying)]) for index, name in enumerate(varying))


def _test_equal_slopes(fitted: RemlEstimates, types: int) -> float:
    if types < 2:
        return math.nan
    slopes, covariance = fitted.coefficients[types:], fitted.covariance[types:, types:]
    contrast = np.hstack([np.ones((types - 1, 1)), -np.eye(types - 1)])
    apart = contrast @ slopes
    statistic = apart @ np.linalg.solve(contrast @ covariance @ contrast.T, apart)
    return float(stats.chi2.sf(statistic, types - 1))
