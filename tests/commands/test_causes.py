"""``python -m core causes``: what it costs beforehand, the ranking with intervals, bad input in a sentence."""

import json

import pytest

from core.__main__ import main


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--people", "4"], "--people must be from 10 to 1,000, not 4"),
        (["--latents", "glases"], "did you mean glasses"),
        (["--generator", "dcgan-sharp"], "have no names"),
        (["--by", "nobody"], "--by names no network that is asked"),
        (["--by", "small-cnn", "--refused"], "--refused ranks by a recogniser"),
        (["--interaction", "glasses", "glasses"], "cannot interact with itself"),
        (["--interaction", "glasses", "age", "--out", "x"], "leave --out and --set out"),
        (["--top", "0"], "--top must be at least 1"),
    ],
)
def test_bad_input_is_one_sentence(capsys, options, words):
    assert main(["causes", "--generator", "head", *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_the_cost_is_told_and_the_ranking_has_intervals(capsys):
    options = ["--generator", "head", "--people", "10", "--latents", "chin_height", "glasses", "--seed", "3"]
    assert main(["causes", *options, "--json"]) == 0
    out, error = capsys.readouterr()
    assert error.startswith("2 latents, 10 people: 80 predictions, about 2 seconds")
    record = json.loads(out)
    assert record["design"]["seed"] == 3
    assert record["people"] == 10
    chin, glasses = (effect["distance"]["dlib"] for effect in record["effects"])
    assert glasses["low"] > chin["high"]
    assert main(["causes", *options]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("  glasses", "  chin"))]
    assert rows[0].startswith("  glasses")
