import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.analysis.choices import DIRICHLET_DRAWS, count_choices
from core.analysis.disagreement import (
    SCALINGS,
    invert_distances,
    score_against_classifier,
    score_among_people,
    score_between_classifiers,
    score_identity_disagreement,
    score_identity_spread,
    score_pair_gap,
    score_similarity_spread,
)
from core.analysis.encode import select_probabilities
from core.analysis.estimate import Proportion, wilson_interval
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from tests.analysis.rating_tables import emotion_study, identity_study

distances = arrays(np.float64, st.integers(1, 20), elements=st.one_of(st.floats(0, 2), st.just(np.nan)))


@settings(deadline=None)
@given(distances, st.sampled_from(list(SCALINGS)), st.floats(0.1, 1.5))
def test_inverted_distances_lie_within_bounds_and_never_rise(values, scaling, threshold):
    found = invert_distances(values, scaling, threshold)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    known = np.isfinite(values)
    assert ((found[known] >= 0) & (found[known] <= 1)).all()
    order = np.argsort(values[known])
    assert (np.diff(found[known][order]) <= 1e-12).all()


def test_the_scalings_are_what_they_say():
    values = np.array([0.2, 0.4, 0.6, 1.0])
    np.testing.assert_allclose(invert_distances(values, "linear", 0.6), [1, 0.75, 0.5, 0])
    np.testing.assert_allclose(invert_distances(values, "rank", 0.6), [0.875, 0.625, 0.375, 0.125])
    assert invert_distances(values, "logistic", 0.6)[2] == pytest.approx(0.5)
    np.testing.assert_allclose(invert_distances(np.full(3, 0.4), "linear", 0.6), 0.5)
    with pytest.raises(LiminalError, match="linear, logistic, rank"):
        invert_distances(values, "cubic", 0.6)


def test_planted_disagreement_comes_first_at_its_end():
    made = identity_study(1, 10)
    ratings = made.ratings.copy()
    pairs = made.table.copy()
    near, far = "p20", "p12"
    pairs.loc[pairs["pair_id"] == near, "distance_mine"] = 0.01
    pairs.loc[pairs["pair_id"] == far, "distance_mine"] = 1.2
    identity = ratings["task"] == "identity"
    ratings.loc[identity & (ratings["stimulus"] == near), "value"] = "0"
    ratings.loc[identity & (ratings["stimulus"] == far), "value"] = "1"
    for scaling in SCALINGS:
        found = score_identity_disagreement(pairs, ratings, "mine", 0.6, scaling=scaling)
        assert found.ranked("lowest", 1)["stimulus"].item() == near
        assert found.ranked("highest", 1)["stimulus"].item() == far
        assert scaling in found.scaling
    row = found.table.set_index("stimulus").loc[near]
    assert (row["yes"], row["votes"], row["share"], row["accepted"]) == (0, 10, 0.0, True)
    assert row["score"] == pytest.approx(-row["machine"])
    assert row["low"] <= row["score"] <= row["high"]
    expected = Proportion.of(0, 10)
    assert row["high"] - row["score"] == pytest.approx(expected.high)
    assert found.basis.answers == 1120
    assert found.basis.images == 112


def test_a_pair_without_a_face_or_votes_has_no_score():
    made = identity_study(1, 4, lost=0.2)
    ratings = made.ratings[made.ratings["stimulus"] != "p5"]
    found = score_identity_disagreement(made.table, ratings, "mine", 0.6)
    lost = made.table["distance_mine"].isna().to_numpy()
    assert found.table.loc[lost, "score"].isna().all()
    assert found.table.loc[lost, "accepted"].isna().all()
    assert "found no face" in found.note
    assert "fewer than 5 votes" in found.note
    row = found.table.set_index("stimulus").loc["p5"]
    assert row["votes"] == 0
    assert math.isnan(row["score"])
    assert math.isnan(row["low"])
    assert found.table["few"].all()
    assert len(found.ranked()) == (~lost & (made.table["pair_id"] != "p5").to_numpy()).sum()


def test_spreads_are_pandas_standard_deviations():
    """Reference: pandas 3.1 groupby std; identity over all votes (n), similarity over n - 1."""
    made = identity_study(1, 7)
    number = made.ratings.assign(value=made.ratings["value"].astype(float))
    spread = score_similarity_spread(made.table, made.ratings).table.set_index("stimulus")
    expected = number[number["task"] == "similarity"].groupby("stimulus")["value"].std()
    np.testing.assert_allclose(spread["score"], expected[spread.index], atol=1e-9)
    own = score_identity_spread(made.table, made.ratings).table.set_index("stimulus")
    expected = number[number["task"] == "identity"].groupby("stimulus")["value"].std(ddof=0)
    np.testing.assert_allclose(own["score"], expected[own.index], atol=1e-9)
    for table in (spread, own):
        assert (table["low"] <= table["score"] + 1e-12).all()
        assert (table["score"] <= table["high"] + 1e-12).all()


def test_the_jackknife_of_a_spread_is_the_one_written_out():
    made = identity_study(1, 6)
    found = score_similarity_spread(made.table, made.ratings).table.set_index("stimulus").loc["p9"]
    votes = (
        made.ratings[(made.ratings["stimulus"] == "p9") & (made.ratings["task"] == "similarity")]["value"].astype(float).to_numpy()
    )
    without = np.array([np.delete(votes, place).std(ddof=1) for place in range(6)])
    error = math.sqrt(5 / 6 * ((without - without.mean()) ** 2).sum())
    assert found["high"] - found["score"] == pytest.approx(1.959964 * error, rel=1e-5)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=10))
def test_wilson_for_arrays_is_wilson_for_one(counts):
    count, n = (np.array(each, float) for each in zip(*[(min(a, b), max(a, b)) for a, b in counts], strict=True))
    share, low, high = wilson_interval(count, n)
    for place in range(len(n)):
        one = Proportion.of(int(count[place]), int(n[place]))
        np.testing.assert_allclose([share[place], low[place], high[place]], [one.share, one.low, one.high], atol=1e-12)


def test_empty_and_flat_tables_get_a_sentence(recwarn):
    made = identity_study(1, 3)
    nobody, nothing = made.ratings.iloc[:0], made.table.iloc[:0]
    assert "Nobody has answered" in score_identity_disagreement(made.table, nobody, "mine", 0.6).note
    assert "no pairs" in score_identity_disagreement(nothing, made.ratings, "mine", 0.6).note
    assert (
        "All distances are the same"
        in score_identity_disagreement(made.table.assign(distance_mine=0.4), made.ratings, "mine", 0.6).note
    )
    for work in (score_identity_spread, score_similarity_spread):
        assert not len(work(nothing, made.ratings).ranked())
        assert not len(work(made.table, nobody).ranked())
        assert len(work(made.table, nobody).to_dict()["table"]) == 112
    assert score_similarity_spread(made.table, made.ratings[made.ratings["rater"] == "r0"]).table["score"].isna().all()
    with pytest.raises(LiminalError, match="those that did: mine, other"):
        score_identity_disagreement(made.table, made.ratings, "yours", 0.6)
    assert not recwarn.list


def test_tables_stay_as_they_were():
    made = identity_study(1, 3)
    before = made.table.copy(), made.ratings.copy()
    score_identity_disagreement(made.table, made.ratings, "mine", 0.6)
    score_similarity_spread(made.table, made.ratings)
    pd.testing.assert_frame_equal(made.table, before[0])
    pd.testing.assert_frame_equal(made.ratings, before[1])


def test_the_classifier_that_is_the_truth_disagrees_least():
    made = emotion_study(60, 40)
    votes = count_choices(made.ratings, made.table["sample_id"])
    mean = {
        name: score_against_classifier(made.table, votes, name, "steer").table["score"].mean()
        for name in ("steer", "other", "blind")
    }
    assert mean["steer"] < mean["other"] < mean["blind"]
    found = score_against_classifier(made.table, votes, "blind", "steer")
    assert (found.table["low"] <= found.table["score"]).all()
    assert (found.table["score"] <= found.table["high"]).all()
    assert not found.table["few"].any()


def test_many_images_are_worked_through_in_parts_and_get_the_same_intervals(monkeypatch):
    made = emotion_study(20, 30)
    said = made.table.copy()
    said.loc[7:13, [f"p_other_{emotion}" for emotion in EMOTIONS]] = np.eye(6)[5]  # the second part is judged otherwise
    votes = count_choices(made.ratings, said["sample_id"])
    whole = score_against_classifier(said, votes, "other", "steer").table
    assert whole.loc[7:13, "low"].median() > whole.loc[:6, "high"].max()
    monkeypatch.setattr("core.analysis.choices.CELLS_AT_ONCE", 7 * 6 * DIRICHLET_DRAWS)
    parts = score_against_classifier(said, votes, "other", "steer").table
    np.testing.assert_array_equal(parts["score"], whole["score"])
    np.testing.assert_allclose(parts[["low", "high"]], whole[["low", "high"]], atol=0.08)


def test_the_pairs_gap_is_signed():
    made = emotion_study(10, 20, pairs=(("surprise", "fear"),))
    said = made.table.copy()
    said["p_surprise"], said["p_fear"] = 0.5, 0.5
    said[[f"p_{emotion}" for emotion in EMOTIONS[2:]]] = 0.0
    votes = count_choices(made.ratings, said["sample_id"])
    found = score_pair_gap(said, votes, "steer", "steer").table
    counts = votes.counts()
    np.testing.assert_allclose(found["score"], (counts[:, 0] + counts[:, 1]) / 20 - 1, atol=1e-12)
    assert (found["score"] <= 0).all()
    assert score_pair_gap(said.assign(emotion1=None), votes, "steer", "steer").table["score"].isna().all()


def test_people_and_classifiers_among_themselves():
    made = emotion_study(30, 20)
    votes = count_choices(made.ratings, made.table["sample_id"])
    people = score_among_people(made.table, votes)
    np.testing.assert_allclose(people.table["score"], votes.table["bits"])
    ranked = people.ranked("highest")
    assert ranked["score"].is_monotonic_decreasing
    one = count_choices(made.ratings[made.ratings["rater"] == "r0"], made.table["sample_id"])
    assert score_among_people(made.table, one).table["score"].isna().all()
    same = score_between_classifiers(made.table, votes, ("steer", "steer"), "steer")
    np.testing.assert_allclose(same.table["score"], 0, atol=1e-12)
    assert same.basis.source == "models"
    assert (score_between_classifiers(made.table, votes, ("steer", "blind"), "steer").table["score"] > 0).any()
    assert select_probabilities(made.table, "other", "steer").shape == (30, 6)


def test_empty_emotion_tables_get_a_sentence(recwarn):
    made = emotion_study(8, 3)
    for samples, ratings in ((made.table.iloc[:0], made.ratings), (made.table, made.ratings.iloc[:0])):
        votes = count_choices(ratings, samples["sample_id"])
        for found in (
            score_against_classifier(samples, votes, "steer", "steer"),
            score_pair_gap(samples, votes, "steer", "steer"),
            score_among_people(samples, votes),
        ):
            assert "Nobody has answered" in found.note
            assert not len(found.ranked())
            found.to_dict()
    assert not recwarn.list
