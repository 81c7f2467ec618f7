"""A grid of two feelings: one person's face with every strength of one feeling against every strength of the other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.bases import Base, rest_expressions
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.generate import EmotionSetBuilder, draw_base, load_named_base
from core.sampling.emotion.judging import EmotionPanel, draw_and_judge
from core.sampling.events import BoundarySampleMade, ClassifierScores
from core.sampling.sample_set import SampleSet

SIDES = (3, 15)
"""The fewest and the most strengths of a feeling."""


@dataclass(frozen=True)
class EmotionGrid:
    """Faces row by row: index = row * side + column, side = len(strengths).

    Row r has emotion 1 of strength ``strengths[r]``, column c emotion 2 of ``strengths[c]``; all other expression is at rest.
    pictures: uint8 (H, W, 3) each; opinions: by classifier; latents: (side * side, d); sample_set: the same faces, to ask about.
    """

    configuration: EmotionConfiguration
    strengths: tuple[float, ...]
    pictures: tuple[NDArray[np.uint8], ...]
    opinions: tuple[Mapping[str, ClassifierScores], ...]
    latents: NDArray[np.float32]
    sample_set: SampleSet

    def shares(self, classifier: str) -> NDArray[np.float64]:
        """Emotion 2 among the pair, p2 / (p1 + p2) of the calibrated probabilities -> (side, side); the boundary is at 1/2."""
        side = len(self.strengths)
        pairs = np.array(
            [[opinion[classifier].calibrated[place] for place in self.configuration.pair] for opinion in self.opinions]
        )
        shares: NDArray[np.float64] = (pairs[:, 1] / pairs.sum(axis=1)).reshape(side, side)
        return shares


def make_grid(
    configuration: EmotionConfiguration,
    side: int = 7,
    progress: Progress | None = None,
    *,
    base: Base | None = None,
    panel: EmotionPanel | None = None,
) -> EmotionGrid:
    """Draw and judge all faces of the grid, strengths from 0 to 1. Events: Stage, BaseShown, BoundarySampleMade by index.

    Raises LiminalError for a grid of another size and for a generator without named expressions.
    """
    if not SIDES[0] <= side <= SIDES[1]:
        raise LiminalError(f"A grid has from {SIDES[0]} to {SIDES[1]} strengths of each feeling, not {side}.")
    progress = progress or Progress()
    progress.stage("Loading the networks", 0.0)
    panel = panel or EmotionPanel.load(configuration)
    if "expression" not in panel.generator.blocks:
        raise LiminalError(
            f"{panel.generator.card.title} has no strengths of feelings to set; choose a generator with named expressions."
        )
    began = time.perf_counter()
    base = base or load_named_base(configuration) or draw_base(configuration, 0, panel)
    builder = EmotionSetBuilder(configuration, panel)
    (descriptor,) = builder.show_bases([base], [0], progress)
    strengths = tuple(float(strength) for strength in np.linspace(0, 1, side))
    latents = _set_strengths(torch.from_numpy(base.latent), strengths, configuration, panel)
    pictures, opinions = [], []
    for index, picture, judged in draw_and_judge(latents, descriptor, configuration, panel, progress):
        pictures.append(picture)
        opinions.append(judged.opinions)
        name = builder.add(latents[index], picture, judged, index, base, "morph")
        latent = builder.latents[name]
        progress.emit(
            BoundarySampleMade(index, picture, judged.opinions, judged.passed, judged.above, judged.distance, name, latent)
        )
    sample_set = builder.set(time.perf_counter() - began)
    progress.stage("Done", 1.0)
    return EmotionGrid(configuration, strengths, tuple(pictures), tuple(opinions), latents.numpy().copy(), sample_set)


def _set_strengths(base: Tensor, strengths: tuple[float, ...], configuration: EmotionConfiguration, panel: EmotionPanel) -> Tensor:
    """The base (d,) at rest with every two strengths -> (side * side, d)."""
    rows = rest_expressions(base[None], panel.generator).expand(len(strengths), -1)
    first = [
        panel.generator.set_named_value(row[None], configuration.emotion1, strength)
        for row, strength in zip(rows, strengths, strict=True)
    ]
    both = [panel.generator.set_named_value(row, configuration.emotion2, strength) for row in first for strength in strengths]
    return torch.cat(both)
