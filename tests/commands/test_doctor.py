"""``doctor`` names every model with its licence, and fails where a weight file is not the one expected."""

import json

import pytest

from core.commands import doctor
from core.errors import LiminalError
from core.models import registry, weights


@pytest.fixture
def arguments():
    import argparse

    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    return parser.parse_args


def test_every_registered_model_is_there_with_its_licence(arguments, capsys):
    assert doctor.run(arguments(["--json"])) == 0
    report = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in report["models"]] == [entry.name for entry in registry.ENTRIES]
    for model in report["models"]:
        assert model["problem"] is None
        assert model["weights_licence"]
        assert model["data_licence"]
        assert model["not_for"]
        assert all(len(file["sha256"]) == 64 for file in model["files"])


def test_cards_and_registry_agree(arguments, capsys):
    doctor.run(arguments([]))
    printed = capsys.readouterr().out
    for entry in registry.ENTRIES:
        assert f"ok      {entry.kind}: {entry.name} ({entry.title})" in printed


def test_an_altered_file_makes_it_fail(arguments, capsys, monkeypatch):
    def broken(self):
        raise LiminalError(f"The weight file {self.path} is altered; run 'python start.py --weights'.")

    monkeypatch.setattr(weights.WeightFile, "verified", broken)
    assert doctor.run(arguments([])) == 2
    assert "PROBLEM" in capsys.readouterr().out
