"""Stored descriptors of faces and the distances between them, in NumPy alone: a page judges thousands before torch is imported."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

import core
from core.errors import LiminalError
from core.models.own.listing import own_models
from core.writing import write_bytes

Metric = Literal["euclidean", "cosine", "euclidean_l2"]

ASSETS = Path(core.__file__).resolve().parents[1] / "assets"

METRICS: dict[str, Metric] = {"dlib": "euclidean", "sface": "cosine"}
"""How each recogniser measures; equal to its own ``distance`` (a test holds them together)."""

ROUNDING = 1e-3
"""Half precision is stored where it moves no distance by more than this."""


def metric_of(recogniser: str) -> Metric:
    """The metric of a recogniser's distance. Raises LiminalError for a recogniser without stored descriptors."""
    facts = next((each.facts for each in own_models() if each.name == recogniser), {})
    metric: Metric | None = METRICS.get(recogniser) or facts.get("metric")
    if metric is None or metric not in get_args(Metric):
        known = ", ".join(METRICS)
        raise LiminalError(f"No descriptors are stored for the recogniser '{recogniser}', only for {known}; choose one of these.")
    return metric


def distances(a: NDArray[Any], b: NDArray[Any], metric: Metric) -> NDArray[np.float64]:
    """Every row of ``a`` (N, D) against every row of ``b`` (M, D) -> (N, M). NaN where either side is NaN.

    euclidean: the L2 distance. cosine: one minus the cosine, in [0, 2]. euclidean_l2: L2 of vectors of unit length, in [0, 2].
    """
    first, second = np.atleast_2d(a).astype(np.float64), np.atleast_2d(b).astype(np.float64)
    if metric != "euclidean":
        first = first / np.linalg.norm(first, axis=1, keepdims=True)
        second = second / np.linalg.norm(second, axis=1, keepdims=True)
    if metric == "cosine":
        result: NDArray[np.float64] = 1.0 - first @ second.T
        return result
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1)[None, :] - 2.0 * first @ second.T
    apart: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0.0))
    return apart


def compact(vectors: NDArray[Any], metric: Metric) -> NDArray[Any]:
    """The same vectors (N, D) in float16 if no distance among the first 300 moves by more than ROUNDING, else in float32."""
    full, half = vectors.astype(np.float32), vectors.astype(np.float16)
    known = full[np.isfinite(full).all(axis=1)][:300]
    moved = np.abs(distances(known, known, metric) - distances(known.astype(np.float16), known, metric))
    if len(known):
        np.fill_diagonal(moved, 0.0)  # a face's distance to itself is not a judgement
    return half if len(known) and float(moved.max()) <= ROUNDING else full


def read_arrays(path: Path, mend: str) -> dict[str, NDArray[Any]]:
    """All arrays of an npz file. Raises LiminalError with ``mend``, the command that makes the file."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise LiminalError(f"The file {path} is missing or damaged; make it again with '{mend}'.") from error


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an npz file at once or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(arrays))  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())
