"""The analysis suite runs at a tiny size and compares equal values; its figures are no verdict on this machine's speed."""

import json

import pytest

from benchmarks import analysis
from core.__main__ import main


def test_bench_analysis_measures_both_sides(monkeypatch, capsys):
    monkeypatch.setattr(analysis, "IMAGES", 60)
    monkeypatch.setattr(analysis, "RATERS", 6)
    monkeypatch.setattr(analysis, "FACES", 5)
    whole = analysis.build_synthetic_study
    monkeypatch.setattr(analysis, "build_synthetic_study", lambda bases: whole(4 if bases < 1000 else 8))
    assert main(["analysis", "--json", "--runs", "1"]) == 0
    figures = json.loads(capsys.readouterr().out)
    consistency = figures["consistency"]
    assert consistency["largest_difference"] < 1e-12
    assert (consistency["pairs"], consistency["looped_pairs"]) == (15, 15)
    assert consistency["ratio"] == pytest.approx(consistency["loop_seconds"] / consistency["liminal_seconds"])
    assert figures["disagreement"]["small"]["pairs"] == 112
    assert figures["disagreement"]["large"]["answers"] == 4480
    assert figures["bootstrap"]["resamples"] == 2000
    assert figures["bootstrap"]["rows"] == 15
    assert (figures["lpips"]["pairs"], figures["lpips"]["looped_pairs"]) == (10, 10)
    assert figures["lpips"]["largest_difference"] < 1e-5
    assert main(["analysis", "--runs", "1"]) == 0
    assert "to reach: 500" in capsys.readouterr().out
