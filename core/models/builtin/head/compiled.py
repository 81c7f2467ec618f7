"""Decorator `kernel` for compiled inner loops, and where numba keeps what it compiled."""

import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

logger = logging.getLogger(__name__)

# nogil: images, not pixels, go to threads. No fastmath and no prange: the same bytes whatever the threads, and numba's own
# thread pool aborts when two visitors enter it at once. error_model "numpy": a division by zero gives inf and does not branch.
CONFIG: Any = numba.config
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


def _can_cache() -> bool:
    """Whether numba finds a writable folder for the functions of this package."""
    try:
        numba.njit(cache=True)(_probe)
    except RuntimeError:  # numba's answer when no cache locator accepts the file
        return False
    return True


def _probe() -> int:
    return 0


def _own_folder() -> Path | None:
    """A folder for the cache in the temporary folder that nobody else can write to; None where there is no such place."""
    folder = Path(tempfile.gettempdir()) / f"liminal-numba-{os.getuid() if os.name == 'posix' else 'user'}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.stat()
    except OSError:
        return None
    # numba executes what it finds in its cache: a folder that somebody else has prepared is left alone
    foreign = os.name == "posix" and (status.st_uid != os.getuid() or status.st_mode & 0o022)
    return None if foreign or folder.is_symlink() else folder


def choose_cache() -> bool:
    """Whether compiled kernels are cached on disk, after a fallback to the temporary folder where the usual ones are read-only."""
    if _can_cache():
        return True
    folder = _own_folder()
    if folder:
        CONFIG.CACHE_DIR = str(folder)
        if _can_cache():
            logger.warning("The renderer's compiled code is kept in %s, as numba's usual cache folders are not writable.", folder)
            return True
        CONFIG.CACHE_DIR = ""
    logger.warning("No folder for numba's cache is writable, so the renderer compiles again at each start (some 20 seconds).")
    return False


_CACHED = choose_cache()


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile the function with numba at its first call; it releases the interpreter lock and is cached on disk."""
    compiled: Callable[..., Any] = numba.njit(cache=_CACHED, **OPTIONS)(function)
    return compiled
