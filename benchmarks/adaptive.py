"""One person in few answers: the psi method beside constant stimuli, and faces chosen by expected information beside random ones
(``benchmarks.adaptive_faces``), each on the same simulated people.

Each person has a threshold, a width and a lapse rate of their own. How many trials it takes until the threshold is known to 0.05 of
the axis is counted over people: the median error after so many trials, and the trials at which nine in ten are within it.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.adaptive_faces import list_lines, measure_faces
from core.alignment.psi import AxisPosterior, PsiChooser, choose_level
from core.studies.adaptive import Axis, AxisAnswer

SEED = 11
LEVELS, REPEATS = 21, 12
GOAL = 0.05
CONSTANT_LEVELS = 9
"""Of constant stimuli: as many levels, evenly spread, each equally often, in random order."""
STEPS = (10, 20, 30, 40, 60, 80, 120, 160)


@dataclass(frozen=True)
class AdaptiveSizes:
    """How many simulated people, and how many trials each at most; of faces on no axis apart."""

    people: int = 200
    trials: int = 160
    face_people: int = 200
    face_answers: int = 60


FULL = AdaptiveSizes()
QUICK = AdaptiveSizes(people=30, trials=120, face_people=10, face_answers=40)


def measure(sizes: AdaptiveSizes = FULL) -> dict[str, Any]:
    """All figures of the suite, as plain data."""
    levels = tuple(np.linspace(0, 1, LEVELS).tolist())
    axis = Axis("way", levels, tuple(tuple(f"{at}-{k}" for k in range(REPEATS)) for at in range(LEVELS)), "0", "1")
    steps = [step for step in STEPS if step <= sizes.trials]
    off: dict[str, list[list[float]]] = {"psi": [], "constant": []}
    seconds: list[float] = []
    stopped = []
    for person in range(sizes.people):
        random = np.random.default_rng((SEED, person))
        truth = (random.uniform(0.25, 0.75), random.uniform(0.1, 0.5), random.uniform(0.0, 0.05))
        for method in off:
            errors, done = _ask(method, axis, truth, random, steps, seconds)
            off[method].append(errors)
            if method == "psi":
                stopped.append(done)
    figures: dict[str, Any] = {
        "people": sizes.people,
        "milliseconds_a_choice": 1000 * statistics.median(seconds),
        "trials_when_done": statistics.median(stopped),
        "errors": {},
        "trials_needed": {},
    }
    for method, rows in off.items():
        table = np.array(rows)  # (people, steps)
        figures["errors"][method] = {step: float(np.median(table[:, at])) for at, step in enumerate(steps)}
        within = (table < GOAL).mean(axis=0)
        figures["trials_needed"][method] = next((step for at, step in enumerate(steps) if within[at] >= 0.9), None)
        figures.setdefault("within", {})[method] = {step: float(within[at]) for at, step in enumerate(steps)}
    figures["faces"] = measure_faces(sizes.face_people, sizes.face_answers)
    return figures


def _ask(
    method: str, axis: Axis, truth: tuple[float, float, float], random: np.random.Generator, steps: list[int], seconds: list[float]
) -> tuple[list[float], int]:
    """Error of the threshold after each number of steps, and the trials after which psi would have stopped."""
    chooser, answers, errors, done = PsiChooser(), list[AxisAnswer](), [], 0
    constant = np.linspace(0, LEVELS - 1, CONSTANT_LEVELS).round().astype(int)
    order = np.concatenate([random.permutation(constant) for _ in range(-(-steps[-1] // CONSTANT_LEVELS))])
    left = [REPEATS] * LEVELS
    for trial in range(steps[-1]):
        began = time.perf_counter()
        posterior = AxisPosterior.of(axis, answers)
        if method == "psi":
            level = choose_level(axis, posterior, [at for at, many in enumerate(left) if many])
            left[level] -= 1
            seconds.append(time.perf_counter() - began)
            if not done and chooser.is_done(posterior):
                done = trial
        else:
            level = int(order[trial])
        threshold, width, lapse = truth
        p = lapse + (1 - 2 * lapse) / (1 + math.exp(-(axis.levels[level] - threshold) * 2 * math.log(19) / width))
        answers.append(AxisAnswer(axis.name, level, bool(random.random() < p)))
        if trial + 1 in steps:
            errors.append(abs(AxisPosterior.of(axis, answers).summarise(0)[0] - threshold))
    return errors, done or steps[-1]


def as_text(figures: dict[str, Any]) -> str:
    """The figures in words, each beside what it is to reach."""
    lines = []
    for method, words in (("psi", "The psi method"), ("constant", "Constant stimuli")):
        errors = ", ".join(f"{step}: {error:.3f}" for step, error in figures["errors"][method].items())
        within = ", ".join(f"{step}: {100 * share:.0f} %" for step, share in figures["within"][method].items())
        needed = figures["trials_needed"][method]
        reached = f"{needed} trials" if needed else f"more than {max(figures['errors'][method])} trials"
        lines.append(
            f"{words}, {figures['people']} simulated people: nine in ten thresholds within {GOAL} of the axis after {reached}; "
            f"median error after trials: {errors}; within: {within}"
        )
    lines.append(f"To reach by the psi method: nine in ten within {GOAL} in at most 40 trials, and sooner than constant stimuli")
    lines.append(
        f"The next level is chosen in {figures['milliseconds_a_choice']:.1f} ms, median (to stay under: 50 ms); an axis is done "
        f"after {figures['trials_when_done']:.0f} trials, median"
    )
    return "\n".join([*lines, *list_lines(figures["faces"])])
