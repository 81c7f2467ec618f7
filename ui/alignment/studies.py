"""Which study these pages open with: one that asks about feelings, where the address names none."""

from __future__ import annotations

import streamlit as st

from ui.analysis import material
from ui.studies import access


def about_feelings() -> bool:
    """Whether the study of the address is there and asks about feelings."""
    asked = st.query_params.get("study")
    return any(each.name == asked and each.plan.kind == "emotion" for each in material.visible_studies())


def prefer_feelings() -> None:
    """Put a study of feelings into the address where it names no study and the last one looked at asks something else."""
    if "study" in st.query_params:
        return
    feelings = [each for each in material.visible_studies() if each.plan.kind == "emotion"]
    if feelings and st.session_state.get(material.LAST, "") not in {each.name for each in feelings}:
        st.query_params["study"] = material.default(feelings, access.store().counts()).name
