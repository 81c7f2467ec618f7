"""The folder of a data set on the disk: pieces as Parquet, parts put together from them, index and manifest.

plan.json                  the plan; another plan is refused
pieces/<number>/           finished pieces of parts that are not complete yet
samples/<kind>/...          parts, as they will stay (also pairs/ and searches/)
records/<part>.json        written last: a part with a record is whole, and its pieces are gone
index/samples-<kind>.parquet, index/pairs.parquet     the same rows without pictures and latents, with place
index/ids.npy, places.npy  sample_ids, sorted, as numbers; each one's row among all samples
README.md                  what ``datasets`` reads to find the tables
manifest.json              written at the very end: without it the data set is not finished; then records/ goes

samples: the columns of ``core.sampling.sample_set``, with image: struct{bytes (PNG), path}, which ``datasets`` reads as an
image, latent: list of float32, and piece: the piece that made it. pairs: as there, with piece. searches: a row a run of the
search, with the history of its best distance. Equal samples give equal bytes: nothing in the tables depends on when or where
they were made.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.datasets.plan import Piece
from core.sampling.sample_set import SampleSet, encode_png
from core.writing import check_folder_is_free, new_folder, open_atomic, write_bytes

TABLES_OF_KIND = {"identity": ("samples", "pairs", "searches"), "emotion": ("samples",)}
"""What a piece of each kind holds."""
PIECE_RECORD = "piece.json"
SHARED_MANIFEST_KEYS = ("versions", "models", "device", "thresholds", "percentiles", "temperatures")
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


def encode_piece(piece: Piece, sample_set: SampleSet, seconds: float) -> dict[str, bytes]:
    """Name -> content of a finished piece's files, its record last. seconds: that it took to make."""
    tables = {"samples": make_samples_table(sample_set, piece.number)}
    if sample_set.kind == "identity":
        tables["pairs"] = _make_plain_table(sample_set.pairs.assign(piece=piece.number))
        runs = [{"piece": piece.number, **run} for run in sample_set.manifest["searches"]]
        tables["searches"] = pa.Table.from_pylist(runs, schema=SEARCHES)
    files = {f"{name}.parquet": encode_parquet(table) for name, table in tables.items()}
    record = {
        "number": piece.number,
        "kind": piece.kind,
        "foretold": piece.images,
        "rows": {name: table.num_rows for name, table in tables.items()},
        "counts": dict(sample_set.manifest["counts"]),
        "evaluations": sample_set.manifest.get("evaluations", 0),
        "seconds": {"made": seconds, **sample_set.manifest["seconds"]},
        "same": {name: sample_set.manifest[name] for name in SHARED_MANIFEST_KEYS if name in sample_set.manifest},
    }
    return {**files, PIECE_RECORD: json.dumps(record, allow_nan=False).encode()}


def make_samples_table(sample_set: SampleSet, piece: int) -> pa.Table:
    """The samples of a set with their pictures and latents."""
    names = list(sample_set.samples["sample_id"])
    numbers = _make_plain_table(sample_set.samples.drop(columns="image").assign(piece=piece))
    pictures = [{"bytes": encode_png(sample_set.images[name]), "path": f"{name}.png"} for name in names]
    latents = [np.asarray(sample_set.latents[name], np.float32) for name in names]
    table = numbers.append_column("latent", pa.array(latents, pa.list_(pa.float32())))
    return table.append_column("image", pa.array(pictures, IMAGE))


def _make_plain_table(table: pd.DataFrame) -> pa.Table:
    """A table of plain columns, without what pandas adds; text as Arrow's usual strings."""
    arrow = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(None)
    plain = [pa.field(field.name, pa.string() if _is_text(field.type) else field.type) for field in arrow.schema]
    return arrow.cast(pa.schema(plain))


def _is_text(kind: pa.DataType) -> bool:
    """A column without any text comes as nulls."""
    return bool(pa.types.is_large_string(kind) or pa.types.is_string(kind) or pa.types.is_null(kind))


def encode_parquet(table: pa.Table) -> bytes:
    """A Parquet file of one row group."""
    buffer = io.BytesIO()
    with open_parquet_writer(buffer, table.schema) as file:
        file.write_table(table, row_group_size=max(1, table.num_rows))
    return buffer.getvalue()


def open_parquet_writer(stream: Any, schema: pa.Schema) -> pq.ParquetWriter:
    """Into a stream. Pictures are compressed already; of the rest Zstandard takes about a third."""
    compression = {}
    for field in schema:
        for path in _list_leaf_columns(field):
            compression[path] = "NONE" if path.startswith("image.") else "ZSTD"
    dictionaries = [field.name for field in schema if pa.types.is_string(field.type)]
    return pq.ParquetWriter(
        stream, schema.with_metadata(describe_features(schema)), compression=compression, use_dictionary=dictionaries
    )


def _list_leaf_columns(field: pa.Field, above: str = "") -> list[str]:
    """The names of a field's columns as Parquet knows them."""
    path = f"{above}{field.name}"
    if pa.types.is_struct(field.type):
        return [leaf for child in field.type for leaf in _list_leaf_columns(child, f"{path}.")]
    if pa.types.is_list(field.type):
        return _list_leaf_columns(field.type.value_field.with_name("element"), f"{path}.list.")
    return [path]


def describe_features(schema: pa.Schema) -> dict[str, str]:
    """The file's metadata by which ``datasets`` knows the pictures as images."""
    features: dict[str, Any] = {}
    for field in schema:
        if field.type.equals(IMAGE):
            features[field.name] = {"_type": "Image"}
        else:
            features[field.name] = _describe_feature(field.type)
    return {"huggingface": json.dumps({"info": {"features": features}})}


def _describe_feature(kind: pa.DataType) -> Mapping[str, Any]:
    if pa.types.is_list(kind):
        return {"feature": _describe_feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _describe_feature(field.type) for field in kind}
    names = {"double": "float64", "float": "float32"}
    return {"dtype": names.get(str(kind), str(kind)), "_type": "Value"}


def read_table(path: Path) -> pa.Table:
    """A file as a table. Raises LiminalError where it cannot be read."""
    try:
        return pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise LiminalError(f"The file {path} of the data set is damaged ({_first_line(error)}); delete it and run again.") from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:80] if str(error) else type(error).__name__


FORMAT, FORMAT_VERSION = "liminal data set", 1
PLAN, MANIFEST, RECORDS, PIECES, LOCK = "plan.json", "manifest.json", "records", "pieces", ".lock"
RESUME_ADVICE = "what is finished is kept, so mend that and run the same command again."
BATCHES_A_PART = 32
IMAGES_A_PART = 4096


@dataclass(frozen=True)
class DataSetPart:
    """Pieces that share one file a table. partition: of the folder, for example 'pair=surprise-fear'."""

    number: int
    kind: str
    partition: str
    within: int  # its number in its partition
    pieces: tuple[Piece, ...]

    def file(self, table: str) -> str:
        """Where a table of it lies in the data set's folder."""
        return f"{table}/{self.kind}/{self.partition}/part-{self.within:05d}.parquet"


def split_into_parts(pieces: Sequence[Piece]) -> list[DataSetPart]:
    """Consecutive pieces of one emotion pair or of so many batches, a few thousand images each."""
    parts: list[DataSetPart] = []
    for partition, group in groupby(pieces, key=_name_partition):
        rows: list[tuple[Piece, ...]] = [()]
        for piece in group:
            if rows[-1] and sum(earlier.images for earlier in rows[-1]) + piece.images > IMAGES_A_PART and piece.kind == "emotion":
                rows.append(())
            rows[-1] += (piece,)
        parts += [DataSetPart(len(parts) + number, row[0].kind, partition, number, row) for number, row in enumerate(rows)]
    return parts


def _name_partition(piece: Piece) -> str:
    c = piece.configuration
    if piece.kind == "emotion":
        return f"pair={c.emotion1}-{c.emotion2}"  # type: ignore[union-attr]
    low = piece.batch - piece.batch % BATCHES_A_PART
    return f"batches={low:06d}-{low + BATCHES_A_PART - 1:06d}"


class DataSetFolder:
    """A data set that is being made. Open it by ``opened``, which keeps a second run away."""

    def __init__(self, folder: Path, parts: Sequence[DataSetPart]) -> None:
        self.folder, self.parts = folder, list(parts)
        self.part_of = {piece.number: part for part in self.parts for piece in part.pieces}
        self.records: dict[int, dict[str, Any]] = {}  # of finished pieces
        for part in self.parts:
            self._read_records(part)

    def _read_records(self, part: DataSetPart) -> None:
        record = self.folder / RECORDS / f"{part.number:06d}.json"
        if record.is_file():
            self.records |= {piece_record["number"]: piece_record for piece_record in json.loads(record.read_bytes())}
            return
        for piece in part.pieces:
            path = self._piece_folder(piece.number) / PIECE_RECORD
            if path.is_file():
                self.records[piece.number] = json.loads(path.read_bytes())

    def missing(self) -> list[Piece]:
        """What is still to be made: the first of each kind first, so that an estimate of time knows all kinds early."""
        rest = [piece for part in self.parts for piece in part.pieces if piece.number not in self.records]
        known = {record["kind"] for record in self.records.values()}
        first: dict[str, Piece] = {}
        for piece in rest:
            if piece.kind not in known:
                first.setdefault(piece.kind, piece)
        return [*first.values(), *(piece for piece in rest if piece not in first.values())]

    def add_piece(self, number: int, files: Mapping[str, bytes]) -> None:
        """Store a finished piece, once; a complete part is put together. Raises LiminalError where it does not belong here."""
        if number in self.records:
            return
        record = json.loads(files[PIECE_RECORD])
        self._check_same_models(record)
        with explain_write_errors(self.folder):
            with new_folder(self._piece_folder(number)) as folder:
                for name, content in files.items():
                    (folder / name).write_bytes(content)
            self.records[number] = record
            self.complete_part(self.part_of[number])

    def _check_same_models(self, record: Mapping[str, Any]) -> None:
        """All pieces of a kind come from the same networks and versions."""
        other = next((earlier for earlier in self.records.values() if earlier["kind"] == record["kind"]), None)
        if other is None or other["same"] == record["same"]:
            return
        differing = next(name for name in other["same"] if other["same"][name] != record["same"].get(name))
        raise LiminalError(
            f"A new piece was made with other {differing} than those in {self.folder}; use the "
            "same installation and device everywhere, or start anew in another folder."
        )

    def complete_part(self, part: DataSetPart) -> None:
        """Put a part together once all its pieces are there, then let these go."""
        done = self.folder / RECORDS / f"{part.number:06d}.json"
        if done.is_file() or any(piece.number not in self.records for piece in part.pieces):
            return
        for table in TABLES_OF_KIND[part.kind]:
            self._put_together(part, table)
        write_bytes(done, json.dumps([self.records[piece.number] for piece in part.pieces]).encode())
        for piece in part.pieces:
            shutil.rmtree(self._piece_folder(piece.number), ignore_errors=True)

    def _put_together(self, part: DataSetPart, table: str) -> None:
        """One row group a piece: a picture is found by its piece, and only that piece is read."""
        first = read_table(self._piece_folder(part.pieces[0].number) / f"{table}.parquet")
        with open_atomic(self.folder / part.file(table)) as file, open_parquet_writer(file, first.schema) as into:
            for piece in part.pieces:
                read = read_table(self._piece_folder(piece.number) / f"{table}.parquet")
                into.write_table(read.cast(first.schema), row_group_size=max(1, read.num_rows))

    def _piece_folder(self, number: int) -> Path:
        return self.folder / PIECES / f"{number:08d}"

    @cached_property
    def total(self) -> int:
        """Pieces of the plan."""
        return len(self.part_of)


@contextmanager
def open_data_set_folder(folder: Path, pieces: Sequence[Piece], plan: Mapping[str, Any], plan_id: str) -> Iterator[DataSetFolder]:
    """The folder, new or begun before with the same plan; nobody else works in it meanwhile.

    Raises LiminalError where it holds something else, another plan, or is being worked in; and with what happened, and at which
    file, where what is done meanwhile meets an error of the operating system.
    """
    check_folder_plan(folder, plan_id)
    try:
        with explain_write_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            held = filelock.FileLock(folder / LOCK, timeout=0).acquire()
    except filelock.Timeout:
        raise LiminalError(f"Another run is making the data set {folder} right now; wait for it or stop it first.") from None
    with held:
        with explain_write_errors(folder):
            if not (folder / PLAN).is_file():
                write_bytes(folder / PLAN, (json.dumps({"plan_id": plan_id, "plan": plan}, indent=1) + "\n").encode())
            for leftover in (folder / PIECES).glob(".*.partial"):  # of a run that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            work = DataSetFolder(folder, split_into_parts(pieces))
            for part in work.parts:  # a run may have been killed between the last piece and the part
                work.complete_part(part)
        try:
            yield work
        except OSError as error:
            raise LiminalError(
                f"The data set {folder} could not be made on ({_describe_os_error(error)}); {RESUME_ADVICE}"
            ) from error


@contextmanager
def explain_write_errors(folder: Path) -> Iterator[None]:
    """An error of the operating system in here is one of reading or writing the data set itself: a LiminalError says so."""
    try:
        yield
    except filelock.Timeout:  # an OSError too
        raise
    except OSError as error:
        raise LiminalError(f"The data set {folder} cannot be written ({_describe_os_error(error)}); {RESUME_ADVICE}") from error


def _describe_os_error(error: OSError) -> str:
    """What happened, in the system's words, and to which file where it says so: 'No space left on device: /data/x'."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{reason}: {error.filename}" if error.filename else reason


def check_folder_plan(folder: Path, plan_id: str) -> None:
    """Raises LiminalError where the folder holds anything but a data set of that plan, or where nothing can be written."""
    if not (folder / PLAN).is_file():
        if folder.is_dir() and {path.name for path in folder.iterdir()} <= {LOCK}:
            return
        check_folder_is_free(folder)
        return
    try:
        other = json.loads((folder / PLAN).read_bytes())["plan_id"]
    except (OSError, ValueError, KeyError, TypeError):
        raise LiminalError(f"The file {folder / PLAN} is damaged; choose another folder.") from None
    if other != plan_id:
        raise LiminalError(f"The folder {folder} holds a data set of another plan; choose another folder or give its own plan.")


INDEX_FOLDER = "index"
UNINDEXED_COLUMNS = ("image", "latent")
"""Columns of the samples that the index leaves out."""
ROWS_TOGETHER, ROWS_A_GROUP = 65_536, 8192
"""Rows of the index in memory while it is written, and in a row group: a page that needs a few rows reads their groups alone."""


def finish_data_set(work: DataSetFolder, plan: Mapping[str, Any], threads: int, progress: Progress) -> Path:
    """Write index, card and manifest of complete parts -> the manifest's place."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for number, part in enumerate(work.parts):
        progress.stage(f"Counting part {number + 1} of {len(work.parts)}", number / len(work.parts))
        for table in TABLES_OF_KIND[part.kind]:
            path = work.folder / part.file(table)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            rows = [work.records[piece.number]["rows"][table] for piece in part.pieces]
            record = {"path": part.file(table), "kind": part.kind, "rows": rows, "sha256": digest, "bytes": path.stat().st_size}
            tables.setdefault(table, []).append(record)
    build_index(work.folder, tables)
    write_bytes(work.folder / "README.md", make_data_set_card(str(plan.get("title", "")), tables).encode())
    records = list(work.records.values())
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "title": str(plan.get("title", "")),
        "plan": dict(plan),
        "threads": threads,
        "kinds": {kind: _summarise_kind([entry for entry in records if entry["kind"] == kind]) for kind in _list_kinds(tables)},
        "tables": tables,
    }
    manifest_path = work.folder / MANIFEST
    write_bytes(manifest_path, (json.dumps(manifest, indent=1, allow_nan=False) + "\n").encode())
    shutil.rmtree(work.folder / RECORDS, ignore_errors=True)
    shutil.rmtree(work.folder / "pieces", ignore_errors=True)
    return manifest_path


def _summarise_kind(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
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


def _list_kinds(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    return list(dict.fromkeys(str(part["kind"]) for part in tables["samples"]))


def build_index(folder: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """The index of parts that lie in ``folder``; a part at a time is in memory, and 65,536 rows of numbers."""
    first_row = 0
    ids: list[NDArray[np.uint64]] = []
    for kind in _list_kinds(tables):
        parts = [str(part["path"]) for part in tables["samples"] if part["kind"] == kind]
        first_row = _write_index_rows(folder, parts, make_index_path(kind), first_row, ids)
    if tables.get("pairs"):
        _write_index_rows(folder, [str(part["path"]) for part in tables["pairs"]], INDEX_FOLDER + "/pairs.parquet", 0, None)
    keys = np.concatenate(ids) if ids else np.empty(0, np.uint64)
    order = np.argsort(keys, kind="stable")  # of an id that should come twice, the first place
    for name, values in (("ids", keys[order]), ("places", order.astype(np.int64))):
        with open_atomic(folder / INDEX_FOLDER / f"{name}.npy") as file:
            np.save(file, values)


def make_index_path(kind: str) -> str:
    """Where the numbers of a kind's samples are."""
    return f"{INDEX_FOLDER}/samples-{kind}.parquet"


def make_index_key(sample_id: str) -> int:
    """The first eight bytes of a sample_id as a number."""
    return int(sample_id[:16], 16)


def _write_index_rows(folder: Path, parts: Sequence[str], name: str, first_row: int, ids: list[NDArray[np.uint64]] | None) -> int:
    """Rows of parts into one file, numbered from ``first_row`` -> the number after the last row's."""
    schema: pa.Schema | None = None
    with open_atomic(folder / name) as file:
        into: pq.ParquetWriter | None = None
        for rows in _read_index_batches(folder, parts):
            table = rows.append_column("place", pa.array(np.arange(first_row, first_row + rows.num_rows), pa.int64()))
            if into is None:
                schema = table.schema
                into = open_parquet_writer(file, schema)
            into.write_table(table.cast(schema), row_group_size=ROWS_A_GROUP)
            if ids is not None:
                ids.append(np.fromiter(map(make_index_key, rows["sample_id"].to_pylist()), np.uint64, rows.num_rows))
            first_row += rows.num_rows
        if into is not None:
            into.close()
    return first_row


def _read_index_batches(folder: Path, parts: Sequence[str]) -> Iterator[pa.Table]:
    """The light columns of parts, 65,536 rows or a little more at a time."""
    waiting: list[pa.Table] = []
    for path in parts:
        file = pq.ParquetFile(folder / path)
        light = [name for name in file.schema_arrow.names if name not in UNINDEXED_COLUMNS]
        waiting.append(file.read(columns=light).replace_schema_metadata(None))
        if sum(table.num_rows for table in waiting) >= ROWS_TOGETHER:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def make_data_set_card(title: str, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The README of a data set: its tables as configurations of ``datasets``, and how to read it."""
    lines = ["---", "configs:"]
    for table, parts in tables.items():
        for kind in dict.fromkeys(str(part["kind"]) for part in parts):
            name = kind if table == "samples" else f"{kind}_{table}"
            lines += [f"- config_name: {name}", "  data_files:", f"  - {table}/{kind}/**/*.parquet"]
    first = _list_kinds(tables)[0]
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
