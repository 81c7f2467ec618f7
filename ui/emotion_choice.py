"""What both emotion pages ask for: a base, two feelings, and choices that live in the address.

The address is the truth: a widget is set from it on every run, and its callback writes there. A new choice drops what was made
for another one.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling import own_judging
from core.sampling.emotion.configuration import DISTILLED, FREE, KEEP
from ui import caches, components, model_choice
from ui.words import fine

if TYPE_CHECKING:
    from core.sampling.gallery import GalleryBase

CLOSENESS = {KEEP: "Keep the face", FREE: "Be free"}


def pick(**values: object) -> None:
    """Write choices to the address; what was made for others is no longer shown."""
    for name, value in values.items():
        st.query_params[name] = str(int(value)) if isinstance(value, bool) else str(value)
    for made in ("seed", "sample", "row"):
        st.query_params.pop(made, None)


def _picked(name: str) -> None:
    value = st.session_state[f"{name}_wanted"]
    if value is not None:
        pick(**{name: value})


def bound(name: str, value: object) -> dict[str, Any]:
    """Arguments that tie a widget to ``name`` in the address, where ``value`` was read."""
    st.session_state[f"{name}_wanted"] = value
    return {"key": f"{name}_wanted", "on_change": _picked, "args": (name,)}


def base_of(generator: str, base_id: str | None) -> GalleryBase:
    """The gallery's face of that id; the first one where the id is none of the gallery's."""
    gallery = caches.stored_gallery(generator)
    return next((each for each in gallery.bases if each.base_id == base_id), gallery.bases[0])


def choose_base(generator: str, base: GalleryBase) -> None:
    """The gallery's faces in a strip."""
    components.gallery(caches.stored_gallery(generator), base.base_id, on_pick=lambda base_id: pick(base=base_id))


def choose_feelings(pair: tuple[str, str], label: str) -> None:
    """Six feelings, two of them chosen. Pressing a third one lets go of the one that was chosen first."""
    st.session_state["feelings"] = list(pair)
    st.pills(
        label,
        EMOTIONS,
        selection_mode="multi",
        wrap=True,
        key="feelings",
        on_change=_feelings_picked,
        args=(pair,),
        help="Two are always chosen: a third one takes the place of the one that was chosen first.",
    )


def _feelings_picked(pair: tuple[str, str]) -> None:
    new = [each for each in st.session_state["feelings"] if each not in pair]
    if new:
        pick(pair=f"{pair[1]}-{new[-1]}")


def choose_closeness(freedom: float) -> None:
    """How much of the base is kept."""
    st.segmented_control(
        "How close to the base?", list(CLOSENESS), format_func=CLOSENESS.get, required=True, **bound("freedom", freedom)
    )


def choose_generator(generator: str) -> None:
    """Where the faces come from, by the registry's names."""
    names: Sequence[str] = registry.names("generator")
    st.radio(
        "Where the faces come from",
        names,
        captions=[model_choice.caption(name) for name in names],
        **bound("generator", generator),
    )


def choose_networks(generator: str, steerer: str, asked: Sequence[str]) -> None:
    """Which network steers, and which of those that the user added are asked too; nothing where none was added."""
    added = own_judging.added("classifier")
    known = model_choice.classifiers(generator)
    reader = model_choice.reader_of(generator)
    if reader is not None:
        st.html(fine(html.escape(f"{reader} steers: it reads the embeddings that {registry.entry(generator).title} draws.")))
    elif known:
        names = [DISTILLED, *known]
        st.radio(
            "Which network steers?",
            names,
            captions=[model_choice.caption(name) for name in names],
            **bound("steerer", steerer if steerer in names else DISTILLED),
        )
    others = [name for name in known if name not in (reader, steerer)]
    if others:
        st.session_state["asked_wanted"] = [name for name in asked if name in others]
        st.pills(
            "Who else is asked about the faces?",
            others,
            selection_mode="multi",
            wrap=True,
            key="asked_wanted",
            format_func=lambda name: registry.entry(name).title,
            on_change=_asked_picked,
        )
    for name in added:
        if name not in (*known, reader):
            title = registry.entry(name).title
            st.html(fine(html.escape(f"{title} can be asked once it was prepared on the page Models, after this generator was.")))


def _asked_picked() -> None:
    pick(asked=",".join(st.session_state["asked_wanted"]))
