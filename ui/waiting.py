"""While a page waits for a network that others use too: how many are ahead, in the page's own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from core.models import visits


def ahead(others: int) -> str:
    """For example '12 ahead of you'; nothing where nobody is."""
    return f"{others} ahead of you" if others else ""


@contextmanager
def spinner(words: str) -> Iterator[None]:
    """As ``st.spinner``, and below it how many are ahead.

    The line is written by the thread that waits, so that a script which is stopped, because its tab was closed or something else
    was chosen, leaves the queue there and then.
    """
    with st.spinner(words):
        line = st.empty()
        with visits.waiting(lambda others: line.caption(ahead(others) or "Your turn now")):
            yield
        line.empty()
