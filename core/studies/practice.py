"""Practice trials: faces of no study whose right answer is known, drawn by the rendered head without PyTorch.

An emotion trial shows one feeling at full strength; an identity trial shows one person in two scenes, or two people. The same
number gives the same faces on every server.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.models.builtin.head import latents as head_latents
from core.models.builtin.head.people import describe
from core.models.builtin.head.renderer import render
from core.sampling.configuration import numpy_generator, sample_seed
from core.studies.study import Kind

SEED = 20_261
SIDE = 256
CALM = 0.35
"""Scene and expression of practice faces lie within so many standard deviations of usual draws: clear faces, nothing odd."""


@dataclass(frozen=True, eq=False)
class PracticeTrial:
    """images: uint8 (1 or 2, SIDE, SIDE, 3). right: an emotion, or '1' for one person and '0' for two."""

    name: str
    images: NDArray[np.uint8]
    right: str


def make_practice(kind: Kind, count: int) -> list[PracticeTrial]:
    """So many practice trials in a mixed order; every right answer comes about equally often."""
    random = numpy_generator(sample_seed(SEED, "practice", len(kind)))
    answers = head_latents.FEELINGS if kind == "emotion" else ("1", "0")
    rights = [answers[index % len(answers)] for index in range(count)]
    mixed = [rights[place] for place in random.permutation(count)]
    return [_make_trial(kind, number, right) for number, right in enumerate(mixed)]


def _make_trial(kind: Kind, number: int, right: str) -> PracticeTrial:
    random = numpy_generator(sample_seed(SEED, "practice", kind, number))
    first = _draw_person(random)
    if kind == "emotion":
        faces = [head_latents.set_named_value(first, right, 1.0)]
    else:
        second = _draw_person(random)
        if right == "1":
            second[head_latents.block("identity")] = first[head_latents.block("identity")]
        faces = [first, second]
    images = np.stack([render(describe(face), SIDE) for face in faces])
    return PracticeTrial(f"practice-{kind}-{number:02d}", images, right)


def _draw_person(random: np.random.Generator) -> NDArray[np.float32]:
    """A person with a calm face in a calm scene, without accessories."""
    latent = random.standard_normal(head_latents.LATENT_DIM).astype(np.float32)
    for name in ("expression", "scene"):
        latent[head_latents.block(name)] *= CALM
    latent[head_latents.block("accessories")] = 0
    return latent
