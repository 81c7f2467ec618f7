"""What can be taken away: the answers as a table, or everything as one bundle."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import streamlit as st

from ui.studies import access, answers_view
from ui.words import fine

if TYPE_CHECKING:
    from core.studies.study import Study


def show(study: Study) -> None:
    """Three downloads, each made when it is pressed."""
    from core.studies.exporting import bundle, tables

    name = re.sub(r"[^\w-]+", "-", study.name).strip("-").lower() or "study"
    st.subheader("Take it away", anchor=False)
    with st.container(horizontal=True, gap="small"):
        _button("Answers (CSV)", lambda: tables.csv_bytes(answers_view.ratings(study)), f"{name}.csv", "text/csv")
        _button(
            "Answers (Parquet)",
            lambda: tables.parquet_bytes(answers_view.ratings(study)),
            f"{name}.parquet",
            "application/vnd.apache.parquet",
        )
        about = st.session_state.get("with-demographics", False)
        _button(
            "Everything (bundle)",
            lambda: bundle.bundle(access.store(), access.library(), study.name, demographics=about),
            f"{name}.zip",
            "application/zip",
        )
    st.toggle("Put age and gender into the bundle", key="with-demographics")
    st.html(
        fine(
            "The bundle holds faces, latents, what networks say, every answer, a data card and a list of hashes; it can be brought "
            "in again unchanged. Answers of people who are left out by a rule are in all three."
        )
    )


def _button(label: str, made: object, name: str, kind: str) -> None:
    st.download_button(
        label, made, name, kind, key=f"download-{name.rpartition('.')[2]}", icon=":material/download:", on_click="ignore"
    )
