"""For the tests of the pages: a data folder of their own, a real server and a real browser."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import streamlit
from playwright.sync_api import expect, sync_playwright

from core.studies.library import Library
from core.studies.store import Store
from tests.databases import new_postgresql, postgresql  # noqa: F401
from ui.jobs import JobManager
from ui.studies import access, owner_gate

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PATIENCE = 240_000  # milliseconds: networks on a busy machine
SETTLED = "[data-testid=stApp][data-test-connection-state=CONNECTED][data-test-script-state=notRunning]"


BOTH_DATABASES = pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
"""Of tests with ``place``: once on each database."""


@pytest.fixture
def place(request, tmp_path, monkeypatch):
    """A data folder of its own -> (store, library); no demonstration, and the visitor is the owner."""
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("LIMINAL_DATABASE_URL", raising=False)
    if getattr(request, "param", "sqlite") == "postgresql":
        monkeypatch.setenv("LIMINAL_DATABASE_URL", request.getfixturevalue("new_postgresql"))
    monkeypatch.delenv("LIMINAL_OWNER_KEY", raising=False)
    monkeypatch.setattr(owner_gate, "_is_local", lambda: True)
    monkeypatch.setattr(access, "install_demonstration", lambda: None)
    streamlit.cache_resource.clear()
    streamlit.cache_data.clear()
    store = Store()
    yield store, Library()
    store.dispose()
    streamlit.cache_resource.clear()
    streamlit.cache_data.clear()


@pytest.fixture
def idle(monkeypatch):
    """Pages hand work to the background; here nobody takes it up, nor after the test."""
    monkeypatch.setattr(JobManager, "_serve", lambda self: None)
    monkeypatch.setattr(JobManager, "_watch", lambda self: None)  # it would start workers once ``_serve`` is the real one again


@pytest.fixture
def jobs_at_once(monkeypatch):
    """What pages hand to the background is done at once, while they wait."""
    submit = JobManager.submit

    def run(self, title, work):
        job = submit(self, title, work)
        job._run()
        return job

    monkeypatch.setattr(JobManager, "_serve", lambda self: None)
    monkeypatch.setattr(JobManager, "submit", run)


@contextlib.contextmanager
def own_folder(folder, *, close=True, **environment):
    """A data folder for a whole module, of this process and of servers that it starts -> (store, library). close: the store too."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LIMINAL_DATABASE_URL", "LIMINAL_OWNER_KEY", "LIMINAL_OWNERS", "LIMINAL_OWNER_HEADER"):
            patch.delenv(name, raising=False)
        for name, value in {"LIMINAL_DATA_DIR": str(folder), **environment}.items():
            patch.setenv(name, value)
        store = Store()
        try:
            yield store, Library()
        finally:
            if close:
                store.dispose()


@contextlib.contextmanager
def serving(log, script="app.py"):
    """A fresh server on a free port -> its address. script: what is served, relative to the checkout."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    address = f"http://localhost:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None, f"the server stopped: {log.read_text()}"
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                break
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(30)


LEFT = 'starlette.websockets.WebSocketDisconnected: Cannot call "send" once a close message has been sent.'
"""How Streamlit's report ends where a browser has gone in the middle of what it was sent."""


def find_failures(log):
    """What a server's log tells of failures: reports of Python and of the server, but for those of browsers that have gone."""
    first, *reports = log.read_text().split("Exception in ASGI application\n")
    return [part for part in (first, *(report.rpartition(LEFT)[2] for report in reports)) if "Traceback" in part]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with serving(log) as address:
        yield address
    assert not find_failures(log)


@pytest.fixture(scope="session")
def asking(tmp_path_factory):
    """A server with a data folder of its own -> (address, store, library); studies' names tell apart whose they are."""
    folder = tmp_path_factory.mktemp("asking")
    with contextlib.ExitStack() as stack:
        with own_folder(folder, close=False) as (store, library):
            address = stack.enter_context(serving(folder / "log.txt"))
        stack.callback(store.dispose)
        yield address, store, library
    assert not find_failures(folder / "log.txt")


@pytest.fixture
def fresh_server(tmp_path):
    with serving(tmp_path / "log.txt") as address:
        yield address


@pytest.fixture(scope="session")
def chromium():
    if not Path(CHROMIUM).exists():
        reason = f"The browser tests need Debian's chromium at {CHROMIUM}: apt-get install chromium, or set CHROMIUM."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Open an address -> page, settled. Errors of scripts in the page fail the test."""
    contexts, failures = [], []

    def opened(address, *, width=1280, height=900, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(address)
        _settle(page)
        return page

    yield opened
    for context in contexts:
        for page in context.pages:
            assert page.locator("[data-testid=stException]").count() == 0
        context.close()
    assert not failures


@pytest.fixture(scope="session")
def settle():
    """Wait until the server has answered and nothing runs any more."""
    return _settle


def _settle(page):
    page.wait_for_selector(SETTLED, state="attached")
