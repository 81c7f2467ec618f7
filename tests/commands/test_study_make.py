"""``study make`` and ``study simulate``: from a folder of samples to a study in the store."""

import pytest

from core.__main__ import main
from core.sampling.configuration import IdentityConfiguration
from core.sampling.identity import generate_identity_batch
from core.studies.library import Library
from core.studies.store import Store
from tests.fakes import fake_panel


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMINAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("LIMINAL_DATABASE_URL", raising=False)
    generate_identity_batch(IdentityConfiguration(seed=2, iterations=2), 0, panel=fake_panel()).save(tmp_path / "set")
    return tmp_path / "set"


def stored(name):
    store = Store()
    try:
        return store.study(name), store.stimuli(name), store.raters(name), store.ratings(name)
    finally:
        store.dispose()


def test_make_prints_the_link(folder, capsys):
    (folder.parent / "consent.txt").write_text("I agree.")
    consent = str(folder.parent / "consent.txt")
    assert main(["study", "make", "--set", str(folder), "--name", "Mine", "--trials", "20", "--consent", consent]) == 0
    study, stimuli, raters, _ = stored("Mine")
    said = capsys.readouterr().out
    assert said.splitlines() == [
        "The study 'Mine' asks about 112 stimuli: 20 trials and 4 attention checks a person.",
        f"/take-part?study={study.token}",
    ]
    assert (study.source, study.plan.consent, len(stimuli), raters) == ("human", "I agree.", 112, [])
    (entry,) = [each for each in Library().sets() if not each.demonstration]
    assert study.sample_sets == (entry.set_id,)


def test_simulate_fills_a_study_and_takes_sets_by_their_id(folder, capsys):
    asked = ["--sets", str(folder), "--study", "One", "--raters", "3", "--seed", "4"]
    assert main(["study", "simulate", *asked]) == 0
    assert "672 simulated answers of 3 observers about 112 stimuli in the study 'One'." in capsys.readouterr().out
    study, _, raters, ratings = stored("One")
    assert (study.source, len(raters), set(ratings["source"])) == ("simulated", 3, {"simulated"})
    assert main(["study", "simulate", "--sets", study.sample_sets[0], "--study", "Two", "--raters", "3", "--seed", "4"]) == 0
    again = stored("Two")[3]
    assert again["value"].tolist() == ratings["value"].tolist()


def test_bad_input_is_one_line(folder, capsys):
    asked = ["--sets", str(folder), "--study", "One", "--raters", "2"]
    assert main(["study", "simulate", *asked]) == 0
    capsys.readouterr()
    for arguments, expected in (
        (["simulate", *asked], "There is a study 'One' already; choose another name."),
        (["simulate", *asked[:3], "Other", "--raters", "0"], "A simulated study has 1 to 10,000 observers, not 0."),
        (["make", "--set", "nowhere", "--name", "x"], "There is no folder nowhere; give the folder of a sample set."),
        (["make", "--set", str(folder), "--name", "x", "--trials", "900"], "A rater cannot get 900 pairs"),
        (["make", "--set", str(folder), "--name", "x", "--consent", "none.txt"], "The file none.txt cannot be read as text"),
    ):
        assert main(["study", *arguments]) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert said[-1].startswith(f"Error: {expected}")
