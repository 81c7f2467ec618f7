"""Simulated people: populations of observers of pairs and of faces, how attentive they are, and their reaction times.

Reaction times are shifted log-normal; their location rises with the observer's own doubt (entropy of the choice, bits). Most
observers attend; the others (careless, hasty, monotone) give exclusions something to find.

Observers of pairs give similarity 0 to 100 and 'same person?', both from one noisy look at the dissimilarity: x = dissimilarity
+ noise / sensitivity, 'same' where x < criterion (signal detection, Green & Swets 1966); in a share of trials, the lapses, they
guess. The slider shows 100 / (1 + exp((x - middle) / width)), raised to a power of the observer's own, with noise of the hand.
Calibrated to paper A's Table 1 (means by sample type, on the demonstration's pairs): criterion, middle, width, the noise of a
look, and with them the weights of ``simulation``. Not calibrated, so a result: differences between people, agreement of raters,
correlations with the models, the images of largest disagreement, reaction times' relation to distance.

Observers of faces name one of six emotions from hidden evidence: p(answer) = (1 - lapse) * normalised(C' softmax(acuity *
evidence) * exp(bias)) + lapse / 6, with the observer's own confusion C, whose rows scatter around the population's (Dirichlet).
Calibrated to paper B: the acuity, so that the bulk of the entropy of choices lies between 0.5 and 2.0 bits; tempo, so that most
reaction times lie between 500 and 1500 ms with a heavy tail and their Spearman correlation with entropy is near 0.4; the share
of the inattentive, so that about 34 of 100 fail the sentinels. The population's confusion has the order of known human ones
(fear and surprise, disgust and anger; for example Palermo & Coltheart 2004), not their values. Not calibrated, so a result:
success, bias and failure rates of the pairs, agreement with classifiers, gains of fine-tuning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from core.models.emotions import EMOTIONS
from core.sampling.configuration import numpy_generator, sample_seed
from core.studies.ratings import Task

Character = Literal["attentive", "careless", "hasty", "monotone"]
"""careless: guesses most of the time; hasty: guesses within a quarter of a second; monotone: one answer throughout."""

HASTY_MS = (110.0, 240.0)


def draw_character(random: np.random.Generator, shares: Mapping[Character, float]) -> Character:
    """Draw a character; the probability that ``shares`` leave is that of 'attentive'."""
    draw, total = float(random.random()), 0.0
    for name, share in shares.items():
        total += share
        if draw < total:
            return name
    return "attentive"


TrialAnswers = tuple[tuple[Task, str, float], ...]
"""The answers of one trial: task, value as in ``core.studies.ratings``, reaction time in ms."""


@dataclass(frozen=True)
class Tempo:
    """Reaction times of a person. shift, typical: ms; slope: log units per bit of entropy; spread: SD of log times."""

    shift: float
    typical: float  # median of the time above the shift, at zero entropy
    slope: float
    spread: float

    def time(self, entropy: float, residue: float, random: np.random.Generator) -> float:
        """Draw a reaction time in ms. residue: effect of the image that everybody shares, log units."""
        location = np.log(self.typical) + self.slope * entropy + residue
        return round(float(self.shift + np.exp(location + self.spread * random.normal())), 1)


def draw_tempo(random: np.random.Generator, typical: float, slope: float) -> Tempo:
    """Draw a person's tempo: shift 200 to 300 ms; median with 20 % deviation around ``typical``, slope with 25 %."""
    return Tempo(
        shift=float(random.uniform(200, 300)),
        typical=float(typical * np.exp(0.2 * random.normal())),
        slope=float(slope * np.exp(0.25 * random.normal())),
        spread=float(random.uniform(0.35, 0.55)),
    )


def draw_time_residue(stimulus: str, deviation: float) -> float:
    """Effect of an image on everybody's reaction times beside entropy: log units, seeded by the image."""
    return float(deviation * numpy_generator(sample_seed(0, "time residue", stimulus)).normal())


def entropy_bits(p: NDArray[np.float64]) -> float:
    """Shannon entropy of one distribution, bits."""
    return float(-(p * np.log2(np.maximum(p, 1e-300))).sum())


PAIR_TIME_RESIDUE = 0.12


@dataclass(frozen=True)
class IdentityPopulation:
    """Distribution of observers of pairs. Deviations are between people; sensitivity and power vary on a log scale."""

    criterion: float = 0.56
    criterion_deviation: float = 0.09
    sensitivity: float = 6.2  # one over the standard deviation of a look
    sensitivity_deviation: float = 0.25
    lapse: tuple[float, float] = (1.0, 60.0)  # Beta
    middle: float = 0.70
    width: float = 0.087
    power_deviation: float = 0.2
    hand: float = 6.0  # mean noise of the slider, in its points
    typical_ms: float = 750.0
    slope: float = 0.35  # log units a bit
    inattentive: Mapping[Character, float] = field(default_factory=lambda: {"careless": 0.02, "hasty": 0.01, "monotone": 0.01})

    def observer(self, seed: int, number: int) -> IdentityObserver:
        """Draw observer ``number``; the result does not depend on other observers."""
        random = numpy_generator(sample_seed(seed, "identity observer", number))
        return IdentityObserver(
            seed=sample_seed(seed, "identity answers", number),
            character=draw_character(random, self.inattentive),
            criterion=float(self.criterion + self.criterion_deviation * random.normal()),
            sensitivity=float(self.sensitivity * np.exp(self.sensitivity_deviation * random.normal())),
            lapse=float(random.beta(*self.lapse)),
            middle=self.middle,
            width=self.width,
            power=float(np.exp(self.power_deviation * random.normal())),
            hand=float(random.gamma(4.0, self.hand / 4.0)),
            tempo=draw_tempo(random, self.typical_ms, self.slope),
        )


@dataclass(frozen=True)
class IdentityObserver:
    """The parameters of one observer of pairs."""

    seed: int
    character: Character
    criterion: float
    sensitivity: float
    lapse: float
    middle: float
    width: float
    power: float
    hand: float
    tempo: Tempo

    def p_same(self, dissimilarity: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """The probability of the answer 'same person' of an attentive observer."""
        p: NDArray[np.float64] = scipy.stats.norm.cdf((self.criterion - np.asarray(dissimilarity, np.float64)) * self.sensitivity)
        return self.lapse / 2 + (1 - self.lapse) * p

    def answers(self, stimulus: str, dissimilarity: float) -> TrialAnswers:
        """Similarity and 'same person?' of one pair; they depend on the observer and the pair alone."""
        random = numpy_generator(sample_seed(self.seed, stimulus))
        noisy_dissimilarity = dissimilarity + random.normal() / self.sensitivity
        guess, guessed = random.random() < self.lapse, random.random()
        slider = self._slider(noisy_dissimilarity, random)
        same = bool(guessed < 0.5) if guess else bool(noisy_dissimilarity < self.criterion)
        doubt = float(self.p_same(dissimilarity))
        bits = entropy_bits(np.array([doubt, 1 - doubt]))
        residue = draw_time_residue(stimulus, PAIR_TIME_RESIDUE)
        first, second = self.tempo.time(bits, residue, random), self.tempo.time(bits, residue, random)
        similarity = round(100 * random.random()) if guess else slider
        if self.character == "monotone":
            similarity, same = 50, False
        if self.character == "hasty" or (self.character == "careless" and random.random() < 0.75):
            similarity, same = round(100 * random.random()), bool(random.random() < 0.5)
        if self.character == "hasty":
            first, second = (round(float(random.uniform(*HASTY_MS)), 1) for _ in range(2))
        return ("similarity", f"{similarity:g}", first), ("identity", str(int(same)), second)

    def _slider(self, noisy_dissimilarity: float, random: np.random.Generator) -> float:
        share = 1 / (1 + np.exp((noisy_dissimilarity - self.middle) / self.width))
        slider = share**self.power
        unsteady = self.hand * (0.2 + 3.2 * slider * (1 - slider))  # little at the ends, where the slider stops
        return float(np.clip(round(100 * slider + unsteady * random.normal()), 0, 100))


Array = NDArray[np.float64]

FACE_TIME_RESIDUE = 0.14

CONFUSION: tuple[tuple[float, ...], ...] = (
    # surprise fear disgust happiness sadness anger: seen (row) -> said (column)
    (0.84, 0.10, 0.01, 0.04, 0.005, 0.005),
    (0.16, 0.70, 0.04, 0.01, 0.06, 0.03),
    (0.01, 0.03, 0.76, 0.01, 0.06, 0.13),
    (0.025, 0.005, 0.005, 0.95, 0.01, 0.005),
    (0.01, 0.06, 0.06, 0.01, 0.80, 0.06),
    (0.02, 0.03, 0.12, 0.005, 0.065, 0.76),
)


@dataclass(frozen=True)
class EmotionPopulation:
    """Distribution of observers of faces. Deviations are between people; acuity varies on a log scale."""

    acuity: float = 4.0
    acuity_deviation: float = 0.25
    bias_deviation: float = 0.35  # log units an emotion
    concentration: float = 25.0  # of a person's confusion around the population's
    lapse: tuple[float, float] = (1.0, 40.0)  # Beta
    typical_ms: float = 480.0
    slope: float = 0.2  # log units a bit
    inattentive: Mapping[Character, float] = field(default_factory=lambda: {"careless": 0.14, "hasty": 0.05, "monotone": 0.04})

    def observer(self, seed: int, number: int) -> EmotionObserver:
        """Draw observer ``number``; the result does not depend on other observers."""
        random = numpy_generator(sample_seed(seed, "emotion observer", number))
        confusion = np.stack([random.dirichlet(self.concentration * np.array(row)) for row in CONFUSION])
        bias = self.bias_deviation * random.normal(size=len(EMOTIONS))
        return EmotionObserver(
            seed=sample_seed(seed, "emotion answers", number),
            character=draw_character(random, self.inattentive),
            acuity=float(self.acuity * np.exp(self.acuity_deviation * random.normal())),
            bias=tuple(float(value) for value in bias - bias.mean()),
            confusion=tuple(tuple(float(value) for value in row) for row in confusion),
            lapse=float(random.beta(*self.lapse)),
            favourite=EMOTIONS[int(random.integers(len(EMOTIONS)))],
            tempo=draw_tempo(random, self.typical_ms, self.slope),
        )


@dataclass(frozen=True)
class EmotionObserver:
    """The parameters of one observer of faces. bias sums to 0, rows of confusion to 1; favourite: answer of 'monotone'."""

    seed: int
    character: Character
    acuity: float
    bias: tuple[float, ...]
    confusion: tuple[tuple[float, ...], ...]
    lapse: float
    favourite: str
    tempo: Tempo

    def probabilities(self, evidence: Array) -> Array:
        """(N, 6) evidence -> (N, 6) probabilities of the answers when attentive."""
        seen = scipy.special.softmax(self.acuity * np.asarray(evidence, np.float64), axis=1) @ np.array(self.confusion)
        leaning = seen * np.exp(self.bias)
        p: Array = self.lapse / len(EMOTIONS) + (1 - self.lapse) * leaning / leaning.sum(axis=1, keepdims=True)
        return p

    def answers(self, stimulus: str, evidence: Array) -> TrialAnswers:
        """The emotion named for one image; it and its time depend on the observer and the image alone."""
        random = numpy_generator(sample_seed(self.seed, stimulus))
        p = self.probabilities(evidence[None])[0]
        named = EMOTIONS[int(random.choice(len(EMOTIONS), p=p / p.sum()))]
        taken = self.tempo.time(entropy_bits(p), draw_time_residue(stimulus, FACE_TIME_RESIDUE), random)
        if self.character == "monotone":
            return (("emotion", self.favourite, taken),)
        if self.character == "hasty" or (self.character == "careless" and random.random() < 0.75):
            named = EMOTIONS[int(random.integers(len(EMOTIONS)))]
        if self.character == "hasty":
            taken = round(float(random.uniform(*HASTY_MS)), 1)
        return (("emotion", named, taken),)
