"""Where what was worked out for an added model lies, so that pages need not wait for its network: below the data folder.

A generator has a gallery, strangers and a reference population; a recogniser or classifier its opinions of such faces. All of it
belongs to one set of weights: it goes when the model is removed or replaced.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from core.data_folder import data_folder


def folder(model: str) -> Path:
    """What was worked out for an added model; it need not be there."""
    return data_folder() / "prepared" / model


def forget(model: str) -> None:
    """Delete what was worked out for a model, and what other added models said of its faces."""
    shutil.rmtree(folder(model), ignore_errors=True)
    for path in folder("").glob(f"*/{model}.*"):
        path.unlink(missing_ok=True)
    for path in folder("").glob(f"*/thresholds/{model}-*.json"):
        path.unlink(missing_ok=True)


def version(model: str) -> int:
    """A number that changes when the model is prepared anew; 0 where it is not. Pages keep what they read by it."""
    try:
        return folder(model).stat().st_mtime_ns
    except OSError:
        return 0
