"""Rows that cannot be taken: each with its line and the reason, listed up to a limit and counted beyond it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

LISTED = 200
"""As many are kept in words; a file of another kind would otherwise fill the screen."""


@dataclass(frozen=True)
class Problem:
    """One row that cannot be taken. ``line``: its place in the file, from 1."""

    line: int
    reason: str


@dataclass
class Problems:
    """The first LISTED problems in words, and every line that has one; a row counts once, with its first reason."""

    listed: list[Problem] = field(default_factory=list)
    lines: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))  # sorted

    def add(self, lines: NDArray[np.int64], reason: Callable[[int], str]) -> None:
        """Further lines; reason: what is wrong with the line at a place of ``lines``."""
        new, places = np.unique(lines, return_index=True)
        fresh = ~np.isin(new, self.lines)
        room = LISTED - len(self.listed)
        self.listed += [Problem(int(new[at]), reason(int(places[at]))) for at in np.flatnonzero(fresh)[:room]]
        self.lines = np.union1d(self.lines, new)

    @property
    def total(self) -> int:
        """How many rows."""
        return len(self.lines)

    @property
    def more(self) -> int:
        """How many are counted but not listed."""
        return self.total - len(self.listed)

    def __iter__(self) -> Iterator[Problem]:
        return iter(sorted(self.listed, key=lambda each: each.line))
