"""The next face of an adaptive study of faces on no axis: planted people are known in fewer answers, and what changed is said."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from core.alignment import face_choice
from core.alignment.face_choice import FaceChooser, FaceTable, fit_group, measure_benefit, read_person
from core.alignment.observer import EMOTION_COUNT, fit_person, person_probabilities
from core.errors import LiminalError
from core.figures.face_choice import describe_benefit, plot_benefit
from core.models.emotions import EMOTIONS
from core.studies.adaptive import list_next_trials
from core.studies.planning import estimate_plan
from core.studies.ratings import Rating, make_ratings_table
from core.studies.study import RatingPlan, Stimulus, Study

CLEAR, TORN = 160, 60
NAMES = [f"face-{row:03d}" for row in range(CLEAR + TORN)]
STIMULI = [Stimulus(name, (name,), "boundary") for name in NAMES]
CHECKS = [Stimulus(f"check-{row}", (f"check-{row}",), "genuine", "", True, EMOTIONS[row % 3]) for row in range(6)]


def draw_truth():
    """What people say of each face on average: most faces leave no doubt, some are torn between two of three feelings."""
    random = np.random.default_rng(0)
    p = np.full((CLEAR + TORN, EMOTION_COUNT), 0.004)
    p[np.arange(CLEAR), random.integers(0, EMOTION_COUNT, CLEAR)] = 0.98
    for row in range(CLEAR, CLEAR + TORN):
        p[row, random.permutation(3)[:2]] = 0.98 * random.dirichlet([15, 15])
    return p / p.sum(axis=1, keepdims=True)


TRUTH = draw_truth()
TABLE = FaceTable(tuple(NAMES), np.log(TRUTH) - np.log(TRUTH).mean(axis=0))


def draw_person(seed):
    """What one planted person would say of every face (N, 6), and what they do say (N,)."""
    random = np.random.default_rng(seed)
    bias = 0.9 * random.normal(size=EMOTION_COUNT)
    p = person_probabilities(np.array([0.0, *(bias - bias.mean()), -4.0]), TRUTH)[0]
    return p, np.array([random.choice(EMOTION_COUNT, p=row / row.sum()) for row in p])


def make_ratings(rater, faces, said):
    rows = [Rating("s", rater, NAMES[face], "emotion", EMOTIONS[said[face]]).to_row() for face in faces]
    return make_ratings_table([{**row, "trial": trial, "created_at": pd.Timestamp(0, tz="UTC")} for trial, row in enumerate(rows)])


@pytest.fixture(scope="module")
def group():
    random, tables = np.random.default_rng(1), []
    for number in range(12):
        tables.append(make_ratings(f"other-{number:02d}", random.permutation(len(NAMES))[:120], draw_person(100 + number)[1]))
    return fit_group(TABLE, pd.concat(tables, ignore_index=True))


def ask(group, chooser, said, answers, number):
    """The rows of the faces that one person is asked about, by the product's own way."""
    study = Study("s", RatingPlan("emotion", answers, adaptive=True))
    asked = []
    while more := list_next_trials(
        study, STIMULI, make_ratings("me", [NAMES.index(name) for name in asked], said), asked, chooser, number
    ):
        asked += more
    assert len(asked) == len(set(asked)) == answers
    return [NAMES.index(name) for name in asked]


def test_planted_people_are_known_in_half_the_answers(group):
    held = np.arange(CLEAR, CLEAR + TORN, 2)
    predicted, lost, ratings = group.predict(), {"random": 0.0, "chosen": 0.0}, {"random": [], "chosen": []}
    for number in range(7):
        p, said = draw_person(number)
        for order, chooser, answers in (("random", FaceChooser(None), 40), ("chosen", FaceChooser(group), 20)):
            faces = ask(group, chooser, said, answers, number)
            person = fit_person(predicted[faces], said[faces], group.prior)
            lost[order] += float((p[held] * np.log2(p[held] / person.probabilities(predicted[held]))).sum(axis=1).mean())
            ratings[order].append(make_ratings(f"{order}-{number}", faces, said))
    assert lost["chosen"] < lost["random"]
    benefits = {order: measure_benefit(group, pd.concat(tables, ignore_index=True)) for order, tables in ratings.items()}
    assert benefits["random"].share.low < 1.15
    assert benefits["random"].share.high > 0.85
    chosen = benefits["chosen"].share
    assert (chosen.n, benefits["chosen"].basis.answers) == (7, 140)
    assert chosen.high < 0.6
    said = describe_benefit(benefits["chosen"], "people")
    assert said.startswith(f"By the models of 7 people, choosing took {chosen.value:.2f} ({chosen.low:.2f} to {chosen.high:.2f})")
    assert plot_benefit(benefits["chosen"], who="people", source="human").layout.meta["n"] == "7 people, 140 answers"
    assert "once people who count have given 5 answers a face" in describe_benefit(None, "people")


def test_the_group_learns_from_classifiers_and_votes_and_leaves_one_person_out(group):
    votes = group.votes.sum(axis=1)
    assert np.abs(group.predict()[votes >= 6] - TRUTH[votes >= 6]).mean() < 0.04
    table = FaceTable(TABLE.faces, np.empty((len(NAMES), 0)))
    answers = make_ratings("other-00", [0], np.zeros(len(NAMES), int))
    assert fit_group(table, answers) is None, "one person is no group"
    without = group.predict("other-03")
    own = group._count(np.flatnonzero(group.answers.rater == 3))
    answered = own.sum(axis=1) > 0
    assert np.allclose(without[~answered], group.predict()[~answered])
    assert (without[own > 0] < group.predict()[own > 0]).all(), "nobody's own vote foretells them"
    assert np.allclose(without.sum(axis=1), 1)
    assert read_person(group, make_ratings("me", [3, 5], np.arange(len(NAMES)) % 6))[1].tolist() == [3, 5]


def test_the_first_people_get_faces_at_random_and_everybody_all_checks_in_between():
    study = Study("s", RatingPlan("emotion", 30, sentinels=6, adaptive=True))
    shown, orders = [*STIMULI, *CHECKS], []
    for number in range(2):
        asked = []
        while more := list_next_trials(study, shown, make_ratings("me", [], []), asked, FaceChooser(None), number):
            again = list_next_trials(study, shown, make_ratings("me", [], []), asked, FaceChooser(None), number)
            assert more == again, "who comes back goes on with the same face"
            asked += more
        checks = [place for place, name in enumerate(asked) if name.startswith("check")]
        assert (len(asked), len(checks)) == (36, 6)
        assert 2 <= min(np.diff(checks)) <= max(np.diff(checks)) <= 9
        orders.append(asked)
    assert orders[0] != orders[1]


def test_the_model_is_fitted_anew_after_a_tenth_more_answers():
    assert face_choice.count_refits(0) == face_choice.count_refits(1) == 0
    assert face_choice.count_refits(1000) == face_choice.count_refits(1010)
    assert face_choice.count_refits(1100) == face_choice.count_refits(1000) + 1


def test_what_cannot_be_chosen_is_a_sentence():
    plan = estimate_plan(STIMULI, "emotion", adaptive=True)
    assert plan.trials == 60
    with pytest.raises(LiminalError, match="at least 24, and there are 20"):
        estimate_plan(STIMULI[:20], "emotion", adaptive=True)
    with pytest.raises(LiminalError, match="30 faces, and each person is to be asked about 30"):
        estimate_plan(STIMULI[:30], "emotion", trials=30, adaptive=True)
    with pytest.raises(LiminalError, match="An adaptive study asks"):
        estimate_plan(STIMULI, "emotion", adaptive=True, question="labels", labels=("calm", "tense"))
    pairs = [replace(stimulus, images=("base", stimulus.stimulus)) for stimulus in STIMULI]
    with pytest.raises(LiminalError, match="lie on no axis"):
        estimate_plan(pairs, "identity", adaptive=True)
