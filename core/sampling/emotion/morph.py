"""One row from clearly one emotion over the boundary to clearly the other, with the same base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.bases import Base
from core.sampling.emotion import direct
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.events import BaseShown, BoundaryMade, Opinion
from core.sampling.emotion.generate import GROUP, drawn_base, named_base
from core.sampling.emotion.opinions import judged, judged_base
from core.sampling.emotion.panel import EmotionPanel
from core.sampling.pictures import quantised, to_pictures
from core.sampling.tables import sample_id

ANCHORS = (0.0, 0.5, 1.0)
"""Shares of emotion 2 that are searched for; the frames lie on the straight ways between these three faces."""

SEARCHED = 0.4
"""The search's part of a morph's progress."""


@dataclass(frozen=True)
class Morph:
    """targets: the share of emotion 2 each frame was made for, from 0 to 1; pictures uint8 (H, W, 3); opinions by classifier."""

    configuration: EmotionConfiguration
    targets: tuple[float, ...]
    pictures: tuple[NDArray[np.uint8], ...]
    opinions: tuple[Mapping[str, Opinion], ...]
    latents: NDArray[np.float32]  # (frames, d)

    def flips(self, classifier: str) -> tuple[int, ...]:
        """The frames at which the likelier emotion of the pair is another than one frame before."""
        first, second = self.configuration.pair
        leads = [opinion[classifier].calibrated[second] > opinion[classifier].calibrated[first] for opinion in self.opinions]
        return tuple(index for index in range(1, len(leads)) if leads[index] != leads[index - 1])


def morph(
    configuration: EmotionConfiguration,
    frames: int = 11,
    progress: Progress | None = None,
    *,
    base: Base | None = None,
    panel: EmotionPanel | None = None,
) -> Morph:
    """Search for both ends and the boundary near the base, then walk between them. Events: Stage, BaseShown, BoundaryMade.

    Raises LiminalError for fewer than 3 or more than 201 frames.
    """
    if not 3 <= frames <= 201:
        raise LiminalError(f"A morph needs from 3 to 201 pictures, not {frames}.")
    progress = progress or Progress()
    progress.stage("Loading the networks", 0.0)
    panel = panel or EmotionPanel.load(configuration)
    base = base or named_base(configuration) or drawn_base(configuration, 0, panel)
    shown, of_base = judged_base(base, configuration, panel)
    progress.emit(BaseShown(0, shown, of_base.opinions))
    looking = "Looking for the ends and the boundary"
    progress.stage(looking, 0.0)
    anchors = direct.search(
        torch.from_numpy(base.latent).expand(len(ANCHORS), -1),
        configuration,
        panel,
        share=ANCHORS,
        on_step=lambda fraction, _: progress.stage(looking, SEARCHED * fraction),
    )
    latents = between_anchors(anchors, np.linspace(0, 1, frames).tolist())
    pictures, opinions = [], []
    for start in range(0, frames, GROUP):
        progress.stage(f"Making picture {start + 1} of {frames}", SEARCHED + (1 - SEARCHED) * start / frames)
        with torch.inference_mode():
            images = quantised(panel.generator.decode(latents[start : start + GROUP]))
        group = judged(images, of_base.descriptor.expand(len(images), -1), configuration, panel)
        for index, (picture, found) in enumerate(zip(to_pictures(images), group, strict=True), start):
            pictures.append(picture)
            opinions.append(found.opinions)
            name = sample_id(latents[index].numpy(), picture)
            progress.emit(BoundaryMade(index, picture, found.opinions, found.passed, found.above, found.distance, name))
    progress.stage("Done", 1.0)
    targets = tuple(float(target) for target in np.linspace(0, 1, frames))
    return Morph(configuration, targets, tuple(pictures), tuple(opinions), latents.numpy().copy())


def between_anchors(anchors: Tensor, targets: Sequence[float]) -> Tensor:
    """Latents (3, d) at shares 0, 1/2, 1 -> latents (frames, d) at ``targets``, linear in between."""
    rows = []
    for target in targets:
        leg = min(int(target * 2), 1)
        share = target * 2 - leg
        rows.append((1 - share) * anchors[leg] + share * anchors[leg + 1])
    return torch.stack(rows)
