"""Long work in the background: one worker a device, a bounded queue, events that a page polls, and a way to stop.

No Streamlit call is made from a worker: a page looks at its job from a fragment with ``run_every``. A job that no page has looked
at for a while is stopped: its reader has left.
"""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import streamlit as st

from core.errors import Cancelled, LiminalError
from core.progress import Progress, Stage, notices_to

Status = Literal["waiting", "running", "done", "failed", "stopped"]

QUEUE_SIZE = 8
KEPT = 24  # finished jobs that are remembered
UNATTENDED_SECONDS = 180.0  # browsers look at hidden tabs about once a minute

logger = logging.getLogger(__name__)


@dataclass
class Job:
    """One piece of long work. Fields are replaced, never changed in place, so that a page may read while a worker writes."""

    title: str
    work: Callable[[Progress], Any]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    status: Status = "waiting"
    stage: Stage = field(default_factory=lambda: Stage("Waiting for its turn", 0.0))
    events: list[Any] = field(default_factory=list)
    notices: tuple[str, ...] = ()  # where it went on in another way than asked for, such as in smaller parts
    result: Any = None
    error: str = ""
    cancel: threading.Event = field(default_factory=threading.Event)
    looked_at: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    @property
    def finished(self) -> bool:
        return self.status in ("done", "failed", "stopped")

    def stop(self) -> None:
        """Ask the work to stop at its next look."""
        self.cancel.set()
        if self.status == "waiting":
            self.status = "stopped"

    def _report(self, event: Any) -> None:
        if time.monotonic() - self.looked_at > UNATTENDED_SECONDS:
            self.cancel.set()
        if isinstance(event, Stage):
            self.stage = event
        else:
            self.events.append(event)

    def _note(self, message: str) -> None:
        if message not in self.notices:
            logger.warning("%s", message)
            self.notices = (*self.notices, message)

    def _run(self) -> None:
        started = time.monotonic()
        self.status = "running"
        try:
            with notices_to(self._note):
                self.result = self.work(Progress(report=self._report, cancel=self.cancel))
            self.status = "done"
        except Cancelled as error:
            self.error, self.status = str(error), "stopped"
        except LiminalError as error:
            self.error, self.status = str(error), "failed"
        except Exception:  # a worker must outlive any single job
            logger.exception("The job '%s' failed", self.title)
            self.error = "Something unexpected went wrong on the server; try again, and tell whoever runs it if it comes back."
            self.status = "failed"
        finally:
            self.seconds = time.monotonic() - started
            self.work = _nothing  # it may hold the descriptor of a user's photo


def _nothing(_: Progress) -> None:
    """What a finished job still has to do."""


class JobManager:
    """Jobs by id, and one worker thread a device."""

    def __init__(self, workers: int = 1, queue_size: int = QUEUE_SIZE) -> None:
        self._queue: queue.Queue[Job] = queue.Queue(queue_size)
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._workers = [threading.Thread(target=self._serve, name=f"job-worker-{index}", daemon=True) for index in range(workers)]
        for worker in self._workers:
            worker.start()
        atexit.register(self.close)

    def submit(self, title: str, work: Callable[[Progress], Any]) -> Job:
        """Queue work; raises LiminalError when too much waits already."""
        job = Job(title, work)
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            raise LiminalError(
                "Too many people are making faces on this server right now, so this was not started; try again in a minute."
            ) from None
        with self._lock:
            self._jobs[job.id] = job
            for old in [key for key, each in self._jobs.items() if each.finished][:-KEPT]:
                del self._jobs[old]
        return job

    def get(self, job_id: str | None) -> Job | None:
        """The job, marked as looked at; None when there is none or it was forgotten."""
        job = self._jobs.get(job_id or "")
        if job is not None:
            job.looked_at = time.monotonic()
        return job

    def ahead(self, job: Job) -> int:
        """How many jobs are in front of a waiting one."""
        with self._lock:
            running = [each for each in self._jobs.values() if not each.finished]
        return running.index(job) if job in running else 0

    def close(self, seconds: float = 10.0) -> None:
        """Stop all jobs and wait for the workers: a network must not be cut off in the middle when the process ends."""
        self._closed.set()
        with self._lock:
            for job in self._jobs.values():
                job.stop()
        for worker in self._workers:
            worker.join(seconds)

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                job = self._queue.get(timeout=0.5)
            except queue.Empty:
                continue
            if not job.finished:
                job._run()
            del job  # keep no reference to a finished job: it may hold a photo's descriptor


def job_for(slot: str, key: Any, title: str, work: Callable[[Progress], Any], *, replaces: bool = True) -> Job:
    """The visitor's job for ``key``, kept in ``slot`` of the session: the one there is, running or finished, else a new one.

    replaces: a job for another key is stopped, since something else was chosen. Raises LiminalError when too much waits already.
    """
    kept: tuple[Any, str] | None = st.session_state.get(slot)
    job = manager().get(kept[1]) if kept is not None else None
    if job is not None and kept is not None and kept[0] != key:
        if replaces:
            job.stop()
        job = None
    if job is None:
        job = manager().submit(title, work)
        st.session_state[slot] = (key, job.id)
    return job


@st.cache_resource(show_spinner=False)
def manager() -> JobManager:
    """The server's job manager. One worker: there is one device, and two jobs on it would only slow each other down."""
    return JobManager()
