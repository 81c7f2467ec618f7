"""Answers as CSV and as Parquet.

CSV is UTF-8 with a byte order mark, without which Excel misreads every letter beyond English; pandas, R and our own import skip
the mark. Times are ISO 8601 in UTC, empty where they are not known. Text cells that a spreadsheet would compute as a formula get
an apostrophe in front (``escape_cell``), and lose it again in our own import (``unescape_cell``); Parquet is not opened by
spreadsheets that compute, so it holds every text as it is.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.studies.ratings import RATINGS, UNKNOWN_TIME, type_columns

FORMULA_STARTS = "=+\\-@\t\r\n＝＋－＠"
"""First characters of a formula: also tabs and line ends, which spreadsheets skip, and full-width signs."""

_DANGEROUS = re.compile(f"'*[{FORMULA_STARTS}]")
_ESCAPED = re.compile(f"'+[{FORMULA_STARTS}]")


def escape_cell(text: str) -> str:
    """Put an apostrophe before a text that starts like a formula, even after apostrophes, so that it can be undone."""
    return f"'{text}" if _DANGEROUS.match(text) else text


def escape_column(column: pd.Series) -> pd.Series:
    """``escape_cell`` for a column of text."""
    dangerous = column.str.match(_DANGEROUS.pattern).fillna(False).astype(bool)
    return column.where(~dangerous, "'" + column)


def unescape_column(column: pd.Series) -> pd.Series:
    """Undo ``escape_column``; missing cells stay missing."""
    marked = column.str.match(_ESCAPED.pattern).fillna(False).astype(bool)
    return column.where(~marked, column.str.slice(1))


RATINGS_VERSION = 1
VERSION_KEY = b"liminal_ratings_version"

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%f+00:00"


PARTICIPANT = "participant"
"""The column with what a panel calls the rater: only where it is asked for."""


def make_text_table(ratings: pd.DataFrame) -> pd.DataFrame:
    """A table of RATINGS as CSV has it: times as text, text without formulas."""
    frame = type_columns(ratings)
    time = frame["created_at"]
    text = frame.assign(created_at=time.dt.strftime(TIME_FORMAT).mask(time == UNKNOWN_TIME, ""))
    for name, kind in RATINGS.items():
        if kind == "str":
            text[name] = escape_column(text[name])
    return text


def csv_bytes(ratings: pd.DataFrame, participants: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a CSV file of a table of RATINGS. participants: what a panel calls the raters, as a further column."""
    text = make_text_table(ratings)
    if participants is not None:
        named = type_columns(ratings)["rater"].map(participants).fillna("").astype("str")
        text[PARTICIPANT] = escape_column(named)
    buffer = io.StringIO(newline="")
    text.to_csv(buffer, index=False, lineterminator="\r\n")
    return buffer.getvalue().encode("utf-8-sig")


def parquet_bytes(ratings: pd.DataFrame, participants: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a Parquet file of a table of RATINGS, with the version of the schema in its metadata.

    participants: as of ``csv_bytes``.
    """
    frame = type_columns(ratings)
    if participants is not None:
        frame[PARTICIPANT] = frame["rater"].map(participants).fillna("").astype("str")
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), VERSION_KEY: str(RATINGS_VERSION).encode()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
