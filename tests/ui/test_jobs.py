"""The job manager: progress, stopping, a full queue, and workers that outlive what they run."""

import threading
import time

import pytest

from core.errors import LiminalError
from ui import jobs
from ui.jobs import JobManager


def wait_for(job):
    for _ in range(1000):
        if job.finished:
            return job
        time.sleep(0.01)
    raise AssertionError(job.status)


def test_a_job_reports_and_returns():
    def work(progress):
        progress.stage("half", 0.5)
        progress.emit({"an": "event"})
        return 42

    job = wait_for(JobManager().submit("work", work))
    assert (job.status, job.result, job.stage.message, job.events) == ("done", 42, "half", [{"an": "event"}])


def test_a_running_job_stops_between_two_batches():
    started = threading.Event()

    def work(progress):
        while True:
            started.set()
            progress.check()
            time.sleep(0.001)

    manager = JobManager()
    job = manager.submit("endless", work)
    assert started.wait(10)
    job.stop()
    assert wait_for(job).status == "stopped"
    assert "nothing half-made" in job.error


def test_a_waiting_job_never_starts_once_stopped():
    gate, ran = threading.Event(), []
    manager = JobManager()
    first = manager.submit("first", lambda _: gate.wait(10))
    second = manager.submit("second", lambda _: ran.append(1))
    assert manager.ahead(second) == 1
    second.stop()
    gate.set()
    wait_for(first)
    wait_for(manager.submit("third", lambda _: None))
    assert second.status == "stopped"
    assert not ran


def test_errors_become_one_sentence_and_the_worker_lives_on():
    def refuse(_):
        raise LiminalError("No such face; choose another.")

    def crash(_):
        raise ZeroDivisionError("secret details")

    manager = JobManager()
    assert wait_for(manager.submit("refuse", refuse)).error == "No such face; choose another."
    crashed = wait_for(manager.submit("crash", crash))
    assert crashed.status == "failed"
    assert "secret" not in crashed.error
    assert wait_for(manager.submit("next", lambda _: "fine")).result == "fine"


def test_a_full_queue_is_a_sentence():
    gate = threading.Event()
    manager = JobManager(queue_size=1)
    running = manager.submit("running", lambda _: gate.wait(10))
    while running.status == "waiting":
        time.sleep(0.01)
    manager.submit("waiting", lambda _: None)
    with pytest.raises(LiminalError, match="try again in a minute"):
        manager.submit("too many", lambda _: None)
    gate.set()


def test_a_job_nobody_looks_at_is_stopped(monkeypatch):
    monkeypatch.setattr(jobs, "UNATTENDED_SECONDS", 0.0)

    def work(progress):
        time.sleep(0.01)
        progress.emit("one")
        progress.emit("two")

    assert wait_for(JobManager().submit("left alone", work)).status == "stopped"


def test_a_finished_job_forgets_what_it_worked_on():
    class Photo:
        pass

    import weakref

    photo = Photo()
    gone = weakref.ref(photo)
    job = JobManager().submit("photo", lambda _, photo=photo: None)
    del photo
    wait_for(job)
    for _ in range(100):
        if gone() is None:
            break
        time.sleep(0.01)
    assert gone() is None


def test_old_jobs_are_dropped():
    manager = JobManager()
    first = wait_for(manager.submit("first", lambda _: None))
    for _ in range(jobs.KEPT + 1):
        wait_for(manager.submit("more", lambda _: None))
    manager.submit("last", lambda _: None)
    assert manager.get(first.id) is None


@pytest.mark.parametrize("replaces", [True, False])
def test_a_visitor_has_one_job_for_a_question(monkeypatch, replaces):
    session, manager = {}, JobManager()
    monkeypatch.setattr(jobs, "manager", lambda: manager)
    monkeypatch.setattr(jobs.st, "session_state", session)

    def work(progress):
        for _ in range(2000):
            progress.emit("still here")
            time.sleep(0.005)

    first = jobs.job_for("slot", "one", "first", work, replaces=replaces)
    assert jobs.job_for("slot", "one", "first", work, replaces=replaces) is first
    second = jobs.job_for("slot", "two", "second", lambda _: 7, replaces=replaces)
    assert second is not first
    assert first.cancel.is_set() is replaces
    first.stop()
    assert wait_for(second).result == 7
    assert jobs.job_for("slot", "two", "second", work) is second  # a finished one is found again
