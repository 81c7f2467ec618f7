"""The folder of a data set while it is made: finished pieces, whole or not there, and parts of pieces that are complete.

plan.json                  what is made; another plan is refused
pieces/<number>/           finished pieces of parts that are not complete yet
samples/<kind>/...          parts: as they will stay (also pairs/ and searches/)
records/<part>.json        written last: a part with a record is whole, and its pieces are gone
manifest.json, index/      written when all is there (``core.sampling.many.finishing``); then records/ goes
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import filelock

from core.errors import LiminalError
from core.sampling.folders import check_free, new_folder
from core.sampling.many.pieces import Piece
from core.sampling.many.tables import RECORD, TABLES, read_table, writer
from core.writing import whole, write_bytes

FORMAT, FORMAT_VERSION = "liminal data set", 1
PLAN, MANIFEST, RECORDS, PIECES, LOCK = "plan.json", "manifest.json", "records", "pieces", ".lock"
KEPT = "what is finished is kept, so mend that and run the same command again."
BATCHES_A_PART = 32
IMAGES_A_PART = 4096


@dataclass(frozen=True)
class Part:
    """Pieces that share one file a table. partition: of the folder, for example 'pair=surprise-fear'."""

    number: int
    kind: str
    partition: str
    within: int  # its number in its partition
    pieces: tuple[Piece, ...]

    def file(self, table: str) -> str:
        """Where a table of it lies in the data set's folder."""
        return f"{table}/{self.kind}/{self.partition}/part-{self.within:05d}.parquet"


def parts_of(pieces: Sequence[Piece]) -> list[Part]:
    """Consecutive pieces of one emotion pair or of so many batches, a few thousand images each."""
    parts: list[Part] = []
    for partition, group in groupby(pieces, key=_partition):
        rows: list[tuple[Piece, ...]] = [()]
        for piece in group:
            if rows[-1] and sum(each.images for each in rows[-1]) + piece.images > IMAGES_A_PART and piece.kind == "emotion":
                rows.append(())
            rows[-1] += (piece,)
        parts += [Part(len(parts) + place, row[0].kind, partition, place, row) for place, row in enumerate(rows)]
    return parts


def _partition(piece: Piece) -> str:
    c = piece.configuration
    if piece.kind == "emotion":
        return f"pair={c.emotion1}-{c.emotion2}"  # type: ignore[union-attr]
    low = piece.batch - piece.batch % BATCHES_A_PART
    return f"batches={low:06d}-{low + BATCHES_A_PART - 1:06d}"


class Work:
    """A data set that is being made. Open it by ``opened``, which keeps a second run away."""

    def __init__(self, folder: Path, parts: Sequence[Part]) -> None:
        self.folder, self.parts = folder, list(parts)
        self.part_of = {piece.number: part for part in self.parts for piece in part.pieces}
        self.records: dict[int, dict[str, Any]] = {}  # of finished pieces
        for part in self.parts:
            self._find(part)

    def _find(self, part: Part) -> None:
        record = self.folder / RECORDS / f"{part.number:06d}.json"
        if record.is_file():
            self.records |= {each["number"]: each for each in json.loads(record.read_bytes())}
            return
        for piece in part.pieces:
            place = self._place(piece.number) / RECORD
            if place.is_file():
                self.records[piece.number] = json.loads(place.read_bytes())

    def missing(self) -> list[Piece]:
        """What is still to be made: the first of each kind first, so that an estimate of time knows all kinds early."""
        rest = [piece for part in self.parts for piece in part.pieces if piece.number not in self.records]
        known = {record["kind"] for record in self.records.values()}
        first: dict[str, Piece] = {}
        for piece in rest:
            if piece.kind not in known:
                first.setdefault(piece.kind, piece)
        return [*first.values(), *(piece for piece in rest if piece not in first.values())]

    def keep(self, number: int, files: Mapping[str, bytes]) -> None:
        """Store a finished piece, once; a complete part is put together. Raises LiminalError where it does not belong here."""
        if number in self.records:
            return
        record = json.loads(files[RECORD])
        self._same(record)
        with writing(self.folder):
            with new_folder(self._place(number)) as place:
                for name, content in files.items():
                    (place / name).write_bytes(content)
            self.records[number] = record
            self.complete(self.part_of[number])

    def _same(self, record: Mapping[str, Any]) -> None:
        """All pieces of a kind come from the same networks and versions."""
        other = next((each for each in self.records.values() if each["kind"] == record["kind"]), None)
        if other is None or other["same"] == record["same"]:
            return
        differing = next(name for name in other["same"] if other["same"][name] != record["same"].get(name))
        raise LiminalError(
            f"A new piece was made with other {differing} than those in {self.folder}; use the "
            "same installation and device everywhere, or start anew in another folder."
        )

    def complete(self, part: Part) -> None:
        """Put a part together once all its pieces are there, then let these go."""
        done = self.folder / RECORDS / f"{part.number:06d}.json"
        if done.is_file() or any(piece.number not in self.records for piece in part.pieces):
            return
        for table in TABLES[part.kind]:
            self._put_together(part, table)
        write_bytes(done, json.dumps([self.records[piece.number] for piece in part.pieces]).encode())
        for piece in part.pieces:
            shutil.rmtree(self._place(piece.number), ignore_errors=True)

    def _put_together(self, part: Part, table: str) -> None:
        """One row group a piece: a picture is found by its piece, and only that piece is read."""
        first = read_table(self._place(part.pieces[0].number) / f"{table}.parquet")
        with whole(self.folder / part.file(table)) as file, writer(file, first.schema) as into:
            for piece in part.pieces:
                read = read_table(self._place(piece.number) / f"{table}.parquet")
                into.write_table(read.cast(first.schema), row_group_size=max(1, read.num_rows))

    def _place(self, number: int) -> Path:
        return self.folder / PIECES / f"{number:08d}"

    @cached_property
    def total(self) -> int:
        """Pieces of the plan."""
        return len(self.part_of)


@contextmanager
def opened(folder: Path, pieces: Sequence[Piece], plan: Mapping[str, Any], plan_id: str) -> Iterator[Work]:
    """The folder, new or begun before with the same plan; nobody else works in it meanwhile.

    Raises LiminalError where it holds something else, another plan, or is being worked in; and with what happened, and at which
    file, where what is done meanwhile meets an error of the operating system.
    """
    check_plan(folder, plan_id)
    try:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            held = filelock.FileLock(folder / LOCK, timeout=0).acquire()
    except filelock.Timeout:
        raise LiminalError(f"Another run is making the data set {folder} right now; wait for it or stop it first.") from None
    with held:
        with writing(folder):
            if not (folder / PLAN).is_file():
                write_bytes(folder / PLAN, (json.dumps({"plan_id": plan_id, "plan": plan}, indent=1) + "\n").encode())
            for leftover in (folder / PIECES).glob(".*.partial"):  # of a run that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            work = Work(folder, parts_of(pieces))
            for part in work.parts:  # a run may have been killed between the last piece and the part
                work.complete(part)
        try:
            yield work
        except OSError as error:
            raise LiminalError(f"The data set {folder} could not be made on ({_what(error)}); {KEPT}") from error


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """An error of the operating system in here is one of reading or writing the data set itself: a LiminalError says so."""
    try:
        yield
    except filelock.Timeout:  # an OSError too
        raise
    except OSError as error:
        raise LiminalError(f"The data set {folder} cannot be written ({_what(error)}); {KEPT}") from error


def _what(error: OSError) -> str:
    """What happened, in the system's words, and to which file where it says so: 'No space left on device: /data/x'."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{reason}: {error.filename}" if error.filename else reason


def check_plan(folder: Path, plan_id: str) -> None:
    """Raises LiminalError where the folder holds anything but a data set of that plan, or where nothing can be written."""
    if not (folder / PLAN).is_file():
        if folder.is_dir() and {each.name for each in folder.iterdir()} <= {LOCK}:
            return
        check_free(folder)
        return
    try:
        other = json.loads((folder / PLAN).read_bytes())["plan_id"]
    except (OSError, ValueError, KeyError, TypeError):
        raise LiminalError(f"The file {folder / PLAN} is damaged; choose another folder.") from None
    if other != plan_id:
        raise LiminalError(f"The folder {folder} holds a data set of another plan; choose another folder or give its own plan.")
