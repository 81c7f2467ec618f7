"""Jobs and results of the page 'Identity samples': sample sets of a base and three partners, and strips between them."""

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
from core.sampling.bases import Base
from core.sampling.configuration import IdentityConfiguration, numpy_generator, sample_seed
from ui import bases, cache, photo, pictures
from ui.cache import SharedResultCache
from ui.photo import VisitorPhoto
from ui.pictures import face_url, picture_url

if TYPE_CHECKING:
    from core.sampling.interpolation import InterpolationStrip
    from core.sampling.sample_set import SampleSet


@dataclass(frozen=True)
class IdentityRequest:
    """All that a page's sample set depends on: a base of the gallery or the one found for a visitor's photo, and how it is made."""

    base_id: str
    configuration: IdentityConfiguration
    visitor_photo: VisitorPhoto | None = field(default=None, repr=False)

    def without_photo(self) -> IdentityRequest:
        """What stands for this request among the photo's own results: nothing there refers back to the photo."""
        return replace(self, visitor_photo=None)

    def bases(self) -> list[Base]:
        """The chosen base first, then three others of the gallery, drawn by the seed."""
        gallery, seed = cache.cached_gallery(self.configuration.generator), self.configuration.seed
        if self.visitor_photo is None:
            base = bases.find_base(self.configuration.generator, self.base_id)
            chosen = Base(base.latent, base.seed)
        elif self.visitor_photo.inversion is not None:
            chosen = Base(self.visitor_photo.inversion.latent, sample_seed(seed, "own face"))
        else:
            raise LiminalError("No generated face was found for your photo yet; look for it first.")
        others = [base for base in gallery.bases if base.base_id != bases.short_name(self.base_id)]
        count = self.configuration.bases_per_batch - 1
        picks = numpy_generator(sample_seed(seed, "partners", self.base_id)).choice(len(others), count, replace=False)
        return [chosen, *(Base(others[int(pick)].latent, others[int(pick)].seed) for pick in picks)]

    def address(self, image: NDArray[np.uint8]) -> str:
        """Where the browser finds a picture of this request: on this server, or in the page itself where it is of a photo."""
        return face_url(image) if self.visitor_photo is None else self.visitor_photo.address(image)

    def address_of(self, picture: bytes) -> str:
        """The same for an encoded one."""
        return picture_url(picture) if self.visitor_photo is None else pictures.encoded_data_url(picture)


@st.cache_resource(show_spinner=False)
def cached_sets() -> SharedResultCache:
    """Sample sets by request."""
    return SharedResultCache()


@st.cache_resource(show_spinner=False)
def cached_strips() -> SharedResultCache:
    """Interpolation strips by (request, partner)."""
    return SharedResultCache(48)


def make_set_job(request: IdentityRequest) -> Callable[[Progress], SampleSet | None]:
    """The work of a job: the sample set of a request; None comes back where it stays with a photo."""

    def make(progress: Progress) -> SampleSet:
        progress.stage("Loading the networks", 0.0)
        from core.sampling.identity import generate_identity_batch  # PyTorch

        usable = registry.list_usable("recogniser", request.configuration.recogniser)
        judges = tuple(name for name in registry.list_names("recogniser") if name in usable)
        configuration = replace(request.configuration, judges=judges)
        return generate_identity_batch(configuration, 0, progress, bases=request.bases(), expand=[0])

    return _make_work(request, None, cached_sets, make)


def find_result(request: IdentityRequest, partner: int | None = None) -> Any:
    """The set of a request, or its strip to a partner, where it was made already; else None."""
    if request.visitor_photo is not None:
        return request.visitor_photo.results.get((request.without_photo(), partner))
    return cached_sets().get(request) if partner is None else cached_strips().get((request, partner))


def _make_work(
    request: IdentityRequest, partner: int | None, store: Callable[[], SharedResultCache], make: Callable[[Progress], Any]
) -> Callable[[Progress], Any]:
    """The work of a job whose result is cached for everybody, or stays with the photo that it was made of."""
    if request.visitor_photo is not None:
        return photo.make_private_work(request.visitor_photo, (request.without_photo(), partner), make)
    key = request if partner is None else (request, partner)
    return lambda progress: store().get_or_compute(key, lambda: make(progress), progress)


def make_strip_job(request: IdentityRequest, partner: int) -> Callable[[Progress], InterpolationStrip | None]:
    """The work of a job: the way from the base to its ``partner``-th negative (1 to 3), every picture judged."""

    def make(progress: Progress) -> InterpolationStrip:
        progress.stage("Loading the networks", 0.0)
        from core.sampling.interpolation import make_strip  # PyTorch

        bases, configuration = request.bases(), request.configuration
        names = registry.list_usable("recogniser", configuration.recogniser)
        start, end = bases[0].latent, bases[partner].latent
        return make_strip(start, end, configuration.generator, names, progress, steps_move=configuration.steps_move)

    return _make_work(request, partner, cached_strips, make)
