"""The parts that latents play in a batch, and their tables: a picture that plays several parts is kept once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.progress import Progress
from core.sampling.bases import Base
from core.sampling.configuration import IdentityConfiguration
from core.sampling.interpolation import between
from core.sampling.judging import judge_pairs, judge_samples
from core.sampling.neighbourhood import positives
from core.sampling.panel import Panel
from core.sampling.sample_set import SampleSet
from core.sampling.semantic import semantic_steps
from core.sampling.tables import PAIRS, SAMPLES, frame, pair_id, sample_id


@dataclass(frozen=True)
class Part:
    """A latent and the part that it plays for a base. ``partner`` is the place of the negative in the batch."""

    base: int
    sample_type: str
    step: float
    latent: NDArray[np.float32]
    seed: int  # of its own random draw; where nothing is drawn, of its base
    partner: int | None = None
    direction: str | None = None
    strategy: str | None = None


def unsearched(configuration: IdentityConfiguration, bases: Sequence[Base], place: int, panel: Panel) -> list[Part]:
    """Samples of one base that need no search: 1 genuine, 6 positive, 3 negative, 9 interpolation; semantic ones if asked for."""
    base = bases[place]
    parts = [Part(place, "genuine", 0.0, base.latent, base.seed)]
    steps = positives(base, configuration.positive_directions, configuration.positive_steps, panel.generator, configuration.seed)
    parts += [Part(place, "positive", step.size, step.latent, step.seed) for step in steps]
    partners = [other for other in range(len(bases)) if other != place]
    parts += [Part(place, "negative", math.nan, bases[other].latent, bases[other].seed, other) for other in partners]
    for other in partners:
        way = between(base.latent, bases[other].latent, configuration.interpolation_steps)
        for fraction, latent in zip(configuration.interpolation_steps, way, strict=True):
            parts.append(Part(place, "interpolation", fraction, latent, base.seed, other))
    if configuration.semantic:
        changes = [each for size in configuration.semantic_steps for each in semantic_steps(base.latent, panel.generator, size)]
        parts += [Part(place, "semantic", each.step, each.latent, base.seed, direction=each.label) for each in changes]
    return parts


def assembled(
    configuration: IdentityConfiguration,
    batch: int,
    bases: Sequence[Base],
    pictures_of_bases: NDArray[np.uint8],
    parts: Sequence[Part],
    pictures: Sequence[NDArray[np.uint8]],
    panel: Panel,
    progress: Progress,
) -> SampleSet:
    """Tables, latents and images by sample_id, judged by every model."""
    base_ids = [sample_id(base.latent, picture) for base, picture in zip(bases, pictures_of_bases, strict=True)]
    latents: dict[str, NDArray[np.float32]] = {}
    images: dict[str, NDArray[np.uint8]] = {}
    samples: list[dict[str, Any]] = []
    pairs: list[dict[str, Any]] = []

    def keep(name: str, latent: NDArray[np.float32], picture: NDArray[np.uint8], row: dict[str, Any]) -> None:
        if name not in images:
            latents[name], images[name] = latent, picture
            samples.append({"sample_id": name, "kind": "identity", "image": f"images/{name}.png", **row})

    for base, name, picture in zip(bases, base_ids, pictures_of_bases, strict=True):
        keep(name, base.latent, picture, {"seed": base.seed, "base_id": name, "sample_type": "genuine", "step": 0.0})
    for part, picture in zip(parts, pictures, strict=True):
        name, base_id = sample_id(part.latent, picture), base_ids[part.base]
        partner_id = base_ids[part.partner] if part.partner is not None else None
        played = {"base_id": base_id, "sample_type": part.sample_type, "step": part.step}
        keep(name, part.latent, picture, {"seed": part.seed, **played})
        identity = pair_id(base_id, name, part.sample_type, part.step, partner_id or part.direction)
        more = {"partner_id": partner_id, "direction": part.direction, "strategy": part.strategy}
        pairs.append({"pair_id": identity, "batch": batch, "sample_id": name, **played, **more})
    unjudged = frame([{**row, "lpips": math.nan, "latent_distance": math.nan} for row in pairs], PAIRS)
    judged = judge_pairs(unjudged, latents, images, panel, progress)
    table = judge_samples(frame(samples, SAMPLES), images, panel.classifiers, progress)
    return SampleSet(configuration, table, judged, latents, images)
