"""Stored scores of faces: descriptors by recogniser and logits by classifier, their files, and the distances between descriptors.

In NumPy alone: a page compares thousands of faces before torch is imported. Of a recogniser or classifier that the user added, the
scores lie as ``<generator>.npz`` in the model's folder of precomputed data: descriptors of the first strangers of a generator and
of the bases of its gallery, or logits of the first faces of the reference set. ``building.precompute`` makes them. All tables in
``stored`` are read by ``read_card`` and ``read_arrays``.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models import registry
from core.models.custom import catalogue
from core.models.custom.catalogue import find_class, list_custom_models
from core.writing import write_bytes

Metric = Literal["euclidean", "cosine", "euclidean_l2"]

METRICS: dict[str, Metric] = {"dlib": "euclidean", "sface": "cosine"}
"""How each recogniser measures; equal to its own ``distance`` (a test holds them together)."""

ROUNDING_LIMIT = 1e-3
"""Half precision is stored where it moves no distance by more than this."""


def get_metric(recogniser: str) -> Metric:
    """The metric of a recogniser's distance. Raises LiminalError for a recogniser without stored descriptors."""
    facts = next((model.facts for model in list_custom_models() if model.name == recogniser), {})
    metric: Metric | None = METRICS.get(recogniser) or facts.get("metric")
    if metric is None or metric not in get_args(Metric):
        names = ", ".join(METRICS)
        raise LiminalError(f"No descriptors are stored for the recogniser '{recogniser}', only for {names}; choose one of these.")
    return metric


def pairwise_distances(a: NDArray[Any], b: NDArray[Any], metric: Metric) -> NDArray[np.float64]:
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
    distances: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0.0))
    return distances


def compact_descriptors(vectors: NDArray[Any], metric: Metric) -> NDArray[Any]:
    """The same vectors (N, D) in float16 if no distance among the first 300 moves by more than ROUNDING_LIMIT, else in float32."""
    full, half = vectors.astype(np.float32), vectors.astype(np.float16)
    faces = full[np.isfinite(full).all(axis=1)][:300]
    moved = np.abs(pairwise_distances(faces, faces, metric) - pairwise_distances(faces.astype(np.float16), faces, metric))
    if len(faces):
        np.fill_diagonal(moved, 0.0)  # a face's distance to itself is not a judgement
    return half if len(faces) and float(moved.max()) <= ROUNDING_LIMIT else full


Parsed = TypeVar("Parsed")


def read_card(path: Path, parse: Callable[[dict[str, Any]], Parsed], missing: str, command: str) -> Parsed:
    """What ``parse`` makes of the JSON object in a file; every stored table has such a card.

    Raises LiminalError where the file is missing or damaged or lacks an entry. missing: how its sentence begins, for example 'No
    gallery is stored'; command: what makes the file.
    """
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiminalError(f"{missing} in {path.parent}, or the files there are damaged; run '{command}'.") from error


def read_arrays(path: Path, command: str) -> dict[str, NDArray[Any]]:
    """All arrays of an npz file. Raises LiminalError with ``command``, which makes the file."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise LiminalError(f"The file {path} is missing or damaged; make it again with '{command}'.") from error


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an npz file at once or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(arrays))  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())


PRECOMPUTE_COMMAND = "python -m core models prepare"

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CustomDescriptors:
    """A recogniser's descriptors, NaN rows where it found no face: of the first strangers (n, D), and of bases by their ids."""

    strangers: FloatArray
    bases: dict[str, FloatArray]


def list_custom_names(kind: str) -> list[str]:
    """The names of the added models of a kind."""
    return [model.name for model in list_custom_models() if find_class(model.model_class).kind == kind]


def locate_tables(generator: str, folder: Path, name: str, command: str) -> tuple[Path, str]:
    """Where a generator's tables lie, and the command that makes them.

    Both are as given for a built-in one; the tables of an added one lie in ``name`` in its folder of precomputed data.
    """
    if generator not in list_custom_names("generator"):
        return folder, command
    return catalogue.precomputed_folder(generator) / name, f"{PRECOMPUTE_COMMAND} {generator}"


def load_custom_descriptors(recogniser: str, generator: str) -> CustomDescriptors | None:
    """What an added recogniser says of a generator's faces; None where it was never asked. Imports no torch."""
    path = custom_scores_path(recogniser, generator)
    if not path.is_file():
        return None
    arrays = read_arrays(path, f"{PRECOMPUTE_COMMAND} {recogniser}")
    return CustomDescriptors(arrays["strangers"], dict(zip(arrays["base_ids"].tolist(), arrays["bases"], strict=True)))


def load_custom_base_descriptors(generator: str, base_ids: Sequence[str]) -> dict[str, FloatArray]:
    """Every added recogniser that has judged all these bases -> their descriptors (N, D)."""
    stored = {name: load_custom_descriptors(name, generator) for name in list_custom_names("recogniser")}
    return {
        name: np.stack([descriptors.bases[base] for base in base_ids])
        for name, descriptors in stored.items()
        if descriptors is not None and all(base in descriptors.bases for base in base_ids)
    }


def load_custom_logits(classifier: str, generator: str) -> tuple[FloatArray, float] | None:
    """An added classifier's logits (n, 6) of a generator's plain faces, and its temperature; None where it was never asked."""
    path = custom_scores_path(classifier, generator)
    if not path.is_file():
        return None
    arrays = read_arrays(path, f"{PRECOMPUTE_COMMAND} {classifier}")
    return arrays["logits"], float(arrays["temperature"])


def make_not_judged_error(recogniser: str, generator: str) -> LiminalError:
    """The error for a model without stored scores of a generator's faces."""
    title = next((model.title for model in list_custom_models() if model.name == recogniser), "") or recogniser
    return LiminalError(
        f"{title} has not judged the faces of {generator} yet; prepare it on the page Models or by "
        f"'{PRECOMPUTE_COMMAND} {recogniser}'."
    )


def custom_scores_path(model: str, generator: str) -> Path:
    """The file of an added model's scores of a generator's faces."""
    return catalogue.precomputed_folder(model) / f"{generator}.npz"


JUDGE_KINDS = ("recogniser", "classifier")
PRECOMPUTED_CARD = "prepared.json"


def is_precomputed(name: str) -> bool:
    """Whether an added model was prepared to the end. Imports no torch."""
    return (catalogue.precomputed_folder(name) / PRECOMPUTED_CARD).is_file()


def needs_precomputing(entry: registry.Entry) -> bool:
    """Whether pages have something to gain from preparing a model."""
    return entry.custom is not None and entry.kind in ("generator", *JUDGE_KINDS)
