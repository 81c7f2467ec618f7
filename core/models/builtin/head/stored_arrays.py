"""Stored arrays of the head: ``assets/head/<name>.npz`` and beside it ``<name>.json``, its card with SHA-256 and sources.

Two files are stored: ``geometry`` (mesh, shapes, masks) and ``hair`` (grown strands). ``python -m core assets head`` makes them
from MakeHuman's files (``core.models.training.head_source``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data_folder import ASSETS
from core.errors import LiminalError
from core.models.weights import WeightFile
from core.writing import write_bytes

HEAD_FOLDER = ASSETS / "head"
HEAD_COMMAND = "python -m core assets head --source FOLDER"

HEAD_FILES = ("geometry", "hair")


def list_head_files() -> tuple[WeightFile, ...]:
    """The committed files as files of a model card; their SHA-256 are read from the cards beside them."""
    return tuple(_find_head_file(name) for name in HEAD_FILES)


def _find_head_file(name: str) -> WeightFile:
    try:
        sha256 = str(json.loads((HEAD_FOLDER / f"{name}.json").read_text(encoding="utf-8"))["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        sha256 = ""  # differs from every file's, so that ``verified`` says what is wrong
    return WeightFile("made here", "", f"assets/head/{name}.npz", sha256, HEAD_COMMAND)


def read_head_arrays(name: str, folder: Path | None = None) -> dict[str, NDArray[Any]]:
    """All arrays of a stored file. Raises LiminalError where it or its card is missing, or where a byte of it was altered."""
    path = (folder or HEAD_FOLDER) / f"{name}.npz"
    advice = f"restore the file from the repository or make it again with '{HEAD_COMMAND}'"
    try:
        expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["sha256"]
        content = path.read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiminalError(f"The file {path} of the parametric head or its card is missing or damaged; {advice}.") from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise LiminalError(f"The file {path} of the parametric head is not the one that its card describes (SHA-256); {advice}.")
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def write_head_arrays(name: str, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any], folder: Path | None = None) -> int:
    """Write the arrays and their card, the card last; returns the number of bytes. ``facts``: sources, licences, figures."""
    path = (folder or HEAD_FOLDER) / f"{name}.npz"
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(arrays))  # type: ignore[arg-type]
    content = buffer.getvalue()
    card = {
        "name": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "command": HEAD_COMMAND,
        **facts,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }
    write_bytes(path, content)
    write_bytes(path.with_suffix(".json"), (json.dumps(card, indent=1, allow_nan=False) + "\n").encode())
    return len(content)
