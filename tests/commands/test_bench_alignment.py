"""The alignment suite runs at a tiny size; its figures are figures, not verdicts on this machine's speed."""

import json
import math

import pytest

from benchmarks import alignment
from core.__main__ import main


def test_bench_alignment_measures_learning(monkeypatch, capsys):
    monkeypatch.setattr(alignment, "IMAGES", 80)
    monkeypatch.setattr(alignment, "ANSWERS", 480)
    monkeypatch.setattr(alignment, "PEOPLE", 8)
    monkeypatch.setattr(alignment, "LOOKED_AT", 2)
    assert main(["alignment", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for name in ("emotion-mlp", "mini-xception"):
        each = found["group"][name]
        parts = each["pictures_s"] + each["plain_faces_s"] + each["learning_s"]
        assert each["minutes"] == pytest.approx(parts / 60, abs=0.02)
        assert each["pictures_scaled_from"] == 2
        assert 1 <= each["inputs_looked_at_anew_each_epoch"] <= 15  # an epoch cannot look more often than once
    mlp, network = found["group"]["emotion-mlp"], found["group"]["mini-xception"]
    assert mlp["learning_scaled_from_share"] is None
    assert network["learning_scaled_from_share"] == alignment.SHARE
    assert mlp["individual_s"] > 0
    assert network["a_row_an_answer"] > 0
    text = alignment.as_text(found)
    assert "aim: 5" in text
    assert "scaled" in text


def test_simulated_answers_are_as_many_as_in_the_paper():
    answers = alignment._simulate_answers()
    assert (len(answers), len(answers.images), len(answers.raters)) == (22_450, 1678, 66)
    assert answers.source == "simulated"
    pairs = answers.image * 66 + answers.rater
    assert (pairs[1:] > pairs[:-1]).all()  # sorted, nobody answers twice
    assert math.isclose(answers.counts.sum(), 22_450)
