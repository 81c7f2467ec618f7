"""Which feeling is taken for which, before and after, for everybody or one person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ui.alignment.changed import EVERYBODY, WHOSE
from ui.analysis.figure_card import card
from ui.words import lead

if TYPE_CHECKING:
    from core.alignment.alignment import Alignment
    from ui.analysis.material import Chosen


def show(chosen: Chosen, alignment: Alignment, network: str) -> None:
    """Two tables side by side: of the person that is looked at above, else of everybody."""
    from core.alignment.changes import confusion
    from core.figures.exhibits.alignment import confusions
    from core.figures.exhibits.exhibit import file_name

    st.space("medium")
    st.header("What is taken for what", anchor="taken")
    asked = st.query_params.get(WHOSE, EVERYBODY)
    rater = asked if asked in alignment.people(network) else ""
    levels = ("group", "individual") if rater else ("base", "group")
    who = f"The held-out answers of {rater}" if rater else "Everybody's held-out answers"
    st.html(lead(f"{who} against the network's first choice. A perfect network has 100 % along the diagonal."))
    counts = {level: confusion(alignment, network, level, rater) for level in levels}
    for column, each in zip(st.columns(2, gap="large"), confusions(counts, alignment.answers.source), strict=True):
        with column:
            card(each, f"align-{each.key}-{network}", name=file_name(chosen.study.name, "align", each.key))
