"""``python -m core assets``: the commands that made the committed assets, at a tiny size."""

import importlib
import json
import subprocess

from core.__main__ import OneLineParser, main
from core.commands import assets
from core.sampling.stored.directions import load_directions
from core.sampling.stored.gallery import load_gallery
from core.sampling.stored.population import load_population, load_thresholds


def test_strangers_then_thresholds(tmp_path, capsys):
    people, cuts = str(tmp_path / "people"), str(tmp_path / "cuts")
    assert (
        main(["assets", "strangers", "--generators", "dcgan", "--count", "16", "--wall", "2", "--seed", "5", "--out", people]) == 0
    )
    said = capsys.readouterr()
    assert "16 strangers of dcgan, 2 with a picture" in said.out
    assert "0 %  Judging stranger 1 of 16" in said.err
    made = load_population("dcgan", tmp_path / "people")
    assert made.command == "python -m core assets strangers --generators dcgan --seed 5 --count 16 --wall 2"
    asked = ["--generators", "dcgan", "--recognisers", "sface", "--strangers", people, "--bootstraps", "10", "--out", cuts]
    assert main(["assets", "thresholds", *asked]) == 0
    assert "dcgan, sface: default 0.637 accepts" in capsys.readouterr().out
    assert load_thresholds("dcgan", "sface", tmp_path / "cuts").strangers == 16


def test_gallery(tmp_path, capsys):
    listed = tmp_path / "looked_at.json"
    listed.write_text(json.dumps({"seed": 0, "approved": [24, 45]}))  # of the committed list
    asked = [
        "--generators",
        "dcgan",
        "--count",
        "1",
        "--candidates",
        "46",
        "--looked-at",
        str(listed),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(["assets", "gallery", *asked]) == 0
    assert "Chose 1 of 2 good faces among 46 candidates." in capsys.readouterr().out
    assert load_gallery("dcgan", tmp_path / "out").bases[0].number in (24, 45)


def test_directions(tmp_path, capsys):
    asked = ["--generators", "dcgan", "--count", "40", "--held-out", "2", "--out", str(tmp_path)]
    assert main(["assets", "directions", *asked]) == 0
    assert "smile, dcgan: " in capsys.readouterr().out
    assert len(load_directions(tmp_path)) == 6


def test_bad_input_is_one_line(tmp_path, capsys):
    assert main(["assets", "strangers", "--count", "0", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.strip() == "Error: The number of strangers must be at least one and the wall's not negative."
    assert main(["assets", "gallery", "--generators", "stylegan9", "--out", str(tmp_path)]) == 2
    assert "There is no generator called 'stylegan9'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_all_goes_on_where_it_stopped(monkeypatch, capsys):
    """Every step is a command that the parser knows; one that fails ends the run and says how to go on."""
    ran = []

    def run_step(command, check):
        _, _, _, name, *words = command
        parser = OneLineParser()
        importlib.import_module(f"core.commands.{name}").add_arguments(parser)
        parser.parse_args(words)
        ran.append(command[3:])
        return subprocess.CompletedProcess(command, returncode=int("thresholds" in command))

    monkeypatch.setattr(assets.subprocess, "run", run_step)
    monkeypatch.setattr(assets.registry, "default_generator", lambda task: "head")
    assert main(["assets", "all", "--generator", "head"]) == 2
    assert "go on with --start-at thresholds." in capsys.readouterr().err
    assert [step[1] for step in ran] == ["head-descriptors", "head-chain", "gallery", "strangers", "genuine", "thresholds"]
    ran.clear()
    assert main(["assets", "all", "--generator", "head", "--start-at", "reference"]) == 0
    assert [step[1] for step in ran] == ["reference", "walk", "sheets", "demonstration", "alignment", "boundary"]
    assert main(["assets", "all", "--start-at", "nothing"]) == 2
    assert "--start-at is one of head-descriptors, head-chain, gallery" in capsys.readouterr().err
