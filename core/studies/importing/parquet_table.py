"""Parquet -> text cells; types are turned into text that reads back to the same value."""

from __future__ import annotations

import json
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import LiminalError
from core.studies.exporting.tables import FORMAT_VERSION, VERSION_KEY
from core.studies.importing.problems import Problems
from core.studies.importing.reading import Imported, check_columns, check_rows

MAX_UNPACKED = 16 * 2**30
"""Bytes after unpacking: a small file can claim to hold far more than it weighs."""


def read_parquet(stream: BinaryIO, name: str, digest: str) -> Imported:
    """A Parquet file -> Imported; see ``reading.read`` for what it raises."""
    table = parquet(stream, name)
    frame = pa.table([_text(table[column], column, name) for column in table.column_names], names=table.column_names).to_pandas(
        types_mapper={pa.large_string(): pd.StringDtype(na_value=np.nan)}.get
    )
    lines = np.arange(1, len(frame) + 1, dtype=np.int64)
    return Imported(name, "parquet", frame, lines, "row", digest, ("Read as Parquet.",), Problems())


def parquet(stream: BinaryIO, name: str) -> pa.Table:
    """A Parquet file's table, its claims checked first. Raises LiminalError for damaged, too large and later ones."""
    try:
        file = pq.ParquetFile(stream)
        check_columns(list(file.schema_arrow.names), name)
        check_rows(file.metadata.num_rows, name)
        unpacked = sum(file.metadata.row_group(place).total_byte_size for place in range(file.metadata.num_row_groups))
        version = int((file.schema_arrow.metadata or {}).get(VERSION_KEY, b"0"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LiminalError(f"{name} begins like a Parquet file but is damaged; copy or export it again.") from error
    if version > FORMAT_VERSION:
        raise LiminalError(f"{name} was exported by a later version of Liminal; update Liminal, or export it as CSV there.")
    if unpacked > MAX_UNPACKED:
        raise LiminalError(f"{name} unpacks to more than {MAX_UNPACKED // 2**30} GB; split it into several files.")
    try:
        return file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LiminalError(f"{name} begins like a Parquet file but is damaged; copy or export it again.") from error


def _text(column: pa.ChunkedArray, label: str, name: str) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_floating(kind):
        finite = column.filter(pc.is_finite(column))
        if pc.all(pc.equal(pc.round(finite), finite)).as_py() and pc.all(pc.less(pc.abs(finite), 2.0**53)).as_py():
            # identifiers become floats where one is missing: 12.0 is 12
            column = pc.if_else(pc.is_finite(column), column, None).cast(pa.int64()) if len(finite) else column
        elif kind != pa.float64():
            column = column.cast(pa.float64())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise LiminalError(f"The column '{label}' of {name} holds binary data; leave it out when you save the table.")
    if pa.types.is_nested(kind):
        texts = [None if value is None else json.dumps(value, default=str) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    try:
        return column.cast(pa.large_string())
    except pa.ArrowException as error:
        raise LiminalError(
            f"The column '{label}' of {name} cannot be read as text; leave it out when you save the table."
        ) from error
