"""Answers as CSV and as Parquet.

CSV is UTF-8 with a mark at its start, without which Excel misreads every letter beyond English; pandas, R and our own import skip
the mark. Times are ISO 8601 in UTC. Text cells that a spreadsheet would compute are escaped (``safe_cells``); Parquet is not
opened by spreadsheets that compute, so it holds every text as it is.
"""

from __future__ import annotations

import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.studies.exporting.safe_cells import escaped
from core.studies.ratings import RATINGS, typed

FORMAT_VERSION = 1
VERSION_KEY = b"liminal_ratings_version"

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%f+00:00"


def csv_bytes(ratings: pd.DataFrame) -> bytes:
    """A table of RATINGS -> a CSV file's bytes."""
    frame = typed(ratings)
    text = frame.assign(created_at=frame["created_at"].dt.strftime(TIME_FORMAT))
    for name, kind in RATINGS.items():
        if kind == "str":
            text[name] = escaped(text[name])
    buffer = io.StringIO(newline="")
    text.to_csv(buffer, index=False, lineterminator="\r\n")
    return buffer.getvalue().encode("utf-8-sig")


def parquet_bytes(ratings: pd.DataFrame) -> bytes:
    """A table of RATINGS -> a Parquet file's bytes, with the version of the schema in its metadata."""
    table = pa.Table.from_pandas(typed(ratings), preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), VERSION_KEY: str(FORMAT_VERSION).encode()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
