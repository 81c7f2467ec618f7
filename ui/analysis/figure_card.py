"""One exhibit as a card: figure, n, interval, source, definition and downloads."""

from __future__ import annotations

import html

import pandas as pd
import streamlit as st

from core.figures import theme
from core.figures.exhibit import Exhibit
from core.studies.exporting.tables import escape_cell
from ui.markup import SOURCE_NAMES, caption_html


def show_figure_card(exhibit: Exhibit, key: str, *, name: str) -> None:
    """Show an exhibit under its sentence. key: of the widgets; name: of downloaded files, without ending."""
    with st.container(key=f"card-{key}", gap="small"):
        st.html(f'<h3 class="says" id="{html.escape(exhibit.key)}">{html.escape(exhibit.says).replace(" %", "&nbsp;%")}</h3>')
        figure = theme.apply_theme(exhibit.figure, dark=st.context.theme.type == "dark")
        figure.update_layout(paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
        if exhibit.n != "0":  # else the sentence alone says that there is nothing to draw
            st.plotly_chart(figure, key=f"figure-{key}", theme=None, config=_plotly_options(name), alt=exhibit.says)
        with st.container(horizontal=True, gap="small", vertical_alignment="center", key=f"about-{key}"):
            st.html(_sources_html(exhibit))
            with st.container(horizontal=True, gap="small", width="content"):
                with st.popover("What is this?", type="tertiary", icon=":material/help:"):
                    st.html(f'<p class="definition">{html.escape(exhibit.definition)}</p>')
                if exhibit.n != "0":
                    with st.popover("Take it away", type="tertiary", icon=":material/download:"):
                        _show_card_downloads(exhibit, figure, key, name)
        if exhibit.note and exhibit.note != exhibit.says:
            st.html(caption_html(exhibit.note))


def _plotly_options(name: str) -> dict[str, object]:
    """Plotly's settings: its tool bar has only the button that saves a PNG."""
    return {
        "displaylogo": False,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"format": "png", "scale": 3, "filename": name},
        "scrollZoom": False,
    }


def _sources_html(exhibit: Exhibit) -> str:
    """The sources as badges, then n and interval, as HTML."""
    marks = "".join(
        f'<span data-mark="{source}">{SOURCE_NAMES[source]}</span>'
        for source in exhibit.source.split(" and ")
        if source in SOURCE_NAMES
    )
    parts = [f"n = {exhibit.n}"] if exhibit.n != "0" else []
    parts += [exhibit.interval] if exhibit.interval and exhibit.n != "0" else []
    return f'<div class="badges about">{marks}<small>{html.escape("; ".join(parts))}</small></div>'


def _show_card_downloads(exhibit: Exhibit, figure: object, key: str, name: str) -> None:
    st.download_button(
        "The numbers (CSV)",
        lambda: encode_csv(exhibit.saved_table),
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
    """A table as CSV: UTF-8 with a byte-order mark for spreadsheets; cells that they would read as formulas are escaped."""

    def safe(value: object) -> object:
        return escape_cell(value) if isinstance(value, str) else value

    return table.map(safe).to_csv(index=False, lineterminator="\r\n").encode("utf-8-sig")
