import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy as scipy_entropy
from scipy.stats import spearmanr
from sklearn.metrics import log_loss

from core.analysis.choices import (
    correct_entropy,
    correlate_spearman,
    count_choices,
    dirichlet_interval,
    jensen_shannon_divergence,
    measure_fit,
    relate_entropy_to_time,
    shannon_entropy,
    summarise_reaction_times,
)
from core.analysis.emotion_tables import build_outcome_table
from core.analysis.encode import select_probabilities
from core.models.emotions import EMOTIONS
from tests.analysis.rating_tables import emotion_study, identity_study, rows

counts = arrays(np.float64, st.tuples(st.integers(1, 8), st.just(6)), elements=st.integers(0, 9).map(float))
shares = arrays(np.float64, (5, 6), elements=st.floats(0.01, 1)).map(lambda table: table / table.sum(axis=1, keepdims=True))


def votes_of(table):
    """{image: {emotion: votes}} -> answers."""
    flat = [
        (f"r{place}", image, name)
        for image, said in table.items()
        for place, name in enumerate(n for n, k in said.items() for _ in range(k))
    ]
    return rows(dict(zip(("rater", "stimulus", "value"), zip(*flat, strict=True), strict=True)) | {"task": "emotion"})


def test_an_image_by_hand():
    """8 fear, 4 surprise: 0.918 bits (scipy), plus Miller and Madow's 1 / 24 nats = 0.060 bits."""
    found = count_choices(votes_of({"x": {"fear": 8, "surprise": 4}, "y": {"anger": 3}})).table.set_index("stimulus")
    row = found.loc["x"]
    assert (row["votes"], row["count_fear"], row["chosen"]) == (12, 8, "fear")
    assert row["share_surprise"] == pytest.approx(1 / 3)
    assert row["entropy"] == pytest.approx(scipy_entropy([8, 4], base=2))
    assert row["bits"] == pytest.approx(scipy_entropy([8, 4], base=2) + 1 / (24 * math.log(2)))
    assert row["low"] < row["bits"] < row["high"]
    assert found.loc["y", "bits"] == 0.0
    assert found.loc["y", "high"] > 0.3, "three votes alike do not show that everyone agrees"


@settings(deadline=None, max_examples=25)
@given(counts)
def test_entropies_lie_within_bounds(table):
    bits = correct_entropy(table)
    voted = table.sum(axis=1) > 0
    assert np.isnan(bits[~voted]).all()
    assert ((bits[voted] >= 0) & (bits[voted] <= math.log2(6) + 1e-12)).all()
    low, high = dirichlet_interval(table, shannon_entropy, bits)
    assert (low[voted] <= bits[voted]).all()
    assert (high[voted] >= bits[voted]).all()
    assert np.isnan(low[~voted]).all()


def test_the_correction_comes_nearer_to_the_truth():
    made = emotion_study(400, 12)
    found = count_choices(made.ratings, made.table["sample_id"])
    truth = made.truth["bits"].mean()
    assert abs(found.bits.value - truth) < abs(found.entropy.value - truth) / 2
    assert found.entropy.value < truth


@settings(deadline=None)
@given(shares, shares)
def test_divergence_is_symmetric_bounded_and_zero_for_the_same(first, second):
    found = jensen_shannon_divergence(first, second)
    np.testing.assert_allclose(found, jensen_shannon_divergence(second, first), atol=1e-12)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(jensen_shannon_divergence(first, first), 0, atol=1e-12)
    middle = (first + second) / 2
    expected = (scipy_entropy(first, middle, base=2, axis=1) + scipy_entropy(second, middle, base=2, axis=1)) / 2
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_nothing_in_common_is_one_bit_and_the_unknown_stays_unknown():
    apart = jensen_shannon_divergence(np.array([[1.0, 0, 0, 0, 0, 0]]), np.array([[0, 0, 1.0, 0, 0, 0]]))
    assert apart[0] == pytest.approx(1)
    assert math.isnan(jensen_shannon_divergence(np.full((1, 6), np.nan), np.full((1, 6), 1 / 6))[0])


def test_the_fit_is_scikit_learns_over_single_votes():
    """Reference: sklearn.metrics.log_loss, scikit-learn 1.9, one row a vote."""
    made = emotion_study(30, 12)
    votes = count_choices(made.ratings, made.table["sample_id"])
    p = select_probabilities(made.table, "other", "steer")
    found = measure_fit(votes, p, "other", resamples=100)
    image = made.ratings["stimulus"].str[1:].astype(int).to_numpy()
    said = made.ratings["value"].map(EMOTIONS.index).to_numpy()
    assert found.log_loss.value == pytest.approx(log_loss(said, p[image], labels=range(6)) / math.log(2))
    assert found.accuracy.value == pytest.approx((p[image].argmax(axis=1) == said).mean())
    for each in (found.log_loss, found.divergence, found.accuracy):
        assert each.low <= each.value <= each.high


def test_the_truth_fits_best_and_nothing_beats_peoples_own_shares():
    made = emotion_study(300, 14)
    votes = count_choices(made.ratings, made.table["sample_id"])
    truth, other, blind = (
        measure_fit(votes, select_probabilities(made.table, name, "steer"), name, resamples=200)
        for name in ("steer", "other", "blind")
    )
    assert truth.best_log_loss.value < truth.log_loss.value < other.log_loss.value < blind.log_loss.value
    assert blind.log_loss.value == pytest.approx(math.log2(6))
    assert truth.accuracy.value <= truth.best_accuracy.value
    assert truth.calibration_error.value < 0.05 < other.calibration_error.value


def test_calibration_by_hand():
    """Sure to .9 and right in 5 of 10 votes: .4; sure to .5 and right in 5 of 10: 0; together .2."""
    ratings = votes_of({"x": {"fear": 5, "anger": 5}, "y": {"fear": 5, "anger": 5}})
    p = np.full((2, 6), 0.02)
    p[0, 1], p[1, 1], p[1, 5] = 0.9, 0.5, 0.42
    assert measure_fit(count_choices(ratings), p, "made", resamples=20).calibration_error.value == pytest.approx(0.2)


def test_excluded_people_and_checks_do_not_vote():
    made = emotion_study(10, 5)
    checked = made.ratings.assign(is_sentinel=made.ratings["stimulus"] == "e3")
    found = count_choices(checked, made.table["sample_id"], excluded={"r1"}).table.set_index("stimulus")
    assert found.loc["e3", "votes"] == 0
    assert found.loc["e3", "chosen"] == ""
    assert (found.drop("e3")["votes"] == 4).all()


def test_outcomes_are_the_papers_rule():
    made = emotion_study(5, 2, pairs=(("surprise", "fear"),))
    made.table["sample_id"] = ["success", "bias", "edge", "failure", "unseen"]
    ratings = votes_of(
        {
            "success": {"surprise": 4, "fear": 6},
            "bias": {"surprise": 1, "fear": 9},
            "edge": {"surprise": 5, "fear": 15},  # a quarter exactly: not more than 25 %
            "failure": {"surprise": 3, "fear": 3, "anger": 4},  # 60 % exactly: not more than 60 %
        }
    )
    found = build_outcome_table(made.table, ratings)
    assert found.table.set_index("stimulus")["outcome"].to_dict() == {
        "success": "success",
        "bias": "bias",
        "edge": "bias",
        "failure": "failure",
        "unseen": "",
    }
    assert (found.every.success.count, found.every.bias.count, found.every.failure.count, found.every.success.n) == (1, 2, 1, 4)
    assert found.success_or_bias.share == 0.75
    assert list(found.pairs) == [("surprise", "fear")]
    assert "1 of 5 images have no votes" in found.note
    assert list(found.to_dict()["pairs"]) == ["surprise/fear"]


def test_outcomes_rest_on_the_boundary_images_alone():
    made = emotion_study(12, 4)
    samples = made.table.assign(sample_type=["genuine", "boundary", "morph"] * 4)
    found = build_outcome_table(samples, made.ratings)
    assert (found.basis.images, found.every.success.n, len(found.table), found.basis.answers) == (4, 4, 4, 16)


def test_reaction_times_are_numpys():
    made = emotion_study(40, 10)
    found = summarise_reaction_times(made.ratings, "emotion")
    times = made.ratings["reaction_time_ms"].to_numpy()
    assert found.median.value == pytest.approx(np.median(times))
    assert found.median.low <= found.median.value <= found.median.high
    assert found.quantiles["95 %"] == pytest.approx(np.quantile(times, 0.95))
    assert found.usual.count == ((times >= 500) & (times <= 1500)).sum()
    assert found.skewness > 0
    assert found.table["votes"].sum() == len(times)


def test_people_take_longer_where_they_disagree():
    made = emotion_study(200, 15)
    found = relate_entropy_to_time(made.ratings)
    assert found.spearman.low > 0.2
    assert found.p < 1e-6
    assert found.published == 0.42
    expected = spearmanr(found.table["bits"], found.table["median_ms"])
    assert found.spearman.value == pytest.approx(expected.statistic)
    random = np.random.default_rng(0)
    shuffled = made.ratings.assign(reaction_time_ms=random.permutation(made.ratings["reaction_time_ms"].to_numpy()))
    none = relate_entropy_to_time(shuffled).spearman
    assert none.low < 0 < none.high


def test_only_the_order_counts_for_ranks():
    random = np.random.default_rng(1)
    x = random.random(30)
    y = x + random.random(30)
    assert correlate_spearman(np.exp(9 * x), y, resamples=50) == correlate_spearman(x, y, resamples=50)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=3, max_size=12))
def test_rank_correlations_lie_within_bounds_and_are_symmetric(points):
    x, y = (np.array(each) for each in zip(*points, strict=True))
    one, other = correlate_spearman(x, y, resamples=20)[0], correlate_spearman(y, x, resamples=20)[0]
    if math.isfinite(one.value):
        assert -1 - 1e-12 <= one.value <= 1 + 1e-12
        assert one.value == pytest.approx(other.value)
    else:
        assert math.isnan(other.value)


NO_VOTES, NO_IMAGES, NO_RELATION, UNTIMED = "Nobody has answered", "no boundary images", "no correlation", "No answer"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda made: (made.table, made.ratings.iloc[:0]), (NO_VOTES, NO_RELATION, UNTIMED)),
        (lambda made: (made.table.iloc[:0], made.ratings), (NO_IMAGES, "", "")),
        (lambda made: (made.table, made.ratings[made.ratings["rater"] == "r0"]), ("", NO_RELATION, "")),
        (lambda made: (made.table, made.ratings.assign(value="fear", reaction_time_ms=np.nan)), ("", NO_RELATION, UNTIMED)),
        (
            lambda made: (made.table.assign(sample_type="genuine"), made.ratings.assign(reaction_time_ms=700.0)),
            (NO_IMAGES, NO_RELATION, ""),
        ),
    ],
)
def test_degenerate_studies_get_a_sentence(change, said, recwarn):
    samples, ratings = change(emotion_study(12, 4))
    votes = count_choices(ratings, samples["sample_id"])
    results = (
        build_outcome_table(samples, ratings),
        relate_entropy_to_time(ratings, resamples=20),
        summarise_reaction_times(ratings, "emotion"),
    )
    for result, sentence in zip(results, said, strict=True):
        assert (sentence in result.note) if sentence else not result.note
    for each in (votes, *results, measure_fit(votes, select_probabilities(samples, "blind", "steer"), "blind", resamples=20)):
        each.to_dict()
    assert not recwarn.list


def test_identity_answers_are_timed_too():
    made = identity_study(1, 3)
    assert summarise_reaction_times(made.ratings, "similarity").median.n == 336
