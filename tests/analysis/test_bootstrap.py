import math

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from core.analysis.bootstrap import (
    ResampleWeights,
    VoteSums,
    bootstrap_statistic,
    correlate_cells,
    correlation_interval,
    draw_weights,
    image_means,
    percentile_interval,
    pooled_means,
)
from core.analysis.encode import encode, select_answers
from core.analysis.estimate import to_plain
from core.errors import LiminalError
from tests.analysis.rating_tables import identity_study, rows


def together(*arguments, **options):
    parts = list(draw_weights(*arguments, **options))
    return np.hstack([part.images for part in parts]), np.hstack([part.raters for part in parts])


def test_every_resample_draws_as_many_as_there_are_and_parts_change_nothing(monkeypatch):
    images, raters = together(30, 7, resamples=50, seed=3)
    assert images.shape == (30, 50)
    assert raters.shape == (7, 50)
    assert (images.sum(axis=0) == 30).all()
    assert (raters.sum(axis=0) == 7).all()
    monkeypatch.setattr("core.analysis.bootstrap.CELLS_AT_ONCE", 100)  # two resamples at once
    again = together(30, 7, resamples=50, seed=3)
    np.testing.assert_array_equal(images, again[0])
    np.testing.assert_array_equal(raters, again[1])
    assert (together(30, 7, resamples=50, seed=4)[0] != images).any()


def test_strata_keep_their_size_and_everything_is_drawn_alike():
    strata = np.array([2, 0, 0, 1, 2, 2, 2, 0])
    images, _ = together(8, 1, resamples=4000, seed=1, strata=strata)
    for each in range(3):
        assert (images[strata == each].sum(axis=0) == (strata == each).sum()).all()
    np.testing.assert_allclose(images.mean(axis=1), 1.0, atol=0.08)


def test_weights_are_the_same_as_copies():
    """A weighted mean is the mean over a table in which rows are repeated as often as their rater times their image."""
    random = np.random.default_rng(0)
    rater, image = (each.ravel() for each in np.meshgrid(np.arange(4), np.arange(6)))
    rater, image = rater[3:], image[3:]  # a gap
    value = random.random(len(rater))
    sums = sparse.csr_array(sparse.coo_array((value, (image, rater)), shape=(6, 4)))
    counts = sparse.csr_array(sparse.coo_array((np.ones(len(rater)), (image, rater)), shape=(6, 4)))
    weights = next(draw_weights(6, 4, resamples=20, seed=2))
    cells = sparse.csr_array(np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], float))
    found = pooled_means(VoteSums(sums, counts), weights, cells)
    for draw in range(20):
        times = (weights.images[image, draw] * weights.raters[rater, draw]).astype(int)
        for cell, inside in enumerate((image < 3, image >= 3)):
            copied = np.repeat(value[inside], times[inside])
            if len(copied):
                assert found[cell, draw] == pytest.approx(copied.mean())
            else:
                assert math.isnan(found[cell, draw])


def test_weighted_correlations_are_scipys_on_copies():
    """Reference: scipy.stats.pearsonr, scipy 1.17."""
    assert scipy.__version__.startswith("1.")
    random = np.random.default_rng(5)
    x, y = 1e6 + random.random(12), random.random(12)  # far from 0: squares must not lose their digits
    y[4] = np.nan
    weights = next(draw_weights(12, 1, resamples=10, seed=1))
    found = correlate_cells(x[:, None], y[:, None], weights.images, sparse.csr_array(np.ones((1, 12))))[0]
    for draw in range(10):
        times = np.where(np.isfinite(y), weights.images[:, draw], 0).astype(int)
        expected = scipy.stats.pearsonr(np.repeat(x, times), np.repeat(y, times)).statistic
        assert found[draw] == pytest.approx(expected, abs=1e-6)


def test_images_without_a_value_are_left_out_of_their_mean():
    ones = ResampleWeights(np.ones((3, 1)), np.ones((1, 1)))
    cells = sparse.csr_array(np.array([[1, 1, 1], [0, 0, 1]], float))
    found = image_means(np.array([1.0, 3.0, np.nan]), ones, cells)[:, 0]
    assert found[0] == 2.0
    assert math.isnan(found[1])


def test_the_interval_covers_what_was_planted():
    """Both people and images vary: an interval over answers alone would miss the truth most of the time."""
    covered = naive = 0
    cells = sparse.csr_array(np.ones((1, 40)))
    for seed in range(60):
        random = np.random.default_rng(seed)
        value = random.normal(size=(40, 1)) + random.normal(size=(1, 12)) + 0.1 * random.normal(size=(40, 12))
        votes = VoteSums(sparse.csr_array(value), sparse.csr_array(np.ones((40, 12))))
        draws = np.concatenate([pooled_means(votes, each, cells)[0] for each in draw_weights(40, 12, resamples=300, seed=seed)])
        low, high = percentile_interval(draws)
        covered += bool(low <= 0 <= high)
        half = 1.96 * value.std() / math.sqrt(value.size)
        naive += abs(value.mean()) <= half
    assert covered >= 50
    assert naive < 30


def test_intervals_of_nothing_are_nan_without_a_warning(recwarn):
    low, _ = percentile_interval(np.array([[np.nan, np.nan], [1.0, np.nan]]))
    assert np.isnan(low).all()
    assert math.isnan(correlation_interval(math.nan, np.array([0.1, 0.2]))[0])
    assert bootstrap_statistic(np.empty(0), lambda values, weights: values @ weights).n == 0
    assert not recwarn.list


@settings(deadline=None, max_examples=50)
@given(st.floats(-1, 1), st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_a_correlations_interval_holds_it_and_stays_within_bounds(r, draws):
    low, high = correlation_interval(r, np.array(draws))
    assert -1 <= low <= r <= high <= 1


def test_answers_are_chosen_by_task_rater_source_and_check():
    made = identity_study(1, 3)
    every = select_answers(made.ratings, "identity")
    assert len(every) == 336
    assert set(every["value"].unique()) == {0.0, 1.0}
    assert len(select_answers(made.ratings, "identity", excluded={"r0"})) == 224
    assert len(select_answers(made.ratings, "identity", sentinels=False)) == 324
    assert not len(select_answers(made.ratings, "identity", sources=["model"]))
    assert not len(select_answers(made.ratings.iloc[:0], "emotion"))
    with pytest.raises(LiminalError, match="lack the columns stimulus"):
        select_answers(made.ratings.drop(columns="stimulus"), "identity")


def test_codes_follow_the_images_that_are_asked_for():
    answers = rows({"rater": ["a", "b", "a"], "stimulus": ["x", "x", "z"], "task": "identity", "value": ["1", "0", "1"]})
    codes = encode(select_answers(answers, "identity"), answers["stimulus"].iloc[[2, 0]].reset_index(drop=True))
    assert list(codes.images) == ["z", "x"]
    np.testing.assert_array_equal(codes.means(), [1.0, 0.5])
    others = encode(select_answers(answers, "identity"), answers["stimulus"].iloc[:1])
    assert (others.basis.images, others.basis.raters, others.basis.answers, others.basis.source) == (1, 2, 2, "people")


def test_results_become_plain_values():
    value = {"a": np.array([1.0, np.nan]), "b": (np.int64(3), math.inf), ("c", "d"): frozenset({1})}
    assert to_plain(value) == {"a": [1.0, None], "b": [3, None], "c/d": [1]}
