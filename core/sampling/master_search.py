"""Search for master faces: new faces that open more phones than any stranger of the population does.

Starts are the strangers that open most of the phones still locked; ``gain_search`` changes them so that more of the picking half of
the owners lie within the limit (a sum of sigmoids stands in for the count, which has no gradient). One face after the other, as
``stored.master_faces`` picks strangers; the share is counted on the owners of the other half, whom the search never saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.models import registry
from core.models.contracts import Generator, Recogniser
from core.progress import Progress
from core.sampling.events import Image
from core.sampling.gain_search import GainResult, search_gain
from core.sampling.stored.master_faces import MASTER_FACES, MasterFaces, split_owners
from core.sampling.stored.population import Population
from core.sampling.stored.scores import get_metric, pairwise_distances

STARTS = 4
"""Strangers that each face is looked for from."""

WIDTH = 0.06
"""Of the sigmoids, in shares of the limit: a face this far beyond the limit counts a quarter."""


@dataclass(frozen=True, eq=False)
class SearchedMasters:
    """Faces that a search made, in the order of picking, uint8 (H, W, 3) with latents (d,), and what they open."""

    faces: MasterFaces
    pictures: tuple[Image, ...]
    latents: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, eq=False)
class OwnersCount:
    """How many owners (O, D) are within the limit of a descriptor: as a smooth sum, or to count (plus that sum to break ties)."""

    owners: Tensor
    recogniser: Recogniser
    limit: float
    smooth: bool

    def __call__(self, descriptors: Mapping[str, Tensor], _: Sequence[int]) -> Tensor:
        """Descriptors (A, D) -> (A,), NaN without a face. Differentiable where it is smooth."""
        apart = self.recogniser.distance(descriptors[self.recogniser.name][:, None], self.owners[None])  # (A, O)
        counted = torch.sigmoid((self.limit - apart) / (WIDTH * self.limit)).sum(dim=1)
        if self.smooth:
            return counted
        within = (apart < self.limit).sum(dim=1) + 1e-3 * counted / max(len(self.owners), 1)
        return torch.where(apart.isnan().any(dim=1), torch.nan, within)


def search_masters(
    population: Population,
    recogniser: str,
    limit: float,
    *,
    count: int = MASTER_FACES,
    starts: int = STARTS,
    seed: int = 0,
    progress: Progress | None = None,
    models: tuple[Generator, Recogniser] | None = None,
) -> SearchedMasters:
    """Make the face that opens most phones at a limit, then the one that opens most of the rest, and so on.

    Fewer than ``count`` where no further face opens another phone. models: None: those that population and recogniser name. Without
    a surrogate each face takes minutes. Raises LiminalError as ``split_owners`` does, Cancelled when the user asks.
    """
    progress = progress or Progress()
    owners = split_owners(population, recogniser)
    progress.stage("Loading the networks", 0.0)
    generator, judge = models or (registry.load(population.generator, "generator"), registry.load(recogniser, "recogniser"))
    vectors, metric = population.vectors(recogniser), get_metric(recogniser)
    candidates = vectors[owners.picking]
    apart = pairwise_distances(candidates, candidates, metric)
    np.fill_diagonal(apart, np.inf)
    left, found = np.ones(len(candidates), bool), list[GainResult]()
    while len(found) < count and left.any():
        locked = torch.from_numpy(candidates[left])
        opened = (apart[:, left] < limit).sum(axis=1) - np.sort(apart[:, left], axis=1)[:, 0]  # ties: who is nearest to an owner
        begun = np.argsort(-opened, kind="stable")[:starts]
        result = max(
            search_gain(
                generator.sample([int(population.seeds[owners.picking[row]]) for row in begun]).numpy(),
                generator,
                [judge],
                OwnersCount(locked, judge, limit, smooth=True),
                score=OwnersCount(locked, judge, limit, smooth=False),
                seed=seed + len(found),
                progress=progress.part(f"Face {len(found) + 1} of {count}", len(found), count),
            ),
            key=lambda result: np.nan_to_num(result.gain, nan=-1.0),
        )
        now = pairwise_distances(result.descriptors[recogniser], candidates, metric)[0] < limit
        if found and not (now & left).any():
            break
        found.append(result)
        left &= ~now
    descriptors = np.stack([result.descriptors[recogniser] for result in found])
    faces = MasterFaces(
        recogniser,
        limit,
        (-1,) * len(found),
        owners,
        pairwise_distances(descriptors, candidates, metric),
        pairwise_distances(descriptors, vectors[owners.counting], metric),
    )
    progress.stage("Done", 1.0)
    return SearchedMasters(faces, tuple(result.picture for result in found), tuple(result.latent for result in found))
