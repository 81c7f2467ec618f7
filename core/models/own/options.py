"""What the value of an option may be. JSON's true is no number here, though Python takes it for 1."""

from __future__ import annotations

import math
from typing import Any


def is_whole(value: Any, least: int, most: float = math.inf) -> bool:
    """A whole number from ``least`` to ``most``."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: Any) -> bool:
    """A finite number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
