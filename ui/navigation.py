"""The pages there are, and the masthead that leads to them."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from ui import components, visitors
from ui.paths import ASSETS, PAGES


@dataclass(frozen=True)
class Place:
    """A page: file in pages/, name, address, what it answers, and its shorter name in the masthead."""

    file: str
    title: str
    url: str
    question: str = ""
    short: str = ""


HOME = Place("home.py", "Liminal", "")
PHONE = Place(
    "phone.py",
    "Who could unlock my phone",
    "phone",
    "Two thousand strangers hold their faces in front of it. Choose the owner, or bring your own photo, and see who gets in.",
    "Phone",
)
IDENTITY = Place(
    "identity.py",
    "Identity samples",
    "identity",
    "Twenty-eight faces around one person, made while you watch and judged by every recogniser: which still pass?",
    "Identity",
)
EMOTION = Place(
    "emotion.py",
    "Emotion boundary",
    "emotion",
    "Which feeling is this? Faces that could be either of two, made while you watch, and what other networks say of them.",
    "Emotion",
)
MORPH = Place(
    "morph.py",
    "Morph",
    "morph",
    "One person, from one feeling to another. Slide over the row and see where each network changes its mind.",
)
STUDIES = Place(
    "studies.py",
    "Studies",
    "studies",
    "What do people say? Send a link, watch the answers come in, and see whom to believe.",
)
DISAGREEMENT = Place(
    "disagreement.py",
    "Disagreement",
    "disagreement",
    "The same faces, ranked by how far people and models, or people among themselves, are from one another.",
)
STATISTICS = Place(
    "statistics.py",
    "Statistics",
    "statistics",
    "The figures and tables of both papers for any study, each with its interval, beside the published ones.",
)
COMPARE = Place(
    "compare.py",
    "Compare",
    "compare",
    "Two models, two groups of people, two studies or two sets on the same axes: what is the difference, and is it clear?",
)
MAP = Place(
    "map.py",
    "Map",
    "map",
    "All faces of a set on one sheet, those that are alike near each other. Draw around some and see who they are.",
)
ALIGN = Place(
    "align.py",
    "Align",
    "align",
    "Networks learn from what people said: do they see like them then, and can they learn to see like one of them?",
)
YOU = Place(
    "you.py",
    "You",
    "you",
    "Answer thirty faces. Your next answer is guessed before you give it, and you see where you part from the crowd.",
)
NEXT_QUESTION = Place("next_question.py", "Next question", "next-question")
"""A page that is gone; links to it lead to Align."""
FROM = "from"
"""In the address of a page: the page that is gone and led there."""
MODELS = Place(
    "models.py",
    "Models",
    "models",
    "What makes and judges the faces, where it comes from and what it must not be used for. Try any, or bring your own.",
)
IMPORT = Place("import_ratings.py", "Bring in answers", "import")
TAKE_PART = Place("take_part.py", "A study", "take-part")
GROUPS = ((PHONE, IDENTITY, EMOTION, MORPH), (STUDIES, YOU), (DISAGREEMENT, STATISTICS, COMPARE, MAP, ALIGN))
"""In the masthead: faces to make, people to ask, and what it means."""
PLACES = (HOME, *(place for group in GROUPS for place in group))
ASIDE = (IMPORT, NEXT_QUESTION, MODELS, TAKE_PART)
"""Reached from other pages, or by a link that was sent."""


def page(place: Place) -> st.Page:
    """Streamlit's object for a page."""
    return st.Page(
        PAGES / place.file,
        title=place.title if place in (HOME, TAKE_PART) else f"{place.title} · Liminal",
        url_path=place.url or None,
        default=place is HOME,
    )


def run() -> None:
    """Lay the style sheet and the masthead, then run the page that was asked for."""
    visitors.enter()
    st.set_page_config(page_title="Liminal", page_icon=str(ASSETS / "icon.svg"), layout="wide", initial_sidebar_state="collapsed")
    pages = {place: page(place) for place in (*PLACES, *ASIDE)}
    current = st.navigation(list(pages.values()), position="hidden")
    st.html(ASSETS / "style.css")
    if current.url_path == TAKE_PART.url:  # somebody who was sent a link sees the study and nothing else
        current.run()
        components.theme()
        return
    with st.container(horizontal=True, key="masthead", vertical_alignment="center", gap="medium"):
        st.page_link(pages[HOME], label=HOME.title)
        for number, group in enumerate(GROUPS):
            with st.container(horizontal=True, key=f"masthead-{number}", gap="medium", width="content"):
                for place in group:
                    st.page_link(pages[place], label=place.short or place.title)
        components.theme(current.url_path)
    current.run()
    foot()


def foot() -> None:
    """What every page owes its reader."""
    with st.container(key="foot"):
        st.markdown(
            "Unless you bring a photo, no face here belongs to a real person: a network made them. "
            "How often they are confused with each other says how this recogniser treats *this network's* faces; "
            "it is no proof of what it does with real people, who differ more from one another."
        )
        st.page_link(page(MODELS), label="The models, where they come from, and adding your own")
