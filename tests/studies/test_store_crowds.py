"""Many at once, and a server that is killed: no answer that was acknowledged is lost, doubled or under another's name."""

import multiprocessing
import random
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest

from core.studies.ratings import Rating
from core.studies.store import Store
from core.studies.study import RatingPlan, Stimulus, Study
from tests.sizes import share

RATERS = 50
TRIALS = 4
PROCESSES = 2
KILLS = share(30)
CHILDREN = multiprocessing.get_context("forkserver")  # a spare process that has much imported and no threads
CHILDREN.set_forkserver_preload(["core.studies.store"])


def fewest(study, stimuli, handed_out, number):
    return sorted(handed_out, key=lambda stimulus: (handed_out[stimulus], stimulus))[:TRIALS]


def expected(rater, stimulus):
    """What this rater answers about this stimulus: different for every rater, so that a crossed answer shows."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{rater}/{stimulus}").int % 101)


def rating(rater, stimulus):
    return Rating(
        rater.study,
        rater.rater,
        stimulus,
        "similarity",
        expected(rater.rater, stimulus),
        rating_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{rater.study}/{rater.rater}/{stimulus}")),
    )


def make(store, name="crowd", stimuli=25):
    store.create(Study(name, RatingPlan("identity", TRIALS)), [Stimulus(f"s{number:03d}", ("a", "b")) for number in range(stimuli)])


def take_part(store, name, problems):
    """Enrol, answer everything in the own order, from a second tab too, and resend some."""
    try:
        rater = store.enrol(name, fewest)
        for stimulus in rater.trials:
            first = rating(rater, stimulus)
            assert store.save([first]) == [first.rating_id]
            tab = Rating(name, rater.rater, stimulus, "similarity", "0")
            assert store.save([tab, first]) == [tab.rating_id, first.rating_id]
    except BaseException as error:
        problems.append(repr(error))


def crowd(url, name, people, problems):
    """``people`` raters at once, each in a thread, on a store of this process."""
    store = Store(url)
    threads = [threading.Thread(target=take_part, args=(store, name, problems)) for _ in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.dispose()


def crowd_process(url, name, people, queue):
    problems = []
    crowd(url, name, people, problems)
    queue.put(problems)


def check_crowd(store, name):
    raters = store.raters(name)
    assert len(raters) == RATERS
    assert len({rater.rater for rater in raters}) == RATERS
    table = store.ratings(name)
    asked = {(rater.rater, stimulus, trial) for rater in raters for trial, stimulus in enumerate(rater.trials)}
    assert Counter(zip(table["rater"], table["stimulus"], table["trial"], strict=True)) == Counter(asked)
    for row in table.itertuples():
        assert row.value == expected(row.rater, row.stimulus), "an answer lies under another's name"
    votes = store.votes(name)
    assert sum(votes.values()) == RATERS * TRIALS
    assert max(votes.values()) - min(votes.values()) <= 1, "the assignment stays balanced"


def test_fifty_raters_at_once(store, store_url):
    make(store)
    problems = []
    crowd(store_url, "crowd", RATERS, problems)
    assert problems == []
    check_crowd(store, "crowd")


def test_fifty_raters_on_several_servers(store, store_url):
    make(store)
    queue = CHILDREN.Queue()
    children = [
        CHILDREN.Process(target=crowd_process, args=(store_url, "crowd", RATERS // PROCESSES, queue)) for _ in range(PROCESSES)
    ]
    for child in children:
        child.start()
    problems = [problem for _ in children for problem in queue.get(timeout=120)]
    for child in children:
        child.join(60)
    assert problems == []
    check_crowd(store, "crowd")


def answer_until_killed(url, codes, folder):
    """A server with a thread for each rater: sends on, some again, and notes what was acknowledged."""
    store = Store(url)

    def one(code, number):
        rater = store.rater(code)
        with Path(folder, str(number)).open("ab", buffering=0) as log:
            for stimulus in rater.trials[max(0, len(store.answered(rater)) - 1) :]:
                for acknowledged in store.save([rating(rater, stimulus)]):
                    log.write(f"{acknowledged}\n".encode())

    threads = [threading.Thread(target=one, args=(code, number)) for number, code in enumerate(codes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_killed_at_any_moment_nothing_acknowledged_is_lost_and_nothing_doubled(store_url, tmp_path):
    seed = random.SystemRandom().getrandbits(32)
    chance = random.Random(seed)
    store = Store(store_url)
    make(store, "killed", 400)
    raters = [store.enrol("killed", lambda study, stimuli, *_: [each.stimulus for each in stimuli]) for _ in range(4)]
    store.dispose()
    logs = tmp_path / "acknowledged"
    logs.mkdir()

    def size():
        return sum(log.stat().st_size for log in logs.iterdir())

    def acknowledged():
        return {line for log in logs.iterdir() for line in log.read_text().split("\n") if len(line) == 36}

    while_saving = 0
    for _ in range(KILLS):
        enough = size() + 37 * (len(raters) + 2)  # each sends one again, so at least two answers are new
        child = CHILDREN.Process(target=answer_until_killed, args=(store_url, [rater.code for rater in raters], str(logs)))
        child.start()
        until = time.monotonic() + 60
        while size() < enough and child.is_alive() and time.monotonic() < until:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.1))
        while_saving += child.is_alive()
        child.kill()  # it may have ended
        child.join()
        store = Store(store_url)
        counts = Counter(store.ratings("killed")["rating_id"])
        store.dispose()
        assert acknowledged() <= set(counts), f"lost an answer (seed {seed})"
        assert set(counts.values()) <= {1}
    assert while_saving > KILLS // 2, "most were killed in the middle"
    assert len(counts) >= 2 * KILLS, "every round added something"

    store = Store(store_url)
    for rater in raters:
        every = [rating(rater, stimulus) for stimulus in rater.trials]
        assert store.save(every) == [each.rating_id for each in every]
    table = store.ratings("killed")
    assert len(table) == table["rating_id"].nunique() == len(raters) * 400
    assert acknowledged() <= set(table["rating_id"])
    for row in table.itertuples():
        assert row.value == expected(row.rater, row.stimulus)
    store.dispose()


def open_store(url):
    Store(url).dispose()


def test_killed_while_the_tables_are_made(store_url):
    for delay in (0.0, 0.02, 0.05, 0.1):
        child = CHILDREN.Process(target=open_store, args=(store_url,))
        child.start()
        time.sleep(delay)
        child.kill()  # it may have ended
        child.join()
    store = Store(store_url)
    make(store)
    assert [study.name for study in store.studies()] == ["crowd"]
    store.dispose()


def test_several_processes_may_open_a_new_database_at_once(store_url):
    children = [CHILDREN.Process(target=open_store, args=(store_url,)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0] * 4
    store = Store(store_url)
    assert store.studies() == []
    store.dispose()


@pytest.mark.parametrize("calls", [1, 7])
def test_a_refused_answer_refuses_nobody_elses(store, store_url, calls):
    """Answers of several people go to the disk together; one person's bad one must not take the others' with it."""
    make(store)
    raters = [store.enrol("crowd", fewest) for _ in range(8)]
    gone = raters.pop()
    store.forget("crowd", gone.rater)
    outcomes = {}

    def send(number, rater):
        try:
            outcomes[number] = store.save([rating(rater, rater.trials[0])] * calls)
        except Exception as error:
            outcomes[number] = error

    with store._database.lock:  # all wait for the same turn
        threads = [threading.Thread(target=send, args=item) for item in enumerate([*raters, gone])]
        for thread in threads:
            thread.start()
        while len(store._intake._waiting) < len(threads):
            time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert [outcomes[number] for number in range(7)] == [[rating(each, each.trials[0]).rating_id] * calls for each in raters]
    assert "Nobody called" in str(outcomes[7])
    assert len(store.ratings("crowd")) == 7
