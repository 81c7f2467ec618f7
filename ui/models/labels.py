"""Which output of an added classifier means which feeling: shown, and corrected where the guess was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st

from core.models.emotions import EMOTIONS
from ui.models import running
from ui.words import fine

if TYPE_CHECKING:
    from core.models.own.adding import Added
    from core.models.registry import Entry
    from core.progress import Progress

ACROSS = 3


def correct(entry: Entry, outputs: Mapping[int, str]) -> None:
    """The outputs by their own names, one to be chosen for each feeling, and the button that checks and keeps the choice."""
    own = entry.own
    assert own is not None
    slot = f"labels-{entry.name}"
    with st.expander("Which output means which feeling?", icon=":material/label:", expanded=slot in st.session_state):
        st.html(fine("Guessed from the network's own words. Where a guess is wrong, choose another output for that feeling."))
        now = {emotion: int(own.options["labels"][emotion]) for emotion in EMOTIONS}
        chosen = {}
        for first in range(0, len(EMOTIONS), ACROSS):
            for column, emotion in zip(st.columns(ACROSS), EMOTIONS[first : first + ACROSS], strict=True):
                with column:
                    chosen[emotion] = st.selectbox(
                        emotion.capitalize(),
                        list(outputs),
                        index=list(outputs).index(now[emotion]),
                        format_func=lambda number: f"{number}: {outputs[number]}",
                        key=f"{slot}-{emotion}",
                    )
        st.button(
            "Use these",
            key=f"use-{slot}",
            disabled=chosen == now,
            on_click=_start,
            args=(entry, chosen),
            help="The network is checked again; what was prepared for the pages has to be prepared again.",
        )
        if running.ended(slot) is not None:
            st.success("Kept. Prepare it again, so that the pages show what it says now.")


def _start(entry: Entry, chosen: dict[str, int]) -> None:
    own = entry.own
    assert own is not None

    def work(told: Progress) -> Added:
        from core.models.own.adding import add

        return add(
            own.name,
            own.model_class,
            own.source,
            options={**own.options, "labels": chosen},
            title=own.title,
            weights_licence=own.weights_licence,
            data_licence=own.data_licence,
            replaces=True,
            progress=told,
        )

    running.start(f"labels-{entry.name}", tuple(chosen.items()), f"Changing {entry.name}", work)
