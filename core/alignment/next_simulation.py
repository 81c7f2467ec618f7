"""How many answers choosing the next question saves: simulated people asked at random and by expected gain (``information``).

The people are ``core.studies.observers``' attentive ones, drawn from a population that no model here was fitted to; the images are
plain generated faces of the reference population; the group's model is the mean of another sixty of these people. Both arms ask the
same person, start from the same prior and are judged by the same images, which are never asked about.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.alignment.answers import Places
from core.alignment.information import TARGETS, expected_gain
from core.alignment.observer import K, Posterior, Prior, observe, population
from core.analysis.answers import Array
from core.analysis.boundary import Estimate
from core.analysis.results import Basis, Result
from core.errors import LiminalError
from core.progress import Progress
from core.sampling.emotion.reference import load_reference
from core.sampling.seeds import generator_for, sample_seed
from core.studies.observers.emotion import EmotionPopulation
from core.studies.observers.perception import ADAPTATION, FACE_RESIDUE, SEER

CROWD, FITTED, OF_EACH = 60, 20, 150
"""People behind the group's model; of them so many, with so many answers each, the prior is fitted to."""
JUDGED, CANDIDATES, EVERY, DRAWS = 300, 400, 5, 48
RESAMPLES = 1000
AIM = 0.5


@dataclass(frozen=True, kw_only=True)
class NextQuestion(Result):
    """Mean surprise in bits an answer, above what the person's own truth leaves open, after so many answers.

    answers (T,); random, chosen (T,) Estimates over people; needed: chosen answers that reach what random order
    reaches with all of them; share: needed over all, aim AIM or less.
    """

    answers: tuple[int, ...]
    random: tuple[Estimate, ...]
    chosen: tuple[Estimate, ...]
    needed: Estimate
    share: Estimate


@dataclass(frozen=True, eq=False)
class _World:
    evidence: Array  # (N, 6)
    group: Array  # (N, 6)
    pool: Places
    judged: Places
    prior: Prior


def simulate_next(
    generator: str = "dcgan-sharp", *, people: int = 20, answers: int = 80, seed: int = 0, progress: Progress | None = None
) -> NextQuestion:
    """Ask ``people`` simulated people ``answers`` questions each way. Some seconds a person.

    Raises LiminalError for numbers that make no sense.
    """
    if not 2 <= people <= 1000 or not EVERY <= answers <= 500:
        raise LiminalError(f"A simulation takes 2 to 1,000 people and {EVERY} to 500 answers; choose numbers between these.")
    progress = progress or Progress()
    world, observers = _world(generator, seed, progress), EmotionPopulation(inattentive={})
    curves = np.empty((2, people, answers // EVERY + 1))
    for number in range(people):
        truth = observers.observer(sample_seed(seed, "asked"), number).probabilities(world.evidence)
        random = generator_for(sample_seed(seed, "answers", number))
        said = np.array([random.choice(K, p=each / each.sum()) for each in truth], np.intp)
        for arm in range(2):
            progress.stage(f"Asking simulated person {number + 1} of {people}", (number + arm / 2) / people)
            curves[arm, number] = _ask(world, truth, said, answers, bool(arm), sample_seed(seed, "order", number), progress)
    return _result(curves, seed)


def _world(generator: str, seed: int, progress: Progress) -> _World:
    progress.stage("Drawing a crowd", 0.0)
    reference = load_reference(generator)
    seen = np.log(np.maximum(reference.calibrated(SEER, reference.of(SEER)), 1e-12))
    usual = seen.mean(axis=0)
    random = generator_for(sample_seed(seed, "world"))
    evidence = seen - ADAPTATION * (usual - usual.mean()) + FACE_RESIDUE * random.normal(size=seen.shape)
    crowd = [EmotionPopulation(inattentive={}).observer(sample_seed(seed, "crowd"), number) for number in range(CROWD)]
    truths = [each.probabilities(evidence) for each in crowd]
    group = np.mean(truths, axis=0)
    fitted = []
    for truth in truths[:FITTED]:
        shown = random.permutation(len(group))[:OF_EACH]
        fitted.append((group[shown], np.array([random.choice(K, p=truth[each] / truth[each].sum()) for each in shown], np.intp)))
    order = random.permutation(len(group))
    return _World(evidence, group, order[JUDGED:], order[:JUDGED], population(fitted))


def _ask(world: _World, truth: Array, said: Places, answers: int, choose: bool, seed: int, progress: Progress) -> Array:
    """One person, one way of asking -> surprise above the least possible, after 0, EVERY, 2 EVERY ... answers."""
    random = generator_for(seed)
    order = random.permutation(world.pool)
    known: Posterior = observe(world.group[:0], said[:0], world.prior)
    asked: list[int] = []
    least = float(-(truth[world.judged] * np.log2(truth[world.judged])).sum(axis=1).mean())
    curve = []
    for step in range(answers + 1):
        progress.check()
        if step % EVERY == 0:
            guessed = known.probabilities(world.group[world.judged], DRAWS, step)
            curve.append(float(-(truth[world.judged] * np.log2(guessed)).sum(axis=1).mean()) - least)
        if choose:
            left = np.setdiff1d(world.pool, asked)
            some = random.permutation(left)[:CANDIDATES]
            gained = expected_gain(known, world.group[some], world.group[order[:TARGETS]])
            asked.append(int(some[int(gained.argmax())]))
        else:
            asked.append(int(order[step]))
        known = observe(world.group[asked], said[asked], world.prior, known)
    return np.array(curve)


def _result(curves: Array, seed: int) -> NextQuestion:
    """(2, people, T) -> means, intervals over people, and how many answers are needed."""
    _, people, steps = curves.shape
    random = np.random.default_rng(seed)
    drawn = random.integers(0, people, (RESAMPLES, people))
    means, spread = curves.mean(axis=1), curves[:, drawn].mean(axis=2)  # (2, T), (2, RESAMPLES, T)
    low, high = np.quantile(spread, [0.025, 0.975], axis=1)
    total = (steps - 1) * EVERY
    several = np.array([_needed(spread[0, each], spread[1, each]) for each in range(RESAMPLES)])
    ends = np.quantile(several, [0.025, 0.975])
    needed = Estimate(_needed(means[0], means[1]), float(ends[0]), float(ends[1]), people)

    def estimates(arm: int) -> tuple[Estimate, ...]:
        return tuple(Estimate(float(means[arm, at]), float(low[arm, at]), float(high[arm, at]), people) for at in range(steps))

    never = not math.isfinite(needed.value) or needed.value > total
    return NextQuestion(
        basis=Basis(JUDGED, people, 2 * people * total, "simulated"),
        interval="95 %, bootstrap over people",
        note="Choosing did not reach what random order reached." if never else "",
        answers=tuple(range(0, total + 1, EVERY)),
        random=estimates(0),
        chosen=estimates(1),
        needed=needed,
        share=Estimate(needed.value / total, needed.low / total, needed.high / total, people),
    )


def _needed(random: Array, chosen: Array) -> float:
    """Answers at which the chosen order first gets to the last value of the random one, between the steps linearly."""
    goal = random[-1]
    below = np.flatnonzero(chosen <= goal)
    if not len(below):
        return float((len(chosen) - 1) * EVERY + 1)
    first = int(below[0])
    if first == 0:
        return 0.0
    before, after = chosen[first - 1], chosen[first]
    return float((first - 1 + (before - goal) / max(before - after, 1e-12)) * EVERY)
