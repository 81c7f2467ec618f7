"""Simulated observers in an adaptive study: what each is asked next follows from what they answered before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.sample_set import SampleSet
from core.studies.adaptive import StimulusChooser, list_next_trials
from core.studies.planning import PreparedStudy
from core.studies.ratings import make_ratings_table
from core.studies.simulation import (
    MAX_OBSERVERS,
    PLANTED,
    EmotionPopulation,
    IdentityPopulation,
    ObserverTask,
    SimulatedStudy,
    answer_trial,
    observer_name,
    observers_as_raters,
    perceive_stimuli,
)
from core.studies.study import Study


def simulate_adaptive_study(
    name: str,
    prepared: PreparedStudy,
    sets: Mapping[str, SampleSet],
    find_chooser: Callable[[Sequence[dict[str, Any]]], StimulusChooser],
    *,
    raters: int,
    seed: int,
    start: datetime | None = None,
    progress: Progress | None = None,
) -> SimulatedStudy:
    """As ``simulation.simulate_study``, each observer asked by a chooser. Raises LiminalError for too few or too many raters.

    find_chooser: from rows of RATINGS, the answers of the observers before, to the chooser of the next one.
    """
    if not 1 <= raters <= MAX_OBSERVERS:
        raise LiminalError(f"A simulated study has 1 to {MAX_OBSERVERS:,} observers, not {raters:,}.")
    progress, start = progress or Progress(), start or datetime.now(UTC)
    note = " ".join([PLANTED[prepared.plan.kind], *prepared.notes])
    study = Study(
        name, prepared.plan, source="simulated", closed=True, sample_sets=prepared.sample_sets, note=note, created_at=start
    )
    seen, known = perceive_stimuli(prepared.plan.kind, sets), {stimulus.stimulus: stimulus for stimulus in prepared.stimuli}
    people = IdentityPopulation() if prepared.plan.kind == "identity" else EmotionPopulation()
    every: list[dict[str, Any]] = []
    tasks = []
    for number in range(raters):
        progress.stage(f"Asking simulated observer {number + 1} of {raters}", number / raters)
        observer, clock = people.observer(seed, number), start + timedelta(minutes=7 * number)
        chooser = find_chooser(every)
        asked: list[str] = []
        rows: list[dict[str, Any]] = []
        more = list_next_trials(study, prepared.stimuli, make_ratings_table([]), (), chooser, number)
        while more:
            task = ObserverTask(number, observer_name(number), (*asked, *more))
            for trial, stimulus in enumerate(more, start=len(asked)):
                answered, clock = answer_trial(study, observer, task, trial, known[stimulus], seen[stimulus], clock, seed=seed)
                rows += answered
            asked += more
            more = list_next_trials(study, prepared.stimuli, make_ratings_table(rows), asked, chooser)
        tasks.append(ObserverTask(number, observer_name(number), tuple(asked)))
        every += rows
    ratings = make_ratings_table(every)
    return SimulatedStudy(study, prepared.stimuli, observers_as_raters(study, tasks, ratings), ratings)
