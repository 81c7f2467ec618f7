"""No winner where intervals overlap or values are few, and no interval of no width."""

import math

import numpy as np
import pandas as pd
import pytest

from core.analysis.bootstrap import percentile_interval
from core.analysis.estimate import Estimate, bootstrap_estimate
from core.analysis.identity_tables import build_mean_table
from core.figures import identity, verification
from core.figures.superlatives import describe_extremes, describe_strongest, find_extreme
from tests.analysis.rating_tables import rows


def estimate(value, half, n=40):
    return Estimate(value, value - half, value + half, n)


def test_one_stands_out_only_where_no_other_interval_reaches_its_own():
    apart = {"a": estimate(0.9, 0.05), "b": estimate(0.5, 0.05), "c": estimate(0.1, 0.05)}
    assert find_extreme(apart) == ["a"]
    assert find_extreme(apart, highest=False) == ["c"]
    near = {"a": estimate(0.6, 0.2), "b": estimate(0.5, 0.2), "c": estimate(0.05, 0.02)}
    assert find_extreme(near) == ["a", "b"]
    assert find_extreme({"a": estimate(0.9, 0.05, n=3), "b": estimate(0.1, 0.05)}) == []
    assert find_extreme({"a": Estimate(0.9, math.nan, math.nan, 40), "b": estimate(0.1, 0.05)}) == []


def test_sentences_name_a_winner_or_say_that_there_is_none():
    apart = {"a": estimate(0.9, 0.05), "b": estimate(0.5, 0.3), "c": estimate(0.1, 0.05)}
    assert "highest for a: 0.90 (0.85 to 0.95); it is lowest for c: 0.10" in describe_extremes("it", apart, None)
    close = describe_extremes("it", {"a": estimate(0.6, 0.2), "b": estimate(0.5, 0.2)}, estimate(0.55, 0.1))
    assert (
        close == "It is 0.55 (0.45 to 0.65) over all samples; for which kind it is highest or lowest cannot be told, as intervals "
        "overlap."
    )
    few = describe_extremes("it", {"a": estimate(0.6, 0.2, n=3), "b": estimate(0.5, 0.2, n=3)}, None)
    assert "too few values" in few


def test_equal_values_have_no_interval_of_no_width():
    same = bootstrap_estimate(np.zeros(3), np.mean)
    assert same.n == 3
    assert math.isnan(same.low)
    low, high = percentile_interval(np.array([[0.25, 0.25, 0.25], [0.0, 0.5, 1.0]]))
    assert math.isnan(low[0])
    assert low[1] < high[1]


def test_a_share_of_nothing_of_one_person_is_as_wide_as_one_person_makes_it():
    names = [f"{number:020d}" for number in range(3)]
    pairs = pd.DataFrame(
        {"pair_id": names, "base_id": names, "sample_id": names, "sample_type": "interpolation", "step": 0.25}
        | {"lpips": 0.1, "latent_distance": 1.0, "batch": 0, "distance_dlib": 0.9, "accepted_dlib": False}
    )
    ratings = rows({"rater": ["r"] * 3, "stimulus": names, "value": ["0"] * 3, "task": "identity"})
    row = build_mean_table(pairs, ratings, {"dlib": 0.6}, resamples=50).rows[0]
    assert row.identity.value == 0
    assert row.identity.high > 0.5
    assert 0.3 < row.accepted["dlib"].high < row.identity.high


@pytest.mark.parametrize(("half", "expected"), [(0.02, "SFace errs least"), (0.2, "Which of them errs least cannot be told")])
def test_which_recogniser_errs_least(half, expected):
    rates = pd.DataFrame(
        [
            {"name": name, "eer": eer, "low": eer - half, "high": eer + half, "n": 60}
            for name, eer in (("SFace", 0.3), ("dlib", 0.4))
        ]
    )
    curves = pd.DataFrame(
        {"name": ["SFace", "SFace", "dlib", "dlib"], "threshold": [0, 1, 0, 1], "far": [0, 1, 0, 1], "frr": [1, 0, 1, 0]}
    )
    says = verification.plot_roc(curves, rates, source="human").layout.meta["says"]
    assert expected in says
    assert ("errs least:" in says) == (half < 0.1)


def test_a_correlation_that_may_be_chance_is_no_trend():
    random = np.random.default_rng(0)
    pairs = pd.DataFrame({"pair_id": map(str, range(20)), "sample_type": "negative", "latent_distance": 1.0})
    noise = pairs.assign(similarity=random.uniform(0, 100, 20), distance=random.uniform(0, 1, 20))
    clear = pairs.assign(similarity=np.linspace(100, 0, 20), distance=np.linspace(0, 1, 20) + random.normal(0, 0.02, 20))
    says = [identity.plot_similarity_by_distance(t, recogniser="dlib", source="human").layout.meta["says"] for t in (noise, clear)]
    assert "cannot be told" in says[0]
    assert says[1].startswith("The larger the recogniser's distance")


def test_no_correlation_is_called_the_closest_where_another_reaches_it():
    def cell(measure, r, half, p=0.001):
        return {"sample_type": "all", "measure": measure, "r": r, "low": r - half, "high": r + half, "p": p}

    apart = [cell("dlib", -0.8, 0.05), cell("LPIPS", -0.3, 0.1)]
    assert "dlib goes most closely with rated identity (r = −0.80)" in describe_strongest(apart)
    near = [cell("dlib", -0.8, 0.05), cell("SFace", -0.77, 0.05)]
    assert "dlib goes closely" in describe_strongest(near)
    assert "1 other correlation cannot be told apart" in describe_strongest(near)
    assert "told from chance" in describe_strongest([cell("dlib", -0.2, 0.3, p=0.4)])
