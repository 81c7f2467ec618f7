"""Reading a pickle of NumPy arrays without running anything that is in it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from core.errors import LiminalError


def _reconstruct(subtype: type, shape: tuple[int, ...], code: bytes) -> np.ndarray[Any, Any]:
    """What a pickled array starts as: an empty one, filled in afterwards. Of plain arrays only."""
    if subtype is not np.ndarray or shape != (0,) or code != b"b":
        raise pickle.UnpicklingError("an array of an unusual kind")
    return np.ndarray((0,), np.int8)


def _dtype(code: str, align: bool = False, copy: bool = True) -> np.dtype[Any]:
    """Numbers only: an array of objects could hold anything."""
    if not isinstance(code, str) or code[:1] not in ("b", "i", "u", "f") or not code[1:].isdigit():
        raise pickle.UnpicklingError(f"an array of type {code!r}")
    return np.dtype(code, align=bool(align), copy=bool(copy))


_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Admits the reconstruction of numeric arrays and Python's plain values; any other name is refused before it is imported."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"a call of {module}.{name}") from None

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("a reference to something outside the file")


def load_arrays(path: Path) -> dict[str, Any]:
    """A nested dictionary of NumPy arrays from a pickle file.

    Raises LiminalError where the file is damaged or holds anything but numeric arrays in dictionaries; nothing in it is run.
    """
    try:
        with path.open("rb") as file:
            tree = _ArrayUnpickler(file).load()
        _insist_on_arrays(tree)
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError, AttributeError, KeyError, OverflowError) as error:
        reason = str(error) or type(error).__name__
        raise LiminalError(
            f"{path.name} is not a plain file of arrays ({reason}), so it was not loaded; run 'make weights' to install it again."
        ) from error
    result: dict[str, Any] = tree
    return result


def _insist_on_arrays(tree: Any) -> None:
    if not isinstance(tree, dict):
        raise pickle.UnpicklingError(f"it holds a {type(tree).__name__}")
    for key, value in tree.items():
        if not isinstance(key, str):
            raise pickle.UnpicklingError(f"a key is a {type(key).__name__}")
        if not isinstance(value, np.ndarray):
            _insist_on_arrays(value)
