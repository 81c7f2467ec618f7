"""Sample sets made for the page: a base of the gallery, three others, 28 samples; and the walk from the base to another person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from core.models import registry
from core.progress import Progress
from core.sampling.configuration import IdentityConfiguration, Strategy
from core.sampling.seeds import generator_for, sample_seed
from ui import caches, components
from ui.images import encode
from ui.kept import KEPT, Kept

if TYPE_CHECKING:
    from core.sampling.gallery import GalleryBase
    from core.sampling.sample_set import SampleSet

WALK_FRAMES = 41  # 25, 50 and 75 % are among them


@dataclass(frozen=True)
class Recipe:
    """All that a page's sample set depends on."""

    generator: str
    recogniser: str
    strategy: Strategy
    base_id: str
    seed: int
    rounds: int = 50
    looks: bool = False  # also steps along named directions

    def configuration(self) -> IdentityConfiguration:
        """Paper A's values, with this recipe's models, seed, strategy and rounds."""
        return IdentityConfiguration(
            seed=self.seed,
            generator=self.generator,
            recogniser=self.recogniser,
            strategy=self.strategy,
            iterations=self.rounds,
            semantic=self.looks,
        )

    def bases(self) -> list[GalleryBase]:
        """The chosen base first, then three others of the gallery, drawn by the seed."""
        gallery = caches.stored_gallery(self.generator)
        chosen = gallery.base(self.base_id)
        others = [base for base in gallery.bases if base.base_id != self.base_id]
        count = self.configuration().bases_per_batch - 1
        picks = generator_for(sample_seed(self.seed, "partners", self.base_id)).choice(len(others), count, replace=False)
        return [chosen, *(others[int(pick)] for pick in picks)]


@st.cache_resource(show_spinner=False)
def kept_sets() -> Kept:
    """Sample sets by recipe."""
    return Kept()


@st.cache_resource(show_spinner=False)
def kept_walks() -> Kept:
    """Walks by (recipe, partner)."""
    return Kept(3 * KEPT)


def maker(recipe: Recipe) -> Callable[[Progress], SampleSet]:
    """The work of a job: the sample set of a recipe."""

    def work(progress: Progress) -> SampleSet:
        progress.stage("Loading the networks", 0.0)
        from core.models.own.usable import usable
        from core.sampling.bases import Base
        from core.sampling.identity import generate_batch

        def make() -> SampleSet:
            bases = [Base(base.latent, base.seed) for base in recipe.bases()]
            able = usable("recogniser", recipe.recogniser)
            judges = tuple(name for name in registry.names("recogniser") if name in able)
            return generate_batch(replace(recipe.configuration(), judges=judges), 0, progress, bases=bases, expand=[0])

        made: SampleSet = kept_sets().once(recipe, make, progress)
        return made

    return work


@dataclass(frozen=True)
class JudgedWalk:
    """Pictures from the base to another person and what every recogniser says of exactly these pictures."""

    frames: tuple[bytes, ...]  # WebP without loss
    opinions: tuple[components.Opinion, ...]


def walker(recipe: Recipe, partner: int) -> Callable[[Progress], JudgedWalk]:
    """The work of a job: the way from the base to its ``partner``-th negative (1 to 3), every picture judged."""

    def make(progress: Progress) -> JudgedWalk:
        progress.stage("Loading the networks", 0.0)
        import numpy as np
        import torch

        from core.models.own.usable import usable
        from core.sampling.interpolation import between
        from core.sampling.pictures import to_images, to_pictures

        bases = recipe.bases()
        generator = registry.load(recipe.generator, "generator")
        fractions = [index / (WALK_FRAMES - 1) for index in range(WALK_FRAMES)]
        latents = torch.from_numpy(np.stack(between(bases[0].latent, bases[partner].latent, fractions)))
        pictures = []
        for start in range(0, WALK_FRAMES, 4):
            progress.stage("Making the pictures in between", 0.5 * start / WALK_FRAMES)
            with torch.inference_mode():
                pictures.append(to_pictures(generator.decode(latents[start : start + 4])))
        frames = np.concatenate(pictures)
        images = to_images(frames)
        opinions = []
        names = usable("recogniser", recipe.recogniser)
        for index, name in enumerate(names):
            progress.stage(f"Asking {registry.entry(name).title}", 0.5 + 0.5 * index / len(names))
            judge = registry.load(name, "recogniser")
            vectors = judge.embed(images)
            distances = judge.distance(vectors[:1], vectors).tolist()
            known = tuple(value if np.isfinite(value) else None for value in distances)
            opinions.append(components.Opinion(registry.entry(name).title, known, judge.threshold))
        return JudgedWalk(tuple(encode(frame) for frame in frames), tuple(opinions))

    def work(progress: Progress) -> JudgedWalk:
        walk: JudgedWalk = kept_walks().once((recipe, partner), lambda: make(progress), progress)
        return walk

    return work
