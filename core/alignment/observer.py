"""A person as a shift of the group's model: a bias for each emotion, a sensitivity and a lapse rate.

    p(answer) = (1 - lapse) * softmax(sensitivity * log g + bias) + lapse / 6,

with g the group model's probabilities for the image. The posterior of these eight parameters is approximated by a normal
distribution around its mode (Laplace), under a prior whose spread is that between the people of the study. P below is
their number, PARAMETER_COUNT.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit, softmax

from core.alignment.data import IndexArray
from core.analysis.estimate import Array
from core.errors import LiminalError
from core.models.emotions import EMOTIONS

EMOTION_COUNT = len(EMOTIONS)
PARAMETER_COUNT = EMOTION_COUNT + 2
"""Parameters: log sensitivity, a bias for each emotion (log units), logit of the lapse rate."""
BIAS_PARAMETERS = slice(1, EMOTION_COUNT + 1)
MIN_PROBABILITY = 1e-4
"""Smaller probabilities of the group are set to this: an answer that nobody else gave is not impossible."""
STEPS, HALVINGS = 30, 12
ROUNDS = 6
"""Iterations of the fit of the prior's spread."""


@dataclass(frozen=True)
class PersonPrior:
    """Standard deviations between people of log sensitivity, each bias and the lapse rate's logit; lapse: mean of the latter."""

    sensitivity: float = 0.3
    bias: float = 0.5
    lapse: float = math.log(0.03 / 0.97)
    lapse_deviation: float = 0.8

    @property
    def mean(self) -> Array:
        """The prior's mean (P,): the group's model with a few lapses."""
        middle = np.zeros(PARAMETER_COUNT)
        middle[-1] = self.lapse
        return middle

    @property
    def deviation(self) -> Array:
        """Standard deviation of each parameter (P,)."""
        return np.array([self.sensitivity, *[self.bias] * EMOTION_COUNT, self.lapse_deviation])


@dataclass(frozen=True, eq=False)
class PersonPosterior:
    """The posterior of a person's parameters after n answers: mode (P,) and covariance (P, P).

    log_evidence: log probability of the answers under the prior, nats (Laplace).
    """

    mode: Array
    covariance: Array
    n: int
    prior: PersonPrior
    log_evidence: float

    def draws(self, count: int, seed: int = 0) -> Array:
        """Parameters (count, P) from the posterior; the biases of each draw sum to zero."""
        random = np.random.default_rng(seed)
        root = np.linalg.cholesky(self.covariance + 1e-10 * np.eye(PARAMETER_COUNT))
        drawn: Array = self.mode + random.normal(size=(count, PARAMETER_COUNT)) @ root.T
        drawn[:, BIAS_PARAMETERS] -= drawn[:, BIAS_PARAMETERS].mean(axis=1, keepdims=True)
        return drawn

    def predict_draws(self, group: Array, count: int = 64, seed: int = 0) -> Array:
        """Probabilities of the answers under each of ``count`` draws: group (N, 6) -> (count, N, 6)."""
        return person_probabilities(self.draws(count, seed), group)

    def probabilities(self, group: Array, count: int = 64, seed: int = 0) -> Array:
        """Probabilities of this person's answers, averaged over the posterior: group (N, 6) -> (N, 6)."""
        guessed: Array = self.predict_draws(group, count, seed).mean(axis=0)
        return guessed


def person_probabilities(parameters: Array, group: Array) -> Array:
    """Parameters (D, P) of D people and the group's probabilities (N, 6) -> the people's probabilities (D, N, 6)."""
    drawn = np.atleast_2d(parameters)
    raw = np.exp(drawn[:, 0])[:, None, None] * _log_probabilities(group)[None] + drawn[:, None, BIAS_PARAMETERS]
    raw -= raw.max(axis=2, keepdims=True)
    np.exp(raw, out=raw)
    raw /= raw.sum(axis=2, keepdims=True)
    lapse = expit(drawn[:, -1])[:, None, None]
    probabilities: Array = (1 - lapse) * raw + lapse / EMOTION_COUNT
    return probabilities


def fit_person(
    group: Array, answered: IndexArray, prior: PersonPrior | None = None, start: PersonPosterior | None = None
) -> PersonPosterior:
    """Fit a person: the group's probabilities of the images (n, 6) and the person's answers (n,) -> the posterior.

    start: an earlier posterior of the same person, from which the search begins. Raises LiminalError where shapes do not fit or a
    probability is no number.
    """
    group, answered = np.asarray(group, np.float64), np.asarray(answered, np.intp)
    if group.shape != (len(answered), EMOTION_COUNT) or not np.isfinite(group).all():
        raise LiminalError("The group's model did not say what it makes of every image that was answered; align the group again.")
    prior = prior or PersonPrior()
    evidence = _log_probabilities(group)
    mean, precision = prior.mean, prior.deviation**-2.0
    mode = (start.mode if start else mean).copy()
    loss = _negative_log_posterior(mode, evidence, answered, mean, precision)
    for _ in range(STEPS):  # Fisher scoring with halved steps: eight unknowns, convex but for the lapses
        slope, information = _gradient_and_information(mode, evidence, answered)
        step = np.linalg.solve(information + np.diag(precision), slope + precision * (mode - mean))
        for _ in range(HALVINGS):
            tried = mode - step
            after = _negative_log_posterior(tried, evidence, answered, mean, precision)
            if after <= loss:
                break
            step /= 2
        else:
            break
        done = loss - after < 1e-7
        mode, loss = tried, after
        if done:
            break
    _, information = _gradient_and_information(mode, evidence, answered)
    covariance: Array = np.linalg.inv(information + np.diag(precision)).astype(np.float64)
    log_evidence = -loss - float(np.log(prior.deviation).sum()) + 0.5 * float(np.linalg.slogdet(covariance)[1])
    return PersonPosterior(mode, covariance, len(answered), prior, log_evidence)


def fit_prior(people: Sequence[tuple[Array, IndexArray]], prior: PersonPrior | None = None) -> PersonPrior:
    """Fit the prior to everybody's answers. people: (group's probabilities (n, 6), answers (n,)) of each person.

    Empirical Bayes: the mean square of the modes plus their uncertainty, repeated. Under three people the given prior stays.
    """
    prior = prior or PersonPrior()
    if len(people) < 3:
        return prior
    earlier: list[PersonPosterior | None] = [None] * len(people)
    for _ in range(ROUNDS):
        fitted = [fit_person(group, answered, prior, start) for (group, answered), start in zip(people, earlier, strict=True)]
        modes = np.stack([posterior.mode for posterior in fitted])
        modes[:, BIAS_PARAMETERS] -= modes[:, BIAS_PARAMETERS].mean(axis=1, keepdims=True)
        square = modes**2 + np.stack([np.diag(posterior.covariance) for posterior in fitted])
        lapses = modes[:, -1]
        prior = replace(
            prior,
            sensitivity=_clip(math.sqrt(float(square[:, 0].mean())), 0.05, 1.0),
            bias=_clip(math.sqrt(float(square[:, BIAS_PARAMETERS].mean())), 0.05, 2.0),
            lapse=_clip(float(np.median(lapses)), float(logit(0.005)), float(logit(0.3))),
        )
        earlier = list(fitted)
    return prior


def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _log_probabilities(group: Array) -> Array:
    """Log probabilities of the group (n, 6)."""
    floored = np.maximum(np.asarray(group, np.float64).reshape(-1, EMOTION_COUNT), MIN_PROBABILITY)
    logs: Array = np.log(floored / floored.sum(axis=1, keepdims=True))
    return logs


def _attentive_probabilities(x: Array, evidence: Array) -> Array:
    """Probabilities without lapses (n, 6)."""
    q: Array = softmax(math.exp(x[0]) * evidence + x[BIAS_PARAMETERS], axis=1)
    return q


def _negative_log_posterior(x: Array, evidence: Array, answered: IndexArray, mean: Array, precision: Array) -> float:
    """Negative log posterior in nats, but for a constant."""
    difference = x - mean
    prior = 0.5 * float(difference @ (precision * difference))
    if not len(answered):
        return prior
    lapse = float(expit(x[-1]))
    attentive = _attentive_probabilities(x, evidence)[np.arange(len(answered)), answered]
    return prior - float(np.log((1 - lapse) * attentive + lapse / EMOTION_COUNT).sum())


def _gradient_and_information(x: Array, evidence: Array, answered: IndexArray) -> tuple[Array, Array]:
    """Gradient of the negative log likelihood (P,) and Fisher's information (P, P), which is expected over answers."""
    if not len(answered):
        return np.zeros(PARAMETER_COUNT), np.zeros((PARAMETER_COUNT, PARAMETER_COUNT))
    roots, p = _information_roots(x, evidence)
    rows = np.arange(len(answered))
    gradient: Array = -(roots[rows, answered] / np.sqrt(p[rows, answered])[:, None]).sum(axis=0)
    flat = roots.reshape(-1, PARAMETER_COUNT)
    return gradient, flat.T @ flat


def information_roots(parameters: Array, group: Array) -> Array:
    """Matrices R (n, 6, P), one for each image, such that R^T R is Fisher's information of one answer about it."""
    return _information_roots(parameters, _log_probabilities(group))[0]


def _information_roots(x: Array, evidence: Array) -> tuple[Array, Array]:
    """d p / d parameters over sqrt(p) (n, 6, P), and p (n, 6)."""
    q, lapse = _attentive_probabilities(x, evidence), float(expit(x[-1]))
    p = (1 - lapse) * q + lapse / EMOTION_COUNT
    of_logits = (1 - lapse) * (q[:, :, None] * np.eye(EMOTION_COUNT) - q[:, :, None] * q[:, None, :])  # d p / d logits (n, 6, 6)
    slopes = np.empty((len(evidence), EMOTION_COUNT, PARAMETER_COUNT))
    slopes[:, :, 0] = (of_logits @ (math.exp(x[0]) * evidence)[:, :, None])[:, :, 0]
    slopes[:, :, BIAS_PARAMETERS] = of_logits
    slopes[:, :, -1] = lapse * (1 - lapse) * (1 / EMOTION_COUNT - q)
    return slopes / np.sqrt(p)[:, :, None], p
