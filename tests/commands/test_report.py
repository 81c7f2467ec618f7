import dataclasses
import json
import re

import numpy as np
import pytest

from core.__main__ import main
from core.commands import report
from core.figures.contents import choose_default_view, list_sections
from core.progress import Progress
from core.sampling.configuration import IdentityConfiguration, configure_morphs
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.identity import generate_identity_batch
from core.sampling.morphing import generate_morphs
from core.sampling.stored import reference as population
from tests.emotion_sets import emotion_set, unanimous
from tests.fakes import FakeRecogniser, fake_panel
from tests.sampling.test_morphing import owners


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A set whose judge is called dlib, so that the published and the calibrated figures stand beside it."""
    recogniser = FakeRecogniser("dlib")
    panel = fake_panel(recogniser, [recogniser, FakeRecogniser("blind", face_until=0.0)])
    made = generate_identity_batch(IdentityConfiguration(seed=7, iterations=3, sigma=0.5), 0, panel=panel)
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


USUAL = EmotionConfiguration("surprise", "fear", generator="dcgan")  # the default generator of these tests
PASSING, FAILING = unanimous(0.4, 0.4, True, USUAL), unanimous(0.8, 0.1, False, USUAL)


@pytest.fixture(scope="module")
def emotions(tmp_path_factory):
    """Ten samples: the steerer and its kin pass eight, the small CNN two; a face is found in nine, six of them near."""
    planted = [PASSING] * 8 + [FAILING] * 2
    planted = [{**each, "small-cnn": (0.4, 0.4, True) if number < 2 else (0.1, 0.1, False)} for number, each in enumerate(planted)]
    made = emotion_set(planted, distances=[0.5] * 6 + [0.7] * 3 + [np.nan])
    return made.save(tmp_path_factory.mktemp("emotions") / "set"), made


@pytest.fixture
def plain_faces(monkeypatch):
    """A population in which, under every classifier, 10 of 200 faces pass the filter for surprise and fear."""
    logits = np.zeros((200, 6), np.float32)
    logits[:50, 0] = 1.0  # a quarter is above the percentile of each emotion ...
    logits[40:90, 1] = 1.0  # ... and 10 faces above both
    names = USUAL.classifiers
    stored = population.ReferenceSet("dcgan", 0, dict.fromkeys(names, logits), dict.fromkeys(names, 2.0), "made for tests", "today")
    monkeypatch.setattr(report, "load_reference_set", lambda generator: stored)


@pytest.fixture
def no_plain_faces(monkeypatch, tmp_path):
    monkeypatch.setattr(report, "load_reference_set", lambda generator: population.load_reference_set(generator, tmp_path))


def section(printed, title):
    return next(part for part in printed.split("\n\n") if part.startswith(title))


def test_an_emotion_set_is_reported_under_the_steerer_and_every_judge(emotions, plain_faces, capsys):
    assert main(["report", str(emotions[0])]) == 0
    printed = capsys.readouterr().out
    assert "10 samples between surprise and fear of 1 base," in printed
    assert "found in 9 of 10" in printed
    assert "6 of 9" in printed
    steerer, small = section(printed, "Emotion MLP"), section(printed, "Small CNN")
    assert printed.index(steerer) < printed.index(section(printed, "mini-XCEPTION")) < printed.index(small)
    assert ", which steered" in steerer
    assert ", which taught" in section(printed, "Tanh CNN")
    assert ", which did not steer" in small
    assert "8 of 10, 80.0 %" in steerer
    assert "plain faces: 10 of 200, 5.0 %" in steerer
    assert "16.0 times that" in steerer
    lines = {line[2:24].strip(): line[24:] for line in small.splitlines()[1:]}
    assert lines["passed"].startswith("2 of 10, 20.0 %")
    assert lines["of what steerer kept"].startswith("2 of 8, 25.0 %")
    assert lines["success"].startswith("2 of 10")
    assert lines["failure"].startswith("8 of 10")
    assert lines["success, of passed"].startswith("2 of 2")
    assert lines["median |p1 - p2|"].startswith("0.00, n 2")
    assert "nearly 80 %" in printed
    assert "choices of people" in printed


def test_an_emotion_report_without_plain_faces_says_so_in_one_line(emotions, no_plain_faces, capsys):
    assert main(["report", str(emotions[0])]) == 0
    printed = capsys.readouterr().out
    assert len([line for line in printed.splitlines() if "plain faces" in line and "missing" in line]) == 1
    assert "8 of 10, 80.0 %" in printed


def test_json_of_an_emotion_set_holds_every_number(emotions, plain_faces, capsys):
    assert main(["report", str(emotions[0]), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["emotion1"], report["emotion2"], report["n"], report["guided"]) == ("surprise", "fear", 10, 10)
    assert report["configuration"]["seed"] == 5
    assert report["counts"] == {"genuine": 1, "boundary": 10}
    assert (report["faces"]["near"]["count"], report["faces"]["near"]["n"]) == (6, 9)
    steerer, *_, small = report["classifiers"]
    assert (steerer["classifier"], steerer["role"], small["role"]) == ("emotion-mlp", "steered", "did not steer")
    assert (steerer["passed"]["count"], steerer["plain"]["count"], steerer["plain"]["n"]) == (8, 10, 200)
    assert steerer["ratio_to_plain"]["value"] == pytest.approx(16.0)
    assert (small["raw"]["outcomes"]["success"]["count"], small["raw"]["outcomes"]["failure"]["count"]) == (2, 8)
    assert small["calibrated"]["outcomes"]["success"]["n"] == 10
    assert small["raw"]["gap"]["n"] == 2
    assert "people" in report["published"]["is"]


def test_nothing_passed_is_null_in_json(tmp_path, no_plain_faces, capsys):
    emotion_set([FAILING] * 3, distances=[np.nan] * 3).save(tmp_path / "set")
    assert main(["report", str(tmp_path / "set"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    first = report["classifiers"][0]
    assert first["passed"]["count"] == 0
    assert first["raw"]["gap"] == {"value": None, "low": None, "high": None, "n": 0}
    assert report["faces"]["near"]["share"] is None
    assert first["plain"] is None
    assert "reference" in report["plain_missing"]
    assert main(["report", str(tmp_path / "set")]) == 0
    assert "Emotion MLP" in capsys.readouterr().out


def test_an_emotion_set_of_bases_alone_gets_one_line(tmp_path, capsys):
    made = emotion_set([PASSING])
    dataclasses.replace(made, samples=made.samples[:1]).save(tmp_path / "set")
    assert main(["report", str(tmp_path / "set")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_older_emotion_set_without_thresholds_is_read_with_the_stored_one(tmp_path, no_plain_faces, capsys):
    made = emotion_set([PASSING] * 2)
    manifest = {name: value for name, value in made.manifest.items() if name != "thresholds"}
    dataclasses.replace(made, manifest=manifest).save(tmp_path / "set")
    assert main(["report", str(tmp_path / "set"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["faces"]["threshold"] == 0.6


def test_faces_between_two_owners_are_told_where_some_were_judged_against_both(tmp_path, capsys, folder):
    """Half way the two pairs are 0.2 and 0.8 from either owner: one of two faces opens both phones at 0.6."""
    panel = fake_panel(FakeRecogniser("dlib"), [FakeRecogniser("dlib")])
    configuration = configure_morphs("fake-generator", "dlib", steps=(0.25, 0.5, 0.75))
    place = generate_morphs(configuration, 2, owners=owners(4.0, 8.0), panel=panel).save(tmp_path / "set")
    assert main(["report", str(place)]) == 0
    printed = capsys.readouterr().out
    assert "MMPMR, Scherhag et al. 2017" in printed
    assert re.search(r"at 0\.600 +half way +50\.0 % .* 2 faces between 2 pairs of owners", printed)
    study_data, _ = report.open_set(place)
    section = next(section for section in list_sections(study_data) if section.key == "morphs")
    (exhibit,) = section.make(study_data, choose_default_view(study_data), Progress())
    assert exhibit.says.startswith("Half way, 50 % of faces open both phones of ")
    assert exhibit.n == "6 faces between 2 pairs of people"
    assert exhibit.source == "model"
    other, _ = report.open_set(folder[0])
    assert "morphs" in {section.key for section in list_sections(other)}, "a batch of four has the ways between all of them"
