"""Figures of the core on a page: in the visitor's theme, with the sentence that each carries below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.figures import theme
from ui.words import fine

if TYPE_CHECKING:
    import plotly.graph_objects as go

PLAIN = {"displayModeBar": False, "scrollZoom": False}


def figure(made: go.Figure, key: str, height: int = 300) -> None:
    """A figure of ``core.figures`` and what it says of itself: its sentence, n, interval and source."""
    dark = st.context.theme.type == "dark"
    shown = theme.themed(made, dark=dark)
    shown.update_layout(height=height, margin={"t": 24}, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
    st.plotly_chart(shown, key=key, theme=None, config=PLAIN, alt=str(made.layout.meta["says"]))
    st.html(fine(theme.caption(made)))
