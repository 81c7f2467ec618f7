"""Libraries that only some added models need, and what to do where one is not installed."""

from __future__ import annotations

import importlib.util

from core.errors import LiminalError

COMMANDS = {
    "transformers": "pip install -r requirements-models.txt",
    "accelerate": "pip install -r requirements-models.txt",
    "onnxruntime": "pip install onnxruntime",
    "deepface": "pip install deepface tf-keras",
}


def needed(library: str, purpose: str) -> None:
    """Raise LiminalError with the command that installs a library where it is missing."""
    try:
        present = importlib.util.find_spec(library) is not None
    except (ImportError, ValueError):  # a stand-in put into sys.modules has no specification
        present = True
    if not present:
        raise LiminalError(f"{purpose} need the library {library}, which is not installed; run '{COMMANDS[library]}'.")
