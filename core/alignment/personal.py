"""One person beside the group: biases, sensitivity and lapses with intervals, and which model predicts their answers better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.alignment.alignment import Alignment
from core.alignment.data import IndexArray
from core.alignment.observer import BIAS_PARAMETERS, MIN_PROBABILITY, PersonPosterior, PersonPrior, fit_prior
from core.alignment.response_patterns import Noticed, learn_person
from core.analysis.estimate import Array, Basis, Estimate, Result, bootstrap_estimate, undefined_estimate
from core.errors import LiminalError
from core.models.emotions import EMOTIONS

MIN_ANSWERS = 30
"""With fewer answers nothing is estimated of a person."""
PROFILE_DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class PersonProfile(Result):
    """Estimates from a person's answers. All NaN, with a note, under MIN_ANSWERS answers, and where these ignore the faces.

    bias: emotion -> how many times as often as by the group it is named where the group is undecided (1: as often). departs: the
    emotions whose interval excludes 1. sensitivity: 1: as the group's model, more is sharper. lapse: share of answers that are
    guesses. noticed: 'fixed' or 'random' where the answers ignore the faces, else ''.
    """

    rater: str
    noticed: Noticed = ""
    bias: Mapping[str, Estimate]
    departs: tuple[str, ...]
    sensitivity: Estimate
    lapse: Estimate


@dataclass(frozen=True, kw_only=True)
class RunningScore(Result):
    """Each answer predicted from the ones before, by the individual's model and by the group's: surprise in bits.

    own, group (n,): surprise at each answer. own_right, group_right (n,): 1 where the most probable answer was given, else 0. gain:
    mean of group minus own, in bits an answer: above 0 the individual's model predicts better.
    """

    rater: str
    own: Array
    group: Array
    own_right: Array
    group_right: Array
    gain: Estimate


def fit_crowd_prior(alignment: Alignment, classifier: str, *, at_most: int = 100) -> PersonPrior:
    """Fit the spread between the people of a study under the group's model, to the first ``at_most`` with enough answers.

    Takes a second or two. Raises LiminalError before the group's model is trained.
    """
    p, answers = alignment.group(classifier).images, alignment.answers
    people: list[tuple[Array, IndexArray]] = []
    for rater in range(len(answers.raters)):
        rows = np.flatnonzero(answers.rater == rater)
        if len(rows) >= MIN_ANSWERS and len(people) < at_most:
            people.append((p[answers.image[rows]], answers.emotion[rows]))
    return fit_prior(people)


def select_person_answers(alignment: Alignment, classifier: str, rater: str) -> tuple[Array, IndexArray]:
    """The group's probabilities of the images that a person answered about (n, 6), and the answers (n,)."""
    answers = alignment.answers
    rows = np.flatnonzero(answers.rater == answers.index_of(rater))
    return alignment.group(classifier).images[answers.image[rows]], answers.emotion[rows]


def learn_rater(alignment: Alignment, classifier: str, rater: str) -> PersonPosterior:
    """The model of one person of the study. Raises LiminalError for an unknown person and for fewer than MIN_ANSWERS answers."""
    group, answered = select_person_answers(alignment, classifier, rater)
    if len(answered) < MIN_ANSWERS:
        raise LiminalError(
            f"'{rater}' gave {len(answered)} answers, and a person's model needs {MIN_ANSWERS}; choose somebody else or ask more."
        )
    return learn_person(group, answered, fit_crowd_prior(alignment, classifier)).shift


def profile_person(
    rater: str, group: Array, answered: IndexArray, prior: PersonPrior | None = None, *, source: str = "people", seed: int = 0
) -> PersonProfile:
    """Profile a person from the group's probabilities (n, 6) of the images and the person's answers (n,)."""
    n = len(answered)
    basis = Basis(n, 1, n, source)
    interval = "95 % of the posterior (Laplace), under a prior as wide as the people of the study differ, or a wider one"
    person = learn_person(group, answered, prior)
    if n < MIN_ANSWERS or person.noticed:
        nothing = undefined_estimate(n)
        note = f"Too few answers to say anything of this person: {n} of {MIN_ANSWERS}; {MIN_ANSWERS - n} more are needed."
        if person.noticed == "fixed":
            note = f"The answers ignore the faces: {int(person.counts.max())} of {n} are {EMOTIONS[int(person.counts.argmax())]}."
        elif person.noticed == "random":
            note = "The answers ignore the faces: they look like chance."
        return PersonProfile(
            basis=basis,
            interval=interval,
            note=note,
            rater=rater,
            noticed=person.noticed,
            bias=dict.fromkeys(EMOTIONS, nothing),
            departs=(),
            sensitivity=nothing,
            lapse=nothing,
        )
    drawn = person.draws(PROFILE_DRAWS, seed)
    times = {name: _posterior_interval(np.exp(bias), n) for name, bias in zip(EMOTIONS, drawn[:, BIAS_PARAMETERS].T, strict=True)}
    return PersonProfile(
        basis=basis,
        interval=interval,
        rater=rater,
        bias=times,
        departs=tuple(name for name, ratio in times.items() if ratio.low > 1 or ratio.high < 1),
        sensitivity=_posterior_interval(np.exp(drawn[:, 0]), n),
        lapse=_posterior_interval(1 / (1 + np.exp(-drawn[:, -1])), n),
    )


def score_guesses(
    rater: str, individual: Array, group: Array, answered: IndexArray, *, source: str = "people", seed: int = 0
) -> RunningScore:
    """Score predictions that were made before each answer: individual (n, 6), group (n, 6), answered (n,)."""
    n = len(answered)
    rows = np.arange(n)
    floored = np.maximum(group, MIN_PROBABILITY)
    floored /= floored.sum(axis=1, keepdims=True)
    bits = [-np.log2(p[rows, answered]) for p in (individual, floored)]
    right = [(p.argmax(axis=1) == answered).astype(np.float64) if n else np.empty(0) for p in (individual, floored)]
    return RunningScore(
        basis=Basis(n, 1, n, source),
        interval="95 %, bootstrap over answers",
        note=f"Too few answers to compare the two: {n} of {MIN_ANSWERS}." if n < MIN_ANSWERS else "",
        rater=rater,
        own=bits[0],
        group=bits[1],
        own_right=right[0],
        group_right=right[1],
        gain=bootstrap_estimate(bits[1] - bits[0], np.mean, seed=seed) if n >= MIN_ANSWERS else undefined_estimate(n),
    )


def _posterior_interval(draws: Array, n: int) -> Estimate:
    low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975])
    return Estimate(float(middle), float(low), float(high), n) if math.isfinite(middle) else undefined_estimate(n)
