"""What comes before the block, without a browser: the device, the questions with two tries, and who is screened out."""

import pytest

from core.studies.planning import assign_stimuli
from core.studies.recruitment import StudySettings
from tests.ui.conftest import BOTH_DATABASES
from tests.ui.study_sets import faces, made_study
from tests.ui.test_study_pages import press
from tests.ui.visits import app, words
from ui.studies import screening

QUESTIONS = "How long does a face show?\n* a moment\n- for ever\n\nWhat do you say?\n- nothing\n* what I saw"


@pytest.fixture
def asked(place):
    """A study with these settings -> (store, study)."""

    def made(**settings):
        store, library = place
        study = made_study(store, library, "s", faces(), demographics=False)
        return store, store.change("s", settings=StudySettings(**settings)) and store.study(study.name)

    return made


def at_instructions(store, study):
    person = store.enrol("s", assign_stimuli)
    return person, press(app("take_part.py", study=study.token, code=person.code), "instructed")


def choose(test, *answers):
    for radio, answer in zip(test.radio, answers, strict=True):
        radio.set_value(answer)
    next(each for each in test.button if each.label == "Go on").click().run()
    assert not test.exception
    return words(test)


def test_right_answers_lead_to_the_faces_and_are_asked_once(asked):
    store, study = asked(questions=QUESTIONS)
    person, test = at_instructions(store, study)
    assert "You have two tries" in words(test)
    next(each for each in test.button if each.label == "Go on").click().run()
    assert "Answer every question; nothing was counted yet." in words(test)
    assert "stop at any time" in choose(test, 0, 1)
    assert store.rater(person.code).understood_at is not None
    assert "How it goes" in words(app("take_part.py", study=study.token, code=person.code))


@BOTH_DATABASES
def test_two_wrong_tries_screen_out_also_after_a_reload(asked):
    store, study = asked(questions=QUESTIONS, screened_out="https://panel.example/no?{participant}")
    person, test = at_instructions(store, study)
    said = choose(test, 0, 0)
    assert "Not all of that was right. Look again at how it goes" in said
    assert 'class="steps"' in said
    assert store.rater(person.code).tries == 1
    test = press(app("take_part.py", study=study.token, code=person.code), "instructed")
    said = choose(test, 1, 1)
    assert "This study is not for you" in said
    assert "https://panel.example/no?" in said
    assert store.participation("s").screened_out == 1
    assert "This study is not for you" in words(app("take_part.py", study=study.token, code=person.code))


def test_a_device_that_does_not_do_is_told_so_before_anything_is_kept(asked, monkeypatch):
    store, study = asked(min_width=900, min_height=600, phones=False, screened_out="SORRY")
    told = {"width": 800, "height": 700}
    monkeypatch.setattr(screening, "report_device", lambda **_: told)
    test = app("take_part.py", study=study.token)
    assert "Your window shows 800 by 700 pixels, and this study needs 900 by 600" in words(test)
    assert not [button for button in test.button if button.key == "agree"]
    told["width"] = 1000
    test.run()
    assert "Before you begin" in words(test)
    told |= {"phone": True}
    press(test, "agree")  # looked at once a visit
    (person,) = store.raters("s")
    again = app("take_part.py", study=study.token, code=person.code)
    assert "does not work on a phone" in words(again)
    assert not [button for button in again.button if button.key == "turn-away"]  # may come back on a computer
    test = press(app("take_part.py", study=study.token), "turn-away")
    assert "This study is not for you" in words(test)
    assert test.code[0].value == "SORRY"
    assert (store.participation("s").screened_out, store.participation("s").started) == (1, 1)


def test_the_owner_sets_who_may_take_part(asked, monkeypatch):
    store, _ = asked()
    drawn = []
    monkeypatch.setattr("ui.studies.participation.load_practice", lambda *arguments: drawn.append(arguments))
    test = press(app("studies.py", study="s"), "screening")
    test.number_input(key="set-width").set_value(900)
    test.selectbox(key="set-device").set_value("keyboard")
    test.toggle(key="set-phones").set_value(False)
    test.number_input(key="set-practice").set_value(3)
    test.text_area(key="set-questions").set_value("Why?\n* so")
    save = next(each for each in test.button if each.label == "Save")
    save.click().run()
    assert "Question 1 needs 2 to 6 different answers" in test.error[0].value
    test.text_area(key="set-questions").set_value(QUESTIONS)
    next(each for each in test.button if each.label == "Save").click().run()
    assert not test.exception
    assert store.study("s").settings == StudySettings(
        min_width=900, input_device="keyboard", phones=False, practice=3, questions=QUESTIONS
    )
    assert drawn == [("emotion", 3), ("emotion", 3)]
