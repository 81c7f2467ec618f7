import json
import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from core.analysis.identity_tables import (
    build_correlation_table,
    build_mean_table,
    correct_holm,
    correlate_pearson,
    find_published_mean,
    load_table2,
)
from tests.analysis.rating_tables import identity_study

THRESHOLDS = {"mine": 0.6, "other": 0.7}


@pytest.fixture(scope="module")
def made():
    return identity_study(2, 6, lost=0.05)


@pytest.fixture(scope="module")
def table(made):
    return build_mean_table(made.table, made.ratings, THRESHOLDS, resamples=300)


def test_values_are_pandas_means(made, table):
    """Reference: pandas 3.1, the same rows merged and averaged."""
    answers = made.ratings.merge(made.table, left_on="stimulus", right_on="pair_id")
    answers["value"] = answers["value"].astype(float)
    for row in table.rows:
        mine = made.table if row.sample_type == "all" else made.table[made.table["sample_type"] == row.sample_type]
        mine = mine if row.step is None else mine[mine["step"] == row.step]
        own = answers[answers["stimulus"].isin(mine["pair_id"])]
        for task, found in (("similarity", row.similarity), ("identity", row.identity)):
            values = own.loc[own["task"] == task, "value"]
            assert found.value == pytest.approx(values.mean())
            assert found.n == len(values)
        distance = mine["distance_mine"].dropna()
        assert row.distances["mine"].value == pytest.approx(distance.mean())
        assert row.accepted["mine"].value == pytest.approx((distance < 0.6).mean())
        assert row.accepted["mine"].n == len(distance)
        assert row.lpips.value == pytest.approx(mine["lpips"].mean())
        assert row.pairs == len(mine)
    negatives = made.table.loc[made.table["sample_type"] == "negative", "latent_distance"].mean()
    half = table.row("interpolation", 0.5)
    assert half.latent_ratio.value == pytest.approx(half.latent.value / negatives)
    assert table.row("negative").latent_ratio.value == 1.0  # by definition, so without an interval
    assert np.isnan(table.row("negative").latent_ratio.low)


def test_rows_are_the_papers_and_stand_beside_it(table):
    keys = [(row.sample_type, row.step) for row in table.rows]
    assert keys[:4] == [("genuine", None), ("interpolation", None), ("interpolation", 0.25), ("interpolation", 0.5)]
    assert len(keys) == 15
    for row in table.rows:
        assert row.published == find_published_mean(row.sample_type, row.step)
    assert table.row("semantic") is None


def test_every_interval_holds_its_value(table):
    for row in table.rows:
        every = [
            row.similarity,
            row.identity,
            row.lpips,
            row.latent,
            row.latent_ratio,
            *row.distances.values(),
            *row.accepted.values(),
        ]
        for each in every:
            assert np.isnan(each.low) or each.low - 1e-9 <= each.value <= each.high + 1e-9
            assert each.low != each.high
    assert table.row("interpolation", 0.5).similarity.low < table.row("interpolation", 0.5).similarity.high


def test_planted_shares_lie_within_their_intervals(made):
    """The truth is each pair's own probability, met by people who differ; 15 cells, of which 95 % are to be covered."""
    found = build_mean_table(made.table, made.ratings, THRESHOLDS, resamples=400, seed=1)
    truth = made.truth.set_index("stimulus")["same"]
    hits = 0
    for row in found.rows:
        mine = made.table if row.sample_type == "all" else made.table[made.table["sample_type"] == row.sample_type]
        mine = mine if row.step is None else mine[mine["step"] == row.step]
        hits += row.identity.low - 0.02 <= truth[mine["pair_id"]].mean() <= row.identity.high + 0.02
    assert hits >= 12


def test_people_who_differ_widen_the_interval():
    alike = identity_study(1, 6, spread=0.0, seed=4)
    apart = identity_study(1, 6, spread=0.2, seed=4)
    width = [
        (row := build_mean_table(each.table, each.ratings, THRESHOLDS, resamples=300).row("interpolation", 0.5).similarity).high
        - row.low
        for each in (alike, apart)
    ]
    assert width[1] > 1.5 * width[0]


def test_the_same_seed_gives_the_same_table(made, table):
    again = build_mean_table(made.table, made.ratings, THRESHOLDS, resamples=300)
    assert again.to_dict() == table.to_dict()
    other = build_mean_table(made.table, made.ratings, THRESHOLDS, resamples=300, seed=9)
    assert other.to_dict() != table.to_dict()
    json.dumps(table.to_dict(), allow_nan=False)


def test_excluded_people_do_not_count(made):
    without = build_mean_table(made.table, made.ratings, THRESHOLDS, excluded={"r0", "r1"}, resamples=50)
    dropped = made.ratings[~made.ratings["rater"].isin(["r0", "r1"])]
    assert without.to_dict() == build_mean_table(made.table, dropped, THRESHOLDS, resamples=50).to_dict()
    assert without.basis.raters == 10


def test_correlations_are_scipys_over_pairs(made):
    """Reference: scipy.stats.pearsonr 1.17 and statsmodels.multipletests 0.15."""
    found = build_correlation_table(made.table, made.ratings, resamples=300)
    rate = made.ratings[made.ratings["task"] == "identity"].assign(value=lambda rows: rows["value"].astype(float))
    rate = rate.groupby("stimulus")["value"].mean()
    for sample_type in ("interpolation", "optimized", "all"):
        mine = made.table[made.table["sample_type"] != "genuine"]
        mine = mine if sample_type == "all" else mine[mine["sample_type"] == sample_type]
        mine = mine[mine["distance_mine"].notna()]
        expected = scipy.stats.pearsonr(rate[mine["pair_id"]], mine["distance_mine"])
        cell = found.cell(sample_type, "mine")
        assert cell.r.value == pytest.approx(expected.statistic)
        assert cell.p == pytest.approx(expected.pvalue)
        assert cell.r.n == len(mine)
    known = [cell for cell in found.cells if math.isfinite(cell.p)]
    np.testing.assert_allclose([cell.p_holm for cell in known], multipletests([cell.p for cell in known], method="holm")[1])
    for cell in known:
        assert cell.r.low <= cell.r.value <= cell.r.high
    assert found.cell("genuine", "mine") is None
    assert found.cell("all", "lpips").published == load_table2()["all"]["lpips"]
    assert found.cell("all", "mine").published is None


def test_a_strong_and_an_absent_relation_are_told_apart():
    made = identity_study(3, 10, seed=2)
    random = np.random.default_rng(0)
    blind = made.table.assign(distance_other=random.random(len(made.table)))
    found = build_correlation_table(blind, made.ratings, resamples=300)
    strong, absent = found.cell("all", "mine"), found.cell("all", "other")
    assert strong.r.high < -0.8
    assert strong.p_holm < 1e-10
    assert absent.r.low < 0 < absent.r.high
    assert absent.p_holm > 0.05


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_lowers_a_p_and_keeps_their_order(p):
    corrected = np.array(correct_holm([*p, math.nan]))
    assert math.isnan(corrected[-1])
    assert (corrected[:-1] >= np.array(p) - 1e-12).all()
    assert (corrected[:-1] <= 1).all()
    order = np.argsort(p)
    assert (np.diff(corrected[:-1][order]) >= -1e-12).all()


def test_what_does_not_vary_has_no_correlation(recwarn):
    assert math.isnan(correlate_pearson(np.ones(5), np.arange(5.0))[0])
    assert math.isnan(correlate_pearson(np.array([1.0, np.nan, 2.0]), np.arange(3.0))[0])
    made = identity_study(1, 3)
    flat = build_correlation_table(made.table.assign(distance_mine=0.5), made.ratings, resamples=30)
    assert math.isnan(flat.cell("all", "mine").r.value)
    assert math.isnan(flat.cell("all", "mine").p_holm)
    assert math.isfinite(flat.cell("all", "lpips").r.value)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda pairs, ratings: (pairs, ratings.iloc[:0]), "Nobody has answered yet"),
        (lambda pairs, ratings: (pairs.iloc[:0], ratings), "no pairs"),
        (lambda pairs, ratings: (pairs, ratings[ratings["rater"] == "r0"]), "One person"),
        (lambda pairs, ratings: (pairs.assign(distance_mine=np.nan, distance_other=np.nan), ratings), ""),
        (lambda pairs, ratings: (pairs[pairs["sample_type"] == "positive"], ratings), ""),
        (lambda pairs, ratings: (pairs, ratings.assign(value="1")), ""),
    ],
)
def test_degenerate_studies_give_a_table_and_a_sentence(change, said, recwarn):
    made = identity_study(1, 3)
    pairs, ratings = change(made.table, made.ratings)
    for found in (
        build_mean_table(pairs, ratings, THRESHOLDS, resamples=20),
        build_correlation_table(pairs, ratings, resamples=20),
    ):
        assert said in found.note
        json.dumps(found.to_dict(), allow_nan=False)
    assert not recwarn.list


def test_simulated_answers_say_so(table):
    assert table.basis.source == "people"
    simulated = identity_study(1, 3, source="simulated")
    assert build_mean_table(simulated.table, simulated.ratings, {}, resamples=20).basis.source == "simulated"


def test_tables_are_untouched(made):
    before = made.table.copy(), made.ratings.copy()
    build_correlation_table(made.table, made.ratings, resamples=20)
    pd.testing.assert_frame_equal(made.table, before[0])
    pd.testing.assert_frame_equal(made.ratings, before[1])
