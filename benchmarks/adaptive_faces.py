"""Faces chosen by expected information beside faces at random: how many answers both need for the same held-out log loss.

Every simulated person is asked twice, by ``core.alignment.face_choice`` and at random; the answers to a face are the same both
times, and so is the group's model, which has learned from others' answers to faces at random. After every few answers the person's
model foretells faces of the study that they are never asked about; its log loss is counted above what the person's own truth leaves
open. What choosing needs to reach what random order reaches with all answers, over all answers, is the share; 0.5 is the aim.

*demonstration*: all faces that were made between two feelings for the demonstration, about which networks are torn and people less
often. *torn*: faces of the head's reference population about which people are torn (paper B's success: two feelings above a quarter
each, above 0.6 together), so that any face tells about as much as any other. People have confusions of their own, which the model
of a person does not know.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression

from core.alignment.data import IndexArray
from core.alignment.face_choice import FaceTable, GroupPredictions, choose_face, find_torn, fit_group
from core.alignment.observer import fit_person
from core.analysis.encode import select_probabilities
from core.analysis.estimate import Array
from core.models.emotions import EMOTIONS
from core.sampling.sample_set import SampleSet
from core.sampling.stored.reference import load_reference_set
from core.studies.demonstration import DEMONSTRATION_FOLDER
from core.studies.ratings import UNKNOWN_TIME, Rating, make_ratings_table
from core.studies.simulation import (
    ADAPTATION,
    FACE_RESIDUE,
    HIDDEN_CLASSIFIER,
    EmotionPopulation,
    perceive_evidence,
)

SEED = 19
HELD_OUT = 3
"""One in so many of the faces is held out from each person, others from the next; the group's model knows them."""
PLAIN = 900
"""Faces of the reference population, among which those are that people are torn about."""
EVERY = 5
RESAMPLES = 1000
AIM = 0.5


@dataclass(frozen=True, eq=False)
class SimulatedFaces:
    """The faces of a study: their names, features of classifiers (N, F), and the evidence that people see in them (N, 6)."""

    table: FaceTable
    evidence: Array


STUDIES = (("demonstration", 60), ("demonstration", 20), ("torn", 60))
"""Faces, and how many people answered before, from whom the group's model has learned."""


def measure_faces(people: int, answers: int) -> dict[str, Any]:
    """All studies, by their faces and the people before; answers: of each person, those before too."""
    made = {"torn": _draw_torn, "demonstration": _read_demonstration}
    return {f"{name}, {before} people before": _measure_study(made[name](), people, before, answers) for name, before in STUDIES}


def _draw_torn() -> SimulatedFaces:
    reference = load_reference_set("head")
    seen = np.log(np.maximum(reference.calibrated(HIDDEN_CLASSIFIER, reference.classifier_logits(HIDDEN_CLASSIFIER)), 1e-12))
    usual = seen.mean(axis=0)
    evidence = seen - ADAPTATION * (usual - usual.mean())
    evidence += FACE_RESIDUE * np.random.default_rng(SEED).normal(size=seen.shape)
    logits = [reference.classifier_logits(name).astype(np.float64) for name in reference.logits if name != HIDDEN_CLASSIFIER]
    torn = find_torn(_average_crowd(evidence[:PLAIN]))
    return _make_faces([f"{row:04d}" for row in torn], np.concatenate(logits, axis=1)[torn], evidence[torn])


def _average_crowd(evidence: Array) -> Array:
    """What sixty people say of each face on average (N, 6)."""
    mean: Array = _draw_people(evidence, 60, 5).mean(axis=0)
    return mean


def _read_demonstration() -> SimulatedFaces:
    names, features, evidence = [], [], []
    for folder in sorted((DEMONSTRATION_FOLDER / "sets").iterdir()):
        sample_set = SampleSet.load(folder)
        if sample_set.kind != "emotion":
            continue
        samples = sample_set.samples[sample_set.samples["sample_type"] == "boundary"]
        seen, configuration = perceive_evidence(sample_set), sample_set.emotion
        logs = [
            np.log(np.maximum(select_probabilities(samples, name, configuration.steerer), 1e-4))
            for name in configuration.classifiers
            if name != HIDDEN_CLASSIFIER
        ]
        names += list(samples["sample_id"])
        features.append(np.concatenate(logs, axis=1))
        evidence += [seen[name] for name in samples["sample_id"]]
    return _make_faces(names, np.concatenate(features), np.array(evidence))


def _make_faces(names: Sequence[str], features: Array, evidence: Array) -> SimulatedFaces:
    scaled = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-9)
    return SimulatedFaces(FaceTable(tuple(names), scaled), evidence)


def _draw_people(evidence: Array, count: int, seed: int) -> Array:
    """What each of ``count`` people would answer about each face: probabilities (count, N, 6)."""
    observers = [EmotionPopulation(inattentive={}).observer(SEED + seed, number) for number in range(count)]
    return np.stack([observer.probabilities(evidence) for observer in observers])


def _draw_answers(p: Array, random: np.random.Generator) -> IndexArray:
    """One answer (N,) from each row of probabilities (N, 6)."""
    answers: IndexArray = (random.random((len(p), 1)) > p.cumsum(axis=1)).sum(axis=1).clip(0, len(EMOTIONS) - 1)
    return answers


def _measure_study(faces: SimulatedFaces, people: int, before: int, answers: int) -> dict[str, Any]:
    names, random = faces.table.faces, np.random.default_rng((SEED, 2))
    rows = []
    for number, p in enumerate(_draw_people(faces.evidence, before, 1)):
        asked, said = random.permutation(len(names))[:answers], _draw_answers(p, random)
        rows += [
            Rating("faces", f"other-{number}", names[face], "emotion", EMOTIONS[said[face]], source="simulated").to_row()
            for face in asked
        ]
    group = fit_group(faces.table, make_ratings_table([{**row, "trial": 0, "created_at": UNKNOWN_TIME} for row in rows]))
    assert group is not None
    seconds: list[float] = []
    curves = np.empty((2, people, answers // EVERY + 1))
    for number, p in enumerate(_draw_people(faces.evidence, people, 3)):
        random = np.random.default_rng((SEED, 4, number))
        held = random.permutation(len(names))[: len(names) // HELD_OUT]
        said, order = _draw_answers(p, random), random.permutation(np.setdiff1d(np.arange(len(names)), held))
        for method, chosen in enumerate((False, True)):
            curves[method, number] = _ask_person(group, said, order, held, p[held], answers, chosen, seconds)
    held_out = len(names) // HELD_OUT
    return _describe_curves(curves, len(names) - held_out, held_out, seconds)


def _ask_person(
    group: GroupPredictions,
    said: IndexArray,
    order: IndexArray,
    held: IndexArray,
    truth: Array,
    answers: int,
    chosen: bool,
    seconds: list[float],
) -> list[float]:
    """Log loss on the held-out faces above the least possible, bits, after 0, EVERY, 2 EVERY ... answers.

    said: what the person says of every face; truth (held, 6): their probabilities; seconds: gets those of every choice.
    """
    asked: list[int] = []
    predicted, random, curve = group.predict(), np.random.default_rng(SEED), []
    person = fit_person(predicted[asked], said[asked], group.prior)
    for step in range(answers + 1):
        began = time.perf_counter()
        person = fit_person(predicted[asked], said[asked], group.prior, person)
        face = int(order[step % len(order)])
        if chosen:
            face = choose_face(person, predicted, group.votes, order[~np.isin(order, asked)], random)
            seconds.append(time.perf_counter() - began)
        if step % EVERY == 0:
            guessed = person.probabilities(predicted[held])
            curve.append(float((truth * np.log2(truth / guessed)).sum(axis=1).mean()))
        asked.append(face)
    return curve


def _describe_curves(curves: Array, pool: int, held: int, seconds: list[float]) -> dict[str, Any]:
    """curves (2, people, T): of random order and of chosen faces."""
    people, steps = curves.shape[1:]
    drawn = np.random.default_rng(SEED).integers(0, people, (RESAMPLES, people))
    means, spread = curves.mean(axis=1), curves[:, drawn].mean(axis=2)  # (2, T), (2, RESAMPLES, T)
    figures: dict[str, Any] = {
        "people": people,
        "faces": pool,
        "held_out_faces": held,
        "milliseconds_a_choice": 1000 * statistics.median(seconds),
        "log_loss": {
            name: {step * EVERY: float(curve[step]) for step in range(steps)}
            for name, curve in zip(("random", "chosen"), means, strict=True)
        },
        "needed": {},
    }
    for step in range(20 // EVERY, steps, 20 // EVERY):
        ends = [_count_needed(spread[0, row, : step + 1], spread[1, row]) for row in range(RESAMPLES)]
        low, high = np.quantile(ends, [0.025, 0.975])
        figures["needed"][step * EVERY] = {
            "answers": _count_needed(means[0, : step + 1], means[1]),
            "low": float(low),
            "high": float(high),
        }
    return figures


def _count_needed(random: Array, chosen: Array) -> float:
    """Answers at which the chosen faces get to the last value of the random ones, linear between steps; one more than all where
    they never do. Both curves are made monotone first, so that no chance dip counts."""
    goal = float(isotonic_regression(random, increasing=False).x[-1])
    curve = isotonic_regression(chosen, increasing=False).x
    below = np.flatnonzero(curve <= goal + 1e-12)
    if not len(below):
        return float((len(chosen) - 1) * EVERY + 1)
    first = int(below[0])
    if first == 0:
        return 0.0
    before, after = float(curve[first - 1]), float(curve[first])
    return (first - 1 + (before - goal) / max(before - after, 1e-12)) * EVERY


def list_lines(figures: dict[str, Any]) -> list[str]:
    """The figures in words."""
    lines = []
    for name, study in figures.items():
        lines.append(
            f"Faces on no axis, '{name}': {study['people']} simulated people, {study['faces']} faces to choose among, log loss on "
            f"{study['held_out_faces']} others; the next face in {study['milliseconds_a_choice']:.1f} ms, median"
        )
        for random, row in study["needed"].items():
            value, low, high = (row[key] / int(random) for key in ("answers", "low", "high"))
            lines.append(
                f"  as well as {random} faces at random: {row['answers']:.0f} chosen ({row['low']:.0f} to {row['high']:.0f}), a "
                f"share of {value:.2f} ({low:.2f} to {high:.2f}; aim {AIM})"
            )
    return lines
