"""The search for a double: a stranger who gets past one recogniser and looks as little like the owner as can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.progress import Progress
from ui import visitors

if TYPE_CHECKING:
    from torch import Tensor

SEARCHES = 4
MARGIN = 0.95
"""A search goes on until it is this share of the threshold away: inside, not on the line."""


@dataclass(frozen=True)
class Double:
    """A face found by one search. distances by recogniser, NaN where no face was found; lpips: how different it looks."""

    image: NDArray[np.uint8]
    start: NDArray[np.uint8]
    distances: dict[str, float]
    lpips: float
    accepted: bool


def finder(
    picture: NDArray[np.uint8],
    descriptors: dict[str, NDArray[np.float32]],
    seeds: list[int],
    *,
    generator: str,
    recogniser: str,
    threshold: float,
    iterations: int = 100,
) -> Callable[[Progress], list[Double]]:
    """The work of a job: search from each stranger's seed toward the owner's descriptor -> doubles, the least alike one first."""

    @visitors.privately()
    def work(progress: Progress) -> list[Double]:
        import torch

        from core.models import registry
        from core.sampling.configuration import IdentityConfiguration
        from core.sampling.events import SearchStep
        from core.sampling.pictures import to_images, to_pictures
        from core.sampling.strategies import search

        progress.stage("Loading the networks", 0.0)
        maker, guard = registry.load(generator, "generator"), registry.load(recogniser, "recogniser")
        configuration = IdentityConfiguration(
            generator=generator, recogniser=recogniser, targets=(MARGIN * threshold,), iterations=iterations, sigma=0.5
        )
        starts = maker.sample(seeds).numpy()
        done = np.zeros(len(seeds))

        def heard(step: SearchStep) -> None:
            progress.emit(step)
            done[step.run] = 1.0 if step.finished else step.iteration / iterations
            progress.stage(f"Round {step.iteration} of at most {iterations}", 0.9 * float(done.mean()))

        found = search(starts, torch.from_numpy(descriptors[recogniser]), maker, guard, configuration, seeds=seeds, on_step=heard)
        progress.stage("Asking every recogniser", 0.92)
        with torch.inference_mode():
            faces = to_pictures(maker.decode(torch.from_numpy(np.stack([run.kept[0].latent for run in found.runs]))))
            before = to_pictures(maker.decode(torch.from_numpy(starts)))
            images = to_images(faces)
            apart = {}
            for name, descriptor in descriptors.items():
                judge = registry.load(name, "recogniser")
                apart[name] = judge.distance(torch.from_numpy(descriptor)[None], judge.embed(images)).tolist()
            progress.check()
            owner = _resized(to_images(picture[None]), images.shape[-1])
            perceptual = registry.load(registry.names("distance")[0], "distance")
            looks = perceptual.distance(owner.expand(len(images), -1, -1, -1), images).tolist()
        doubles = [
            Double(
                image=faces[index],
                start=before[index],
                distances={name: float(values[index]) for name, values in apart.items()},
                lpips=float(looks[index]),
                accepted=bool(apart[recogniser][index] < threshold),
            )
            for index in range(len(faces))
        ]
        return sorted(doubles, key=lambda double: (not double.accepted, -double.lpips))

    return work


def _resized(image: Tensor, side: int) -> Tensor:
    """(1, 3, H, W) at the generator's size: LPIPS compares pictures of one size."""
    from torch.nn.functional import interpolate

    return interpolate(image, (side, side), mode="area") if image.shape[-1] != side else image
