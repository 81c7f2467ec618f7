"""What makes the finished parts a data set: an index for looking at it page by page, a card for other programs, the manifest.

index/samples-<kind>.parquet, index/pairs.parquet     the same rows without pictures and latents, with place
index/ids.npy, places.npy                             sample_ids, sorted, as numbers; each one's row among all samples
README.md                                             what ``datasets`` reads to find the tables
manifest.json                                         written last: without it the data set is not finished
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.progress import Progress
from core.sampling.many.tables import TABLES, writer
from core.sampling.many.work import FORMAT, FORMAT_VERSION, MANIFEST, RECORDS, Work
from core.writing import whole, write_bytes

INDEX = "index"
HEAVY = ("image", "latent")
"""Columns of the samples that the index leaves out."""
ROWS_TOGETHER, ROWS_A_GROUP = 65_536, 8192
"""Rows of the index in memory while it is written, and in a row group: a page that needs a few rows reads their groups alone."""


def finish(work: Work, plan: Mapping[str, Any], threads: int, progress: Progress) -> Path:
    """Write index, card and manifest of complete parts -> the manifest's place."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for number, part in enumerate(work.parts):
        progress.stage(f"Counting part {number + 1} of {len(work.parts)}", number / len(work.parts))
        for table in TABLES[part.kind]:
            path = work.folder / part.file(table)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            rows = [work.records[piece.number]["rows"][table] for piece in part.pieces]
            record = {"path": part.file(table), "kind": part.kind, "rows": rows, "sha256": digest, "bytes": path.stat().st_size}
            tables.setdefault(table, []).append(record)
    build_index(work.folder, tables)
    write_bytes(work.folder / "README.md", card(str(plan.get("title", "")), tables).encode())
    records = list(work.records.values())
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "title": str(plan.get("title", "")),
        "plan": dict(plan),
        "threads": threads,
        "kinds": {kind: _of_kind([each for each in records if each["kind"] == kind]) for kind in _kinds(tables)},
        "tables": tables,
    }
    place = work.folder / MANIFEST
    write_bytes(place, (json.dumps(manifest, indent=1, allow_nan=False) + "\n").encode())
    shutil.rmtree(work.folder / RECORDS, ignore_errors=True)
    shutil.rmtree(work.folder / "pieces", ignore_errors=True)
    return place


def _of_kind(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counted: Counter[str] = Counter()
    for record in records:
        counted.update(record["counts"])
    return {
        "pieces": len(records),
        "counts": dict(counted),
        "evaluations": sum(record["evaluations"] for record in records),
        "seconds": sum(record["seconds"]["made"] for record in records),
        **records[0]["same"],
    }


def _kinds(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    return list(dict.fromkeys(str(each["kind"]) for each in tables["samples"]))


def build_index(folder: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """The index of parts that lie in ``folder``; a part at a time is in memory, and 65,536 rows of numbers."""
    place = 0
    ids: list[NDArray[np.uint64]] = []
    for kind in _kinds(tables):
        parts = [str(each["path"]) for each in tables["samples"] if each["kind"] == kind]
        place = _gather(folder, parts, index_file(kind), place, ids)
    if tables.get("pairs"):
        _gather(folder, [str(each["path"]) for each in tables["pairs"]], INDEX + "/pairs.parquet", 0, None)
    keys = np.concatenate(ids) if ids else np.empty(0, np.uint64)
    order = np.argsort(keys, kind="stable")  # of an id that should come twice, the first place
    for name, values in (("ids", keys[order]), ("places", order.astype(np.int64))):
        with whole(folder / INDEX / f"{name}.npy") as file:
            np.save(file, values)


def index_file(kind: str) -> str:
    """Where the numbers of a kind's samples are."""
    return f"{INDEX}/samples-{kind}.parquet"


def key_of(sample_id: str) -> int:
    """The first eight bytes of a sample_id as a number."""
    return int(sample_id[:16], 16)


def _gather(folder: Path, parts: Sequence[str], name: str, place: int, ids: list[NDArray[np.uint64]] | None) -> int:
    """Rows of parts into one file -> the place after the last row."""
    schema: pa.Schema | None = None
    with whole(folder / name) as file:
        into: pq.ParquetWriter | None = None
        for rows in _batches(folder, parts):
            table = rows.append_column("place", pa.array(np.arange(place, place + rows.num_rows), pa.int64()))
            if into is None:
                schema = table.schema
                into = writer(file, schema)
            into.write_table(table.cast(schema), row_group_size=ROWS_A_GROUP)
            if ids is not None:
                ids.append(np.fromiter(map(key_of, rows["sample_id"].to_pylist()), np.uint64, rows.num_rows))
            place += rows.num_rows
        if into is not None:
            into.close()
    return place


def _batches(folder: Path, parts: Sequence[str]) -> Iterator[pa.Table]:
    """The light columns of parts, 65,536 rows or a little more at a time."""
    waiting: list[pa.Table] = []
    for path in parts:
        file = pq.ParquetFile(folder / path)
        light = [name for name in file.schema_arrow.names if name not in HEAVY]
        waiting.append(file.read(columns=light).replace_schema_metadata(None))
        if sum(each.num_rows for each in waiting) >= ROWS_TOGETHER:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def card(title: str, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The README of a data set: its tables as configurations of ``datasets``, and how to read it."""
    lines = ["---", "configs:"]
    for table, parts in tables.items():
        for kind in dict.fromkeys(str(each["kind"]) for each in parts):
            name = kind if table == "samples" else f"{kind}_{table}"
            lines += [f"- config_name: {name}", "  data_files:", f"  - {table}/{kind}/**/*.parquet"]
    first = _kinds(tables)[0]
    lines += ["---", "", f"# {title or 'Generated faces'}", "", "Every face here is generated and belongs to nobody.", ""]
    lines += [
        "```python",
        "import datasets, duckdb",
        f'faces = datasets.load_dataset("parquet", data_files="samples/{first}/**/*.parquet", streaming=True)',
        f"duckdb.sql(\"select sample_type, count(*) from 'samples/{first}/**/*.parquet' group by all\")",
        "```",
        "",
    ]
    return "\n".join(lines)
