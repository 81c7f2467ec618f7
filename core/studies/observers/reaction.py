"""Reaction times: a shifted log-normal whose location rises with the observer's own doubt (entropy of the choice, bits)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.sampling.seeds import generator_for, sample_seed
from core.studies.ratings import Task

Answers = tuple[tuple[Task, str, float], ...]
"""One trial's answers: task, value as in ``core.studies.ratings``, reaction time in ms."""


@dataclass(frozen=True)
class Tempo:
    """shift, typical: ms; slope: log units a bit of entropy; spread: standard deviation of log times."""

    shift: float
    typical: float  # median of what comes on top of the shift, without doubt
    slope: float
    spread: float

    def time(self, entropy: float, residue: float, random: np.random.Generator) -> float:
        """One reaction time in ms. residue: what makes an image slow or fast for everybody, log units."""
        location = np.log(self.typical) + self.slope * entropy + residue
        return round(float(self.shift + np.exp(location + self.spread * random.normal())), 1)


def drawn(random: np.random.Generator, typical: float, slope: float) -> Tempo:
    """A person's own tempo: shift 200 to 300 ms; the rest 20 % around ``typical``, slope 25 % around ``slope``."""
    return Tempo(
        shift=float(random.uniform(200, 300)),
        typical=float(typical * np.exp(0.2 * random.normal())),
        slope=float(slope * np.exp(0.25 * random.normal())),
        spread=float(random.uniform(0.35, 0.55)),
    )


def image_residue(stimulus: str, deviation: float) -> float:
    """What makes an image slow or fast for everybody, apart from doubt: log units, seeded by the image."""
    return float(deviation * generator_for(sample_seed(0, "time residue", stimulus)).normal())


def entropy(p: NDArray[np.float64]) -> float:
    """Shannon entropy of one distribution, bits."""
    return float(-(p * np.log2(np.maximum(p, 1e-300))).sum())
