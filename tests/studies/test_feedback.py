"""What somebody who took part is told: planted agreement is found, with people and with the network."""

import math

import pytest

from core.errors import LiminalError
from core.studies import overview
from core.studies.ratings import Rating, make_ratings_table
from tests.emotion_sets import emotion_set, unanimous


def rows(*said, task="emotion"):
    """(rater, stimulus, value) -> the table of ratings."""
    return make_ratings_table([Rating("s", rater, stimulus, task, value).to_row() for rater, stimulus, value in said])


def test_agreement_is_the_share_of_the_others_who_said_the_same():
    ratings = rows(
        ("me", "a", "fear"), ("me", "b", "anger"), ("me", "c", "fear"),
        ("x", "a", "fear"), ("y", "a", "fear"), ("z", "a", "sadness"),
        ("x", "b", "fear"), ("y", "b", "fear"),
        ("x", "d", "fear"),
    )  # fmt: skip
    found = overview.compare_with_others(ratings, "me", "emotion")
    assert (found.people, found.compared) == (3, 2)  # nobody else saw c, and d is not mine
    assert found.share == pytest.approx((2 / 3 + 0) / 2)
    (apart,) = found.departures
    assert (apart.stimulus, apart.own, apart.n) == ("b", "anger", 2)
    assert dict(apart.shares) == {"fear": 1.0}


def test_attention_checks_and_other_questions_do_not_count():
    checks = make_ratings_table([Rating("s", who, "a", "emotion", "fear", is_sentinel=True).to_row() for who in ("me", "x")])
    assert overview.compare_with_others(checks, "me", "emotion").people == 0
    alike = rows(("me", "a", "50"), ("x", "a", "50"), task="similarity")
    nobody = overview.compare_with_others(alike, "me", "identity")
    assert math.isnan(nobody.share)
    assert nobody.departures == ()


def test_the_furthest_departures_come_first_and_no_more_than_asked_for():
    said = [("me", name, "fear") for name in "abc"]
    said += [
        (f"p{place}", name, "fear" if place < agree else "anger")
        for name, agree in zip("abc", (2, 0, 1), strict=True)
        for place in range(5)
    ]
    found = overview.compare_with_others(rows(*said), "me", "emotion", most=2)
    assert [each.stimulus for each in found.departures] == ["b", "c"]


def test_the_network_of_a_set_is_compared_with(tmp_path):
    made = emotion_set([unanimous(0.6, 0.2, True), unanimous(0.9, 0.05, True), unanimous(0.1, 0.7, True)])
    name, said = overview.load_network_answers([made.save(tmp_path / "set")])
    assert name == made.emotion.steerer
    first, second, third = made.samples.loc[made.samples["sample_type"] == "boundary", "sample_id"]
    assert [said[each].answer for each in (first, second, third)] == ["surprise", "surprise", "fear"]
    ratings = rows(("me", first, "fear"), ("me", second, "fear"), ("me", third, "fear"), ("x", first, "surprise"))
    same, compared, apart = overview.compare_with_network(ratings, "me", "emotion", said)
    assert (same, compared) == (1, 3)
    assert apart == [second, first]  # the surer the network, the further apart
    checked = ratings.assign(is_sentinel=ratings["stimulus"] == second)
    same, compared, apart = overview.compare_with_network(checked, "me", "emotion", said)
    assert (same, compared) == (1, 2)
    assert apart == [first]


def test_a_damaged_set_is_one_sentence(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(LiminalError, match="damaged"):
        overview.load_network_answers([tmp_path])
