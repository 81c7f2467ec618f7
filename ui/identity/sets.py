"""Jobs and results of the page 'Identity samples': sample sets of a base and three partners, and interpolation strips between
them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models import registry
from core.progress import Progress
from core.sampling.configuration import IdentityConfiguration, Strategy, numpy_generator, sample_seed
from core.sampling.interpolation import STRIP_FRAMES
from ui import cache, components, jobs, photo, pictures
from ui.cache import MAX_RESULTS, SharedResultCache
from ui.photo import VisitorFace
from ui.pictures import encode_picture, face_url, picture_url

if TYPE_CHECKING:
    from core.sampling.bases import Base
    from core.sampling.sample_set import SampleSet


@dataclass(frozen=True)
class IdentityRequest:
    """All that a page's sample set depends on."""

    generator: str
    recogniser: str
    strategy: Strategy
    base_id: str
    seed: int
    rounds: int = 50
    looks: bool = False  # also steps along named directions
    own: VisitorFace | None = field(default=None, repr=False)  # a visitor's own face instead of a base of the gallery

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

    def bases(self) -> list[Base]:
        """The chosen base first, then three others of the gallery, drawn by the seed."""
        from core.sampling.bases import Base

        gallery = cache.cached_gallery(self.generator)
        if self.own is None:
            base = gallery.base(self.base_id)
            chosen = Base(base.latent, base.seed)
        elif self.own.found is not None:
            chosen = Base(self.own.found.latent, sample_seed(self.seed, "own face"))
        else:
            raise LiminalError("No generated face was found for your photo yet; look for it first.")
        others = [base for base in gallery.bases if base.base_id != self.base_id]
        count = self.configuration().bases_per_batch - 1
        picks = numpy_generator(sample_seed(self.seed, "partners", self.base_id)).choice(len(others), count, replace=False)
        return [chosen, *(Base(others[int(pick)].latent, others[int(pick)].seed) for pick in picks)]

    def address(self, image: NDArray[np.uint8]) -> str:
        """Where the browser finds a picture of this recipe's: on this server, or in the page itself where it is of an own face."""
        return face_url(image) if self.own is None else self.own.address(image)

    def address_of(self, picture: bytes) -> str:
        """The same for an encoded one."""
        return picture_url(picture) if self.own is None else pictures.encoded_data_url(picture)


@st.cache_resource(show_spinner=False)
def cached_sets() -> SharedResultCache:
    """Sample sets by recipe."""
    return SharedResultCache()


@st.cache_resource(show_spinner=False)
def cached_strips() -> SharedResultCache:
    """Walks by (recipe, partner)."""
    return SharedResultCache(3 * MAX_RESULTS)


def make_set_job(recipe: IdentityRequest) -> Callable[[Progress], SampleSet | None]:
    """The work of a job: the sample set of a recipe."""

    def work(progress: Progress) -> SampleSet | None:
        progress.stage("Loading the networks", 0.0)
        from core.models.registry import list_usable
        from core.sampling.identity import generate_identity_batch

        def make(heard: Progress) -> SampleSet:
            bases = recipe.bases()
            able = list_usable("recogniser", recipe.recogniser)
            judges = tuple(name for name in registry.list_names("recogniser") if name in able)
            return generate_identity_batch(replace(recipe.configuration(), judges=judges), 0, heard, bases=bases, expand=[0])

        made: SampleSet | None = _make_result(recipe, None, cached_sets, make, progress)
        return made

    return work


def find_result(recipe: IdentityRequest, partner: int | None = None) -> Any:
    """The set of a recipe, or its walk to a partner, where it was made already; else None."""
    if recipe.own is not None:
        return recipe.own.results.get((replace(recipe, own=None), partner))
    return cached_sets().get(recipe) if partner is None else cached_strips().get((recipe, partner))


def _make_result(
    recipe: IdentityRequest,
    partner: int | None,
    store: Callable[[], SharedResultCache],
    make: Callable[[Progress], Any],
    progress: Progress,
) -> Any:
    """What was asked for: made once for everybody; of an own face, into the session's own keeping alone, and None comes back."""
    own = recipe.own
    if own is None:
        return store().once(recipe if partner is None else (recipe, partner), lambda: make(progress), progress)
    if partner is None:
        own.events = []
    with jobs.privately():
        own.results[replace(recipe, own=None), partner] = make(photo.report_stages_only(own, progress))
    return None


@dataclass(frozen=True)
class JudgedWalk:
    """Pictures from the base to another person and what every recogniser says of exactly these pictures."""

    frames: tuple[bytes, ...]  # WebP without loss
    opinions: tuple[components.FrameDistances, ...]


def make_strip_job(recipe: IdentityRequest, partner: int) -> Callable[[Progress], JudgedWalk | None]:
    """The work of a job: the way from the base to its ``partner``-th negative (1 to 3), every picture judged."""

    def make(progress: Progress) -> JudgedWalk:
        progress.stage("Loading the networks", 0.0)
        import numpy as np
        import torch

        from core.models.registry import list_usable
        from core.sampling.images import to_images, to_pictures
        from core.sampling.interpolation import interpolate

        bases = recipe.bases()
        generator = registry.load(recipe.generator, "generator")
        fractions = [index / (STRIP_FRAMES - 1) for index in range(STRIP_FRAMES)]
        latents = torch.from_numpy(np.stack(interpolate(bases[0].latent, bases[partner].latent, fractions)))
        pictures = []
        for start in range(0, STRIP_FRAMES, 4):
            progress.stage("Making the pictures in between", 0.5 * start / STRIP_FRAMES)
            with torch.inference_mode():
                pictures.append(to_pictures(generator.decode(latents[start : start + 4])))
        frames = np.concatenate(pictures)
        images = to_images(frames)
        opinions = []
        names = list_usable("recogniser", recipe.recogniser)
        for index, name in enumerate(names):
            progress.stage(f"Asking {registry.find_entry(name).title}", 0.5 + 0.5 * index / len(names))
            judge = registry.load(name, "recogniser")
            vectors = judge.embed(images)
            distances = judge.distance(vectors[:1], vectors).tolist()
            known = tuple(value if np.isfinite(value) else None for value in distances)
            opinions.append(components.FrameDistances(registry.find_entry(name).title, known, judge.threshold))
        return JudgedWalk(tuple(encode_picture(frame) for frame in frames), tuple(opinions))

    def work(progress: Progress) -> JudgedWalk | None:
        walk: JudgedWalk | None = _make_result(recipe, partner, cached_strips, make, progress)
        return walk

    return work
