"""One study for its owner: the link to send, how it goes, whom to believe, the votes on each face, what can be taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import streamlit as st

from core.alignment.forgetting import delete_study
from core.errors import LiminalError
from ui import navigation
from ui.studies import access, downloads, making, overview_view, people_view, planted, stimuli_view, words
from ui.words import fine, lead

if TYPE_CHECKING:
    from core.studies.study import Study


def show(name: str) -> None:
    """The study of the address."""
    if st.button("All studies", type="tertiary", icon=":material/arrow_back:", key="back"):
        st.query_params.clear()
        st.rerun()
    try:
        study = access.store().study(name)
    except LiminalError as error:
        st.error(str(error))
        return
    st.title(words.plain_label(study.name), anchor=False)
    st.html(words.badges(study))
    for note in st.session_state.pop(making.MADE, ()):
        st.info(note)
    if study.source == "simulated":
        st.warning(planted.NOBODY, icon=":material/smart_toy:")
        with st.expander(planted.TITLE):
            planted.show(study)
    elif study.published:
        st.info(
            f"This was brought in from elsewhere; nobody was asked here. {words.plain_label(study.note)}".strip(),
            icon=":material/menu_book:",
        )
    else:
        _link(study)
    found = overview_view.show(study)
    st.space("medium")
    stimuli_view.show(study, found.exclusions)
    st.space("medium")
    people_view.show(study)
    st.space("medium")
    downloads.show(study)
    _end(study)


def address(study: Study) -> str:
    """The link for raters, as seen from the browser that asks."""
    parts = urlsplit(st.context.url or "")
    origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
    return f"{origin}/{navigation.TAKE_PART.url}?study={study.token}"


def _link(study: Study) -> None:
    with st.container(key="send", border=True):
        if study.closed:
            st.subheader("This study is closed", anchor=False)
            st.html(fine("It takes nobody new and no more answers. What was answered is kept."))
            st.button("Open it again", key="reopen", on_click=_change, args=(study.name, False), icon=":material/lock_open:")
            return
        st.subheader("Send this link", anchor=False)
        link = address(study)
        st.code(link, language=None, wrap_lines=True)
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.link_button("Try it yourself", link, icon=":material/open_in_new:")
            st.button("Close the study", key="close", on_click=_change, args=(study.name, True), icon=":material/lock:")
        host = urlsplit(link).hostname or ""
        local = " It works on this computer only; start the server with an address that others can reach to send it to them."
        st.html(
            fine(
                "Whoever has the link can take part; nothing else is needed. Answers that you give while trying count like all "
                f"others: delete them below.{local if host in ('localhost', '127.0.0.1') else ''}"
            )
        )


def _change(name: str, closed: bool) -> None:
    try:
        access.store().change(name, closed=closed)
    except LiminalError as error:
        st.session_state["study-problem"] = str(error)


def _end(study: Study) -> None:
    """Deleting all of it."""
    with st.expander("Delete this study", icon=":material/delete:"):
        st.html(lead("This deletes its faces' votes, everybody's answers and the link, and cannot be undone."))
        typed = st.text_input(f"Type the study's name to confirm: {study.name}", key="delete-name", width=420)
        if st.button("Delete the study", key="delete-study", disabled=typed.strip() != study.name):
            try:
                delete_study(access.store(), study.name)
            except LiminalError as error:
                st.error(str(error))
                return
            st.query_params.clear()
            st.rerun()
