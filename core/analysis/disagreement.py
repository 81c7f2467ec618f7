"""Where people and a recogniser part ways on identity, and where people part ways among themselves (paper A, Fig. 6).

Every function takes a sample set's pairs and answers in the row schema and returns one row a pair with a score, an interval from
its votes, and a mark where the votes are too few. Scores are of the whole set: filter the resulting table, not what goes in.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata
from statsmodels.stats.proportion import proportion_confint

from core.analysis.acceptance import recognisers
from core.analysis.answers import Array, Coded, chosen, coded, divided
from core.analysis.results import Result, sentences
from core.errors import LiminalError

Scaling = Literal["linear", "logistic", "rank"]
SCALINGS: Mapping[Scaling, str] = {
    "linear": "1 for the smallest distance of the set, 0 for the largest, straight in between",
    "logistic": "half at the recogniser's threshold, falling in an S as wide as the set's distances spread",
    "rank": "the share of the set's pairs that are farther apart, ties halved",
}
"""How a distance is turned into 'how sure the recogniser is', 0 to 1. Paper A does not say how it did."""

FEW_VOTES = 5
"""With fewer, a share's interval is wider than two thirds of all there is."""

CONTEXT = ("base_id", "sample_id", "sample_type", "step", "batch", "partner_id", "direction")
"""Columns of the pairs that come along."""


@dataclass(frozen=True, kw_only=True)
class Disagreement(Result):
    """A score for every image or pair. ``table``: stimulus, score, low, high, votes, few, and what belongs to the score."""

    score: str  # what the score is, in words, with its range
    lowest: str  # what the low end shows
    highest: str  # what the high end shows
    scaling: str  # in words; "" where nothing was scaled
    table: pd.DataFrame

    def ranked(self, end: Literal["lowest", "highest"] = "highest", limit: int | None = None) -> pd.DataFrame:
        """Rows with a score, the extreme ones first; among equals those with more votes."""
        known = self.table[self.table["score"].notna()]
        ordered = known.sort_values(["score", "votes"], ascending=[end == "lowest", False], kind="stable")
        return ordered if limit is None else ordered.head(limit)


def inverted(distances: Array, scaling: Scaling, threshold: float) -> Array:
    """Distances (N,) -> how sure the recogniser is that it is the same person (N,), 0 to 1, never rising with the distance.

    NaN stays NaN. One and the same distance everywhere gives 0.5 under linear and rank. Raises LiminalError for other scalings.
    """
    if scaling not in get_args(Scaling):
        raise LiminalError(f"There is no scaling '{scaling}'; there are {', '.join(get_args(Scaling))}.")
    result = np.full(len(distances), np.nan)
    known = np.isfinite(distances)
    if not known.any():
        return result
    values = distances[known]
    if scaling == "rank":
        result[known] = 1 - (rankdata(values) - 0.5) / len(values)
    elif scaling == "logistic":
        width = float(values.std()) * math.sqrt(3) / math.pi  # the logistic distribution of that standard deviation
        width = max(width, 1e-9)
        result[known] = 1 / (1 + np.exp(np.clip((values - threshold) / width, -700, 700)))
    else:
        reach = float(np.ptp(values))
        result[known] = (values.max() - values) / reach if reach > 0 else 0.5
    return result


def identity_disagreement(
    pairs: pd.DataFrame,
    ratings: pd.DataFrame,
    recogniser: str,
    threshold: float,
    *,
    scaling: Scaling = "linear",
    excluded: Collection[str] = (),
) -> Disagreement:
    """Share of people who say 'same person' minus the inverted distance: -1 to 1, signed (paper A, section 5.4).

    Interval: Wilson's of the share, shifted; the recogniser has none. Table: also share, yes, distance, machine, accepted.
    Raises LiminalError where the recogniser did not judge the pairs.
    """
    if recogniser not in recognisers(pairs):
        known = ", ".join(recognisers(pairs)) or "none"
        raise LiminalError(f"The recogniser '{recogniser}' did not judge these pairs; those that did: {known}.")
    votes = coded(chosen(ratings, "identity", excluded=excluded), pairs["pair_id"])
    yes, n = votes.of_images(votes.value), votes.votes
    share, low, high = wilson(yes, n)
    distance = pairs[f"distance_{recogniser}"].to_numpy(np.float64)
    machine = inverted(distance, scaling, threshold)
    table = _table(
        pairs,
        score=share - machine,
        low=np.where(n > 0, low, np.nan) - machine,
        high=np.where(n > 0, high, np.nan) - machine,
        votes=n,
        share=share,
        yes=yes.astype(np.int64),
        distance=distance,
        machine=machine,
        accepted=pd.array(np.where(np.isfinite(distance), distance < threshold, False), dtype="boolean"),
    )
    table.loc[~np.isfinite(distance), "accepted"] = pd.NA
    lost = int((~np.isfinite(distance)).sum())
    return Disagreement(
        basis=votes.basis,
        interval="95 % Wilson interval of the share of people",
        note=sentences(
            _nobody(n),
            f"{lost} of {len(pairs)} pairs have no score because {recogniser} found no face in them." if lost else "",
            "All distances are the same, so that the recogniser says the same of every pair." if _constant(distance) else "",
        ),
        score="share of people who say 'same person' minus how sure the recogniser is, -1 to 1",
        lowest="the recogniser sees the same person and people do not: false-positive candidates",
        highest="people see the same person and the recogniser does not: false-negative candidates",
        scaling=f"{scaling}: {SCALINGS[scaling]}",
        table=table,
    )


def identity_spread(pairs: pd.DataFrame, ratings: pd.DataFrame, *, excluded: Collection[str] = ()) -> Disagreement:
    """Standard deviation of 'same person?' over people: sqrt(p (1 - p)), 0 (all agree) to 0.5 (half and half).

    Interval: the values that it takes over Wilson's interval of p.
    """
    votes = coded(chosen(ratings, "identity", excluded=excluded), pairs["pair_id"])
    yes, n = votes.of_images(votes.value), votes.votes
    share, low, high = wilson(yes, n)
    score = np.sqrt(np.clip(share * (1 - share), 0, None))
    ends = np.sqrt(np.clip([low * (1 - low), high * (1 - high)], 0, None))
    table = _table(
        pairs,
        score=score,
        low=np.where(n > 0, np.fmin(ends.min(axis=0), score), np.nan),
        high=np.where(n > 0, np.where((low <= 0.5) & (high >= 0.5), 0.5, ends.max(axis=0)), np.nan),
        votes=n,
        share=share,
        yes=yes.astype(np.int64),
    )
    return Disagreement(
        basis=votes.basis,
        interval="95 % Wilson interval of the share of people, carried over",
        note=_nobody(n),
        score="standard deviation of 'same person?' over people, 0 to 0.5",
        lowest="people agree",
        highest="people are divided over who it is",
        scaling="",
        table=table,
    )


def similarity_spread(pairs: pd.DataFrame, ratings: pd.DataFrame, *, excluded: Collection[str] = ()) -> Disagreement:
    """Standard deviation (n - 1) of rated similarity over people, in points of 0 to 100. Interval: jackknife over the votes."""
    votes = coded(chosen(ratings, "similarity", excluded=excluded), pairs["pair_id"])
    n, means = votes.votes, votes.means()
    deviation, error = _deviation(votes)
    half = float(norm.ppf(0.975)) * error
    table = _table(
        pairs,
        score=deviation,
        low=np.maximum(deviation - half, 0),
        high=deviation + half,
        votes=n,
        mean=means,
    )
    return Disagreement(
        basis=votes.basis,
        interval="95 %, jackknife over the votes of a pair (Efron and Stein 1981)",
        note=_nobody(n),
        score="standard deviation of rated similarity over people, in points of 0 to 100",
        lowest="people agree",
        highest="people are divided over how similar the faces are",
        scaling="",
        table=table,
    )


def wilson(count: Array, n: Array) -> tuple[Array, Array, Array]:
    """Counts of n (N,) -> share, low, high; NaN, 0 and 1 where n is 0 (``Proportion`` for arrays)."""
    filled = np.maximum(n, 1)
    low, high = proportion_confint(np.minimum(count, filled), filled, method="wilson")
    return divided(count, n), np.where(n > 0, low, 0.0), np.where(n > 0, high, 1.0)


def _deviation(votes: Coded) -> tuple[Array, Array]:
    """Standard deviation of every image's votes and its jackknife error; NaN under 2 and under 3 votes."""
    n = votes.votes
    away = votes.value - votes.means()[votes.image]  # of one image's mean
    squares = votes.of_images(away**2)
    deviation = np.sqrt(divided(squares, np.where(n > 1, n - 1, 0)))
    # without one vote, the sum of squares about the new mean is SS - away^2 n / (n - 1)
    rest = np.where(n > 2, n - 2, 0)
    whole, part = divided(squares, rest), divided(divided(n, np.where(n > 1, n - 1, 0)), rest)  # by image, far fewer than votes
    without = np.sqrt(np.maximum(whole[votes.image] - away**2 * part[votes.image], 0))
    centre = divided(votes.of_images(without), n)
    error = np.sqrt(divided(n - 1, n) * votes.of_images((without - centre[votes.image]) ** 2))
    return deviation, error


def _table(pairs: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """Rows of the schema that all disagreement tables share."""
    votes = columns["votes"].astype(np.int64)
    columns |= {"votes": votes, "few": votes < FEW_VOTES}
    context = {name: pairs[name].to_numpy() for name in CONTEXT if name in pairs}
    return pd.DataFrame({"stimulus": pairs["pair_id"].to_numpy(), **columns, **context})


def _nobody(votes: Array) -> str:
    if not len(votes):
        return "There are no pairs to look at; loosen the filter."
    if not votes.any():
        return "Nobody has answered about these pairs yet."
    few = int((votes < FEW_VOTES).sum())
    return f"{few} of {len(votes)} pairs have fewer than {FEW_VOTES} votes; their scores say little." if few else ""


def _constant(values: Array) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 1 and float(np.ptp(known)) == 0
