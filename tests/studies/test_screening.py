"""Who may take part: what a device must have, questions on the instructions, and practice faces whose answer is known."""

from collections import Counter

import numpy as np
import pytest

from core.errors import LiminalError
from core.models.builtin.head import latents
from core.studies import practice
from core.studies.recruitment import StudySettings
from core.studies.screening import (
    EXAMPLE_QUESTIONS,
    ComprehensionQuestion,
    Device,
    find_faults,
    needs_device,
    parse_questions,
)
from core.studies.words import load_words

WINDOW = StudySettings(min_width=900, min_height=600)


def test_questions_are_read_from_the_owners_text():
    text = "\n How long?  \n* a moment\n-  until I answer \n\n\n Why?\n- because\n*so\n"
    assert parse_questions(text) == (
        ComprehensionQuestion("How long?", ("a moment", "until I answer"), 0),
        ComprehensionQuestion("Why?", ("because", "so"), 1),
    )
    assert parse_questions(" \n ") == ()
    for example in EXAMPLE_QUESTIONS.values():
        assert len(parse_questions(example)) == 2
        assert StudySettings(questions=example).questions == example


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("* yes\n- no", "Question 1 begins with an answer; write the question above its answers."),
        ("Why?\nso\n* no", "'so' is no answer to question 1; begin the right one with * and others with -."),
        ("Why?\n* yes", "Question 1 needs 2 to 6 different answers, one of them, the right one, after a star."),
        ("Why?\n* yes\n* no", "Question 1 needs 2 to 6 different answers, one of them, the right one, after a star."),
        ("Why?\n* yes\n- yes", "Question 1 needs 2 to 6 different answers, one of them, the right one, after a star."),
        ("A?\n* y\n- n\n\nB?", "Question 2 needs 2 to 6 different answers, one of them, the right one, after a star."),
        (f"{'w' * 301}?\n* y\n- n", "A question and an answer have at most 300 letters; shorten question 1."),
        ("A?\n* y\n- n\n\n" * 11, "There are at most 10 questions on the instructions; leave some out."),
    ],
)
def test_texts_that_are_no_questions_get_one_sentence(text, sentence):
    with pytest.raises(LiminalError) as error:
        StudySettings(questions=text)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("settings", "device", "words"),
    [
        (StudySettings(), Device(1, 1, phone=True), None),
        (
            StudySettings(phones=False),
            Device(390, 844, phone=True, touch=True),
            "does not work on a phone: open the same link on a co",
        ),
        (StudySettings(phones=False), Device(800, 1200, touch=True), None),
        (WINDOW, Device(900, 600), None),
        (WINDOW, Device(899, 600), "shows 899 by 600 pixels, and this study needs 900 by 600: make the window larger"),
        (WINDOW, Device(1200, 599), "shows 1,200 by 599 pixels"),
        (StudySettings(input_device="mouse"), Device(900, 600, touch=True), "needs a mouse or a touchpad: connect one"),
        (StudySettings(input_device="mouse"), Device(900, 600, mouse=True), None),
        (StudySettings(input_device="touch"), Device(900, 600, mouse=True), "needs a touch screen: open the same link on a tablet"),
        (StudySettings(input_device="keyboard"), Device(900, 600, mouse=True), "press the space bar to show that you have one"),
        (StudySettings(input_device="keyboard"), Device(900, 600, keyboard=True), None),
        (StudySettings(min_refresh=60), Device(900, 600, refresh=59.4), None),
        (
            StudySettings(min_refresh=60),
            Device(900, 600, refresh=30),
            "shows 30 pictures a second, and this study needs 60: turn power",
        ),
    ],
)
def test_a_device_that_lacks_something_is_told_what_to_change(settings, device, words):
    faults = find_faults(settings, device, load_words("en"))
    assert len(faults) == (words is not None)
    assert words is None or words in faults[0]
    assert needs_device(settings) == (settings != StudySettings())


def test_what_a_browser_says_oddly_counts_as_missing():
    odd = {"width": "900", "height": -5, "mouse": "yes", "touch": 1, "keyboard": True, "refresh": float("inf"), "more": {}}
    assert Device.from_browser(odd) == Device(0, 0, keyboard=True)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_width": 5000}, "at most 4,000 by 4,000 pixels"),
        ({"min_height": -1}, "at most 4,000 by 4,000 pixels"),
        ({"min_refresh": 1000}, "at most 240 pictures a second"),
        ({"practice": 21}, "0 to 20 practice trials"),
        ({"input_device": "voice"}, "mouse, touch, keyboard or any of them, not by 'voice'"),
    ],
)
def test_screening_that_makes_no_sense_gets_one_sentence(values, words):
    with pytest.raises(LiminalError, match=words):
        StudySettings(**values)


def test_practice_shows_what_its_answer_says(monkeypatch):
    monkeypatch.setattr(practice, "describe", lambda latent: latent)
    monkeypatch.setattr(practice, "render", lambda latent, size: latent)  # the latents themselves instead of pictures of them
    trials = practice.make_practice("emotion", 12)
    assert Counter(trial.right for trial in trials) == dict.fromkeys(latents.FEELINGS, 2)
    for trial in trials:
        values = latents.named_values(trial.images[0])
        assert values[trial.right] == pytest.approx(1)
        assert max(values[feeling] for feeling in latents.FEELINGS if feeling != trial.right) < 0.35
    pairs = practice.make_practice("identity", 6)
    assert Counter(trial.right for trial in pairs) == {"1": 3, "0": 3}
    for trial in pairs:
        first, second = trial.images
        identity = latents.block("identity")
        assert np.array_equal(first[identity], second[identity]) == (trial.right == "1")
        assert not np.array_equal(first, second)
    assert len({trial.images.tobytes() for trial in [*trials, *pairs]}) == 18
    again = practice.make_practice("identity", 6)
    assert all(np.array_equal(one.images, other.images) for one, other in zip(pairs, again, strict=True))
