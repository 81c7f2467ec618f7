"""Whole tables of answers in and out, in chunks: what is in memory is the table itself and one chunk.

Rows go past SQLAlchemy's conversions, one value at a time, which would take most of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Select, Text, select, text, type_coerce

from core.errors import LiminalError
from core.studies.ratings import RATINGS, SOURCES, Source, checked_value, typed
from core.studies.storage.answers import found
from core.studies.storage.rows import checked_name
from core.studies.storage.tables import ANSWERS, STUDIES

CHUNK = 20_000
"""Rows."""

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NEEDED = [name for name in RATINGS if name not in ("session", "presented", "reaction_time_ms")]
COLUMNS = ", ".join(RATINGS)
_COERCED: list[Any] = [type_coerce(ANSWERS.c[name], Text).label(name) for name in RATINGS]
_PLAIN: Select[Any] = select(*_COERCED)  # values as the driver gives them

Row = tuple[Any, ...]


def save_rows(connection: Connection, frame: pd.DataFrame) -> int:
    """Insert a table -> rows that are new. Raises LiminalError at the first row that must not be kept."""
    missing = [name for name in RATINGS if name not in frame.columns]
    if missing:
        raise LiminalError(f"A table of answers needs the column '{missing[0]}'.")
    for study in frame["study"].dropna().unique():
        if connection.scalar(select(STUDIES.c.name).where(STUDIES.c.name == str(study))) is None:
            raise LiminalError(f"There is no study '{study}'; make it before its answers come in.")
    twice = frame["rating_id"].duplicated()
    if twice.any():
        raise LiminalError(f"The id {frame['rating_id'][twice].iloc[0]} is there twice; every answer needs one of its own.")
    checked: set[tuple[str, str]] = set()
    insert = _into_sqlite if connection.dialect.name == "sqlite" else _into_postgresql
    new = 0
    for start in range(0, len(frame), CHUNK):
        chunk = _checked(frame.iloc[start : start + CHUNK], checked)
        rows = list(zip(*(_plain(chunk[name], connection) for name in RATINGS), strict=True))
        inserted = insert(connection, rows)
        if inserted != len(rows):
            _check_same(connection, rows)
        new += inserted
    return new


def _into_sqlite(connection: Connection, rows: list[Row]) -> int:
    marks = ", ".join("?" for _ in RATINGS)
    return connection.exec_driver_sql(f"INSERT INTO ratings ({COLUMNS}) VALUES ({marks}) ON CONFLICT DO NOTHING", rows).rowcount


def _into_postgresql(connection: Connection, rows: list[Row]) -> int:
    """By COPY, which knows no conflicts, so through a table of the transaction's own."""
    connection.execute(text("CREATE TEMPORARY TABLE IF NOT EXISTS incoming (LIKE ratings) ON COMMIT DROP"))
    with connection.connection.cursor().copy(f"COPY incoming ({COLUMNS}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    insert = f"INSERT INTO ratings ({COLUMNS}) SELECT {COLUMNS} FROM incoming ON CONFLICT DO NOTHING"
    inserted = connection.execute(text(insert)).rowcount
    connection.execute(text("TRUNCATE incoming"))
    return inserted


def _checked(chunk: pd.DataFrame, checked: set[tuple[str, str]]) -> pd.DataFrame:
    """The chunk, typed, with values in their one form. checked: names that were looked at before."""
    try:
        chunk = typed(chunk)
    except (ValueError, TypeError, OverflowError) as error:
        raise LiminalError(f"The table of answers has a value of the wrong type: {error}.") from None
    for name in NEEDED:
        if chunk[name].isna().any():
            raise LiminalError(f"An answer has no {name}; every answer needs one.")
    odd = ~chunk["rating_id"].str.fullmatch(UUID)
    if odd.any():
        raise LiminalError(f"'{chunk['rating_id'][odd].iloc[0]}' is no UUID in its usual form; every answer needs one.")
    for name in set(chunk["source"].unique()) - set(SOURCES):
        raise LiminalError(f"An answer's source is {', '.join(SOURCES)}, not '{name}'.")
    chunk = chunk.fillna({"session": "", "presented": "{}"})
    for column in ("rater", "stimulus", "session"):
        for name in chunk[column].unique():
            if (column, name) not in checked and name + column != "session":
                if checked_name(name, column) != name:
                    raise LiminalError(f"The name of a {column} must not begin or end with a space, as {name!r} does.")
                checked.add((column, name))
    given = chunk[["task", "value"]].drop_duplicates()
    values = {(task, value): checked_value(task, value) for task, value in given.itertuples(index=False)}
    return chunk.assign(value=[values[pair] for pair in zip(chunk["task"], chunk["value"], strict=True)])


def _plain(column: pd.Series, connection: Connection) -> Sequence[Any]:
    """The values as the driver takes and gives them."""
    if column.name == "created_at":
        if connection.dialect.name == "sqlite":  # as SQLAlchemy writes it
            moments = np.datetime_as_string(column.to_numpy("datetime64[us]"), unit="us").tolist()
            return [moment.replace("T", " ") for moment in moments]
        return list(column.dt.to_pydatetime())
    if column.name == "reaction_time_ms":
        return [None if number != number else number for number in column.tolist()]
    return column.tolist()


def _check_same(connection: Connection, rows: Sequence[Row]) -> None:
    """Some rows were there already: the same answers under the same ids are welcome again, anything else is not."""
    wanted = {row[0]: row for row in rows}
    for there in found(connection, _PLAIN, ANSWERS.c.rating_id, list(wanted)):
        if wanted.pop(there["rating_id"]) != tuple(there.values()):
            raise LiminalError(f"The id {there['rating_id']} belongs to another answer that is in the store; give new ids.")
    for values in wanted.values():
        row = dict(zip(RATINGS, values, strict=True))
        raise LiminalError(
            f"The rater '{row['rater']}' answers {row['stimulus']} ({row['task']}) at trial {row['trial']} more than once; "
            f"number the trials."
        )


def read_rows(connection: Connection, study: str, sources: Sequence[Source] | None) -> pd.DataFrame:
    """A study's typed table, by rater, trial and task."""
    query = _PLAIN.where(ANSWERS.c.study == study)
    if sources is not None:
        query = query.where(ANSWERS.c.source.in_(sources))
    chunks = list(_chunks(connection, query.order_by(*(ANSWERS.c[name] for name in ("rater", "trial", "task", "stimulus")))))
    return pd.concat(chunks, ignore_index=True) if chunks else typed(pd.DataFrame(columns=list(RATINGS)))


def _chunks(connection: Connection, query: Select[Any]) -> Iterator[pd.DataFrame]:
    result = connection.execution_options(yield_per=CHUNK).execute(query)
    for rows in result.partitions():
        columns = dict(zip(RATINGS, zip(*rows, strict=True), strict=True))
        columns["created_at"] = pd.to_datetime(list(columns["created_at"]), utc=True, format="ISO8601")  # type: ignore[assignment]
        yield typed(pd.DataFrame(columns))
