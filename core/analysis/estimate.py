"""Estimates with their intervals, and the basis of every result.

``Estimate`` is a mean, median or other statistic with a 95 % interval, ``Proportion`` a share with its Wilson interval
(Wilson 1927, JASA 22), ``Ratio`` one share divided by another. ``Result`` is the base class of all result dataclasses: on how
many images, raters and answers it rests, where the answers come from, and how the intervals were made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import LiminalError
from core.lazy_import import lazy_import

proportion = lazy_import("statsmodels.stats.proportion")

SOURCE_NAMES = {"human": "people", "simulated": "simulated", "model": "models"}
"""Sources of the row schema as they are shown."""


@dataclass(frozen=True)
class Basis:
    """The data behind a result."""

    images: int  # stimuli: pairs of an identity study, images of an emotion study
    raters: int
    answers: int
    source: str  # "people", "simulated", "models", "published", or several of them joined by "and"; "" where there are none


@dataclass(frozen=True, kw_only=True)
class Result:
    """Fields that all results share. ``note``: a sentence where something is undefined or needs care, else ""."""

    basis: Basis
    interval: str  # how the intervals were made
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; null for NaN and infinite numbers."""
        return dict(to_plain(self))


def undefined_estimate(n: int = 0) -> Estimate:
    """An estimate that is not defined (NaN) over ``n`` values."""
    return Estimate(math.nan, math.nan, math.nan, n)


def name_sources(sources: Iterable[str]) -> str:
    """Names of the sources of rows as they are shown, in a fixed order."""
    present = set(pd.unique(pd.Series(sources)))
    return " and ".join(name for key, name in SOURCE_NAMES.items() if key in present)


def join_notes(*notes: str) -> str:
    """Join the notes that are not empty to one text, each once."""
    return " ".join(dict.fromkeys(note for note in notes if note))


def to_plain(value: Any) -> Any:
    """Dataclasses, tables, arrays and their nests -> plain JSON values, null for NaN and infinite numbers."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {"/".join(map(str, name)) if isinstance(name, tuple) else str(name): to_plain(item) for name, item in value.items()}
    if isinstance(value, pd.DataFrame):
        return [to_plain(row) for row in value.to_dict("records")]
    if isinstance(value, np.ndarray | pd.Series):
        return to_plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        return to_plain(value.item())
    if value is pd.NA or value is pd.NaT:
        return None
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class Proportion:
    """``count`` of ``n`` with the 95 % Wilson interval (Wilson 1927, JASA 22); NaN and the whole of [0, 1] where n is 0."""

    count: int
    n: int
    share: float
    low: float
    high: float

    @classmethod
    def of(cls, count: int, n: int) -> Proportion:
        """Raises LiminalError where count is not from 0 to n."""
        if not 0 <= count <= n:
            raise LiminalError(f"A share needs a count from 0 to {n}, not {count}.")
        if n == 0:
            return cls(0, 0, math.nan, 0.0, 1.0)
        low, high = proportion.proportion_confint(count, n, method="wilson")
        return cls(count, n, count / n, float(low), float(high))


Array = NDArray[np.float64]


def safe_divide(above: NDArray[Any], below: NDArray[Any]) -> Array:
    """above / below, NaN where below is 0."""
    known = np.asarray(below) != 0
    shape = np.broadcast_shapes(np.shape(above), np.shape(below))
    result: Array = np.divide(above, below, out=np.full(shape, np.nan), where=np.broadcast_to(known, shape))
    return result


BOOTSTRAP_DRAWS = 2000
"""Bootstrap samples behind an interval."""


@dataclass(frozen=True)
class Estimate:
    """A mean or median of ``n`` values with its bootstrap interval; NaN over no values, and no interval over fewer than two."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Ratio:
    """One share divided by another, with its interval; infinite where only the second is 0, NaN where both are."""

    value: float
    low: float
    high: float


def bootstrap_estimate(
    values: Array, statistic: Callable[..., NDArray[np.float64]], *, seed: int = 0, draws: int = BOOTSTRAP_DRAWS
) -> Estimate:
    """``np.mean`` or ``np.median`` of the finite values among (N,), with the percentile interval (Efron 1979, Ann. Stat. 7).

    No interval where all values are equal: one of no width would claim to be certain.
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return Estimate(math.nan, math.nan, math.nan, 0)
    value = float(statistic(known))
    if len(known) < 2 or np.ptp(known) == 0:
        return Estimate(value, math.nan, math.nan, len(known))
    random = np.random.default_rng(seed)
    at_once = max(1, 1_000_000 // len(known))  # bounds the memory
    parts = []
    for start in range(0, draws, at_once):
        drawn = random.integers(0, len(known), size=(min(at_once, draws - start), len(known)))
        parts.append(statistic(known[drawn], axis=1))
    low, high = np.quantile(np.concatenate(parts), [0.025, 0.975])
    return Estimate(value, float(low), float(high), len(known))


def divide_proportions(first: Proportion, second: Proportion) -> Ratio:
    """first / second, taken as independent; the interval follows from the two Wilson intervals and keeps to their width.

    Method of variance estimates recovery: Donner and Zou 2012, Statistical Methods in Medical Research 21.
    """
    if not first.n or not second.n or not (first.count or second.count):
        return Ratio(math.nan, 0.0, math.inf)
    product = first.share * second.share
    least, most = (end * (2 * first.share - end) for end in (first.low, first.high))
    under, over = (end * (2 * second.share - end) for end in (second.low, second.high))
    low = least / (product + math.sqrt(product**2 - least * over)) if first.count else 0.0
    if not second.count:
        return Ratio(math.inf, low, math.inf)
    return Ratio(first.share / second.share, low, (product + math.sqrt(product**2 - most * under)) / under)


def wilson_interval(count: Array, n: Array) -> tuple[Array, Array, Array]:
    """Counts of n (N,) -> share, low, high; NaN, 0 and 1 where n is 0 (``Proportion`` for arrays)."""
    filled = np.maximum(n, 1)
    low, high = proportion.proportion_confint(np.minimum(count, filled), filled, method="wilson")
    return safe_divide(count, n), np.where(n > 0, low, 0.0), np.where(n > 0, high, 1.0)
