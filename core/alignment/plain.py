"""Plain faces as the emotion MLP reads them, made beforehand: to make them anew takes minutes before anything can be learned.

``assets/alignment/plain-<generator>.safetensors``: a tensor for each hundred faces, by the name of the file in which ``inputs``
keeps them. What they were made with stands in the file's metadata; once that has changed the file is passed over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from core.models.weights import ROOT
from core.writing import write_bytes

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = ROOT / "assets" / "alignment"
CLASSIFIER = "emotion-mlp"
"""Rows of the others are pictures, far larger."""
MADE_WITH = "made_with"


def found(generator: str, name: str, folder: Path | None = None) -> Tensor | None:
    """The rows (F, E) stored under ``name``; None where there are none, or of another encoder or reference population."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(_path(generator, folder), framework="pt") as file:
            known = (file.metadata() or {}).get(MADE_WITH) == made_with(generator) and name in file.keys()  # noqa: SIM118
            return file.get_tensor(name) if known else None
    except (OSError, SafetensorError):
        return None


def store(generator: str, rows: Mapping[str, Tensor], folder: Path | None = None) -> Path:
    """Write rows by the names under which they are looked for -> the file."""
    from safetensors.torch import save

    path = _path(generator, folder)
    write_bytes(path, save(dict(rows), metadata={MADE_WITH: made_with(generator)}))
    return path


def made_with(generator: str) -> str:
    """Hash of the cards of the encoder and of the generator's reference population. Raises OSError where one is missing."""
    cards = (ROOT / "assets" / "weights" / "face-embedding.json", ROOT / "assets" / "reference" / f"{generator}.json")
    return hashlib.sha256(b"".join(card.read_bytes() for card in cards)).hexdigest()


def _path(generator: str, folder: Path | None) -> Path:
    return (folder or FOLDER) / f"plain-{generator}.safetensors"
