"""Simulated studies: the evidence in each stimulus, observers who are assigned stimuli as people are, and their answers.

The evidence is the same for all observers: the hidden truth behind simulated answers. Pairs: a perceived dissimilarity,
0 for equal pictures, about 1 for two strangers: recognisers' distances over their thresholds, LPIPS, and differences of looks,
plus a residue of the pair's own that no model sees. Faces: evidence for each emotion (log units) from the calibrated answers of
``HIDDEN_CLASSIFIER``, which never steers and is never fine-tuned, relative to what it says of reference faces, plus a residue.
Answers are marked as simulated; the same seed, observer and stimulus always give the same answer and id.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.configuration import numpy_generator, sample_seed
from core.sampling.sample_set import SampleSet
from core.sampling.stored.reference import load_reference_set
from core.studies.observers.people import EmotionPopulation, IdentityPopulation
from core.studies.planning import PreparedStudy, assign_stimuli
from core.studies.ratings import make_ratings_table
from core.studies.study import Kind, Rater, Stimulus, Study, new_code

Array = NDArray[np.float64]

HIDDEN_CLASSIFIER = "small-cnn"
"""The classifier whose probabilities are the observers' evidence; nothing that learns from their answers uses it."""

ADAPTATION = 0.5
"""Share of HIDDEN_CLASSIFIER's mean log probabilities of reference faces that is removed; else nobody would see disgust."""

DISSIMILARITY_WEIGHTS: Mapping[str, float] = {"dlib": 0.55, "sface": 0.10, "lpips": 0.15, "looks": 0.20}
"""Weights of the parts of the dissimilarity. Without a recogniser's distance the others share its weight."""
STRANGER_MEANS = {"dlib": 1.03, "sface": 1.19, "lpips": 0.56}
"""Each part's mean between strangers of dcgan-sharp: recognisers in their thresholds, LPIPS in its own units."""
LOOK_SCALES = {"face": 0.08, "hair": 0.12, "happiness": 0.35}
"""A difference of brightness of face and hair (grey levels in [0, 1]) and of happiness (mini-XCEPTION's) that counts as 1."""

PAIR_RESIDUE = 0.07
"""Standard deviation of a pair's residue, in dissimilarities; smaller for near pairs, so that equal pictures look equal."""
FACE_RESIDUE = 0.12
"""Standard deviation of a face's residue, log units an emotion."""


def perceive_dissimilarities(sample_set: SampleSet) -> dict[str, float]:
    """pair_id -> perceived dissimilarity, at least 0."""
    pairs, looks = sample_set.pairs, _measure_looks(sample_set)
    base = np.stack([looks[name] for name in pairs["base_id"]])
    sample = np.stack([looks[name] for name in pairs["sample_id"]])
    parts = {"lpips": pairs["lpips"].to_numpy(np.float64) / STRANGER_MEANS["lpips"]}
    parts["looks"] = np.minimum(np.abs(base - sample) / list(LOOK_SCALES.values()), 2.0).mean(axis=1)
    thresholds = sample_set.manifest.get("thresholds", {})
    for name in ("dlib", "sface"):
        if f"distance_{name}" in pairs and name in thresholds:
            parts[name] = pairs[f"distance_{name}"].to_numpy(np.float64) / thresholds[name] / STRANGER_MEANS[name]
    values = np.stack([parts[name] for name in parts])  # (parts, pairs)
    weights = np.array([DISSIMILARITY_WEIGHTS[name] for name in parts])[:, None] * np.isfinite(values)
    seen = (np.nan_to_num(values) * weights).sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-9)
    dissimilarities = {}
    for name, value in zip(pairs["pair_id"], seen, strict=True):
        residue = PAIR_RESIDUE * numpy_generator(sample_seed(0, "pair residue", name)).normal() * min(value / 0.3, 1.0)
        dissimilarities[str(name)] = max(float(value + residue), 0.0)
    return dissimilarities


def perceive_evidence(sample_set: SampleSet) -> dict[str, Array]:
    """sample_id -> evidence (6,) over EMOTIONS, log units. Raises LiminalError without HIDDEN_CLASSIFIER's probabilities."""
    configuration, samples = sample_set.emotion, sample_set.samples
    if HIDDEN_CLASSIFIER not in configuration.judges:
        raise LiminalError(
            f"Simulated observers see through {HIDDEN_CLASSIFIER}, which did not judge this sample set; make it again with "
            f"{HIDDEN_CLASSIFIER} among its judges."
        )
    calibrated = samples[[f"calibrated_{HIDDEN_CLASSIFIER}_{emotion}" for emotion in EMOTIONS]].to_numpy(np.float64)
    reference = load_reference_set(configuration.generator)
    usual = np.log(reference.calibrated(HIDDEN_CLASSIFIER, reference.classifier_logits(HIDDEN_CLASSIFIER))).mean(axis=0)
    seen = np.log(np.maximum(calibrated, 1e-12)) - ADAPTATION * (usual - usual.mean())
    evidence = {}
    for name, row in zip(samples["sample_id"], seen, strict=True):
        residue = FACE_RESIDUE * numpy_generator(sample_seed(0, "face residue", name)).normal(size=len(EMOTIONS))
        evidence[str(name)] = row + residue
    return evidence


def _measure_looks(sample_set: SampleSet) -> dict[str, Array]:
    """sample_id -> mean grey level of face and hair, and mini-XCEPTION's happiness (0 where it is missing)."""
    column = "p_mini-xception_happiness"
    samples = sample_set.samples
    happy = samples[column].to_numpy(np.float64) if column in samples else np.zeros(len(samples))
    looks = {}
    for name, smile in zip(samples["sample_id"], happy, strict=True):
        grey = sample_set.images[name].mean(axis=2) / 255
        side = grey.shape[0]
        face = grey[side * 3 // 8 : side * 7 // 8, side // 4 : side * 3 // 4].mean()
        hair = grey[: max(side // 6, 1), side // 5 : max(side * 4 // 5, 1)].mean()
        looks[str(name)] = np.array([face, hair, smile])
    return looks


PAUSE_MS = 800.0
"""Pause between two trials; it only changes the times of day of answers."""

PLANTED: Mapping[Kind, str] = {
    "identity": (
        "Simulated. Planted: every pair has a hidden dissimilarity made of dlib's and SFace's distances, LPIPS and differences of "
        "brightness and smile, plus a residue that no model sees; people see it with noise, judge 'same person' by a criterion of "
        "their own and place the slider by the same look; doubt makes them slower; a few do not pay attention. Calibrated to paper "
        "A's Table 1: mean similarity and identity by sample type. Everything else comes out by itself."
    ),
    "emotion": (
        f"Simulated. Planted: people see each face through {HIDDEN_CLASSIFIER}, which no fine-tuning uses, plus a residue that no "
        "model sees, and answer through a confusion, biases, an acuity and lapses of their own; doubt makes them slower; about a "
        "third do not pay attention. Calibrated to paper B: the bulk of the entropy of choices, of reaction times, their "
        "correlation of about 0.4, and the share that fails the attention checks. Everything else comes out by itself."
    ),
}
"""The planted relations: the note of every simulated study and of every figure from simulated answers."""


@dataclass(frozen=True)
class ObserverTask:
    """One observer's trials. number: draws the observer; rater: the name on the answers; trials: stimuli in order."""

    number: int
    rater: str
    trials: tuple[str, ...]


def simulate_answers(
    study: Study,
    stimuli: Sequence[Stimulus],
    observers: Sequence[ObserverTask],
    sets: Mapping[str, SampleSet],
    *,
    seed: int,
    start: datetime,
    population: IdentityPopulation | EmotionPopulation | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Simulate every observer's answers -> a table of RATINGS, source 'simulated'. start: of the first observer, in UTC.

    The same seed, number and stimulus give the same answer and the same rating_id, whoever else is asked and in what order.
    """
    progress = progress or Progress()
    seen = _perceive_stimuli(study.plan.kind, sets)
    known = {stimulus.stimulus: stimulus for stimulus in stimuli}
    missing = [name for name in known if name not in seen]
    if missing:
        raise LiminalError(f"The sample sets of the study '{study.name}' lack {len(missing)} of its stimuli; give all of them.")
    people = population or (IdentityPopulation() if study.plan.kind == "identity" else EmotionPopulation())
    rows: list[dict[str, Any]] = []
    for index, assigned in enumerate(observers):
        progress.stage(f"Asking simulated observer {index + 1} of {len(observers)}", index / len(observers))
        observer = people.observer(seed, assigned.number)
        clock = start + timedelta(minutes=7 * assigned.number)
        for trial, name in enumerate(assigned.trials):
            answers = observer.answers(name, seen[name])
            for task, value, taken in answers:
                clock += timedelta(milliseconds=taken + PAUSE_MS / len(answers))
                rows.append(
                    {
                        "rating_id": derive_rating_id(study.name, seed, assigned.number, name, task),
                        "study": study.name,
                        "rater": assigned.rater,
                        "session": f"{assigned.rater}-1",
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
    return make_ratings_table(rows)


def derive_rating_id(study: str, seed: int, number: int, stimulus: str, task: str) -> str:
    """The UUID of a simulated answer, always the same."""
    high = sample_seed(seed, "rating", study, number, stimulus, task)
    low = sample_seed(seed, "rating id", study, number, stimulus, task)
    return str(uuid.UUID(int=(high << 64 | low) & (2**128 - 1), version=4))


def observer_name(number: int) -> str:
    """The name on an observer's answers. number: from 0."""
    return f"observer-{number + 1:03d}"


def _perceive_stimuli(kind: Kind, sets: Mapping[str, SampleSet]) -> dict[str, Any]:
    perceived: dict[str, Any] = {}
    for sample_set in sets.values():
        if sample_set.kind != kind:
            raise LiminalError(f"A study about {kind} cannot ask about a set of {sample_set.kind} samples; choose another set.")
        perceived.update(perceive_dissimilarities(sample_set) if kind == "identity" else perceive_evidence(sample_set))
    return perceived


MAX_OBSERVERS = 10_000


@dataclass(frozen=True)
class SimulatedStudy:
    """A simulated study, as ``Store.restore`` takes it."""

    study: Study
    stimuli: tuple[Stimulus, ...]
    raters: tuple[Rater, ...]
    ratings: pd.DataFrame


def simulate_study(
    name: str,
    prepared: PreparedStudy,
    sets: Mapping[str, SampleSet],
    *,
    raters: int,
    seed: int,
    start: datetime | None = None,
    population: IdentityPopulation | EmotionPopulation | None = None,
    progress: Progress | None = None,
) -> SimulatedStudy:
    """Simulate a study of observers 0 to ``raters`` - 1. sets: by set_id, all of ``prepared``. start: None is now.

    Raises LiminalError for too few or too many raters.
    """
    if not 1 <= raters <= MAX_OBSERVERS:
        raise LiminalError(f"A simulated study has 1 to {MAX_OBSERVERS:,} observers, not {raters:,}.")
    start = start or datetime.now(UTC)
    note = " ".join([PLANTED[prepared.plan.kind], *prepared.notes])
    study = Study(
        name, prepared.plan, source="simulated", closed=True, sample_sets=prepared.sample_sets, note=note, created_at=start
    )
    handed_out: Counter[str] = Counter()
    observers = []
    for number in range(raters):
        trials = tuple(assign_stimuli(study, prepared.stimuli, handed_out, number))
        handed_out.update(trials)
        observers.append(ObserverTask(number, observer_name(number), trials))
    ratings = simulate_answers(
        study, prepared.stimuli, observers, sets, seed=seed, start=start, population=population, progress=progress
    )
    return SimulatedStudy(study, prepared.stimuli, observers_as_raters(study, observers, ratings), ratings)


def observers_as_raters(study: Study, tasks: list[ObserverTask], ratings: pd.DataFrame) -> tuple[Rater, ...]:
    """The observers as Raters who have finished."""
    spans = ratings.groupby("rater")["created_at"].agg(["min", "max"])
    return tuple(
        Rater(
            observer.rater,
            study.name,
            new_code(),
            observer.trials,
            source="simulated",
            finished_at=spans["max"][observer.rater].to_pydatetime(),
            created_at=spans["min"][observer.rater].to_pydatetime(),
        )
        for observer in tasks
    )
