"""A study's table of answers, kept as long as nothing was added or deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ui.studies import access

if TYPE_CHECKING:
    import pandas as pd

    from core.studies.study import Study


def ratings(study: Study) -> pd.DataFrame:
    """The typed table of RATINGS; never changed in place."""
    store = access.store()
    return _ratings(study.name, study.token, store.counts().get(study.name, (0, 0)), len(store.deletions(study.name)))


@st.cache_resource(show_spinner=False, max_entries=4)
def _ratings(name: str, token: str, counts: tuple[int, int], deletions: int) -> pd.DataFrame:
    return access.store().ratings(name)
