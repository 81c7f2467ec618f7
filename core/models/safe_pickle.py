"""Reading a pickle of NumPy arrays without running anything that is in it.

Even NumPy's own reconstruction is not called: a forged element type can crash it. The pickle's arrays become plain records,
and arrays are made of those once everything about them has been looked at.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError


class _ElementType:
    """Stands in for numpy.dtype: one letter and a size, then the byte order."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        if not isinstance(code, str) or code[:1] not in ("b", "i", "u", "f") or not code[1:].isdigit():
            raise pickle.UnpicklingError(f"an array of type {code!r}")
        self.code = code

    def __setstate__(self, state: Any) -> None:
        # version, byte order, then subarray, names and fields, which plain numbers do not have
        if not isinstance(state, tuple) or state[1] not in ("<", ">", "|", "=") or state[2:5] != (None, None, None):
            raise pickle.UnpicklingError("an array of an unusual type")
        self.code = state[1] + self.code


class _Record:
    """Stands in for an array until all of the file has been read."""

    array: NDArray[Any] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, element, column_order, content = state
        if not isinstance(element, _ElementType) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array without plain content")
        values = np.frombuffer(content, dtype=element.code)
        self.array = values.reshape(shape, order="F" if column_order else "C").copy()


class _ArrayClass:
    """Stands in for numpy.ndarray, which the pickle names and never calls."""


def _start(kind: Any, *_: Any) -> _Record:
    if kind is not _ArrayClass:
        raise pickle.UnpicklingError("an array of an unusual kind")
    return _Record()


_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _start,
    ("numpy._core.multiarray", "_reconstruct"): _start,
    ("numpy", "ndarray"): _ArrayClass,
    ("numpy", "dtype"): _ElementType,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Admits our stand-ins for NumPy's names; any other name is refused before it is imported."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"a call of {module}.{name}") from None


def load_arrays(path: Path) -> dict[str, Any]:
    """A nested dictionary of numeric arrays from a pickle file (protocol 3 or 4).

    Raises LiminalError where the file is damaged or holds anything but that; nothing in it is run.
    """
    try:
        with path.open("rb") as file:
            return _arrays(_ArrayUnpickler(file).load())
    except Exception as error:  # damaged bytes can end in any exception, says the documentation of pickle
        raise LiminalError(
            f"{path.name} is not a plain file of arrays ({error or type(error).__name__}), so it was not loaded; "
            "run 'make weights' to install it again."
        ) from error


def _arrays(tree: Any) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise pickle.UnpicklingError(f"it holds a {type(tree).__name__}")
    result: dict[str, Any] = {}
    for key, value in tree.items():
        if not isinstance(key, str):
            raise pickle.UnpicklingError(f"a key is a {type(key).__name__}")
        if isinstance(value, _Record) and value.array is not None:
            result[key] = value.array
        else:
            result[key] = _arrays(value)
    return result
