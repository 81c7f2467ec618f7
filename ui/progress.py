"""A running job on the page: its stage, how many are ahead in the queue, how far it is, and a button that stops it.

``queue_spinner`` is for short work of the page's own script, which waits for a network that others use too.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.models import request_context
from core.progress import Progress, Stage
from core.sampling.events import SearchStep
from ui import components, markup
from ui.jobs import Job, find_or_start_job, get_job_manager
from ui.pictures import face_url


def describe_queue(others: int) -> str:
    """For example 'Waits for 12 others'; nothing where nobody is. The others may be this page's own."""
    return f"Waits for {markup.count_noun(others, 'other')}" if others else ""


@contextmanager
def queue_spinner(words: str) -> Iterator[None]:
    """As ``st.spinner``, and below it how many are ahead in the queue.

    The line is written by the thread that waits: a script that is stopped, because its tab was closed or something else was chosen,
    raises there and leaves the queue at once.
    """
    with st.spinner(words):
        line = st.empty()

        def report(others: int) -> None:
            line.caption(describe_queue(others) or "Your turn now")

        with request_context.report_waiting(report):
            yield
        line.empty()


POLL_SECONDS = 0.7

PictureAddress = Callable[[NDArray[np.uint8]], str]
"""A picture (H, W, 3) -> its address for the browser."""


def show_progress_bar(job: Job) -> None:
    """How far a job is, and a button to stop it. Called from a fragment that runs every POLL_SECONDS."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.progress(job.stage.fraction, text=_describe_progress(job))
        if st.button("Stop", key=f"stop-{job.id}", icon=":material/close:", disabled=job.cancel.is_set()):
            job.stop()
            st.rerun(scope="fragment")
    for message in job.notices:
        st.caption(message)


def _describe_progress(job: Job) -> str:
    """The job's stage, and how many are ahead: in the queue of jobs, or in the queue for a network."""
    if job.status == "waiting":
        return describe_queue(get_job_manager().ahead(job)) or job.stage.message
    words = describe_stage(job.stage)
    others, since = job.ahead_in_queue
    if others and time.monotonic() - since < 2 * POLL_SECONDS:
        return f"{words} · {describe_queue(others)}"
    return words


def describe_stage(stage: Stage) -> str:
    """Its message; where that counts one step of several, also how far all of them are, which is what the bar shows."""
    counted = re.search(r"(\d[\d,]*) of ([\d,]*\d)", stage.message)
    if counted is None:
        return stage.message
    done, total = (int(number.replace(",", "")) for number in counted.groups())
    share = done / max(total, 1)
    return stage.message if abs(share - stage.fraction) < 0.15 else f"{stage.message}; {100 * stage.fraction:.0f} % of all steps"


def show_outcome(job: Job) -> None:
    """Why a job has no result: it failed, or it was stopped."""
    if job.status == "failed":
        st.error(job.error)
    elif job.status == "stopped":
        st.info(job.error or "Stopped on request; nothing half-made was kept.")


def build_search_runs(events: Iterable[Any], limit: float, address: PictureAddress = face_url) -> list[components.SearchCurve]:
    """SearchSteps so far -> one curve a run: the best face and how its distance fell."""
    steps: dict[int, list[SearchStep]] = {}
    for event in events:
        if isinstance(event, SearchStep):
            steps.setdefault(event.run, []).append(event)
    runs = []
    for _, run_steps in sorted(steps.items()):
        picture = next((step.image for step in reversed(run_steps) if step.image is not None), None)
        best = run_steps[-1].distance
        verdict = markup.judge_distance(best, limit)
        runs.append(
            components.SearchCurve(
                src=None if picture is None else address(picture),
                curve=[(step.iteration, step.distance if math.isfinite(step.distance) else None) for step in run_steps],
                words=markup.VERDICTS[verdict] + (f", {markup.format_distance(best, limit)}" if math.isfinite(best) else ""),
                verdict=verdict,
            )
        )
    return runs


def show_searches(
    events: Sequence[Any],
    *,
    limit: float,
    iterations: int,
    targets: Sequence[components.ThresholdMark],
    key: str,
    address: PictureAddress = face_url,
) -> None:
    """The best face of every search so far and its falling distance. address: gives a picture's address."""
    runs = build_search_runs(list(events), limit, address)
    if runs:
        components.show_search_chart(
            runs,
            iterations=max(10, max(len(run.curve) for run in runs) + 2) if iterations > 10 else iterations,
            targets=targets,
            axis="distance to the owner, lower is more alike",
            alt="Distance of each search's best face to the owner, round by round",
            key=key,
        )


def poll_job(job_id: str) -> Job:
    """The job's bar, from a fragment that runs every POLL_SECONDS; once it has ended, the whole page runs again."""
    job = get_job_manager().get(job_id)
    if job is None or job.finished:
        st.rerun()
    show_progress_bar(job)
    return job


@st.fragment(run_every=POLL_SECONDS)
def watch_job(job_id: str) -> None:
    """A job's bar until it ends; then the whole page runs again and shows the outcome."""
    poll_job(job_id)


def offer_job(
    slot: str,
    question: object,
    title: str,
    work: Callable[[Progress], Any],
    *,
    words: str,
    button: str,
    key: str,
    again: str = "Try again",
) -> Any:
    """A job that begins when its button is pressed: words and the button, then how far it is -> its result, None until then.

    slot: key of the session's job; a job of another question counts for nothing. key: of the buttons.
    """
    stored = st.session_state.get(slot)
    if stored is None or stored[0] != question:
        st.html(markup.intro_html(words))
        if not st.button(button, type="primary", key=key):
            return None
    job = find_or_start_job(slot, question, title, work)
    if not job.finished:
        watch_job(job.id)
    elif job.status == "done":
        return job.result
    else:
        show_outcome(job)
        st.button(again, key=key, on_click=lambda: st.session_state.pop(slot, None))
    return None
