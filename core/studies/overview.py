"""What a study's owner wants to see while it runs: progress, votes an image, attention, reaction times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.studies.exclusions import Exclusions, Rules, exclusions
from core.studies.study import Rater, Stimulus, Study

USUAL_MS = (500.0, 1500.0)
"""Where paper B's reaction times mostly lie."""


@dataclass(frozen=True)
class Progress:
    """People and answers. expected: trials handed out; answered: trials with at least one answer."""

    enrolled: int
    begun: int
    finished: int
    expected: int
    answered: int


@dataclass(frozen=True)
class Votes:
    """Raters who answered, over all stimuli that are no attention checks. distribution: votes -> number of stimuli, rising."""

    least: int
    median: float
    most: int
    distribution: Mapping[int, int]
    by_stimulus: Mapping[str, int]


@dataclass(frozen=True)
class ReactionTimes:
    """Of one task, ms. n: answers with a time; outside: share below or above USUAL_MS."""

    task: str
    n: int
    lower: float
    median: float
    upper: float
    outside: float


@dataclass(frozen=True)
class Overview:
    """All of it, for one study; exclusions: who falls under which rule (nobody's answers are gone)."""

    study: Study
    progress: Progress
    votes: Votes
    exclusions: Exclusions
    reaction_times: tuple[ReactionTimes, ...]


def overview(
    study: Study, stimuli: Sequence[Stimulus], raters: Sequence[Rater], ratings: pd.DataFrame, rules: Rules | None = None
) -> Overview:
    """From what the store holds; ratings: a table of RATINGS of this study."""
    return Overview(
        study,
        progress_of(raters, ratings),
        votes_of(stimuli, ratings),
        exclusions(ratings, stimuli, rules),
        reaction_times_of(ratings),
    )


def progress_of(raters: Sequence[Rater], ratings: pd.DataFrame) -> Progress:
    """People who answered without having been enrolled here (imported ones) count as enrolled."""
    names = {each.rater for each in raters}
    answering = set(ratings["rater"].unique())
    trials = ratings.drop_duplicates(["rater", "stimulus"])
    imported = int((~trials["rater"].isin(list(names))).sum())
    return Progress(
        enrolled=len(names | answering),
        begun=len(answering),
        finished=sum(each.finished_at is not None for each in raters),
        expected=sum(len(each.trials) for each in raters) + imported,
        answered=len(trials),
    )


def votes_of(stimuli: Sequence[Stimulus], ratings: pd.DataFrame) -> Votes:
    """Counts each rater once a stimulus, whatever the number of tasks."""
    counted = ratings.groupby("stimulus")["rater"].nunique()
    by_stimulus = {each.stimulus: int(counted.get(each.stimulus, 0)) for each in stimuli if not each.is_sentinel}
    numbers = np.array(list(by_stimulus.values()) or [0])
    found, how_many = np.unique(numbers, return_counts=True)
    distribution = {int(votes): int(number) for votes, number in zip(found, how_many, strict=True)} if by_stimulus else {}
    return Votes(int(numbers.min()), float(np.median(numbers)), int(numbers.max()), distribution, by_stimulus)


def reaction_times_of(ratings: pd.DataFrame) -> tuple[ReactionTimes, ...]:
    """One summary a task that has measured times, in order of appearance."""
    found = []
    for task, group in ratings.dropna(subset=["reaction_time_ms"]).groupby("task", sort=False):
        times = group["reaction_time_ms"].to_numpy(np.float64)
        lower, median, upper = (float(value) for value in np.quantile(times, [0.25, 0.5, 0.75]))
        outside = float(((times < USUAL_MS[0]) | (times > USUAL_MS[1])).mean())
        found.append(ReactionTimes(str(task), len(times), lower, median, upper, outside))
    return tuple(found)
