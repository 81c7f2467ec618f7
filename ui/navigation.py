"""The pages there are, and the masthead that leads to them."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import streamlit as st

from ui import ASSETS, PAGES, components, jobs


@dataclass(frozen=True)
class PageInfo:
    """A page: its file in pages/, title, address, the question it answers, and its shorter title in the masthead."""

    file: str
    title: str
    url: str
    question: str = ""
    short: str = ""


HOME = PageInfo("home.py", "Liminal", "")
PHONE = PageInfo(
    "phone.py",
    "Who could unlock my phone",
    "phone",
    "Strangers hold their faces in front of it. Choose the owner, or bring your own photo, and see who gets in.",
    "Phone",
)
IDENTITY = PageInfo(
    "identity.py",
    "Identity samples",
    "identity",
    "Twenty-eight faces around one person, made while you watch and judged by every recogniser: which still pass?",
    "Identity",
)
EMOTION = PageInfo(
    "emotion.py",
    "Emotion boundary",
    "emotion",
    "Which feeling is this? Faces that could be either of two, made while you watch, and what other networks say of them.",
    "Emotion",
)
MORPH = PageInfo(
    "morph.py",
    "Morph",
    "morph",
    "One person, from one feeling to another. Slide over the row and see where each network changes its mind.",
)
STUDIES = PageInfo(
    "studies.py",
    "Studies",
    "studies",
    "What do people say? Send a link, watch the answers come in, and see whom to believe.",
)
MAKING = PageInfo(
    "making.py",
    "Faces made by people",
    "making",
    "People make the face that they have in mind, one part after the other, each going on where the last one stopped.",
)
DISAGREEMENT = PageInfo(
    "disagreement.py",
    "Disagreement",
    "disagreement",
    "The same faces, ranked by how far people and models, or people among themselves, are from one another.",
)
CAUSES = PageInfo(
    "what_matters.py",
    "What matters",
    "what-matters",
    "Each part of a face is moved alone, nothing else: what does the machine mind, and what do people?",
    "Causes",
)
STATISTICS = PageInfo(
    "statistics.py",
    "Statistics",
    "statistics",
    "The figures and tables of both papers for any study, each with its interval, beside the published ones.",
)
COMPARE = PageInfo(
    "compare.py",
    "Compare",
    "compare",
    "Two models, two groups of people, two studies or two sets on the same axes: what is the difference, and is it clear?",
)
MAP = PageInfo(
    "map.py",
    "Map",
    "map",
    "All faces of a set on one sheet, those that are alike near each other. Draw around some and see who they are.",
)
ALIGN = PageInfo(
    "align.py",
    "Align",
    "align",
    "Networks learn from what people said: do they see like them then, and can they learn to see like one of them?",
)
YOU = PageInfo(
    "you.py",
    "You",
    "you",
    "Answer thirty faces. Your next answer is guessed before you give it, and you see where you part from the crowd.",
)
NEXT_QUESTION = PageInfo("next_question.py", "Next question", "next-question")
"""A page that is gone; links to it lead to Align."""
FROM = "from"
"""Parameter in a page's address: the page that is gone, whose links lead there now."""
MODELS = PageInfo(
    "models.py",
    "Models",
    "models",
    "What makes and judges the faces, where it comes from and what it must not be used for. Try any, or bring your own.",
)
IMPORT = PageInfo("import_ratings.py", "Bring in answers", "import")
TAKE_PART = PageInfo("take_part.py", "A study", "take-part")
MASTHEAD_GROUPS = ((PHONE, IDENTITY, EMOTION, MORPH), (STUDIES, YOU), (CAUSES, DISAGREEMENT, STATISTICS, COMPARE, MAP, ALIGN))
"""In the masthead: making faces, asking people, analysing the answers."""
MAIN_PAGES = (HOME, *(page for group in MASTHEAD_GROUPS for page in group))
LINKED_PAGES = (IMPORT, MAKING, NEXT_QUESTION, MODELS, TAKE_PART)
"""Reached from other pages, or by a link that was sent."""


def build_page(page: PageInfo) -> st.Page:
    """Streamlit's object for a page."""
    return st.Page(
        PAGES / page.file,
        title=page.title if page in (HOME, TAKE_PART) else f"{page.title} · Liminal",
        url_path=page.url or None,
        default=page is HOME,
    )


FIRST_PAGE_PAINTED = threading.Event()
"""Set once this process has painted a page: what the first visitor does not need may be loaded from then on."""


def run_app() -> None:
    """Show the masthead, then run the page that the address names."""
    try:
        _run_app()
    finally:
        FIRST_PAGE_PAINTED.set()


def _run_app() -> None:
    jobs.enter_session_context()
    st.set_page_config(page_icon=str(ASSETS / "icon.svg"), layout="wide", initial_sidebar_state="collapsed")
    pages = {page: build_page(page) for page in (*MAIN_PAGES, *LINKED_PAGES)}
    current = st.navigation(list(pages.values()), position="hidden")
    st.html(ASSETS / "style.css")
    if current.url_path == TAKE_PART.url:  # a rater sees the study and nothing else
        current.run()
        components.sync_theme()
        return
    with st.container(horizontal=True, key="masthead", vertical_alignment="center", gap="small"):
        st.page_link(pages[HOME], label=HOME.title)
        for number, group in enumerate(MASTHEAD_GROUPS):
            with st.container(horizontal=True, key=f"masthead-{number}", gap="medium", width="content"):
                for page in group:
                    st.page_link(pages[page], label=page.short or page.title)
        components.sync_theme(current.url_path)
    current.run()
    show_footer()
    from ui.photo import current_photo  # core.sampling: the masthead and the page come first

    components.offer_presenting(private=current_photo() is not None)


def show_footer() -> None:
    """The note below every page: what its faces are, and what the numbers do not prove."""
    with st.container(key="foot"):
        st.markdown(
            "Unless you bring a photo, no face here belongs to a real person: a computer made them. "
            "What networks say of them shows how they treat *these made-up* faces; it is no proof of what they do with real "
            "people, who differ more from one another."
        )
        st.page_link(
            build_page(MODELS), label="The models, where they come from, and adding your own", icon=":material/arrow_forward:"
        )
