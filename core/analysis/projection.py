"""Many values a face -> two dimensions, fitted once: new faces fall into the picture that is there.

pca: the two directions of largest variance. umap: neighbours stay neighbours (McInnes et al. 2018, arXiv:1802.03426). plane:
the plane through a base, a negative and an optimum (paper A, Fig. 1). Results are stored on disk by the hash of their input.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from core.analysis import umap_process
from core.data_folder import data_folder
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.progress import Progress
from core.writing import write_bytes

neighbors = lazy_import("sklearn.neighbors")

ProjectionMethod = Literal["pca", "umap", "plane"]
PROJECTION_METHODS: tuple[ProjectionMethod, ...] = get_args(ProjectionMethod)

NEIGHBOURS = 15
MINIMUM_DISTANCE = 0.1
MAX_UMAP_ROWS = 20_000
"""More rows than this are placed among a seeded sample of as many, as new faces are."""

FORMAT = 1  # of the stored files
CHUNK = 4096

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Projection:
    """A map of N faces. points: float32 (N, 2), NaN where the vector has NaN (no face).

    axes: float64 (3, D), the origin and both directions of pca and plane, (0, D) for umap. anchors: of umap, the rows of
    ``vectors`` that were laid out by UMAP itself. explained: shares of variance along both axes (pca and plane), else (0, 0).
    """

    method: ProjectionMethod
    key: str  # hash of vectors, method, parameters and versions
    vectors: Array  # (N, D), as they came in
    points: Array
    axes: NDArray[np.float64]
    anchors: NDArray[np.int64]
    explained: tuple[float, float]

    def transform(self, vectors: NDArray[Any]) -> Array:
        """Place new vectors (M, D) on the map -> (M, 2) float32; NaN rows stay NaN.

        pca and plane are linear. umap: the mean of the nearest 15 anchors' places, weighted by closeness, which is where UMAP's
        own transform starts from; a vector that is an anchor gets the anchor's place. Raises LiminalError for another width.
        """
        rows = _check_vectors(vectors)
        if rows.shape[1] != self.vectors.shape[1]:
            raise LiminalError(
                f"This map was made from {self.vectors.shape[1]} values a face, the new faces have {rows.shape[1]}; "
                "choose faces of the same generator and the same kind of map."
            )
        if self.method == "umap":
            return _place_among_anchors(rows, self.vectors[self.anchors], self.points[self.anchors])
        placed: Array = ((rows.astype(np.float64) - self.axes[0]) @ self.axes[1:].T).astype(np.float32)
        return placed

    def off_plane(self, vectors: NDArray[Any]) -> Array:
        """(M, D) -> (M,): how far each vector lies from the drawn plane, in its own units; zeros for umap."""
        rows = _check_vectors(vectors).astype(np.float64)
        if self.method == "umap":
            return np.zeros(len(rows), np.float32)
        centred = rows - self.axes[0]
        inside = centred @ self.axes[1:].T
        rest = (centred**2).sum(axis=1) - (inside**2).sum(axis=1)
        away: Array = np.sqrt(np.maximum(rest, 0)).astype(np.float32)
        return away


def fit_projection(
    vectors: NDArray[Any],
    method: ProjectionMethod,
    *,
    seed: int = 0,
    corners: NDArray[Any] | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Projection:
    """Project vectors (N, D) onto a plane; read from disk where the same input was projected before.

    corners: (3, D), base, negative and optimum, for ``plane``. folder: where results are stored (None: the data folder's
    ``projections``). UMAP runs in a process of its own, one at a time, is seeded, and stops when ``progress`` says so.
    Raises LiminalError for fewer than three usable rows, for corners on one line and for an unknown method.
    """
    rows, progress = _check_vectors(vectors), progress or Progress()
    if method not in PROJECTION_METHODS:
        raise LiminalError(f"There is no map called '{method}'; there are {', '.join(PROJECTION_METHODS)}.")
    usable = np.flatnonzero(np.isfinite(rows).all(axis=1))
    if method != "plane" and len(usable) < 3:
        raise LiminalError(f"A map needs at least three faces with values, and here are {len(usable)}; choose more.")
    if method == "plane" and (corners is None or np.shape(corners) != (3, rows.shape[1])):
        raise LiminalError("The plane needs three faces to lie through: a base, a negative and an optimum.")
    key = _hash_inputs(rows, method, seed, corners)
    path = (folder or data_folder() / "projections") / f"{key}.npz"
    stored = _load(path, key, rows, method)
    if stored is not None:
        return stored
    anchors = np.zeros(0, np.int64)
    if method == "umap":
        points, anchors, axes = *_project_umap(rows, usable, seed, progress), np.zeros((0, rows.shape[1]))
        explained = (0.0, 0.0)
    else:
        axes = _compute_pca_axes(rows[usable]) if method == "pca" else compute_plane_axes(np.asarray(corners, np.float64))
        points, explained = _project_linear(rows, usable, axes)
    projection = Projection(method, key, rows, points, axes, anchors, explained)
    _save(path, projection)
    return projection


def compute_plane_axes(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Base, negative, optimum (3, D) -> origin and two orthonormal directions (3, D): base in the origin, negative to the right,
    optimum above. Raises LiminalError where the three lie on one line."""
    base, negative, optimum = corners.astype(np.float64)
    right, up = negative - base, optimum - base
    length = np.linalg.norm(right)
    if length == 0 or not np.isfinite(corners).all():
        raise LiminalError("Base and negative are the same face, so that they span no plane; choose another negative.")
    right = right / length
    up = up - (up @ right) * right
    height = np.linalg.norm(up)
    if height <= 1e-9 * length:
        raise LiminalError("Base, negative and optimum lie on one line, so that they span no plane; choose another optimum.")
    return np.stack([base, right, up / height])


def _check_vectors(vectors: NDArray[Any]) -> Array:
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] < 2:
        raise LiminalError("A map needs a table with at least two values a face.")
    return np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, np.float32(np.nan))


def _compute_pca_axes(rows: Array) -> NDArray[np.float64]:
    """(N, D) -> mean and the two principal directions (3, D); each direction's largest value is positive."""
    mean = rows.mean(axis=0, dtype=np.float64)
    centred = rows - mean
    if len(rows) > rows.shape[1]:
        _, vectors = np.linalg.eigh(centred.T @ centred)
        directions = vectors[:, ::-1][:, :2].T
    else:
        directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
    largest = directions[np.arange(2), np.abs(directions).argmax(axis=1)]
    return np.vstack([mean, directions * np.where(largest < 0, -1.0, 1.0)[:, None]])


def _project_linear(rows: Array, usable: NDArray[np.int64], axes: NDArray[np.float64]) -> tuple[Array, tuple[float, float]]:
    points = ((rows.astype(np.float64) - axes[0]) @ axes[1:].T).astype(np.float32)
    total = float(rows[usable].var(axis=0, dtype=np.float64).sum()) if len(usable) else 0.0
    spread = points[usable].var(axis=0, dtype=np.float64) if len(usable) else np.zeros(2)
    return points, (float(spread[0] / total), float(spread[1] / total)) if total > 0 else (0.0, 0.0)


def _project_umap(rows: Array, usable: NDArray[np.int64], seed: int, progress: Progress) -> tuple[Array, NDArray[np.int64]]:
    anchors = usable
    if len(usable) > MAX_UMAP_ROWS:
        anchors = np.sort(np.random.default_rng(seed).choice(usable, MAX_UMAP_ROWS, replace=False))
    laid = umap_process.run_umap(
        rows[anchors], neighbours=min(NEIGHBOURS, len(anchors) - 1), spread=MINIMUM_DISTANCE, seed=seed, progress=progress
    )
    points = np.full((len(rows), 2), np.nan, np.float32)
    points[anchors] = laid
    rest = np.setdiff1d(usable, anchors)
    points[rest] = _place_among_anchors(rows[rest], rows[anchors], laid)
    return points, anchors


def _place_among_anchors(rows: Array, anchors: Array, places: Array) -> Array:
    """New rows (M, D) among anchors (A, D) with places (A, 2) -> (M, 2)."""
    result = np.full((len(rows), 2), np.nan, np.float32)
    known = np.flatnonzero(np.isfinite(rows).all(axis=1))
    if not len(known):
        return result
    search = neighbors.NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(anchors))).fit(anchors)
    for start in range(0, len(known), CHUNK):
        part = known[start : start + CHUNK]
        apart, who = search.kneighbors(rows[part])
        # As UMAP's memberships: the nearest counts fully, the rest fall off exponentially with what they are farther.
        scale = np.maximum((apart - apart[:, :1]).mean(axis=1, keepdims=True), 1e-12)
        weight = np.exp(-(apart - apart[:, :1]) / scale)
        exact = apart[:, 0] <= 1e-4 * np.maximum(np.linalg.norm(rows[part], axis=1), 1e-12)
        weight[exact] = 0.0
        weight[exact, 0] = 1.0
        weight /= weight.sum(axis=1, keepdims=True)
        result[part] = (weight[:, :, None] * places[who]).sum(axis=1)
    return result


def _hash_inputs(rows: Array, method: ProjectionMethod, seed: int, corners: NDArray[Any] | None) -> str:
    digest = hashlib.blake2b(digest_size=16)
    parameters = (FORMAT, method, rows.shape)
    if method == "umap":
        parameters += (seed, NEIGHBOURS, MINIMUM_DISTANCE, MAX_UMAP_ROWS, version("umap-learn"))  # type: ignore[assignment]
    digest.update(repr(parameters).encode())
    digest.update(rows.tobytes())
    if method == "plane" and corners is not None:
        digest.update(np.ascontiguousarray(corners, np.float64).tobytes())
    return digest.hexdigest()


def _save(path: Path, projection: Projection) -> None:
    buffer = io.BytesIO()
    np.savez(
        buffer, points=projection.points, axes=projection.axes, anchors=projection.anchors, explained=np.array(projection.explained)
    )
    try:
        write_bytes(path, buffer.getvalue())
    except OSError:
        return  # a full or read-only disk costs the time of fitting again, not the map


def _load(path: Path, key: str, rows: Array, method: ProjectionMethod) -> Projection | None:
    """The stored result, or None where there is none or it is damaged, in which case it is made again."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            points, axes, anchors = arrays["points"], arrays["axes"], arrays["anchors"]
            explained = (float(arrays["explained"][0]), float(arrays["explained"][1]))
    except Exception:  # every way in which a file of zipped arrays can be damaged
        return None
    return Projection(method, key, rows, points, axes, anchors, explained) if points.shape == (len(rows), 2) else None
