"""Whole tables of answers in and out, in chunks: what is in memory is the table itself and one chunk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from sqlalchemy import Connection, select

from core.errors import LiminalError
from core.studies.ratings import RATINGS, SOURCES, checked_value, typed
from core.studies.storage.answers import found, insert_new
from core.studies.storage.rows import checked_name
from core.studies.storage.tables import ANSWERS, STUDIES

CHUNK = 20_000
"""Rows."""

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NEEDED = [name for name in RATINGS if name not in ("session", "presented", "reaction_time_ms")]


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
    return sum(
        _save_chunk(connection, _checked(frame.iloc[start : start + CHUNK], checked)) for start in range(0, len(frame), CHUNK)
    )


def _save_chunk(connection: Connection, chunk: pd.DataFrame) -> int:
    rows: list[dict[str, Any]] = chunk.to_dict("records")  # type: ignore[assignment]
    inserted = connection.execute(insert_new(connection, ANSWERS), rows).rowcount
    if inserted != len(rows):
        _check_same(connection, chunk)
    return inserted


def _checked(chunk: pd.DataFrame, checked: set[tuple[str, str]]) -> pd.DataFrame:
    """Rows with plain values, as they are stored. checked: names and values that were looked at before."""
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
    for column, meaning in (("rater", "rater"), ("stimulus", "stimulus"), ("session", "session")):
        for name in set(chunk[column].unique()) - {text for kind, text in checked if kind == column}:
            if checked_name(name or "-", meaning) != (name or "-"):
                raise LiminalError(f"The name of a {meaning} must not begin or end with a space, as {name!r} does.")
            checked.add((column, name))
    given = chunk[["task", "value"]].drop_duplicates()
    values = {(task, value): checked_value(task, value) for task, value in given.itertuples(index=False)}
    plain = chunk.astype(object)
    plain["value"] = [values[pair] for pair in zip(chunk["task"], chunk["value"], strict=True)]
    plain["reaction_time_ms"] = plain["reaction_time_ms"].where(chunk["reaction_time_ms"].notna(), None)
    plain["created_at"] = pd.Series(list(chunk["created_at"].dt.to_pydatetime()), index=chunk.index, dtype=object)
    return plain


def _check_same(connection: Connection, chunk: pd.DataFrame) -> None:
    """Some rows were there already: the same answers under the same ids are welcome again, anything else is not."""
    wanted = {row["rating_id"]: row for row in chunk.to_dict("records")}
    for there in found(connection, select(ANSWERS), ANSWERS.c.rating_id, list(wanted)):
        row = wanted.pop(there["rating_id"])
        if any(row[name] != there[name] for name in RATINGS):
            raise LiminalError(f"The id {there['rating_id']} belongs to another answer that is in the store; give new ids.")
    for row in wanted.values():
        raise LiminalError(
            f"The rater '{row['rater']}' answers {row['stimulus']} ({row['task']}) at trial {row['trial']} more than once; "
            f"number the trials."
        )


def read_rows(connection: Connection, query: Any) -> pd.DataFrame:
    """The typed table of a query over ANSWERS."""
    chunks = list(_chunks(connection, query))
    return pd.concat(chunks, ignore_index=True) if chunks else typed(pd.DataFrame(columns=list(RATINGS)))


def _chunks(connection: Connection, query: Any) -> Iterator[pd.DataFrame]:
    result = connection.execution_options(yield_per=CHUNK).execute(query)
    for rows in result.partitions():
        yield typed(pd.DataFrame(rows, columns=list(RATINGS)))
