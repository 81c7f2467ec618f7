"""How many answers choosing the next question saves: simulated people asked at random and by expected gain (``information``).

The people are ``core.studies.observers``' attentive ones, drawn from a population that no model here was fitted to; the images are
plain generated faces of the reference population; the group's model is the mean of another sixty of these people. All arms ask the
same person, start from the same prior and are judged by the same images, which are never asked about.

What is saved depends on what is to be foretold. goal "everything": answers to faces like those that are asked about. Then any
face tells nearly as much as any other, and even the best order needs most of what random order needs (``possible``). goal
"boundary": answers to faces between two feelings, out of a pool of all kinds; each person in turn has one of the pairs. Random
order then spends answers on other faces; a third arm, random order among faces between these two, tells how much that alone is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from scipy.optimize import isotonic_regression

from core.alignment.answers import Places
from core.alignment.information import TARGETS, between, expected_gain
from core.alignment.observer import K, Posterior, Prior, information_roots, observe, population
from core.analysis.answers import Array
from core.analysis.boundary import Estimate
from core.analysis.results import Basis, Result, sentences
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.emotion.reference import load_reference
from core.sampling.seeds import generator_for, sample_seed
from core.studies.observers.emotion import EmotionPopulation
from core.studies.observers.perception import ADAPTATION, FACE_RESIDUE, SEER

Goal = Literal["everything", "boundary"]
GOALS: tuple[Goal, ...] = get_args(Goal)
Arm = Literal["random", "chosen", "near"]
"""near: at random among the faces between the two feelings."""

CROWD, FITTED, OF_EACH = 60, 20, 150
"""People behind the group's model; of them so many, with so many answers each, the prior is fitted to."""
JUDGED, CANDIDATES, EVERY, DRAWS = 300, 400, 5, 64
LEAST_JUDGED = 40
"""Faces between two feelings that judge, at least: fewer, and the pair is passed over."""
RESAMPLES = 1000
AIM = 0.5


@dataclass(frozen=True, kw_only=True)
class NextQuestion(Result):
    """Mean surprise in bits an answer, above what the person's own truth leaves open, after so many answers.

    answers (T,); random, chosen, near (T,) Estimates over people, near empty where everything matters; needed: answers of the
    chosen order that reach what random order reaches with all of them; share: needed over all, aim AIM or less; near_share: the
    same of the order "near" (NaN without). All three are read from curves made monotone (isotonic regression), so that no chance
    dip counts. pairs: people had these. possible: the share that the best order would need if people were as the model has them;
    less may do where they are not, since answers to other faces then mislead (goal "boundary").
    """

    goal: Goal
    pairs: tuple[tuple[str, str], ...]
    answers: tuple[int, ...]
    random: tuple[Estimate, ...]
    chosen: tuple[Estimate, ...]
    near: tuple[Estimate, ...]
    needed: Estimate
    share: Estimate
    near_share: Estimate
    possible: float


@dataclass(frozen=True, eq=False)
class _World:
    evidence: Array  # (N, 6)
    group: Array  # (N, 6)
    order: Places  # of all faces, at random
    prior: Prior


@dataclass(frozen=True, eq=False)
class _Part:
    """What one person is asked: pool, and of it those like the judged ones; judged: held out, places of faces."""

    pair: tuple[str, str] | None
    judged: Places
    pool: Places
    alike: Places


def simulate_next(
    generator: str = "dcgan-sharp",
    *,
    people: int = 20,
    answers: int = 80,
    goal: Goal = "boundary",
    seed: int = 0,
    progress: Progress | None = None,
) -> NextQuestion:
    """Ask ``people`` simulated people ``answers`` questions in each order. Some seconds a person.

    Raises LiminalError for numbers that make no sense.
    """
    if not 2 <= people <= 1000 or not EVERY <= answers <= 500:
        raise LiminalError(f"A simulation takes 2 to 1,000 people and {EVERY} to 500 answers; choose numbers between these.")
    if goal not in GOALS:
        raise LiminalError(f"'{goal}' is nothing that can be foretold here; there are {' and '.join(GOALS)}.")
    progress = progress or Progress()
    world, observers = _world(generator, seed, progress), EmotionPopulation(inattentive={})
    parts = _parts(world, goal, answers)
    arms: tuple[Arm, ...] = ("random", "chosen") if goal == "everything" else ("random", "chosen", "near")
    curves = np.empty((len(arms), people, answers // EVERY + 1))
    for number in range(people):
        truth = observers.observer(sample_seed(seed, "asked"), number).probabilities(world.evidence)
        random = generator_for(sample_seed(seed, "answers", number))
        said = np.array([random.choice(K, p=each / each.sum()) for each in truth], np.intp)
        part = parts[number % len(parts)]
        for place, arm in enumerate(arms):
            progress.stage(f"Asking simulated person {number + 1} of {people}", (number + place / len(arms)) / people)
            curves[place, number] = _ask(world, part, truth, said, answers, arm, sample_seed(seed, "order", number), progress)
    possible = float(np.mean([_possible(world, part, answers, progress) for part in parts[:people]]))
    return _result(curves, goal, parts[:people], possible, seed)


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
    return _World(evidence, group, random.permutation(len(group)), population(fitted))


def _parts(world: _World, goal: Goal, answers: int) -> list[_Part]:
    """One for all, or one a pair of feelings with enough faces between them to judge by and to ask about."""
    order = world.order
    if goal == "everything":
        return [_Part(None, order[:JUDGED], order[JUDGED:], order[JUDGED:])]
    found = []
    for pair in combinations(EMOTIONS, 2):
        alike = order[np.isin(order, between(world.group, *pair))]
        judged, rest = alike[: len(alike) // 2], alike[len(alike) // 2 :]
        if len(judged) >= LEAST_JUDGED and len(rest) >= answers + 1:
            found.append(_Part(pair, judged[:JUDGED], np.setdiff1d(order, judged), rest))
    if not found:
        raise LiminalError(f"No two feelings have {2 * answers + 2} faces between them; ask fewer questions.")
    return found


def _ask(world: _World, part: _Part, truth: Array, said: Places, answers: int, arm: Arm, seed: int, progress: Progress) -> Array:
    """One person, one way of asking -> surprise above the least possible, after 0, EVERY, 2 EVERY ... answers."""
    random = generator_for(seed)
    order = random.permutation(part.alike if arm == "near" else part.pool)
    targets = world.group[random.permutation(part.alike)[:TARGETS]]
    known: Posterior = observe(world.group[:0], said[:0], world.prior)
    asked: list[int] = []
    judged = part.judged
    least = float(-(truth[judged] * np.log2(truth[judged])).sum(axis=1).mean())
    curve = []
    for step in range(answers + 1):
        progress.check()
        if step % EVERY == 0:
            guessed = known.probabilities(world.group[judged], DRAWS)
            curve.append(float(-(truth[judged] * np.log2(guessed)).sum(axis=1).mean()) - least)
        if arm == "chosen":
            some = random.permutation(np.setdiff1d(part.pool, asked))[:CANDIDATES]
            asked.append(int(some[int(expected_gain(known, world.group[some], targets).argmax())]))
        else:
            asked.append(int(order[step]))
        known = observe(world.group[asked], said[asked], world.prior, known)
    return np.array(curve)


def _possible(world: _World, part: _Part, answers: int, progress: Progress) -> float:
    """The share of ``answers`` that the best order needs for what random order is expected to reach, were the model right.

    Bayesian V-optimal design around the middle person (Chaloner & Verdinelli 1995, Statistical Science 10), one answer at a time.
    """
    mode, pool = world.prior.mean, part.pool[:CANDIDATES]
    roots = information_roots(mode, world.group[pool])
    told = np.einsum("nki,nkj->nij", roots, roots)  # (N, SIZE, SIZE)
    targets = world.group[part.alike[:TARGETS]]
    wanted = information_roots(mode, targets).reshape(-1, len(mode))
    wanted = wanted.T @ wanted
    own = np.diag(world.prior.deviation**-2.0)
    usual = information_roots(mode, world.group[part.pool]).reshape(-1, len(mode))
    goal = float(np.trace(wanted @ np.linalg.inv(own + answers * (usual.T @ usual) / len(part.pool))))
    left = np.ones(len(pool), bool)
    for step in range(answers):
        progress.check()
        covariance: Array = np.linalg.inv(own).astype(np.float64)
        if float(np.trace(wanted @ covariance)) <= goal:
            return step / answers
        gained = expected_gain(Posterior(mode, covariance, step, world.prior), world.group[pool], targets)
        best = int(np.where(left, gained, -np.inf).argmax())
        left[best], own = False, own + told[best]
    return 1.0


def _result(curves: Array, goal: Goal, parts: Sequence[_Part], possible: float, seed: int) -> NextQuestion:
    """(arms, people, T) -> means, intervals over people, and how many answers are needed."""
    arms, people, steps = curves.shape
    drawn = np.random.default_rng(seed).integers(0, people, (RESAMPLES, people))
    means, spread = curves.mean(axis=1), curves[:, drawn].mean(axis=2)  # (arms, T), (arms, RESAMPLES, T)
    low, high = np.quantile(spread, [0.025, 0.975], axis=1)
    total = (steps - 1) * EVERY

    def estimates(arm: int) -> tuple[Estimate, ...]:
        return tuple(Estimate(float(means[arm, at]), float(low[arm, at]), float(high[arm, at]), people) for at in range(steps))

    def needed(arm: int) -> Estimate:
        if arm >= arms:
            return Estimate(float("nan"), float("nan"), float("nan"), 0)
        ends = np.quantile([_needed(spread[0, each], spread[arm, each]) for each in range(RESAMPLES)], [0.025, 0.975])
        return Estimate(_needed(means[0], means[arm]), float(ends[0]), float(ends[1]), people)

    def over_all(each: Estimate) -> Estimate:
        return Estimate(each.value / total, each.low / total, each.high / total, each.n)

    chosen = needed(1)
    return NextQuestion(
        basis=Basis(sum(len(part.judged) for part in parts), people, arms * people * total, "simulated"),
        interval="95 %, bootstrap over people",
        note=sentences("Choosing did not reach what random order reached." if chosen.value > total else ""),
        goal=goal,
        pairs=tuple(part.pair for part in parts if part.pair),
        answers=tuple(range(0, total + 1, EVERY)),
        random=estimates(0),
        chosen=estimates(1),
        near=estimates(2) if arms > 2 else (),
        needed=chosen,
        share=over_all(chosen),
        near_share=over_all(needed(2)),
        possible=possible,
    )


def _needed(random: Array, chosen: Array) -> float:
    """Answers at which the chosen order gets to the last value of the random one, between the steps linearly; one more than all
    where it never does. Both curves (T,) are made monotone first."""
    goal = float(isotonic_regression(random, increasing=False).x[-1])
    curve = isotonic_regression(chosen, increasing=False).x
    below = np.flatnonzero(curve <= goal + 1e-12)
    if not len(below):
        return float((len(chosen) - 1) * EVERY + 1)
    first = int(below[0])
    if first == 0:
        return 0.0
    before, after = curve[first - 1], curve[first]
    return float((first - 1 + (before - goal) / max(before - after, 1e-12)) * EVERY)
