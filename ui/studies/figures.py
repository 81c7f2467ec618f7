"""Figures of the owner's pages: smaller than those of the analysis, with their caption."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from core.figures import theme
from ui.markup import caption_html

PLOTLY_OPTIONS = {"displayModeBar": False, "scrollZoom": False}


def show_figure(figure: go.Figure, key: str, height: int = 300) -> None:
    """Show a figure with its caption: sentence, n, interval and source."""
    dark = st.context.theme.type == "dark"
    themed = theme.apply_theme(figure, dark=dark)
    themed.update_layout(height=height, margin={"t": 24}, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
    st.plotly_chart(themed, key=key, theme=None, config=PLOTLY_OPTIONS, alt=str(figure.layout.meta["says"]))
    st.html(caption_html(theme.build_caption(figure)))
