"""A piece as Parquet: the columns of a sample set's tables, each picture's bytes in the struct that ``datasets`` reads as an image.

samples: the columns of ``core.sampling.tables``, with image: struct{bytes (PNG), path}, latent: list of float32, and piece: the
piece that made it. pairs: as there, with piece. searches: a row a run of the search, with the history of its best distance.
Equal samples give equal bytes: nothing in these files depends on when or where they were made.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import LiminalError
from core.sampling.many.pieces import Piece
from core.sampling.sample_set import SampleSet, png

TABLES = {"identity": ("samples", "pairs", "searches"), "emotion": ("samples",)}
"""What a piece of each kind holds."""
RECORD = "piece.json"
FROM_MANIFEST = ("versions", "models", "device", "thresholds", "percentiles", "temperatures")
"""What must be the same in all pieces of a kind: two that differ in it were made by different programs."""

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SEARCHES = pa.schema(
    [
        ("piece", pa.int64()),
        ("batch", pa.int64()),
        ("base_id", pa.string()),
        ("partner_id", pa.string()),
        ("strategy", pa.string()),
        ("evaluations", pa.int64()),
        ("history", pa.list_(pa.float64())),  # best distance by iteration, null while no face was found
        (
            "kept",
            pa.list_(
                pa.struct(
                    [("target", pa.float64()), ("distance", pa.float64()), ("reached", pa.bool_()), ("iteration", pa.int64())]
                )
            ),
        ),
    ]
)


def encoded(piece: Piece, made: SampleSet, seconds: float) -> dict[str, bytes]:
    """Name -> content of a finished piece's files, its record last. seconds: that it took to make."""
    tables = {"samples": samples_table(made, piece.number)}
    if made.kind == "identity":
        tables["pairs"] = _numbers(made.pairs.assign(piece=piece.number))
        runs = [{"piece": piece.number, **run} for run in made.manifest["searches"]]
        tables["searches"] = pa.Table.from_pylist(runs, schema=SEARCHES)
    files = {f"{name}.parquet": written(table) for name, table in tables.items()}
    record = {
        "number": piece.number,
        "kind": piece.kind,
        "foretold": piece.images,
        "rows": {name: table.num_rows for name, table in tables.items()},
        "counts": dict(made.manifest["counts"]),
        "evaluations": made.manifest.get("evaluations", 0),
        "seconds": {"made": seconds, **made.manifest["seconds"]},
        "same": {name: made.manifest[name] for name in FROM_MANIFEST if name in made.manifest},
    }
    return {**files, RECORD: json.dumps(record, allow_nan=False).encode()}


def samples_table(made: SampleSet, piece: int) -> pa.Table:
    """The samples of a set with their pictures and latents."""
    names = list(made.samples["sample_id"])
    numbers = _numbers(made.samples.drop(columns="image").assign(piece=piece))
    pictures = [{"bytes": png(made.images[name]), "path": f"{name}.png"} for name in names]
    latents = [np.asarray(made.latents[name], np.float32) for name in names]
    table = numbers.append_column("latent", pa.array(latents, pa.list_(pa.float32())))
    return table.append_column("image", pa.array(pictures, IMAGE))


def _numbers(table: pd.DataFrame) -> pa.Table:
    """A table of plain columns, without what pandas adds; text as Arrow's usual strings."""
    made = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    plain = [pa.field(each.name, pa.string() if _text(each.type) else each.type) for each in made.schema]
    return made.cast(pa.schema(plain))


def _text(kind: pa.DataType) -> bool:
    """A column without any text comes as nulls."""
    return bool(pa.types.is_large_string(kind) or pa.types.is_string(kind) or pa.types.is_null(kind))


def written(table: pa.Table) -> bytes:
    """A Parquet file of one row group."""
    buffer = io.BytesIO()
    with writer(buffer, table.schema) as file:
        file.write_table(table, row_group_size=max(1, table.num_rows))
    return buffer.getvalue()


def writer(place: Any, schema: pa.Schema) -> pq.ParquetWriter:
    """Into a stream. Pictures are compressed already; of the rest Zstandard takes about a third."""
    compression = {}
    for each in schema:
        for path in _leaves(each):
            compression[path] = "NONE" if path.startswith("image.") else "ZSTD"
    dictionaries = [each.name for each in schema if pa.types.is_string(each.type)]
    return pq.ParquetWriter(place, schema.with_metadata(features(schema)), compression=compression, use_dictionary=dictionaries)


def _leaves(field: pa.Field, above: str = "") -> list[str]:
    """The names of a field's columns as Parquet knows them."""
    path = f"{above}{field.name}"
    if pa.types.is_struct(field.type):
        return [leaf for each in field.type for leaf in _leaves(each, f"{path}.")]
    if pa.types.is_list(field.type):
        return _leaves(field.type.value_field.with_name("element"), f"{path}.list.")
    return [path]


def features(schema: pa.Schema) -> dict[str, str]:
    """The file's metadata by which ``datasets`` knows the pictures as images."""
    found: dict[str, Any] = {}
    for each in schema:
        if each.type.equals(IMAGE):
            found[each.name] = {"_type": "Image"}
        else:
            found[each.name] = _feature(each.type)
    return {"huggingface": json.dumps({"info": {"features": found}})}


def _feature(kind: pa.DataType) -> Mapping[str, Any]:
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {each.name: _feature(each.type) for each in kind}
    names = {"double": "float64", "float": "float32"}
    return {"dtype": names.get(str(kind), str(kind)), "_type": "Value"}


def read_table(path: Path) -> pa.Table:
    """A file as a table. Raises LiminalError where it cannot be read."""
    try:
        return pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise LiminalError(f"The file {path} of the data set is damaged ({_short(error)}); delete it and run again.") from None


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:80] if str(error) else type(error).__name__
