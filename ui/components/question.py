"""One face after the other with six feelings to choose from, at one's own pace; each answer goes to the page, not to a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.models.emotions import EMOTIONS
from ui.components.mounting import mount


def question(
    *,
    number: int,
    stimulus: str,
    src: str,
    key: str,
    on_answer: Callable[[Mapping[str, Any]], None],
    told: str = "",
    right: bool | None = None,
) -> None:
    """``number``: of the question, from 0; ``told``: a sentence on the one before, ``right``: whether it had been guessed.

    ``on_answer`` gets {number, stimulus, emotion, milliseconds}.
    """

    def answered() -> None:
        given = st.session_state[key].get("answered")
        if given:
            on_answer(given)

    mount("question", parts=("presses",))(
        data={
            "number": number,
            "stimulus": stimulus,
            "src": src,
            "told": told,
            "right": None if right is None else "yes" if right else "no",
            "emotions": list(EMOTIONS),
        },
        key=key,
        on_answered_change=answered,
    )
