"""Embeddings of pictures by a recogniser or encoder, for maps; those of library samples are stored on disk by their content."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.data_folder import data_folder
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.models.custom.catalogue import list_custom_models
from core.progress import Progress
from core.sampling.images import to_images
from core.studies.library import Library
from core.writing import write_bytes

torch = lazy_import("torch")

CHUNK = 16  # pictures between two checks whether to stop
FORMAT = 1  # of the stored files

Array = NDArray[np.float32]
Pictures = NDArray[np.uint8]


def list_embedding_models() -> tuple[str, ...]:
    """The networks that turn a face into values: the encoders and the recognisers."""
    return (*registry.list_names("encoder"), *registry.list_names("recogniser"))


def load_stored_embeddings(sample_ids: Sequence[str], model: str, *, folder: Path | None = None) -> Array | None:
    """Embeddings (N, D) that ``embed_library`` stored for the same faces, or None."""
    try:
        with np.load(_embedding_path(sample_ids, model, folder), allow_pickle=False) as arrays:
            vectors: Array = arrays["vectors"]
    except Exception:  # missing, or damaged in any way: it is made again
        return None
    return vectors if len(vectors) == len(sample_ids) else None


def embed_library(
    library: Library,
    where: Mapping[str, str],
    sample_ids: Sequence[str],
    model: str,
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Array:
    """Embed samples of the library by a model -> (N, D) float32, NaN rows where it found no face.

    where: sample_id -> set. Raises LiminalError where a picture is missing or there is no such network.
    """
    stored = load_stored_embeddings(sample_ids, model, folder=folder)
    if stored is not None:
        return stored
    vectors = _embed(
        lambda name: _read_picture(library, where.get(name, ""), name), list(sample_ids), model, progress or Progress()
    )
    buffer = io.BytesIO()
    np.savez(buffer, vectors=vectors)
    with contextlib.suppress(OSError):  # a full disk costs the time of making them again
        write_bytes(_embedding_path(sample_ids, model, folder), buffer.getvalue())
    return vectors


def embed_images(images: Mapping[str, Pictures], model: str, progress: Progress | None = None) -> Array:
    """Embed pictures (H, W, 3) -> (N, D) float32 in their order, NaN rows where no face was found."""
    return _embed(images.__getitem__, list(images), model, progress or Progress())


def _embed(picture: Callable[[str], Pictures], names: list[str], model: str, progress: Progress) -> Array:
    entry = next(
        (candidate for candidate in registry.list_entries() if candidate.name == model and model in list_embedding_models()), None
    )
    if entry is None:
        raise LiminalError(
            f"There is no network '{model}' that makes values of faces; there are {', '.join(list_embedding_models())}."
        )
    progress.stage(f"Loading {entry.title}", 0.0)
    network: Any = registry.load(model, entry.kind)
    rows: list[Array] = []
    for start in range(0, len(names), CHUNK):
        progress.stage(f"{entry.title} looks at face {start + 1:,} of {len(names):,}", start / len(names))
        chunk = [picture(name) for name in names[start : start + CHUNK]]
        with torch.inference_mode():
            for same in _group_by_size(chunk):
                rows.append(network.embed(to_images(np.stack(same))).float().cpu().numpy())
    return np.concatenate(rows) if rows else np.empty((0, network.embedding_dim), np.float32)


def _group_by_size(pictures: list[Pictures]) -> list[list[Pictures]]:
    """Neighbours of one size together, in order."""
    groups: list[list[Pictures]] = []
    for picture in pictures:
        if groups and groups[-1][0].shape == picture.shape:
            groups[-1].append(picture)
        else:
            groups.append([picture])
    return groups


def _read_picture(library: Library, set_id: str, name: str) -> Pictures:
    content, _ = library.picture(set_id, name)
    try:
        with Image.open(io.BytesIO(content)) as opened:
            return np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise LiminalError(f"The picture of {name} in the set {set_id} is damaged; copy the set again.") from error


def _embedding_path(sample_ids: Sequence[str], model: str, folder: Path | None) -> Path:
    # the hashes of a custom model's files, since another network may get the same name later
    files = next((card.files for card in list_custom_models() if card.name == model), {})
    weights = "".join(files.values())
    key = hashlib.blake2b(f"{FORMAT}/{model}{weights}/{'/'.join(sample_ids)}".encode(), digest_size=16).hexdigest()
    return (folder or data_folder() / "vectors") / f"{key}.npz"
