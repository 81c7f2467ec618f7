import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import det_curve, roc_auc_score

from core.analysis.detection import compute_error_rates, compute_sensitivity, find_equal_error, find_majority, verify_recogniser
from core.analysis.encode import select_answers
from core.errors import LiminalError
from tests.analysis.rating_tables import identity_study, rows


def test_d_prime_of_a_worked_example():
    """The counts of Stanislaw and Todorov 1999 (Behavior Research Methods 31), with the log-linear correction:
    20 of 25 hits and 10 of 25 false alarms give H = 20.5 / 26, F = 10.5 / 26."""
    found = compute_sensitivity(20, 25, 10, 25)
    assert found.d_prime.value == pytest.approx(norm.ppf(20.5 / 26) - norm.ppf(10.5 / 26))
    assert found.d_prime.value == pytest.approx(1.044, abs=0.001)
    assert found.criterion.value == pytest.approx(-(norm.ppf(20.5 / 26) + norm.ppf(10.5 / 26)) / 2)
    assert found.criterion.value == pytest.approx(-0.279, abs=0.001)


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.data())
def test_d_prime_is_finite_signed_and_symmetric(signals, noises, data):
    hits, alarms = data.draw(st.integers(0, signals)), data.draw(st.integers(0, noises))
    found = compute_sensitivity(hits, signals, alarms, noises)
    assert found.d_prime.low <= found.d_prime.value <= found.d_prime.high
    assert math.isfinite(found.criterion.value)
    turned = compute_sensitivity(signals - hits, signals, noises - alarms, noises)
    assert turned.d_prime.value == pytest.approx(-found.d_prime.value)
    assert turned.criterion.value == pytest.approx(-found.criterion.value)


def test_planted_sensitivity_is_covered():
    covered = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        hits, alarms = (random.normal(1.5, 1, 60) > 0.9).sum(), (random.normal(0, 1, 60) > 0.9).sum()
        found = compute_sensitivity(int(hits), 60, int(alarms), 60)
        covered += found.d_prime.low <= 1.5 <= found.d_prime.high and found.criterion.low <= 0.15 <= found.criterion.high
    assert covered >= 85


def test_impossible_and_missing_counts():
    assert math.isnan(compute_sensitivity(0, 0, 3, 5).d_prime.value)
    with pytest.raises(LiminalError):
        compute_sensitivity(6, 5, 0, 5)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.35, 0.5, 0.8]), st.booleans()), min_size=2, max_size=30))
def test_the_curve_counts_what_lies_below_each_threshold(cases):
    """Reference: counting; scikit-learn 1.9's det_curve at the same scores."""
    distance, same = np.array([each[0] for each in cases]), np.array([each[1] for each in cases])
    thresholds, far, frr = compute_error_rates(distance, same)
    if same.all() or not same.any():
        assert not len(thresholds)
        return
    for threshold, a, r in zip(thresholds, far, frr, strict=True):
        assert a == pytest.approx((distance[~same] < threshold).mean())
        assert r == pytest.approx((distance[same] >= threshold).mean())
    assert (np.diff(thresholds) > 0).all()
    fpr, fnr, _ = det_curve(same, -distance)
    assert {(round(x, 9), round(y, 9)) for x, y in zip(fpr, fnr, strict=True)} <= {
        (round(x, 9), round(y, 9)) for x, y in zip(far, frr, strict=True)
    }
    rate, _ = find_equal_error(thresholds, far, frr)
    assert 0 <= rate <= 1


def test_equal_error_of_two_normals():
    """Distances N(0, 1) and N(2, 1): the rates cross at 1, where both are Phi(-1) = .159; area Phi(2 / sqrt 2) = .921."""
    random = np.random.default_rng(0)
    distance = np.concatenate([random.normal(3, 1, 4000), random.normal(5, 1, 4000)])
    same = np.arange(8000) < 4000
    rate, threshold = find_equal_error(*compute_error_rates(distance, same))
    assert rate == pytest.approx(norm.cdf(-1), abs=0.015)
    assert threshold == pytest.approx(4, abs=0.05)
    assert roc_auc_score(same, -distance) == pytest.approx(norm.cdf(math.sqrt(2)), abs=0.01)


def test_verification_counts_against_the_majority():
    made = identity_study(2, 9, lost=0.05)
    found = verify_recogniser(made.table, made.ratings, "mine", 0.5, resamples=300)
    own = made.ratings[made.ratings["task"] == "identity"].assign(value=lambda each: each["value"].astype(int))
    share = own.groupby("stimulus")["value"].mean()[made.table["pair_id"]].to_numpy()
    distance = made.table["distance_mine"].to_numpy()
    known = np.isfinite(distance)
    same, accepted = share[known] > 0.5, distance[known] < 0.5
    assert (found.same, found.different, found.tied) == (same.sum(), (~same).sum(), 0)
    assert (found.far.count, found.far.n) == ((accepted & ~same).sum(), (~same).sum())
    assert (found.frr.count, found.frr.n) == ((~accepted & same).sum(), same.sum())
    assert found.auc.value == pytest.approx(roc_auc_score(same, -distance[known]))
    for each in (found.auc, found.eer, found.eer_threshold):
        assert each.low <= each.value <= each.high
    assert "is not known of these pairs" in found.note
    assert found.basis.images == known.sum()


def test_construction_and_majority_never_share_a_curve():
    """Genuine pairs and pairs of two people against construction, whatever people say; the pairs between against people alone."""
    made = identity_study(2, 9)
    kinds = made.table["sample_type"]
    truth = kinds.map({"genuine": True, "negative": False}).astype("boolean")
    pairs = made.table.assign(same_identity=truth)
    by_people = verify_recogniser(pairs, made.ratings, "mine", 0.5, resamples=20)
    by_making = verify_recogniser(pairs, made.ratings, "mine", 0.5, truth="construction", resamples=20)
    assert by_making.same == (kinds == "genuine").sum()
    assert by_making.different == (kinds == "negative").sum()
    assert by_people.same + by_people.different + by_people.tied == truth.isna().sum()
    assert (by_making.basis.source, by_making.basis.answers) == ("models", 0)
    assert by_making.far.count == ((kinds == "negative") & (pairs["distance_mine"] < 0.5)).sum()
    assert "is known of these pairs" in by_making.note
    assert "is not known of these pairs" in by_people.note


def test_the_eers_interval_covers_what_was_planted():
    covered = 0
    for seed in range(25):
        random = np.random.default_rng(seed)
        made = identity_study(1, 3, seed=seed)
        kind = random.random(112) < 0.5
        pairs = made.table.assign(distance_mine=np.where(kind, random.normal(3, 1, 112), random.normal(5, 1, 112)))
        value = np.repeat(np.where(kind, "1", "0"), 3)
        answers = rows(
            {"rater": np.tile(["a", "b", "c"], 112), "stimulus": np.repeat(pairs["pair_id"], 3), "task": "identity", "value": value}
        )
        found = verify_recogniser(pairs, answers, "mine", 4.0, resamples=200, seed=seed)
        covered += found.eer.low <= norm.cdf(-1) <= found.eer.high
    assert covered >= 20


def test_ties_have_no_majority():
    answers = rows({"rater": ["a", "b", "a"], "stimulus": ["x", "x", "y"], "task": "identity", "value": ["1", "0", "0"]})
    most, votes = find_majority(select_answers(answers, "identity"), answers["stimulus"].drop_duplicates())
    assert math.isnan(most[0])
    assert most[1] == 0
    assert list(votes) == [2, 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda pairs, ratings: (pairs, ratings.iloc[:0]), "No pair has both"),
        (lambda pairs, ratings: (pairs.iloc[:0], ratings), "No pair has both"),
        (lambda pairs, ratings: (pairs.assign(distance_mine=np.nan), ratings), "No pair has both"),
        (lambda pairs, ratings: (pairs, ratings.assign(value="1")), "it takes both kinds"),
        (lambda pairs, ratings: (pairs, ratings.assign(value="0")), "it takes both kinds"),
        (lambda pairs, ratings: (pairs.assign(distance_mine=0.4), ratings), "is not known of these pairs"),
    ],
)
def test_degenerate_studies_get_a_sentence(change, said, recwarn):
    made = identity_study(1, 3)
    found = verify_recogniser(*change(made.table, made.ratings), "mine", 0.6, resamples=20)
    assert said in found.note
    found.to_dict()
    assert not recwarn.list
    with pytest.raises(LiminalError, match="did not judge"):
        verify_recogniser(made.table, made.ratings, "yours", 0.6)
