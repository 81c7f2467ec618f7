"""The server's store of studies and its library of sample sets, what raters' links may reach of them, and cached tables of answers.

A table of answers is cached as long as no answer was added or deleted; it must not be changed in place.
"""

from __future__ import annotations

import logging
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.progress import Progress, Stage
from core.result_cache import ResultCache
from ui.studies import owner_gate

if TYPE_CHECKING:
    import pandas as pd

    from core.alignment import face_choice
    from core.alignment.face_choice import FaceTable, GroupPredictions
    from core.analysis import study_data
    from core.studies import adaptive, chain_store, planning, ratings
    from core.studies.adaptive import StimulusChooser
    from core.studies.chain_store import ChainStore
    from core.studies.library import Library, SetEntry
    from core.studies.preview import Preview
    from core.studies.store import Assign, Store
    from core.studies.study import Rater, Stimulus, Study
    from core.studies.words import Words
else:  # with a rater who consents
    planning, adaptive = lazy_import("core.studies.planning"), lazy_import("core.studies.adaptive")
    ratings, study_data = lazy_import("core.studies.ratings"), lazy_import("core.analysis.study_data")
    face_choice = lazy_import("core.alignment.face_choice")  # SciPy
    chain_store = lazy_import("core.studies.chain_store")  # SQLAlchemy


ANSWER_NAMESPACE = uuid.UUID("6f0f5a3e-8a0b-4c1e-9d6c-0d7d0e4b8a51")
"""Name space of the answers' UUIDs."""


def get_store() -> Store:
    """The server's store. Raises LiminalError where it cannot be reached."""
    return _open_store(*_store_address())


@st.cache_resource(show_spinner=False)
def _open_store(url: str | None, folder: str | None) -> Store:
    from core.studies.store import Store  # after the first paint: SQLAlchemy

    return Store()


def get_chain_store() -> ChainStore:
    """The server's store of faces made by people. Raises LiminalError where it cannot be reached."""
    return _open_chain_store(*_store_address())


@st.cache_resource(show_spinner=False)
def _open_chain_store(url: str | None, folder: str | None) -> ChainStore:
    return chain_store.ChainStore()


def install_demonstration() -> None:
    """Put the simulated studies that come with the app into the store, once; what the owner deleted stays away.

    The first visitor of a fresh data folder sees how far it is; whoever comes meanwhile waits with them.
    """
    if _store_address() in _stores_with_demonstration():
        return
    line = st.empty()
    line.progress(0.02, text="Opening the studies")

    def report(event: object) -> None:
        if isinstance(event, Stage):
            line.progress(event.fraction, text=f"First visit: {event.message[0].lower()}{event.message[1:]}")

    unpack_demonstration(Progress(report))
    line.empty()


def unpack_demonstration(progress: Progress | None = None) -> None:
    """``install_demonstration`` without a page. A store that cannot be reached is logged: nobody needs the demonstration."""
    from core.studies.demonstration import ensure_demonstration  # after the first paint: SQLAlchemy

    try:
        ensure_demonstration(get_store(), progress=progress)
    except LiminalError as error:
        logging.getLogger(__name__).warning("No demonstration: %s", error)
    _stores_with_demonstration().add(_store_address())


def _store_address() -> tuple[str | None, str | None]:
    return os.environ.get("LIMINAL_DATABASE_URL"), os.environ.get("LIMINAL_DATA_DIR")


@st.cache_resource(show_spinner=False)
def _stores_with_demonstration() -> set[tuple[str | None, str | None]]:
    """The addresses of stores that have the demonstration."""
    return set()


def get_library() -> Library:
    """The library of sample sets. Raises LiminalError where its folder cannot be made."""
    from core.studies.library import Library  # the server starts without it

    return Library()


PREVIEW = "preview"
"""Parameter of a rater's link, and key of the session: the owner looks at the study, and nothing is kept."""


def rater_store(study: Study) -> Store | Preview:
    """Where what a rater does is kept: the store; of a preview, this visit's memory."""
    return find_preview(study) or get_store()


def find_preview(study: Study) -> Preview | None:
    """The preview of a study by the visitor, who is its owner; None where the link asks for none."""
    if PREVIEW not in st.query_params or not owner_gate.is_allowed():
        return None
    from core.studies.preview import Preview  # with an owner's look alone

    preview = st.session_state.get(PREVIEW)
    if not isinstance(preview, Preview) or (preview.study.token, preview.study.plan) != (study.token, study.plan):
        preview = st.session_state[PREVIEW] = Preview(study, load_stimuli(study))
    return preview


def words_for(study: Study | None) -> Words:
    """The words in which this visitor takes part: the study's language, or what the browser asks for. None: of no study."""
    from core.studies.words import BY_BROWSER, choose_words  # with the rater's pages alone

    accepted = st.context.headers.get("Accept-Language", "")
    return (
        choose_words(study.settings.language, study.settings.words, accepted) if study else choose_words(BY_BROWSER, {}, accepted)
    )


def list_sample_sets() -> list[SetEntry]:
    """All sample sets of the library, newest first, cached until a folder is added or removed."""
    library = get_library()
    roots = (root for root in (library.folder, library.demonstration) if root.is_dir())
    return list(_list_sample_sets(tuple(sorted(str(folder) for root in roots for folder in root.iterdir()))))


def asks_about_own_pictures(study: Study) -> bool:
    """Whether it shows pictures that somebody brought along, which may be of real people."""
    return bool({entry.set_id for entry in list_sample_sets() if entry.own_pictures}.intersection(study.sample_sets))


@st.cache_resource(show_spinner=False, max_entries=4)  # the cache of data warns where a module is imported before the server runs
def _list_sample_sets(folders: tuple[str, ...]) -> tuple[SetEntry, ...]:
    """Cached, as counting the pictures of every folder takes a while where there are many."""
    return tuple(get_library().sets())


def make_answer_id(code: str, stimulus: str, task: str) -> str:
    """The UUID of a rater's answer to one question of one trial.

    Made from the rater's secret, not drawn: the same question answered in two tabs, or after a browser forgot its storage, is one
    answer; and browsers draw no UUIDs on pages without https.
    """
    return str(uuid.uuid5(ANSWER_NAMESPACE, f"{code}/{stimulus}/{task}"))


@dataclass(frozen=True)
class RaterAssignment:
    """A rater with the study and the trials of each stimulus."""

    rater: Rater
    study: Study
    stimuli: dict[str, tuple[int, bool]]  # stimulus -> (place in this rater's order, sentinel)


_assignments: ResultCache[str, RaterAssignment] = ResultCache(128 * 2**20)
_sets_of_pictures: ResultCache[str, dict[str, tuple[str, ...]]] = ResultCache(128 * 2**20)


def find_assignment(code: str) -> RaterAssignment:
    """The rater with a secret code, and the study. Raises LiminalError where there is none.

    Cached: what changes is to be asked of the store.
    """
    known = _assignments.get(code)
    if known is not None and not known.study.plan.adaptive:  # whose trials grow, perhaps in another process
        return known
    rater = get_store().rater(code)
    study = get_store().study(rater.study)
    sentinels = {stimulus.stimulus for stimulus in load_stimuli(study) if stimulus.is_sentinel}
    trials = {name: (trial, name in sentinels) for trial, name in enumerate(rater.trials)}
    return _assignments.put(code, RaterAssignment(rater, study, trials))


def find_assign(study: Study) -> Assign:
    """How the raters of a study get their trials: all at once, or the first ones of an adaptive study."""
    if not study.plan.adaptive:
        return planning.assign_stimuli
    return adaptive.make_adaptive_assignment(_find_chooser(study), ratings.make_ratings_table([]))


def ask_on(study: Study, rater: Rater) -> Rater | None:
    """A rater of an adaptive study, who has answered all so far, with further trials; None where they are done."""
    store = rater_store(study)
    more = adaptive.list_next_trials(study, load_stimuli(study), store.rater_ratings(rater), rater.trials, _find_chooser(study))
    if not more:
        return None
    return store.extend(rater.code, more)


def _find_chooser(study: Study) -> StimulusChooser:
    """Who chooses what the raters of an adaptive study are asked next."""

    def find_group() -> GroupPredictions | None:
        version = answers_version(study)
        return _fit_group(study.name, study.token, face_choice.count_refits(version[2][1]), version[3], study)

    return face_choice.make_chooser(study, load_stimuli(study), find_group)


@st.cache_resource(show_spinner=False, max_entries=8)
def _fit_group(name: str, token: str, refits: int, deletions: int, _study: Study) -> GroupPredictions | None:
    """Fitted anew after so many answers more, and after deletions: nothing of who was deleted stays in it."""
    table = _load_face_table(name, token, _study)
    return face_choice.fit_study_group(table, _study, load_stimuli(_study), get_store().ratings(name))


@st.cache_resource(show_spinner=False, max_entries=8)
def _load_face_table(name: str, token: str, _study: Study) -> FaceTable:
    nothing = ratings.make_ratings_table([])
    return face_choice.FaceTable.of(study_data.build_study_data(_study, load_stimuli(_study), [], nothing, get_library()))


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
    """sample_id -> the sets that may hold its picture, the stimulus's own first."""
    return {
        sample: tuple(dict.fromkeys(str(set_id) for set_id in (stimulus.details.get("set", ""), *study.sample_sets) if set_id))
        for stimulus in stimuli
        for sample in stimulus.images
    }


def study_picture_url(token: str, sample_id: str) -> str:
    """The address of a picture of a study."""
    return f"/studies/{token}/images/{sample_id}"


def has_pictures(study: Study, stimulus: Stimulus) -> bool:
    """Whether the library may hold its pictures; of imported answers it often does not."""
    return bool(stimulus.details.get("set") or study.sample_sets)


def load_stimuli(study: Study) -> list[Stimulus]:
    """A study's stimuli, cached, as they never change; the list must not be changed in place."""
    return _load_stimuli(study.name, study.token)


@st.cache_resource(show_spinner=False, max_entries=32)
def _load_stimuli(name: str, token: str) -> list[Stimulus]:
    return get_store().stimuli(name)


AnswersVersion = tuple[str, str, tuple[int, int], int]


def answers_version(study: Study) -> AnswersVersion:
    """A key that changes whenever an answer comes in or goes, for caches of what follows from a study's answers."""
    store = get_store()
    return study.name, study.token, store.counts(study.name).get(study.name, (0, 0)), len(store.deletions(study.name))


def load_ratings(study: Study) -> pd.DataFrame:
    """The ratings of a study as a typed table, which must not be changed in place."""
    return _load_ratings(answers_version(study))


@st.cache_resource(show_spinner=False, max_entries=4)
def _load_ratings(version: AnswersVersion) -> pd.DataFrame:
    return get_store().ratings(version[0])
