"""Find the folder with the user's own data: ratings, the library of sample sets, caches."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

import core
from core.errors import LiminalError


def locate_data_folder() -> Path:
    """Where the data folder is or will be; the disk is not asked."""
    chosen = os.environ.get("LIMINAL_DATA_DIR")
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("liminal", appauthor=False)


def data_folder() -> Path:
    """LIMINAL_DATA_DIR, else the user's data folder of this system; made on first use, readable by the user alone.

    Raises LiminalError when it cannot be made.
    """
    folder = locate_data_folder()
    if folder.is_dir():
        return folder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LiminalError(
            f"The data folder {folder} cannot be made ({error.strerror or error}); name another one by LIMINAL_DATA_DIR."
        ) from None
    return folder


ASSETS = Path(core.__file__).resolve().parents[1] / "assets"
