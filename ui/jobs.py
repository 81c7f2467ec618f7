"""Long work in the background: whose it is, a queue that is fair between visitors, a pool of workers, events that a page polls.

No Streamlit call is made from a worker: a page polls its job from a fragment with ``run_every``. A job is stopped when its visitor
has closed the tab, or when no page has polled it for a while; it is dropped with its result once the visitor cannot come back.
Networks are called through the process's engine, so that jobs share them; other computation occupies the job's own worker. Work on
a visitor's photo runs within ``privately``: no network's result is then cached for other sessions.

The logger ``ui.jobs`` has one line a finished job: its visitor (the beginning of the session's random id), title, seconds and
outcome. What a job works on and what it gives is never logged.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import streamlit as st
from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.errors import Cancelled, LiminalError
from core.fair_queue import FairQueue
from core.models import request_context
from core.progress import Progress, Stage, redirect_notices


def current_session() -> str:
    """The id of the session that this script runs for; '' outside of one."""
    context = get_script_run_ctx(suppress_warning=True)
    return "" if context is None else context.session_id


def is_session_present(session: str) -> bool:
    """Whether the session's browser is connected; true where there is no server, such as in tests."""
    return not session or not Runtime.exists() or Runtime.instance().is_active_session(session)


def end_expired_sessions(runtime: Runtime) -> bool:
    """Drop the sessions that can no longer be returned to -> whether there were any. Called in the server's own thread.

    Streamlit drops them when the next visitor leaves, which on a quiet server may be never; a session holds photos.
    """
    sessions: Any = runtime._session_mgr  # there is no public way; a test fails when this one has gone
    with sessions._storage_lock:
        ended = sessions._session_storage._cache.expire()
    return bool(ended)


def enter_session_context() -> None:
    """Make the requests to networks that this script makes from here on its session's."""
    session = current_session()
    if session:
        request_context.set_context(request_context.RequestContext(session, may_cache=True))


@contextmanager
def privately() -> Iterator[None]:
    """Within the block no network's result is cached for other sessions: for all that is computed from a visitor's photo."""
    with request_context.use_context(replace(request_context.current_context(), may_cache=False)):
        yield


MAX_RUNNING_PER_VISITOR = 2
"""Jobs of one visitor that run at the same time, whether others wait or not: two, so that one that never ends does not lock its
visitor out."""

JobStatus = Literal["waiting", "running", "done", "failed", "stopped"]

WORKERS = 6
"""Jobs at once. Most of them wait for the networks or for a process of their own; the engine gives the device in turns."""
QUEUE_SIZE = 256
MAX_FINISHED_JOBS = 48  # whose results a page may still fetch
UNATTENDED_SECONDS = 180.0  # browsers look at hidden tabs about once a minute
GONE_SECONDS = 10.0  # a connection that breaks for a moment comes back sooner
STUBBORN_SECONDS = 15.0
"""A job that has not ended so long after it was asked to stop loses its worker: another one takes the next jobs."""
WATCH_SECONDS = 0.5
IDLE_SECONDS = 30.0  # after which a worker without work ends
LOGGED_ID_LENGTH = 8  # characters of a session's id: enough to follow a visitor, too few to take the session over

UNEXPECTED_ERROR = "Something unexpected went wrong on the server; try again, and tell whoever runs it if it comes back."

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Job:
    """One piece of long work. Fields are replaced, never changed in place, so that a page may read while a worker writes."""

    title: str
    work: Callable[[Progress], Any]
    visitor: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    status: JobStatus = "waiting"
    stage: Stage = field(default_factory=lambda: Stage("Waiting for its turn", 0.0))
    events: list[Any] = field(default_factory=list)
    notices: tuple[str, ...] = ()  # for the visitor: where it went on in another way than asked for, such as in smaller parts
    result: Any = None
    error: str = ""
    cancel: threading.Event = field(default_factory=threading.Event)
    polled_at: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    stopping_since: float | None = None
    ahead_in_queue: tuple[int, float] = (0, 0.0)
    """How many others were ahead when this job last had to wait for a network, and when that was."""

    @property
    def finished(self) -> bool:
        return self.status in ("done", "failed", "stopped")

    def stop(self) -> None:
        """Ask the work to stop at its next check."""
        self.cancel.set()
        self.stopping_since = self.stopping_since or time.monotonic()
        if self.status == "waiting":
            self.status = "stopped"
            self.work = _do_nothing
            self._log()

    def _log(self) -> None:
        # a title may hold what a visitor typed, such as the name of a model: %r keeps it on its line
        logger.info("visitor %s: %r, %.1f s, %s", self.visitor[:LOGGED_ID_LENGTH] or "none", self.title, self.seconds, self.status)

    def _report(self, event: Any) -> None:
        if time.monotonic() - self.polled_at > UNATTENDED_SECONDS:
            self.stop()
        if isinstance(event, Stage):
            self.stage = event
        elif not self.finished:  # else its worker was given up, and nobody polls
            self.events.append(event)

    def _note(self, message: str) -> None:
        if message not in self.notices:
            logger.warning("%s", message)
            self.notices = (*self.notices, message)

    def _wait_for_networks(self, ahead: int) -> None:
        self.ahead_in_queue = (ahead, time.monotonic())

    def _run(self) -> None:
        started = time.monotonic()
        self.status = "running"
        session = f"job-{self.visitor or self.id}"
        context = request_context.RequestContext(session, self.cancel, self._wait_for_networks, may_cache=True)
        progress = Progress(report=self._report, cancel=self.cancel)
        try:
            progress.check()  # it may have been stopped between being taken and begun, and has nothing to do then
            with request_context.use_context(context), redirect_notices(self._note):
                result = self.work(progress)
            if not self.finished:  # else its worker was given up meanwhile
                self.result, self.status = result, "done"
        except Cancelled as error:
            self._end("stopped", str(error))
        except LiminalError as error:
            self._end("failed", str(error))
        except BaseException:  # a worker must outlive any single job
            logger.exception("The job '%s' failed", self.title)
            self._end("failed", UNEXPECTED_ERROR)
        finally:
            self.seconds = time.monotonic() - started
            self.work = _do_nothing  # it may hold the descriptor of a user's photo
            self.events = []  # read only while it runs, and they hold a picture of every few rounds
            self._log()

    def _end(self, status: JobStatus, error: str) -> None:
        if not self.finished:
            self.error, self.status = error, status


def _do_nothing(_: Progress) -> None:
    """The work of a finished job."""


class JobManager:
    """Jobs by id, and a pool of worker threads."""

    def __init__(self, workers: int = 1, queue_size: int = QUEUE_SIZE, present: Callable[[str], bool] = is_session_present) -> None:
        self._max_workers, self._max_waiting, self._is_present = workers, queue_size, present
        self._queue: FairQueue[Job] = FairQueue()  # by visitor
        self._jobs: dict[str, Job] = {}
        self._absent: dict[str, float] = {}  # visitor -> since when their browser is not connected
        self._changed = threading.Condition(threading.Lock())
        self._closed = threading.Event()
        self._workers: list[threading.Thread] = []
        self._serving: dict[threading.Thread, Job] = {}
        self._watcher: threading.Thread | None = None
        atexit.register(self.close)

    def submit(self, title: str, work: Callable[[Progress], Any], visitor: str | None = None) -> Job:
        """Queue work for a visitor (None: the session that this script runs for); raises LiminalError when too much waits."""
        job = Job(title, work, current_session() if visitor is None else visitor)
        with self._changed:
            if len(self._queue) >= self._max_waiting or self._closed.is_set():
                raise LiminalError(
                    "Too many people are making faces on this server right now, so this was not started; try again in a minute."
                )
            self._queue.put(job.visitor, job)
            self._jobs[job.id] = job
            self._forget_finished(time.monotonic())
            self._fill_up()
            self._changed.notify_all()
        return job

    def get(self, job_id: str | None) -> Job | None:
        """The job, marked as polled; None when there is none or it was dropped."""
        job = self._jobs.get(job_id or "")
        if job is not None:
            job.polled_at = time.monotonic()
        return job

    def ahead(self, job: Job) -> int:
        """How many jobs are ahead of a waiting one: those that run, and those that are taken before it."""
        with self._changed:
            if job.status != "waiting":
                return 0
            waiting = self._queue.before(job.visitor, job)
            return len(self._serving) + sum(not other.finished for other in waiting)

    def forget_finished(self) -> None:
        """Drop finished jobs, with their results, that nobody can come back to."""
        with self._changed:
            self._forget_finished(time.monotonic())

    def close(self, seconds: float = 10.0) -> None:
        """Stop all jobs and wait for the workers: a network must not be cut off in the middle when the process ends."""
        self._closed.set()
        with self._changed:
            for job in self._jobs.values():
                job.stop()
            self._changed.notify_all()
            workers = list(self._workers)
        until = time.monotonic() + seconds
        for worker in workers:
            worker.join(max(0.0, until - time.monotonic()))

    def _serve(self) -> None:
        worker = threading.current_thread()
        while (job := self._take(worker)) is not None:
            job._run()
            with self._changed:
                self._serving.pop(worker, None)
                self._changed.notify_all()
            del job  # keep no reference to a finished job: it may hold a photo's descriptor

    def _take(self, worker: threading.Thread) -> Job | None:
        with self._changed:
            notified = True
            while notified and not self._closed.is_set() and worker in self._workers:
                job = self._queue.take(self._may_run_another)
                if job is None:
                    notified = self._changed.wait(IDLE_SECONDS)
                elif not job.finished:
                    self._serving[worker] = job
                    return job
            self._workers = [other for other in self._workers if other is not worker]
            return None

    def _may_run_another(self, visitor: str) -> bool:
        return sum(job.visitor == visitor for job in self._serving.values()) < MAX_RUNNING_PER_VISITOR

    def _fill_up(self) -> None:
        """Start as many workers as there is work for; one that has died, or that was given up, is replaced."""
        self._workers = [worker for worker in self._workers if worker.is_alive()]
        while len(self._workers) < min(self._max_workers, len(self._serving) + len(self._queue)):
            worker = threading.Thread(target=self._serve, name="job-worker", daemon=True)
            self._workers.append(worker)
            worker.start()
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="job-watcher", daemon=True)
            self._watcher.start()

    def _watch(self) -> None:
        """Handle visitors that have left, jobs that do not stop and workers that have died, until no work is left."""
        while not self._closed.wait(WATCH_SECONDS):
            now = time.monotonic()
            with self._changed:
                self._stop_absent(now)
                self._forget_finished(now)
                for worker, job in list(self._serving.items()):
                    stubborn = job.stopping_since is not None and now - job.stopping_since > STUBBORN_SECONDS
                    if worker.is_alive() and not stubborn:
                        continue
                    logger.warning("The job '%s' %s; others go on.", job.title, "does not stop" if stubborn else "lost its worker")
                    job._end("stopped" if stubborn else "failed", "" if stubborn else UNEXPECTED_ERROR)
                    del self._serving[worker]
                    self._workers = [other for other in self._workers if other is not worker]
                    self._changed.notify_all()
                if not self._serving and not len(self._queue):
                    self._watcher = None
                    return
                self._fill_up()

    def _stop_absent(self, now: float) -> None:
        open_jobs = [job for job in self._jobs.values() if not job.finished]
        self._absent = {
            visitor: self._absent.get(visitor, now)
            for visitor in {job.visitor for job in open_jobs}
            if visitor and not self._is_present(visitor)
        }
        for job in open_jobs:
            if now - self._absent.get(job.visitor, now) > GONE_SECONDS or now - job.polled_at > UNATTENDED_SECONDS:
                job.stop()

    def _forget_finished(self, now: float) -> None:
        """Keep the last finished jobs, but for those of visitors who left longer ago than their session waits for a return."""
        finished = [key for key, job in self._jobs.items() if job.finished]
        recent = finished[-MAX_FINISHED_JOBS:]
        for key in [*finished[:-MAX_FINISHED_JOBS], *(key for key in recent if self._has_left(self._jobs[key], now))]:
            del self._jobs[key]

    def _has_left(self, job: Job, now: float) -> bool:
        return bool(job.visitor) and now - job.polled_at > UNATTENDED_SECONDS and not self._is_present(job.visitor)


def find_or_start_job(
    slot: str, key: Any, title: str, work: Callable[[Progress], Any], *, replaces: bool = True, automatic: bool = False
) -> Job:
    """The visitor's job for ``key``, named in ``slot`` of the session: the one there is, running or finished, else a new one.

    replaces: a job for another key is stopped, since something else was chosen, and the visitor is told. automatic: nobody had
    asked for it, so that nothing is said. Raises LiminalError when too much waits already.
    """
    stored: tuple[Any, str] | None = st.session_state.get(slot)
    job = get_job_manager().get(stored[1]) if stored is not None else None
    if job is not None and stored is not None and stored[0] != key:
        if replaces and not job.finished:
            job.stop()
            if not automatic:
                st.toast(
                    f"Something else was asked for, so this was stopped: {job.title}.", icon=":material/info:", duration="long"
                )
        job = None
    if job is None:
        job = get_job_manager().submit(title, work)
        st.session_state[slot] = (key, job.id)
    return job


def find_running_job(slot: str) -> tuple[Any, Job] | None:
    """Key and job of ``slot`` of the session where one is waiting or running; else None."""
    stored: tuple[Any, str] | None = st.session_state.get(slot)
    job = None if stored is None else get_job_manager().get(stored[1])
    return None if stored is None or job is None or job.finished else (stored[0], job)


@st.cache_resource(show_spinner=False)
def get_job_manager() -> JobManager:
    """The server's job manager."""
    return JobManager(WORKERS)
