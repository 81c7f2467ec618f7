"""The search for an impostor: a stranger whom one recogniser accepts and who looks as little like the owner as can be.

Runs start from people of the population who look unlike the owner (``PopulationScores.choose_starts``) and move toward the owner's
descriptor (``search``); LPIPS says how different the result looks. Impostors are generated people; the owner is a generated face,
or a photo that stays in memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from core.models import registry
from core.progress import Progress
from core.sampling.configuration import IdentityConfiguration, default_strategy
from core.sampling.events import Image, SearchStep
from core.sampling.images import to_images, to_pictures
from core.sampling.search import search_descriptor

TARGET_SHARE = 0.95
"""A search goes on until it is this share of the threshold away: inside, not on the line."""

FIRST_DEVIATION = 0.5
"""CMA-ES: first standard deviation, raw latent units; half of what paper A uses, since the starts lie near already."""

SEARCH_PROGRESS = 0.9
"""The search's part of the progress."""


@dataclass(frozen=True, eq=False)
class Impostor:
    """A face found by one search, uint8 (H, W, 3), with its latent (d,), and the stranger of ``seed`` where the search began.

    distances to the owner by recogniser, NaN where no face was found; lpips: how different from the owner it looks; accepted by the
    recogniser that was searched against.
    """

    image: Image
    start: Image
    latent: NDArray[np.float32]
    seed: int
    distances: dict[str, float]
    lpips: float
    accepted: bool


def find_impostors(
    owner: Image,
    descriptors: Mapping[str, NDArray[np.float32]],
    seeds: Sequence[int],
    *,
    generator: str,
    recogniser: str,
    threshold: float,
    iterations: int = 100,
    progress: Progress | None = None,
) -> list[Impostor]:
    """Search from the stranger of each seed toward the owner's descriptor -> one impostor a seed, accepted and least alike first.

    owner: uint8 (H, W, 3); descriptors: the owner's (D,) by recogniser, of ``recogniser`` at least: all of them judge the results.
    Events: Stage, SearchStep. Raises Cancelled between two iterations when the user asks.
    """
    progress = progress or Progress()
    progress.stage("Loading the networks", 0.0)
    network, guard = registry.load(generator, "generator"), registry.load(recogniser, "recogniser")
    configuration = IdentityConfiguration(
        generator=generator,
        recogniser=recogniser,
        strategy=default_strategy(generator, recogniser),
        targets=(TARGET_SHARE * threshold,),
        iterations=iterations,
        sigma=FIRST_DEVIATION,
    )
    starts = network.sample(seeds).numpy()
    began: dict[int, float] = {}  # distance by search
    nearest: dict[int, float] = {}
    shares, target = np.zeros(len(seeds)), configuration.targets[0]

    def report_step(step: SearchStep) -> None:
        progress.emit(step)
        covered = 0.0
        if math.isfinite(step.distance):
            first = began.setdefault(step.run, step.distance)
            nearest[step.run] = step.distance
            covered = (first - step.distance) / max(first - target, 1e-9)
        shares[step.run] = 1.0 if step.finished else min(1.0, max(step.iteration / iterations, covered))
        inside = sum(distance < threshold for distance in nearest.values())
        words = f"{inside} of {len(seeds)} strangers {'is' if inside == 1 else 'are'} in" if inside else "Nobody is in yet"
        rounds = f"; round {step.iteration}, at most {iterations}" if step.iteration else ""
        progress.stage(words + rounds, SEARCH_PROGRESS * float(shares.mean()))

    search = search_descriptor(
        starts, torch.from_numpy(descriptors[recogniser]), network, guard, configuration, seeds=seeds, on_step=report_step
    )
    progress.stage("Asking every recogniser", SEARCH_PROGRESS + 0.02)
    latents = np.stack([run.results[0].latent for run in search.runs])
    with torch.inference_mode():
        faces = to_pictures(network.decode(torch.from_numpy(latents)))
        strangers = to_pictures(network.decode(torch.from_numpy(starts)))
        images = to_images(faces)
        distances = {}
        for name, descriptor in descriptors.items():
            judge = registry.load(name, "recogniser")
            distances[name] = judge.distance(torch.from_numpy(descriptor)[None], judge.embed(images)).tolist()
        progress.check()
        perceptual = registry.load(registry.list_names("distance")[0], "distance")
        original = _resize(to_images(owner[None]), images.shape[-1])
        lpips = perceptual.distance(original.expand(len(images), -1, -1, -1), images).tolist()
    impostors = [
        Impostor(
            image=faces[row],
            start=strangers[row],
            latent=latents[row],
            seed=int(seed),
            distances={name: float(values[row]) for name, values in distances.items()},
            lpips=float(lpips[row]),
            accepted=bool(distances[recogniser][row] < threshold),
        )
        for row, seed in enumerate(seeds)
    ]
    return sorted(impostors, key=lambda impostor: (not impostor.accepted, -impostor.lpips))


def _resize(image: Tensor, side: int) -> Tensor:
    """(1, 3, H, W) at the generator's size: LPIPS compares pictures of one size."""
    return interpolate(image, (side, side), mode="area") if image.shape[-1] != side else image
