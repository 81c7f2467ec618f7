"""Compare two studies, sample sets, models or groups of raters on one measure: both values and their difference with its interval.

Where both sides are about the same images, every resample draws the same images for both, so that what is hard about an image
does not count as a difference; people are drawn within their side (Efron and Tibshirani 1993, chapter 8, "two samples").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.bootstrap import (
    RESAMPLES,
    ResampleWeights,
    VoteSums,
    draw_weights,
    image_means,
    percentile_interval,
    pooled_means,
)
from core.analysis.encode import EncodedRatings
from core.analysis.estimate import Array, Basis, Result, join_notes
from core.lazy_import import lazy_import

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = lazy_import("scipy.sparse")


@dataclass(frozen=True)
class ComparisonSide:
    """One of the two sides. draw: weights of images (I, B) and raters (R, B) -> a value for each row of the comparison (C, B)."""

    title: str
    images: int
    raters: int
    draw: Callable[[ResampleWeights], Array]
    n: NDArray[np.intp]  # answers or images behind each row (C,)
    basis: Basis


@dataclass(frozen=True, kw_only=True)
class Comparison(Result):
    """``table``: name, first, first_low, first_high, first_n, the same of second, difference (second minus first), low, high."""

    first: str
    second: str
    shared: bool  # both sides are about the same images
    table: pd.DataFrame

    def clear(self) -> pd.DataFrame:
        """Rows whose interval of the difference leaves out 0."""
        known = self.table.dropna(subset=["low", "high"])
        return known[(known["low"] > 0) | (known["high"] < 0)]


def build_answers_side(title: str, codes: EncodedRatings, cells: sparse.csr_array) -> ComparisonSide:
    """Means over all answers to the images of each cell (C, I)."""
    votes = VoteSums.of(codes)
    return ComparisonSide(
        title,
        len(codes.images),
        len(codes.raters),
        lambda weights: pooled_means(votes, weights, cells),
        np.asarray(cells @ codes.votes, np.intp),
        codes.basis,
    )


def build_values_side(title: str, values: Array, cells: sparse.csr_array, basis: Basis) -> ComparisonSide:
    """Means over the images of each cell (C, I) of a value per image (I,); NaN is left out."""
    known = np.isfinite(values).astype(np.float64)
    return ComparisonSide(
        title, len(values), 0, lambda weights: image_means(values, weights, cells), np.asarray(cells @ known, np.intp), basis
    )


def build_choices_side(title: str, codes: EncodedRatings, choices: int) -> ComparisonSide:
    """The share of each of so many answers among all answers; a row an answer. codes.value: the index of the answer."""
    every = sparse.csr_array(np.ones((1, len(codes.images))))
    votes = [VoteSums.of(replace(codes, value=(codes.value == index).astype(np.float64))) for index in range(choices)]
    return ComparisonSide(
        title,
        len(codes.images),
        len(codes.raters),
        lambda weights: np.concatenate([pooled_means(each, weights, every) for each in votes]),
        np.full(choices, len(codes.value), np.intp),
        codes.basis,
    )


def build_probabilities_side(title: str, p: Array, basis: Basis) -> ComparisonSide:
    """The mean over images of a probability of each answer (I, K); a row an answer. NaN is left out."""
    every = sparse.csr_array(np.ones((1, len(p))))
    return ComparisonSide(
        title,
        len(p),
        0,
        lambda weights: np.concatenate([image_means(column, weights, every) for column in p.T]),
        np.isfinite(p).sum(axis=0).astype(np.intp),
        basis,
    )


def compare_sides(
    names: Sequence[str], first: ComparisonSide, second: ComparisonSide, *, shared: bool, resamples: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """Compare two sides row by row. names: of the rows, the same for both; shared: image i is the same one on both sides."""
    points = [side.draw(ResampleWeights(np.ones((side.images, 1)), np.ones((side.raters, 1))))[:, 0] for side in (first, second)]
    draws = (
        _resample_together(first, second, resamples, seed)
        if shared
        else [_resample_alone(side, resamples, seed + k) for k, side in enumerate((first, second))]
    )
    table: dict[str, object] = {"name": list(names)}
    for name, side, point, drawn in zip(("first", "second"), (first, second), points, draws, strict=True):
        low, high = _widen_interval(drawn, point)
        table |= {name: point, f"{name}_low": low, f"{name}_high": high, f"{name}_n": side.n}
    low, high = _widen_interval(draws[1] - draws[0], points[1] - points[0])
    frame = pd.DataFrame(table | {"difference": points[1] - points[0], "low": low, "high": high})
    return Comparison(
        basis=_join_bases(first.basis, second.basis, shared),
        interval=f"95 % bootstrap over people and images, {resamples:,} resamples"
        + (", the same images for both sides" if shared else ", each side on its own"),
        note=join_notes(*(f"{side.title} has no values to compare." for side in (first, second) if not side.n.any())),
        first=first.title,
        second=second.title,
        shared=shared,
        table=frame,
    )


def build_group_cells(groups: pd.Series[str], order: Sequence[str]) -> sparse.csr_array:
    """Which images belong to each group, in order, and 'all' at the end: (len(order) + 1, I)."""
    rows = [(groups == name).to_numpy(np.float64) for name in order]
    return sparse.csr_array(np.vstack([*rows, np.ones(len(groups))]))


def _resample_together(first: ComparisonSide, second: ComparisonSide, resamples: int, seed: int) -> list[Array]:
    raters = first.raters + second.raters
    draws: tuple[list[Array], list[Array]] = ([], [])
    for weights in draw_weights(first.images, raters, resamples=resamples, seed=seed):
        of_first, of_second = weights.raters[: first.raters], weights.raters[first.raters :]
        draws[0].append(first.draw(ResampleWeights(weights.images, of_first)))
        draws[1].append(second.draw(ResampleWeights(weights.images, of_second)))
    return [np.concatenate(parts, axis=1) for parts in draws]


def _resample_alone(side: ComparisonSide, resamples: int, seed: int) -> Array:
    parts = [side.draw(weights) for weights in draw_weights(side.images, side.raters, resamples=resamples, seed=seed)]
    return np.concatenate(parts, axis=1)


def _widen_interval(draws: Array, point: Array) -> tuple[Array, Array]:
    """Percentiles, widened to hold the value itself; NaN where the value is."""
    low, high = percentile_interval(draws)
    known = np.isfinite(point)
    return np.where(known, np.fmin(low, point), np.nan), np.where(known, np.fmax(high, point), np.nan)


def _join_bases(first: Basis, second: Basis, shared: bool) -> Basis:
    sources = " and ".join(dict.fromkeys(name for basis in (first, second) for name in basis.source.split(" and ") if name))
    images = max(first.images, second.images) if shared else first.images + second.images
    return Basis(images, first.raters + second.raters, first.answers + second.answers, sources)
