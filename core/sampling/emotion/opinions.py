"""What classifiers and the recogniser say of finished pictures: logits, raw and calibrated probabilities, filter (3), distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from core.sampling.bases import Base
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.events import Opinion
from core.sampling.emotion.panel import EmotionPanel
from core.sampling.pictures import quantised, to_pictures


@dataclass(frozen=True)
class Judged:
    """One picture: opinions and filter (3) by classifier; its distance to its base, NaN where no face was found in either."""

    opinions: Mapping[str, Opinion]
    above: Mapping[str, tuple[bool, bool]]
    distance: float
    descriptor: Tensor  # (D,), the recogniser's; NaN where no face was found

    @property
    def passed(self) -> dict[str, bool]:
        """Filter (3): both emotions of the pair above their percentile."""
        return {name: first and second for name, (first, second) in self.above.items()}


def judged(images: Tensor, bases: Tensor | None, configuration: EmotionConfiguration, panel: EmotionPanel) -> list[Judged]:
    """(N, 3, H, W) as they are stored, beside their bases' descriptors (N, D) -> one Judged an image. None: they are bases."""
    reference, pair = panel.reference, configuration.pair
    with torch.inference_mode():
        logits = {name: judge.logits(images).cpu().double().numpy() for name, judge in panel.classifiers.items()}
        vectors = panel.recogniser.embed(images).cpu()
        distances = panel.recogniser.distance(vectors, vectors if bases is None else bases.cpu()).tolist()
    raw = {name: softmax(rows, axis=1) for name, rows in logits.items()}
    calibrated = {name: reference.calibrated(name, rows) for name, rows in logits.items()}
    above = {name: reference.above(name, rows, pair) for name, rows in logits.items()}
    return [
        Judged(
            {name: Opinion(_tuple(raw[name][row]), _tuple(calibrated[name][row]), _tuple(logits[name][row])) for name in logits},
            {name: (bool(above[name][row, 0]), bool(above[name][row, 1])) for name in logits},
            float(distances[row]),
            vectors[row],
        )
        for row in range(len(images))
    ]


def judged_base(base: Base, configuration: EmotionConfiguration, panel: EmotionPanel) -> tuple[NDArray[np.uint8], Judged]:
    """A base's picture (H, W, 3) and what is said of it."""
    with torch.inference_mode():
        image = quantised(panel.generator.decode(torch.from_numpy(base.latent)[None]))
    return to_pictures(image)[0], judged(image, None, configuration, panel)[0]


def _tuple(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
