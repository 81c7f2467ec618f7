"""The exported R script, run by R 4 with lme4 1.1 (Debian's packages), finds the page's coefficients and a planted truth."""

import os
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from core.analysis.answer_table import make_table_files
from core.analysis.mixed import fit_mixed_model
from core.analysis.r_script import AGREEMENT, make_r_script
from core.figures.exhibit import ExhibitView
from core.figures.questions import exhibit_answers, exhibit_ratings
from core.progress import Progress
from tests.figures.study_materials import LABELS, emotion_material, identity_material, label_material, nobody, scale_material


@pytest.fixture(scope="module")
def rscript():
    """The program; skipped with a sentence where it or lme4 is missing, an error in CI."""
    program = shutil.which("Rscript")
    if program is None or subprocess.run([program, "-e", "library(lme4)"], capture_output=True, timeout=60).returncode:
        reason = "R with lme4 is not installed (Debian: apt-get install r-base-core r-cran-lme4)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return program


@pytest.fixture
def run(rscript, tmp_path):
    """Export a study and run its script -> what it prints."""
    folder = tmp_path / "a folder"
    folder.mkdir()

    def runs(study_data, stem):
        for name, content in make_table_files(study_data, stem, "csv").items():
            (folder / name).write_bytes(content)
        done = subprocess.run([rscript, str(folder / f"{stem}.R")], capture_output=True, text=True, timeout=120, cwd="/")
        assert done.returncode == 0, done.stderr
        assert "cannot be fitted" not in done.stdout
        return done.stdout

    return runs


@pytest.mark.r
def test_lme4_finds_the_coefficients_of_the_page_and_the_planted_truth(run):
    pairs = identity_material(raters=8, lost=0.05)
    printed = run(pairs, "pairs")
    model = fit_mixed_model(pairs.pairs, pairs.ratings, "dlib")
    rows = re.findall(r"^(level|slope) (\w+) +(\S+) +(\S+) +(\S+) +(\S+)$", printed, re.MULTILINE)
    assert len(rows) == 2 * len(model.effects) == 8
    for kind, name, here, error, page, difference in rows:
        effect = next(effect for effect in model.effects if effect.sample_type == name)
        value = effect.level if kind == "level" else effect.slope
        assert float(here) == pytest.approx(value.value, abs=AGREEMENT * float(error) + 1e-3)
        assert float(page) == pytest.approx(value.value, rel=1e-4)
        assert (value.high - value.low) / 2 / 1.96 == pytest.approx(float(error), rel=1e-2)
        assert abs(float(difference)) <= AGREEMENT
    assert "(the same)" in printed
    deviations = re.search(r"^lme4 +(\S+) +(\S+) +(\S+)$", printed, re.MULTILINE)
    fitted = (model.rater_deviation, model.pair_deviation, model.residual_deviation)
    assert [float(each) for each in deviations.groups()] == pytest.approx(fitted, rel=1e-2, abs=0.05)
    slope = float(re.search(r"^distance +(\S+)", printed, re.MULTILINE)[1])
    apart = float(re.search(r"standard deviations of (\S+)", printed)[1])
    assert slope / apart == pytest.approx(-1 / 0.08, rel=0.25)  # planted: a logistic function of width 0.08

    faces = run(emotion_material(images=40, raters=10), "faces")
    slope = float(re.search(r"^lean +(\S+)", faces, re.MULTILINE)[1])
    apart = float(re.search(r"standard deviations of (\S+)", faces)[1])
    assert slope / apart == pytest.approx(1, rel=0.25)  # planted: people choose by the guiding classifier's own probabilities

    assert "No answer counts" in run(replace(pairs, ratings=nobody()), "nobody")


@pytest.mark.r
def test_ratings_and_labels_are_fitted_and_the_planted_effect_is_found(run):
    ratings = scale_material(effect=1.0)
    printed = run(ratings, "ratings")
    slope, error = map(float, re.search(r"^sample_typeb +(\S+) +(\S+)", printed, re.MULTILINE).groups())
    assert abs(slope - 1.0) < 2 * error < 0.7
    (page,) = exhibit_ratings(ratings, ExhibitView(), Progress())
    assert [float(each) for each in re.search(r"^ +all +a +b *\n(.+)$", printed, re.MULTILINE)[1].split()] == pytest.approx(
        page.data["value"], abs=5e-3
    )
    deviations = [float(each) for each in re.findall(r"^ (?:stimulus|rater|Residual) .*?(\S+) *$", printed, re.MULTILINE)]
    assert deviations == pytest.approx([0.4, 0.5, 0.8], abs=0.2)

    labels = label_material(effect=1.5)
    printed = run(labels, "labels")
    found = {
        name: tuple(map(float, numbers))
        for name, *numbers in re.findall(r"^Label '(\w+)' against.*\n(?:.*\n)*?sample_typeb +(\S+) +(\S+)", printed, re.MULTILINE)
    }
    assert list(found) == list(LABELS)
    slope, error = found["calm"]
    assert abs(slope - 1.5) < 2 * error < 1
    assert found["neutral"][0] + 2 * found["neutral"][1] < 0
    (page,) = exhibit_answers(labels, ExhibitView(), Progress())
    shares = page.data.pivot(index="series", columns="name", values="value")
    for group in ("all", "a", "b"):
        line = re.search(rf"^{group} +(\S+) +(\S+) +(\S+)$", printed, re.MULTILINE).groups()
        assert [float(each) / 100 for each in line] == pytest.approx(shares.loc[group, list(LABELS)], abs=6e-4)


def test_the_script_says_why_the_page_shows_no_model():
    lonely = identity_material(raters=1)
    assert "One person answered" in make_r_script(lonely, "answers.csv")
