"""A study's table of answers, kept as long as nothing was added or deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ui.studies import access

if TYPE_CHECKING:
    import pandas as pd

    from core.studies.study import Study


Version = tuple[str, str, tuple[int, int], int]


def version(study: Study) -> Version:
    """Another one whenever an answer comes in or goes: what follows from a study's answers is kept by it."""
    store = access.store()
    return study.name, study.token, store.counts(study.name).get(study.name, (0, 0)), len(store.deletions(study.name))


def ratings(study: Study) -> pd.DataFrame:
    """The typed table of RATINGS; never changed in place."""
    return _ratings(version(study))


@st.cache_resource(show_spinner=False, max_entries=4)
def _ratings(version: Version) -> pd.DataFrame:
    return access.store().ratings(version[0])
