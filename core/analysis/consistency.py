"""Error consistency: agreement of two raters, people or models, beyond what their own frequencies of answers produce by chance.

Cohen's kappa for all pairs of raters at once (Geirhos, Meding and Wichmann 2020, NeurIPS 33, eqs. 1-3). There, decisions are
right or wrong; generated faces have no right answer, so the decisions themselves are compared: 'same person' or not, or which of
six emotions (Cohen 1960 for more than two).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from core.analysis.bootstrap import NORMAL, RESAMPLES, draw_weights, percentile_interval
from core.analysis.encode import encode, explain_no_answers, select_answers
from core.analysis.estimate import (
    Array,
    Basis,
    Estimate,
    Result,
    bootstrap_estimate,
    join_notes,
    name_sources,
    safe_divide,
    undefined_estimate,
)
from core.studies.ratings import SOURCES, Task


@dataclass(frozen=True)
class PairwiseKappas:
    """All pairs of D deciders; every array is (D, D) and symmetric."""

    shared: Array  # images that both decided
    observed: Array  # c_obs: share decided alike; NaN where nothing is shared
    expected: Array  # c_exp: the same if both answered independently with their own frequencies
    kappa: Array  # (c_obs - c_exp) / (1 - c_exp); NaN where c_exp = 1, since two constant deciders show nothing


@dataclass(frozen=True, kw_only=True)
class ErrorConsistency(Result):
    """Error consistency between all deciders, people and models alike."""

    deciders: tuple[str, ...]
    sources: tuple[str, ...]  # of each decider: human, simulated or model
    shared: Array  # (D, D)
    observed: Array
    expected: Array
    kappa: Array
    low: Array
    high: Array
    ceiling: Estimate  # mean over pairs of people: what a model can reach if it were one of them; n: pairs of people
    models: dict[str, Estimate]  # each model: mean over people; n: people


def build_decision_matrix(answers: pd.DataFrame) -> tuple[Array, tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Answers of one task -> decisions (D, I) with NaN where none, deciders, images, and each decider's source.

    The last one counts where someone answered twice. A name is a place in the list of names (``encode``).
    """
    codes = encode(answers)
    decisions = np.full((len(codes.raters), len(codes.images)), np.nan)
    decisions[codes.rater, codes.image] = codes.value
    source = answers.groupby("rater", sort=False)["source"].first().reindex(codes.raters)
    return decisions, tuple(map(str, codes.raters)), tuple(map(str, codes.images)), tuple(map(str, source))


def compute_kappas(decisions: Array) -> PairwiseKappas:
    """Decisions (D, I), whole numbers from 0 with NaN where there is none -> Cohen's kappa of all pairs, by products of masks."""
    decided = np.isfinite(decisions)
    mask = decided.astype(np.float32)  # counts stay whole up to 2^24 images
    with _limit_threads().limit(limits=1, user_api="blas"):
        shared = (mask @ mask.T).astype(np.float64)
        alike, expected = np.zeros_like(shared), np.zeros_like(shared)
        for value in _list_decisions(decisions, decided):
            chose = (decisions == value).astype(np.float32)
            alike += chose @ chose.T
            times = (chose @ mask.T).astype(np.float64)  # (a, b): so often a chose it where b decided too
            expected += times * times.T
    observed, expected = safe_divide(alike, shared), safe_divide(expected, shared**2)
    return PairwiseKappas(shared, observed, expected, _chance_corrected(observed, expected))


@lru_cache(maxsize=1)
def _limit_threads() -> ThreadpoolController:
    """Keeps small matrix products on one thread: OpenBLAS's threads spin, and on busy cores 0.3 ms become 40."""
    return ThreadpoolController()


def _list_decisions(decisions: Array, decided: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The decisions that occur; counted, since sorting all of them would take most of the time."""
    occurs = np.bincount(np.where(decided, decisions + 1, 0).astype(np.intp).ravel())
    return np.flatnonzero(occurs[1:])


def _chance_corrected(observed: Array, expected: Array) -> Array:
    return safe_divide(observed - expected, np.where(expected > 1 - 1e-12, 0.0, 1 - expected))


def compute_standard_errors(decisions: Array, kappas: PairwiseKappas) -> Array:
    """Asymptotic standard error of every kappa (D, D) (Fleiss, Cohen and Everitt 1969, Psychological Bulletin 72, eq. 13)."""
    decided = np.isfinite(decisions)
    mask = decided.astype(np.float64)
    values = _list_decisions(decisions, decided)
    chose = [(decisions == value).astype(np.float64) for value in values]
    n, pe, po = kappas.shared, kappas.expected, kappas.observed
    diagonal, off = np.zeros_like(n), np.zeros_like(n)
    with _limit_threads().limit(limits=1, user_api="blas"):
        share = [safe_divide(choice @ mask.T, n) for choice in chose]  # (a, b): a's share of it where b decided too
        for i in range(len(values)):
            for j in range(len(values)):
                joint = safe_divide(chose[i] @ chose[j].T, n)  # a said i and b said j
                if i == j:
                    diagonal += joint * ((1 - pe) - (share[i] + share[i].T) * (1 - po)) ** 2
                else:
                    off += joint * (share[i].T + share[j]) ** 2
    variance = diagonal + (1 - po) ** 2 * off - (po * pe - 2 * pe + po) ** 2
    below = np.where(pe > 1 - 1e-12, 0.0, n * (1 - pe) ** 4)
    return np.sqrt(np.maximum(safe_divide(variance, below), 0))


def measure_error_consistency(
    ratings: pd.DataFrame, task: Task, *, excluded: Collection[str] = (), resamples: int = RESAMPLES, seed: int = 0
) -> ErrorConsistency:
    """Answers of people and models (``core.analysis.encode``) to one task -> kappa of all pairs, and the human ceiling.

    Attention checks are left out. task: of similarity and scale every value is its own decision.
    """
    answers = select_answers(ratings, task, excluded=excluded, sources=SOURCES, sentinels=False)
    decisions, deciders, images, sources = build_decision_matrix(answers)
    kappas = compute_kappas(decisions)
    error = compute_standard_errors(decisions, kappas)
    people = np.array([source != "model" for source in sources], bool)
    ceiling = _estimate_ceiling(kappas.kappa[np.ix_(people, people)], resamples, seed)
    models = {
        deciders[index]: bootstrap_estimate(kappas.kappa[index, people], np.mean, seed=seed, draws=resamples)
        for index in np.flatnonzero(~people)
    }
    undecided = int(np.isnan(kappas.kappa[np.triu_indices(len(deciders), 1)]).sum())
    return ErrorConsistency(
        basis=Basis(len(images), int(people.sum()), len(answers), name_sources(sources)),
        interval="95 %, asymptotic (Fleiss, Cohen and Everitt 1969) for a pair; bootstrap over people for the means",
        note=join_notes(
            explain_no_answers(ratings, excluded) if not deciders else "",
            "It takes two deciders to compare." if len(deciders) == 1 else "",
            f"{undecided:,} pairs of deciders have no value: they share no image, or both always say one thing."
            if undecided
            else "",
        ),
        deciders=deciders,
        sources=sources,
        shared=kappas.shared,
        observed=kappas.observed,
        expected=kappas.expected,
        kappa=kappas.kappa,
        low=np.maximum(kappas.kappa - NORMAL * error, -1.0),
        high=np.minimum(kappas.kappa + NORMAL * error, 1.0),
        ceiling=ceiling,
        models=models,
    )


def _estimate_ceiling(kappa: Array, resamples: int, seed: int) -> Estimate:
    """Mean over the pairs of people (P, P); people are drawn anew, nobody is compared with themselves."""
    known = np.isfinite(kappa) & ~np.eye(len(kappa), dtype=bool)
    pairs = int(known.sum()) // 2
    if not pairs:
        return undefined_estimate()
    filled = np.where(known, kappa, 0.0)
    value = float(filled.sum() / known.sum())
    if pairs < 3:
        return Estimate(value, math.nan, math.nan, pairs)
    draws = np.concatenate(
        [
            safe_divide(
                ((filled @ weights.images) * weights.images).sum(axis=0), ((known @ weights.images) * weights.images).sum(axis=0)
            )
            for weights in draw_weights(len(kappa), 1, resamples=resamples, seed=seed)
        ]
    )
    low, high = percentile_interval(draws)
    return Estimate(value, float(low), float(high), pairs)
