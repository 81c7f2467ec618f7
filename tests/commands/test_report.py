import dataclasses
import json

import pytest

from core.__main__ import main
from core.sampling.configuration import IdentityConfiguration
from core.sampling.identity import generate_batch
from tests.fakes import FakeRecogniser, fake_panel


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A set whose judge is called dlib, so that the published and the calibrated figures stand beside it."""
    recogniser = FakeRecogniser("dlib")
    panel = fake_panel(recogniser, [recogniser, FakeRecogniser("blind", face_until=0.0)])
    made = generate_batch(IdentityConfiguration(seed=7, iterations=3, sigma=0.5), 0, panel=panel)
    made = dataclasses.replace(made, manifest={**made.manifest})
    return made.save(tmp_path_factory.mktemp("report") / "set"), made


def test_the_report_prints_each_type_beside_the_published_values(folder, capsys):
    place, made = folder
    assert main(["report", str(place)]) == 0
    printed = capsys.readouterr().out
    tables = printed.split("accepted below")
    assert "0.600 (default)" in tables[1]
    negative = next(line for line in tables[1].splitlines() if line.startswith("negative")).split()
    rows = made.pairs[made.pairs["sample_type"] == "negative"]
    assert negative[1] == "12"
    assert float(negative[4]) == pytest.approx(100 * rows["accepted_dlib"].mean(), abs=0.05)
    assert negative[-4:] == ["2", "%", "0.80", "0.67", "1.00"][-4:]  # the paper's acceptance, distance, LPIPS, ratio
    for name in ("genuine", "interpolation", "  25 %", "optimized", "  0.3", "positive", "  0.6", "all"):
        assert any(line.startswith(name) for line in tables[1].splitlines())
    assert "search under 0.3:" in printed
    assert "Wilson" in printed


def test_the_share_of_missing_faces_is_printed_by_type(folder, capsys):
    place, made = folder
    assert main(["report", str(place)]) == 0
    printed = capsys.readouterr().out
    blind = printed[printed.index("blind, accepted") :]
    for name in ("negative", "positive", "all"):
        rows = made.pairs if name == "all" else made.pairs[made.pairs["sample_type"] == name]
        line = next(line for line in blind.splitlines() if line.startswith(name))
        assert f"{100 * rows['distance_blind'].isna().mean():.1f} %" in line


def test_json_holds_the_same_figures(folder, capsys):
    place, made = folder
    assert main(["report", str(place), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    first = report["tables"][0]
    assert (first["recogniser"], first["threshold"], first["threshold_is"]) == ("dlib", 0.6, "default")
    rows = {(row["sample_type"], row["step"]): row for row in first["rows"]}
    positive = made.pairs[(made.pairs["sample_type"] == "positive") & (made.pairs["step"] == 0.4)]
    assert rows["positive", 0.4]["accepted"]["count"] == positive["accepted_dlib"].sum()
    assert rows["positive", 0.4]["published"]["similarity"] == 70.97
    assert report["counts"]["optimized"] == 36
    assert report["configuration"]["seed"] == 7


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_what_is_no_sample_set_gets_one_line(tmp_path, capsys, arguments):
    assert main(["report", str(tmp_path), *arguments]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("Error: ")
    assert "is not a sample set" in errors
    assert errors.count("\n") == 1
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert "There is no folder" in capsys.readouterr().err
