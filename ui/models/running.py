"""Long work on a model that was asked for by a button: begun, watched, and its result shown where the button is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.errors import LiminalError
from core.progress import Progress
from ui import progress
from ui.jobs import Job, job_for, manager


def start(slot: str, key: Any, title: str, work: Callable[[Progress], Any]) -> None:
    """Begin anew, whatever ``slot`` of the session held; where too much waits already, that is said instead."""
    st.session_state.pop(slot, None)
    try:
        job_for(slot, key, title, work)
    except LiminalError as error:
        st.error(str(error))


def ended(slot: str) -> Job | None:
    """The job of ``slot`` once it is done; before that its bar is shown, and where it failed or was stopped, why."""
    kept = st.session_state.get(slot)
    job = manager().get(kept[1]) if kept else None
    if job is None:
        return None
    if not job.finished:
        progress.watch(job.id)
        return None
    progress.outcome(job)
    return job if job.status == "done" else None
