"""How much attention an observer pays. Most attend; the others give exclusions something to find."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

Character = Literal["attentive", "careless", "hasty", "monotone"]
"""careless: guesses most of the time; hasty: guesses within a quarter of a second; monotone: one answer throughout."""

HASTY_MS = (110.0, 240.0)


def drawn(random: np.random.Generator, shares: Mapping[Character, float]) -> Character:
    """A character at random; what ``shares`` leave over is attentive."""
    place, total = float(random.random()), 0.0
    for name, share in shares.items():
        total += share
        if place < total:
            return name
    return "attentive"
