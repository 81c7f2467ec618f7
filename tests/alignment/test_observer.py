"""A person as a shift of the crowd: planted biases, sensitivity and lapses come back; few answers say nothing."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from core.alignment.observer import EMOTION_COUNT, PersonPrior, fit_person, fit_prior, person_probabilities
from core.alignment.personal import MIN_ANSWERS, profile_person, score_guesses
from core.alignment.stimulus_choice import choose_next_question, expected_gain, expected_information
from core.errors import LiminalError

WIDE = PersonPrior(sensitivity=1.0, bias=2.0)


def crowd(n, seed=0, sharp=1.5):
    return softmax(sharp * np.random.default_rng(seed).normal(size=(n, EMOTION_COUNT)), axis=1)


def answers(parameters, group, seed=1):
    random = np.random.default_rng(seed)
    return np.array(
        [random.choice(EMOTION_COUNT, p=p / p.sum()) for p in person_probabilities(np.asarray(parameters, float), group)[0]]
    )


TRUTH = np.array([np.log(1.6), 0.9, -0.7, 0.4, 0.0, -0.6, 0.0, np.log(0.05 / 0.95)])


def test_what_was_planted_comes_back():
    group = crowd(6000)
    found = fit_person(group, answers(TRUTH, group), WIDE)
    assert found.mode[1:7] - found.mode[1:7].mean() == pytest.approx(TRUTH[1:7], abs=0.12)
    assert np.exp(found.mode[0]) == pytest.approx(1.6, rel=0.1)
    assert 1 / (1 + np.exp(-found.mode[-1])) == pytest.approx(0.05, abs=0.02)


def test_the_mode_is_that_of_a_general_optimiser():
    group = crowd(120)
    said = answers(TRUTH, group)
    prior = PersonPrior()
    found = fit_person(group, said, prior)
    evidence = log_softmax(np.log(group), axis=1)

    def surprise(x):
        p = softmax(np.exp(x[0]) * evidence + x[1:7], axis=1)[np.arange(len(said)), said]
        lapse = 1 / (1 + np.exp(-x[-1]))
        return -np.log((1 - lapse) * p + lapse / EMOTION_COUNT).sum() + 0.5 * (((x - prior.mean) / prior.deviation) ** 2).sum()

    reference = minimize(surprise, prior.mean, method="BFGS", options={"gtol": 1e-7})  # scipy 1.17
    assert found.mode == pytest.approx(reference.x, abs=2e-3)


def test_without_answers_the_person_is_the_crowd():
    group = crowd(50)
    known = fit_person(group[:0], np.empty(0, int))
    assert np.abs(known.probabilities(group, 400) - group).mean() < 0.05
    assert known.n == 0


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    random = np.random.default_rng(5)
    inside = []
    for trial in range(40):
        bias = 0.5 * random.normal(size=EMOTION_COUNT)
        truth = np.array([0.3 * random.normal(), *(bias - bias.mean()), np.log(0.03 / 0.97)])
        group = crowd(150, seed=trial)
        said = profile_person("r", group, answers(truth, group, seed=trial), PersonPrior())
        inside += [each.low <= np.exp(truth[1 + place]) <= each.high for place, each in enumerate(said.bias.values())]
    assert 0.86 < np.mean(inside) < 0.995


def test_a_profile_names_what_departs_and_few_answers_say_nothing():
    group = crowd(400)
    truth = np.array([0.0, 1.2, -0.6, -0.6, 0.0, 0.0, 0.0, -4.0])
    said = answers(truth, group)
    found = profile_person("r", group, said, PersonPrior(bias=0.8))
    assert "surprise" in found.departs
    assert found.bias["surprise"].low > 1.5
    few = profile_person("r", group[: MIN_ANSWERS - 1], said[: MIN_ANSWERS - 1])
    assert "Too few answers" in few.note
    assert all(np.isnan(each.value) for each in few.bias.values())
    assert few.departs == ()


def running_score(group, said, prior=None):
    """Every answer guessed from those before it, as a visitor's are."""
    known, own = fit_person(group[:0], said[:0], prior), []
    for place in range(len(said)):
        own.append(known.probabilities(group[[place]])[0])
        known = fit_person(group[: place + 1], said[: place + 1], prior, known)
    return score_guesses("r", np.array(own), group, said)


def test_the_running_score_looks_only_backwards_and_finds_a_biased_person():
    group = crowd(160)
    said = answers(np.array([0.0, 2.0, -1.0, -1.0, 0, 0, 0, -4.0]), group)
    prior = PersonPrior(bias=1.0)
    whole = running_score(group, said, prior)
    assert whole.gain.low > 0
    part = running_score(group[:40], said[:40], prior)
    assert part.own == pytest.approx(whole.own[:40])  # what comes later changes no guess
    assert np.isnan(running_score(group[:10], said[:10]).gain.value)


def test_the_crowd_s_spread_is_found():
    random = np.random.default_rng(2)
    people = []
    for number in range(25):
        bias = 0.9 * random.normal(size=EMOTION_COUNT)
        group = crowd(200, seed=number)
        truth = np.array([0.1 * random.normal(), *(bias - bias.mean()), -3.5])
        people.append((group, answers(truth, group, seed=number)))
    found = fit_prior(people)
    assert found.bias == pytest.approx(0.9, rel=0.3)
    assert found.sensitivity < 0.35


def test_expected_information_is_the_mutual_information():
    said = np.random.default_rng(0).dirichlet(np.ones(EMOTION_COUNT), size=(7, 3))  # 7 draws, 3 images
    told = expected_information(said)
    for image in range(3):
        joint = said[:, image] / 7  # draws x answers
        apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
        assert told[image] == pytest.approx((joint * np.log2(joint / apart)).sum())
    assert expected_information(np.repeat(said[:1], 7, axis=0)) == pytest.approx(np.zeros(3), abs=1e-12)


def test_expected_gain_is_the_uncertainty_that_one_answer_takes_away():
    from core.alignment.observer import information_roots

    group = crowd(30)
    known = fit_person(group[:20], answers(TRUTH, group[:20]))
    gained = expected_gain(known, group, group)
    roots = information_roots(known.mode, group)
    wanted = np.einsum("nki,nkj->ij", roots, roots) / len(group)
    for place in (0, 7, 29):
        after = np.linalg.inv(np.linalg.inv(known.covariance) + roots[place].T @ roots[place])
        expected = 0.5 * np.trace(wanted @ (known.covariance - after)) / np.log(2)
        assert gained[place] == pytest.approx(expected, rel=1e-6)


def test_the_next_question_is_a_telling_one_not_asked_before():
    certain = np.full((1, EMOTION_COUNT), 0.002)
    certain[0, 3] = 0.99
    torn = np.full((1, EMOTION_COUNT), 0.02)
    torn[0, :2] = 0.46
    group = np.vstack([certain, torn, certain])
    known = fit_person(group[:0], np.empty(0, int))
    assert choose_next_question(known, group, ["a", "b", "c"])[0] == "b"
    assert choose_next_question(known, group, ["a", "b", "c"], answered=["b"])[0] in ("a", "c")
    with pytest.raises(LiminalError, match="every image"):
        choose_next_question(known, group, ["a", "b", "c"], answered=["a", "b", "c"])


def test_missing_probabilities_are_refused():
    group = crowd(5)
    group[2, 1] = np.nan
    with pytest.raises(LiminalError, match="align the group again"):
        fit_person(group, np.zeros(5, int))
