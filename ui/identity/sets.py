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
from ui import cache, jobs, photo, pictures
from ui.cache import SharedResultCache
from ui.photo import VisitorFace
from ui.pictures import face_url, picture_url

if TYPE_CHECKING:
    from core.sampling.bases import Base
    from core.sampling.interpolation import InterpolationStrip
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
    return SharedResultCache(48)


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
        return store().get_or_compute(recipe if partner is None else (recipe, partner), lambda: make(progress), progress)
    if partner is None:
        own.events = []
    with jobs.privately():
        own.results[replace(recipe, own=None), partner] = make(photo.report_stages_only(own, progress))
    return None


def make_strip_job(recipe: IdentityRequest, partner: int) -> Callable[[Progress], InterpolationStrip | None]:
    """The work of a job: the way from the base to its ``partner``-th negative (1 to 3), every picture judged."""

    def make(progress: Progress) -> InterpolationStrip:
        progress.stage("Loading the networks", 0.0)
        from core.sampling.interpolation import make_strip  # PyTorch

        bases = recipe.bases()
        names = registry.list_usable("recogniser", recipe.recogniser)
        return make_strip(bases[0].latent, bases[partner].latent, recipe.generator, names, progress)

    def work(progress: Progress) -> InterpolationStrip | None:
        strip: InterpolationStrip | None = _make_result(recipe, partner, cached_strips, make, progress)
        return strip

    return work
