import math
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from statsmodels.stats.proportion import confint_proportions_2indep

from core.analysis.choices import shannon_entropy
from core.analysis.emotion_tables import classify_outcome, list_held_out_classifiers, summarise_boundary
from core.analysis.estimate import Proportion, bootstrap_estimate, divide_proportions
from core.errors import LiminalError
from core.sampling.emotion.configuration import EmotionConfiguration
from tests.emotion_sets import emotion_set, unanimous

STEERER = "emotion-mlp"
SMALL = "small-cnn"


def statistics(samples):
    return summarise_boundary(samples, STEERER, "dlib", 0.6)


@pytest.mark.parametrize(
    ("p1", "p2", "expected"),
    [
        (0.5, 0.5, "success"),
        (0.26, 0.35, "success"),
        (0.9, 0.05, "bias"),
        (0.05, 0.9, "bias"),
        (0.25, 0.75, "bias"),  # equality of the lesser one
        (0.3, 0.3, "failure"),  # equality of the sum
        (0.4, 0.2, "failure"),  # the same, though 0.4 + 0.2 > 0.6 in binary
        (0.59, 0.0, "failure"),
        (0.1, 0.1, "failure"),
        (math.nan, 0.5, ""),
    ],
)
def test_the_papers_rule(p1, p2, expected):
    assert 0.4 + 0.2 > 0.6
    assert classify_outcome(np.array([p1]), np.array([p2])).tolist() == [expected]


def test_planted_shares_are_recovered():
    both, one, neither = (0.4, 0.4), (0.8, 0.1), (0.1, 0.1)
    planted = [unanimous(*both, True)] * 5 + [unanimous(*one, True)] * 2 + [unanimous(*neither, False)] * 3
    planted = [{**each, SMALL: (*one, number < 1)} for number, each in enumerate(planted)]
    said = statistics(emotion_set(planted, distances=[0.3] * 4 + [0.7] * 4 + [math.nan] * 2).samples)
    assert (said.emotion1, said.emotion2, said.n, said.guided) == ("surprise", "fear", 10, 10)
    assert [each.classifier for each in said.classifiers] == [STEERER, "mini-xception", "tanh-cnn", SMALL]
    assert [each.steerer for each in said.classifiers] == [True, False, False, False]

    steerer = said.of(STEERER)
    assert (steerer.passed.count, steerer.passed.n) == (7, 10)
    outcomes = steerer.raw.outcomes
    assert [each.count for each in (outcomes.success, outcomes.bias, outcomes.failure)] == [5, 2, 3]
    passed = steerer.raw.outcomes_of_passed
    assert [(each.count, each.n) for each in (passed.success, passed.bias, passed.failure)] == [(5, 7), (2, 7), (0, 7)]
    assert steerer.raw.gap.value == pytest.approx(0.0)
    assert steerer.raw.gap.n == 7
    assert steerer.raw.together.value == pytest.approx(0.8)
    # 0.8, 0.1 and four times 0.025 at temperature 2: square roots, divided by their sum
    roots = np.sqrt([0.8, 0.1, *[0.025] * 4])
    roots /= roots.sum()
    assert roots[:2].sum() > 0.6
    assert roots[1] < 0.25
    calibrated = steerer.calibrated.outcomes
    # the even ones fall to 0.59 together: failure; 'bias' stays
    assert [each.count for each in (calibrated.success, calibrated.bias, calibrated.failure)] == [0, 2, 8]

    small = said.of(SMALL)
    assert (small.passed.count, small.passed.n) == (1, 10)
    assert (small.passed_of_kept.count, small.passed_of_kept.n) == (1, 7)
    assert (small.raw.outcomes.bias.count, small.raw.outcomes.bias.n) == (10, 10)
    assert small.raw.gap.value == pytest.approx(0.7)
    assert small.raw.gap.n == 1
    assert math.isnan(small.raw.gap.low)

    assert (said.faces.found.count, said.faces.found.n) == (8, 10)
    assert (said.faces.near.count, said.faces.near.n) == (4, 8)
    assert said.faces.distance.value == pytest.approx(0.5)


def test_bases_and_morphs_are_not_counted():
    made = emotion_set([unanimous(0.5, 0.5, True)] * 3, genuine=2)
    samples = made.samples.copy()
    samples.loc[samples.index[-1], "sample_type"] = "morph"
    assert statistics(samples).n == 2


def test_none_passed_leaves_nothing_to_estimate():
    said = statistics(emotion_set([unanimous(0.1, 0.1, False)] * 4).samples).of(STEERER)
    assert said.passed.share == 0.0
    assert said.passed_of_kept.n == 0
    assert math.isnan(said.raw.gap.value)
    assert said.raw.gap.n == 0
    assert math.isnan(said.raw.outcomes_of_passed.success.share)


def test_entropy_is_scipys():
    rows = np.random.default_rng(0).dirichlet(np.ones(6), 50)
    rows[0] = [1, 0, 0, 0, 0, 0]
    rows[1] = 1 / 6
    assert np.allclose(shannon_entropy(rows), scipy.stats.entropy(rows, base=2, axis=1))  # scipy 1.17.1
    assert shannon_entropy(rows)[:2].tolist() == [0.0, pytest.approx(math.log2(6))]


def test_mean_entropy_of_a_set():
    planted = [unanimous(1 / 6, 1 / 6, True)] * 2 + [unanimous(0.5, 0.5, True)] * 2
    said = statistics(emotion_set(planted).samples).of(STEERER).raw.entropy
    assert said.value == pytest.approx((math.log2(6) + 1) / 2)
    assert said.low <= said.value <= said.high
    assert said.n == 4


@pytest.mark.parametrize("statistic", [np.mean, np.median])
def test_bootstrap_intervals_are_scipys(statistic):
    values = np.random.default_rng(3).gamma(2.0, size=80)
    ours = bootstrap_estimate(values, statistic)
    theirs = scipy.stats.bootstrap((values,), statistic, n_resamples=4000, method="percentile", random_state=1).confidence_interval
    assert ours.value == statistic(values)
    assert ours.low == pytest.approx(theirs.low, abs=0.06)
    assert ours.high == pytest.approx(theirs.high, abs=0.06)


def test_bootstrap_is_seeded_and_leaves_nan_out():
    values = np.random.default_rng(3).normal(size=30)
    assert bootstrap_estimate(values, np.median) == bootstrap_estimate(np.append(values, np.nan), np.median)
    assert bootstrap_estimate(values, np.median, seed=1) != bootstrap_estimate(values, np.median)


def test_bootstrap_covers_the_truth():
    random = np.random.default_rng(8)
    hits = 0
    for _ in range(200):
        found = bootstrap_estimate(random.normal(1.0, size=60), np.mean, draws=400)
        hits += found.low <= 1.0 <= found.high
    assert hits / 200 == pytest.approx(0.94, abs=0.05)


def test_ratio_covers_the_truth():
    random = np.random.default_rng(4)
    hits = 0
    for _ in range(300):
        guided, plain = (Proportion.of(int(random.binomial(n, p)), n) for n, p in ((60, 0.6), (2000, 0.05)))
        found = divide_proportions(guided, plain)
        hits += found.low <= 12.0 <= found.high
    assert hits / 300 == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize(("one", "other"), [((10, 16), (80, 2000)), ((16, 40), (9, 50)), ((3, 20), (12, 30))])
def test_ratio_intervals_are_near_the_score_ones(one, other):
    found = divide_proportions(Proportion.of(*one), Proportion.of(*other))
    low, high = confint_proportions_2indep(*one, *other, compare="ratio", method="score")  # statsmodels 0.15.0
    assert (found.low, found.high) == (pytest.approx(low, rel=0.05), pytest.approx(high, rel=0.05))


def test_all_of_a_few_is_no_certainty():
    found = divide_proportions(Proportion.of(4, 4), Proportion.of(100, 2000))
    assert found.low < 0.6 * found.value  # Wilson's interval for 4 of 4 begins at 0.51


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [((8, 16), (2, 16), 4.0), ((0, 16), (2, 16), 0.0), ((8, 16), (0, 16), math.inf), ((16, 16), (16, 16), 1.0)],
)
def test_ratio_of_planted_shares(first, second, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = divide_proportions(Proportion.of(*first), Proportion.of(*second))
    assert found.value == expected
    assert found.low <= found.value <= found.high


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_a_ratio_lies_in_its_interval(one, more, other, rest):
    first, second = Proportion.of(one, one + more), Proportion.of(other, other + rest)
    found = divide_proportions(first, second)
    assert math.isnan(found.value) or found.low <= found.value + 1e-9
    assert math.isnan(found.value) or found.value <= found.high + 1e-9


def test_what_cannot_be_compared_gets_a_sentence():
    planted = [unanimous(0.5, 0.5, True)] * 2
    guided = emotion_set(planted)
    other = emotion_set([unanimous(0.5, 0.5, True)] * 2, configuration=EmotionConfiguration("fear", "anger", count=2, guided=False))
    with pytest.raises(LiminalError, match="one pair at a time"):
        statistics(pd.concat([guided.samples, other.samples]))
    with pytest.raises(LiminalError, match="none of type 'boundary'"):
        statistics(guided.samples[guided.samples["sample_type"] == "genuine"])
    with pytest.raises(LiminalError, match="sface"):
        summarise_boundary(guided.samples, STEERER, "sface", 0.6)
    with pytest.raises(LiminalError, match="positive distance"):
        summarise_boundary(guided.samples, STEERER, "dlib", math.nan)
    with pytest.raises(LiminalError, match="did not judge"):
        statistics(guided.samples).of("mother")


def test_judges_are_read_off_the_columns():
    assert list_held_out_classifiers(emotion_set([unanimous(0.5, 0.5, True)]).samples) == ["mini-xception", "tanh-cnn", SMALL]


chances = arrays(np.float64, (7, 6), elements=st.floats(0.001, 1.0)).map(lambda rows: rows / rows.sum(axis=1, keepdims=True))


@given(chances)
def test_outcomes_are_a_partition_and_entropy_is_bounded(p):
    named = classify_outcome(p[:, 0], p[:, 1])
    assert set(named) <= {"success", "bias", "failure"}
    assert ((named == "success") <= (np.minimum(p[:, 0], p[:, 1]) > 0.25)).all()
    assert ((named == "failure") == (p[:, 0] + p[:, 1] <= 0.6 + 1e-9)).all()
    assert (classify_outcome(p[:, 1], p[:, 0]) == named).all()  # order does not matter
    assert ((shannon_entropy(p) >= 0) & (shannon_entropy(p) <= math.log2(6) + 1e-9)).all()


def test_large_sets_are_resampled_in_parts(monkeypatch):
    sizes = []

    def watched(values, axis=None):
        sizes.append(np.size(values))
        return np.mean(values, axis=axis)

    found = bootstrap_estimate(np.random.default_rng(0).normal(size=30_000), watched, draws=100)
    assert max(sizes) <= 1_000_000
    assert found.low < found.value < found.high
