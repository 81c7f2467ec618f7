"""The server's one store of studies and its library of sample sets, what raters' links may reach of them, and cached tables of
answers.

A table of answers is kept as long as nothing was added or deleted, and never changed in place.
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from core.errors import LiminalError
from core.progress import Progress, Stage
from core.result_cache import ResultCache

if TYPE_CHECKING:
    import pandas as pd

    from core.studies.library import Library, SetEntry
    from core.studies.ratings import Task
    from core.studies.store import Store
    from core.studies.study import Kind, Rater, Stimulus, Study


TASKS: dict[Kind, tuple[Task, ...]] = {"identity": ("similarity", "identity"), "emotion": ("emotion",)}
"""What is asked in one trial."""

ANSWER_NAMESPACE = uuid.UUID("6f0f5a3e-8a0b-4c1e-9d6c-0d7d0e4b8a51")
"""Name space of the answers' UUIDs."""


def get_store() -> Store:
    """The server's store. Raises LiminalError where it cannot be reached."""
    return _open_store(os.environ.get("LIMINAL_DATABASE_URL"), os.environ.get("LIMINAL_DATA_DIR"))


@st.cache_resource(show_spinner=False)
def _open_store(url: str | None, folder: str | None) -> Store:
    from core.studies.store import Store

    return Store()


def install_demonstration() -> None:
    """Put the simulated studies that come with the app into the store, once; what the owner deleted stays away.

    The first visitor of a fresh data folder sees how far it is; whoever comes meanwhile waits with them.
    """
    place = (os.environ.get("LIMINAL_DATABASE_URL"), os.environ.get("LIMINAL_DATA_DIR"))
    if place in _stores_with_demonstration():
        return
    line = st.empty()
    line.progress(0.02, text="Opening the studies")
    from core.studies.demonstration import ensure_demonstration  # takes a while itself the first time

    def told(event: object) -> None:
        if isinstance(event, Stage):
            line.progress(event.fraction, text=f"First visit: {event.message[0].lower()}{event.message[1:]}")

    try:
        with _demonstration_lock:
            if place not in _stores_with_demonstration():
                ensure_demonstration(get_store(), progress=Progress(told))
    except LiminalError as error:  # nobody needs it
        logging.getLogger(__name__).warning("No demonstration: %s", error)
    _stores_with_demonstration().add(place)
    line.empty()


_demonstration_lock = threading.Lock()


@st.cache_resource(show_spinner=False)
def _stores_with_demonstration() -> set[tuple[str | None, str | None]]:
    """The stores that have it."""
    return set()


def get_library() -> Library:
    """The library of sample sets. Raises LiminalError where its folder cannot be made."""
    from core.studies.library import Library

    return Library()


def list_sample_sets() -> list[SetEntry]:
    """All sample sets of the library, newest first; looked into again when one came or went."""
    known = get_library()
    places = (place for place in (known.folder, known.demonstration) if place.is_dir())
    return _list_sample_sets(tuple(sorted(str(folder) for place in places for folder in place.iterdir())))


@st.cache_data(show_spinner=False, max_entries=4)
def _list_sample_sets(folders: tuple[str, ...]) -> list[SetEntry]:
    """Counting the pictures of every folder takes a while where there are many."""
    return get_library().sets()


def make_answer_id(code: str, stimulus: str, task: str) -> str:
    """The UUID of a rater's answer to one question of one trial.

    Made from the rater's secret, not drawn: the same question answered in two tabs, or after a browser forgot its storage, is one
    answer; and browsers draw no UUIDs on pages without https.
    """
    return str(uuid.uuid5(ANSWER_NAMESPACE, f"{code}/{stimulus}/{task}"))


@dataclass(frozen=True)
class RaterAssignment:
    """A rater with the places of their stimuli."""

    rater: Rater
    study: Study
    stimuli: dict[str, tuple[int, bool]]  # stimulus -> (place in this rater's order, sentinel)


_assignments: ResultCache[str, RaterAssignment] = ResultCache(128 * 2**20)
_sets_of_pictures: ResultCache[str, dict[str, tuple[str, ...]]] = ResultCache(128 * 2**20)


def find_assignment(code: str) -> RaterAssignment:
    """A rater by the secret, with the study. Raises LiminalError where there is none. What changes is asked of the store again."""
    known = _assignments.get(code)
    if known is not None:
        return known
    rater = get_store().rater(code)
    study = get_store().study(rater.study)
    sentinels = {each.stimulus for each in load_stimuli(study) if each.is_sentinel}
    places = {name: (place, name in sentinels) for place, name in enumerate(rater.trials)}
    return _assignments.put(code, RaterAssignment(rater, study, places))


def read_picture(token: str, sample_id: str) -> tuple[bytes, str]:
    """A picture of the study with that secret: bytes and media type. Raises LiminalError for any other."""
    study = get_store().study_of(token)
    known = _sets_of_pictures.get(token)
    if known is None or sample_id not in known:
        known = _sets_of_pictures.put(token, _find_sets_of_pictures(study, load_stimuli(study)))
    for set_id in known.get(sample_id, ()):
        try:
            return get_library().picture(set_id, sample_id)
        except LiminalError:
            continue
    raise LiminalError("This study has no such picture; open the study's link again.")


def _find_sets_of_pictures(study: Study, stimuli: list[Stimulus]) -> dict[str, tuple[str, ...]]:
    """sample_id -> the sets that may hold it: the stimulus' own first."""
    return {
        sample: tuple(dict.fromkeys(str(each) for each in (stimulus.details.get("set", ""), *study.sample_sets) if each))
        for stimulus in stimuli
        for sample in stimulus.images
    }


def study_picture_url(token: str, sample_id: str) -> str:
    """Where a picture of a study is."""
    return f"/studies/{token}/images/{sample_id}"


def has_pictures(study: Study, stimulus: Stimulus) -> bool:
    """Whether the library may hold its pictures: of answers that were brought in it often does not."""
    return bool(stimulus.details.get("set") or study.sample_sets)


def load_stimuli(study: Study) -> list[Stimulus]:
    """A study's stimuli, which never change; kept for a while, and never changed in place."""
    return _load_stimuli(study.name, study.token)


@st.cache_resource(show_spinner=False, max_entries=32)
def _load_stimuli(name: str, token: str) -> list[Stimulus]:
    return get_store().stimuli(name)


AnswersVersion = tuple[str, str, tuple[int, int], int]


def answers_version(study: Study) -> AnswersVersion:
    """Another one whenever an answer comes in or goes: what follows from a study's answers is kept by it."""
    store = get_store()
    return study.name, study.token, store.counts(study.name).get(study.name, (0, 0)), len(store.deletions(study.name))


def load_ratings(study: Study) -> pd.DataFrame:
    """The typed table of RATINGS; never changed in place."""
    return _load_ratings(answers_version(study))


@st.cache_resource(show_spinner=False, max_entries=4)
def _load_ratings(version: AnswersVersion) -> pd.DataFrame:
    return get_store().ratings(version[0])
