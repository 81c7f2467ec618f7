"""A finished data set, opened without reading it: its manifest at once, rows and pictures when they are asked for; and subsets
of it.

Rows are asked for by DuckDB from the index (``core.sampling.datasets.storage``); a picture is found by its id in a sorted list
that stays on the disk, and of its file only the row group of its piece is read.

A subset is some rows as a sample set of their own, so that people can be asked about them. Ids stay what they are, so that the
answers find their rows in the data set again. Only the selected rows, their bases and their pieces' pictures are read.
"""

from __future__ import annotations

import io
import json
import re
import tempfile
import threading
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image as PILImage

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.sampling.configuration import IdentityConfiguration
from core.sampling.datasets.plan import DataSetPlan, parse_plan
from core.sampling.datasets.storage import FORMAT, FORMAT_VERSION, INDEX_FOLDER, MANIFEST, SHARED_MANIFEST_KEYS, make_index_key
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.sample_set import (
    PAIR_COLUMNS,
    SAMPLE_COLUMNS,
    SELECTED_KEY,
    Kind,
    SampleSet,
    count_sample_types,
    list_emotion_columns,
    make_empty_pairs,
    set_column_types,
)

if TYPE_CHECKING:
    import duckdb
else:
    duckdb = lazy_import("duckdb")

DUCKDB_MEMORY = "512MB"
"""DuckDB's at most; beyond it, it works on the disk."""
DUCKDB_THREADS = 2
ROWS_PER_QUERY = 2000
"""Rows asked for in one query, by their numbers: a list in a query is looked up by row group."""
SAMPLE_ID_PATTERN = re.compile("[0-9a-f]{20}")
"""A sample_id, as ``core.sampling.sample_set`` makes them."""


@dataclass(frozen=True)
class DataSet:
    """A folder with a manifest. Nothing else of it is read until it is asked for."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> DataSet:
        """Raises LiminalError where the folder is no finished data set."""
        try:
            manifest = json.loads((folder / MANIFEST).read_bytes())
            known = manifest["format"] == FORMAT and isinstance(manifest["tables"]["samples"], list)
        except (OSError, ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise LiminalError(
                f"The folder {folder} is not a finished data set; make one with 'python -m core generate study', or let it finish."
            )
        if manifest.get("format_version") != FORMAT_VERSION:
            raise LiminalError(f"The data set {folder} was made by another version of Liminal; make it anew.")
        return cls(folder, manifest)

    @property
    def title(self) -> str:
        """What it is called."""
        return str(self.manifest.get("title") or self.folder.name)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """identity, emotion, or both."""
        return tuple(kind for kind in ("identity", "emotion") if kind in self.manifest["kinds"])

    @property
    def size(self) -> int:
        """Bytes of all parts on the disk."""
        return sum(int(part["bytes"]) for parts in self.manifest["tables"].values() for part in parts)

    def rows(self, table: str, kind: Kind | None = None) -> int:
        """Rows of samples, pairs or searches, from the manifest."""
        parts = self.manifest["tables"].get(table, [])
        return sum(sum(part["rows"]) for part in parts if kind in (None, part["kind"]))

    @cached_property
    def plan(self) -> DataSetPlan:
        """What made it."""
        return parse_plan(self.manifest["plan"])

    def configuration(self, kind: Kind) -> IdentityConfiguration | EmotionConfiguration:
        """Of all its samples of a kind, but for seed, pair and base."""
        part = self.plan.identity if kind == "identity" else self.plan.emotion
        assert part is not None
        return part.configuration

    def thresholds(self, kind: Kind) -> dict[str, float]:
        """Recogniser -> default threshold."""
        return {str(name): float(value) for name, value in self.manifest["kinds"][kind].get("thresholds", {}).items()}

    def columns(self, table: str) -> list[str]:
        """Names of an index: samples-identity, samples-emotion or pairs."""
        return list(_open_parquet_file(*_stamp_file(self.folder / INDEX_FOLDER / f"{table}.parquet")).schema_arrow.names)

    def query(self, sql: str, values: Sequence[Any] = (), **tables: pd.DataFrame) -> pd.DataFrame:
        """DuckDB's answer. ``samples_identity``, ``samples_emotion`` and ``pairs`` are the index; further tables are given.

        values stand for the question marks. Raises LiminalError where a file is damaged or memory runs out.
        """
        spilling = Path(tempfile.gettempdir()) / "liminal-duckdb"
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": DUCKDB_MEMORY,
            "threads": DUCKDB_THREADS,
            "temp_directory": str(spilling),
        }
        with duckdb.connect(config=settings) as connection:
            connection.execute("set enable_progress_bar = false")
            try:
                for name in ("samples-identity", "samples-emotion", "pairs"):
                    path = self.folder / INDEX_FOLDER / f"{name}.parquet"
                    if path.is_file():
                        connection.read_parquet(str(path)).create_view(name.replace("-", "_"))
                for name, table in tables.items():
                    connection.register(name, table)
                return connection.execute(sql, list(values)).df()
            except (duckdb.OutOfMemoryException, MemoryError):
                raise LiminalError(
                    f"Looking through the data set {self.folder} needs more memory than there is ({DUCKDB_MEMORY}, and what is "
                    f"free in {spilling}); ask for fewer rows, or free some space there and try again."
                ) from None
            except (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException) as error:
                if str(spilling) in str(error):
                    reason = str(error).splitlines()[0][:120]
                    raise LiminalError(
                        f"The temporary folder {spilling} cannot be used ({reason}); look at its disk and its rights."
                    ) from None
                raise _make_damaged_error(self.folder / INDEX_FOLDER, error) from None

    def picture(self, sample_id: str) -> bytes:
        """A PNG's bytes. Raises LiminalError where there is no such sample."""
        number = self.find_row(sample_id)
        if number is not None:
            part, group, row = self._locate_row(number)
            table = self._group(part, group, ("sample_id", "image"))
            if table["sample_id"][row].as_py() == sample_id:
                content: bytes = table["image"][row].as_py()["bytes"]
                return content
        raise LiminalError(f"The data set {self.folder} holds no picture '{sample_id}'; choose one of its samples.")

    def find_row(self, sample_id: str) -> int | None:
        """The row of a sample among all samples; None where there is none (or where its number is another's)."""
        if not SAMPLE_ID_PATTERN.fullmatch(sample_id):  # from a link, or from a table of answers
            return None
        ids, row_numbers = self._sorted_ids
        key = np.uint64(make_index_key(sample_id))
        index = int(np.searchsorted(ids, key))
        return int(row_numbers[index]) if index < len(ids) and ids[index] == key else None

    def find_rows(self, sample_ids: Iterable[str]) -> list[int]:
        """The rows of those samples that there are, in order, each once."""
        return sorted({number for name in sample_ids if (number := self.find_row(name)) is not None})

    def read_rows(
        self, table: str, numbers: Sequence[int], *, columns: str = "*", where: str = "true", values: Sequence[Any] = ()
    ) -> pd.DataFrame:
        """Rows of a table of the index by their numbers (column ``place``), in order.

        columns, where: parts of the query, never a visitor's words. values: for its question marks.
        """
        queries = [numbers[start : start + ROWS_PER_QUERY] for start in range(0, len(numbers), ROWS_PER_QUERY)] or [[-1]]
        parts = [
            self.query(
                f"select {columns} from {table} where place in ({', '.join(map(str, part))}) and {where} order by place", values
            )
            for part in queries
        ]
        return pd.concat(parts, ignore_index=True)

    def latents(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        """(N, latent_dim) of samples by their row numbers; only their pieces' latents are read."""
        latents: dict[int, NDArray[np.float32]] = {}
        rows_by_group: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for number in numbers:
            part, group, row = self._locate_row(number)
            rows_by_group.setdefault((part, group), []).append((number, row))
        for (part, group), rows in rows_by_group.items():
            column = self._group(part, group, ("latent",))["latent"].combine_chunks()
            for number, row in rows:
                latents[number] = np.asarray(column[row].values, np.float32)
        return np.stack([latents[number] for number in numbers]) if len(numbers) else np.empty((0, 0), np.float32)

    @cached_property
    def _sorted_ids(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """On the disk: a look-up touches a few pages of it."""
        try:
            return tuple(np.load(self.folder / INDEX_FOLDER / f"{name}.npy", mmap_mode="r") for name in ("ids", "places"))
        except (OSError, ValueError) as error:
            raise _make_damaged_error(self.folder / INDEX_FOLDER, error) from None

    @cached_property
    def _part_ends(self) -> tuple[list[dict[str, Any]], list[int]]:
        """Parts of samples in the order of their rows, and the row number after each one's last row."""
        parts = [part for kind in self.kinds for part in self.manifest["tables"]["samples"] if part["kind"] == kind]
        return parts, list(accumulate(sum(part["rows"]) for part in parts))

    def _locate_row(self, number: int) -> tuple[int, int, int]:
        """Part, row group in it and row in that. A piece without rows has an empty row group, which is stepped over."""
        parts, ends = self._part_ends
        part = bisect_right(ends, number)
        groups = list(accumulate(parts[part]["rows"]))
        row = number - (ends[part - 1] if part else 0)
        group = bisect_right(groups, row)
        return part, group, row - (groups[group - 1] if group else 0)

    def _group(self, part: int, group: int, columns: tuple[str, ...]) -> pa.Table:
        path = self.folder / self._part_ends[0][part]["path"]
        return _read_row_group(*_stamp_file(path), group, columns)


def _stamp_file(path: Path) -> tuple[str, int]:
    """A file and when it was written: a data set that was made anew in the same folder is another one."""
    try:
        return str(path), path.stat().st_mtime_ns
    except OSError as error:
        raise _make_damaged_error(path, error) from None


@lru_cache(maxsize=512)
def _open_parquet_file(path: str, written: int) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise _make_damaged_error(Path(path), error) from None


_read_lock = threading.Lock()


@lru_cache(maxsize=8)
def _read_row_group(path: str, written: int, group: int, columns: tuple[str, ...]) -> pa.Table:
    """A few are kept: the pictures of one page often come from one piece."""
    try:
        with _read_lock:  # a ParquetFile is read by one thread at a time
            return _open_parquet_file(path, written).read_row_group(group, columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        raise _make_damaged_error(Path(path), error) from None


def _make_damaged_error(path: Path, error: Exception) -> LiminalError:
    reason = next(iter(str(error).splitlines()), "")[:80]
    return LiminalError(f"The data set's file {path} is damaged or gone ({reason}); copy the data set again.")


MAX_SUBSET = 500
"""Pictures that are read one by one, each with its piece: more would keep a page waiting."""


def make_subset(data: DataSet, kind: Kind, stimuli: Sequence[str]) -> SampleSet:
    """Pairs (identity) or faces (emotion) by their ids, as one batch; bases come along, of identity each beside itself too.

    Raises LiminalError where there are none or more than MAX_SUBSET, where the data set lacks one, or where it is damaged.
    """
    wanted = list(dict.fromkeys(stimuli))
    if not 1 <= len(wanted) <= MAX_SUBSET:
        raise LiminalError(f"A subset has 1 to {MAX_SUBSET} rows of a data set, not {len(wanted):,}; choose fewer.")
    pairs = _read_subset_pairs(data, wanted) if kind == "identity" else make_empty_pairs()
    faces = [*pairs["base_id"], *pairs["sample_id"]] if kind == "identity" else wanted
    samples = _read_subset_samples(data, kind, [*_read_subset_samples(data, kind, faces)["base_id"], *faces])
    present = samples["sample_id"] if kind == "emotion" else pairs["pair_id"]
    missing = [name for name in wanted if name not in set(present)]
    if missing:
        raise LiminalError(f"The data set {data.folder} has no row '{missing[0]}'; choose rows that it has.")
    row_numbers = samples.pop("place").tolist()
    names = samples["sample_id"].tolist()
    images = {name: _decode_image(data.picture(name)) for name in names}
    latents = dict(zip(names, data.latents(row_numbers), strict=True))
    configuration = data.configuration(kind)
    if isinstance(configuration, IdentityConfiguration):
        table, columns = pairs, dict(SAMPLE_COLUMNS)
    else:
        first = samples[samples["sample_id"] == wanted[0]].iloc[0]
        configuration = replace(configuration, emotion1=str(first["emotion1"]), emotion2=str(first["emotion2"]))
        table, columns = samples, list_emotion_columns(configuration.judges, configuration.recogniser)
    paths = [f"images/{name}.png" for name in names]
    samples = set_column_types(samples.drop(columns="piece").assign(image=pd.Series(paths, dtype="str")), columns)
    manifest = {
        **_read_shared_manifest(data, kind),
        "counts": count_sample_types(table),
        "seconds": {},
        "data_set": data.title,
        SELECTED_KEY: wanted,
    }
    if kind == "identity":
        manifest |= {"batches": [0], "searches": [], "evaluations": 0, "base_draws": 0}
    return SampleSet(configuration, samples, pairs, latents, images, manifest)


def _read_subset_pairs(data: DataSet, wanted: Sequence[str]) -> pd.DataFrame:
    """The pairs, and of each of their bases the one beside itself: who calls that two people may not have looked."""
    wanted_ids = pd.DataFrame({"pair_id": list(wanted)}, dtype="str")
    chosen = data.query("select pairs.* from pairs join wanted using (pair_id) order by place", wanted=wanted_ids)
    bases = chosen[["base_id"]].drop_duplicates()
    checks = data.query(
        "select pairs.* from pairs join wanted using (base_id) where sample_type = 'genuine' order by place", wanted=bases
    )
    pairs = pd.concat([checks, chosen]).drop_duplicates("pair_id").drop(columns=["place", "piece"])
    return set_column_types(pairs.assign(batch=0), PAIR_COLUMNS)  # handed out together, wherever they come from


def _read_subset_samples(data: DataSet, kind: Kind, names: Sequence[str]) -> pd.DataFrame:
    """Rows of the index, in the order of the data set."""
    return data.read_rows(f"samples_{kind}", data.find_rows(names)).drop_duplicates("sample_id")


def _read_shared_manifest(data: DataSet, kind: Kind) -> dict[str, Any]:
    """What the manifests of all its pieces said."""
    return {name: value for name, value in data.manifest["kinds"][kind].items() if name in SHARED_MANIFEST_KEYS}


def _decode_image(content: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with PILImage.open(io.BytesIO(content)) as opened:
        return np.asarray(opened.convert("RGB"))
