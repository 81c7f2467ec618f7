"""Learning who is the same person: a decision model on what recognisers measure, for everybody and for each person."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import streamlit as st

from ui import words
from ui.analysis.figure_card import card
from ui.words import fine, lead

if TYPE_CHECKING:
    from core.alignment.identity import IdentityReport
    from ui.analysis.material import Chosen


def show(chosen: Chosen) -> None:
    """Before and after, beside the control."""
    from core.figures.exhibits import alignment_identity as exhibits
    from core.figures.exhibits.exhibit import file_name

    found = _found(chosen.key, chosen)
    st.html(
        lead(
            "Here no network changes: what the recognisers measured of each pair is weighed anew, so that the verdict is the one "
            "that people give."
        )
    )
    st.header("What it brought", anchor="brought")
    st.html(facts(found))
    st.html(fine("Every number here counts held-out answers only: those to pairs that no model has learned from."))
    first, second, third = exhibits.accuracy(found), exhibits.gains(found), exhibits.weights(found)
    card(first, "align-same-accuracy", name=file_name(chosen.study.name, "align", first.key))
    for column, each in zip(st.columns(2, gap="large"), (second, third), strict=True):
        with column:
            card(each, f"align-{each.key}", name=file_name(chosen.study.name, "align", each.key))


@st.cache_resource(show_spinner="Learning from these people", max_entries=8)
def _found(key: str, _chosen: Chosen) -> IdentityReport:
    from core.alignment.identity import align_identity

    return align_identity(_chosen.material)[1]


def facts(found: IdentityReport) -> str:
    """The numbers that matter, with what they mean, as HTML."""
    from core.figures import theme
    from core.figures.exhibits.alignment_identity import recogniser, sentence

    after, before = found.group, found.base
    told = f"; {recogniser(found)} at its own limit, {theme.percent(before.value)}" if math.isfinite(before.value) else ""
    rows = [
        (
            theme.percent(after.value),
            f"of a person's verdicts are those of the model that learned from everybody (95 % interval {theme.percent(after.low)} "
            f"to {theme.percent(after.high)}){told}.",
        )
    ]
    own = found.individual_gain.value
    if math.isfinite(own.value):
        rows.append((f"{100 * own.value:+.1f}", f"points by weights of one's own. {sentence(found)}"))
    return words.facts(rows)
