"""How many people a new study needs: what simulated observers say before anybody is asked, and a text for preregistration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.analysis.preregistration import make_preregistration
from core.analysis.sample_size import DIFFERENCES, plan_sample_size
from core.figures.sample_size import WIDTH_TITLES, list_measures, plot_power, plot_widths
from core.progress import Progress
from ui import markup, progress
from ui.jobs import find_or_start_job
from ui.markup import caption_html, intro_html
from ui.studies import access
from ui.studies.figures import show_figure

if TYPE_CHECKING:
    from core.analysis.sample_size import SampleSizePlan

PLAN_SLOT, JOB_SLOT = "sample-size-plan", "sample-size-job"
SIMULATED_PLAN = ("trials", "sentinels", "seed")
"""Values of the form that the simulation depends on."""


def ask_size(values: dict[str, Any]) -> None:
    """Keep the form's values: the sample size is shown for them from now on."""
    st.session_state[PLAN_SLOT] = values


def forget_size() -> None:
    """Show the sample size no longer."""
    st.session_state.pop(PLAN_SLOT, None)


def show_sample_size(set_ids: Sequence[str], *, emotion: bool) -> None:
    """Show widths, power and the preregistration for the sets and the form's values, once they were asked for."""
    values: dict[str, Any] | None = st.session_state.get(PLAN_SLOT)
    if values is None:
        return
    st.subheader("How many people do I need?", anchor=False)
    markup.show_simulated_badge("simulated")
    st.html(
        intro_html(
            "Simulated observers look at these very faces in many simulated studies for each number of people. How much those "
            "studies differ says how wide the intervals will be and how likely a difference is found."
        )
    )
    usual = DIFFERENCES["emotion" if emotion else "identity"]
    if emotion:
        difference = st.number_input(
            "Difference of entropy to find (bits)", 0.05, 2.5, usual, step=0.05, width=320, key="size-bits"
        )
    else:
        points = st.number_input(
            "Difference of \u201csame person\u201d to find (percentage points)",
            1.0,
            100.0,
            100 * usual,
            step=1.0,
            format="%.0f",
            width=320,
            key="size-points",
        )
        difference = points / 100
    plan = {name: values[name] for name in SIMULATED_PLAN}

    def work(reported: Progress) -> SampleSizePlan:
        library = access.get_library()
        sets = {set_id: library.load(set_id) for set_id in set_ids}
        return plan_sample_size(sets, difference=difference, progress=reported, **plan)

    key = (tuple(set_ids), difference, tuple(plan.items()))
    job = find_or_start_job(JOB_SLOT, key, "how many people", work)
    if not job.finished:
        progress.watch_job(job.id)
        return
    if job.status != "done":
        progress.show_outcome(job)
        return
    _show_result(job.result, values)


def _show_result(size: SampleSizePlan, values: dict[str, Any]) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Is the difference found?**")
        show_figure(plot_power(size), "size-power")
    with right:
        measure = st.selectbox(
            "How wide is the interval of", list_measures(size), format_func=WIDTH_TITLES.__getitem__, key="size-measure"
        )
        show_figure(plot_widths(size, measure), "size-width")
    shown = {name: values[name] for name in ("fixation_ms", "image_ms") if name in values}
    text = make_preregistration(replace(size, plan=replace(size.plan, **shown)), title=values["title"])
    st.download_button(
        "Text for a preregistration",
        text,
        "preregistration.md",
        "text/markdown",
        key="preregistration",
        icon=":material/download:",
        on_click="ignore",
    )
    st.html(
        caption_html(
            "The text holds plan, rules of exclusion, seed, analysis and these simulated numbers; what only you know stands in "
            "brackets. Register it before the first person is asked."
        )
    )
