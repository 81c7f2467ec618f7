import math

import krippendorff
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.analysis.agreement import (
    _alpha_from_sums,
    _sum_disagreements,
    correct_spearman_brown,
    correlate_halves,
    intraclass_correlation,
    krippendorff_alpha,
    measure_agreement,
)
from core.analysis.encode import encode, select_answers
from tests.analysis.rating_tables import emotion_study, identity_study, rows

SHROUT_AND_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
"""Shrout and Fleiss 1979, Psychological Bulletin 86, Table 2: six targets, four judges."""
KRIPPENDORFF = """
*    *    *    *    *    3    4    1    2    1    1    3    3    *    3
1    *    2    1    3    3    4    3    *    *    *    *    *    *    *
*    *    2    1    3    4    4    *    2    1    1    3    3    *    4
"""
"""Krippendorff 2011, 'Computing Krippendorff's Alpha-Reliability': three coders, fifteen units."""


def codes_of(table, task="similarity"):
    """(R, I) with NaN -> codes."""
    rater, image = np.nonzero(np.isfinite(table))
    named = {"rater": [f"r{each}" for each in rater], "stimulus": [f"i{each}" for each in image], "task": task}
    return encode(select_answers(rows(named | {"value": table[rater, image].astype(str)}), task))


def test_alpha_is_the_worked_example():
    """.691 nominal and .811 interval, as printed with the data."""
    table = np.array(
        [[np.nan if each == "*" else float(each) for each in line.split()] for line in KRIPPENDORFF.strip().splitlines()]
    )
    assert krippendorff_alpha(codes_of(table), "nominal").value == pytest.approx(0.691, abs=0.0005)
    assert krippendorff_alpha(codes_of(table), "interval").value == pytest.approx(0.811, abs=0.0005)


tables = arrays(
    np.float64, st.tuples(st.integers(2, 5), st.integers(2, 10)), elements=st.sampled_from([0.0, 1.0, 2.0, 7.0, np.nan])
)


@settings(deadline=None, max_examples=80)
@given(tables, st.sampled_from(["nominal", "interval"]))
def test_the_formula_behind_the_interval_is_the_librarys(table, level):
    """Reference: krippendorff 0.9."""
    paired = table[:, np.isfinite(table).sum(axis=0) > 1]
    domain = np.unique(paired[np.isfinite(paired)])
    if len(domain) < 2:
        assert math.isnan(krippendorff_alpha(codes_of(table), level, resamples=5).value)
        return
    counts = np.stack([(paired == value).sum(axis=0) for value in domain], axis=1).astype(float)
    inside, moments = _sum_disagreements(counts, domain, level)
    ours = _alpha_from_sums(inside.sum(keepdims=True), moments.sum(axis=0)[:, None], level)[0]
    expected = krippendorff.alpha(reliability_data=table, level_of_measurement=level)
    assert ours == pytest.approx(expected, abs=1e-9)
    assert krippendorff_alpha(codes_of(table), level, resamples=5).value == pytest.approx(expected, abs=1e-9)


def test_icc_is_shrout_and_fleiss():
    """ICC(2,4) = .62, printed in their Table 4; interval by McGraw and Wong's F."""
    found = intraclass_correlation(SHROUT_AND_FLEISS)
    assert found.value == pytest.approx(0.62, abs=0.005)
    assert found.low < found.value < found.high
    assert math.isnan(intraclass_correlation(np.ones((5, 3))).value)
    assert math.isnan(intraclass_correlation(np.array([[1.0, 2.0], [1.0, 2.0]])).value)


def test_spearman_brown_doubles_a_test():
    np.testing.assert_allclose(correct_spearman_brown(np.array([0.0, 0.5, 1.0])), [0, 2 / 3, 1])
    assert math.isnan(correct_spearman_brown(np.array([-1.0]))[0])


def test_planted_reliability_is_recovered():
    """value = image + noise with equal variances: the mean of 10 has reliability 10 / 11, one person .5 with another."""
    random = np.random.default_rng(0)
    table = 50 + 8 * random.normal(size=(1, 400)) + 8 * random.normal(size=(10, 400))
    codes = codes_of(np.clip(table, 0, 100))
    half = correlate_halves(codes)
    assert half.value == pytest.approx(10 / 11, abs=0.02)
    assert half.low < 10 / 11 < half.high
    assert krippendorff_alpha(codes, "interval").value == pytest.approx(0.5, abs=0.05)
    found = intraclass_correlation(np.clip(table, 0, 100).T)
    assert found.low < 10 / 11 < found.high


def test_blocks_are_the_batches():
    made = identity_study(3, 5)
    missing = made.ratings[~((made.ratings["rater"] == "r0") & (made.ratings["stimulus"] == "p5"))]
    found = measure_agreement(missing, "similarity", resamples=50)
    assert [(block.raters, block.images) for block in found.blocks] == [(5, 107), (5, 108), (5, 108)]
    assert found.icc.n == 3
    assert found.icc.low < found.icc.value < found.icc.high
    for each in (found.alpha, found.leave_one_out, found.split_half):
        assert each.low <= each.value <= each.high


def test_leave_one_out_is_numpys_correlation():
    made = identity_study(1, 4)
    found = measure_agreement(made.ratings, "similarity", resamples=50)
    own = made.ratings[(made.ratings["task"] == "similarity") & ~made.ratings["is_sentinel"]]
    wide = own.assign(value=own["value"].astype(float)).pivot(index="stimulus", columns="rater", values="value")
    expected = [np.corrcoef(wide[name], wide.drop(columns=name).mean(axis=1))[0, 1] for name in wide]
    assert found.leave_one_out.value == pytest.approx(np.mean(expected))
    assert found.leave_one_out.n == 4


def test_emotions_are_foretold_by_the_most_frequent_answer():
    """Three people, two images: a, b agree on the first, and on the second c finds a tie of two."""
    answers = rows(
        {
            "rater": ["a", "b", "c", "a", "b", "c"],
            "stimulus": ["x", "x", "x", "y", "y", "y"],
            "task": "emotion",
            "value": ["fear", "fear", "anger", "fear", "anger", "anger"],
        }
    )
    # x: a finds {fear, anger} a tie with hers among them: 1/2; b the same; c finds fear: 0. y: a finds anger: 0; b, c: 1/2 each
    found = measure_agreement(answers, "emotion", resamples=50)
    assert found.leave_one_out.value == pytest.approx(np.mean([0.25, 0.5, 0.25]))
    assert math.isnan(found.split_half.value)


def test_people_who_guess_do_not_agree():
    made = emotion_study(80, 12)
    random = np.random.default_rng(0)
    guessed = made.ratings.assign(value=random.permutation(made.ratings["value"].to_numpy()))
    real, chance = (measure_agreement(each, "emotion", resamples=200) for each in (made.ratings, guessed))
    assert chance.alpha.low < 0 < chance.alpha.high or abs(chance.alpha.value) < 0.02
    assert real.alpha.low > chance.alpha.high
    assert real.leave_one_out.low > chance.leave_one_out.high


@pytest.mark.parametrize("task", ["similarity", "identity", "emotion"])
def test_degenerate_ratings_get_a_sentence(task, recwarn):
    made = emotion_study(20, 4) if task == "emotion" else identity_study(1, 4)
    same = {"emotion": "fear"}.get(task, "1")
    own = made.ratings[made.ratings["task"] == task]
    for ratings, said in (
        (own.iloc[:0], "Nobody has answered"),
        (own[own["rater"] == "r0"], "One person"),
        (
            own.drop_duplicates("stimulus").assign(rater=lambda each: "r" + (np.arange(len(each)) % 4).astype(str).astype(object)),
            "two answers",
        ),
        (own.assign(value=same), "All answers are the same"),
    ):
        found = measure_agreement(ratings, task, resamples=20)
        assert said in found.note
        assert math.isnan(found.alpha.value)
        found.to_dict()
    assert not [each for each in recwarn.list if issubclass(each.category, RuntimeWarning)]


def test_excluded_people_do_not_count():
    made = identity_study(1, 4)
    dropped = made.ratings[made.ratings["rater"] != "r2"]
    one, other = (
        measure_agreement(made.ratings, "identity", excluded={"r2"}, resamples=20),
        measure_agreement(dropped, "identity", resamples=20),
    )
    assert one.to_dict() == other.to_dict()
    assert isinstance(made.ratings, pd.DataFrame)
