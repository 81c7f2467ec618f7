import math

import numpy as np
import pytest

from core.analysis.psychometric import fit_psychometric_function, locate_even_point
from tests.analysis.rating_tables import identity_study


def planted(threshold, width, lapse, *, people=30, seed=0):
    """A study whose answers follow a logistic function of the fraction, answers independent."""
    made = identity_study(1, people, seed=seed)
    kind, step = (made.table.set_index("pair_id")[name] for name in ("sample_type", "step"))
    fraction = step.where(kind == "interpolation", (kind == "negative").astype(float))
    scale = width / (2 * math.log(19))
    p = lapse + (1 - 2 * lapse) / (1 + np.exp((fraction - threshold) / scale))
    random = np.random.default_rng(seed)
    said = random.random(len(made.ratings)) < p[made.ratings["stimulus"]].to_numpy()
    value = np.where(made.ratings["task"] == "identity", said.astype(int).astype(str), "50")
    return made.table, made.ratings.assign(value=value)


@pytest.fixture(scope="module")
def found():
    return fit_psychometric_function(*planted(0.4, 0.5, 0.03))


def test_a_planted_function_is_recovered(found):
    assert found.threshold.low <= 0.4 <= found.threshold.high
    assert found.threshold.value == pytest.approx(0.4, abs=0.04)
    assert found.width.low <= 0.5 <= found.width.high
    assert found.lapse.low <= 0.03 <= found.lapse.high
    steepest = -(1 - 2 * 0.03) * math.log(19) / (2 * 0.5)
    assert found.slope.low <= steepest <= found.slope.high
    assert found.note == ""


def test_the_curve_passes_the_points_and_has_that_slope(found):
    at = np.array([point.fraction for point in found.points])
    assert list(at) == [0, 0.25, 0.5, 0.75, 1]
    for point, value in zip(found.points, found.curve(at), strict=True):
        assert point.same.low - 0.03 <= value <= point.same.high + 0.03
    middle = found.threshold.value
    assert found.curve(np.array([middle]))[0] == pytest.approx(0.5)
    rise = np.diff(found.curve(np.array([middle - 1e-5, middle + 1e-5])))[0] / 2e-5
    assert rise == pytest.approx(found.slope.value, rel=1e-4)


def test_only_the_way_between_two_faces_counts(found):
    assert found.points[0].same.n == 4 * 30
    assert found.points[2].same.n == 12 * 30
    assert found.basis.answers == 52 * 30


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda pairs, ratings: (pairs, ratings.iloc[:0]), "three fractions"),
        (lambda pairs, ratings: (pairs.iloc[:0], ratings), "three fractions"),
        (lambda pairs, ratings: (pairs[pairs["sample_type"] == "genuine"], ratings), "three fractions"),
        (lambda pairs, ratings: (pairs, ratings.assign(value="1")), "'same person' all the way"),
        (lambda pairs, ratings: (pairs, ratings.assign(value="0")), "'different' all the way"),
    ],
)
def test_without_a_transition_there_is_no_threshold(change, said, recwarn):
    made = identity_study(1, 3)
    nothing = fit_psychometric_function(*change(made.table, made.ratings))
    assert said in nothing.note
    assert math.isnan(nothing.threshold.value)
    assert np.isnan(nothing.curve(np.array([0.5]))).all()
    nothing.to_dict()
    assert not recwarn.list


def test_the_even_point_of_a_row_is_found_with_an_interval_that_covers_it():
    way, random = np.linspace(0, 1, 25), np.random.default_rng(0)
    covered, widths = 0, []
    for _ in range(40):
        second = 1 / (1 + np.exp(-(10 * (way - 0.37) + random.normal(0, 0.5, 25))))
        even = locate_even_point(0.8 * (1 - second), 0.8 * second)  # a fifth goes to other feelings
        covered += even.low <= 0.37 <= even.high
        widths.append(even.high - even.low)
    assert covered >= 33
    assert np.mean(widths) < 0.1
    assert math.isnan(locate_even_point(np.array([0.9, 0.8, 0.7]), np.array([0.1, 0.2, 0.3])).value)
