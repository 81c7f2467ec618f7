"""Two sides and their difference: against NumPy, SciPy 1.17's bootstrap, and planted differences."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap

from core.analysis.comparison import build_answers_side, build_group_cells, build_values_side, compare_sides
from core.analysis.encode import encode
from core.analysis.estimate import Basis
from core.analysis.study_data import group_raters, select_raters
from core.errors import LiminalError
from tests.figures.study_materials import identity_material

NOBODY = Basis(0, 0, 0, "models")


def one_cell(n):
    return build_group_cells(pd.Series([""] * n), [])


def test_paired_values_agree_with_scipy():
    random = np.random.default_rng(0)
    first = random.normal(size=60)
    second = first + 0.3 + 0.2 * random.normal(size=60)
    sides = [build_values_side(name, values, one_cell(60), NOBODY) for name, values in (("a", first), ("b", second))]
    row = compare_sides(["all"], *sides, shared=True, resamples=4000).table.iloc[0]
    assert row["difference"] == pytest.approx((second - first).mean())
    reference = bootstrap((second - first,), np.mean, n_resamples=4000, method="percentile", rng=1).confidence_interval
    assert row["low"] == pytest.approx(reference.low, abs=0.01)
    assert row["high"] == pytest.approx(reference.high, abs=0.01)
    apart = compare_sides(["all"], *sides, shared=False, resamples=4000).table.iloc[0]
    assert apart["high"] - apart["low"] > 3 * (row["high"] - row["low"])  # what is hard about an image no longer cancels


def test_independent_sides_agree_with_scipy():
    random = np.random.default_rng(1)
    first, second = random.normal(size=50), random.normal(1, 2, size=80)
    sides = [build_values_side(name, values, one_cell(len(values)), NOBODY) for name, values in (("a", first), ("b", second))]
    row = compare_sides(["all"], *sides, shared=False, resamples=4000).table.iloc[0]

    def apart(a, b, axis):
        return b.mean(axis=axis) - a.mean(axis=axis)

    reference = bootstrap((first, second), apart, n_resamples=4000, method="percentile", rng=1).confidence_interval
    assert (row["low"], row["high"]) == (pytest.approx(reference.low, abs=0.04), pytest.approx(reference.high, abs=0.04))
    assert row["first_n"] == 50
    assert row["second_n"] == 80


def test_a_side_without_values_is_a_sentence():
    sides = [
        build_values_side("a", np.full(5, np.nan), one_cell(5), NOBODY),
        build_values_side("b", np.arange(5.0), one_cell(5), NOBODY),
    ]
    found = compare_sides(["all"], *sides, shared=True, resamples=50)
    assert "a has no values" in found.note
    assert found.table[["difference", "low", "high"]].isna().all(axis=None)
    assert not len(found.clear())


def test_cells_and_answers():
    answers = pd.DataFrame(
        {"rater": list("abab"), "stimulus": ["x", "x", "y", "y"], "value": [0.0, 1.0, 1.0, 1.0], "source": "human"}
    )
    side = build_answers_side(
        "s", encode(answers, pd.Series(["x", "y"])), build_group_cells(pd.Series(["one", "two"]), ["two", "one"])
    )
    found = compare_sides(["two", "one", "all"], side, side, shared=True, resamples=50).table
    assert found["first"].tolist() == [1.0, 0.5, 0.75]
    assert found["first_n"].tolist() == [2, 2, 4]
    assert (found["difference"] == 0).all()


@pytest.fixture(scope="module")
def material():
    return identity_material(raters=8)


def test_people_are_parted_without_overlap(material):
    found = group_raters(material)
    assert {"when they came", "how quick they are"} <= set(found)
    for groups in found.values():
        every = [rater for raters in groups.values() for rater in raters]
        assert len(every) == len(set(every))
    quick, slow = (select_raters(material, raters) for raters in found["how quick they are"].values())
    assert quick.ratings["reaction_time_ms"].median() < slow.ratings["reaction_time_ms"].median()
    assert len(quick.ratings) + len(slow.ratings) == len(material.ratings)


def test_two_people_make_no_groups():
    assert group_raters(identity_material(raters=2)) == {}


def test_a_group_of_nobody_is_a_sentence(material):
    with pytest.raises(LiminalError, match="Nobody in this group"):
        select_raters(material, ["somebody else"])
