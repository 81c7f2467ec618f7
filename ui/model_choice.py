"""Choosing among models: those that come with Liminal and those that the user added, and what each of these can be used for."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.errors import StreamlitAPIException

from core.models import registry
from core.sampling import own_judging
from core.sampling.emotion.configuration import DISTILLED, TAUGHT_BY
from core.sampling.preparing import is_prepared, needs_preparing

if TYPE_CHECKING:
    from core.models.contracts import Kind

WHAT: dict[Kind, str] = {"generator": "generator of faces", "recogniser": "recogniser", "classifier": "network for feelings"}
BYSTANDER = "small-cnn"
"""The judge that never steers."""


def tell_gone(**asked: Kind) -> None:
    """Say so where the address or a choice made before names a model that is not there (any more), and let go of it.

    asked: the name in the address -> the kind of model that it chooses.
    """
    for key, kind in asked.items():
        names = st.query_params.get(key) or st.session_state.get(key) or ""
        unknown = [name for name in str(names).split(",") if name and name not in registry.names(kind)]
        if unknown:
            st.session_state.pop(key, None)
            with contextlib.suppress(StreamlitAPIException):  # where a widget is bound to it, the widget lets go of it itself
                st.query_params.pop(key, None)
            # an address is written by anybody: only what could be a name is repeated
            named = f"The {WHAT[kind]} '{unknown[0]}'" if re.fullmatch(r"[\w-]{1,40}", unknown[0]) else f"A {WHAT[kind]}"
            st.warning(f"{named} that this view asks for is not installed here (any more), so the usual one is used instead.")


def caption(name: str) -> str:
    """A model's title, and where it stands if the user added it."""
    entry = registry.entry(name)
    if entry.own is None:
        return entry.title
    return f"{entry.title}, added here" + ("" if not needs_preparing(entry) or is_prepared(name) else ", not prepared yet")


def without_gradient(*names: str) -> str | None:
    """The first of these models that has no gradient to follow, so that only trial and selection can search with it."""
    for name in names:
        own = registry.entry(name).own
        if own is not None and not own.facts.get("differentiable", True):
            return name
    return None


def has_looks(generator: str) -> bool:
    """Whether directions such as a smile are known for the generator's latents: for those that come with Liminal."""
    return registry.entry(generator, "generator").own is None


def classifiers(generator: str) -> list[str]:
    """The added classifiers that have judged the generator's plain faces, so that they can steer and be asked."""
    return [name for name in own_judging.added("classifier") if own_judging.logits(name, generator) is not None]


def reader_of(generator: str) -> str | None:
    """The classifier that reads a generator's latents as embeddings, and so steers it; None for all other generators."""
    own = registry.entry(generator, "generator").own
    return None if own is None else own.options.get("classifier")


def why_direct(generator: str, steerer: str) -> str:
    """Why faces cannot be made in two stages with these models, in one sentence; empty where they can."""
    entry = registry.entry(generator, "generator")
    if reader_of(generator) is not None:
        return ""
    if entry.own is not None:
        return (
            f"Two stages need a network from embeddings to faces of {entry.title}, and there is none: the picture itself is "
            "changed instead, by the gradient of those that steer."
        )
    if steerer != DISTILLED:
        return f"{registry.entry(steerer).title} sees pictures, not embeddings, so it steers by changing the picture itself."
    return ""


def judges(generator: str, steerer: str, asked: Sequence[str]) -> tuple[str, ...]:
    """Who is asked about the finished faces beside the one that steers; last the one that never does."""
    return (*TAUGHT_BY, *(name for name in asked if name not in (steerer, reader_of(generator))), BYSTANDER)
