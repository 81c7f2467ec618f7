"""All studies as cards, and the way to a new one."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import streamlit as st

from ui import navigation
from ui.studies import access, words
from ui.words import fine, lead

if TYPE_CHECKING:
    from core.studies.study import Study

ACROSS = 3
FACES = 4


def show() -> None:
    """The list of studies, newest first; simulated ones can be hidden with one click."""
    st.title("What do people say?", anchor=False)
    st.html(
        lead(
            "A network has its answer. Ask people about the same faces: make a study from a sample set, send the link, and watch "
            "the answers come in."
        )
    )
    access.show_demonstration()
    studies = access.store().studies()
    simulated = any(each.source != "human" for each in studies)
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="shelf-actions"):
        if st.button("New study", type="primary", icon=":material/add:", key="new-study"):
            st.query_params["new"] = "1"
            st.rerun()
        st.page_link(navigation.page(navigation.IMPORT), label="Bring in answers from a file", icon=":material/upload_file:")
        hide = simulated and st.toggle("Hide simulated studies", key="hide", bind="query-params")
    shown = [each for each in studies if each.source == "human" or not hide]
    if not shown:
        st.html(
            '<div class="nothing"><b>No studies yet</b><p>Make faces on the pages "Identity samples" or "Emotion boundary" and '
            "press “Ask people about these faces”, or begin here with any sample set.</p></div>"
        )
        return
    counts = access.store().counts()
    with st.container(key="shelf"):
        for start in range(0, len(shown), ACROSS):
            for column, study in zip(st.columns(ACROSS, gap="medium"), shown[start : start + ACROSS], strict=False):
                with column:
                    _card(study, *counts.get(study.name, (0, 0)))


def _card(study: Study, people: int, answers: int) -> None:
    """Faces, name, what it is, how far it is. The whole card is the link."""
    with st.container(border=True):
        shown = [each for each in access.stimuli(study)[: 2 * FACES] if access.pictured(study, each)]
        images = list(dict.fromkeys(image for each in shown for image in each.images))[:FACES]
        faces = "".join(
            f'<img src="{html.escape(access.picture_address(study.token, image))}" alt="" loading="lazy">' for image in images
        )
        st.html((f'<div class="card-faces">{faces}</div>' if faces else "") + words.badges(study))
        st.page_link(navigation.page(navigation.STUDIES), label=words.plain_label(study.name), query_params={"study": study.name})
        st.html(fine(words.counted(study, people, answers)))
