"""LIMINAL_LOG sets from which level on Liminal's loggers write to standard error; a model that is loaded says so."""

import os
import subprocess
import sys

import pytest

from core.models import registry

SAY = "import core, logging; [getattr(logging.getLogger('core.models'), level)(level) for level in ('info', 'warning')]"


def said(level):
    environment = {name: value for name, value in os.environ.items() if name != "LIMINAL_LOG"}
    environment |= {} if level is None else {"LIMINAL_LOG": level}
    done = subprocess.run([sys.executable, "-c", SAY], env=environment, capture_output=True, text=True, check=True)
    return [line.split(" ", 2)[-1] for line in done.stderr.splitlines()]


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        (None, ["warning"]),
        ("info", ["INFO core.models: info", "WARNING core.models: warning"]),
        ("WARNING", ["WARNING core.models: warning"]),
        ("error", []),
    ],
)
def test_the_level_is_that_of_the_variable(level, lines):
    assert said(level) == lines


def test_an_unknown_level_is_said_and_taken_for_info():
    first, *others = said("loud")
    assert first == "WARNING core: LIMINAL_LOG is 'loud'; it can be debug, info, warning, error. Going on with info."
    assert others == said("info")


def test_a_model_that_is_loaded_says_so_once(monkeypatch, caplog):
    monkeypatch.setattr(registry, "_loaded", {})
    monkeypatch.setattr(registry, "load_anew", lambda entry, device: object())
    with caplog.at_level("INFO", logger="core.models.registry"):
        registry.load("lpips", "distance", "cpu")
        registry.load("lpips", "distance", "cpu")
    (line,) = caplog.messages
    assert line.startswith("loaded the distance lpips on cpu in ")
