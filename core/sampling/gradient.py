"""Gradient search toward a descriptor: Adam through generator, aligned chip and recogniser. Beyond the paper, beside CMA-ES.

The landmarks are found without a gradient and held for a few steps; the chip cut at them is differentiable. A second term keeps
latents plausible: a latent drawn from N(0, I) has |z|^2 / d near 1 (its standard deviation is sqrt(2 / d)), and outside that
shell the generator was never trained, so the loss is

    distance(z) + plausibility * (|z|^2 / d - 1)^2.

Only the length is held, not the direction: every person on the shell stays as likely as any other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.models.contracts import Faces
from core.models.engine import turn
from core.sampling.configuration import IdentityConfiguration
from core.sampling.objective import Objective
from core.sampling.search import Lockstep, OnStep, SearchResult

FIND_EVERY = 3
"""Steps between two searches for landmarks; they move little in between."""


def search(
    starts: NDArray[np.float32],
    wanted: Tensor,
    objective: Objective,
    configuration: IdentityConfiguration,
    seeds: Sequence[int],
    labels: Sequence[tuple[int, int]] | None = None,
    on_step: OnStep | None = None,
) -> SearchResult:
    """As ``core.sampling.cmaes.search``; one evaluation a run and iteration. Draws nothing, so ``seeds`` are not used."""
    began = time.perf_counter()
    runs = Lockstep(starts, wanted, objective, configuration.targets, configuration.iterations, labels, on_step)
    latents = [torch.from_numpy(start.copy()).requires_grad_() for start in runs.starts]
    adam = torch.optim.Adam(latents, lr=configuration.learning_rate) if latents else None
    landmarks = _Landmarks(objective, len(latents))
    while adam and (active := runs.active()):
        with turn(objective.generator.device):
            distances, images, found = _forward(objective, landmarks, latents, runs.wanted, active, runs.iteration)
        proposals = np.stack([latents[run].detach().numpy().copy() for run in active])
        looked = np.where(found, distances.detach().cpu().double().numpy(), np.nan)
        runs.take(active, list(proposals[:, None]), list(looked[:, None]), images)
        adam.zero_grad(set_to_none=True)  # Adam leaves runs without a gradient alone: those that have finished
        length = torch.stack([latents[run].square().mean() for run in active])
        loss = torch.nan_to_num(distances).sum().cpu() + configuration.plausibility * (length - 1).square().sum()
        with turn(objective.generator.device):
            loss.backward()  # type: ignore[no-untyped-call]
        for run in active:
            gradient = latents[run].grad
            if gradient is not None:
                gradient.nan_to_num_(0.0, 0.0, 0.0)
        adam.step()
    return runs.result("gradient", time.perf_counter() - began)


class _Landmarks:
    """The last landmarks found in each run's image. Before any were found: those of the generator's mean face (latent 0)."""

    def __init__(self, objective: Objective, runs: int) -> None:
        self.recogniser = objective.recogniser
        with torch.no_grad():
            mean = self.recogniser.find_faces(objective.generator.decode(torch.zeros(1, objective.generator.latent_dim)))
        self.landmarks = mean.landmarks.repeat(runs, 1, 1)
        self.boxes = mean.boxes.repeat(runs, 1)
        self.found = np.zeros(runs, bool)

    def find(self, images: Tensor, runs: Sequence[int]) -> None:
        """Look for landmarks anew; a run whose face is lost keeps its last ones, so that the way back has a gradient."""
        faces = self.recogniser.find_faces(images.detach())
        for row, run in enumerate(runs):
            self.found[run] = bool(faces.found[row])
            if self.found[run]:
                self.landmarks[run] = faces.landmarks[row]
                self.boxes[run] = faces.boxes[row]

    def faces(self, runs: Sequence[int]) -> Faces:
        rows = torch.as_tensor(list(runs))
        return Faces(self.landmarks[rows], self.boxes[rows])


def _forward(
    objective: Objective, landmarks: _Landmarks, latents: Sequence[Tensor], wanted: Tensor, active: Sequence[int], iteration: int
) -> tuple[Tensor, Tensor, NDArray[np.bool_]]:
    """-> distances (A,) with a gradient, images (A, 3, H, W) without, whether a face was found (A,)."""
    images = objective.generator.decode(torch.stack([latents[run] for run in active]))
    if iteration % FIND_EVERY == 0:
        landmarks.find(images, active)
    vectors = objective.recogniser.embed_chips(objective.recogniser.align(images, landmarks.faces(active))).float()
    distances = objective.recogniser.distance(vectors, wanted[torch.as_tensor(list(active))].to(vectors.device))
    return distances, images.detach(), landmarks.found[list(active)]
