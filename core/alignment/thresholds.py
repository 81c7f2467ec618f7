"""Thresholds along axes: each person's curve, the group's, and where every network flips on the same axis.

A person's threshold is the level at which both answers are equally likely, by the posterior of ``psi``; it serves answers of
adaptive studies and of others alike. The group's is the mean of its people's, with a bootstrap interval over them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.alignment.psi import AxisPosterior
from core.analysis.estimate import Array, Basis, Estimate, Result, bootstrap_estimate, join_notes, name_sources
from core.studies.adaptive import Axis, list_axes, read_answers
from core.studies.study import RatingPlan, Stimulus

FEW_PEOPLE = 10
CURVE_LEVELS = tuple(np.linspace(0, 1, 41).tolist())
SAME_ANSWER = 0.95
"""Who gives one answer this often, on every axis, has no threshold on any."""


@dataclass(frozen=True)
class PersonThreshold:
    """One person on one axis: threshold and width in axes, lapse, and the curve P(positive) at CURVE_LEVELS.

    Values are NaN where no answer flipped.
    """

    rater: str
    threshold: Estimate
    width: Estimate
    lapse: Estimate
    curve: tuple[float, ...]


@dataclass(frozen=True)
class NetworkFlip:
    """Where a network's answer changes along an axis, in axes; NaN where it never does."""

    network: str
    level: float


@dataclass(frozen=True, kw_only=True)
class AxisThresholds(Result):
    """One axis. group: mean threshold of the people who have one; networks: their flips on the same pictures."""

    axis: str
    positive: str
    people: tuple[PersonThreshold, ...]
    group: Estimate
    curve: tuple[float, ...]  # mean of the people's curves at CURVE_LEVELS
    networks: tuple[NetworkFlip, ...]


def measure_thresholds(
    plan: RatingPlan,
    stimuli: Sequence[Stimulus],
    ratings: pd.DataFrame,
    verdicts: Mapping[str, Mapping[str, float]],
    *,
    excluded: Sequence[str] = (),
) -> list[AxisThresholds]:
    """All axes of a study. ratings: rows of RATINGS; verdicts: by network, stimulus -> P(positive) or a margin, 0.5 at its flip.

    Raises LiminalError where the study has no axis.
    """
    axes = list_axes(plan, stimuli)
    counted = ratings[~ratings["rater"].isin(list(excluded)) & (ratings["task"] == plan.main_task)]
    answers = {str(rater): read_answers(plan, axes, rows) for rater, rows in counted.groupby("rater", sort=True)}
    monotone = {
        rater
        for rater, given in answers.items()
        if len(given) >= 10 and abs(np.mean([answer.positive is True for answer in given]) - 0.5) >= SAME_ANSWER - 0.5
    }
    return [_measure_axis(axis, answers, monotone, verdicts, name_sources(counted["source"])) for axis in axes]


def _measure_axis(
    axis: Axis,
    answers: Mapping[str, Sequence[object]],
    monotone: set[str],
    verdicts: Mapping[str, Mapping[str, float]],
    source: str,
) -> AxisThresholds:
    people, count = [], 0
    for rater, given in answers.items():
        posterior = AxisPosterior.of(axis, given)  # type: ignore[arg-type]
        if posterior.n:
            people.append(_describe_person(rater, posterior))
            count += posterior.n
    known = np.array([person.threshold.value for person in people])
    known = known[np.isfinite(known)]
    curves = np.array([person.curve for person in people if np.isfinite(person.threshold.value)])
    notes = []
    if not len(people):
        notes.append("Nobody has answered along this axis yet.")
    elif not len(known):
        notes.append("No answer flipped along this axis, so that there is no threshold on it.")
    elif len(known) < FEW_PEOPLE:
        notes.append(f"Only {len(known)} people have a threshold here: fewer than {FEW_PEOPLE} say little of others.")
    always = sorted(monotone & {person.rater for person in people})
    if always:
        notes.append(f"{len(always)} gave one and the same answer nearly throughout: no threshold of theirs means anything.")
    return AxisThresholds(
        basis=Basis(sum(map(len, axis.stimuli)), len(people), count, source),
        interval="95 % credible for a person (psi's posterior), 95 % bootstrap over people for the group",
        note=join_notes(*notes),
        axis=axis.name,
        positive=axis.positive,
        people=tuple(people),
        group=bootstrap_estimate(known, np.mean),
        curve=tuple(curves.mean(axis=0).tolist()) if len(curves) else (),
        networks=tuple(NetworkFlip(name, find_flip(axis, said)) for name, said in verdicts.items()),
    )


def _describe_person(rater: str, posterior: AxisPosterior) -> PersonThreshold:
    values = [posterior.summarise(parameter) for parameter in range(3)]
    if not posterior.flipped:
        values = [(math.nan,) * 3] * 3
    threshold, width, lapse = (Estimate(*value, posterior.n) for value in values)
    return PersonThreshold(rater, threshold, width, lapse, tuple(posterior.curve(CURVE_LEVELS).tolist()))


def find_flip(axis: Axis, said: Mapping[str, float]) -> float:
    """Where a network's verdict first passes 0.5 along an axis, linear between levels; NaN where it never does."""
    values: Array = np.array([said.get(names[0], math.nan) for names in axis.stimuli], np.float64)
    for at in range(1, len(values)):
        before, after = values[at - 1], values[at]
        if np.isfinite(before) and np.isfinite(after) and (before < 0.5) != (after < 0.5):
            share = (0.5 - before) / (after - before)
            return float(axis.levels[at - 1] + share * (axis.levels[at] - axis.levels[at - 1]))
    return math.nan
