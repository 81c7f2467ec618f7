"""Whose phone it is: a face of the gallery, or a photo that a user brought and that stays in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models import registry
from ui import caches, visitors
from ui.images import asset_url, data_url

PHOTO = "photo_owner"


@dataclass(frozen=True)
class Owner:
    """The face that all others are compared with. ``descriptors`` by recogniser, NaN where it found no face."""

    identity: str
    title: str
    src: str
    descriptors: Mapping[str, NDArray[np.float32]] = field(repr=False)
    latent: NDArray[np.float32] | None = field(default=None, repr=False)  # None for a photo
    picture: NDArray[np.uint8] | None = field(default=None, repr=False)  # of a photo

    @property
    def is_photo(self) -> bool:
        return self.picture is not None

    def descriptor(self, recogniser: str) -> NDArray[np.float32]:
        """(D,). Raises LiminalError where the recogniser found no face."""
        vector = self.descriptors.get(recogniser)
        if vector is None:
            raise LiminalError(
                f"{registry.entry(recogniser).title} has not judged the faces shown here yet; prepare it on the page Models, or "
                "choose another recogniser."
            )
        if not np.isfinite(vector).all():
            raise LiminalError(f"{recogniser} found no face in this picture; choose another face or another recogniser.")
        return vector


def from_gallery(generator: str, base_id: str | None) -> Owner:
    """The gallery's face of that id; the first one where the id is none of the gallery's."""
    gallery = caches.stored_gallery(generator)
    base = next((each for each in gallery.bases if each.base_id == base_id), gallery.bases[0])
    return Owner(
        identity=base.base_id,
        title=base.title,
        src=asset_url(base.image),
        descriptors={name: gallery.descriptor(base.base_id, name) for name in gallery.descriptors},
        latent=base.latent,
    )


def from_photo(identity: str, data: bytes) -> Owner:
    """A user's photo: read once, framed, described; only the framed face is kept, in this session's memory.

    ``identity`` is the upload's own random name. Raises LiminalError with what is wrong with the picture.
    """
    kept: Owner | None = st.session_state.get(PHOTO)
    if kept is not None and kept.identity == identity:
        return kept
    from core.models.own.usable import usable
    from core.models.photos import read_photo
    from core.sampling.pictures import to_images

    photo = read_photo(data)
    image = to_images(photo.image[None])
    with visitors.privately():
        descriptors = {name: registry.load(name, "recogniser").embed(image)[0].numpy() for name in usable("recogniser")}
    owner = Owner(
        identity=identity,
        title="you",
        src=data_url(photo.image),
        descriptors=descriptors,
        picture=photo.image,
    )
    st.session_state[PHOTO] = owner
    return owner


def forget_photo() -> None:
    """Drop the photo from this session's memory."""
    st.session_state.pop(PHOTO, None)
