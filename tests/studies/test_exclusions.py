import dataclasses
import uuid

import pandas as pd
import pytest

from core.errors import LiminalError
from core.studies.exclusions import ExclusionRules, apply_exclusion_rules, count_sentinels
from core.studies.ratings import Rating, make_ratings_table
from core.studies.study import Stimulus

FACES = [Stimulus(f"face{index}", (f"face{index}",)) for index in range(20)]
CHECKS = [Stimulus(f"check{index}", (f"check{index}",), is_sentinel=True, expected="happiness") for index in range(10)]


def answers(rater, task, said, *, milliseconds=800.0, checks=False):
    stimuli = CHECKS if checks else FACES
    return [
        Rating("s", rater, each.stimulus, task, value, reaction_time_ms=milliseconds, is_sentinel=checks).to_row()
        for each, value in zip(stimuli, said, strict=False)
    ]


def with_checks(rater, right, asked=10):
    usual = answers(rater, "emotion", ["fear", "anger"] * 10)
    return usual + answers(rater, "emotion", ["happiness"] * right + ["sadness"] * (asked - right), checks=True)


def test_seven_of_ten_is_not_enough_and_eight_is():
    ratings = make_ratings_table(with_checks("seven", 7) + with_checks("eight", 8))
    found = apply_exclusion_rules(ratings, FACES + CHECKS)
    assert dict(found.reasons) == {"seven": ("7 of 10 attention checks right (70%); more than 70% are needed.",)}
    assert found.included == ("eight",)
    assert set(found.filter(ratings)["rater"]) == {"eight"}


def test_checks_are_judged_by_the_plan_not_by_the_mark_on_the_answer():
    ratings = make_ratings_table(with_checks("a", 9)).assign(is_sentinel=False)
    counted = count_sentinels(ratings, FACES + CHECKS)
    assert counted.loc["a"].to_dict() == {"right": 9, "asked": 10}
    unknown = [dataclasses.replace(each, expected="") for each in CHECKS]
    assert apply_exclusion_rules(ratings, FACES + unknown).reasons == {}


def test_similarity_of_a_genuine_pair_is_no_attention_check():
    genuine = [Stimulus(f"check{index}", ("a", "a"), is_sentinel=True, expected="1") for index in range(4)]
    rows = answers("a", "identity", ["1"] * 4, checks=True) + answers("a", "similarity", ["0", "1", "1", "1"], checks=True)
    assert count_sentinels(make_ratings_table(rows), genuine).loc["a"].to_dict() == {"right": 4, "asked": 4}


def test_too_fast_is_about_the_median():
    half = answers("half", "emotion", ["fear", "anger"] * 5, milliseconds=100) + answers("half", "emotion", ["fear"] * 20)[10:]
    rows = half + answers("fast", "emotion", ["fear", "anger"] * 10, milliseconds=299)
    found = apply_exclusion_rules(make_ratings_table(rows), FACES)
    assert dict(found.reasons) == {"fast": ("Half of 20 answers came within 299 ms; a median of at least 300 ms is needed.",)}


def test_the_same_answer_throughout():
    rows = (
        answers("one", "emotion", ["fear"] * 20)
        + answers("two", "identity", ["1"] * 20)
        + answers("few", "emotion", ["fear"] * 9)
        + answers("nearly", "emotion", ["fear"] * 19 + ["anger"])
    )
    assert dict(apply_exclusion_rules(make_ratings_table(rows), FACES).reasons) == {
        "one": ("The answer to all 20 trials was fear.",),
        "two": ("The answer to all 20 trials was 'the same person'.",),
    }


def test_a_slider_that_never_moves():
    rows = answers("still", "similarity", ["50", "50.0"] * 10) + answers("moves", "similarity", ["50"] * 19 + ["51"])
    assert dict(apply_exclusion_rules(make_ratings_table(rows), FACES).reasons) == {
        "still": ("The similarity was 50 in all 20 trials.",)
    }


def test_every_rule_can_be_switched_off_alone_and_one_person_can_fall_under_several():
    rows = answers("a", "emotion", ["fear"] * 20, milliseconds=100) + answers("a", "emotion", ["fear"] * 10, checks=True)
    rows += answers("a", "similarity", ["7"] * 20, milliseconds=100)
    rows = [row | {"rating_id": str(uuid.uuid4())} for row in rows]
    ratings, before = make_ratings_table(rows), make_ratings_table(rows)
    switches = ("sentinels", "too_fast", "same_answer", "constant_similarity")
    every = apply_exclusion_rules(ratings, FACES + CHECKS).reasons["a"]
    assert len(every) == 4
    for place, name in enumerate(switches):
        left = apply_exclusion_rules(ratings, FACES + CHECKS, ExclusionRules(**{name: False})).reasons["a"]
        assert left == tuple(reason for index, reason in enumerate(every) if index != place)
    assert apply_exclusion_rules(ratings, FACES + CHECKS, ExclusionRules(**dict.fromkeys(switches, False))).reasons == {}
    pd.testing.assert_frame_equal(ratings, before)


def test_nobody_answered_yet():
    found = apply_exclusion_rules(make_ratings_table([]), FACES)
    assert (found.raters, found.included, dict(found.reasons)) == ((), (), {})


def test_rules_go_to_json_and_back_and_refuse_nonsense():
    rules = ExclusionRules(too_fast=False, sentinel_share=0.5)
    assert ExclusionRules.from_dict(rules.to_dict()) == rules
    for wrong in ({"sentinel_share": 1.0}, {"fastest_ms": -1.0}, {"least_answers": 1}):
        with pytest.raises(LiminalError, match="is usual"):
            ExclusionRules(**wrong)
