"""The job manager: progress, stopping, a full queue, and workers that outlive what they run."""

import re
import sys
import threading
import time

import pytest

from core.errors import LiminalError
from core.models import request_context
from core.sampling.configuration import IdentityConfiguration
from ui import cache as kept_module
from ui import jobs, photo
from ui.cache import SharedResultCache
from ui.identity import page as identity_page
from ui.identity import sets
from ui.jobs import JobManager
from ui.phone import searches as phone_searches


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
        told.set()
        assert seen.wait(10)
        return 42

    told, seen = threading.Event(), threading.Event()
    job = JobManager().submit("work", work)
    assert told.wait(10)
    assert (job.status, job.stage.message, job.events) == ("running", "half", [{"an": "event"}])
    seen.set()
    assert (wait_for(job).status, job.result) == ("done", 42)


def test_a_finished_job_is_one_line_of_the_log(caplog):
    def refuse(_):
        raise LiminalError("The secret of the work.")

    manager = JobManager(present=lambda _: True)
    with caplog.at_level("INFO", logger="ui.jobs"):
        wait_for(manager.submit("portraits", lambda _: "a result", visitor="0123456789abcdef"))
        wait_for(manager.submit("Adding\nmine", refuse, visitor=""))
        manager.close()
    lines = [record.getMessage() for record in caplog.records]
    assert [re.sub(r"[\d.]+ s", "0 s", line) for line in lines] == [
        "visitor 01234567: 'portraits', 0 s, done",
        "visitor none: 'Adding\\nmine', 0 s, failed",
    ]


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
    job = JobManager().submit("photo", lambda progress, photo=photo: progress.emit(photo))
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
    for _ in range(jobs.MAX_FINISHED_JOBS + 1):
        wait_for(manager.submit("more", lambda _: None))
    manager.submit("last", lambda _: None)
    assert manager.get(first.id) is None


def test_what_was_made_for_a_visitor_goes_once_they_cannot_come_back(monkeypatch):
    here = {"leaves", "stays"}
    manager = JobManager(present=lambda visitor: visitor in here)
    left, stayed = (wait_for(manager.submit("made", lambda _: "made", visitor=each)) for each in ("leaves", "stays"))
    here.remove("leaves")
    manager.forget_finished()
    assert manager.get(left.id) is left  # a reload, or a connection that broke for a moment
    monkeypatch.setattr(jobs, "UNATTENDED_SECONDS", -1.0)
    manager.forget_finished()
    assert manager.get(left.id) is None
    assert manager.get(stayed.id) is stayed


def test_a_job_that_is_stopped_as_it_is_taken_ends_as_stopped():
    ran = []
    job = jobs.Job("taken", lambda _: ran.append(1))
    job.stop()
    job._run()
    assert (job.status, job.result) == ("stopped", None)
    assert "nothing half-made" in job.error
    assert not ran


@pytest.mark.parametrize("replaces", [True, False])
def test_a_visitor_has_one_job_for_a_question(monkeypatch, replaces):
    session, manager = {}, JobManager()
    monkeypatch.setattr(jobs, "get_job_manager", lambda: manager)
    monkeypatch.setattr(jobs.st, "session_state", session)

    def work(progress):
        for _ in range(2000):
            progress.emit("still here")
            time.sleep(0.005)

    first = jobs.find_or_start_job("slot", "one", "first", work, replaces=replaces)
    assert jobs.find_or_start_job("slot", "one", "first", work, replaces=replaces) is first
    second = jobs.find_or_start_job("slot", "two", "second", lambda _: 7, replaces=replaces)
    assert second is not first
    assert first.cancel.is_set() is replaces
    first.stop()
    assert wait_for(second).result == 7
    assert jobs.find_or_start_job("slot", "two", "second", work) is second  # a finished one is found again


def test_visitors_take_turns_and_nobody_fills_the_line():
    gate, order = threading.Event(), []
    manager = JobManager()
    first = manager.submit("first", lambda _: gate.wait(30), visitor="busy")
    while first.status == "waiting":
        time.sleep(0.01)
    for number in range(3):
        last = manager.submit(f"more {number}", lambda _, number=number: order.append(f"busy {number}"), visitor="busy")
    late = manager.submit("late", lambda _: order.append("late"), visitor="late")
    assert manager.ahead(late) == 2  # the one that runs, and one of the three
    assert manager.ahead(last) == 4
    gate.set()
    wait_for(last)
    wait_for(late)
    assert order.index("late") <= 1


def test_one_visitors_endless_work_leaves_the_others_alone():
    leave = threading.Event()
    manager = JobManager(workers=3)
    endless = [manager.submit("endless", lambda _: leave.wait(60), visitor="greedy") for _ in range(4)]
    assert wait_for(manager.submit("other", lambda _: "made", visitor="other")).result == "made"
    assert [job.status for job in endless].count("running") == jobs.MAX_RUNNING_PER_VISITOR
    leave.set()


def test_a_job_that_does_not_stop_loses_its_worker(monkeypatch):
    monkeypatch.setattr(jobs, "STUBBORN_SECONDS", 0.05)
    monkeypatch.setattr(jobs, "WATCH_SECONDS", 0.02)
    leave = threading.Event()
    manager = JobManager()
    stubborn = manager.submit("stubborn", lambda _: leave.wait(60))
    while stubborn.status == "waiting":
        time.sleep(0.01)
    after = manager.submit("after", lambda _: "made")
    stubborn.stop()
    assert wait_for(after).result == "made"
    assert stubborn.status == "stopped"
    leave.set()  # what it returns in the end changes nothing any more
    time.sleep(0.05)
    assert (stubborn.status, stubborn.result) == ("stopped", None)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_is_ended_is_replaced(monkeypatch):
    monkeypatch.setattr(jobs, "WATCH_SECONDS", 0.02)

    def leave(_):
        raise SystemExit

    manager = JobManager()
    assert wait_for(manager.submit("leaves", leave)).status == "failed"
    assert wait_for(manager.submit("next", lambda _: "made")).result == "made"

    # a worker that is gone without a word: its thread ends while the job counts as running
    monkeypatch.setattr(jobs.Job, "_run", lambda job: (setattr(job, "status", "running"), sys.exit()))
    lost = manager.submit("lost", lambda _: None)
    assert wait_for(lost).status == "failed"
    monkeypatch.undo()
    assert wait_for(manager.submit("last", lambda _: "made")).result == "made"


def test_work_of_a_visitor_who_has_left_is_dropped(monkeypatch):
    monkeypatch.setattr(jobs, "GONE_SECONDS", 0.05)
    monkeypatch.setattr(jobs, "WATCH_SECONDS", 0.02)
    here = {"gone", "stays"}
    manager = JobManager(present=lambda visitor: visitor in here)

    def work(progress):
        while True:
            progress.check()
            time.sleep(0.002)

    running = manager.submit("running", work, visitor="gone")
    waiting = manager.submit("waiting", work, visitor="gone")
    stays = manager.submit("stays", lambda _: "made", visitor="stays")
    while running.status == "waiting":
        time.sleep(0.01)
    here.remove("gone")  # the tab is closed
    assert wait_for(running).status == wait_for(waiting).status == "stopped"
    assert wait_for(stays).result == "made"


def test_a_manager_without_work_keeps_no_threads(monkeypatch):
    monkeypatch.setattr(jobs, "IDLE_SECONDS", 0.02)
    monkeypatch.setattr(jobs, "WATCH_SECONDS", 0.02)
    manager = JobManager(workers=4)
    for job in [manager.submit("short", lambda _: 1) for _ in range(8)]:
        wait_for(job)
    for _ in range(500):
        if not manager._workers and manager._watcher is None:
            break
        time.sleep(0.01)
    assert not manager._workers
    assert manager._watcher is None
    assert wait_for(manager.submit("again", lambda _: 2)).result == 2


def test_a_jobs_networks_are_asked_for_its_visitor():
    seen = []

    def work(_):
        visit = request_context.current_context()
        visit.on_wait(7)
        seen.append(visit)

    job = wait_for(JobManager().submit("work", work, visitor="someone"))
    assert seen[0].session == "job-someone"
    assert seen[0].cancel is job.cancel
    assert job.ahead_in_queue[0] == 7


def test_the_same_thing_is_made_once_for_all_who_ask():
    kept, gate, made, results = SharedResultCache(), threading.Event(), [], []

    def make():
        made.append(1)
        assert gate.wait(30)
        return "picture"

    threads = [threading.Thread(target=lambda: results.append(kept.get_or_compute("key", make))) for _ in range(5)]
    for thread in threads:
        thread.start()
    while not made:
        time.sleep(0.01)
    gate.set()
    for thread in threads:
        thread.join(30)
    assert results == ["picture"] * 5
    assert len(made) == 1


def test_what_was_made_while_the_models_changed_is_not_kept_for_others(monkeypatch):
    models = ["first"]
    monkeypatch.setattr(kept_module, "list_custom_models", lambda: tuple(models))
    kept = SharedResultCache()
    assert kept.get_or_compute("key", lambda: models.append("second") or "by the first") == "by the first"
    assert kept.get("key") is None
    assert kept.get_or_compute("key", lambda: "by the second") == "by the second"
    assert kept.get("key") == "by the second"


def test_when_the_one_who_makes_it_fails_the_next_one_does():
    kept, started, gate, results = SharedResultCache(), threading.Event(), threading.Event(), []

    def fail():
        started.set()
        assert gate.wait(30)
        raise LiminalError("Stopped.")

    def first():
        with pytest.raises(LiminalError):
            kept.get_or_compute("key", fail)

    one = threading.Thread(target=first)
    one.start()
    assert started.wait(30)
    two = threading.Thread(target=lambda: results.append(kept.get_or_compute("key", lambda: "made")))
    two.start()
    gate.set()
    one.join(30)
    two.join(30)
    assert results == ["made"]


def test_who_waited_for_a_result_gets_it_though_others_have_pushed_it_out(monkeypatch):
    done = jobs.Job("made", lambda _: None, status="done", result="mine")
    monkeypatch.setattr(sets, "find_result", lambda recipe: None)
    monkeypatch.setattr(identity_page, "find_or_start_job", lambda *_: done)
    assert identity_page.find_or_make_set(sets.IdentityRequest("a", IdentityConfiguration(seed=1))) == "mine"
    shown = []
    monkeypatch.setattr(phone_searches, "cached_lockouts", SharedResultCache)
    monkeypatch.setattr(phone_searches, "find_or_start_job", lambda *_, **__: done)
    monkeypatch.setattr(phone_searches, "_show_lockout_answer", lambda question, owner, answer: shown.append(answer))
    phone_searches.show_lockout("dcgan", "dlib", photo.PhoneOwner("a", "a", "", {}, latent=()), 0.5)
    assert shown == ["mine"]
