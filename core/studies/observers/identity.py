"""Observers of pairs: similarity 0 to 100 and 'same person?', both from one noisy look at the dissimilarity.

An observer sees x = dissimilarity + noise / sensitivity and says 'same' where x < criterion (signal detection, Green & Swets
1966); in a share of trials, the lapses, they guess. The slider shows 100 / (1 + exp((x - middle) / width)), raised to a power of
the observer's own, with noise of the hand.

Calibrated to paper A's Table 1 (means by sample type, on the demonstration's pairs): criterion, middle, width, the noise of a
look, and with them the weights of ``perception``. What comes out by itself: differences between people, agreement of raters,
correlations with the models, the images of largest disagreement, reaction times' relation to distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from core.sampling.seeds import generator_for, sample_seed
from core.studies.observers import character, reaction
from core.studies.observers.character import HASTY_MS, Character
from core.studies.observers.reaction import Answers, Tempo

TIME_RESIDUE = 0.12


@dataclass(frozen=True)
class IdentityPopulation:
    """Whom observers are drawn from. Deviations are between people; sensitivity and power vary on a log scale."""

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
        """Observer ``number``, the same whoever else is drawn."""
        random = generator_for(sample_seed(seed, "identity observer", number))
        return IdentityObserver(
            seed=sample_seed(seed, "identity answers", number),
            character=character.drawn(random, self.inattentive),
            criterion=float(self.criterion + self.criterion_deviation * random.normal()),
            sensitivity=float(self.sensitivity * np.exp(self.sensitivity_deviation * random.normal())),
            lapse=float(random.beta(*self.lapse)),
            middle=self.middle,
            width=self.width,
            power=float(np.exp(self.power_deviation * random.normal())),
            hand=float(random.gamma(4.0, self.hand / 4.0)),
            tempo=reaction.drawn(random, self.typical_ms, self.slope),
        )


@dataclass(frozen=True)
class IdentityObserver:
    """One person's truth."""

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
        """The probability of 'same person' when attentive."""
        p: NDArray[np.float64] = norm.cdf((self.criterion - np.asarray(dissimilarity, np.float64)) * self.sensitivity)
        return self.lapse / 2 + (1 - self.lapse) * p

    def answers(self, stimulus: str, dissimilarity: float) -> Answers:
        """Similarity and 'same person?' of one pair; they depend on the observer and the pair alone."""
        random = generator_for(sample_seed(self.seed, stimulus))
        looked = dissimilarity + random.normal() / self.sensitivity
        guess, guessed = random.random() < self.lapse, random.random()
        slider = self._slider(looked, random)
        same = bool(guessed < 0.5) if guess else bool(looked < self.criterion)
        doubt = float(self.p_same(dissimilarity))
        bits = reaction.entropy(np.array([doubt, 1 - doubt]))
        residue = reaction.image_residue(stimulus, TIME_RESIDUE)
        first, second = self.tempo.time(bits, residue, random), self.tempo.time(bits, residue, random)
        similarity = round(100 * random.random()) if guess else slider
        if self.character == "monotone":
            similarity, same = 50, False
        if self.character == "hasty" or (self.character == "careless" and random.random() < 0.75):
            similarity, same = round(100 * random.random()), bool(random.random() < 0.5)
        if self.character == "hasty":
            first, second = (round(float(random.uniform(*HASTY_MS)), 1) for _ in range(2))
        return ("similarity", f"{similarity:g}", first), ("identity", str(int(same)), second)

    def _slider(self, looked: float, random: np.random.Generator) -> float:
        share = 1 / (1 + np.exp((looked - self.middle) / self.width))
        shown = share**self.power
        unsteady = self.hand * (0.2 + 3.2 * shown * (1 - shown))  # little at the ends, where the slider stops
        return float(np.clip(round(100 * shown + unsteady * random.normal()), 0, 100))
