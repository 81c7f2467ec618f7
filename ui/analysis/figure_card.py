"""One figure with all that a reader needs to trust it and to take it away."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import streamlit as st

from core.figures import theme
from ui.markup import caption_html

if TYPE_CHECKING:
    import pandas as pd

    from core.figures.exhibit import Exhibit

SOURCE_NAMES = {"human": "people", "simulated": "simulated", "model": "models", "published": "published"}


def show_figure_card(shown: Exhibit, key: str, *, name: str) -> None:
    """Its sentence as title, the figure, n, interval and source, what is measured, downloads. name: of files, without ending."""
    with st.container(key=f"card-{key}", gap="small"):
        st.html(f'<h3 class="says" id="{html.escape(shown.key)}">{html.escape(shown.says)}</h3>')
        figure = theme.apply_theme(shown.figure, dark=st.context.theme.type == "dark")
        figure.update_layout(paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
        if shown.n != "0":  # else the sentence alone says that there is nothing to draw
            st.plotly_chart(figure, key=f"figure-{key}", theme=None, config=_plotly_options(name), alt=shown.says)
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"about-{key}"):
            st.html(_sources_html(shown))
            with st.container(horizontal=True, gap="small", width="content"):
                with st.popover("What is this?", type="tertiary", icon=":material/help:"):
                    st.html(f'<p class="definition">{html.escape(shown.definition)}</p>')
                if shown.n != "0":
                    with st.popover("Take it away", type="tertiary", icon=":material/download:"):
                        _show_card_downloads(shown, figure, key, name)
        if shown.note and shown.note != shown.says:
            st.html(caption_html(shown.note))


def _plotly_options(name: str) -> dict[str, object]:
    """Plotly's own bar holds the camera alone."""
    return {
        "displaylogo": False,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"format": "png", "scale": 3, "filename": name},
        "scrollZoom": False,
    }


def _sources_html(shown: Exhibit) -> str:
    """Where it comes from as marks, then n and interval."""
    marks = "".join(
        f'<span data-mark="{source}">{SOURCE_NAMES[source]}</span>'
        for source in shown.source.split(" and ")
        if source in SOURCE_NAMES
    )
    told = [f"n = {shown.n}"] if shown.n != "0" else []
    told += [shown.interval] if shown.interval and shown.n != "0" else []
    return f'<div class="badges about">{marks}<small>{html.escape("; ".join(told))}</small></div>'


def _show_card_downloads(shown: Exhibit, figure: object, key: str, name: str) -> None:
    st.download_button(
        "The numbers (CSV)",
        lambda: encode_csv(shown.data),
        f"{name}.csv",
        "text/csv",
        key=f"csv-{key}",
        icon=":material/table:",
        on_click="ignore",
    )
    st.download_button(
        "The figure (HTML, interactive)",
        lambda: figure.to_html(include_plotlyjs=True, config=_plotly_options(name)).encode(),  # type: ignore[attr-defined]
        f"{name}.html",
        "text/html",
        key=f"html-{key}",
        icon=":material/bar_chart:",
        on_click="ignore",
    )
    st.html(caption_html("As a picture: the camera at the top right of the figure saves a PNG."))


def encode_csv(table: pd.DataFrame) -> bytes:
    """UTF-8 with the mark that spreadsheets look for; cells that they would compute are escaped."""
    from core.studies.exporting.tables import escape_cell

    def safe(value: object) -> object:
        return escape_cell(value) if isinstance(value, str) else value

    return table.map(safe).to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")
