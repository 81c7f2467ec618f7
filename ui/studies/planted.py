"""What was planted in simulated answers, in plain words. The note kept with a study says the same for those who check it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import streamlit as st

from ui.words import fine

if TYPE_CHECKING:
    from core.studies.study import Kind, Study

NOBODY = "Nobody was asked. The answers come from simulated observers: a program that answers as people might."
TITLE = "What was planted"
SAID: dict[Kind, tuple[tuple[str, str], ...]] = {
    "identity": (
        (
            "What they see",
            "How different two faces look: by what two recognisers (dlib and SFace) measure, by the pictures themselves, and by "
            "how bright and how smiling the faces are; and a part that no network here can see.",
        ),
        (
            "How they answer",
            "Everybody looks a little inexactly and has a line of their own between one person and two. How alike they say two "
            "faces are follows from the same look. Where they are in doubt they are slower.",
        ),
        ("Who pays no attention", "A few of them, on purpose: they are what the attention checks are for."),
        (
            "What is taken from a publication",
            "How alike people find each kind of pair, and how often they say it is the same person, on average.",
        ),
    ),
    "emotion": (
        (
            "What they see",
            "Each face through a small network of their own, which takes no part in making faces and never learns on these pages; "
            "and a part that no network here can see.",
        ),
        (
            "How they answer",
            "Everybody mixes up some feelings, leans to some, sees more or less sharply and slips now and then, each in a way of "
            "their own. Where they are in doubt they are slower.",
        ),
        ("Who pays no attention", "About one in three, on purpose: they are what the attention checks are for."),
        (
            "What is taken from a publication",
            "How divided people are over a face, how long they take, how both go together, and how many miss the attention checks.",
        ),
    ),
}
REST = "Everything else that you see comes out by itself: it was not put in."


def show(study: Study) -> None:
    """The relations that were planted, one under the other; a note of another making as it was written."""
    from core.studies.observers.simulate import PLANTED

    known = PLANTED[study.plan.kind]
    if not study.note.startswith(known):
        st.html(fine(study.note or "What was planted is not known."))
        return
    rows = "".join(f"<li><b>{html.escape(title)}</b><p>{html.escape(told)}</p></li>" for title, told in SAID[study.plan.kind])
    st.html(f'<ul class="reasons planted">{rows}</ul>')
    st.html(fine(f"{REST} {study.note.removeprefix(known)}".strip()))
