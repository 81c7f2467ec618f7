"""Caches of the server that all sessions share.

Stored tables (gallery, population, thresholds, reference set, acceptance) are loaded without torch, once, and read again when
the
precomputed data of an added model change. ``SharedResultCache`` holds the most recent results of jobs by what was asked for: a
result
that several visitors ask for at the same time is computed once, and all are dropped when the list of added models changes.
``LruCache`` is a small thread-safe cache of the most recently used values.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import streamlit as st

from core.models.custom import catalogue
from core.models.custom.catalogue import list_custom_models
from core.progress import Progress
from core.sampling.stored import population, strip

if TYPE_CHECKING:
    from core.sampling.stored.gallery import Gallery
    from core.sampling.stored.population import Population, Thresholds
    from core.sampling.stored.reference import ReferenceSet
    from core.sampling.stored.strip import StoredStrip


@st.cache_resource(show_spinner=False)
def cached_strip() -> StoredStrip:
    """The walking picture of the home page."""
    return strip.load_strip()


PrecomputedVersions = tuple[tuple[str, int], ...]


def _precomputed_versions() -> PrecomputedVersions:
    """Of all that was worked out for added models: what is kept of it is read anew once it is made anew."""
    return tuple((each.name, catalogue.precomputed_version(each.name)) for each in list_custom_models())


def cached_population(generator: str, judged_by: str = "") -> Population:
    """The population of strangers of a generator, or as many as a recogniser that the user added has judged."""
    return _load_population(generator, judged_by, _precomputed_versions())


@st.cache_resource(show_spinner=False, max_entries=8)
def _load_population(generator: str, judged_by: str, versions: PrecomputedVersions) -> Population:
    return population.load_population(generator, judged_by=judged_by)


def cached_thresholds(generator: str, recogniser: str) -> Thresholds:
    """Default and calibrated thresholds."""
    return _load_thresholds(generator, recogniser, _precomputed_versions())


@st.cache_resource(show_spinner=False, max_entries=16)
def _load_thresholds(generator: str, recogniser: str, versions: PrecomputedVersions) -> Thresholds:
    return population.load_thresholds(generator, recogniser)


def cached_gallery(generator: str) -> Gallery:
    """The bases to choose from."""
    return _load_gallery(generator, _precomputed_versions())


@st.cache_resource(show_spinner=False, max_entries=4)
def _load_gallery(generator: str, versions: PrecomputedVersions) -> Gallery:
    from core.sampling.stored.gallery import load_gallery

    return load_gallery(generator)


def cached_reference_set(generator: str) -> ReferenceSet:
    """What classifiers say of many plain faces of a generator."""
    return _load_reference_set(generator, _precomputed_versions())


@st.cache_resource(show_spinner=False, max_entries=4)
def _load_reference_set(generator: str, versions: PrecomputedVersions) -> ReferenceSet:
    from core.sampling.stored.reference import load_reference_set

    return load_reference_set(generator)


@st.cache_resource(show_spinner=False)
def cached_acceptance() -> Mapping[str, Any]:
    """How many faces could be either, for all pairs."""
    from core.analysis.emotion_pairs import load_pair_table

    return load_pair_table()


MAX_RESULTS = 12
"""Results, where nothing else is said: finished sets are about 10 MB each with their pictures."""

WAIT_SECONDS = 0.5


class SharedResultCache:
    """The most recent results by recipe. Thread-safe."""

    def __init__(self, capacity: int = MAX_RESULTS) -> None:
        self._results: OrderedDict[Any, Any] = OrderedDict()
        self._capacity = capacity
        self._making: set[Any] = set()
        self._shelf = list_custom_models()
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
        shelf = list_custom_models()
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
                self._changed.wait(WAIT_SECONDS)
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


Value = TypeVar("Value")

MAX_LRU_VALUES = 512  # raters and studies whose stimuli are kept at hand


class LruCache(Generic[Value]):
    """The most recently used values. Thread-safe."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Value | None:
        """The value, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: str, value: Value) -> Value:
        """Keep a value and hand it back."""
        with self._lock:
            self._values[key] = value
            while len(self._values) > MAX_LRU_VALUES:
                self._values.popitem(last=False)
        return value
