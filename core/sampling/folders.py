"""A folder written whole or not at all: beside its place first, then moved there in one step."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import LiminalError


def check_free(target: Path) -> None:
    """Raises LiminalError where a new folder could not be written: called before long work, so that it is not lost."""
    if target.is_file() or target.is_symlink():
        raise LiminalError(f"{target} is not a folder but a file; choose another place.")
    if target.is_dir() and any(target.iterdir()):
        raise LiminalError(f"The folder {target} holds files already; choose another one or empty it first.")
    parent = target.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise LiminalError(f"Nothing can be written to {parent}; choose another place or change its rights.")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside ``target`` that takes its place when the block ends; when it fails, nothing is left.

    Raises LiminalError with a sentence for a full disk, missing rights and a folder that holds something.
    """
    check_free(target)
    target = target.absolute()
    place = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.partial"
    made = [parent for parent in target.parents if not parent.exists()]
    try:
        place.mkdir(parents=True)
        yield place
        place.replace(target)
    except BaseException as error:
        shutil.rmtree(place, ignore_errors=True)
        for parent in made:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        if isinstance(error, OSError):
            raise LiminalError(f"{_reason(error, target)}; nothing was kept.") from error
        raise


def _reason(error: OSError, target: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of {target} is full: free some space or choose another place"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Nothing can be written to {target.parent}: choose another place or change its rights"
    return f"The folder {target} could not be written ({error.strerror or error})"
