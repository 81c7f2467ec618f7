"""The command for whole data sets: what it foretells, that it goes on where it stopped, one sentence for what is wrong."""

import json

import pytest

from core.__main__ import main
from core.sampling.datasets import running
from core.sampling.datasets.data_set import DataSet
from core.studies.library import DataSetRegister
from tests.sampling.datasets.small_plan import BATCHES, PLAN, make_tiny


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(running, "make_piece", lambda piece, threads: make_tiny(piece))


@pytest.fixture
def study(tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(PLAN))
    return lambda *more: main(["generate", "study", "--plan", str(plan), "--out", str(tmp_path / "set"), *more])


def test_a_dry_run_says_what_will_be_made_and_makes_nothing(study, tmp_path, capsys):
    assert study("--dry-run") == 0
    said = capsys.readouterr().out
    assert f"identity: {BATCHES} batches" in said
    made = DataSet.open(tmp_path / "set") if (tmp_path / "set").exists() else None
    assert made is None
    assert study() == 0
    made = DataSet.open(tmp_path / "set")
    assert f"{made.rows('pairs'):,} pairs, {made.rows('searches'):,} searches" in said
    assert "time: unknown" in said
    images = int(said.split("a piece each), ")[1].split(" images")[0].replace(",", ""))
    assert made.rows("samples") <= images <= 1.6 * made.rows("samples")


def test_a_dry_run_names_every_pair_of_feelings(tmp_path, capsys):
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[emotion]\npairs = [["fear", "surprise"], ["anger", "disgust"]]\ncount = 1200\ntypes = ["guided", "unguided"]\n'
    )
    assert main(["generate", "study", "--plan", str(plan), "--out", str(tmp_path / "set"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    for line in ("surprise or fear, guided", "disgust or anger, unguided"):
        assert line in said
    assert "4,800 images, and 2,400 bases" in said
    assert "7,200 images at most" in said


def test_it_stops_goes_on_and_foretells_time_and_cost(study, tmp_path, capsys):
    assert study("--pieces", "2", "--price", "3600") == 0
    said = capsys.readouterr().out
    assert f"2 of {BATCHES} are there" in said
    assert "goes on from here" in said
    assert study("--dry-run", "--price", "3600", "--workers", "2") == 0
    said = capsys.readouterr().out
    seconds = 0.01 * (BATCHES - 2)  # as the tiny maker says of each piece
    cost = float(said.split("with 2 workers, ")[1].split(" at")[0])
    assert cost == pytest.approx(seconds)
    assert study() == 0
    said = capsys.readouterr().out
    assert f"{BATCHES - 2} pieces made" in said
    assert "finished, and listed in the library" in said
    (entry,) = DataSetRegister().entries()
    assert entry.title == "Tiny"
    assert study("--dry-run") == 0
    assert "All of it is there already." in capsys.readouterr().out
    assert study() == 0
    assert "0 pieces made" in capsys.readouterr().out


def test_ctrl_c_keeps_what_is_finished(study, tmp_path, monkeypatch, capsys):
    def stopped(piece, threads):
        if piece.number == 2:
            raise KeyboardInterrupt
        return make_tiny(piece)

    monkeypatch.setattr(running, "make_piece", stopped)
    assert study() == 130
    errors = [line for line in capsys.readouterr().err.splitlines() if "%" not in line]
    assert errors == [f"Stopped by Ctrl-C; finished pieces are kept in {tmp_path / 'set'}: the same command goes on."]
    assert len(list((tmp_path / "set" / "pieces").iterdir())) == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--threads", "0"], "--threads must be at least 1"),
        (["--pieces", "0"], "--pieces must be at least 1"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--price", "nan"], "--price must be a number"),
        (["--on", "moon"], "invalid choice"),
    ],
)
def test_what_is_wrong_is_one_line(study, capsys, more, said):
    assert study(*more) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert said in error


def test_help_explains_the_plan(capsys):
    with pytest.raises(SystemExit):
        main(["generate", "study", "--help"])
    said = capsys.readouterr().out
    assert 'bases = "own"' in said
    assert "[identity]" in said
