"""Several visitors of one real server, over Streamlit's own protocol; one leaves in the middle, and the server is asked to end."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.session_manager import SessionInfo
from streamlit.runtime.websocket_session_manager import WebsocketSessionManager

from tests.ui.visits import finished
from ui import jobs

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "load"))

from streamlit_client import Visitor  # noqa: E402

SEARCH = "generator=dcgan&strategy=cmaes&rounds=200&seed=5"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A server of our own -> (process, port, data folder, log)."""
    folder, log = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("log") / "log.txt"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.address", "127.0.0.1"]
    with log.open("w") as output:
        environment = {**os.environ, "LIMINAL_DATA_DIR": str(folder)}
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
            break
        except OSError:
            time.sleep(0.1)
    yield process, port, folder, log
    process.kill()
    process.wait()


class Left:
    """A session whose browser has gone."""

    id = "left"


def test_a_session_nobody_can_return_to_is_let_go_of_without_another_visitor():
    for seconds, ended in ((60, False), (0, True)):
        storage, left = MemorySessionStorage(ttl_seconds=seconds), Left()
        sessions = WebsocketSessionManager(storage, None, None, None)
        storage.save(SessionInfo(client=None, session=left))
        gone = weakref.ref(left)
        del left
        assert jobs.end_expired_sessions(SimpleNamespace(_session_mgr=sessions)) is ended
        assert (gone() is None) is ended


async def searching(visitor):
    """Wait until the page of a visitor shows that their search goes on."""
    for _ in range(600):
        for fragment in list(visitor.fragments):
            await visitor.run(fragment=fragment)
        if "set-search" in visitor.components:
            return
        assert visitor.fragments, "nothing is running"
        await asyncio.sleep(0.2)
    raise AssertionError("the search never began")


def test_everybody_sees_their_own_and_who_leaves_disturbs_nobody(running):
    async def visit():
        _, port, _, _ = running
        crowd = [Visitor(port, page=page) for page in ("phone", "identity", "phone", "emotion")]
        entered = await asyncio.gather(*(visitor.enter() for visitor in crowd))
        assert not [error for answer in entered for error in answer.errors]
        tiles = [[tile["id"] for tile in one.component_json["gallery"]["groups"][0]["tiles"]] for one in crowd]
        for place in range(3):
            chosen = [bases[(place + 2 * number) % len(bases)] for number, bases in enumerate(tiles)]
            answers = await asyncio.gather(*(one.pick("gallery", base) for one, base in zip(crowd, chosen, strict=True)))
            assert not [error for answer in answers for error in answer.errors]
            assert [one.component_json["gallery"]["selected"] for one in crowd] == chosen
            assert [one.query.partition("base=")[2].partition("&")[0] for one in crowd] == chosen
        leaver = Visitor(port, page="identity", query=f"base={tiles[1][0]}&{SEARCH}")
        await leaver.enter()
        await searching(leaver)
        await leaver.leave()
        answer = await crowd[1].pick("gallery", tiles[1][7])
        assert not answer.errors
        for one in crowd:
            await one.leave()

    finished(visit())


def test_asked_to_end_in_the_middle_of_a_search_it_ends_and_leaves_nothing_half_written(running):
    process, port, folder, log = running

    async def begin():
        visitor = Visitor(port, page="identity", query=SEARCH)
        await visitor.enter()
        await searching(visitor)
        before = {path for path in folder.rglob("*") if path.is_file()}
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 120)
        return before, time.monotonic() - began

    before, seconds = finished(begin())
    assert seconds < 5 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # the promise, where nobody else uses the machine
    half = [path for path in folder.rglob("*") if path.is_file() and path not in before and path.suffix not in ("-wal", "-shm")]
    assert not half
    assert "Traceback" not in log.read_text(), log.read_text()
