"""One click to a report that can be sent: a single file that works offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from ui import progress as running
from ui.jobs import job_for, manager
from ui.studies import access
from ui.words import fine

if TYPE_CHECKING:
    from ui.analysis.material import Chosen

SLOT = "report-job"


def show(chosen: Chosen) -> None:
    """The button, then how far the report is, then the file."""
    from core.figures.exhibits.exhibit import file_name

    material, library = chosen.material, access.library()
    started = st.session_state.get(SLOT)
    job = manager().get(started[1]) if started is not None and started[0] == chosen.key else None
    with st.container(key="report", horizontal=True, gap="small", vertical_alignment="center"):
        if job is None or (job.finished and job.status != "done"):
            if st.button("Make a report to send", icon=":material/description:", key="make-report"):
                from core.figures.report.document import report

                st.session_state.pop(SLOT, None)
                job = job_for(SLOT, chosen.key, "A report", lambda told: report(material, library, progress=told).encode())
            else:
                if job is not None:
                    running.outcome(job)
                st.html(fine("One file with all figures, faces and methods; it opens offline and prints."))
        if job is not None and not job.finished:
            running.watch(job.id)
        elif job is not None and job.status == "done":
            size = len(job.result) / 1e6
            st.download_button(
                f"Download the report ({size:.1f} MB)",
                job.result,
                f"{file_name(chosen.study.name, 'report')}.html",
                "text/html",
                key="download-report",
                type="primary",
                icon=":material/download:",
                on_click="ignore",
            )
