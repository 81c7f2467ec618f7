"""The way in for answers, one by one: on the disk before anybody is told so, each once, and never under another's name.

Every commit waits for the disk. Whoever's turn it is therefore takes along all answers that came meanwhile: fifty people
at once wait for two writes, not for fifty.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, Table, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from core.errors import LiminalError
from core.studies.ratings import Rating, TakenId
from core.studies.storage import database
from core.studies.storage.database import Database
from core.studies.storage.rows import checked_name
from core.studies.storage.tables import ANSWERS, RATERS, STIMULI, STUDIES

KEYS = 2000
"""Names in one question to the database; SQLite takes 32,766 values at most."""

TRIAL = (ANSWERS.c.study, ANSWERS.c.rater, ANSWERS.c.trial, ANSWERS.c.task, ANSWERS.c.stimulus)
"""What is answered once."""


class Intake:
    """Saves answers; one for each store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Call] = []
        self._guard = threading.Lock()

    def save(self, ratings: Sequence[Rating]) -> list[str]:
        """All of the call or none -> the ids that are on the disk now."""
        call = _Call(ratings)
        with self._guard:
            self._waiting.append(call)
        if not self._database.lock.acquire(timeout=database.BUSY_SECONDS):
            with self._guard:
                if call in self._waiting:
                    self._waiting.remove(call)
            raise self._database.busy()
        try:
            if not call.done:
                with self._guard:
                    calls, self._waiting = self._waiting, []
                self._commit(calls if call in calls else [*calls, call])
        finally:
            self._database.lock.release()
        if call.error is not None:
            raise call.error
        return [rating.rating_id for rating in call.ratings]

    def _commit(self, calls: Sequence[_Call]) -> None:
        try:
            with self._database.committing() as connection:
                admit(connection, calls)
        except Exception as error:
            for call in calls:
                call.error = call.error or (LiminalError(str(error)) if isinstance(error, LiminalError) else error)
        for call in calls:
            call.done = True


class _Call:
    """What one caller wants saved, and what became of it."""

    def __init__(self, ratings: Sequence[Rating]) -> None:
        self.ratings = tuple(ratings)
        self.done = False
        self.error: Exception | None = None


def admit(connection: Connection, calls: Sequence[_Call]) -> None:
    """Check every call against the store and insert the rows of those without a fault; the others get their ``error``."""
    known = _Known(connection, [rating for call in calls for rating in call.ratings])
    rows: list[dict[str, Any]] = []
    for call in calls:
        try:
            rows += known.admit(call.ratings)
        except LiminalError as error:
            call.error = error
    if not rows:
        return
    inserted = connection.execute(insert_new(connection, ANSWERS), rows).rowcount
    if inserted != len(rows):
        _check_kept(connection, rows)


def insert_new(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """INSERT that leaves what is there already as it is."""
    kind = sqlite if connection.dialect.name == "sqlite" else postgresql
    return kind.insert(table).on_conflict_do_nothing()  # type: ignore[no-any-return]


def found(connection: Connection, query: Select[Any], column: Any, keys: Sequence[Any]) -> Iterator[RowMapping]:
    """The rows of ``query`` whose ``column`` is one of ``keys``."""
    for start in range(0, len(keys), KEYS):
        yield from connection.execute(query.where(column.in_(keys[start : start + KEYS]))).mappings()


def _check_kept(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Another process was faster: every answer must be there, under its id or as the same trial's, else all is taken back."""
    ids = {row["rating_id"]: row for row in rows}
    for there in found(connection, select(ANSWERS.c.rating_id, *TRIAL), ANSWERS.c.rating_id, list(ids)):
        if _trial(there) == _trial(ids[there["rating_id"]]):
            del ids[there["rating_id"]]
    trials = [_trial(row) for row in ids.values()]
    if len({_trial(there) for there in found(connection, select(*TRIAL), tuple_(*TRIAL), trials)}) < len(set(trials)):
        raise LiminalError("Another answer came under the same id at the same time; send this one again under a new id.")


def _trial(row: Mapping[str, Any] | RowMapping) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in TRIAL)


class _Known:
    """What the store says about some answers: their studies, raters and attention checks, and the ids that are there."""

    def __init__(self, connection: Connection, ratings: Sequence[Rating]) -> None:
        studies = sorted({rating.study for rating in ratings})
        raters = sorted({(rating.study, rating.rater) for rating in ratings})
        shown = sorted({(rating.study, rating.stimulus) for rating in ratings})
        ids = sorted({rating.rating_id for rating in ratings})
        # Locked until the commit, studies before raters and in order: nobody is closed or forgotten between look and insert.
        open_ = select(STUDIES.c.name, STUDIES.c.closed, STUDIES.c.published).order_by(STUDIES.c.name).with_for_update(read=True)
        self.studies = {row["name"]: row for row in found(connection, open_, STUDIES.c.name, studies)}
        enrolled = select(RATERS.c.study, RATERS.c.rater, RATERS.c.source, RATERS.c.trials).order_by(RATERS.c.study, RATERS.c.rater)
        key = tuple_(RATERS.c.study, RATERS.c.rater)
        self.raters = {(row["study"], row["rater"]): row for row in found(connection, enrolled.with_for_update(), key, raters)}
        sentinels = select(STIMULI.c.study, STIMULI.c.stimulus).where(STIMULI.c.is_sentinel)
        key = tuple_(STIMULI.c.study, STIMULI.c.stimulus)
        self.sentinels = {(row["study"], row["stimulus"]) for row in found(connection, sentinels, key, shown)}
        there = select(ANSWERS.c.rating_id, ANSWERS.c.study, ANSWERS.c.rater, ANSWERS.c.stimulus, ANSWERS.c.task)
        self.ids = {
            row["rating_id"]: (row["study"], row["rater"], row["stimulus"], row["task"])
            for row in found(connection, there, ANSWERS.c.rating_id, ids)
        }

    def admit(self, ratings: Sequence[Rating]) -> list[dict[str, Any]]:
        """The rows of a call that are not there yet. Raises LiminalError for the first answer that must not be kept."""
        rows: list[dict[str, Any]] = []
        new: dict[str, tuple[str, str, str, str]] = {}
        for rating in ratings:
            place = (rating.study, rating.rater, rating.stimulus, rating.task)
            there = self.ids.get(rating.rating_id) or new.get(rating.rating_id)
            if there is None:
                rows.append(self._row(rating))
                new[rating.rating_id] = place
            elif there != place:
                raise TakenId(f"The id {rating.rating_id} belongs to another answer; send this one under a new id.")
        self.ids |= new
        return rows

    def _row(self, rating: Rating) -> dict[str, Any]:
        study = self.studies.get(rating.study)
        if study is None:
            raise LiminalError(f"There is no study '{rating.study}'.")
        if study["closed"]:
            raise LiminalError(f"The study '{rating.study}' is closed and takes no more answers.")
        checked_name(rating.session or "-", "session")
        row = rating.to_row()
        rater = self.raters.get((rating.study, rating.rater))
        if rater is None:
            if rating.source == "human" and not study["published"]:
                raise LiminalError(f"Nobody called '{rating.rater}' takes part in the study '{rating.study}'; open its link anew.")
            return row | {"rater": checked_name(rating.rater, "rater"), "stimulus": checked_name(rating.stimulus, "stimulus")}
        if rating.source not in ("human", rater["source"]):  # 'human' is only the default
            raise LiminalError(f"'{rating.rater}' is the name of a person in the study '{rating.study}'; choose another name.")
        if rating.stimulus not in rater["trials"]:
            raise LiminalError(f"'{rating.rater}' was not asked about {rating.stimulus} in the study '{rating.study}'.")
        # What the browser says about these is not believed.
        return row | {
            "trial": rater["trials"].index(rating.stimulus),
            "source": rater["source"],
            "is_sentinel": (rating.study, rating.stimulus) in self.sentinels,
        }
