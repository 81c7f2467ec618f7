"""A heavy library that is loaded at its first use, so that modules which only sometimes need it can name it at their top.

``torch`` takes two seconds to load. Pages paint their first picture, and the command line prints its help, without it. Use it as

    if TYPE_CHECKING:
        import torch
    else:
        torch = lazy_import("torch")

where several functions of a module need the library and the module itself is imported by light ones. (The standard library's
``importlib.util.LazyLoader`` may hand a half-loaded module to a second thread before Python 3.12; this one never does.)
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


class _LazyModule(ModuleType):
    """Stands for a module until one of its attributes is asked for; the import itself is Python's own and locked."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


def lazy_import(name: str) -> ModuleType:
    """The module ``name``, imported when an attribute of it is first read."""
    return _LazyModule(name)
