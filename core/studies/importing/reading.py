"""Files of answers -> one table of text with the line of every row: CSV, TSV, Parquet and the JSON of jsPsych.

``read_file`` detects the kind of a file from its content. Nothing is interpreted yet: every cell is text. CSV: encoding and
separator are detected and reported; rows with too many or too few cells are listed as problems. Parquet: types are turned into
text that reads back to the same value. JSON: a list of trials, lists of several people, or a line a person; nested answers
become columns of their own. Rows that cannot be read are ``Problems``, each with its line and reason, listed up to a limit
and counted beyond it.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.errors import LiminalError
from core.studies.exporting.tables import RATINGS_VERSION, VERSION_KEY

MAX_LISTED = 200
"""Problems that get a sentence; a file of another kind would otherwise fill the screen."""


@dataclass(frozen=True)
class Problem:
    """One row that cannot be imported. line: in the file, from 1."""

    line: int
    reason: str


@dataclass
class Problems:
    """The first MAX_LISTED problems as sentences, and all lines that have one; a row counts once, with its first reason."""

    listed: list[Problem] = field(default_factory=list)
    lines: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))  # sorted

    def add(self, lines: NDArray[np.int64], reason: Callable[[int], str]) -> None:
        """Add lines. reason: index into ``lines`` -> what is wrong with that line."""
        new, indices = np.unique(lines, return_index=True)
        fresh = ~np.isin(new, self.lines)
        room = MAX_LISTED - len(self.listed)
        self.listed += [Problem(int(new[at]), reason(int(indices[at]))) for at in np.flatnonzero(fresh)[:room]]
        self.lines = np.union1d(self.lines, new)

    @property
    def total(self) -> int:
        """The number of rows with a problem."""
        return len(self.lines)

    @property
    def more(self) -> int:
        """The number of rows that are counted but not listed."""
        return self.total - len(self.listed)

    def __iter__(self) -> Iterator[Problem]:
        return iter(sorted(self.listed, key=lambda problem: problem.line))


FileKind = Literal["csv", "parquet", "json"]

MAX_BYTES = 4 * 2**30
MAX_ROWS = 10_000_000
MAX_COLUMNS = 2000

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "an archive or an Excel workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a compressed file"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"SQLite format 3", "a database"),
)


@dataclass(frozen=True)
class ImportedTable:
    """A file as it was read; no cell is interpreted yet.

    frame: every cell as text (NaN: missing, which only Parquet and JSON know), columns as the file names them; lines: int64,
    line of each row, counted from 1 in ``unit``s; digest: SHA-256 of the file; notes: sentences on what was detected; problems:
    rows that could not be read, which the frame leaves out.
    """

    name: str
    kind: FileKind
    frame: pd.DataFrame
    lines: NDArray[np.int64]
    unit: str  # line, row or trial
    digest: str
    notes: tuple[str, ...]
    problems: Problems
    decimal_comma: bool = False  # of files separated by semicolons: 0,5 is a half


def read_file(source: bytes | Path, name: str = "", *, encoding: str | None = None) -> ImportedTable:
    """Read a file, whose kind is detected from its content. encoding: of text, instead of detecting it.

    Raises LiminalError with one sentence for what is no table: empty, a picture, a workbook, the wrong encoding, two columns of
    one name, more than MAX_ROWS rows or MAX_BYTES bytes, an export of a later version.
    """
    name = name or (source.name if isinstance(source, Path) else "the file")
    with open_source(source, name) as stream:
        head = stream.read(16)
        if not head:
            raise LiminalError(f"{name} is empty; choose a file that has a line of column names and a line for each answer.")
        for signature, meaning in SIGNATURES:
            if head.startswith(signature):
                raise LiminalError(
                    f"{name} is {meaning}, not a table; save the answers as CSV, TSV, Parquet or JSON and try again."
                )
        digest = hash_stream(stream)
        if head.startswith(b"PAR1"):
            table = read_parquet(stream, name, digest)
        elif head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{"):
            table = read_json(stream, name, digest, encoding)
        else:
            table = read_csv(stream, name, digest, encoding)
    if table.frame.empty and table.problems.total:
        first = next(iter(table.problems))
        raise LiminalError(f"No row of {name} can be read: line {first.line}, {first.reason}; look at the line of column names.")
    if table.frame.empty:
        raise LiminalError(f"{name} names columns but holds no answers; choose a file with at least one row.")
    return table


def open_source(source: bytes | Path, name: str) -> BinaryIO:
    """Open a stream at its start. Raises LiminalError where there is no file, or one that is too large."""
    if isinstance(source, bytes):
        size: int = len(source)
        stream: BinaryIO = io.BytesIO(source)
    else:
        try:
            if not source.is_file():
                raise LiminalError(f"There is no file {source}; check its name and folder.")
            size = source.stat().st_size
            stream = source.open("rb")
        except OSError as error:
            raise LiminalError(f"{source} cannot be read ({error.strerror or error}); check its rights.") from error
    if size > MAX_BYTES:
        stream.close()
        raise LiminalError(
            f"{name} has {size / 2**30:.1f} GB and at most {MAX_BYTES // 2**30} are read; split it into several files."
        )
    return stream


def hash_stream(stream: BinaryIO) -> str:
    """SHA-256 of the whole stream, hexadecimal. The stream is set back to its start."""
    stream.seek(0)
    digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed wants what it never calls
    stream.seek(0)
    return digest


def check_columns(columns: list[str], name: str) -> None:
    """Raises LiminalError for two columns of one name, or too many columns."""
    if len(columns) > MAX_COLUMNS:
        raise LiminalError(f"{name} has {len(columns):,} columns and at most {MAX_COLUMNS:,} are read; is it another kind of file?")
    repeated = [column for index, column in enumerate(columns) if column in columns[:index]]
    if repeated:
        raise LiminalError(
            f"{name} has two columns called '{repeated[0]}'; rename one of them, so that it is clear which is meant."
        )


def check_rows(number: int, name: str) -> None:
    """Raises LiminalError where there are more rows than are read."""
    if number > MAX_ROWS:
        raise LiminalError(f"{name} has more than {MAX_ROWS:,} rows, which is the most that is read; split it into several files.")


ENCODINGS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with a mark at its start",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "cp1252": "Windows-1252",
    "latin-1": "Latin-1",
}
SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}

ENCODING_SAMPLE = 2**16  # bytes looked at to tell text from other files
CHUNK = 50_000  # rows turned into columns at once
CONTROL_BYTES = bytes(set(range(32)) - set(b"\t\n\r\f"))
UNDEFINED_1252 = b"\x81\x8d\x8f\x90\x9d"


def read_csv(stream: BinaryIO, name: str, digest: str, encoding: str | None = None) -> ImportedTable:
    """Read a table separated by commas, tabs, semicolons or bars. Raises what ``read_file`` raises."""
    encoding = encoding or find_encoding(stream, name)
    separator = find_separator(stream, name, encoding)
    ragged: dict[int, int] = {}
    parts: list[pa.Table] = []
    lines: list[int] = []
    columns: list[str] = []
    rows: list[list[str]] = []
    for line, row in _explain_csv_errors(_iterate_csv(stream, name, encoding, separator), name):
        if not columns:
            columns = _read_header(row, name)
            continue
        if len(row) > len(columns) and not any(row[len(columns) :]):
            row = row[: len(columns)]
        if len(row) != len(columns):
            ragged[line] = len(row)
            continue
        rows.append(row)
        lines.append(line)
        if len(rows) == CHUNK:
            parts.append(_to_arrow(rows, columns))
            rows = []
            check_rows(len(lines), name)
    parts.append(_to_arrow(rows, columns))
    problems = Problems()
    widths = list(ragged.values())
    problems.add(
        np.array(list(ragged), dtype=np.int64),
        lambda at: f"it has {widths[at]} cells where the first line names {len(columns)} columns",
    )
    notes = (f"Read as {ENCODINGS.get(encoding, encoding)}, separated by {SEPARATORS[separator]}.",)
    frame = pa.concat_tables(parts).to_pandas(types_mapper={pa.large_string(): pd.StringDtype(na_value=np.nan)}.get)
    return ImportedTable(
        name, "csv", frame, np.array(lines, dtype=np.int64), "line", digest, notes, problems, decimal_comma=separator == ";"
    )


def find_encoding(stream: BinaryIO, name: str) -> str:
    """The encoding of a text file, by its name in Python. The stream is set back to its start.

    A byte order mark decides; else UTF-8 where all bytes are valid; else Windows-1252, or Latin-1 for bytes that it lacks.
    Raises LiminalError for a file that is no text.
    """
    sample = stream.read(ENCODING_SAMPLE)
    stream.seek(0)
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if sample.startswith(mark):
            return encoding
    if b"\0" in sample:
        even, odd = sample[0::2].count(0), sample[1::2].count(0)
        half = len(sample) / 2
        if odd > 0.4 * half and even < 0.1 * half:
            return "utf-16-le"
        if even > 0.4 * half and odd < 0.1 * half:
            return "utf-16-be"
    if sum(map(sample.count, (bytes([value]) for value in CONTROL_BYTES))) > 0.02 * len(sample):
        raise LiminalError(f"{name} is no text but holds binary data; choose a CSV, TSV, Parquet or JSON file.")
    decoder = codecs.getincrementaldecoder("utf-8")()
    fits, undefined = True, False
    while block := stream.read(2**20):
        if b"\0" in block:
            raise LiminalError(f"{name} holds NUL bytes, so it is damaged or no text; save it again as CSV in UTF-8.")
        undefined = undefined or any(byte in block for byte in UNDEFINED_1252)
        if fits:
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                fits = False
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        fits = False
    stream.seek(0)
    return "utf-8" if fits else "latin-1" if undefined else "cp1252"


def find_separator(stream: BinaryIO, name: str, encoding: str) -> str:
    """The separator that gives the first rows one common length above 1; a comma where none does."""
    best, best_score = ",", (0.0, 0)
    for separator in SEPARATORS:
        widths, trust = [], 1.0
        try:
            for _, row in _iterate_csv(stream, name, encoding, separator):
                widths.append(len(row))
                if len(widths) == 50:
                    break
        except csv.Error:  # quotation marks that another separator may explain
            trust = 0.5
        if widths and widths[0] > 1:
            same = trust * sum(width == widths[0] for width in widths) / len(widths)
            if (same, widths[0]) > best_score:
                best, best_score = separator, (same, widths[0])
    return best


def _iterate_csv(stream: BinaryIO, name: str, encoding: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line on which a row starts, its cells) for every row that is not empty. May raise csv.Error."""
    stream.seek(0)
    try:
        text = io.TextIOWrapper(stream, encoding, newline="")
    except LookupError:
        raise LiminalError(f"There is no encoding '{encoding}'; use for example utf-8, utf-16, cp1252 or latin-1.") from None
    reader = csv.reader(text, delimiter=separator, strict=True)
    line = 1
    try:
        for row in reader:
            if any(row):
                yield line, row
            line = reader.line_num + 1
    except UnicodeError as error:
        raise LiminalError(
            f"{name} is not written in {ENCODINGS.get(encoding, encoding)} (near line {line}); save it as UTF-8 and try again."
        ) from error
    finally:
        text.detach()


def _explain_csv_errors(rows: Iterator[tuple[int, list[str]]], name: str) -> Iterator[tuple[int, list[str]]]:
    line = 0
    try:
        for line, row in rows:
            yield line, row
    except csv.Error as error:
        raise LiminalError(
            f"{name} cannot be taken apart into cells after line {line} ({error}); look for a quotation mark that is not closed."
        ) from error


def _read_header(row: list[str], name: str) -> list[str]:
    if any("\0" in cell for cell in row):
        raise LiminalError(f"{name} holds NUL bytes, so it is damaged or no text; save it again as CSV in UTF-8.")
    columns = [cell.strip() or f"column {index + 1}" for index, cell in enumerate(row)]
    if all(cell.replace(".", "", 1).replace("-", "", 1).isdigit() for cell in columns):
        raise LiminalError(f"The first line of {name} is made of numbers and not of names; put the columns' names there.")
    check_columns(columns, name)
    return columns


def _to_arrow(rows: list[list[str]], columns: list[str]) -> pa.Table:
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pa.table([pa.array(column, pa.large_string()) for column in cells], names=columns)


MAX_UNPACKED = 16 * 2**30
"""Bytes after unpacking: a small file can unpack to far more than its size."""


def read_parquet(stream: BinaryIO, name: str, digest: str) -> ImportedTable:
    """Read a Parquet file. Raises what ``read_file`` raises."""
    table = open_parquet(stream, name)
    frame = pa.table(
        [_to_text_column(table[column], column, name) for column in table.column_names], names=table.column_names
    ).to_pandas(types_mapper={pa.large_string(): pd.StringDtype(na_value=np.nan)}.get)
    lines = np.arange(1, len(frame) + 1, dtype=np.int64)
    return ImportedTable(name, "parquet", frame, lines, "row", digest, ("Read as Parquet.",), Problems())


def open_parquet(stream: BinaryIO, name: str) -> pa.Table:
    """A Parquet file's table; its sizes are checked first. Raises LiminalError for a damaged, too large or later one."""
    try:
        file = pq.ParquetFile(stream)
        check_columns(list(file.schema_arrow.names), name)
        check_rows(file.metadata.num_rows, name)
        unpacked = sum(file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups))
        version = int((file.schema_arrow.metadata or {}).get(VERSION_KEY, b"0"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LiminalError(f"{name} begins like a Parquet file but is damaged; copy or export it again.") from error
    if version > RATINGS_VERSION:
        raise LiminalError(f"{name} was exported by a later version of Liminal; update Liminal, or export it as CSV there.")
    if unpacked > MAX_UNPACKED:
        raise LiminalError(f"{name} unpacks to more than {MAX_UNPACKED // 2**30} GB; split it into several files.")
    try:
        return file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LiminalError(f"{name} begins like a Parquet file but is damaged; copy or export it again.") from error


def _to_text_column(column: pa.ChunkedArray, label: str, name: str) -> pa.ChunkedArray:
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


MAX_DEPTH = 4
"""Levels of nested answers that become columns; deeper ones stay JSON in their cell."""

PERSON_COLUMN = "person in the file"
"""The column for the number of the person, where a file holds a list of trials for each person."""

WRAPPERS = ("values", "trials", "data", "results")
"""Keys under which programs store the list of trials."""


def read_json(stream: BinaryIO, name: str, digest: str, encoding: str | None = None) -> ImportedTable:
    """Read a list of trials, a row a trial. Raises LiminalError for anything else."""
    try:
        text = stream.read().decode(encoding or "utf-8-sig")
    except LookupError:
        raise LiminalError(f"There is no encoding '{encoding}'; use for example utf-8, utf-16, cp1252 or latin-1.") from None
    except UnicodeError as error:
        raise LiminalError(f"{name} is not written in {encoding or 'UTF-8'}, as JSON is; save it again as UTF-8.") from error
    rows: list[dict[str, str]] = []
    for trial in _iterate_trials(_parse_json(text, name), name):
        row: dict[str, str] = {}
        _flatten("", trial, row, 0)
        rows.append(row)
        check_rows(len(rows), name)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    check_columns(columns, name)
    frame = pd.DataFrame(rows, columns=columns).astype(pd.StringDtype(na_value=np.nan))
    lines = np.arange(1, len(frame) + 1, dtype=np.int64)
    notes = (f"Read as JSON with {len(frame):,} trials.",)
    return ImportedTable(name, "json", frame, lines, "trial", digest, notes, Problems())


def _parse_json(text: str, name: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except RecursionError:
        raise LiminalError(
            f"{name} is nested too deeply to be a list of trials; export the data of the experiment again."
        ) from None
    except ValueError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1 and lines[0].lstrip()[:1] in "[{":  # one JSON value a line: a person, or a trial
            try:
                return [json.loads(line, parse_constant=lambda _: None) for line in lines]
            except (ValueError, RecursionError):
                pass
        line = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise LiminalError(f"{name} begins like JSON but is cut off or damaged{line}; export it again.") from error


def _iterate_trials(value: Any, name: str) -> Iterator[dict[str, Any]]:
    for _ in range(MAX_DEPTH):
        if isinstance(value, dict):
            inner = next((value[key] for key in WRAPPERS if isinstance(value.get(key), list | dict)), None)
            if inner is None:
                break
            value = inner
    if isinstance(value, list) and value and all(isinstance(trials_of_person, list) for trials_of_person in value):
        for person, trials in enumerate(value, start=1):
            for trial in trials:
                yield {PERSON_COLUMN: str(person), **_check_trial(trial, name)}
    elif isinstance(value, list):
        for trial in value:
            yield _check_trial(trial, name)
    else:
        raise LiminalError(f"{name} holds no list of trials; export the data of the experiment as JSON, as jsPsych writes it.")


def _check_trial(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise LiminalError(f"{name} holds a list, but not of trials; export the data of the experiment as jsPsych writes it.")
    return value


def _flatten(prefix: str, value: Any, row: dict[str, str], depth: int) -> None:
    if isinstance(value, dict) and depth < MAX_DEPTH and (value or not depth):
        for key, inner in value.items():
            _flatten(f"{prefix}.{key}" if prefix else _replace_surrogates(key), inner, row, depth + 1)
    elif isinstance(value, dict | list):
        row[prefix] = json.dumps(value, sort_keys=True)
    elif isinstance(value, bool):
        row[prefix] = "true" if value else "false"
    elif isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        row[prefix] = str(int(value))
    elif value is not None:
        row[prefix] = _replace_surrogates(str(value))


def _replace_surrogates(text: str) -> str:
    """Replace unpaired surrogates, which only JSON can hold, with question marks."""
    return text.encode(errors="replace").decode()
