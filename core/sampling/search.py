"""What a search returns, whichever strategy made it, and how the first results under the targets are kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Latent = NDArray[np.float32]
"""(latent_dim,)"""


@dataclass(frozen=True)
class Kept:
    """The latent kept for one target: the first one under it, else the best one of the run (paper A, section 4.1)."""

    target: float
    latent: Latent
    distance: float  # confirmed by the recogniser's exact path; NaN where the run never found a face
    reached: bool
    iteration: int


@dataclass(frozen=True)
class SearchRun:
    """One run from one start."""

    start: Latent
    kept: tuple[Kept, ...]  # one a target, lowest target first
    history: tuple[float, ...]  # best distance so far: [0] of the start, then after each iteration; NaN while no face
    evaluations: int

    @property
    def best(self) -> Kept:
        """What was kept for the lowest target: no latent that was confirmed is nearer."""
        return self.kept[0]


@dataclass(frozen=True)
class SearchResult:
    """All runs of one search, in the order of their starts."""

    strategy: str
    runs: tuple[SearchRun, ...]
    seconds: float

    @property
    def evaluations(self) -> int:
        """Latents looked at through generator and recogniser, confirmations not counted."""
        return sum(run.evaluations for run in self.runs)


@dataclass
class RunRecord:
    """A run while it goes on: its best so far, its first results under the targets, the few candidates worth confirming."""

    start: Latent
    targets: Sequence[float]  # rising
    contenders: int  # so many of the nearest candidates are confirmed at the end; 1 where the search path is exact
    history: list[float] = field(default_factory=list)
    evaluations: int = 0
    best: float = math.inf
    best_confirmed: tuple[float, Latent, int] | None = None
    reached: dict[float, Kept] = field(default_factory=dict)
    nearest: list[tuple[float, int, Latent]] = field(default_factory=list)  # (search distance, iteration, latent)

    @property
    def next_target(self) -> float | None:
        """The highest target not reached yet; None when all are."""
        return next((target for target in reversed(self.targets) if target not in self.reached), None)

    @property
    def finished(self) -> bool:
        """The lowest target is reached."""
        return bool(self.targets) and self.targets[0] in self.reached

    def note(self, distances: NDArray[np.float64], latents: NDArray[np.float32], iteration: int) -> int | None:
        """Take in one iteration's candidates (NaN: no face) -> the index of the one that is the best so far, if one is."""
        self.evaluations += len(distances)
        order = [int(index) for index in np.argsort(distances, kind="stable")[: self.contenders]]  # NaN comes last
        found = [(float(distances[index]), iteration, latents[index].copy()) for index in order if np.isfinite(distances[index])]
        self.nearest = sorted([*self.nearest, *found], key=lambda each: each[:2])[: self.contenders]
        improved = found and found[0][0] < self.best
        if improved:
            self.best = found[0][0]
        self.history.append(self.best if math.isfinite(self.best) else math.nan)
        return order[0] if improved else None

    def confirm(self, distance: float, latent: Latent, iteration: int) -> None:
        """Take in one confirmed distance: keep the latent for every open target that it is under."""
        if not math.isfinite(distance):
            return
        if self.best_confirmed is None or distance < self.best_confirmed[0]:
            self.best_confirmed = (distance, latent.copy(), iteration)
        for target in self.targets:
            if distance < target and target not in self.reached:
                self.reached[target] = Kept(target, latent.copy(), distance, True, iteration)

    def result(self) -> SearchRun:
        """The run as it is kept: open targets get the best confirmed latent, or the start where no face was ever found."""
        distance, latent, iteration = self.best_confirmed or (math.nan, self.start, 0)
        kept = [self.reached.get(target) or Kept(target, latent, distance, False, iteration) for target in self.targets]
        return SearchRun(self.start, tuple(kept), tuple(self.history), self.evaluations)
