"""Results by what was asked for: the most recent ones, and what several people ask for at the same time is made once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from core.models.own.listing import own_models
from core.progress import Progress

KEPT = 12
"""Results, where nothing else is said: finished sets are about 10 MB each with their pictures."""

LOOK_SECONDS = 0.5


class Kept:
    """The most recent results by recipe. Thread-safe."""

    def __init__(self, capacity: int = KEPT) -> None:
        self._results: OrderedDict[Any, Any] = OrderedDict()
        self._capacity = capacity
        self._making: set[Any] = set()
        self._shelf = own_models()
        self._changed = threading.Condition(threading.Lock())

    def get(self, key: Any) -> Any:
        """The result, or None."""
        with self._changed:
            self._forget_other_models()
            if key in self._results:
                self._results.move_to_end(key)
            return self._results.get(key)

    def _forget_other_models(self) -> None:
        """A model that was added, replaced or removed may stand under a name that a result was made by."""
        shelf = own_models()
        if shelf != self._shelf:
            self._shelf = shelf
            self._results.clear()

    def put(self, key: Any, result: Any) -> None:
        """Keep a result."""
        with self._changed:
            self._forget_other_models()
            self._put(key, result)

    def _put(self, key: Any, result: Any) -> None:
        self._results[key] = result
        self._results.move_to_end(key)
        while len(self._results) > self._capacity:
            self._results.popitem(last=False)

    def once(self, key: Any, make: Callable[[], Any], progress: Progress | None = None) -> Any:
        """The result that is kept, else what ``make`` gives; where somebody else is making it, theirs.

        If they stop or fail, the next one makes it. Raises Cancelled where ``progress`` says so while waiting.
        """
        with self._changed:
            while key in self._making:
                if progress is not None:
                    progress.stage("Somebody else is making the very same; you see it when they do", 0.0)
                self._changed.wait(LOOK_SECONDS)
            self._forget_other_models()
            found = self._results.get(key)
            if found is not None:
                return found
            self._making.add(key)
            shelf = self._shelf
        try:
            result = make()
            with self._changed:
                self._forget_other_models()
                if self._shelf == shelf:  # else a model of that name may be another one by now
                    self._put(key, result)
            return result
        finally:
            with self._changed:
                self._making.discard(key)
                self._changed.notify_all()
