"""What made a sample set, for its manifest: versions, device, and every model with the hashes of its weights."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import core

if TYPE_CHECKING:
    from core.models.contracts import ModelCard


def provenance(cards: Iterable[ModelCard], device: object, packages: Sequence[str]) -> dict[str, Any]:
    """Plain data. packages: those whose version a result depends on."""
    return {
        "versions": {
            "liminal": core.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
        "device": str(device),
        "models": {card.name: {"kind": card.kind, "files": {each.path: each.sha256 for each in card.files}} for card in cards},
    }
