"""Answers into the database and out of it: one by one from raters, and whole tables.

One by one (``AnswerIntake``): an answer is acknowledged only when it is on the disk, is stored once, and never under another
rater's name. Every commit waits for the disk, so the caller who holds the lock also saves all answers that came meanwhile: fifty
raters at once wait for two writes, not for fifty. Whole tables (``save_rows``, ``read_rows``) go in chunks: in memory are the
table itself and one chunk. They bypass SQLAlchemy's conversion of single values, which would take most of the time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, RowMapping, Select, Table, Text, bindparam, select, text, tuple_, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite

from core.errors import LiminalError
from core.studies.ratings import RATINGS, Rating, Source, TakenId, check_table, check_value, describe_fault, type_columns
from core.studies.storage import database
from core.studies.storage.database import Database
from core.studies.storage.tables import ANSWERS, RATERS, STIMULI, STUDIES

KEYS_PER_QUERY = 2000
"""Values in one query; SQLite takes 32,766 at most."""

TRIAL_COLUMNS = (ANSWERS.c.study, ANSWERS.c.rater, ANSWERS.c.trial, ANSWERS.c.task, ANSWERS.c.stimulus)
"""A row is stored once for each combination of these."""


class AnswerIntake:
    """Saves single answers, those of several callers in one commit. A store has one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_SaveCall] = []
        self._guard = threading.Lock()

    def save(self, ratings: Sequence[Rating]) -> list[str]:
        """Save all answers or none -> their ids, once they are on the disk."""
        call = _SaveCall(ratings)
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

    def _commit(self, calls: Sequence[_SaveCall]) -> None:
        try:
            with self._database.committing() as connection:
                admit_calls(connection, calls)
        except Exception as error:
            for call in calls:
                call.error = call.error or (LiminalError(str(error)) if isinstance(error, LiminalError) else error)
        for call in calls:
            call.done = True


class _SaveCall:
    """One call of ``AnswerIntake.save``: its answers, and the outcome."""

    def __init__(self, ratings: Sequence[Rating]) -> None:
        self.ratings = tuple(ratings)
        self.done = False
        self.error: Exception | None = None


def admit_calls(connection: Connection, calls: Sequence[_SaveCall]) -> None:
    """Check each call against the store; insert the rows of calls without a fault and set the ``error`` of the others."""
    state = _StoredState(connection, [rating for call in calls for rating in call.ratings])
    rows: list[dict[str, Any]] = []
    for call in calls:
        try:
            rows += state.admit(call.ratings)
        except LiminalError as error:
            call.error = error
    if not rows:
        return
    inserted = connection.execute(insert_new(connection, ANSWERS), rows).rowcount
    seen = sorted({(row["study"], row["rater"]) for row in rows} & set(state.raters))
    if seen:  # a sign of life: the place stays theirs
        mine = (RATERS.c.study == bindparam("in_study")) & (RATERS.c.rater == bindparam("who"))
        now = datetime.now(UTC)
        connection.execute(
            update(RATERS).where(mine).values(seen_at=now), [{"in_study": study, "who": rater} for study, rater in seen]
        )
    if inserted != len(rows):
        _check_all_stored(connection, rows)


def insert_new(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that skips rows which conflict with stored ones."""
    kind = sqlite if connection.dialect.name == "sqlite" else postgresql
    return kind.insert(table).on_conflict_do_nothing()  # type: ignore[no-any-return]


def select_by_keys(connection: Connection, query: Select[Any], column: Any, keys: Sequence[Any]) -> Iterator[RowMapping]:
    """The rows of ``query`` whose ``column`` is one of ``keys``."""
    for start in range(0, len(keys), KEYS_PER_QUERY):
        yield from connection.execute(query.where(column.in_(keys[start : start + KEYS_PER_QUERY]))).mappings()


def _check_all_stored(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """After a conflict with another process: raises LiminalError unless each answer is stored, under its id or for its trial."""
    ids = {row["rating_id"]: row for row in rows}
    for stored in select_by_keys(connection, select(ANSWERS.c.rating_id, *TRIAL_COLUMNS), ANSWERS.c.rating_id, list(ids)):
        if _trial_key(stored) == _trial_key(ids[stored["rating_id"]]):
            del ids[stored["rating_id"]]
    trials = [_trial_key(row) for row in ids.values()]
    if len(
        {_trial_key(stored) for stored in select_by_keys(connection, select(*TRIAL_COLUMNS), tuple_(*TRIAL_COLUMNS), trials)}
    ) < len(set(trials)):
        raise LiminalError("Another answer came under the same id at the same time; send this one again under a new id.")


def _trial_key(row: Mapping[str, Any] | RowMapping) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in TRIAL_COLUMNS)


class _StoredState:
    """The stored rows that some answers refer to: studies, raters, attention checks, and ids that are taken."""

    def __init__(self, connection: Connection, ratings: Sequence[Rating]) -> None:
        studies = sorted({rating.study for rating in ratings})
        raters = sorted({(rating.study, rating.rater) for rating in ratings})
        stimuli = sorted({(rating.study, rating.stimulus) for rating in ratings})
        ids = sorted({rating.rating_id for rating in ratings})
        # Locked until the commit, studies before raters and in order: nobody is closed or forgotten between look and insert.
        open_ = select(STUDIES.c.name, STUDIES.c.closed, STUDIES.c.origin).order_by(STUDIES.c.name).with_for_update(read=True)
        self.studies = {row["name"]: row for row in select_by_keys(connection, open_, STUDIES.c.name, studies)}
        told = (RATERS.c[name] for name in ("study", "rater", "source", "trials", "released_at", "screened_out_at", "finished_at"))
        enrolled = select(*told).order_by(RATERS.c.study, RATERS.c.rater)
        key = tuple_(RATERS.c.study, RATERS.c.rater)
        self.raters = {
            (row["study"], row["rater"]): row for row in select_by_keys(connection, enrolled.with_for_update(), key, raters)
        }
        sentinels = select(STIMULI.c.study, STIMULI.c.stimulus).where(STIMULI.c.is_sentinel)
        key = tuple_(STIMULI.c.study, STIMULI.c.stimulus)
        self.sentinels = {(row["study"], row["stimulus"]) for row in select_by_keys(connection, sentinels, key, stimuli)}
        stored = select(ANSWERS.c.rating_id, ANSWERS.c.study, ANSWERS.c.rater, ANSWERS.c.stimulus, ANSWERS.c.task)
        self.ids = {
            row["rating_id"]: (row["study"], row["rater"], row["stimulus"], row["task"])
            for row in select_by_keys(connection, stored, ANSWERS.c.rating_id, ids)
        }

    def admit(self, ratings: Sequence[Rating]) -> list[dict[str, Any]]:
        """The rows of a call that are not stored yet. Raises LiminalError for the first answer that must not be stored."""
        rows: list[dict[str, Any]] = []
        new: dict[str, tuple[str, str, str, str]] = {}
        for rating in ratings:
            trial_key = (rating.study, rating.rater, rating.stimulus, rating.task)
            stored_key = self.ids.get(rating.rating_id) or new.get(rating.rating_id)
            if stored_key is None:
                rows.append(self._row(rating))
                new[rating.rating_id] = trial_key
            elif stored_key != trial_key:
                raise TakenId(f"The id {rating.rating_id} belongs to another answer; send this one under a new id.")
        self.ids |= new
        return rows

    def _row(self, rating: Rating) -> dict[str, Any]:
        study = self.studies.get(rating.study)
        if study is None:
            raise LiminalError(f"There is no study '{rating.study}'.")
        if study["closed"]:
            raise LiminalError(f"The study '{rating.study}' is closed and takes no more answers.")
        row = rating.to_row()
        rater = self.raters.get((rating.study, rating.rater))
        if rater is None:
            if rating.source == "human" and study["origin"] == "here":
                raise LiminalError(f"Nobody called '{rating.rater}' takes part in the study '{rating.study}'; open its link anew.")
            return row
        if rating.source not in ("human", rater["source"]):  # 'human' is only the default
            raise LiminalError(f"'{rating.rater}' is the name of a person in the study '{rating.study}'; choose another name.")
        if rater["finished_at"] is None and rater["screened_out_at"] is not None:
            raise LiminalError("You cannot take part in this study; thank you for your interest.")
        if rater["finished_at"] is None and rater["released_at"] is not None:
            raise LiminalError(
                "You were away for so long that somebody else got your place; reload this page to see if one is free."
            )
        if rating.stimulus not in rater["trials"]:
            raise LiminalError(f"'{rating.rater}' was not asked about {rating.stimulus} in the study '{rating.study}'.")
        # These three are never taken from the browser.
        return row | {
            "trial": rater["trials"].index(rating.stimulus),
            "source": rater["source"],
            "is_sentinel": (rating.study, rating.stimulus) in self.sentinels,
        }


CHUNK = 20_000
"""Rows of a table that are inserted or read together."""

COLUMN_LIST = ", ".join(RATINGS)
_COERCED: list[Any] = [type_coerce(ANSWERS.c[name], Text).label(name) for name in RATINGS]
_DRIVER_ROWS: Select[Any] = select(*_COERCED)  # values as the database driver returns them

DriverRow = tuple[Any, ...]


def save_rows(connection: Connection, frame: pd.DataFrame) -> int:
    """Insert a table -> the number of new rows. Raises LiminalError at the first row that must not be stored."""
    missing = [name for name in RATINGS if name not in frame.columns]
    if missing:
        raise LiminalError(f"A table of answers needs the column '{missing[0]}'.")
    for study in frame["study"].dropna().unique():
        if connection.scalar(select(STUDIES.c.name).where(STUDIES.c.name == str(study))) is None:
            raise LiminalError(f"There is no study '{study}'; make it before its answers come in.")
    repeated = frame["rating_id"].duplicated()
    if repeated.any():
        raise LiminalError(f"The id {frame['rating_id'][repeated].iloc[0]} is there twice; every answer needs one of its own.")
    insert = _into_sqlite if connection.dialect.name == "sqlite" else _into_postgresql
    new = 0
    for start in range(0, len(frame), CHUNK):
        chunk = _check_chunk(frame.iloc[start : start + CHUNK])
        rows = list(zip(*(_driver_values(chunk[name], connection) for name in RATINGS), strict=True))
        inserted = insert(connection, rows)
        if inserted != len(rows):
            _check_same(connection, rows)
        new += inserted
    return new


def _into_sqlite(connection: Connection, rows: list[DriverRow]) -> int:
    marks = ", ".join("?" for _ in RATINGS)
    return connection.exec_driver_sql(f"INSERT INTO ratings ({COLUMN_LIST}) VALUES ({marks}) ON CONFLICT DO NOTHING", rows).rowcount


def _into_postgresql(connection: Connection, rows: list[DriverRow]) -> int:
    """COPY cannot skip conflicts, so the rows go through a temporary table."""
    connection.execute(text("CREATE TEMPORARY TABLE IF NOT EXISTS incoming (LIKE ratings) ON COMMIT DROP"))
    with connection.connection.cursor().copy(f"COPY incoming ({COLUMN_LIST}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    insert = f"INSERT INTO ratings ({COLUMN_LIST}) SELECT {COLUMN_LIST} FROM incoming ON CONFLICT DO NOTHING"
    inserted = connection.execute(text(insert)).rowcount
    connection.execute(text("TRUNCATE incoming"))
    return inserted


def _check_chunk(chunk: pd.DataFrame) -> pd.DataFrame:
    """The chunk, typed, with names and values in their one form. Raises LiminalError for its first row that does not fit."""
    try:
        chunk = type_columns(chunk)
    except (ValueError, TypeError, OverflowError) as error:
        raise LiminalError(f"The table of answers has a value of the wrong type: {error}.") from None
    chunk = chunk.fillna({"session": "", "presented": "{}"})
    checked, faults = check_table(chunk)
    for row in np.flatnonzero(faults != "")[:1]:
        column, cell = str(faults[row]), chunk[faults[row]].iloc[row]
        if pd.isna(cell):
            raise LiminalError(f"An answer has no {column}; every answer needs one.")
        if column == "value":
            check_value(chunk["task"].iloc[row], cell)
        fault = describe_fault(column, cell)
        raise LiminalError(f"{fault[:1].upper()}{fault[1:]}.")
    return checked


def _driver_values(column: pd.Series, connection: Connection) -> Sequence[Any]:
    """The values of a column as the database driver takes and returns them."""
    if column.name == "created_at":
        if connection.dialect.name == "sqlite":  # as SQLAlchemy writes it
            moments = np.datetime_as_string(column.to_numpy("datetime64[us]"), unit="us").tolist()
            return [moment.replace("T", " ") for moment in moments]
        return list(column.dt.to_pydatetime())
    if column.name == "reaction_time_ms":
        return [None if number != number else number for number in column.tolist()]
    return column.tolist()


def _check_same(connection: Connection, rows: Sequence[DriverRow]) -> None:
    """After a conflict: raises LiminalError unless the rows that are stored already are the same answers under the same ids."""
    rows_by_id = {row[0]: row for row in rows}
    for stored in select_by_keys(connection, _DRIVER_ROWS, ANSWERS.c.rating_id, list(rows_by_id)):
        if rows_by_id.pop(stored["rating_id"]) != tuple(stored.values()):
            raise LiminalError(f"The id {stored['rating_id']} belongs to another answer that is in the store; give new ids.")
    for values in rows_by_id.values():
        row = dict(zip(RATINGS, values, strict=True))
        raise LiminalError(
            f"The rater '{row['rater']}' answers {row['stimulus']} ({row['task']}) at trial {row['trial']} more than once; "
            f"number the trials."
        )


def read_rows(connection: Connection, study: str, sources: Sequence[Source] | None, rater: str | None = None) -> pd.DataFrame:
    """A study's typed table of RATINGS, sorted by rater, trial and task; rater: of one person alone."""
    query = _DRIVER_ROWS.where(ANSWERS.c.study == study)
    if rater is not None:
        query = query.where(ANSWERS.c.rater == rater)
    if sources is not None:
        query = query.where(ANSWERS.c.source.in_(sources))
    chunks = list(_read_chunks(connection, query.order_by(*(ANSWERS.c[name] for name in ("rater", "trial", "task", "stimulus")))))
    return pd.concat(chunks, ignore_index=True) if chunks else type_columns(pd.DataFrame(columns=list(RATINGS)))


def _read_chunks(connection: Connection, query: Select[Any]) -> Iterator[pd.DataFrame]:
    result = connection.execution_options(yield_per=CHUNK).execute(query)
    for rows in result.partitions():
        columns = dict(zip(RATINGS, zip(*rows, strict=True), strict=True))
        columns["created_at"] = pd.to_datetime(list(columns["created_at"]), utc=True, format="ISO8601")  # type: ignore[assignment]
        yield type_columns(pd.DataFrame(columns))
