"""Caches of the server that all sessions share.

Stored tables (gallery, population, thresholds, reference set, acceptance) are loaded without torch, once, and read again when the
precomputed data of an added model change. ``SharedResultCache`` holds the most recent results of jobs by what was asked for: a
result that several visitors ask for at the same time is computed once, and all are dropped when the list of added models changes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.analysis.emotion_pairs import load_pair_table
from core.analysis.error_rates import ErrorRates, load_error_rates
from core.models.custom import catalogue
from core.models.custom.catalogue import list_custom_models
from core.progress import Progress
from core.result_cache import ResultCache
from core.sampling.stored import population, strip
from core.sampling.stored.gallery import Gallery, load_gallery
from core.sampling.stored.population import Population, Thresholds
from core.sampling.stored.reference import ReferenceSet, load_reference_set
from core.sampling.stored.strip import StoredStrip


@st.cache_resource(show_spinner=False)
def cached_strip() -> StoredStrip:
    """The interpolation strip of the home page."""
    return strip.load_strip()


PrecomputedVersions = tuple[tuple[str, int], ...]


def _precomputed_versions() -> PrecomputedVersions:
    """Versions of the added models' precomputed data: part of a cache's key, so that new data are read."""
    return tuple((model.name, catalogue.precomputed_version(model.name)) for model in list_custom_models())


def cached_population(generator: str, judged_by: str = "") -> Population:
    """The population of strangers of a generator, or those of them that an added recogniser has judged."""
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
    """The bases of a generator to choose from."""
    return _load_gallery(generator, _precomputed_versions())


@st.cache_resource(show_spinner=False, max_entries=4)
def _load_gallery(generator: str, versions: PrecomputedVersions) -> Gallery:
    return load_gallery(generator)


def cached_reference_set(generator: str) -> ReferenceSet:
    """Classifiers' logits of a generator's reference set."""
    return _load_reference_set(generator, _precomputed_versions())


@st.cache_resource(show_spinner=False, max_entries=4)
def _load_reference_set(generator: str, versions: PrecomputedVersions) -> ReferenceSet:
    return load_reference_set(generator)


@st.cache_resource(show_spinner=False)
def cached_acceptance() -> Mapping[str, Any]:
    """How many faces could be either, for all pairs."""
    return load_pair_table()


@st.cache_resource(show_spinner=False, max_entries=8)
def cached_error_rates(generator: str) -> ErrorRates | None:
    """How often recognisers err on a generator's people, by condition; None where nobody knows who is who."""
    return load_error_rates(generator)


WAIT_SECONDS = 0.5
"""Between two looks of a waiting job at whether it was stopped."""


class SharedResultCache:
    """The most recent results of jobs by recipe, for all sessions. Thread-safe.

    megabytes: of all results together; a finished sample set has about 10 with its pictures.
    """

    def __init__(self, megabytes: int = 120) -> None:
        self._results: ResultCache[Any, Any] = ResultCache(megabytes * 2**20)
        self._computing: set[Any] = set()
        self._custom_models = list_custom_models()
        self._changed = threading.Condition(threading.Lock())

    def __len__(self) -> int:
        return len(self._results)

    def get(self, key: Any) -> Any:
        """The result, or None."""
        with self._changed:
            self._forget_other_models()
            return self._results.get(key)

    def _forget_other_models(self) -> None:
        """Drop everything once a model was added, replaced or removed: a result may have been made by one of that name."""
        models = list_custom_models()
        if models != self._custom_models:
            self._custom_models = models
            self._results.clear()

    def put(self, key: Any, result: Any) -> None:
        """Store a result."""
        with self._changed:
            self._forget_other_models()
            self._results.put(key, result)

    def get_or_compute(self, key: Any, compute: Callable[[], Any], progress: Progress | None = None) -> Any:
        """The stored result, else what ``compute`` gives; where another job is computing the same, its result.

        If that job stops or fails, the next one computes it. Raises Cancelled where ``progress`` says so while waiting.
        """
        with self._changed:
            while key in self._computing:
                if progress is not None:
                    progress.stage("Somebody else is making the very same; you see it when they do", 0.0)
                self._changed.wait(WAIT_SECONDS)
            self._forget_other_models()
            stored = self._results.get(key)
            if stored is not None:
                return stored
            self._computing.add(key)
            models = self._custom_models
        try:
            result = compute()
            with self._changed:
                self._forget_other_models()
                if self._custom_models == models:  # else a model of that name may be another one by now
                    self._results.put(key, result)
            return result
        finally:
            with self._changed:
                self._computing.discard(key)
                self._changed.notify_all()
