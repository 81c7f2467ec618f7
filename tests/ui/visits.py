"""A visit to a page of the app without a browser."""

import asyncio
import multiprocessing
import os
import traceback
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]
CLEAN = multiprocessing.get_context("forkserver")
"""Its children begin with what is imported below and without torch; starting one takes a moment, not seconds."""
CLEAN.set_forkserver_preload(["streamlit.testing.v1", "core.studies.store", "ui.navigation", "ui.studies.owner_gate"])
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)
"""Every visit would read what all installed packages say of themselves: a third of a second, most of many tests' time."""
AS_OWNER = "from ui.studies import owner_gate; owner_gate._is_local = lambda: True"
"""For ``paints_without_torch``: the visitor sits at the server."""
IDLE = "import ui.jobs; ui.jobs.JobManager._serve = lambda self: None"
"""For ``paints_without_torch``: what runs in the background may load networks."""


def app(page=None, **query):
    test = AppTest.from_file(str(ROOT / "ui" / "main.py"), default_timeout=120)
    test.run()
    if page is not None:
        test.switch_page(str(ROOT / "pages" / page))
        for name, value in query.items():
            test.query_params[name] = value
        test.run()
    assert not test.exception
    return test


def words(test):
    """All that the page says, but for its style sheet."""
    kinds = ("title", "header", "subheader", "error", "warning", "info", "success", "markdown", "html")
    bodies = [str(getattr(each, "value", None) or each.proto.body) for kind in kinds for each in test.get(kind)]
    return " ".join(body for body in bodies if "<style>" not in body).replace("&#x27;", "'")


def paints_without_torch(page, given="", then="", **query):
    """Open the page in a process without torch, which other tests of this one load. given, then: code before and after it."""
    code = f"""
import sys
from streamlit.testing.v1 import AppTest
{given}
test = AppTest.from_file({str(ROOT / "ui" / "main.py")!r}, default_timeout=120)
test.run()
test.switch_page({str(ROOT / "pages" / page)!r})
test.query_params.update({query!r})
test.run()
assert not test.exception, test.exception
{then}
assert "torch" not in sys.modules
"""
    here, there = CLEAN.Pipe(duplex=False)
    child = CLEAN.Process(target=_run, args=(code, dict(os.environ), there))
    child.start()
    there.close()
    try:
        problem = here.recv()
    except EOFError:
        problem = "the process ended without a word"
    child.join()
    assert not problem, problem[-2000:]


def _run(code, environment, answer):
    """In the child: run the code with this environment; the traceback of what went wrong, or nothing, is the answer."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    try:
        exec(code, {"__name__": "visit"})
    except BaseException:
        answer.send(traceback.format_exc())
    else:
        answer.send("")
    finally:
        os._exit(0)  # no thread of a page is waited for


def finished(coroutine):
    """What a coroutine returns; in a thread of its own, as the browser's tests leave a running loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
