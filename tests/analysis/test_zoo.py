"""Planted lambs, wolves and goats are found again, and the tests are SciPy's (1.17) where that has them."""

import numpy as np
import pytest
from scipy import stats

from core.analysis.zoo import (
    concentrate_matches,
    concentrate_refusals,
    examine_crossed,
    examine_groups,
    measure_apart,
    measure_zoo,
)
from core.errors import LiminalError
from core.sampling.stored.population import (
    CalibratedThreshold,
    GenuineSet,
    Population,
    ShareInterval,
    Thresholds,
)


def crossed(owners, strangers, noise=1.0, size=(80, 70), seed=0):
    """Distances with so much standard deviation between owners, between strangers, and in each pair."""
    random = np.random.default_rng(seed)
    return (
        5
        + owners * random.normal(size=(size[0], 1))
        + strangers * random.normal(size=(1, size[1]))
        + noise * random.normal(size=size)
    )


def test_components_of_variance_are_found_again():
    lambs, wolves = examine_crossed(crossed(0.8, 0.4), bootstraps=200)
    for test, variance in ((lambs, 0.64), (wolves, 0.16)):
        share = variance / (0.64 + 0.16 + 1)
        assert test.share.low < share < test.share.high
        assert test.share.high - test.share.low < 0.25
        assert max(test.kruskal_p, test.f_p, test.friedman_p) < 1e-6


def test_people_who_are_all_alike_are_no_animals():
    lambs, wolves = examine_crossed(crossed(0.0, 0.0, seed=3), bootstraps=100)
    for test in (lambs, wolves):
        assert test.share.value < 0.01
        assert min(test.kruskal_p, test.f_p, test.friedman_p) > 0.01


def test_the_statistics_are_those_of_scipy():
    table = crossed(0.5, 0.3, size=(9, 12), seed=1)
    lambs, wolves = examine_crossed(table, bootstraps=10)
    for test, rows in ((lambs, table), (wolves, table.T)):
        assert (test.kruskal, test.kruskal_p) == pytest.approx(tuple(stats.kruskal(*rows)), rel=1e-6)
        assert (test.friedman, test.friedman_p) == pytest.approx(tuple(stats.friedmanchisquare(*rows)), rel=1e-6)
    groups = table.copy()
    groups[2, 5:] = np.nan
    goats = examine_groups(groups, bootstraps=10)
    known = [row[np.isfinite(row)] for row in groups]
    assert (goats.kruskal, goats.kruskal_p) == pytest.approx(tuple(stats.kruskal(*known)), rel=1e-6)
    assert (goats.f, goats.f_p) == pytest.approx(tuple(stats.f_oneway(*known)), rel=1e-6)


def test_goats_are_found_again():
    random = np.random.default_rng(2)
    groups = 5 + 0.7 * random.normal(size=(150, 1)) + random.normal(size=(150, 5))
    goats = examine_groups(groups, bootstraps=300)
    assert goats.share.low < 0.49 / 1.49 < goats.share.high
    assert goats.kruskal_p < 1e-6
    assert examine_groups(np.full((5, 4), np.nan)) is None


def test_one_lamb_carries_all_false_matches():
    opens = np.zeros((40, 40), bool)
    opens[7] = True
    opens[7, 7] = False
    spread = concentrate_matches(opens, bootstraps=100)
    assert spread.heaviest.value == 1
    assert spread.heaviest_alike < 0.4
    assert (spread.none.count, spread.none.n) == (39, 40)
    row, share = spread.most[0]
    assert (row, share.count, share.n) == (7, 39, 39)
    assert spread.none_alike == pytest.approx((1 - 39 / (40 * 39)) ** 39)


def test_people_who_are_all_alike_share_errors_as_chance_does():
    random = np.random.default_rng(0)
    spread = concentrate_refusals(random.uniform(size=(300, 30)), 0.9, bootstraps=200)
    assert spread.heaviest.value == pytest.approx(spread.heaviest_alike, abs=0.03)
    assert sum(spread.tenths) == pytest.approx(1)
    assert spread.tenths == tuple(sorted(spread.tenths, reverse=True))


def thresholds(limit):
    whole = ShareInterval(0.5, 0.4, 0.6)
    cut = CalibratedThreshold(0.001, limit, limit, limit, whole)
    return Thresholds("planted", "dlib", 2 * limit, "", whole, (cut,), 0, 0, 0, 0, 0, "", "", "", whole, 1, 1)


def test_a_planted_population_has_its_animals():
    """Six people stand close together, the rest far from everybody; one of those pictured often is never like themselves."""
    random = np.random.default_rng(1)
    people = 50 * np.eye(40, 128, dtype=np.float32)
    people[10:16] = random.normal(size=(6, 128)) * 0.01
    people[39] = np.nan  # no face
    pictured = np.repeat(random.normal(size=(12, 1, 128)), 6, axis=1) + 0.001 * random.normal(size=(12, 6, 128))
    pictured[4] = 50 * random.normal(size=(6, 128))
    population = Population("planted", np.arange(40) + 100, {"dlib": people}, (), "", "")
    genuine = GenuineSet("planted", np.arange(12) + 900, {"dlib": pictured.astype(np.float32)}, "", "")
    zoo = measure_zoo(population, genuine, "dlib", thresholds(1.0), bootstraps=50)
    assert (zoo.people, zoo.genuine_people) == (39, 12)
    at = zoo.limits[1]
    assert {zoo.seeds[row] for row, share in at.imitated.most if share.count} == set(range(110, 116))
    assert at.imitated.most[0][1].count == 5
    assert zoo.genuine_seeds[at.refused.most[0][0]] == 904
    assert at.refused.heaviest.value == 1
    assert measure_zoo(population, None, "dlib", thresholds(1.0), bootstraps=5).goats is None


def test_fewer_than_ten_people_are_one_sentence():
    with pytest.raises(LiminalError, match="from 10 people on, but dlib found a face in 9"):
        measure_apart(np.eye(9, 128), "dlib")
