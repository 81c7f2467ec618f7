"""Curves from a standard normal latent to a value in its unit, and back.

Every curve rises (never falls) with its latent and is continuous, so that a value has a latent and nothing jumps on the way.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from scipy.special import ndtr, ndtri

SOFT_SHARE = 0.15
"""Share of a bounded curve's range, at each end, in which it bends towards its limit."""

END = 1e-7
"""How near to an open end of its range, as a share of it, a value is set where the end itself is asked for."""


class ValueCurve(ABC):
    """latent -> value between ``low`` and ``high``."""

    low: float
    high: float

    @abstractmethod
    def value(self, latent: float) -> float:
        """The value of a latent."""

    @abstractmethod
    def latent(self, value: float) -> float:
        """A latent of a value in [low, high]."""


@dataclass(frozen=True)
class Bounded(ValueCurve):
    """Normal with a mean and a standard deviation, bent softly towards its limits."""

    mean: float
    sd: float
    low: float
    high: float

    def value(self, latent: float) -> float:
        straight, margin = self.mean + self.sd * latent, SOFT_SHARE * (self.high - self.low)
        if straight > self.high - margin:
            return self.high - margin * math.exp(-(straight - self.high + margin) / margin)
        if straight < self.low + margin:
            return self.low + margin * math.exp((straight - self.low - margin) / margin)
        return straight

    def latent(self, value: float) -> float:
        margin = SOFT_SHARE * (self.high - self.low)
        straight = value
        if value > self.high - margin:
            straight = self.high - margin - margin * math.log(max((self.high - value) / margin, END))
        elif value < self.low + margin:
            straight = self.low + margin + margin * math.log(max((value - self.low) / margin, END))
        return (straight - self.mean) / self.sd


@dataclass(frozen=True)
class Even(ValueCurve):
    """Spread evenly over the range where ``sharpness`` and ``power`` are 1; sharper: more at both ends; power above 1: more at the
    low end."""

    low: float
    high: float
    sharpness: float = 1.0
    power: float = 1.0

    def value(self, latent: float) -> float:
        share = float(ndtr(self.sharpness * latent))
        return self.low + (self.high - self.low) * math.pow(share, self.power)

    def latent(self, value: float) -> float:
        share = min(max((value - self.low) / (self.high - self.low), END), 1 - END)
        return float(ndtri(share ** (1 / self.power))) / self.sharpness


@dataclass(frozen=True)
class Ramp(ValueCurve):
    """0 up to ``start``, then rising by 1 for every ``width``, bent softly towards ``high``."""

    start: float
    width: float
    high: float
    low: float = 0.0

    def value(self, latent: float) -> float:
        return self.high * math.tanh(max(0.0, latent - self.start) / self.width / self.high)

    def latent(self, value: float) -> float:
        return self.start + self.width * self.high * math.atanh(min(value / self.high, 1 - END))


@dataclass(frozen=True)
class Presence(ValueCurve):
    """0 below ``start``, 1 from ``start + width`` on, a smooth step in between."""

    start: float
    width: float
    low: float = 0.0
    high: float = 1.0

    def value(self, latent: float) -> float:
        share = min(max((latent - self.start) / self.width, 0.0), 1.0)
        return share * share * (3 - 2 * share)

    def latent(self, value: float) -> float:
        # the root of 3 s^2 - 2 s^3 = value in [0, 1], by the trigonometric solution of the cubic
        return self.start + self.width * (0.5 - math.sin(math.asin(1 - 2 * value) / 3))
