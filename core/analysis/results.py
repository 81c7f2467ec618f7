"""What every result says of itself: on how much it rests, where its answers come from, how its intervals were made."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd

from core.analysis.boundary import Estimate

NAMES = {"human": "people", "simulated": "simulated", "model": "models"}
"""Sources of the row schema as they are shown."""


@dataclass(frozen=True)
class Basis:
    """On what a figure rests."""

    images: int  # stimuli: pairs of an identity study, images of an emotion study
    raters: int
    answers: int
    source: str  # "people", "simulated", "models", "published", or several of them joined by "and"; "" where there are none


@dataclass(frozen=True, kw_only=True)
class Result:
    """The part that all results share. ``note``: a sentence where something could not be said or needs care, else ""."""

    basis: Basis
    interval: str  # how the intervals were made
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; null for NaN and infinite numbers."""
        return dict(plain(self))


def undefined(n: int = 0) -> Estimate:
    """A number that ``n`` values do not define."""
    return Estimate(math.nan, math.nan, math.nan, n)


def source_of(sources: Iterable[str]) -> str:
    """Sources of rows -> their names as shown, in a fixed order."""
    present = set(pd.unique(pd.Series(sources)))
    return " and ".join(name for key, name in NAMES.items() if key in present)


def sentences(*notes: str) -> str:
    """Those that say something, as one text, each once."""
    return " ".join(dict.fromkeys(note for note in notes if note))


def plain(value: Any) -> Any:
    """Dataclasses, tables, arrays and their nests -> plain JSON values, null for NaN and infinite numbers."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {"/".join(map(str, name)) if isinstance(name, tuple) else str(name): plain(each) for name, each in value.items()}
    if isinstance(value, pd.DataFrame):
        return [plain(row) for row in value.to_dict("records")]
    if isinstance(value, np.ndarray | pd.Series):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if value is pd.NA or value is pd.NaT:
        return None
    return None if isinstance(value, float) and not math.isfinite(value) else value
