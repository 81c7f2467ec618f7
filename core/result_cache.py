"""A cache of results that many threads share: the most recently used ones, within so many bytes.

Networks' rows (``core.models.engine.queue``), finished sample sets, pictures and maps of the pages lie in caches of this class.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

import cachetools

Key = TypeVar("Key")
Value = TypeVar("Value")


class ResultCache(Generic[Key, Value]):
    """The most recently used values whose sizes add up to at most ``max_bytes``. Thread-safe.

    measure: bytes of a value. max_entries: how many values at most, for values that are tiny beside what an entry costs by itself.
    A value larger than the whole cache is not stored.
    """

    def __init__(self, max_bytes: int, measure: Callable[[Value], int] | None = None, *, max_entries: int = sys.maxsize) -> None:
        self.max_entries = max_entries
        self._values: cachetools.LRUCache[Key, Value] = cachetools.LRUCache(max_bytes, measure or measure_bytes)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    @property
    def max_bytes(self) -> int:
        return int(self._values.maxsize)

    @property
    def bytes(self) -> int:
        """Sizes of all values together."""
        return int(self._values.currsize)

    def get(self, key: Key) -> Value | None:
        """The value, which counts as used now; None where there is none."""
        with self._lock:
            return self._values.get(key)

    def put(self, key: Key, value: Value) -> Value:
        """Store a value and hand it back; the longest unused ones make room for it."""
        with self._lock:
            self._values.pop(key, None)
            try:
                self._values[key] = value
            except ValueError:  # larger than the whole cache
                return value
            while len(self._values) > self.max_entries:
                self._values.popitem()
        return value

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()


def measure_bytes(value: Any) -> int:
    """Bytes that a result holds in arrays, tables, texts and pictures, each object counted once.

    Looks into mappings, lists, tuples, sets and dataclasses; anything else counts as Python says.
    """
    total, todo, seen = 0, [value], set[int]()
    while todo:
        part = todo.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        owner = getattr(part, "base", None)  # of a view of an array, which keeps the whole array
        total += max(sys.getsizeof(part), int(getattr(part, "nbytes", 0)) if owner is None else 0)
        if isinstance(part, Mapping):
            todo += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple | set | frozenset):
            todo += part
        elif is_dataclass(part) and not isinstance(part, type):
            todo += [getattr(part, field.name) for field in fields(part)]
        elif owner is not None:
            todo.append(owner)
    return total
