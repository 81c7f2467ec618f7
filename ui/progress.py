"""A running job on the page: what is being done, how far it is, and a way to stop it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.sampling.events import SearchStep
from ui import components, waiting, words
from ui.images import face_url
from ui.jobs import Job, manager

POLL_SECONDS = 0.7

Address = Callable[[NDArray[np.uint8]], str]
"""A picture -> where the browser finds it."""


def bar(job: Job) -> None:
    """Progress and the way to stop. Called from a fragment that runs every POLL_SECONDS."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.progress(job.stage.fraction, text=_said(job))
        if st.button("Stop", key=f"stop-{job.id}", icon=":material/close:", disabled=job.cancel.is_set()):
            job.stop()
            st.rerun(scope="fragment")
    for message in job.notices:
        st.caption(message)


def _said(job: Job) -> str:
    """What is being done, and how many others are ahead: at the start, or at the networks that all share."""
    if job.status == "waiting":
        return waiting.ahead(manager().ahead(job)) or job.stage.message
    others, since = job.ahead_at_networks
    if others and time.monotonic() - since < 2 * POLL_SECONDS:
        return f"{job.stage.message} · {waiting.ahead(others)}"
    return job.stage.message


def outcome(job: Job) -> None:
    """What became of a job that gave no result."""
    if job.status == "failed":
        st.error(job.error)
    elif job.status == "stopped":
        st.info(job.error or "Stopped on request; nothing half-made was kept.")


def runs_of(events: Iterable[Any], limit: float, address: Address = face_url) -> list[components.Run]:
    """SearchSteps so far -> one Run each: the best face and how its distance fell."""
    steps: dict[int, list[SearchStep]] = {}
    for event in events:
        if isinstance(event, SearchStep):
            steps.setdefault(event.run, []).append(event)
    runs = []
    for _, of_run in sorted(steps.items()):
        picture = next((step.image for step in reversed(of_run) if step.image is not None), None)
        best = of_run[-1].distance
        verdict = words.verdict(best, limit)
        runs.append(
            components.Run(
                src=None if picture is None else address(picture),
                curve=[(step.iteration, step.distance if math.isfinite(step.distance) else None) for step in of_run],
                words=words.VERDICTS[verdict] + (f", {best:.2f}" if math.isfinite(best) else ""),
                verdict=verdict,
            )
        )
    return runs


def searches(
    events: Sequence[Any],
    *,
    limit: float,
    iterations: int,
    targets: Sequence[components.Mark],
    key: str,
    address: Address = face_url,
) -> None:
    """The best face of every search so far and its falling distance. address: where the browser finds a picture."""
    runs = runs_of(list(events), limit, address)
    if runs:
        components.search(
            runs,
            iterations=max(10, max(len(run.curve) for run in runs) + 2) if iterations > 10 else iterations,
            targets=targets,
            axis="distance to the owner, lower is more alike",
            alt="Distance of each search's best face to the owner, round by round",
            key=key,
        )


def tick(job_id: str) -> Job:
    """One look at a job from a fragment that runs every POLL_SECONDS: its bar; once it has ended, the whole page runs again."""
    job = manager().get(job_id)
    if job is None or job.finished:
        st.rerun()
    bar(job)
    return job


@st.fragment(run_every=POLL_SECONDS)
def watch(job_id: str) -> None:
    """A job's bar until it ends; then the whole page runs again and shows what came of it."""
    tick(job_id)
