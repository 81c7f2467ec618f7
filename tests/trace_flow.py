"""Which files the flow "make samples" passes: ``python tests/trace_flow.py`` prints them in the order in which they are reached.

Opens the page Identity in Streamlit's own test runner, presses *Make 28 samples* and notes every module of ``core`` and ``ui`` of
which a function runs, in any thread, until the page has shown the samples. What runs while a module is imported does not count. The
search is short (5 rounds): its length changes no file. Takes about a minute.
"""

import os
import sys
import tempfile
import threading
import time
from inspect import CO_OPTIMIZED
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
QUERY = {"generator": "dcgan", "recogniser": "dlib", "strategy": "gradient", "rounds": "5"}
MODELS = ("core/models/builtin/", "core/models/yunet.py")
LAST = ("ui/identity/page.py", "show_samples")
"""The function at whose end the pictures are on the page."""


class Trace:
    """The files of core and ui with an executed function, each with the first one, until ``LAST`` returns."""

    def __init__(self) -> None:
        self.reached: dict[str, str] = {}
        self.afterwards: dict[str, str] = {}
        self.recording = self.shown = False
        self._names: dict[str, str] = {}

    def __call__(self, frame, event, _):
        if not self.recording or event not in ("call", "return"):
            return
        code = frame.f_code
        name = self._names.get(code.co_filename)
        if name is None:
            name = code.co_filename.removeprefix(f"{ROOT}/")
            self._names[code.co_filename] = name = name if name.startswith(("core/", "ui/")) else ""
        if not name:
            return
        if event == "return":
            self.shown = self.shown or (name, code.co_name) == LAST
        elif code.co_flags & CO_OPTIMIZED and name not in self.reached and not _is_importing(frame):
            (self.afterwards if self.shown else self.reached).setdefault(name, code.co_qualname)


def _is_importing(frame):
    """Whether a module's own body is being run above the frame, the scripts of the pages aside."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__name__") != "__main__":
            return True
        frame = frame.f_back
    return False


def trace_samples():
    """Press the button and wait for the pictures -> the trace."""
    trace = Trace()
    threading.setprofile(trace)
    sys.setprofile(trace)
    from tests.ui.visits import app

    page = app("identity.py", **QUERY)
    trace.recording = True
    page.button(key="make-samples").click().run()
    while not trace.shown:
        assert not page.exception, page.exception
        assert not page.error, page.error
        time.sleep(0.5)
        page.run()
    trace.recording = False
    threading.setprofile(None)
    sys.setprofile(None)
    return trace


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LIMINAL_DATA_DIR"] = folder
        trace = trace_samples()
        for name, function in trace.reached.items():
            print(f"{name:45} {function}")
        models = sum(name.startswith(MODELS) for name in trace.reached)
        print(f"{len(trace.reached)} files from the press to the pictures; {models} of them are single models.")
        print(f"What the page shows below the samples reaches {len(trace.afterwards)} more:")
        print(", ".join(trace.afterwards))
        sys.stdout.flush()
        os._exit(0)  # the page's workers are still there
