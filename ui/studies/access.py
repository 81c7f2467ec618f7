"""The server's one store of studies and its library of sample sets, and what raters' links may reach of them."""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import streamlit as st

from core.errors import LiminalError
from core.progress import Progress, Stage

if TYPE_CHECKING:
    from core.studies.library import Library, SetEntry
    from core.studies.ratings import Task
    from core.studies.store import Store
    from core.studies.study import Kind, Rater, Stimulus, Study

Value = TypeVar("Value")

TASKS: dict[Kind, tuple[Task, ...]] = {"identity": ("similarity", "identity"), "emotion": ("emotion",)}
"""What is asked in one trial."""

REMEMBERED = 512  # raters and studies whose stimuli are kept at hand

ANSWERS = uuid.UUID("6f0f5a3e-8a0b-4c1e-9d6c-0d7d0e4b8a51")
"""Name space of the answers' UUIDs."""


def store() -> Store:
    """The server's store. Raises LiminalError where it cannot be reached."""
    return _store(os.environ.get("LIMINAL_DATABASE_URL"), os.environ.get("LIMINAL_DATA_DIR"))


@st.cache_resource(show_spinner=False)
def _store(url: str | None, folder: str | None) -> Store:
    from core.studies.store import Store

    return Store()


def show_demonstration() -> None:
    """Put the simulated studies that come with the app into the store, once; what the owner deleted stays away.

    The first visitor of a fresh data folder sees how far it is; whoever comes meanwhile waits with them.
    """
    place = (os.environ.get("LIMINAL_DATABASE_URL"), os.environ.get("LIMINAL_DATA_DIR"))
    if place in _demonstrated():
        return
    line = st.empty()
    line.progress(0.02, text="Opening the studies")
    from core.studies.demonstration import ensure_demonstration  # takes a while itself the first time

    def told(event: object) -> None:
        if isinstance(event, Stage):
            line.progress(event.fraction, text=f"First visit: {event.message[0].lower()}{event.message[1:]}")

    try:
        with _unpacking:
            if place not in _demonstrated():
                ensure_demonstration(store(), progress=Progress(told))
    except LiminalError as error:  # nobody needs it
        logging.getLogger(__name__).warning("No demonstration: %s", error)
    _demonstrated().add(place)
    line.empty()


_unpacking = threading.Lock()


@st.cache_resource(show_spinner=False)
def _demonstrated() -> set[tuple[str | None, str | None]]:
    """The stores that have it."""
    return set()


def library() -> Library:
    """The library of sample sets. Raises LiminalError where its folder cannot be made."""
    from core.studies.library import Library

    return Library()


def sets() -> list[SetEntry]:
    """All sample sets of the library, newest first; looked into again when one came or went."""
    known = library()
    places = (place for place in (known.folder, known.demonstration) if place.is_dir())
    return _sets(tuple(sorted(str(folder) for place in places for folder in place.iterdir())))


@st.cache_data(show_spinner=False, max_entries=4)
def _sets(folders: tuple[str, ...]) -> list[SetEntry]:
    """Counting the pictures of every folder takes a while where there are many."""
    return library().sets()


def answer_id(code: str, stimulus: str, task: str) -> str:
    """The UUID of a rater's answer to one question of one trial.

    Made from the rater's secret, not drawn: the same question answered in two tabs, or after a browser forgot its storage, is one
    answer; and browsers draw no UUIDs on pages without https.
    """
    return str(uuid.uuid5(ANSWERS, f"{code}/{stimulus}/{task}"))


@dataclass(frozen=True)
class Place:
    """A rater with the places of their stimuli."""

    rater: Rater
    study: Study
    stimuli: dict[str, tuple[int, bool]]  # stimulus -> (place in this rater's order, sentinel)


class Remembered(Generic[Value]):
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
            while len(self._values) > REMEMBERED:
                self._values.popitem(last=False)
        return value


_places: Remembered[Place] = Remembered()
_pictures: Remembered[dict[str, tuple[str, ...]]] = Remembered()


def place_of(code: str) -> Place:
    """A rater by the secret, with the study. Raises LiminalError where there is none. What changes is asked of the store again."""
    known = _places.get(code)
    if known is not None:
        return known
    rater = store().rater(code)
    study = store().study(rater.study)
    sentinels = {each.stimulus for each in stimuli(study) if each.is_sentinel}
    places = {name: (place, name in sentinels) for place, name in enumerate(rater.trials)}
    return _places.put(code, Place(rater, study, places))


def picture(token: str, sample_id: str) -> tuple[bytes, str]:
    """A picture of the study with that secret: bytes and media type. Raises LiminalError for any other."""
    study = store().study_of(token)
    known = _pictures.get(token)
    if known is None or sample_id not in known:
        known = _pictures.put(token, _sets_by_picture(study, stimuli(study)))
    for set_id in known.get(sample_id, ()):
        try:
            return library().picture(set_id, sample_id)
        except LiminalError:
            continue
    raise LiminalError("This study has no such picture; open the study's link again.")


def _sets_by_picture(study: Study, stimuli: list[Stimulus]) -> dict[str, tuple[str, ...]]:
    """sample_id -> the sets that may hold it: the stimulus' own first."""
    return {
        sample: tuple(dict.fromkeys(str(each) for each in (stimulus.details.get("set", ""), *study.sample_sets) if each))
        for stimulus in stimuli
        for sample in stimulus.images
    }


def picture_address(token: str, sample_id: str) -> str:
    """Where a picture of a study is."""
    return f"/studies/{token}/images/{sample_id}"


def pictured(study: Study, stimulus: Stimulus) -> bool:
    """Whether the library may hold its pictures: of answers that were brought in it often does not."""
    return bool(stimulus.details.get("set") or study.sample_sets)


def stimuli(study: Study) -> list[Stimulus]:
    """A study's stimuli, which never change; kept for a while, and never changed in place."""
    return _stimuli(study.name, study.token)


@st.cache_resource(show_spinner=False, max_entries=32)
def _stimuli(name: str, token: str) -> list[Stimulus]:
    return store().stimuli(name)
