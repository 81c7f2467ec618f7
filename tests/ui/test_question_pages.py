"""Studies with questions of their own and the owner's preview, without a browser."""

import pytest

from core.studies.preview import PREVIEW_CODE
from core.studies.recruitment import StudySettings
from core.studies.study import RatingPlan
from tests.ui.conftest import BOTH_DATABASES
from tests.ui.study_sets import answer_all, faces, identity_set, made_study
from tests.ui.test_study_pages import press, request, row
from tests.ui.visits import app, words
from ui import server
from ui.studies import access, owner_gate

LABELS = ("fear", "tense", "neutral", "none of these")


def test_a_study_of_labels_is_made_answered_and_looked_at(place, jobs_at_once):
    store, library = place
    set_id = library.add(identity_set(), "Four strangers")
    test = app("studies.py", new=set_id)
    assert "A person gets 4 pairs and 1 attention check: about 1 minute." in words(test)
    test.get("button_group")[0].set_value("labels").run()
    assert "No attention checks" in words(test)
    test.text_area(key="plan-labels").set_value("one person").run()
    assert "A list has 2 to 12 different labels" in words(app_or(test, "plan-ready-labels", []))
    test.text_area(key="plan-labels").set_value("one person\nsiblings\nstrangers").run()
    next(each for each in test.text_input if each.label.startswith("Name of the study")).set_value("Siblings?").run()
    press(test, "make-study")
    study = store.study("Siblings?")
    assert study.plan.labels == ("one person", "siblings", "strangers")
    assert (study.plan.trials, study.plan.sentinels) == (5, 0)  # a base beside itself is a pair like others
    answer_with(store, study, ["one person", "siblings", "siblings"])
    assert "siblings" in words(app("statistics.py", study=study.name))
    assert "which label?" in words(app("studies.py", study=study.name))
    assert not app("disagreement.py", study=study.name).exception


def app_or(test, key, value):
    """The page with the ready labels taken out."""
    next(each for each in test.get("button_group") if each.key == key).set_value(value).run()
    return test


def answer_with(store, study, values):
    for number, value in enumerate(values):
        answer_all(store, study, lambda _, value=value: value, f"p{number}")


@BOTH_DATABASES
def test_an_answer_that_the_study_does_not_offer_is_refused(place):
    store, library = place
    study = made_study(store, library, "s", faces(), question="labels", labels=LABELS)
    person = store.enrol("s", lambda study, stimuli, *_: [each.stimulus for each in stimuli])
    sent = row(person, person.trials[0], "anger", "label")
    with pytest.raises(server.RequestRefused, match="none of this study's answers"):
        server.save_answers(request(person.code, [sent]))
    assert server.save_answers(request(person.code, [{**sent, "value": "tense"}])) == [sent["rating_id"]]
    assert store.ratings("s")["task"].tolist() == ["label"]
    assert study.plan.main_task == "label"


@BOTH_DATABASES
def test_the_owner_walks_through_the_whole_study_and_nothing_is_kept(place):
    store, library = place
    study = made_study(store, library, "My private name", faces(), investigator="Dr. A", contact="a@b.example")
    store.change(study.name, settings=StudySettings(participant_parameter="PROLIFIC_PID", finished="DONE-1", target=1))
    test = app("take_part.py", study=study.token, preview="1")
    assert "Preview: you see what raters see" in words(test)
    assert "Who asks: Dr. A. Questions about this study: a@b.example" in words(test)
    press(test, "agree")
    next(each for each in test.button if each.label == "Skip").click().run()
    press(test, "instructed")
    preview = test.session_state[access.PREVIEW]
    assert preview.person.code == PREVIEW_CODE
    preview.keep([{"stimulus": name, "task": "emotion", "value": "fear"} for name in preview.person.trials])
    test.run()
    assert "One last question" in words(test)
    next(each for each in test.button if each.label == "Finish").click().run()
    assert test.code[0].value == "DONE-1"
    assert f"{len(preview.person.trials)} faces: all your answers are kept." in words(test)
    assert not store.raters(study.name)
    assert store.participation(study.name).started == 0
    assert len(store.ratings(study.name)) == 0
    store.change(study.name, closed=True)  # which its owner can look at all the same
    again = app("take_part.py", study=study.token, preview="1")
    press(press(again, "agree"), "preview-anew")
    assert "I agree and take part" in [button.label for button in again.button]


def test_nobody_but_the_owner_gets_a_preview(place, monkeypatch):
    store, library = place
    study = made_study(store, library, "s", faces())
    monkeypatch.setattr(owner_gate, "_is_local", lambda: False)
    test = app("take_part.py", study=study.token, preview="1")
    assert "For the owner of the studies" in words(test)
    assert not [button for button in test.button if button.key == "agree"]


def test_the_limits_of_the_plan_are_named_on_the_studys_page(place):
    store, library = place
    study = made_study(store, library, "s", faces(13), sentinel_share=0.5, fastest_ms=900.0)
    answer_all(store, study, lambda name: ("fear", "surprise")[int(name, 16) % 2], "p")
    test = app("studies.py", study="s")
    assert test.toggle(key="sentinels").label == "Missed attention checks: 50 % right or fewer"
    assert test.toggle(key="too_fast").label == "Too fast: half of the answers within 0.9 seconds"
    assert "a median of at least 900 ms is needed" in words(test)
    assert RatingPlan.from_dict(study.plan.to_dict()) == study.plan
