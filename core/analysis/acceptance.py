"""How often a recogniser accepts each type of sample, with means and shares of 'no face found' (paper A, Table 1)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from core.errors import LiminalError

ORDER = ("genuine", "interpolation", "negative", "optimized", "positive", "semantic")
"""Table 1's order of types."""


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
        low, high = proportion_confint(count, n, method="wilson")
        return cls(count, n, count / n, float(low), float(high))


@dataclass(frozen=True)
class AcceptanceRow:
    """A type of sample as a whole (step and direction None), one of its steps, or 'all'. Means are NaN over no values."""

    sample_type: str
    step: float | None
    direction: str | None  # semantic samples
    pairs: int
    no_face: Proportion  # of all pairs: no face found in one of the two images
    accepted: Proportion  # of the pairs with two faces: distance < threshold
    distance: float  # mean over the pairs with two faces
    lpips: float
    latent_distance: float  # Euclidean, in the generator's own units
    latent_ratio: float  # to the negatives' mean, which compares with the paper's


@dataclass(frozen=True)
class AcceptanceTable:
    """One recogniser at one threshold."""

    recogniser: str
    threshold: float
    rows: tuple[AcceptanceRow, ...]

    def row(self, sample_type: str, step: float | None = None) -> AcceptanceRow:
        """Raises LiminalError where the set has no such samples."""
        for each in self.rows:
            if each.sample_type == sample_type and each.step == step and each.direction is None:
                return each
        raise LiminalError(f"The sample set has no {sample_type} samples" + (f" of step {step:g}." if step is not None else "."))


def recognisers(pairs: pd.DataFrame) -> list[str]:
    """The recognisers that judged a table of pairs."""
    return [name.removeprefix("distance_") for name in pairs.columns if name.startswith("distance_")]


def acceptance_table(pairs: pd.DataFrame, recogniser: str, threshold: float) -> AcceptanceTable:
    """A sample set's pairs -> Table 1's rows for one recogniser, re-judged at ``threshold``.

    The interval takes pairs as independent; pairs of one base are not quite, so that it is a little too narrow.
    Raises LiminalError where the recogniser did not judge this set or the threshold is no positive number.
    """
    if recogniser not in recognisers(pairs):
        known = ", ".join(recognisers(pairs)) or "none"
        raise LiminalError(f"The recogniser '{recogniser}' did not judge this sample set; those that did: {known}.")
    if not (math.isfinite(threshold) and threshold > 0):
        raise LiminalError(f"A threshold must be a positive distance, not {threshold}.")
    negatives = pairs.loc[pairs["sample_type"] == "negative", "latent_distance"].mean()
    rows = [
        _row(part, sample_type, step, direction, f"distance_{recogniser}", threshold, float(negatives))
        for sample_type, step, direction, part in _parts(pairs)
    ]
    return AcceptanceTable(recogniser, threshold, tuple(rows))


def _parts(pairs: pd.DataFrame) -> Iterator[tuple[str, float | None, str | None, pd.DataFrame]]:
    for sample_type in ORDER:
        whole = pairs[pairs["sample_type"] == sample_type]
        if not len(whole):
            continue
        yield sample_type, None, None, whole
        if sample_type == "semantic":
            for direction in sorted(whole["direction"].dropna().unique()):
                yield sample_type, None, str(direction), whole[whole["direction"] == direction]
        elif sample_type not in ("genuine", "negative"):
            for step in sorted(whole["step"].dropna().unique()):
                yield sample_type, float(step), None, whole[whole["step"] == step]
    yield "all", None, None, pairs


def _row(
    part: pd.DataFrame,
    sample_type: str,
    step: float | None,
    direction: str | None,
    column: str,
    threshold: float,
    negatives: float,
) -> AcceptanceRow:
    distances = part[column].dropna()
    latent = float(part["latent_distance"].mean())
    return AcceptanceRow(
        sample_type=sample_type,
        step=step,
        direction=direction,
        pairs=len(part),
        no_face=Proportion.of(len(part) - len(distances), len(part)),
        accepted=Proportion.of(int((distances < threshold).sum()), len(distances)),
        distance=float(distances.mean()) if len(distances) else math.nan,
        lpips=float(part["lpips"].mean()),
        latent_distance=latent,
        latent_ratio=latent / negatives if negatives > 0 else math.nan,
    )
