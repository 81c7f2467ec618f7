"""``bench`` runs from end to end at a tiny size; its figures are figures, not verdicts on this machine's speed."""

import json

from core.__main__ import main


def test_bench_measures_both_sides(capsys):
    assert main(["identity", "--json", "--runs", "1", "--iterations", "1", "--faces", "2"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["recogniser"]["largest_l2_difference"] < 1e-4
    assert figures["search"]["paper_evaluations"] == [17]
    assert set(figures["search"]["liminal_evaluations"]) == {18}, "the start and one generation"
    assert figures["search"]["ratio"] > 0
    assert figures["memory_mb"] > 100
    assert set(figures["slider_step_ms"]) == {"dcgan", "dcgan-sharp"}


def test_absurd_numbers_are_one_sentence(capsys):
    assert main(["identity", "--runs", "0"]) == 2
    assert capsys.readouterr().err == "Error: --runs must be at least 1; it is 0.\n"
