"""Where the strategy ``surrogate`` looks next: up what a surrogate predicts, corrected by what true pictures have shown.

A surrogate f predicts a recogniser's descriptor from the latent, without a picture. It is wrong by a smooth error. Each run knows
that error where it has looked at true pictures: at latents z_1 .. z_k with descriptors y_1 .. y_k the residuals are r_i = y_i -
f(z_i). A Gaussian process interpolates them, the same in every dimension of the descriptor (Rasmussen and Williams 2006, equation
2.25, with a constant of unknown size as in section 2.7: most of the error is the same nearby):

    prediction(z) = f(z) + k(z, Z) (K + NOISE I)^-1 R,    k(a, b) = exp(-|a - b|^2 / (2 l^2)) + CONSTANT,

with l = LENGTH sqrt(values that move).

At most ``CLIMB_STEPS`` steps of Adam go down distance(prediction(z), wanted) + plausibility * (|z|^2 / d - 1)^2, as in the strategy
``gradient``; then the picture of that latent is made and judged, and its residual joins the others. This is a surrogate-assisted
search in the sense of Jin (2011, doi:10.1016/j.swevo.2011.05.001): predictions only propose, true pictures decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.models.contracts import DescriptorSurrogate, Recogniser
from core.models.device import use_torch_threads
from core.models.engine.engine import device_turn
from core.sampling.configuration import IdentityConfiguration

CLIMB_STEPS, CLIMB_RATE = 30, 0.1
"""Adam's steps between two true pictures, and their size in raw latent units."""

AIM = 0.9
"""A climb ends where its prediction is under so much of the run's next target: a farther one would jump over those in between."""

LENGTH = 0.34
"""The kernel's length over the root of the number of values that move: two random latents are 4 lengths apart."""

CONSTANT = 4.0
"""Variance of the error that is the same everywhere, over that of the process."""

NOISE = 0.02
"""Variance of a residual's error over the process's own."""

WORSE = 1.15
"""A climb that ends so many times as far away as the best latent begins again at that one."""

MAX_VALUE = 3.0
"""No value of a latent is moved further from 0: one in 370 drawn ones lies beyond, and the surrogate has hardly seen any."""


class SurrogateClimber:
    """Where each run of a search is, what true pictures have shown it, and where it looks next.

    starts: (R, d). wanted: (R, D), descriptors sought. movable: (d,), which values of a latent may change; None: all.
    """

    def __init__(
        self,
        starts: NDArray[np.float32],
        wanted: Tensor,
        surrogate: DescriptorSurrogate,
        recogniser: Recogniser,
        configuration: IdentityConfiguration,
        movable: NDArray[np.bool_] | None = None,
    ) -> None:
        self.surrogate, self.recogniser = surrogate, recogniser
        self.plausibility = configuration.plausibility
        self.wanted = wanted.cpu()
        self.movable = torch.from_numpy(np.ones(starts.shape[1], bool) if movable is None else movable.copy())
        self.length = LENGTH * math.sqrt(max(1, int(self.movable.sum())))
        self.current = [torch.from_numpy(start.copy()).requires_grad_() for start in starts]
        self._limits = [latent.detach().abs().clamp_min(MAX_VALUE) for latent in self.current]
        self._adam = torch.optim.Adam(self.current, lr=CLIMB_RATE) if self.current else None
        self._seen: list[list[Tensor]] = [[] for _ in starts]  # latents of true pictures with a face
        self._residuals: list[list[Tensor]] = [[] for _ in starts]
        self._best: list[tuple[float, Tensor] | None] = [None for _ in starts]

    def latents(self, runs: Sequence[int]) -> NDArray[np.float32]:
        """Where these runs are now -> (A, d)."""
        return np.stack([self.current[run].detach().numpy().copy() for run in runs])

    def learn(self, runs: Sequence[int], descriptors: Tensor, distances: NDArray[np.float64]) -> list[int]:
        """Take in what the true pictures of ``latents(runs)`` show, NaN where no face -> the runs that can climb on from there.

        A run that lost the face goes half the way back to its best latent; where that is still too far, half again.
        """
        with torch.no_grad():
            predicted = self._predict(torch.stack([self.current[run].detach() for run in runs]))
        climbing = []
        for row, run in enumerate(runs):
            latent, best = self.current[run].detach().clone(), self._best[run]
            if math.isfinite(distances[row]):
                self._seen[run].append(latent)
                self._residuals[run].append(descriptors[row].cpu().float() - predicted[row])
                if best is None or distances[row] < best[0]:
                    self._best[run] = best = (float(distances[row]), latent)
                elif distances[row] > WORSE * best[0]:
                    self._move(run, best[1])
            elif best is not None:
                self._move(run, (best[1] + latent) / 2)
                continue
            climbing.append(run)
        return climbing

    def climb(self, runs: Sequence[int], targets: Sequence[float]) -> None:
        """At most ``CLIMB_STEPS`` steps of each run down its corrected prediction, until that is under ``AIM`` times its target.

        A run's way is the same whatever others climb.
        """
        if not runs or self._adam is None:
            return
        weights = {run: self._fit_residuals(run) for run in runs}
        wanted, ended_runs = self.wanted[torch.as_tensor(list(runs))], list[int]()
        with torch.enable_grad(), use_torch_threads(1), device_turn(self.surrogate.device):
            for _ in range(CLIMB_STEPS):
                latents = torch.stack([self.current[run] for run in runs])
                corrections = torch.stack([self._correct(run, self.current[run], weights[run]) for run in runs])
                distances = self.recogniser.distance(self._predict(latents) + corrections, wanted)
                there = [float(far) < AIM * target for far, target in zip(distances.detach(), targets, strict=True)]
                if any(there):
                    going = [row for row, ended in enumerate(there) if not ended]
                    ended_runs = [run for run, ended in zip(runs, there, strict=True) if ended]
                    runs, targets = [runs[row] for row in going], [targets[row] for row in going]
                    latents, distances, wanted = latents[going], distances[going], wanted[going]
                if not runs:
                    return
                length = latents.square().mean(dim=1)
                loss = distances.sum() + self.plausibility * (length - 1).square().sum()
                self._adam.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                for run in ended_runs:
                    self.current[run].grad = None  # else Adam's momentum would carry it on
                for run in runs:
                    gradient = self.current[run].grad
                    assert gradient is not None
                    gradient.nan_to_num_(0.0, 0.0, 0.0).mul_(self.movable)
                self._adam.step()
                with torch.no_grad():
                    for run in runs:
                        self.current[run].clamp_(-self._limits[run], self._limits[run])

    def _predict(self, latents: Tensor) -> Tensor:
        predicted = self.surrogate.descriptors(latents.to(self.surrogate.device), self.recogniser.name)
        return predicted.float().cpu()

    def _move(self, run: int, latent: Tensor) -> None:
        with torch.no_grad():
            self.current[run].copy_(latent)

    def _kernel(self, latents: Tensor, seen: Tensor) -> Tensor:
        """(n, d), (k, d) -> (n, k)."""
        apart = (latents[:, None] - seen[None]).square().sum(dim=2)
        return torch.exp(-apart / (2 * self.length**2)) + CONSTANT

    def _fit_residuals(self, run: int) -> Tensor | None:
        """The process's weights (k, D); None where no true picture had a face yet."""
        if not self._seen[run]:
            return None
        seen = torch.stack(self._seen[run]).double()
        covariance = self._kernel(seen, seen) + NOISE * torch.eye(len(seen), dtype=torch.float64)
        weights: Tensor = torch.linalg.solve(covariance, torch.stack(self._residuals[run]).double()).float()
        return weights

    def _correct(self, run: int, latent: Tensor, weights: Tensor | None) -> Tensor:
        """The residual expected at a latent (d,) -> (D,)."""
        if weights is None:
            return self.wanted.new_zeros(self.wanted.shape[1])
        return (self._kernel(latent[None], torch.stack(self._seen[run])) @ weights)[0]
