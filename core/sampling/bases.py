"""Base faces: seeded random draws in whose neighbourhood the recogniser finds a face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.contracts import Generator, Recogniser
from core.progress import Progress
from core.sampling.configuration import IdentityConfiguration, sample_seed


@dataclass(frozen=True)
class Base:
    """A base: its latent (latent_dim,) and the seed that drew it; positives and searches draw from that seed onwards."""

    latent: NDArray[np.float32]
    seed: int
    draws: int = 1  # how many candidates it took to find it


def find_bases(
    configuration: IdentityConfiguration,
    batch: int,
    generator: Generator,
    recogniser: Recogniser,
    progress: Progress | None = None,
) -> list[Base]:
    """The bases of a batch: each redrawn until a face is found in it and in ``faces_needed`` of ``face_checks`` random steps.

    A base depends on the seed, the batch and its place in it, not on the others. Raises LiminalError after ``base_draws``.
    """
    progress = progress or Progress()
    bases: dict[int, Base] = {}
    for attempt in range(configuration.base_draws):
        progress.check()
        waiting = [place for place in range(configuration.bases_per_batch) if place not in bases]
        if not waiting:
            break
        seeds = [sample_seed(configuration.seed, batch, "base", place, attempt) for place in waiting]
        latents = generator.sample(seeds).numpy()
        kept = shows_faces(latents, seeds, configuration, generator, recogniser)
        for place, seed, latent, good in zip(waiting, seeds, latents, kept, strict=True):
            if good:
                bases[place] = Base(latent, seed, attempt + 1)
    if len(bases) < configuration.bases_per_batch:
        raise LiminalError(
            f"No base face was found in {configuration.base_draws} draws, because {recogniser.name} finds too few faces around "
            f"them; lower 'faces_needed' or use another generator or recogniser."
        )
    return [bases[place] for place in range(configuration.bases_per_batch)]


def shows_faces(
    latents: NDArray[np.float32],
    seeds: Sequence[int],
    configuration: IdentityConfiguration,
    generator: Generator,
    recogniser: Recogniser,
) -> list[bool]:
    """Whether each latent (N, d) makes a face that small steps do not lose; the steps are drawn from its seed."""
    good = _find_faces(latents, generator, recogniser)
    rows = [row for row in range(len(latents)) if good[row]]
    checks = configuration.face_checks
    if not rows or not checks:
        return good
    steps = [generator.sample([sample_seed(seeds[row], "face check", each) for each in range(checks)]).numpy() for row in rows]
    around = np.concatenate(
        [latents[row] + np.float32(configuration.face_step) * step for row, step in zip(rows, steps, strict=True)]
    )
    found = np.reshape(_find_faces(around, generator, recogniser), (len(rows), checks)).sum(axis=1)
    for row, number in zip(rows, found, strict=True):
        good[row] = bool(number >= configuration.faces_needed)
    return good


def _find_faces(latents: NDArray[np.float32], generator: Generator, recogniser: Recogniser) -> list[bool]:
    with torch.inference_mode():
        images = generator.decode(torch.from_numpy(np.ascontiguousarray(latents, np.float32)))
        return [bool(each) for each in recogniser.find_faces(images).found]
