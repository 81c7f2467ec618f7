"""Own pictures for a study: a folder, a zip file or single files of pictures, and a table of pairs of them, into the library.

A picture is a JPEG, PNG or WebP file; its metadata are dropped once its orientation is applied. A table of pairs is CSV with the
columns ``a`` and ``b`` (names of files, with their folder where two have one name) and, where known, ``type`` (of a free kind, or
one of paper A's), ``step``, ``same`` (whether both show one person: yes or no) and ``batch`` (pairs that one rater sees together).
Without one, the pictures are shown one by one.

Nothing of what is brought is trusted: no links, no paths that climb, no bombs, and sizes are known before anything is decoded. All
is taken or nothing, and then ``core.sampling.pictures`` judges it and ``core.studies.library`` keeps it, whole or not at all.
"""

from __future__ import annotations

import datetime as dt
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.photos import decode_picture
from core.progress import Progress
from core.sampling.pictures import ITSELF, MAX_SIDE, PicturePair, count_faceless, fit_squares, judge_pictures
from core.studies.importing.archives import NOTHING_IMPORTED, CheckedArchive, leads_outside
from core.studies.importing.reading import ImportedTable, open_source, read_file
from core.studies.library import Library

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
TABLE_ENDINGS = (".csv", ".tsv")
MAX_PICTURES = 1000
"""Of one set: all of them are in memory while they are judged, 0.8 MB each. A study asks about several sets."""
MAX_PAIRS = 5000
MAX_FILE_BYTES = 50 * 2**20
MIN_SIDE = 32
"""Pixels that the shorter side of a picture must have."""
PAIR_COLUMNS = ("a", "b", "type", "step", "same", "batch")
MAX_TYPE_LENGTH = 40
TRUTHS: Mapping[str, bool | None] = {
    **dict.fromkeys(("yes", "true", "1", "same", "y"), True),
    **dict.fromkeys(("no", "false", "0", "different", "n"), False),
    "": None,
}
SHOWN = 3
"""Of files or lines with a problem, so many are named."""

CONFIRMED_KEY = "right_to_show_confirmed"
"""The manifest's entry: when the owner said so."""
RIGHTS_MISSING = (
    "Say that you have the right to show these pictures to the people who take part: of pictures of real people, theirs and the "
    "photographer's consent."
)

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class ImportedPictures:
    """What was added to the library. notes: sentences for the owner. new: whether the library did not hold the same before."""

    set_id: str
    notes: tuple[str, ...]
    new: bool


@dataclass(frozen=True)
class _File:
    """One file of what was brought: its name with its folder, its size, and how it is read."""

    name: str
    size: int
    read: Callable[[], bytes]


def import_pictures(
    library: Library,
    source: Path | Sequence[tuple[str, bytes]],
    pairs: Path | None = None,
    *,
    may_show: bool,
    title: str = "",
    progress: Progress | None = None,
) -> ImportedPictures:
    """Read, judge and keep pictures as a sample set of the library.

    source: a folder, a zip file, or files with their names (pictures, zip files, a table of pairs). pairs: the table of pairs
    where it does not lie among them. may_show: whether the owner has said that these pictures may be shown to people. Raises
    LiminalError with one sentence where anything cannot be used, and Cancelled on request; nothing is kept then.
    """
    if not may_show:
        raise LiminalError(RIGHTS_MISSING)
    progress = progress or Progress()
    with ExitStack() as opened:
        files = _list_path(source, opened) if isinstance(source, Path) else _list_uploads(source, opened)
        pictures, table, notes = _sort_files(files, pairs)
        decoded = _decode(pictures, progress.stretch(0.0, 0.2))
        listed = _read_pairs(table, list(decoded)) if table is not None else []
    if listed:
        used = dict.fromkeys(name for pair in listed for name in (pair.first, pair.second))
        unused = len(decoded) - len(used)
        notes += [f"{_count(unused, 'picture is', 'pictures are')} in no pair and were left out."] if unused else []
        decoded = {name: decoded[name] for name in used}
    odd = sum(picture.shape[0] != picture.shape[1] for picture in decoded.values())
    notes += [f"{_count(odd, 'picture is', 'pictures are')} not square: grey fills the rest."] if odd else []
    judged = judge_pictures(fit_squares(decoded), listed, progress.stretch(0.2, 1.0))
    judged = replace(judged, manifest={**judged.manifest, CONFIRMED_KEY: dt.datetime.now(dt.UTC).isoformat(timespec="seconds")})
    repeated = len(decoded) - len(judged.images)
    notes += [f"{_count(repeated, 'picture is', 'pictures are')} the same as another one and kept once."] if repeated else []
    twice = len(listed) - len(judged.pairs)
    notes += [f"{_count(twice, 'pair is', 'pairs are')} there more than once and asked about once."] if listed and twice else []
    faceless = count_faceless(judged)
    noun = ("pair", "pairs") if listed else ("picture", "pictures")
    notes += [f"In {_count(faceless, *noun)} {judged.configuration.recogniser} finds no face."] if faceless else []
    known = {entry.set_id for entry in library.sets()}
    progress.check()
    set_id = library.add(judged, title)
    return ImportedPictures(set_id, tuple(notes), set_id not in known)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _list_path(path: Path, opened: ExitStack) -> list[_File]:
    """The files in a folder or a zip file."""
    if path.is_dir():
        return list(_list_folder(path))
    stream = opened.enter_context(open_source(path, path.name))
    if stream.read(4) == b"PK\x03\x04":
        return _list_archive(stream, path.name)
    raise LiminalError(f"{path.name} is neither a folder nor a zip file; put the pictures into one of both.")


def _list_uploads(uploads: Sequence[tuple[str, bytes]], opened: ExitStack) -> list[_File]:
    files: list[_File] = []
    for name, content in uploads:
        if content[:4] == b"PK\x03\x04":
            files += _list_archive(opened.enter_context(open_source(content, name)), name)
        else:
            files.append(_File(name, len(content), lambda content=content: content))  # type: ignore[misc]
    return files


def _list_folder(folder: Path) -> Iterator[_File]:
    """All files below a folder; links are not followed and refused, since what they lead to lies elsewhere."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted([*names, *folders]):
            path = Path(parent) / name
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink() and not _is_hidden(relative):
                raise LiminalError(f"{relative!r} in {folder.name} is a link; copy the file itself there. {NOTHING_KEPT}")
            if path.is_file():
                yield _File(relative, path.stat().st_size, _make_reader(path))


def _make_reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise LiminalError(f"it cannot be read ({error.strerror or error})") from error

    return read


def _list_archive(stream: BinaryIO, name: str) -> list[_File]:
    archive = CheckedArchive(stream, name, lambda path: not leads_outside(path), "an archive of pictures", folders=True)

    def read(path: str) -> Callable[[], bytes]:
        return lambda: b"".join(archive.blocks(path))

    return [_File(path, archive.size(path), read(path)) for path in archive.entries()]


NOTHING_KEPT = f"{NOTHING_IMPORTED[:1].upper()}{NOTHING_IMPORTED[1:]}."


def _is_hidden(name: str) -> bool:
    """Whether systems put a file there that nobody sees."""
    parts = name.split("/")
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1].lower() in ("thumbs.db", "desktop.ini")


def _sort_files(files: Sequence[_File], pairs: Path | None) -> tuple[list[_File], tuple[str, bytes | Path] | None, list[str]]:
    """Pictures, the table of pairs if there is one, and sentences on what is left out."""
    files = [file for file in files if not _is_hidden(file.name)]
    pictures = [file for file in files if file.name.lower().endswith(PICTURE_ENDINGS)]
    tables = [file for file in files if file.name.lower().endswith(TABLE_ENDINGS)]
    others = [file.name for file in files if not file.name.lower().endswith((*PICTURE_ENDINGS, *TABLE_ENDINGS))]
    if not pictures:
        raise LiminalError(f"There is no picture among these files: {', '.join(PICTURE_ENDINGS)} are read. {NOTHING_KEPT}")
    if len(pictures) > MAX_PICTURES:
        raise LiminalError(
            f"These are {len(pictures):,} pictures, and a set holds at most {MAX_PICTURES:,}: make several sets of them, a study "
            f"can ask about all. {NOTHING_KEPT}"
        )
    repeated = [name for name, times in Counter(file.name for file in pictures).items() if times > 1]
    if repeated:
        raise LiminalError(f"Two pictures are called {repeated[0]!r}; rename one of them. {NOTHING_KEPT}")
    large = next((file for file in pictures if file.size > MAX_FILE_BYTES), None)
    if large is not None:
        raise LiminalError(
            f"{large.name!r} has {large.size / 2**20:.0f} MB, more than the {MAX_FILE_BYTES // 2**20} MB that are read; make it "
            f"smaller first. {NOTHING_KEPT}"
        )
    notes = []
    if others:
        named = ", ".join(others[:SHOWN]) + (" ..." if len(others) > SHOWN else "")
        notes.append(f"Left out, since only JPEG, PNG and WebP are read: {named}.")
    if pairs is not None:
        return pictures, (pairs.name, pairs), notes
    if len(tables) > 1:
        raise LiminalError(
            f"There are {len(tables)} tables beside the pictures ({', '.join(file.name for file in tables[:SHOWN])}); keep the one "
            f"that names the pairs. {NOTHING_KEPT}"
        )
    return pictures, (tables[0].name, tables[0].read()) if tables else None, notes


def _decode(files: Sequence[_File], progress: Progress) -> dict[str, Picture]:
    """All pictures by name, or a sentence that names those that cannot be used."""
    pictures: dict[str, Picture] = {}
    problems: list[str] = []
    for index, file in enumerate(files):
        progress.stage(f"Reading picture {index + 1:,} of {len(files):,}", index / len(files))
        try:
            pictures[file.name] = decode_picture(file.read(), MAX_SIDE, smallest=MIN_SIDE, most_bytes=MAX_FILE_BYTES)
        except LiminalError as error:
            problems.append(f"{file.name!r}: {str(error).rstrip('.')}")
    if problems:
        raise LiminalError(f"{_name_problems(problems, 'picture')}. {NOTHING_KEPT}")
    return pictures


def _name_problems(problems: Sequence[str], noun: str) -> str:
    more = f"; and {_count(len(problems) - SHOWN, f'more {noun}', f'more {noun}s')}" if len(problems) > SHOWN else ""
    return "; ".join(problems[:SHOWN]) + more


def _read_pairs(table: tuple[str, bytes | Path], names: Sequence[str]) -> list[PicturePair]:
    """The pairs of a table. names: of the pictures, with their folders."""
    label, source = table
    imported = read_file(source, label)
    if imported.problems.total:
        first = next(iter(imported.problems))
        raise LiminalError(f"Line {first.line} of {label} cannot be read: {first.reason}. {NOTHING_KEPT}")
    columns = {str(name).strip().lower(): name for name in imported.frame.columns}
    if "a" not in columns or "b" not in columns:
        raise LiminalError(
            f"{label} needs the columns a and b with the names of two pictures, and has "
            f"{', '.join(repr(name) for name in list(columns)[:6])}. {NOTHING_KEPT}"
        )
    if len(imported.frame) > MAX_PAIRS:
        raise LiminalError(f"{label} has {len(imported.frame):,} pairs, and a set holds at most {MAX_PAIRS:,}. {NOTHING_KEPT}")
    cells = {name: imported.frame[columns[name]].fillna("").str.strip().tolist() for name in PAIR_COLUMNS if name in columns}
    by_name = _index_names(names)
    pairs: list[PicturePair] = []
    problems: list[str] = []
    for row, line in enumerate(imported.lines.tolist()):
        values = {name: column[row] for name, column in cells.items()}
        try:
            pairs.append(_make_pair(values, by_name, imported))
        except LiminalError as error:
            problems.append(f"line {line}: {str(error).rstrip('.')}")
    if problems:
        raise LiminalError(f"{label}, {_name_problems(problems, 'line')}. {NOTHING_KEPT}")
    return pairs


def _index_names(names: Sequence[str]) -> dict[str, list[str]]:
    """What a table may call a picture -> the pictures that this can mean: the name with its folder, or the file's alone."""
    by_name: dict[str, list[str]] = {}
    for name in names:
        for called in dict.fromkeys((name, name.rsplit("/", 1)[-1])):
            by_name.setdefault(called, []).append(name)
    return by_name | {name: [name] for name in names}


def _make_pair(values: Mapping[str, str], by_name: Mapping[str, list[str]], imported: ImportedTable) -> PicturePair:
    first, second = (_find_picture(values[column], by_name) for column in ("a", "b"))
    sample_type = values.get("type", "") or "pair"
    if len(sample_type) > MAX_TYPE_LENGTH or not sample_type.isprintable():
        raise LiminalError(f"a type is a word or two of at most {MAX_TYPE_LENGTH} characters, not {sample_type[:60]!r}")
    same = values.get("same", "").lower()
    if same not in TRUTHS:
        raise LiminalError(f"'same' is yes or no, not {same[:40]!r}")
    truth = TRUTHS[same]
    if sample_type == ITSELF and first != second:  # as verification calls any pair of one person; here it is a face and itself
        sample_type, truth = "same person", True
    return PicturePair(
        first,
        second,
        sample_type,
        _read_number(values.get("step", ""), "step", imported.decimal_comma),
        truth,
        _read_batch(values.get("batch", ""), imported.decimal_comma),
    )


def _find_picture(called: str, by_name: Mapping[str, list[str]]) -> str:
    found = by_name.get(called.replace("\\", "/").removeprefix("./"), [])
    if not called:
        raise LiminalError("a picture is not named")
    if not found:
        raise LiminalError(f"there is no picture {called[:80]!r}")
    if len(found) > 1:
        raise LiminalError(f"{called[:80]!r} can mean {found[0]!r} or {found[1]!r}; name its folder too")
    return found[0]


def _read_number(text: str, column: str, decimal_comma: bool) -> float:
    try:
        number = float(text.replace(",", ".") if decimal_comma else text) if text else math.nan
    except ValueError:
        raise LiminalError(f"'{column}' is a number, not {text[:40]!r}") from None
    if math.isinf(number):
        raise LiminalError(f"'{column}' is a number, not {text[:40]!r}")
    return number


def _read_batch(text: str, decimal_comma: bool) -> int:
    number = _read_number(text or "0", "batch", decimal_comma)
    if not 0 <= number < 10_000 or number != int(number):
        raise LiminalError(f"'batch' is a whole number from 0 to 9,999, not {text[:40]!r}")
    return int(number)
