"""Rows that cannot be taken: each with its line and the reason, listed up to a limit and counted beyond it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

LISTED = 200
"""As many are kept in words; a file of another kind would otherwise fill the screen."""


@dataclass(frozen=True)
class Problem:
    """One row that cannot be taken. ``line``: its place in the file, from 1."""

    line: int
    reason: str


@dataclass
class Problems:
    """The first LISTED problems and how many there are in all."""

    listed: list[Problem] = field(default_factory=list)
    total: int = 0

    def add(self, line: int, reason: str) -> None:
        """Another one; beyond LISTED it is only counted."""
        self.total += 1
        if len(self.listed) < LISTED:
            self.listed.append(Problem(line, reason))

    def extend(self, others: Iterable[Problem], total: int) -> None:
        """Several at once: the first of them in words, ``total`` in all."""
        self.total += total
        self.listed.extend(list(others)[: LISTED - len(self.listed)])

    @property
    def more(self) -> int:
        """How many are counted but not listed."""
        return self.total - len(self.listed)

    def __iter__(self) -> Iterator[Problem]:
        return iter(sorted(self.listed, key=lambda each: each.line))

    def __len__(self) -> int:
        return self.total
