"""How a person answers, from the first answer on: as the crowd does, with leanings of their own, or whatever the face shows.

Bayesian model averaging over four patterns (Hoeting et al. 1999, Statistical Science 14). Two are shifts of the group's model
(``core.alignment.observer``): *crowd*, under a prior as wide as the people of the study differ, and *leaning*, under a wide prior
that lets a bias grow within a few answers. Two ignore the face: *fixed*, shares of the six answers of the person's own under a
sparse Dirichlet prior, and *random*, all six alike. A pattern's weight is its prior probability times its evidence (Laplace).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import bdtrc, gammaln, softmax

from core.alignment.data import IndexArray
from core.alignment.observer import EMOTION_COUNT, PersonPosterior, PersonPrior, fit_person
from core.analysis.estimate import Array

Noticed = Literal["", "fixed", "random"]

PRIOR_WEIGHTS = (0.5, 0.35, 0.1, 0.05)
"""Probabilities before the first answer of crowd, leaning, fixed, random."""
SPARSITY = 0.3
"""Of the Dirichlet prior of *fixed*, for each emotion: below 1 it expects few different answers."""
WIDE_SENSITIVITY, WIDE_BIAS, WIDE_LAPSE = 0.7, 2.0, 1.5
"""Least standard deviations of *leaning* (log units; logit of the lapse rate)."""
MIN_ANSWERS_NOTICED = 8
NOTICED_PROBABILITY = 0.95
"""Probability from which on it is said that the answers ignore the faces."""
CONSTANT_SHARE, CONSTANT_CHANCE = 0.9, 0.001
"""One answer throughout: its share of the answers, and the largest probability that the crowd says it so often of these faces."""


@dataclass(frozen=True, eq=False)
class PersonModel:
    """A person after n answers.

    weights (4,): probabilities of crowd, leaning, fixed, random. counts (6,): how often each emotion was said. noticed: 'fixed' or
    'random' once it is all but certain that the answers ignore the faces, else ''.
    """

    weights: Array
    crowd: PersonPosterior
    leaning: PersonPosterior
    counts: Array
    noticed: Noticed

    @property
    def n(self) -> int:
        """The number of answers."""
        return self.crowd.n

    @property
    def shift(self) -> PersonPosterior:
        """The likelier shift of the group's model, for what needs parameters, such as the choice of a question."""
        return self.crowd if self.weights[0] >= self.weights[1] else self.leaning

    def probabilities(self, group: Array) -> Array:
        """Probabilities of the person's answers, averaged over the patterns: group (N, 6) -> (N, 6)."""
        by_pattern = [
            self.crowd.probabilities(group),
            self.leaning.probabilities(group),
            np.broadcast_to((self.counts + SPARSITY) / (self.n + SPARSITY * EMOTION_COUNT), group.shape),
            np.full(group.shape, 1 / EMOTION_COUNT),
        ]
        averaged: Array = np.tensordot(self.weights, np.stack(by_pattern), axes=1)
        return averaged

    def draws(self, count: int, seed: int = 0) -> Array:
        """Parameters (count, P) of the two shifts of the group's model, in proportion to their weights."""
        leaning = round(count * float(self.weights[1] / self.weights[:2].sum()))
        return np.concatenate([self.crowd.draws(count - leaning, seed), self.leaning.draws(leaning, seed + 1)])


def learn_person(
    group: Array, answered: IndexArray, prior: PersonPrior | None = None, start: PersonModel | None = None
) -> PersonModel:
    """Learn from the group's probabilities of the images (n, 6) and the person's answers to them (n,).

    prior: how much the people of the study differ. start: an earlier model of the same person, from which the search begins.
    Raises LiminalError as ``fit_person`` does.
    """
    prior = prior or PersonPrior()
    wide = replace(
        prior,
        sensitivity=max(prior.sensitivity, WIDE_SENSITIVITY),
        bias=max(prior.bias, WIDE_BIAS),
        lapse_deviation=max(prior.lapse_deviation, WIDE_LAPSE),
    )
    crowd = fit_person(group, answered, prior, start.crowd if start else None)
    leaning = fit_person(group, answered, wide, start.leaning if start else None)
    counts = np.bincount(np.asarray(answered, np.intp), minlength=EMOTION_COUNT).astype(np.float64)
    total = SPARSITY * EMOTION_COUNT
    fixed = float(gammaln(total) - gammaln(total + crowd.n) + (gammaln(SPARSITY + counts) - gammaln(SPARSITY)).sum())
    evidence = [crowd.log_evidence, leaning.log_evidence, fixed, -crowd.n * math.log(EMOTION_COUNT)]
    weights: Array = softmax(np.log(PRIOR_WEIGHTS) + evidence)
    return PersonModel(weights, crowd, leaning, counts, _notice(weights, counts, np.asarray(group, np.float64)))


def _notice(weights: Array, counts: Array, group: Array) -> Noticed:
    """Whether the answers ignore the faces: by the patterns' weights, or one answer throughout (a bias without end fits it too)."""
    n, top = int(counts.sum()), int(counts.argmax())
    if n < MIN_ANSWERS_NOTICED:
        return ""
    if counts[top] >= CONSTANT_SHARE * n and bdtrc(counts[top] - 1, n, group[:, top].mean()) < CONSTANT_CHANCE:
        return "fixed"
    if weights[2:].sum() >= NOTICED_PROBABILITY:
        return "fixed" if weights[2] >= weights[3] else "random"
    return ""
