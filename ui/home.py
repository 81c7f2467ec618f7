"""Cards of the home page that lead to the other pages, each with faces of the stored population as its picture."""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from core.errors import LiminalError
from core.models import registry
from ui import cache, navigation
from ui.markup import intro_html
from ui.navigation import PageInfo
from ui.pictures import asset_url

CARD_FACES = 4
CARDS_ACROSS = 2


def show_page_cards(pages: Sequence[PageInfo]) -> None:
    """One card a page: faces, title, the question it answers. The whole card is the link."""
    try:
        wall = cache.cached_population(registry.default_generator("phone")).wall
    except LiminalError:
        wall = ()
    with st.container(key="ways"):
        columns = [column for _ in pages[::CARDS_ACROSS] for column in st.columns(CARDS_ACROSS, gap="large")]
        for column, page, first in zip(columns, pages, range(0, 1000, CARD_FACES), strict=False):
            with column:
                faces = wall[first : first + CARD_FACES]
                images = "".join(f'<img src="{html.escape(asset_url(face.image))}" alt="" loading="lazy">' for face in faces)
                if images:
                    st.html(f'<div class="card-faces">{images}</div>')
                st.page_link(navigation.build_page(page), label=page.title)
                st.html(intro_html(page.question))
