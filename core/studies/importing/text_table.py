"""CSV and TSV: encoding and separator found out and said; rows with too many or too few cells listed, not guessed at."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa

from core.errors import LiminalError
from core.studies.importing.problems import Problems
from core.studies.importing.reading import Imported, check_columns, check_rows

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

SAMPLE = 2**16  # bytes looked at to tell text from other files
CHUNK = 50_000  # rows turned into columns at once
CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f"))
UNDEFINED_1252 = b"\x81\x8d\x8f\x90\x9d"


def read_text(stream: BinaryIO, name: str, digest: str, encoding: str | None = None) -> Imported:
    """A table separated by commas, tabs, semicolons or bars -> Imported; see ``reading.read`` for what it raises."""
    encoding = encoding or find_encoding(stream, name)
    separator = find_separator(stream, name, encoding)
    ragged: dict[int, int] = {}
    parts: list[pa.Table] = []
    lines: list[int] = []
    columns: list[str] = []
    rows: list[list[str]] = []
    for line, row in _told(_rows(stream, name, encoding, separator), name):
        if not columns:
            columns = _header(row, name)
            continue
        if len(row) > len(columns) and not any(row[len(columns) :]):
            row = row[: len(columns)]
        if len(row) != len(columns):
            ragged[line] = len(row)
            continue
        rows.append(row)
        lines.append(line)
        if len(rows) == CHUNK:
            parts.append(_columns(rows, columns))
            rows = []
            check_rows(len(lines), name)
    parts.append(_columns(rows, columns))
    problems = Problems()
    widths = list(ragged.values())
    problems.add(
        np.array(list(ragged), dtype=np.int64),
        lambda at: f"it has {widths[at]} cells where the first line names {len(columns)} columns",
    )
    notes = (f"Read as {ENCODINGS.get(encoding, encoding)}, separated by {SEPARATORS[separator]}.",)
    frame = pa.concat_tables(parts).to_pandas(types_mapper={pa.large_string(): pd.StringDtype(na_value=np.nan)}.get)
    return Imported(
        name, "csv", frame, np.array(lines, dtype=np.int64), "line", digest, notes, problems, decimal_comma=separator == ";"
    )


def find_encoding(stream: BinaryIO, name: str) -> str:
    """The encoding of a text file, a name that Python knows; the stream stands at its start again.

    A mark at the start decides; else UTF-8 where every byte fits it; else Windows-1252, or Latin-1 for bytes that it lacks.
    Raises LiminalError for what is no text.
    """
    sample = stream.read(SAMPLE)
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
    if sum(map(sample.count, (bytes([value]) for value in CONTROL))) > 0.02 * len(sample):
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
    """What stands between the cells: the separator that gives the first rows one length above 1; commas where none does."""
    best, best_score = ",", (0.0, 0)
    for separator in SEPARATORS:
        widths, trust = [], 1.0
        try:
            for _, row in _rows(stream, name, encoding, separator):
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


def _rows(stream: BinaryIO, name: str, encoding: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line on which the row starts, cells) of every row that is not empty. Raises csv.Error too."""
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


def _told(rows: Iterator[tuple[int, list[str]]], name: str) -> Iterator[tuple[int, list[str]]]:
    line = 0
    try:
        for line, row in rows:
            yield line, row
    except csv.Error as error:
        raise LiminalError(
            f"{name} cannot be taken apart into cells after line {line} ({error}); look for a quotation mark that is not closed."
        ) from error


def _header(row: list[str], name: str) -> list[str]:
    if any("\0" in cell for cell in row):
        raise LiminalError(f"{name} holds NUL bytes, so it is damaged or no text; save it again as CSV in UTF-8.")
    columns = [cell.strip() or f"column {place + 1}" for place, cell in enumerate(row)]
    if all(cell.replace(".", "", 1).replace("-", "", 1).isdigit() for cell in columns):
        raise LiminalError(f"The first line of {name} is made of numbers and not of names; put the columns' names there.")
    check_columns(columns, name)
    return columns


def _columns(rows: list[list[str]], columns: list[str]) -> pa.Table:
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pa.table([pa.array(each, pa.large_string()) for each in cells], names=columns)
