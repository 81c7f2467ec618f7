"""Adaptive studies: the next stimulus follows from the answers so far, along axes such as the way from one person to another.

An axis is a row of stimuli at levels from 0 to 1, several of which may show the same picture again. Who chooses is handed in from
outside (``StimulusChooser``; ``core.alignment.psi`` has one), so that this folder knows no model. A rater is enrolled with the
first trials alone; whenever those are answered, ``list_next_trials`` says what else to ask (``Store.extend``), until the chooser is
done or the plan's number of trials is reached. Nothing is kept but the answers: who comes back goes on where they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from core.errors import LiminalError
from core.sampling.configuration import numpy_generator, sample_seed
from core.studies.study import RatingPlan, Stimulus, Study

AXIS_KEY, LEVEL_KEY = "axis", "level"
"""Entries of a stimulus' details: the name of its axis, and where on it it lies, from 0 to 1."""
FEWEST_LEVELS = 5


@dataclass(frozen=True)
class Axis:
    """A row of stimuli. levels: rising, (L,); stimuli: those of each level; positive, negative: the answers that count.

    A positive answer becomes likelier as the level rises; others than these two say nothing about the axis.
    """

    name: str
    levels: tuple[float, ...]
    stimuli: tuple[tuple[str, ...], ...]
    positive: str
    negative: str


@dataclass(frozen=True)
class AxisAnswer:
    """One answer: the axis, the place of its level among the axis' levels, and whether it was the positive one (None: another)."""

    axis: str
    level: int
    positive: bool | None


class StimulusChooser(Protocol):
    """Says which levels to show next."""

    def choose_levels(
        self, axes: Sequence[Axis], answers: Sequence[AxisAnswer], free: Mapping[str, Sequence[int]]
    ) -> dict[str, int]:
        """Axis -> place of the level to show next, for every axis that is not done; empty: nothing more needs to be asked.

        answers: in the order in which they were given; free: by axis the levels that can still be shown.
        """
        ...


def list_axes(plan: RatingPlan, stimuli: Sequence[Stimulus]) -> tuple[Axis, ...]:
    """The axes of a study. Of pairs 'two people' is the positive answer; of faces the second emotion.

    Faces from one feeling to another at known levels are an axis, one of each base and pair of emotions. Raises LiminalError
    without an axis of FEWEST_LEVELS levels.
    """
    levels: dict[tuple[str, str, str], dict[float, list[str]]] = {}
    for stimulus in stimuli:
        found = _find_place(plan, stimulus)
        if found is not None:
            key, level = found
            levels.setdefault(key, {}).setdefault(level, []).append(stimulus.stimulus)
    axes = tuple(
        Axis(name, tuple(sorted(rows)), tuple(tuple(rows[level]) for level in sorted(rows)), positive, negative)
        for (name, positive, negative), rows in levels.items()
        if len(rows) >= FEWEST_LEVELS
    )
    if not axes:
        raise LiminalError(
            f"These faces lie on no axis of at least {FEWEST_LEVELS} levels; make some by 'python -m core generate axis', "
            "between two people or, with --feelings, from one feeling to another."
        )
    return axes


def _find_place(plan: RatingPlan, stimulus: Stimulus) -> tuple[tuple[str, str, str], float] | None:
    """(axis, positive, negative answer) and level of a stimulus; None where it lies on no axis."""
    details = stimulus.details
    if stimulus.is_sentinel or plan.asks not in ("identity", "emotion"):
        return None
    if plan.asks == "identity" and details.get(AXIS_KEY):
        return (str(details[AXIS_KEY]), "0", "1"), float(details[LEVEL_KEY])
    first, second = details.get("emotion1"), details.get("emotion2")
    if plan.asks == "emotion" and stimulus.sample_type == "morph" and first and second and details.get("step") is not None:
        return (f"{first} to {second}, {stimulus.base_id[:6]}", str(second), str(first)), float(details["step"])
    return None


def read_answers(plan: RatingPlan, axes: Sequence[Axis], ratings: pd.DataFrame) -> list[AxisAnswer]:
    """One rater's answers along the axes, in the order of their trials; ratings: rows of RATINGS of that rater."""
    places = {name: (axis, level) for axis in axes for level, names in enumerate(axis.stimuli) for name in names}
    rows = ratings[ratings["task"] == plan.main_task].sort_values(["trial", "created_at"], kind="stable")
    answers = []
    for name, value in zip(rows["stimulus"], rows["value"], strict=True):
        if name in places:
            axis, level = places[name]
            positive = True if value == axis.positive else False if value == axis.negative else None
            answers.append(AxisAnswer(axis.name, level, positive))
    return answers


def list_next_trials(
    study: Study, stimuli: Sequence[Stimulus], ratings: pd.DataFrame, asked: Sequence[str], chooser: StimulusChooser
) -> list[str]:
    """The stimuli to ask one rater about next, one an axis at most, in random order; none: they are done.

    ratings: that rater's; asked: what they were asked already, answered or not.
    """
    axes = list_axes(study.plan, stimuli)
    known = set(asked)
    checks = sum(stimulus.is_sentinel and stimulus.stimulus in known for stimulus in stimuli)
    left = study.plan.trials - (len(known) - checks)
    if left <= 0:
        return []
    free = {
        axis.name: [level for level, names in enumerate(axis.stimuli) if any(name not in known for name in names)] for axis in axes
    }
    chosen = chooser.choose_levels(axes, read_answers(study.plan, axes, ratings), free)
    trials = [next(name for name in axis.stimuli[chosen[axis.name]] if name not in known) for axis in axes if axis.name in chosen]
    random = numpy_generator(sample_seed(study.plan.seed, "adaptive", *asked[-1:], len(known)))
    return [trials[place] for place in random.permutation(len(trials))][:left]


def make_adaptive_assignment(
    chooser: StimulusChooser, ratings: pd.DataFrame
) -> Callable[[Study, Sequence[Stimulus], Mapping[str, int], int], list[str]]:
    """What ``Store.enrol`` takes: the first trials of a rater, with the study's attention checks among them.

    ratings: an empty table of RATINGS.
    """

    def assign(study: Study, stimuli: Sequence[Stimulus], handed_out: Mapping[str, int], number: int) -> list[str]:
        first = list_next_trials(study, stimuli, ratings, (), chooser)
        checks = [stimulus.stimulus for stimulus in stimuli if stimulus.is_sentinel][: study.plan.sentinels]
        mixed = [*first, *checks]
        random = numpy_generator(sample_seed(study.plan.seed, "adaptive start", number))
        return [mixed[place] for place in random.permutation(len(mixed))]

    return assign
