"""How long people take, and whether they take longer where they disagree (paper B, Fig. 7)."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import rankdata, skew, spearmanr

from core.analysis.acceptance import Proportion
from core.analysis.answers import Array, chosen, coded
from core.analysis.bootstrap import RESAMPLES, correlations, crossed_weights, interval
from core.analysis.boundary import Estimate, bootstrap
from core.analysis.choices import Choices, choices
from core.analysis.results import Result, undefined
from core.studies.ratings import Task

USUAL_MS = (500.0, 1500.0)
"""Where paper B's reaction times concentrate."""
PUBLISHED_SPEARMAN = 0.42
"""Of entropy and reaction time (paper B, Fig. 7c: its digit recognition task)."""


@dataclass(frozen=True, kw_only=True)
class ReactionTimes(Result):
    """Reaction times of one task in milliseconds. ``table``: one row an image: stimulus, votes, median_ms."""

    median: Estimate  # over answers
    quantiles: dict[str, float]  # 5, 25, 50, 75 and 95 %, over answers
    usual: Proportion  # answers between 500 and 1,500 ms
    skewness: float  # above 0: a tail of slow answers
    times: Array  # of all answers that were timed (K,)
    table: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class EntropyAndTime(Result):
    """Spearman's rank correlation over images of entropy and median reaction time, beside the published one."""

    spearman: Estimate
    p: float
    published: float
    table: pd.DataFrame  # stimulus, bits, median_ms: the points


def reaction_times(ratings: pd.DataFrame, task: Task, *, excluded: Collection[str] = (), seed: int = 0) -> ReactionTimes:
    """Answers of one task -> how long they took; answers without a time are left out."""
    answers = chosen(ratings, task, excluded=excluded, sentinels=task != "emotion")
    answers = answers[np.isfinite(answers["reaction_time_ms"].to_numpy(np.float64))]
    times = answers["reaction_time_ms"].to_numpy(np.float64)
    per_image = answers.groupby("stimulus", sort=False)["reaction_time_ms"]
    n = len(times)
    levels = {"5 %": 0.05, "25 %": 0.25, "50 %": 0.5, "75 %": 0.75, "95 %": 0.95}
    return ReactionTimes(
        basis=coded(answers).basis,
        interval="95 %, bootstrap over answers; Wilson for shares",
        note="" if n else "No answer to this question was timed.",
        median=bootstrap(times, np.median, seed=seed, draws=500),
        quantiles={name: float(np.quantile(times, level)) if n else math.nan for name, level in levels.items()},
        usual=Proportion.of(int(((times >= USUAL_MS[0]) & (times <= USUAL_MS[1])).sum()), n),
        skewness=float(skew(times)) if n > 2 and np.ptp(times) > 0 else math.nan,
        times=times,
        table=pd.DataFrame({"votes": per_image.size(), "median_ms": per_image.median()}).rename_axis("stimulus").reset_index(),
    )


def entropy_and_time(
    ratings: pd.DataFrame,
    *,
    excluded: Collection[str] = (),
    votes: Choices | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> EntropyAndTime:
    """Answers to emotion trials -> do people take longer over images that divide them? Images with at least two timed votes."""
    votes = votes or choices(ratings, excluded=excluded)
    table = votes.table[(votes.table["votes"] > 1) & votes.table["reaction_time_ms"].notna()]
    table = table[["stimulus", "bits", "reaction_time_ms"]].rename(columns={"reaction_time_ms": "median_ms"}).reset_index(drop=True)
    found, p = spearman(table["bits"].to_numpy(np.float64), table["median_ms"].to_numpy(np.float64), resamples=resamples, seed=seed)
    return EntropyAndTime(
        basis=votes.basis,
        interval="95 %, bootstrap over images (of their ranks)",
        note="" if math.isfinite(found.value) else "There is no correlation to speak of: it takes three timed images that differ.",
        spearman=found,
        p=p,
        published=PUBLISHED_SPEARMAN,
        table=table,
    )


def spearman(first: Array, second: Array, *, resamples: int = RESAMPLES, seed: int = 0) -> tuple[Estimate, float]:
    """Rank correlation of two values per image (N,) with its interval, and the two-sided p; NaN where one does not vary."""
    known = np.isfinite(first) & np.isfinite(second)
    x, y = rankdata(first[known]), rankdata(second[known])
    n = len(x)
    if n < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return undefined(n), math.nan
    found = spearmanr(x, y)
    every = sparse.csr_array(np.ones((1, n)))
    draws = [
        correlations(x[:, None], y[:, None], each.images, every)[0]
        for each in crossed_weights(n, 1, resamples=resamples, seed=seed)
    ]
    low, high = interval(np.concatenate(draws))
    return Estimate(float(found.statistic), float(low), float(high), n), float(found.pvalue)
