"""A search toward a descriptor: what all strategies share, from the runs' records to the result that they return.

A strategy proposes latents; ``Lockstep`` looks at those of all runs as one batch and keeps the first results under the targets.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LiminalError
from core.sampling.events import Image, SearchStep
from core.sampling.objective import SEARCH_MARGIN, Objective
from core.sampling.pictures import to_pictures

Latent = NDArray[np.float32]
"""(latent_dim,)"""

CONTENDERS = 4
"""So many of a run's nearest candidates are confirmed at its end, since the search path may rank neighbours wrongly."""

CAREFUL = 0.05
"""From so far above the lowest target on, the detector is asked about every candidate: a guessed box moves distances by more than
the last steps gain."""

IMAGE_EVERY = 3
"""Iterations between two images of one run."""


@dataclass(frozen=True)
class Kept:
    """The latent kept for one target: the first one under it, else the best one of the run (paper A, section 4.1)."""

    target: float
    latent: Latent
    distance: float  # exact, of the 8-bit picture; NaN where the run never found a face
    reached: bool
    iteration: int


@dataclass(frozen=True)
class SearchRun:
    """One run from one start."""

    start: Latent
    kept: tuple[Kept, ...]  # one a target, lowest target first
    history: tuple[float, ...]  # best search distance so far: [0] of the start, then after each iteration; NaN while no face
    evaluations: int


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
    history: list[float] = field(default_factory=list)
    evaluations: int = 0
    best: float = math.inf
    exact: tuple[float, Latent, int] | None = None  # best confirmed distance, its latent and iteration
    reached: dict[float, Kept] = field(default_factory=dict)
    nearest: list[tuple[float, int, Latent]] = field(default_factory=list)  # search distance, iteration, latent

    @property
    def next_target(self) -> float:
        """The highest target not reached yet; minus infinity when all are."""
        return next((target for target in reversed(self.targets) if target not in self.reached), -math.inf)

    @property
    def finished(self) -> bool:
        """The lowest target is reached."""
        return self.targets[0] in self.reached

    def note(self, distances: NDArray[np.float64], latents: NDArray[np.float32], iteration: int) -> int | None:
        """Take in one iteration's candidates (NaN: no face) -> the index of the one that is the best so far, if one is."""
        self.evaluations += len(distances)
        order = [int(index) for index in np.argsort(distances, kind="stable")[:CONTENDERS]]  # NaN comes last
        found = [(float(distances[index]), iteration, latents[index].copy()) for index in order if np.isfinite(distances[index])]
        self.nearest = sorted([*self.nearest, *found], key=lambda each: each[:2])[:CONTENDERS]
        improved = bool(found) and found[0][0] < self.best
        if improved:
            self.best = found[0][0]
        self.history.append(self.best if math.isfinite(self.best) else math.nan)
        return order[0] if improved else None

    def confirm(self, distance: float, latent: Latent, iteration: int) -> None:
        """Take in one exact distance: keep the latent for every open target that it is under."""
        if not math.isfinite(distance):
            return
        if self.exact is None or distance < self.exact[0]:
            self.exact = (distance, latent.copy(), iteration)
        for target in self.targets:
            if distance < target and target not in self.reached:
                self.reached[target] = Kept(target, latent.copy(), distance, True, iteration)

    def result(self) -> SearchRun:
        """The run as it is kept: open targets get the best confirmed latent, or the start where no face was ever found."""
        distance, latent, iteration = self.exact or (math.nan, self.start, 0)
        kept = [self.reached.get(target) or Kept(target, latent, distance, False, iteration) for target in self.targets]
        return SearchRun(self.start, tuple(kept), tuple(self.history), self.evaluations)


OnStep = Callable[[SearchStep], None]


class Lockstep:
    """All runs of a search, looked at together. A strategy hands in candidates; runs that are finished drop out."""

    def __init__(
        self,
        starts: NDArray[np.float32],
        wanted: Tensor,
        objective: Objective,
        targets: Sequence[float],
        iterations: int,
        labels: Sequence[tuple[int, int]] | None = None,
        on_step: OnStep | None = None,
    ) -> None:
        if not len(targets) or starts.ndim != 2 or starts.shape[1] != objective.generator.latent_dim:
            raise LiminalError(
                f"A search needs a target distance and starts of {objective.generator.latent_dim} values each; "
                f"it was given {len(targets)} targets and starts of shape {starts.shape}."
            )
        self.starts = np.ascontiguousarray(starts, np.float32)
        rows = wanted.detach().reshape(-1, wanted.shape[-1])
        self.wanted = rows.expand(len(starts), -1).clone()  # (R, D); a clone can take part in a gradient
        if not bool(torch.isfinite(self.wanted).all()):
            raise LiminalError("The face that is sought has no descriptor, because no face was found in it; choose another one.")
        self.objective = objective
        self.iterations = iterations
        self.labels = list(labels) if labels is not None else [(0, index) for index in range(len(starts))]
        self.on_step = on_step
        self.records = [RunRecord(start, targets) for start in self.starts]
        self.iteration = 0
        self._pictures: dict[int, Image] = {}  # best so far, not shown yet
        self._shown = [-IMAGE_EVERY] * len(starts)

    def active(self) -> list[int]:
        """The runs that go on; none when the iterations are used up."""
        if self.iteration > self.iterations:
            return []
        return [index for index, record in enumerate(self.records) if not record.finished]

    def look(self, runs: Sequence[int], proposals: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float64]]:
        """One iteration: each run's candidates (n, d) -> their search distances (n,), NaN where no face was found.

        A fast search path does not see that a face is missing, so a candidate that would be its run's best is asked first
        whether it shows one: a search cannot run off to where there are no faces.
        """
        bounds = np.cumsum([0, *(len(each) for each in proposals)])
        latents = np.concatenate(proposals).astype(np.float32, copy=False)
        of_row = np.repeat(np.asarray(runs), np.diff(bounds))
        near = np.array([self.records[run].best < self.records[run].targets[0] + CAREFUL for run in of_row], dtype=bool)
        distances, images = self.objective.look(latents, self.wanted[torch.as_tensor(of_row)], near)
        distances = distances.copy()
        split = [distances[low:high] for low, high in itertools.pairwise(bounds)]  # views
        if not self.objective.sees_missing_faces:
            self._strike_out_missing_faces(runs, split, bounds, images)
        self.take(runs, [latents[low:high] for low, high in itertools.pairwise(bounds)], split, images)
        return split

    def _strike_out_missing_faces(
        self, runs: Sequence[int], distances: Sequence[NDArray[np.float64]], bounds: NDArray[np.int64], images: Tensor
    ) -> None:
        """Set to NaN, in place, what would be a run's best but shows no face."""
        asked = list(range(len(runs)))
        while asked:
            rows = []
            for place in list(asked):
                far = distances[place]
                nearest = int(np.nanargmin(far)) if np.isfinite(far).any() else 0
                if far[nearest] < self.records[runs[place]].best:
                    rows.append(int(bounds[place]) + nearest)
                else:
                    asked.remove(place)
            if not rows:
                return
            boxes = self.objective.find_boxes(images[torch.as_tensor(rows)])
            for place, row, box in zip(list(asked), rows, boxes, strict=True):
                if bool(box.isfinite().all()):
                    asked.remove(place)
                else:
                    distances[place][row - bounds[place]] = np.nan

    def take(
        self,
        runs: Sequence[int],
        latents: Sequence[NDArray[np.float32]],
        distances: Sequence[NDArray[np.float64]],
        images: Tensor,
    ) -> None:
        """Take in one iteration that has been looked at: note, confirm what is near a target, tell the listener."""
        near: list[tuple[int, NDArray[np.float32]]] = []  # run, candidate
        row = 0
        for run, candidates, far in zip(runs, latents, distances, strict=True):
            record = self.records[run]
            limit = record.next_target + SEARCH_MARGIN
            best = record.note(far, candidates, self.iteration)
            if best is not None and self.on_step is not None:
                self._pictures[run] = to_pictures(images[row + best : row + best + 1])[0]
            near += [(run, candidates[index]) for index in np.flatnonzero(far < limit)]
            row += len(far)
        if near:
            wanted = self.wanted[torch.as_tensor([run for run, _ in near])]
            exact = self.objective.confirm(np.stack([candidate for _, candidate in near]), wanted)
            for (run, candidate), distance in zip(near, exact, strict=True):  # in the order of asking: the first one counts
                self.records[run].confirm(float(distance), candidate, self.iteration)
        self._tell(runs)
        self.iteration += 1

    def result(self, strategy: str, seconds: float) -> SearchResult:
        """Confirm the nearest candidates of runs with open targets and close all records."""
        waiting = [
            (run, iteration, latent)
            for run, record in enumerate(self.records)
            if not record.finished
            for _, iteration, latent in sorted(record.nearest, key=lambda each: each[1])
        ]
        if waiting:
            wanted = self.wanted[torch.as_tensor([run for run, _, _ in waiting])]
            exact = self.objective.confirm(np.stack([latent for _, _, latent in waiting]), wanted)
            for (run, iteration, latent), distance in zip(waiting, exact, strict=True):
                self.records[run].confirm(float(distance), latent, iteration)
        return SearchResult(strategy, tuple(record.result() for record in self.records), seconds)

    def _tell(self, runs: Sequence[int]) -> None:
        if self.on_step is None:
            return
        for run in runs:
            record = self.records[run]
            finished = record.finished or self.iteration >= self.iterations
            due = finished or self.iteration - self._shown[run] >= IMAGE_EVERY
            picture = self._pictures.pop(run, None) if due else None
            if picture is not None:
                self._shown[run] = self.iteration
            base, partner = self.labels[run]
            self.on_step(SearchStep(run, base, partner, self.iteration, record.history[-1], picture, record.evaluations, finished))
