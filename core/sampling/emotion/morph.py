"""One row from clearly one emotion over the boundary to clearly the other, with the same base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LiminalError
from core.models.contracts import Generator
from core.progress import Progress
from core.sampling.bases import Base
from core.sampling.emotion import direct, expression_search
from core.sampling.emotion.configuration import GROUP_SIZE, EmotionConfiguration
from core.sampling.emotion.generate import draw_base, load_named_base
from core.sampling.emotion.judging import EmotionPanel, judge_base, judge_images
from core.sampling.events import BaseShown, BoundarySampleMade, ClassifierScores
from core.sampling.images import quantise, to_pictures
from core.sampling.sample_set import make_sample_id

ANCHOR_SHARES = (0.0, 0.5, 1.0)
"""Shares of emotion 2 that are searched for; the frames lie on the straight ways between these three faces."""

SEARCH_PROGRESS = 0.4
"""The search's part of a morph's progress."""


@dataclass(frozen=True)
class EmotionMorph:
    """targets: the share of emotion 2 each frame was made for, from 0 to 1; pictures uint8 (H, W, 3); opinions by classifier."""

    configuration: EmotionConfiguration
    targets: tuple[float, ...]
    pictures: tuple[NDArray[np.uint8], ...]
    opinions: tuple[Mapping[str, ClassifierScores], ...]
    latents: NDArray[np.float32]  # (frames, d)

    def flips(self, classifier: str) -> tuple[int, ...]:
        """The frames at which the likelier emotion of the pair is another than one frame before."""
        first, second = self.configuration.pair
        leads = [opinion[classifier].calibrated[second] > opinion[classifier].calibrated[first] for opinion in self.opinions]
        return tuple(index for index in range(1, len(leads)) if leads[index] != leads[index - 1])


def make_morph(
    configuration: EmotionConfiguration,
    frames: int = 11,
    progress: Progress | None = None,
    *,
    base: Base | None = None,
    panel: EmotionPanel | None = None,
) -> EmotionMorph:
    """Search for both ends and the boundary near the base, then walk between them. Events: Stage, BaseShown, BoundarySampleMade.

    Raises LiminalError for fewer than 3 or more than 201 frames.
    """
    if not 3 <= frames <= 201:
        raise LiminalError(f"A morph needs from 3 to 201 pictures, not {frames}.")
    progress = progress or Progress()
    progress.stage("Loading the networks", 0.0)
    panel = panel or EmotionPanel.load(configuration)
    base = base or load_named_base(configuration) or draw_base(configuration, 0, panel)
    base_picture, of_base = judge_base(base, configuration, panel)
    progress.emit(BaseShown(0, base_picture, of_base.opinions))
    looking = "Looking for the ends and the boundary"
    progress.stage(looking, 0.0)
    begun = torch.from_numpy(base.latent).expand(len(ANCHOR_SHARES), -1)

    def tell(fraction: float, _: Tensor) -> None:
        progress.stage(looking, SEARCH_PROGRESS * fraction)

    if panel.searches_expressions:
        anchors = expression_search.search_expressions(begun, configuration, panel, None, share=ANCHOR_SHARES, on_step=tell)
    else:
        anchors = direct.search_boundary(begun, configuration, panel, share=ANCHOR_SHARES, on_step=tell)
    latents = interpolate_anchors(anchors, np.linspace(0, 1, frames).tolist())
    if panel.searches_expressions:
        latents = _even_values(latents, anchors, panel.generator)
    pictures, opinions = [], []
    for start in range(0, frames, GROUP_SIZE):
        progress.stage(f"Making picture {start + 1} of {frames}", SEARCH_PROGRESS + (1 - SEARCH_PROGRESS) * start / frames)
        with torch.inference_mode():
            images = quantise(panel.generator.decode(latents[start : start + GROUP_SIZE]))
        group = judge_images(images, of_base.descriptor.expand(len(images), -1), configuration, panel)
        for index, (picture, judged) in enumerate(zip(to_pictures(images), group, strict=True), start):
            pictures.append(picture)
            opinions.append(judged.opinions)
            latent = latents[index].numpy().copy()
            name = make_sample_id(latent, picture)
            progress.emit(
                BoundarySampleMade(index, picture, judged.opinions, judged.passed, judged.above, judged.distance, name, latent)
            )
    progress.stage("Done", 1.0)
    targets = tuple(float(target) for target in np.linspace(0, 1, frames))
    return EmotionMorph(configuration, targets, tuple(pictures), tuple(opinions), latents.numpy().copy())


def _even_values(latents: Tensor, anchors: Tensor, generator: Generator) -> Tensor:
    """Frames (frames, d) between three anchors (3, d), whose named expressions change evenly: a value may stand still on a part of
    the straight way of its latent."""
    values = generator.named_values(anchors)
    rows = []
    for latent, target in zip(latents, np.linspace(0, 1, len(latents)), strict=True):
        row = latent[None]
        for named in generator.latent_names:
            if named.block == "expression":
                value = float(np.interp(target, ANCHOR_SHARES, [of_anchor[named.name] for of_anchor in values]))
                row = generator.set_named_value(row, named.name, value)
        rows.append(row)
    return torch.cat(rows)


def interpolate_anchors(anchors: Tensor, targets: Sequence[float]) -> Tensor:
    """Latents (3, d) at shares 0, 1/2, 1 -> latents (frames, d) at ``targets``, linear in between."""
    rows = []
    for target in targets:
        leg = min(int(target * 2), 1)
        share = target * 2 - leg
        rows.append((1 - share) * anchors[leg] + share * anchors[leg + 1])
    return torch.stack(rows)
