"""Two processes of the app on one PostgreSQL behind one proxy: people move between them, and no answer is lost or doubled."""

import contextlib
import itertools
import json
import selectors
import socket
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import urlsplit

from core.models.emotions import EMOTIONS
from core.studies.library import Library
from core.studies.planning import assign_stimuli
from core.studies.store import Store
from tests.security.visitor import said
from tests.ui.conftest import serving
from tests.ui.study_sets import faces, made_study
from ui.studies.access import make_answer_id

PEOPLE = 6


@contextlib.contextmanager
def proxy(servers):
    """Every new connection goes to the next server that is there, and stays with it until it ends -> the proxy's address."""
    listening = socket.create_server(("localhost", 0))
    turn, ended = itertools.count(), threading.Event()

    def pass_on(visitor):
        for _ in servers:
            place = urlsplit(servers[next(turn) % len(servers)])
            with contextlib.suppress(OSError):
                server = socket.create_connection((place.hostname, place.port), timeout=60)
                break
        else:
            visitor.close()
            return
        with visitor, server, selectors.DefaultSelector() as both, contextlib.suppress(OSError):
            both.register(visitor, selectors.EVENT_READ, server)
            both.register(server, selectors.EVENT_READ, visitor)
            while not ended.is_set():
                for ready, _ in both.select(0.5):
                    content = ready.fileobj.recv(65536)
                    if not content:
                        return
                    ready.data.sendall(content)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=pass_on, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://localhost:{listening.getsockname()[1]}"
    finally:
        ended.set()
        listening.close()


def send(address, person, stimulus, value):
    """One answer as a browser sends it -> (status, record)."""
    answer = {
        "rating_id": make_answer_id(person.code, stimulus, "emotion"),
        "stimulus": stimulus,
        "task": "emotion",
        "value": value,
        "reaction_time_ms": 500.0,
        "presented": {},
        "created_at": datetime.now(UTC).isoformat(),
    }
    body = json.dumps({"code": person.code, "answers": [answer]}).encode()
    request = urllib.request.Request(
        f"{address}/studies/answers", body, {"Content-Type": "application/json", "Origin": address, "Connection": "close"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def choice(person, stimulus):
    """What this person says of this face: different for everybody, so that a crossed answer shows."""
    return EMOTIONS[hash((person.number, stimulus)) % len(EMOTIONS)]


class Person:
    """Somebody who takes part, with the number by which ``choice`` knows them."""

    def __init__(self, rater, number):
        self.code, self.rater, self.trials, self.number = rater.code, rater.rater, rater.trials, number


def shown(address, study, person):
    """The faces that the page of this person still asks about."""
    page = said(address, "take-part", f"study={study.token}&code={person.code}")
    assert "no longer here" not in page
    return {stimulus for stimulus in person.trials if stimulus in page}


def test_people_go_on_at_the_other_server_and_every_answer_is_kept_once(new_postgresql, tmp_path, monkeypatch):
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("LIMINAL_DATABASE_URL", new_postgresql)
    monkeypatch.setenv("LIMINAL_OWNER_KEY", "sesame")
    store, library = Store(), Library()
    study = made_study(store, library, "both", faces(9), demographics=False)
    people = [Person(store.enrol("both", assign_stimuli), number) for number in range(PEOPLE)]
    for person in people:
        store.update(person.code, consented_at=datetime.now(UTC))
    logs = [tmp_path / f"log-{number}.txt" for number in range(2)]
    with contextlib.ExitStack() as first, serving(logs[1]) as b:
        a = first.enter_context(serving(logs[0]))
        servers = [a, b]
        with proxy(servers) as front:
            problems = []

            def half(person):
                """The first half of the answers, each from two tabs at once, on both servers."""
                try:
                    for stimulus in person.trials[: len(person.trials) // 2]:
                        with ThreadPoolExecutor(2) as tabs:
                            value = choice(person, stimulus)
                            replies = list(tabs.map(send, servers, [person] * 2, [stimulus] * 2, [value] * 2))
                        expected = (200, {"acknowledged": [make_answer_id(person.code, stimulus, "emotion")]})
                        assert replies == [expected] * 2, replies
                except BaseException as error:
                    problems.append(error)

            crowd = [threading.Thread(target=half, args=(person,)) for person in people]
            for each in crowd:
                each.start()
            for each in crowd:
                each.join()
            assert problems == []
            assert len(store.ratings("both")) == PEOPLE * (len(people[0].trials) // 2)

            # whichever server somebody comes back to, it knows where they were
            for person, address in zip(people, itertools.cycle([*servers, front]), strict=False):
                left = set(person.trials[len(person.trials) // 2 :])
                assert shown(address, study, person) == left

            # what one server's owner does, the other knows at once
            gone = people.pop()
            assert send(a, gone, gone.trials[-1], "fear")[0] == 200  # both have this person at hand now
            assert send(b, gone, gone.trials[-1], "fear")[0] == 200
            store.forget("both", gone.rater)
            assert [send(address, gone, gone.trials[-2], "fear")[0] for address in servers] == [404, 404]
            store.change("both", closed=True)
            one = people[0]
            assert [send(address, one, one.trials[-1], "fear")[0] for address in servers] == [409, 409]
            store.change("both", closed=False)

            # one server goes away in the middle: the rest goes on through the proxy
            def rest(person):
                try:
                    for number, stimulus in enumerate(person.trials[len(person.trials) // 2 :]):
                        for _ in range(20):  # the browser's queue sends again what was not acknowledged
                            with contextlib.suppress(OSError):
                                status, record = send(front, person, stimulus, choice(person, stimulus))
                                assert (status, len(record["acknowledged"])) == (200, 1)
                                break
                        else:
                            raise AssertionError("never acknowledged")
                        if number == 1 and person is people[0]:
                            first.close()
                except BaseException as error:
                    problems.append(error)

            crowd = [threading.Thread(target=rest, args=(person,)) for person in people]
            for each in crowd:
                each.start()
            for each in crowd:
                each.join()
            assert problems == []
            assert "One last question" in said(front, "take-part", f"study={study.token}&code={people[0].code}")
    table = store.ratings("both")
    store.dispose()
    asked = {(person.rater, stimulus, choice(person, stimulus)) for person in people for stimulus in person.trials}
    kept = list(zip(table["rater"], table["stimulus"], table["value"], strict=True))
    assert len(kept) == len(asked)
    assert set(kept) == asked, "an answer is lost, doubled or another's"
    for log in logs:
        assert "Traceback" not in log.read_text()
