"""What is kept between runs. Stored tables load without torch; models are loaded on first use and never changed after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.models.own import prepared
from core.models.own.listing import own_models
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


Versions = tuple[tuple[str, int], ...]


def _versions() -> Versions:
    """Of all that was worked out for added models: what is kept of it is read anew once it is made anew."""
    return tuple((each.name, prepared.version(each.name)) for each in own_models())


def stored_strangers(generator: str, judged_by: str = "") -> Strangers:
    """The population of strangers of a generator, or as many as a recogniser that the user added has judged."""
    return _strangers(generator, judged_by, _versions())


@st.cache_resource(show_spinner=False, max_entries=8)
def _strangers(generator: str, judged_by: str, versions: Versions) -> Strangers:
    return strangers.load_strangers(generator, judged_by=judged_by)


def stored_thresholds(generator: str, recogniser: str) -> Thresholds:
    """Default and calibrated thresholds."""
    return _thresholds(generator, recogniser, _versions())


@st.cache_resource(show_spinner=False, max_entries=16)
def _thresholds(generator: str, recogniser: str, versions: Versions) -> Thresholds:
    return thresholds.load_thresholds(generator, recogniser)


def stored_gallery(generator: str) -> Gallery:
    """The bases to choose from."""
    return _gallery(generator, _versions())


@st.cache_resource(show_spinner=False, max_entries=4)
def _gallery(generator: str, versions: Versions) -> Gallery:
    from core.sampling import gallery

    return gallery.load_gallery(generator)


def stored_reference(generator: str) -> Reference:
    """What classifiers say of many plain faces of a generator."""
    return _reference(generator, _versions())


@st.cache_resource(show_spinner=False, max_entries=4)
def _reference(generator: str, versions: Versions) -> Reference:
    from core.sampling.emotion.reference import load_reference

    return load_reference(generator)


@st.cache_resource(show_spinner=False)
def stored_acceptance() -> Mapping[str, Any]:
    """How many faces could be either, for all pairs."""
    from core.analysis.pairs import load_acceptance

    return load_acceptance()
