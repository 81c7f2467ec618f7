import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.analysis.encode import list_recognisers
from core.analysis.estimate import Proportion
from core.analysis.identity_tables import (
    build_acceptance_table,
    find_published_mean,
    load_published_thresholds,
    load_table1,
    load_table2,
)
from core.errors import LiminalError
from core.sampling.sample_set import PAIR_COLUMNS, make_table


def wilson(count, n, z=1.959963984540054):
    """Wilson 1927, JASA 22, p. 209, written out."""
    centre = (count + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * math.sqrt(count * (n - count) / n + z**2 / 4)
    return centre - half, centre + half


@settings(deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_are_wilsons(pair):
    count, n = pair
    made = Proportion.of(count, n)
    assert (made.low, made.high) == pytest.approx(wilson(count, n), abs=1e-9)
    assert made.low - 1e-12 <= made.share <= made.high + 1e-12


def test_an_empty_share_says_nothing():
    nothing = Proportion.of(0, 0)
    assert math.isnan(nothing.share)
    assert (nothing.low, nothing.high) == (0.0, 1.0)
    with pytest.raises(LiminalError):
        Proportion.of(3, 2)


def pairs():
    """Two negatives, four interpolated, three semantic ones; distances by hand, one face lost."""
    rows = [
        ("negative", math.nan, None, 0.7, 20.0),
        ("negative", math.nan, None, 0.5, 10.0),
        ("interpolation", 0.25, None, 0.2, 3.0),
        ("interpolation", 0.25, None, 0.4, 6.0),
        ("interpolation", 0.5, None, 0.6, 7.5),
        ("interpolation", 0.5, None, math.nan, 7.5),
        ("semantic", 0.2, "smile", 0.1, 2.0),
        ("semantic", 0.4, "smile", 0.8, 4.0),
        ("semantic", 0.4, "glasses", math.nan, 4.0),
    ]
    return make_table(
        [
            {
                "pair_id": str(index),
                "batch": 0,
                "base_id": "b",
                "sample_id": str(index),
                "sample_type": kind,
                "step": step,
                "partner_id": None,
                "direction": direction,
                "strategy": None,
                "lpips": 0.1 * index,
                "latent_distance": latent,
                "distance_mine": distance,
            }
            for index, (kind, step, direction, distance, latent) in enumerate(rows)
        ],
        PAIR_COLUMNS,
    )


def test_a_table_written_by_hand_is_recovered():
    table = build_acceptance_table(pairs(), "mine", 0.6)
    assert [(row.sample_type, row.step, row.direction, row.pairs) for row in table.rows] == [
        ("interpolation", None, None, 4),
        ("interpolation", 0.25, None, 2),
        ("interpolation", 0.5, None, 2),
        ("negative", None, None, 2),
        ("semantic", None, None, 3),
        ("semantic", None, "glasses", 1),
        ("semantic", None, "smile", 2),
        ("all", None, None, 9),
    ]
    negative = table.row("negative")
    assert (negative.accepted.count, negative.accepted.n, negative.latent_ratio) == (1, 2, 1.0)
    assert negative.distance == pytest.approx(0.6)
    half = table.row("interpolation", 0.5)
    assert (half.no_face.count, half.no_face.n) == (1, 2)
    assert (half.accepted.count, half.accepted.n) == (0, 1)  # 0.6 is not below 0.6
    assert half.latent_ratio == pytest.approx(0.5)
    assert half.lpips == pytest.approx(0.45)
    glasses = next(row for row in table.rows if row.direction == "glasses")
    assert math.isnan(glasses.distance)
    assert math.isnan(glasses.accepted.share)
    assert table.row("all").accepted.n == 7


def test_another_threshold_judges_anew():
    assert build_acceptance_table(pairs(), "mine", 0.75).row("negative").accepted.count == 2
    assert build_acceptance_table(pairs(), "mine", 0.1).row("all").accepted.count == 0


@settings(deadline=None)
@given(st.lists(st.floats(0, 2), min_size=1, max_size=30), st.floats(0.01, 2), st.floats(0.01, 2))
def test_a_higher_threshold_never_accepts_less(distances, one, other):
    table = pairs().iloc[[0] * len(distances)].assign(distance_mine=distances)
    low, high = sorted([one, other])
    accepted = [build_acceptance_table(table, "mine", each).row("all").accepted.count for each in (low, high)]
    assert accepted[0] <= accepted[1] <= len(distances)


def test_wrong_questions_get_a_sentence():
    assert list_recognisers(pairs()) == ["mine"]
    with pytest.raises(LiminalError, match="those that did: mine"):
        build_acceptance_table(pairs(), "yours", 0.6)
    for threshold in (0.0, -1.0, math.nan):
        with pytest.raises(LiminalError, match="positive distance"):
            build_acceptance_table(pairs(), "mine", threshold)
    with pytest.raises(LiminalError, match=r"no optimized samples of step 0\.3"):
        build_acceptance_table(pairs(), "mine", 0.6).row("optimized", 0.3)


# Values typed in from the paper's text, not from the asset.


@pytest.mark.parametrize(
    ("sample_type", "step", "expected"),
    [
        ("genuine", None, (97.75, 0.98, 0.00, 1.00, 0.00, 1.00, 0.00, 0.00)),
        ("interpolation", 0.5, (31.35, 0.13, 0.67, 0.35, 0.86, 0.10, 0.56, 67.87)),
        ("negative", None, (11.34, 0.02, 0.80, 0.02, 0.93, 0.07, 0.67, 135.75)),
        ("optimized", 0.3, (51.67, 0.31, 0.31, 0.99, 0.80, 0.22, 0.55, 279.99)),
        ("optimized", 0.5, (21.91, 0.05, 0.66, 0.25, 0.95, 0.03, 0.64, 184.05)),
        ("positive", 0.6, (57.52, 0.34, 0.52, 0.72, 0.78, 0.24, 0.43, 57.17)),
        ("positive", None, (72.32, 0.57, 0.41, 0.86, 0.68, 0.40, 0.34, 38.11)),
        ("all", None, (44.42, 0.29, 0.53, 0.58, 0.80, 0.22, 0.51, 117.54)),
    ],
)
def test_table_1_is_the_papers(sample_type, step, expected):
    row = find_published_mean(sample_type, step)
    found = (row.similarity, row.identity, row.distances["dlib"], row.accepted["dlib"])
    found += (row.distances["openface"], row.accepted["openface"], row.lpips, row.latent)
    assert found == expected


def test_table_1_is_complete_and_consistent():
    rows = load_table1()
    assert len(rows) == 15
    assert set(rows[0].distances) == {"dlib", "vggface", "facenet512", "openface"}
    assert load_published_thresholds() == {"dlib": 0.6, "vggface": 0.86, "facenet512": 1.04, "openface": 0.55}
    for sample_type, steps in {"interpolation": 3, "optimized": 3, "positive": 3}.items():
        parts = [row for row in rows if row.sample_type == sample_type and row.step is not None]
        whole = find_published_mean(sample_type, None)
        assert len(parts) == steps
        for read in (
            lambda row: row.similarity,
            lambda row: row.lpips,
            *(lambda row, name=name: row.distances[name] for name in whole.distances),
            *(lambda row, name=name: row.accepted[name] for name in whole.accepted),
        ):
            assert np.mean([read(row) for row in parts]) == pytest.approx(read(whole), abs=0.0101)  # a wrong digit would show
        assert np.mean([row.latent for row in parts]) == pytest.approx(whole.latent, abs=0.02)
    assert find_published_mean("positive", 0.5) is None  # the printed 0.5 is 0.6
    assert find_published_mean("positive", 0.6).latent_ratio == pytest.approx(57.17 / 135.75)


def test_table_1_all_is_the_weighted_mean_of_the_types():
    """Per base 1 genuine, 9 interpolation, 3 negative, 9 optimized, 6 positive."""
    weights = {"genuine": 1, "interpolation": 9, "negative": 3, "optimized": 9, "positive": 6}
    whole = find_published_mean("all", None)
    for name in whole.distances:
        mean = sum(weights[kind] * find_published_mean(kind, None).distances[name] for kind in weights) / 28
        assert mean == pytest.approx(whole.distances[name], abs=0.011)
    mean = sum(weights[kind] * find_published_mean(kind, None).similarity for kind in weights) / 28
    assert mean == pytest.approx(whole.similarity, abs=0.02)


def test_table_2_is_the_papers():
    cells = load_table2()
    assert list(cells) == ["interpolation", "negative", "optimized", "positive", "all"]
    assert [cell.r if cell else None for cell in cells["negative"].values()] == [0.637, None, -0.334, -0.21, None, None, None]
    assert [cell.r for cell in cells["all"].values()] == [0.907, -0.765, -0.632, -0.712, -0.512, -0.814, -0.453]
    assert cells["negative"]["facenet512"].level == 0.05
    assert cells["optimized"]["latent"].r == 0.347
    assert cells["interpolation"]["dlib"].r == -0.796
    assert cells["positive"]["openface"].r == -0.389
    assert all(cell.level == 0.001 for row in cells.values() for cell in row.values() if cell and cell.r != -0.21)


def test_tables_are_pure():
    table = pairs()
    before = table.copy()
    build_acceptance_table(table, "mine", 0.5)
    pd.testing.assert_frame_equal(table, before)
