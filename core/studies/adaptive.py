"""Adaptive studies: the next stimulus follows from the answers so far.

Who chooses is handed in from outside (``StimulusChooser``), so that this folder knows no model. Where stimuli lie on axes, such
as the way from one person to another, it is ``core.alignment.psi``; an axis is a row of stimuli at levels from 0 to 1, several of
which may show the same picture again. Faces that lie on none are chosen by ``core.alignment.face_choice``. A rater is enrolled
with the first trials alone; whenever those are answered, ``list_next_trials`` says what else to ask (``Store.extend``), until the
chooser is done or the plan's number of trials is reached. Nothing is kept but the answers: who comes back goes on where they
were. Attention checks are spread over the trials; those that are left when the chooser is done come last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from core.errors import LiminalError
from core.sampling.configuration import numpy_generator, sample_seed
from core.studies.study import RatingPlan, Stimulus, Study

AXIS_KEY, LEVEL_KEY = "axis", "level"
"""Entries of a stimulus' details: the name of its axis, and where on it it lies, from 0 to 1."""
FEWEST_LEVELS = 5
FEWEST_FACES = 24
"""Of faces on no axis: among fewer there is little to choose."""


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
    """Says which stimuli to show one rater next."""

    def choose_stimuli(
        self, plan: RatingPlan, stimuli: Sequence[Stimulus], ratings: pd.DataFrame, asked: Collection[str], seed: int
    ) -> list[str]:
        """The stimuli to show next, no attention checks among them; none: nothing more needs to be asked.

        ratings: that rater's rows of RATINGS; asked: what they were asked already, answered or not; seed: for choices by chance.
        """
        ...


def find_axes(plan: RatingPlan, stimuli: Sequence[Stimulus]) -> tuple[Axis, ...]:
    """The axes of FEWEST_LEVELS levels or more of a study; none where there are none.

    Of pairs 'two people' is the positive answer; of faces the second emotion. Faces from one feeling to another at known levels
    are an axis, one of each base and pair of emotions.
    """
    levels: dict[tuple[str, str, str], dict[float, list[str]]] = {}
    for stimulus in stimuli:
        found = _find_place(plan, stimulus)
        if found is not None:
            key, level = found
            levels.setdefault(key, {}).setdefault(level, []).append(stimulus.stimulus)
    return tuple(
        Axis(name, tuple(sorted(rows)), tuple(tuple(rows[level]) for level in sorted(rows)), positive, negative)
        for (name, positive, negative), rows in levels.items()
        if len(rows) >= FEWEST_LEVELS
    )


def list_axes(plan: RatingPlan, stimuli: Sequence[Stimulus]) -> tuple[Axis, ...]:
    """As ``find_axes``. Raises LiminalError where there is none."""
    axes = find_axes(plan, stimuli)
    if not axes:
        raise LiminalError(
            f"These faces lie on no axis of at least {FEWEST_LEVELS} levels; make some by 'python -m core generate axis', "
            "between two people or, with --feelings, from one feeling to another."
        )
    return axes


def list_faces(plan: RatingPlan, stimuli: Sequence[Stimulus]) -> list[str]:
    """The faces among which an adaptive study without axes chooses. Raises LiminalError where it cannot choose any."""
    faces = [stimulus.stimulus for stimulus in stimuli if not stimulus.is_sentinel]
    if plan.asks != "emotion":
        list_axes(plan, stimuli)
    if len(faces) < FEWEST_FACES:
        raise LiminalError(
            f"An adaptive study of faces on no axis chooses among at least {FEWEST_FACES}, and there are {len(faces)}; make more, "
            "or ask about all of them."
        )
    return faces


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
    study: Study,
    stimuli: Sequence[Stimulus],
    ratings: pd.DataFrame,
    asked: Sequence[str],
    chooser: StimulusChooser,
    number: int = 0,
) -> list[str]:
    """The stimuli to ask one rater about next, in random order, with the attention checks that are due; none: they are done.

    ratings: that rater's; asked: what they were asked already, answered or not; number: of the rater, where nothing was asked yet.
    """
    plan, known = study.plan, set(asked)
    checks = _order_checks(stimuli)
    checked = len(known.intersection(checks))
    done = len(known) - checked
    seed = sample_seed(plan.seed, "adaptive", asked[-1] if asked else number, len(known))
    trials = chooser.choose_stimuli(plan, stimuli, ratings, known, seed)[: plan.trials - done] if done < plan.trials else []
    due = round(plan.sentinels * (done + len(trials)) / plan.trials) if trials else plan.sentinels
    mixed = [*trials, *[name for name in checks if name not in known][: max(due - checked, 0)]]
    return [mixed[place] for place in numpy_generator(seed).permutation(len(mixed))]


def _order_checks(stimuli: Sequence[Stimulus]) -> list[str]:
    """The attention checks, those with different right answers in turn, so that no answer alone passes the first few."""
    turns: Counter[str] = Counter()
    keyed = []
    for stimulus in stimuli:
        if stimulus.is_sentinel:
            keyed.append((turns[stimulus.expected], stimulus.stimulus))
            turns[stimulus.expected] += 1
    return [name for _, name in sorted(keyed, key=lambda entry: entry[0])]


def make_adaptive_assignment(
    chooser: StimulusChooser, ratings: pd.DataFrame
) -> Callable[[Study, Sequence[Stimulus], Mapping[str, int], int], list[str]]:
    """What ``Store.enrol`` takes: the first trials of a rater. ratings: an empty table of RATINGS."""

    def assign(study: Study, stimuli: Sequence[Stimulus], handed_out: Mapping[str, int], number: int) -> list[str]:
        return list_next_trials(study, stimuli, ratings, (), chooser, number)

    return assign
