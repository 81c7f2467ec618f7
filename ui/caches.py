"""What is kept between runs. Stored tables load without torch; models are loaded on first use and never changed after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.sampling import strangers, thresholds, walk

if TYPE_CHECKING:
    from core.sampling.emotion.reference import Reference
    from core.sampling.gallery import Gallery
    from core.sampling.strangers import Strangers
    from core.sampling.thresholds import Thresholds
    from core.sampling.walk import Walk


@st.cache_resource(show_spinner=False)
def stored_walk() -> Walk:
    """The walking picture of the home page."""
    return walk.load_walk()


@st.cache_resource(show_spinner=False, max_entries=4)
def stored_strangers(generator: str) -> Strangers:
    """The population of strangers of a generator."""
    return strangers.load_strangers(generator)


@st.cache_resource(show_spinner=False, max_entries=16)
def stored_thresholds(generator: str, recogniser: str) -> Thresholds:
    """Default and calibrated thresholds."""
    return thresholds.load_thresholds(generator, recogniser)


@st.cache_resource(show_spinner=False, max_entries=4)
def stored_gallery(generator: str) -> Gallery:
    """The bases to choose from."""
    from core.sampling import gallery

    return gallery.load_gallery(generator)


@st.cache_resource(show_spinner=False, max_entries=4)
def stored_reference(generator: str) -> Reference:
    """What classifiers say of many plain faces of a generator."""
    from core.sampling.emotion.reference import load_reference

    return load_reference(generator)


@st.cache_resource(show_spinner=False)
def stored_acceptance() -> Mapping[str, Any]:
    """How many faces could be either, for all pairs."""
    from core.analysis.pairs import load_acceptance

    return load_acceptance()


@st.cache_data(show_spinner=False, max_entries=512)
def stranger_picture(generator: str, seed: int) -> bytes:
    """WebP of one stranger, made again from the seed, as it was judged: not every stranger has a stored picture."""
    import torch

    from core.models import registry
    from core.sampling.pictures import to_pictures
    from core.sampling.webp import encode_webp

    maker = registry.load(generator, "generator")
    with torch.inference_mode():
        return encode_webp(to_pictures(maker.decode(maker.sample([seed])))[0])
