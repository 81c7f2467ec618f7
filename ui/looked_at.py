"""What is looked at, in the page's address: pressing a face writes it there, closing what is said of it takes it away."""

from __future__ import annotations

import streamlit as st

ITEM = "item"


def pick(name: str) -> None:
    """Look at the one that was pressed."""
    st.query_params[ITEM] = name


def forget() -> None:
    """Look at none."""
    st.query_params.pop(ITEM, None)


def picked() -> str | None:
    """The one that is looked at."""
    return st.query_params.get(ITEM)
