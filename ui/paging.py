"""A long list, a page at a time."""

from __future__ import annotations

from typing import Any

import streamlit as st


def paged(total: int, size: int, key: str, **options: Any) -> slice:
    """The rows of the page that was chosen; where all fit on one there is nothing to choose. options: of ``st.pagination``."""
    pages = -(-total // size)
    place = st.pagination(pages, key=key, **options) if pages > 1 else 1
    return slice((place - 1) * size, min(place * size, total))
