"""Maps: what is planted is found again, new faces fall where they belong, and nothing is worked out twice."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from core.analysis import projection, umap_process
from core.analysis.projection import compute_plane_axes, fit_projection
from core.errors import Cancelled, LiminalError
from core.progress import Progress


def groups(n=90, dimensions=12, seed=0):
    rng = np.random.default_rng(seed)
    which = np.arange(n) % 3
    return (rng.normal(size=(3, dimensions)) * 8)[which].astype(np.float32) + rng.normal(size=(n, dimensions)).astype(
        np.float32
    ), which


@pytest.mark.parametrize(("n", "dimensions"), [(50, 8), (6, 40)])
def test_pca_is_that_of_scikit_learn(tmp_path, n, dimensions):
    rows = np.random.default_rng(1).normal(size=(n, dimensions)).astype(np.float32)
    mine, theirs = fit_projection(rows, "pca", folder=tmp_path), PCA(2).fit(rows)
    turned = theirs.transform(rows) * np.sign((theirs.components_ * mine.axes[1:]).sum(axis=1))
    assert np.allclose(mine.points, turned, atol=1e-4)
    assert np.allclose(mine.explained, theirs.explained_variance_ratio_, atol=1e-5)


def test_a_face_without_values_has_no_place_and_new_faces_fall_into_the_picture(tmp_path):
    rows, _ = groups()
    rows[4] = np.nan
    found = fit_projection(rows, "pca", folder=tmp_path)
    assert np.isnan(found.points[4]).all()
    assert np.isfinite(np.delete(found.points, 4, axis=0)).all()
    assert np.allclose(found.transform(rows), found.points, equal_nan=True, atol=1e-4)
    with pytest.raises(LiminalError, match="values a face"):
        found.transform(rows[:, :5])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 30))
def test_the_plane_goes_through_its_three_faces(tmp_path_factory, seed, dimensions):
    corners = np.random.default_rng(seed).normal(size=(3, dimensions))
    folder = tmp_path_factory.mktemp("plane")
    found = fit_projection(corners.astype(np.float32), "plane", corners=corners.astype(np.float32), folder=folder)
    base, negative, optimum = found.points.astype(np.float64)
    assert np.allclose(base, 0, atol=1e-5)
    assert negative[0] > 0
    assert abs(negative[1]) < 1e-5
    assert optimum[1] > 0
    for first, second in ((0, 1), (0, 2), (1, 2)):
        apart = np.linalg.norm(corners[first] - corners[second])
        assert np.isclose(np.linalg.norm(found.points[first] - found.points[second]), apart, rtol=1e-4)
    assert found.off_plane(corners).max() < 1e-2
    away = np.linalg.svd(found.axes[1:])[2][-1]  # at right angles to both directions
    assert np.allclose(found.off_plane((corners + 3 * away).astype(np.float32)), 3, atol=1e-2)


def test_three_faces_on_one_line_span_no_plane():
    line = np.outer([0, 1, 2], np.ones(4)).astype(np.float64)
    with pytest.raises(LiminalError, match="one line"):
        compute_plane_axes(line)
    with pytest.raises(LiminalError, match="same face"):
        compute_plane_axes(np.zeros((3, 4)))


def test_bad_input_is_one_sentence(tmp_path):
    rows = np.full((5, 3), np.nan)
    for wrong in ({"method": "pca"}, {"method": "tsne"}, {"method": "plane"}):
        with pytest.raises(LiminalError):
            fit_projection(rows, wrong["method"], folder=tmp_path)
    with pytest.raises(LiminalError, match="two values"):
        fit_projection(np.zeros((5, 1)), "pca", folder=tmp_path)


def test_a_result_is_kept_by_what_went_in_and_made_again_where_it_is_damaged(tmp_path, monkeypatch):
    rows, _ = groups()
    first = fit_projection(rows, "pca", folder=tmp_path)
    (file,) = tmp_path.glob("*.npz")
    monkeypatch.setattr(projection, "_compute_pca_axes", lambda rows: pytest.fail("worked out again"))
    again = fit_projection(rows.copy(), "pca", folder=tmp_path)
    assert np.array_equal(first.points, again.points)
    assert again.key == first.key == file.stem
    monkeypatch.undo()
    assert fit_projection(rows + 1, "pca", folder=tmp_path).key != first.key
    file.write_bytes(file.read_bytes()[:100])
    assert np.array_equal(fit_projection(rows, "pca", folder=tmp_path).points, first.points)


def test_a_disk_that_takes_nothing_costs_no_map(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(projection, "write_bytes", full)
    assert np.isfinite(fit_projection(groups()[0], "pca", folder=tmp_path).points).all()


@pytest.fixture(scope="module")
def laid(tmp_path_factory):
    rows, which = groups()
    rows[7] = np.nan
    seen = []
    folder = tmp_path_factory.mktemp("umap")
    return rows, which, fit_projection(rows, "umap", folder=folder, progress=Progress(seen.append)), seen, folder


def test_umap_keeps_planted_groups_apart_and_tells_how_far_it_is(laid):
    rows, which, found, seen, folder = laid
    assert np.isnan(found.points[7]).all()
    centres = np.stack([np.nanmean(found.points[which == each], axis=0) for each in range(3)])
    nearest = np.linalg.norm(found.points[:, None] - centres, axis=2)
    known = np.isfinite(found.points).all(axis=1)
    assert (nearest.argmin(axis=1)[known] == which[known]).all()
    assert len(seen) >= 3
    shares = [each.fraction for each in seen]
    assert shares == sorted(shares)
    again = fit_projection(rows, "umap", folder=folder, progress=Progress(lambda stage: pytest.fail("laid out again")))
    assert np.array_equal(again.points, found.points, equal_nan=True)


def test_new_faces_fall_among_their_neighbours(laid):
    rows, which, found, _, _ = laid
    known = np.isfinite(rows).all(axis=1)
    assert np.allclose(found.transform(rows)[known], found.points[known], atol=1e-5), "a face that is there has its place"
    near = found.transform(rows[known] + 0.05)
    centres = np.stack([np.nanmean(found.points[which == each], axis=0) for each in range(3)])
    assert (np.linalg.norm(near[:, None] - centres, axis=2).argmin(axis=1) == which[known]).all()


def test_more_rows_than_umap_takes_are_placed_among_a_sample(monkeypatch, tmp_path):
    rows, _ = groups(300)
    monkeypatch.setattr(projection, "MAX_UMAP_ROWS", 60)
    monkeypatch.setattr(umap_process, "run_umap", lambda rows, **rest: rows[:, :2] * 2)
    found = fit_projection(rows, "umap", folder=tmp_path)
    assert len(found.anchors) == 60
    assert np.isfinite(found.points).all()
    assert np.array_equal(found.points[found.anchors], rows[found.anchors, :2] * 2)
    assert np.corrcoef(found.points[:, 0], rows[:, 0])[0, 1] > 0.95


def test_umap_stops_on_request_and_leaves_no_process_and_no_file(tmp_path):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        fit_projection(groups()[0], "umap", folder=tmp_path, progress=Progress(cancel=stop))
    started = threading.Event()

    def report(stage):
        started.set()

    progress = Progress(report)
    threading.Thread(target=lambda: (started.wait(30), progress.cancel.set())).start()
    with pytest.raises(Cancelled):
        fit_projection(groups(seed=5)[0], "umap", folder=tmp_path, progress=progress)
    assert not list(tmp_path.iterdir())
    assert umap_process._one_at_a_time.acquire(timeout=1), "the next one may begin"
    umap_process._one_at_a_time.release()


def test_a_process_that_dies_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONHASHSEED", "no number")  # Python refuses to start
    with pytest.raises(LiminalError, match="try PCA"):
        fit_projection(groups(seed=6)[0], "umap", folder=tmp_path)
