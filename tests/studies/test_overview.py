from datetime import UTC, datetime

import numpy as np
import pytest

from core.studies.overview import summarise_study
from core.studies.ratings import Rating, make_ratings_table
from core.studies.study import Rater, RatingPlan, Stimulus, Study

STIMULI = [Stimulus(name, (name,)) for name in "abcd"] + [Stimulus("check", ("check",), is_sentinel=True, expected="fear")]
STUDY = Study("s", RatingPlan("emotion", trials=3, sentinels=1))


def rating(rater, stimulus, milliseconds=None, task="emotion", value="fear"):
    return Rating("s", rater, stimulus, task, value, reaction_time_ms=milliseconds).to_row()


def rater(name, trials, finished=False):
    return Rater(name, "s", name, tuple(trials), finished_at=datetime.now(UTC) if finished else None)


def test_progress_and_votes():
    raters = [rater("one", ["a", "b", "check"], finished=True), rater("two", ["a", "c", "check"]), rater("three", ["d", "a"])]
    ratings = make_ratings_table([rating("one", "a"), rating("one", "b"), rating("one", "check"), rating("two", "a")])
    said = summarise_study(STUDY, STIMULI, raters, ratings)
    progress = said.progress
    assert (progress.enrolled, progress.begun, progress.finished) == (3, 2, 1)
    assert (progress.expected, progress.answered) == (8, 4)
    assert dict(said.votes.by_stimulus) == {"a": 2, "b": 1, "c": 0, "d": 0}
    assert (said.votes.least, said.votes.median, said.votes.most) == (0, 0.5, 2)
    assert dict(said.votes.distribution) == {0: 2, 1: 1, 2: 1}
    assert said.exclusions.raters == ("one", "two")


def test_two_tasks_of_one_trial_are_one_vote_and_one_trial():
    ratings = make_ratings_table(
        [rating("one", "a", task="similarity", value="70"), rating("one", "a", task="identity", value="1")]
    )
    said = summarise_study(STUDY, STIMULI, [rater("one", ["a"])], ratings)
    assert said.votes.by_stimulus["a"] == 1
    assert (said.progress.expected, said.progress.answered) == (1, 1)


def test_people_from_elsewhere_count():
    said = summarise_study(STUDY, STIMULI, [], make_ratings_table([rating("one", "a"), rating("two", "a"), rating("two", "b")]))
    assert (said.progress.enrolled, said.progress.expected, said.progress.answered) == (2, 3, 3)


def test_reaction_times_by_task():
    times = [100.0, 500.0, 900.0, 1500.0, 4000.0]
    rows = [rating(str(index), "a", each) for index, each in enumerate(times)] + [rating("x", "b")]
    (found,) = summarise_study(STUDY, STIMULI, [], make_ratings_table(rows)).reaction_times
    assert (found.task, found.n, found.median) == ("emotion", 5, 900.0)
    assert (found.lower, found.upper) == tuple(np.quantile(times, [0.25, 0.75]))
    assert found.outside == pytest.approx(2 / 5)


def test_an_empty_study():
    said = summarise_study(STUDY, [], [], make_ratings_table([]))
    assert (said.votes.least, said.votes.most, dict(said.votes.distribution), said.reaction_times) == (0, 0, {}, ())
    assert said.progress.enrolled == 0
