"""``study make`` and ``study simulate``: from a folder of samples to a study in the store."""

import pytest

from core.__main__ import main
from core.sampling.configuration import IdentityConfiguration
from core.sampling.identity import generate_identity_batch
from core.studies.library import Library
from core.studies.planning import assign_stimuli
from core.studies.recruitment import Participant, StudySettings
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
        "The study 'Mine' asks about 112 stimuli: 20 trials and 4 attention checks a person, about 3 minutes.",
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


def test_settings_are_given_at_the_start_and_changed_while_people_take_part(folder, capsys):
    asked = ["--set", str(folder), "--name", "Mine", "--participant-parameter", "PROLIFIC_PID", "--target", "30"]
    assert main(["study", "make", *asked, "--finished-to", "https://panel.example/?cc=C1&{participant}"]) == 0
    study = stored("Mine")[0]
    assert (
        capsys.readouterr().out.splitlines()[-1].startswith(f"/take-part?study={study.token}&PROLIFIC_PID={{{{%PROLIFIC_PID%}}}}&")
    )
    store = Store()
    rater = store.enrol("Mine", assign_stimuli, participant=Participant("=ann", {"PROLIFIC_PID": "=ann", "x": "ü"}))
    store.dispose()
    assert main(["study", "settings", "Mine", "--target", "none", "--full-to", "FULL", "--timeout-minutes", "90"]) == 0
    said = capsys.readouterr().out
    assert "Mine: open" in said
    assert "1 started, 0 finished, 0 declined, 0 screened out, 0 timed out, 1 taking part" in said
    assert stored("Mine")[0].settings == StudySettings(
        "PROLIFIC_PID", "https://panel.example/?cc=C1&{participant}", full="FULL", timeout_minutes=90
    )
    questions = folder.parent / "questions.txt"
    questions.write_text("Clear?\n* yes\n- no\n")
    gates = ["--min-window", "900x600", "--input", "keyboard", "--phones", "no", "--min-refresh", "50"]
    assert main(["study", "settings", "Mine", *gates, "--practice", "4", "--questions", str(questions)]) == 0
    said = capsys.readouterr().out
    assert "a window of 900 by 600 pixels, a keyboard, 50 pictures a second, more than a phone" in said
    assert "4 practice trials, 1 question" in said
    assert stored("Mine")[0].settings.questions == "Clear?\n* yes\n- no"
    assert main(["study", "participants", "Mine"]) == 0
    assert capsys.readouterr().out == f"=ann  {rater.rater}  taking part\n1 participant of 'Mine'.\n"
    assert main(["study", "participants", "Mine", "--out", str(folder.parent / "names.csv")]) == 0
    assert "'=ann,rater-0001,taking part," in (folder.parent / "names.csv").read_text("utf-8-sig")
    for option, name in (([], "without.csv"), (["--with-participants"], "with.csv")):
        assert main(["study", "export", "Mine", "--out", str(folder.parent / name), *option]) == 0
    assert "participant" not in (folder.parent / "without.csv").read_text("utf-8-sig")
    assert "participant" in (folder.parent / "with.csv").read_text("utf-8-sig")
    capsys.readouterr()
    for arguments, expected in (
        (["settings", "Mine", "--finished-to", "javascript:alert(1)"], "'javascript:alert(1)' is no place to send people to"),
        (["settings", "Mine", "--target", "many"], "'many' is no whole number; give one, or 'none'."),
        (["settings", "Mine", "--timeout-minutes", "5"], "A time-out of 5 min is shorter than the study, which takes about 15 min"),
        (["settings", "Mine", "--min-window", "large"], "'large' is no size of a window; write for example 900x600, or 'none'."),
        (["settings", "Mine", "--questions", "gone.txt"], "The file gone.txt cannot be read as text in UTF-8"),
        (["settings", "Mine", "--practice", "99"], "There are 0 to 20 practice trials; choose a number between."),
        (["participants", "Mine", "--drop"], "This deletes 1 name for good; add --yes to say that it is meant."),
        (["participants", "Mine", "--drop", "--yes"], "The study 'Mine' is open: without their names people could take part twice"),
    ):
        assert main(["study", *arguments]) == 2
        printed = capsys.readouterr()
        assert expected in printed.err
        assert printed.err.count("\n") == 1
    store = Store()
    store.change("Mine", closed=True)
    store.dispose()
    assert main(["study", "participants", "Mine", "--drop", "--yes"]) == 0
    assert capsys.readouterr().out == "Dropped 1 name from 'Mine'; the answers stay.\n"
