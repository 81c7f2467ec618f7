"""Write files atomically: first beside their place, then renamed, so that a file is whole or not there."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from core.errors import LiminalError


@contextmanager
def open_atomic(path: Path) -> Iterator[BinaryIO]:
    """A stream whose content takes its place when the block ends; when it fails, what was there before stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file at once or not at all."""
    with open_atomic(path) as file:
        file.write(data)


def check_folder_is_free(target: Path) -> None:
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
    check_folder_is_free(target)
    target = target.absolute()
    temporary = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.partial"
    missing_parents = [parent for parent in target.parents if not parent.exists()]
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if os.name == "nt" and target.is_dir():  # empty, as was checked; Windows replaces no folder
            target.rmdir()
        temporary.replace(target)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        for parent in missing_parents:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        if isinstance(error, OSError):
            raise LiminalError(f"{_describe_folder_error(error, target)}; nothing was kept.") from error
        raise


def _describe_folder_error(error: OSError, target: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of {target} is full: free some space or choose another place"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Nothing can be written to {target.parent}: choose another place or change its rights"
    return f"The folder {target} could not be written ({error.strerror or error})"
