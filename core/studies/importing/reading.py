"""Files of answers -> one table of text with the place of every row: CSV, TSV, Parquet and the JSON of jsPsych."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import LiminalError
from core.studies.importing.problems import Problems

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
class Imported:
    """A file as it was read, nothing interpreted yet.

    frame: every cell as text (NaN: missing, which only Parquet and JSON know), columns as the file names them; lines: int64,
    the place of each row, counted from 1 in ``unit``s; digest: SHA-256 of the file; notes: what was found out, in sentences;
    problems: rows that could not be read, which the frame leaves out.
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


def read(source: bytes | Path, name: str = "", *, encoding: str | None = None) -> Imported:
    """Read a file, its kind found out from its content. ``encoding``: use this one instead of finding it out.

    Raises LiminalError with one sentence for what is no table: empty, a picture, a workbook, the wrong encoding, two columns of
    one name, more than MAX_ROWS rows or MAX_BYTES bytes, an export of a later version.
    """
    from core.studies.importing import jspsych, parquet_table, text_table

    name = name or (source.name if isinstance(source, Path) else "the file")
    with opened(source, name) as stream:
        head = stream.read(16)
        if not head:
            raise LiminalError(f"{name} is empty; choose a file that has a line of column names and a line for each answer.")
        for signature, meaning in SIGNATURES:
            if head.startswith(signature):
                raise LiminalError(
                    f"{name} is {meaning}, not a table; save the answers as CSV, TSV, Parquet or JSON and try again."
                )
        digest = digest_of(stream)
        if head.startswith(b"PAR1"):
            made = parquet_table.read_parquet(stream, name, digest)
        elif head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{"):
            made = jspsych.read_json(stream, name, digest, encoding)
        else:
            made = text_table.read_text(stream, name, digest, encoding)
    if made.frame.empty and made.problems.total:
        first = next(iter(made.problems))
        raise LiminalError(f"No row of {name} can be read: line {first.line}, {first.reason}; look at the line of column names.")
    if made.frame.empty:
        raise LiminalError(f"{name} names columns but holds no answers; choose a file with at least one row.")
    return made


def opened(source: bytes | Path, name: str) -> BinaryIO:
    """A stream from the start. Raises LiminalError where there is no file, or one that is too large."""
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


def digest_of(stream: BinaryIO) -> str:
    """SHA-256 of the whole stream, hexadecimal; the stream stands at its start again."""
    stream.seek(0)
    digest = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed wants what it never calls
    stream.seek(0)
    return digest


def check_columns(columns: list[str], name: str) -> None:
    """Raises LiminalError where columns cannot be told apart, or are too many."""
    if len(columns) > MAX_COLUMNS:
        raise LiminalError(f"{name} has {len(columns):,} columns and at most {MAX_COLUMNS:,} are read; is it another kind of file?")
    twice = [column for place, column in enumerate(columns) if column in columns[:place]]
    if twice:
        raise LiminalError(f"{name} has two columns called '{twice[0]}'; rename one of them, so that it is clear which is meant.")


def check_rows(number: int, name: str) -> None:
    """Raises LiminalError where there are more rows than are read."""
    if number > MAX_ROWS:
        raise LiminalError(f"{name} has more than {MAX_ROWS:,} rows, which is the most that is read; split it into several files.")
