"""Base faces: seeded random draws in whose neighbourhood the recogniser finds a face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.progress import Progress
from core.sampling.configuration import BaseCriteria, sample_seed

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from core.models.contracts import Generator, Recogniser
else:
    torch = lazy_import("torch")


@dataclass(frozen=True)
class Base:
    """A base: its latent (latent_dim,) and the seed that drew it; positives and searches draw from that seed onwards."""

    latent: NDArray[np.float32]
    seed: int
    draws: int = 1  # how many candidates it took to find it


PORTRAIT_SCENE = 0.35
"""Of a drawn scene (turn, light, framing) so much stays in a portrait."""


def make_portraits(latents: Tensor, generator: Generator) -> Tensor:
    """The people of latents (N, d) at rest, nearly from the front and in soft light; unchanged where latents have no blocks."""
    if not generator.knows_identity:
        return latents
    portraits = rest_expressions(latents, generator)
    portraits[:, generator.blocks["scene"]] *= PORTRAIT_SCENE
    return portraits


def rest_expressions(latents: Tensor, generator: Generator) -> Tensor:
    """Copies of latents (N, d) whose faces are at rest; the generator has an expression block."""
    rested = latents.clone()
    rested[:, generator.blocks["expression"]] = 0.0
    return rested


def find_bases(
    criteria: BaseCriteria,
    count: int,
    seed: int,
    generator: Generator,
    recogniser: Recogniser,
    progress: Progress | None = None,
    *,
    batch: int = 0,
) -> list[Base]:
    """``count`` bases, each redrawn until it meets the criteria.

    A base depends on the seed, the batch and its index in it, not on the others. Raises LiminalError after ``criteria.draws``.
    """
    progress = progress or Progress()
    bases: dict[int, Base] = {}
    for attempt in range(criteria.draws):
        progress.check()
        missing = [index for index in range(count) if index not in bases]
        if not missing:
            break
        seeds = [sample_seed(seed, batch, "base", index, attempt) for index in missing]
        latents = generator.sample(seeds).numpy()
        steady = check_faces(latents, seeds, criteria, generator, recogniser)
        for index, draw, latent, good in zip(missing, seeds, latents, steady, strict=True):
            if good:
                bases[index] = Base(latent, draw, attempt + 1)
    if len(bases) < count:
        raise LiminalError(
            f"No base face was found in {criteria.draws} draws, because {recogniser.card.title} finds too few faces in them and "
            f"around them (wanted: {criteria.faces_needed} of {criteria.face_checks}); use another generator or recogniser."
        )
    return [bases[index] for index in range(count)]


def check_faces(
    latents: NDArray[np.float32],
    seeds: Sequence[int],
    criteria: BaseCriteria,
    generator: Generator,
    recogniser: Recogniser,
) -> list[bool]:
    """Whether each latent (N, d) makes a face that small steps do not lose; the steps are drawn from its seed."""
    good = _find_faces(latents, generator, recogniser)
    rows = [row for row in range(len(latents)) if good[row]]
    checks = criteria.face_checks
    if not rows or not checks:
        return good
    steps = [generator.sample([sample_seed(seeds[row], "face check", step) for step in range(checks)]).numpy() for row in rows]
    around = np.concatenate([latents[row] + np.float32(criteria.face_step) * step for row, step in zip(rows, steps, strict=True)])
    faces = np.reshape(_find_faces(around, generator, recogniser), (len(rows), checks)).sum(axis=1)
    for row, number in zip(rows, faces, strict=True):
        good[row] = bool(number >= criteria.faces_needed)
    return good


def _find_faces(latents: NDArray[np.float32], generator: Generator, recogniser: Recogniser) -> list[bool]:
    with torch.inference_mode():
        images = generator.decode(torch.from_numpy(np.ascontiguousarray(latents, np.float32)))
        return [bool(has_face) for has_face in recogniser.find_faces(images).found]
