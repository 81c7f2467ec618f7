"""Simulated studies: observers enrolled, asked and written down like people, and marked as simulated."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.sample_set import SampleSet
from core.sampling.seeds import sample_seed
from core.studies.observers.emotion import EmotionPopulation
from core.studies.observers.identity import IdentityPopulation
from core.studies.observers.perception import SEER, dissimilarities, evidence
from core.studies.ratings import table
from core.studies.study import Kind, Stimulus, Study

PAUSE_MS = 800.0
"""Between two trials: only the answers' times of day depend on it."""

PLANTED: Mapping[Kind, str] = {
    "identity": (
        "Simulated. Planted: every pair has a hidden dissimilarity made of dlib's and SFace's distances, LPIPS and differences of "
        "brightness and smile, plus a residue that no model sees; people see it with noise, judge 'same person' by a criterion of "
        "their own and place the slider by the same look; doubt makes them slower; a few do not pay attention. Calibrated to paper "
        "A's Table 1: mean similarity and identity by sample type. Everything else comes out by itself."
    ),
    "emotion": (
        f"Simulated. Planted: people see each face through {SEER}, which no fine-tuning uses, plus a residue that no model sees, "
        "and answer through a confusion, biases, an acuity and lapses of their own; doubt makes them slower; about a third do not "
        "pay attention. Calibrated to paper B: the bulk of the entropy of choices, of reaction times, their correlation of about "
        "0.4, and the share that fails the attention checks. Everything else comes out by itself."
    ),
}
"""What every figure from simulated answers says, and the note of every simulated study."""


@dataclass(frozen=True)
class Asked:
    """One observer's part: number draws the observer, rater is the name on the answers, trials the stimuli in order."""

    number: int
    rater: str
    trials: tuple[str, ...]


def simulate(
    study: Study,
    stimuli: Sequence[Stimulus],
    asked: Sequence[Asked],
    sets: Mapping[str, SampleSet],
    *,
    seed: int,
    start: datetime,
    population: IdentityPopulation | EmotionPopulation | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Every observer's answers -> a table of RATINGS, source 'simulated'. start: when the first observer begins, in UTC.

    The same seed, number and stimulus give the same answer and the same rating_id, whoever else is asked and in what order.
    """
    progress = progress or Progress()
    seen = _seen(study.plan.kind, sets)
    known = {each.stimulus: each for each in stimuli}
    missing = [name for name in known if name not in seen]
    if missing:
        raise LiminalError(f"The sample sets of the study '{study.name}' lack {len(missing)} of its stimuli; give all of them.")
    people = population or (IdentityPopulation() if study.plan.kind == "identity" else EmotionPopulation())
    rows: list[dict[str, Any]] = []
    for place, each in enumerate(asked):
        progress.stage(f"Asking simulated observer {place + 1} of {len(asked)}", place / len(asked))
        observer = people.observer(seed, each.number)
        clock = start + timedelta(minutes=7 * each.number)
        for trial, name in enumerate(each.trials):
            answers = observer.answers(name, seen[name])
            for task, value, taken in answers:
                clock += timedelta(milliseconds=taken + PAUSE_MS / len(answers))
                rows.append(
                    {
                        "rating_id": rating_id(study.name, seed, each.number, name, task),
                        "study": study.name,
                        "rater": each.rater,
                        "session": f"{each.rater}-1",
                        "trial": trial,
                        "stimulus": name,
                        "task": task,
                        "value": value,
                        "reaction_time_ms": taken,
                        "is_sentinel": known[name].is_sentinel,
                        "source": "simulated",
                        "presented": "{}",
                        "created_at": clock,
                    }
                )
    return table(rows)


def rating_id(study: str, seed: int, number: int, stimulus: str, task: str) -> str:
    """A UUID that the same simulated answer always gets."""
    high = sample_seed(seed, "rating", study, number, stimulus, task)
    low = sample_seed(seed, "rating id", study, number, stimulus, task)
    return str(uuid.UUID(int=(high << 64 | low) & (2**128 - 1), version=4))


def rater_name(number: int) -> str:
    """The name on an observer's answers; numbers count from 0."""
    return f"observer-{number + 1:03d}"


def _seen(kind: Kind, sets: Mapping[str, SampleSet]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in sets.values():
        if each.kind != kind:
            raise LiminalError(f"A study about {kind} cannot ask about a set of {each.kind} samples; choose another set.")
        found.update(dissimilarities(each) if kind == "identity" else evidence(each))
    return found
