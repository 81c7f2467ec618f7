"""Planted people: one answer throughout, chance, like the crowd, biased: learned within ten answers, and said."""

import numpy as np
import pytest
from scipy.special import softmax

from core.alignment.observer import EMOTION_COUNT, PersonPrior, person_probabilities
from core.alignment.personal import profile_person
from core.alignment.response_patterns import learn_person
from core.models.emotions import EMOTIONS

ANGER, FEAR = EMOTIONS.index("anger"), EMOTIONS.index("fear")
NARROW = PersonPrior(sensitivity=0.15, bias=0.4)
"""A crowd of people who differ little, as in the demonstration: a prior from it alone learned nothing from thirty answers."""
VISITORS = 12


def _person(kind, group, random):
    """Answers (n,) of one planted person to faces of the group's probabilities (n, 6)."""
    if kind == "anger":
        return np.full(len(group), ANGER)
    if kind == "random":
        return random.integers(0, EMOTION_COUNT, len(group))
    bias = np.where(np.arange(EMOTION_COUNT) == FEAR, 3.0 if kind == "biased" else 0.0, 0.0)
    drawn = person_probabilities(np.array([0.0, *bias, -3.5]), group)[0]
    return np.array([random.choice(EMOTION_COUNT, p=p / p.sum()) for p in drawn])


def _visits(kind, n=30):
    """Guesses of ``VISITORS`` planted people -> own and group's right guesses (V, n), and what was noticed after each answer."""
    own, crowd, noticed = [], [], []
    for visitor in range(VISITORS):
        random = np.random.default_rng(visitor)
        group = softmax(1.5 * random.normal(size=(n, EMOTION_COUNT)), axis=1)
        answers = _person(kind, group, random)
        person, right, seen = learn_person(group[:0], answers[:0], NARROW), [], []
        for index in range(n):
            right.append(person.probabilities(group[[index]])[0].argmax() == answers[index])
            person = learn_person(group[: index + 1], answers[: index + 1], NARROW, person)
            seen.append(person.noticed)
        own.append(right)
        crowd.append(group.argmax(axis=1) == answers)
        noticed.append(seen)
    return np.array(own), np.array(crowd), np.array(noticed)


def test_one_answer_throughout_is_guessed_within_five_answers_and_said():
    own, crowd, noticed = _visits("anger")
    assert own[:, 5:].mean() > 0.95
    assert own[:, :10].sum() > 3 * crowd[:, :10].sum()
    assert (noticed[:, 9:] == "fixed").all()
    assert (noticed[:, :5] == "").all()  # five alike may be the faces


def test_a_biased_person_is_guessed_better_than_by_the_crowd_by_answer_ten():
    own, crowd, noticed = _visits("biased")
    assert own[:, 5:10].mean() > crowd[:, 5:10].mean() + 0.05
    assert own[:, :10].sum() > crowd[:, :10].sum()
    assert (noticed == "").mean() > 0.95


def test_who_answers_like_the_crowd_is_guessed_as_well_as_by_the_crowd_and_accused_of_nothing():
    own, crowd, noticed = _visits("crowd")
    assert own.mean() > crowd.mean() - 0.04
    assert (noticed == "").all()


def test_chance_is_noticed_and_makes_no_profile():
    _, _, noticed = _visits("random")
    assert (noticed[:, -1] == "random").mean() > 0.8
    random = np.random.default_rng(1)
    group = softmax(1.5 * random.normal(size=(60, EMOTION_COUNT)), axis=1)
    for kind, words in (("random", "look like chance"), ("anger", "60 of 60 are anger")):
        profile = profile_person("r", group, _person(kind, group, random), NARROW)
        assert words in profile.note
        assert np.isnan(profile.sensitivity.value)
        assert profile.departs == ()


def test_weights_are_probabilities_and_before_the_first_answer_those_of_the_prior():
    person = learn_person(np.empty((0, EMOTION_COUNT)), np.empty(0, int))
    assert person.weights == pytest.approx([0.5, 0.35, 0.1, 0.05])
    group = np.full((4, EMOTION_COUNT), 1 / EMOTION_COUNT)
    answered = learn_person(group, np.array([0, 1, 2, 3]))
    assert answered.weights.sum() == pytest.approx(1)
    assert answered.probabilities(group).sum(axis=1) == pytest.approx(1)
