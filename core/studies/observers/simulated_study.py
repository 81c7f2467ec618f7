"""A whole simulated study: a plan, observers assigned as people are, their answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.sample_set import SampleSet
from core.studies.assignment import assign
from core.studies.observers.emotion import EmotionPopulation
from core.studies.observers.identity import IdentityPopulation
from core.studies.observers.simulate import PLANTED, Asked, rater_name, simulate
from core.studies.planning import Prepared
from core.studies.study import Rater, Stimulus, Study, new_code

MOST = 10_000


@dataclass(frozen=True)
class SimulatedStudy:
    """What ``Store.restore`` takes."""

    study: Study
    stimuli: tuple[Stimulus, ...]
    raters: tuple[Rater, ...]
    ratings: pd.DataFrame


def simulated_study(
    name: str,
    prepared: Prepared,
    sets: Mapping[str, SampleSet],
    *,
    raters: int,
    seed: int,
    start: datetime | None = None,
    population: IdentityPopulation | EmotionPopulation | None = None,
    progress: Progress | None = None,
) -> SimulatedStudy:
    """Observers 0 to ``raters`` - 1 take part one after the other. sets: by set_id, all that were prepared. start: None is now.

    Raises LiminalError for a number of raters that makes no sense.
    """
    if not 1 <= raters <= MOST:
        raise LiminalError(f"A simulated study has 1 to {MOST:,} observers, not {raters:,}.")
    start = start or datetime.now(UTC)
    note = " ".join([PLANTED[prepared.plan.kind], *prepared.notes])
    study = Study(
        name, prepared.plan, source="simulated", closed=True, sample_sets=prepared.sample_sets, note=note, created_at=start
    )
    handed_out: Counter[str] = Counter()
    asked = []
    for number in range(raters):
        trials = tuple(assign(study, prepared.stimuli, handed_out, number))
        handed_out.update(trials)
        asked.append(Asked(number, rater_name(number), trials))
    ratings = simulate(study, prepared.stimuli, asked, sets, seed=seed, start=start, population=population, progress=progress)
    return SimulatedStudy(study, prepared.stimuli, enrolled_of(study, asked, ratings), ratings)


def enrolled_of(study: Study, asked: list[Asked], ratings: pd.DataFrame) -> tuple[Rater, ...]:
    """The observers as raters who have finished."""
    spans = ratings.groupby("rater")["created_at"].agg(["min", "max"])
    return tuple(
        Rater(
            each.rater,
            study.name,
            new_code(),
            each.trials,
            source="simulated",
            finished_at=spans["max"][each.rater].to_pydatetime(),
            created_at=spans["min"][each.rater].to_pydatetime(),
        )
        for each in asked
    )
