"""The bench of the store runs and counts what it says; its times are this machine's and judged by nobody here."""

import json

from benchmarks import studies
from benchmarks.__main__ import main


def test_bench_counts_every_answer(capsys, monkeypatch):
    monkeypatch.setattr(studies, "RATERS", 3)
    monkeypatch.setattr(studies, "ANSWERS", 4)
    monkeypatch.setattr(studies, "CALM_ANSWERS", 2)
    monkeypatch.setattr(studies, "PACE_S", 0.01)
    assert main(["studies", "--rows", "900", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    saved = figures["save_ms"]
    assert {how: found["answers"] for how, found in saved.items()} == {
        "no pause": 12,
        "an answer each half second": 6,
        "one rater alone": 4,
    }
    assert all(0 < found["median"] <= found["percentile_95"] for found in saved.values())
    assert figures["table"]["rows"] == 900
    assert "900 answers" in studies.as_text(figures)


def test_an_absurd_number_is_one_sentence(capsys):
    assert main(["studies", "--rows", "0"]) == 2
    assert capsys.readouterr().err == "Error: --rows must be at least 1; it is 0.\n"
