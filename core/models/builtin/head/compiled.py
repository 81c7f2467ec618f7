"""Decorator `kernel` for compiled inner loops, and where numba keeps what it compiled."""

import contextlib
import hashlib
import logging
import os
import pickle
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numba
import platformdirs

logger = logging.getLogger(__name__)

# nogil: images, not pixels, go to threads. No fastmath and no prange: the same bytes whatever the threads, and numba's own
# thread pool aborts when two visitors enter it at once. error_model "numpy": a division by zero gives inf and does not branch.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
CONFIG: Any = numba.config
HERE = Path(__file__).parent


def hash_sources(folder: Path = HERE) -> str:
    """Hash of all kernels' sources: numba looks at the file of a kernel alone, and not at those of the kernels that it calls."""
    content = b"".join(path.read_bytes() for path in sorted(folder.glob("kernels_*.py")))
    return hashlib.sha256(content).hexdigest()[:12]


def list_cache_folders() -> list[Path]:
    """Where the cache may lie, best first: where the user wants it, beside the sources, in the user's folder, a temporary one."""
    if CONFIG.CACHE_DIR:
        return [Path(CONFIG.CACHE_DIR)]
    user = os.getuid() if os.name == "posix" else "user"
    return [HERE / "__pycache__", Path(platformdirs.user_cache_dir("liminal")), Path(tempfile.gettempdir()) / f"liminal-{user}"]


def find_cache_folder(folders: Iterable[Path]) -> Path | None:
    """The first folder that can be written to, with a folder for these very sources in it; None where there is none."""
    for number, folder in enumerate(folders):
        place = folder / f"kernels-{hash_sources()}"
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place):
                status = folder.stat()
        except OSError:
            continue
        # numba runs what it finds in its cache: a temporary folder that somebody else has prepared is left alone
        if os.name == "posix" and status.st_uid != os.getuid():
            continue
        if number > 0:
            logger.warning("The renderer's compiled code is kept in %s, as the folder of the program is not writable.", place)
        return place
    logger.warning(
        "No folder for numba's cache is writable, so the renderer compiles again at each start (some 20 seconds); "
        "set NUMBA_CACHE_DIR to a folder that can be written to."
    )
    return None


class ForgivingCache:
    """numba's cache of one kernel; with a damaged file or a full disk the kernel is compiled in memory, and a picture is drawn."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """What is stored of a signature; None where that is nothing or cannot be read, which is then emptied."""
        try:
            return self._cache.load_overload(signature, context)
        except Exception as error:  # damaged bytes can end in any exception, says the documentation of pickle
            self._warn("read", error)
            with contextlib.suppress(OSError):
                self._cache.flush()
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Store what was compiled, if that is possible."""
        try:
            self._cache.save_overload(signature, compiled)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self._warn("written", error)

    def _warn(self, done: str, error: Exception) -> None:
        logger.warning(
            "The renderer's compiled code in %s cannot be %s (%s), so it is compiled again; if that repeats, delete the folder.",
            *(self._cache.cache_path, done, error or type(error).__name__),
        )


_FOLDER = find_cache_folder(list_cache_folders())


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile the function with numba at its first call; it releases the interpreter lock and is cached on disk."""
    before = CONFIG.CACHE_DIR
    CONFIG.CACHE_DIR = str(_FOLDER or "")  # numba reads it here and now; other users of numba in this process keep theirs
    try:
        compiled: Any = numba.njit(cache=_FOLDER is not None, **OPTIONS)(function)
        if _FOLDER is not None:
            compiled._cache = ForgivingCache(compiled._cache)
    finally:
        CONFIG.CACHE_DIR = before
    made: Callable[..., Any] = compiled
    return made
