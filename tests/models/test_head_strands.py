"""Grown strands of the parametric head: how they grow, how they are packed, and what lies in the file."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import KDTree

from core.models.builtin.head import grown_hair
from core.models.builtin.head.description import HAIR_STYLES
from core.models.builtin.head.geometry import load_geometry
from core.models.builtin.head.grown_hair import STRAND_POINTS, load_grown_hair, spread_order
from core.models.builtin.head.strands import turn_white
from core.models.training.head_strands import POINT_UNIT, STYLES, RestHead, grow_strands, pack_strands


@pytest.fixture(scope="module")
def head():
    return RestHead(load_geometry())


@pytest.fixture(scope="module")
def hair():
    return load_grown_hair()


def test_every_style_is_stored_and_rooted_on_the_skin(hair):
    geometry = load_geometry()
    assert tuple(hair.styles) == HAIR_STYLES == tuple(STYLES)
    for strands in (*hair.styles.values(), hair.beard):
        roots = (geometry.rest[strands.triangles] * strands.corners[..., None]).sum(1)
        np.testing.assert_allclose(strands.points[:, 0], roots, atol=1e-5)
        np.testing.assert_allclose(strands.corners.sum(1), 1, atol=1e-6)
        assert np.isfinite(strands.points).all()
        assert not strands.points.flags.writeable
        assert 0.29 < strands.thickness.min() <= strands.thickness.max() <= 1
        assert np.histogram(strands.random, 20, (0, 1))[0] == pytest.approx(len(strands.random) / 20, rel=0.1)


def test_hair_stays_out_of_the_head(head, hair):
    for name in set(HAIR_STYLES) - {"afro"}:
        places = hair.styles[name].points[::7].reshape(-1, 3).astype(float)
        nearest = head.find_nearest(places)
        above = ((places - head.places[nearest]) * head.normals[nearest]).sum(1)
        assert np.mean((above < -0.03) & (above > -0.5)) < 0.001, name


def test_zones_of_the_beard_lie_where_their_names_say(hair):
    moustache, chin, cheeks = hair.beard.zones.T
    x, y, _ = hair.beard.points[:, 0].T
    assert y[moustache > 0.6].min() > 6.6 > y[chin > 0.6].mean()
    assert np.abs(x[chin > 0.6]).max() < 0.45 < np.abs(x[cheeks > 0.6]).mean()
    assert (hair.beard.zones.sum(1) > 0.02).mean() > 0.98
    assert hair.styles["crop"].zones.max() == 0


def test_no_bald_band_at_the_parting(hair):
    """Places on the parting are as near to a strand as places 0.3 decimetres beside it are."""
    strands = hair.styles["long"].points
    tree = KDTree(strands[:, :5].reshape(-1, 3))
    roots = strands[:, 0]
    front = (roots[:, 1] > 8.0) & (roots[:, 2] > 0)
    at, beside = (roots[front & (np.abs(np.abs(roots[:, 0]) - x) < 0.03)] for x in (0.0, 0.3))
    assert tree.query(at, k=8)[0][:, -1].mean() < tree.query(beside, k=8)[0][:, -1].mean()


def test_every_beginning_of_the_order_is_spread_evenly():
    order = spread_order(1000)
    assert sorted(order) == list(range(1000))
    for count in (10, 100, 333):
        gaps = np.diff(np.sort(order[:count]))
        assert gaps.max() <= 2.1 * 1024 / count


def test_growth_repeats_and_packing_keeps_it(head, monkeypatch):
    style = replace(STYLES["crop"], count=300)
    strands = grow_strands(head, style)
    np.testing.assert_array_equal(strands.points, grow_strands(head, style).points)
    packed = pack_strands(strands, STRAND_POINTS)
    stored = {f"crop_{part}": values for part, values in packed.items()} | {"point_unit": np.array(POINT_UNIT)}
    field = np.zeros(len(head.places), np.float32)
    unpacked = grown_hair._unpack(stored, "crop", STRAND_POINTS, field, np.zeros((len(field), 3), np.float32))
    planted = strands.points[spread_order(300)]
    assert np.abs(unpacked.points - planted).max() < 0.75 * POINT_UNIT
    assert np.abs(unpacked.thickness - strands.thickness[spread_order(300)]).max() < 1 / 255


def test_grey_hair_is_white_and_dark_strands_side_by_side():
    """Nobody's or everybody's at the ends; between, the share is that of white strands, and few lie between both colours."""
    dark, white, random = np.zeros(3), np.ones(3), (np.arange(1000) + 0.5) / 1000
    assert (turn_white(dark, white, 0.0, random) == 0).all()
    assert (turn_white(dark, white, 1.0, random) == 1).all()
    half = turn_white(dark, white, 0.5, random)[:, 0]
    assert half.mean() == pytest.approx(0.5, abs=0.01)
    assert ((half > 0) & (half < 1)).mean() == pytest.approx(0.3, abs=0.01)
