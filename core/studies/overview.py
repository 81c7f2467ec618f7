"""Summaries of one study while it runs and when somebody has finished.

For its owner: progress, votes a stimulus, exclusions and reaction times (``summarise_study``). For a person who took part: how
often others, and the network, gave the same answer (``compare_with_others``, ``compare_with_network``). All are computed from
the tables that the store holds, without loading images.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.studies.exclusions import ExclusionRules, Exclusions, apply_exclusion_rules
from core.studies.ratings import Task
from core.studies.study import Rater, Stimulus, Study

TYPICAL_MS = (500.0, 1500.0)
"""Paper B: most reaction times lie between these, in ms."""


@dataclass(frozen=True)
class StudyProgress:
    """People and answers. expected: trials handed out; answered: trials with at least one answer."""

    enrolled: int
    begun: int
    finished: int
    expected: int
    answered: int


@dataclass(frozen=True)
class VoteCounts:
    """Raters who answered, over all stimuli that are no attention checks. distribution: votes -> number of stimuli, rising."""

    least: int
    median: float
    most: int
    distribution: Mapping[int, int]
    by_stimulus: Mapping[str, int]


@dataclass(frozen=True)
class ReactionTimeQuartiles:
    """Quartiles of one task, in ms. n: answers with a time; outside: share of times outside TYPICAL_MS, in [0, 1]."""

    task: str
    n: int
    lower: float
    median: float
    upper: float
    outside: float


@dataclass(frozen=True)
class StudyOverview:
    """All summaries of one study. exclusions: which rules exclude whom; no answer is deleted."""

    study: Study
    progress: StudyProgress
    votes: VoteCounts
    finished_votes: VoteCounts  # of those who have finished alone
    exclusions: Exclusions
    reaction_times: tuple[ReactionTimeQuartiles, ...]


def summarise_study(
    study: Study, stimuli: Sequence[Stimulus], raters: Sequence[Rater], ratings: pd.DataFrame, rules: ExclusionRules | None = None
) -> StudyOverview:
    """Summarise a study as the store holds it. ratings: a table of RATINGS of this study."""
    return StudyOverview(
        study,
        summarise_progress(raters, ratings),
        summarise_votes(stimuli, ratings),
        summarise_votes(
            stimuli, ratings[ratings["rater"].isin([rater.rater for rater in raters if rater.finished_at is not None])]
        ),
        apply_exclusion_rules(ratings, stimuli, rules or ExclusionRules.of_plan(study.plan)),
        summarise_reaction_times(ratings),
    )


def summarise_progress(raters: Sequence[Rater], ratings: pd.DataFrame) -> StudyProgress:
    """Count people and answers. People whose answers were imported count as enrolled."""
    names = {rater.rater for rater in raters}
    answering = set(ratings["rater"].unique())
    trials = ratings.drop_duplicates(["rater", "stimulus"])
    imported = int((~trials["rater"].isin(list(names))).sum())
    return StudyProgress(
        enrolled=len(names | answering),
        begun=len(answering),
        finished=sum(rater.finished_at is not None for rater in raters),
        expected=sum(len(rater.trials) for rater in raters) + imported,
        answered=len(trials),
    )


def summarise_votes(stimuli: Sequence[Stimulus], ratings: pd.DataFrame) -> VoteCounts:
    """Count the raters of each stimulus, each once whatever the number of tasks."""
    counted = ratings.groupby("stimulus")["rater"].nunique()
    by_stimulus = {stimulus.stimulus: int(counted.get(stimulus.stimulus, 0)) for stimulus in stimuli if not stimulus.is_sentinel}
    numbers = np.array(list(by_stimulus.values()) or [0])
    different, how_many = np.unique(numbers, return_counts=True)
    distribution = {int(votes): int(number) for votes, number in zip(different, how_many, strict=True)} if by_stimulus else {}
    return VoteCounts(int(numbers.min()), float(np.median(numbers)), int(numbers.max()), distribution, by_stimulus)


def summarise_reaction_times(ratings: pd.DataFrame) -> tuple[ReactionTimeQuartiles, ...]:
    """Quartiles for each task that has measured times, in order of appearance."""
    summaries = []
    for task, group in ratings.dropna(subset=["reaction_time_ms"]).groupby("task", sort=False):
        times = group["reaction_time_ms"].to_numpy(np.float64)
        lower, median, upper = (float(value) for value in np.quantile(times, [0.25, 0.5, 0.75]))
        outside = float(((times < TYPICAL_MS[0]) | (times > TYPICAL_MS[1])).mean())
        summaries.append(ReactionTimeQuartiles(str(task), len(times), lower, median, upper, outside))
    return tuple(summaries)


@dataclass(frozen=True)
class LoneAnswer:
    """An image to which most others gave another answer. own: the person's; shares: of the others' answers; n: others."""

    stimulus: str
    own: str
    shares: Mapping[str, float]
    n: int


@dataclass(frozen=True)
class AgreementWithOthers:
    """One person's answers beside the others'.

    people: others who answered about any of the same stimuli; compared: this person's stimuli that others answered about; share:
    of others' answers that equal this person's, averaged over those stimuli, in [0, 1], NaN without any.
    """

    people: int
    compared: int
    share: float
    departures: tuple[LoneAnswer, ...] = ()


@dataclass(frozen=True)
class NetworkAnswer:
    """A network's answer about one stimulus. gaps: for each other answer, how far the network is from giving it."""

    answer: str
    gaps: Mapping[str, float]


def compare_with_others(ratings: pd.DataFrame, rater: str, task: Task, most: int = 2) -> AgreementWithOthers:
    """Compare one person's answers with everybody else's. ratings: a table of RATINGS; most: departures at most, largest first."""
    rows = ratings[(ratings["task"] == task) & ~ratings["is_sentinel"]]
    person_rows = rows[rows["rater"] == rater]
    person_answers = dict(zip(person_rows["stimulus"], person_rows["value"], strict=True))
    others = rows[(rows["rater"] != rater) & rows["stimulus"].isin(list(person_answers))]
    if others.empty:
        return AgreementWithOthers(0, 0, float("nan"))
    same = (others["value"] == others["stimulus"].map(person_answers)).groupby(others["stimulus"]).agg(["mean", "size"])
    alone = same[same["mean"] < 0.5].sort_values(["mean", "size"], ascending=[True, False]).head(most)
    departures = []
    for stimulus, n in alone["size"].items():
        shares = others.loc[others["stimulus"] == stimulus, "value"].value_counts(normalize=True)
        departures.append(
            LoneAnswer(
                str(stimulus),
                str(person_answers[str(stimulus)]),
                {str(name): float(share) for name, share in shares.items()},
                int(n),
            )
        )
    return AgreementWithOthers(int(others["rater"].nunique()), len(same), float(same["mean"].mean()), tuple(departures))


def compare_with_network(
    ratings: pd.DataFrame, rater: str, task: Task, network: Mapping[str, NetworkAnswer]
) -> tuple[int, int, list[str]]:
    """Compare one person's answers with a network's -> (equal answers, answers compared, other stimuli, largest gap first).

    Attention checks are left out: they were chosen because all networks agree about them.
    """
    rows = ratings[(ratings["task"] == task) & ~ratings["is_sentinel"]]
    rows = rows[(rows["rater"] == rater) & rows["stimulus"].isin(list(network))]
    answers = list(zip(rows["stimulus"], rows["value"], strict=True))
    differing = [(network[name].gaps.get(value, 0.0), name) for name, value in answers if network[name].answer != value]
    return len(answers) - len(differing), len(answers), [name for _, name in sorted(differing, reverse=True)]


def load_network_answers(folders: Iterable[Path]) -> tuple[str, dict[str, NetworkAnswer]]:
    """Read (name of the recogniser or guiding classifier, its answer by stimulus) from sample sets. Images are not read."""
    name = ""
    answers: dict[str, NetworkAnswer] = {}
    for folder in folders:
        try:
            manifest = json.loads((folder / "manifest.json").read_bytes())
            identity = manifest["kind"] == "identity"
            name = manifest["configuration"]["recogniser" if identity else "steerer"]
            table = pd.read_parquet(folder / ("pairs.parquet" if identity else "samples.parquet"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LiminalError(f"The sample set {folder} is damaged and cannot be read; copy the whole folder again.") from error
        answers |= _identity_answers(table, name) if identity else _emotion_answers(table)
    return name, answers


def _identity_answers(pairs: pd.DataFrame, recogniser: str) -> dict[str, NetworkAnswer]:
    accepted, distance = pairs[f"accepted_{recogniser}"], pairs[f"distance_{recogniser}"]
    judged = accepted.notna() & (pairs["sample_type"] != "genuine")
    limit = distance[accepted.fillna(False)].max()  # the boundary lies between the furthest accepted and the nearest refused
    middle = (limit + distance[~accepted.fillna(True)].min()) / 2
    answers = {}
    for name, yes, far in zip(pairs["pair_id"][judged], accepted[judged], distance[judged], strict=True):
        answer = "1" if yes else "0"
        gap = abs(float(far) - float(middle)) if pd.notna(middle) else 1.0
        answers[str(name)] = NetworkAnswer(answer, {"1" if answer == "0" else "0": gap})
    return answers


def _emotion_answers(samples: pd.DataFrame) -> dict[str, NetworkAnswer]:
    answers = {}
    for row in samples[["sample_id", *(f"calibrated_{emotion}" for emotion in EMOTIONS)]].to_dict("records"):
        p = {emotion: float(row[f"calibrated_{emotion}"]) for emotion in EMOTIONS}
        best = max(p, key=lambda emotion: p[emotion])
        answers[str(row["sample_id"])] = NetworkAnswer(best, {emotion: 1 - share for emotion, share in p.items()})
    return answers
