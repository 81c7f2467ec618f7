"""The pages' own logic, without a browser."""

import subprocess
import sys
from pathlib import Path

import pytest
import streamlit

from tests.ui.visits import app
from ui.jobs import JobManager

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _idle_workers(monkeypatch):
    """Pages hand work to the background; here nobody takes it up."""
    monkeypatch.setattr(JobManager, "_serve", lambda self: None)
    streamlit.cache_resource.clear()
    yield
    streamlit.cache_resource.clear()


def texts(test):
    return " ".join(str(each.value) for kind in (test.title, test.header, test.subheader, test.error) for each in kind)


def test_home_is_complete():
    test = app()
    assert "stop being yours" in texts(test)
    assert not test.error
    assert not test.info  # the walk is there


def test_pages_say_so_when_the_address_makes_no_sense():
    for page in ("phone.py", "identity.py"):
        test = app(page, base="nobody", threshold="nan", recogniser="none", generator="none", seed="-3", sample="x", stranger="y")
        assert not test.error


def test_a_strict_limit_lets_nobody_in_and_a_loose_one_somebody():
    assert "Nobody gets in" in texts(app("phone.py", threshold="0.05"))
    assert "Gets in, and looks least like the owner" in texts(app("phone.py", threshold="0.9"))


def test_models_of_the_address_are_chosen():
    test = app("phone.py", recogniser="sface", generator="dcgan")
    assert test.radio(key="recogniser").value == "sface"
    assert test.radio(key="generator").value == "dcgan"


def test_samples_are_made_only_when_asked_for():
    test = app("identity.py")
    assert "set_job" not in test.session_state
    assert test.button(key="make-samples")


@pytest.mark.parametrize("page", ["home.py", "phone.py", "identity.py", "emotion.py", "morph.py"])
def test_a_page_paints_before_torch_is_imported(page):
    # In a process of its own: other tests of this one load torch.
    code = f"""
import sys
from streamlit.testing.v1 import AppTest
test = AppTest.from_file({str(ROOT / "ui" / "main.py")!r}, default_timeout=120)
test.run()
test.switch_page({str(ROOT / "pages" / page)!r})
test.query_params["threshold"] = "0.05"
import ui.jobs
ui.jobs.JobManager._serve = lambda self: None  # what runs in the background may load networks
if {page!r} == "phone.py":
    import ui.caches
    ui.caches.stranger_picture = lambda *_: b""  # the only part of a first view that may need a network
test.run()
assert not test.exception, test.exception
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
