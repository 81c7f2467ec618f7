"""The ways in from the home page: a card a page, with real faces of the stored population as its picture."""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from core.errors import LiminalError
from ui import caches, navigation
from ui.images import asset_url
from ui.navigation import Place
from ui.state import GENERATOR
from ui.words import lead

FACES = 4
ACROSS = 2


def ways_in(places: Sequence[Place]) -> None:
    """One card a page: faces, title, what it answers. The whole card is the link."""
    try:
        wall = caches.stored_strangers(GENERATOR).wall
    except LiminalError:
        wall = ()
    with st.container(key="ways"):
        columns = [column for _ in places[::ACROSS] for column in st.columns(ACROSS, gap="large")]
        for column, place, first in zip(columns, places, range(0, 1000, FACES), strict=False):
            with column:
                shown = wall[first : first + FACES]
                faces = "".join(f'<img src="{html.escape(asset_url(face.image))}" alt="" loading="lazy">' for face in shown)
                if faces:
                    st.html(f'<div class="card-faces">{faces}</div>')
                st.page_link(navigation.page(place), label=place.title)
                st.html(lead(place.question))
