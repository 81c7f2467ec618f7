"""Observers of faces: one of six emotions from hidden evidence, through a confusion, biases and an acuity of one's own.

p(answer) = (1 - lapse) * normalised(C' softmax(acuity * evidence) * exp(bias)) + lapse / 6, with the observer's own confusion C,
whose rows scatter around the population's (Dirichlet).

Calibrated to paper B: the acuity, so that the bulk of the entropy of choices lies between 0.5 and 2.0 bits; tempo, so that most
reaction times lie between 500 and 1500 ms with a heavy tail and their Spearman correlation with entropy is near 0.4; the share of
the inattentive, so that about 34 of 100 fail the sentinels. The population's confusion has the order of known human ones (fear
and surprise, disgust and anger; for example Palermo & Coltheart 2004), not their values. What comes out by itself: success, bias
and failure rates of the pairs, agreement with classifiers, gains of fine-tuning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from core.models.emotions import EMOTIONS
from core.sampling.seeds import generator_for, sample_seed
from core.studies.observers import character, reaction
from core.studies.observers.character import HASTY_MS, Character
from core.studies.observers.reaction import Answers, Tempo

Array = NDArray[np.float64]

TIME_RESIDUE = 0.14

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
    """Whom observers are drawn from. Deviations are between people; acuity varies on a log scale."""

    acuity: float = 4.0
    acuity_deviation: float = 0.25
    bias_deviation: float = 0.35  # log units an emotion
    concentration: float = 25.0  # of a person's confusion around the population's
    lapse: tuple[float, float] = (1.0, 40.0)  # Beta
    typical_ms: float = 480.0
    slope: float = 0.2  # log units a bit
    inattentive: Mapping[Character, float] = field(default_factory=lambda: {"careless": 0.14, "hasty": 0.05, "monotone": 0.04})

    def observer(self, seed: int, number: int) -> EmotionObserver:
        """Observer ``number``, the same whoever else is drawn."""
        random = generator_for(sample_seed(seed, "emotion observer", number))
        confusion = np.stack([random.dirichlet(self.concentration * np.array(row)) for row in CONFUSION])
        bias = self.bias_deviation * random.normal(size=len(EMOTIONS))
        return EmotionObserver(
            seed=sample_seed(seed, "emotion answers", number),
            character=character.drawn(random, self.inattentive),
            acuity=float(self.acuity * np.exp(self.acuity_deviation * random.normal())),
            bias=tuple(float(value) for value in bias - bias.mean()),
            confusion=tuple(tuple(float(value) for value in row) for row in confusion),
            lapse=float(random.beta(*self.lapse)),
            favourite=EMOTIONS[int(random.integers(len(EMOTIONS)))],
            tempo=reaction.drawn(random, self.typical_ms, self.slope),
        )


@dataclass(frozen=True)
class EmotionObserver:
    """One person's truth. bias sums to 0; confusion's rows to 1; favourite: what the monotone always say."""

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
        seen = softmax(self.acuity * np.asarray(evidence, np.float64), axis=1) @ np.array(self.confusion)
        leaning = seen * np.exp(self.bias)
        p: Array = self.lapse / len(EMOTIONS) + (1 - self.lapse) * leaning / leaning.sum(axis=1, keepdims=True)
        return p

    def answers(self, stimulus: str, evidence: Array) -> Answers:
        """The emotion named; it and its time depend on the observer and the image alone."""
        random = generator_for(sample_seed(self.seed, stimulus))
        p = self.probabilities(evidence[None])[0]
        named = EMOTIONS[int(random.choice(len(EMOTIONS), p=p / p.sum()))]
        taken = self.tempo.time(reaction.entropy(p), reaction.image_residue(stimulus, TIME_RESIDUE), random)
        if self.character == "monotone":
            return (("emotion", self.favourite, taken),)
        if self.character == "hasty" or (self.character == "careless" and random.random() < 0.75):
            named = EMOTIONS[int(random.integers(len(EMOTIONS)))]
        if self.character == "hasty":
            taken = round(float(random.uniform(*HASTY_MS)), 1)
        return (("emotion", named, taken),)
