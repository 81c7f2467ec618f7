"""Zip files from elsewhere, opened with suspicion: only known names, no links, no bombs, every byte held to its hash."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from core.errors import LiminalError

MAX_FILES = 200_000
MAX_BYTES = 8 * 2**30  # of all files after unpacking
MAX_RATIO = 200  # after unpacking over packed, of one file above SMALL bytes: text packs to about a tenth
SMALL = 2**20
BLOCK = 2**20

HASHES = "hashes.json"

WRONG = "nothing was imported"


class Archive:
    """An open zip file whose list of contents was found harmless; its files are unpacked one by one.

    known: says whether a path belongs into such an archive. Raises LiminalError with one sentence for everything that is odd.
    """

    def __init__(self, stream: BinaryIO, name: str, known: re.Pattern[str]) -> None:
        self.name = name
        try:
            self._zip = zipfile.ZipFile(stream)
            entries = self._zip.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise LiminalError(f"{name} is damaged or no zip file; copy or export it again.") from error
        if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_BYTES:
            raise LiminalError(f"{name} unpacks to more than {MAX_BYTES // 2**30} GB or {MAX_FILES:,} files; {WRONG}.")
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            self._check(entry, known)
            self._entries[entry.filename] = entry
        self.hashes = self._hashes()

    def _check(self, entry: zipfile.ZipInfo, known: re.Pattern[str]) -> None:
        path = entry.filename
        if path in self._entries:
            raise LiminalError(f"{self.name} holds {path!r} twice; {WRONG}.")
        if stat.S_ISLNK(entry.external_attr >> 16) or entry.is_dir() or not known.fullmatch(path):
            # Also whatever leads out of a folder: .., a drive, a backslash, a link.
            raise LiminalError(f"{self.name} holds {path[:100]!r}, which does not belong into an export of a study; {WRONG}.")
        if entry.flag_bits & 1:
            raise LiminalError(f"{self.name} is locked by a password; export it again without one.")
        if entry.file_size > SMALL and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
            raise LiminalError(f"{self.name} holds {path!r}, which unpacks to far more than it weighs; {WRONG}.")

    def _hashes(self) -> dict[str, str]:
        if HASHES not in self._entries:
            raise LiminalError(f"{self.name} is no export of a study: it lacks {HASHES}. Save workbooks as CSV and import that.")
        try:
            hashes = json.loads(b"".join(self._blocks(HASHES)))
            listed = {str(path): str(value) for path, value in hashes.items()}
        except (ValueError, AttributeError, RecursionError) as error:
            raise LiminalError(f"The list of hashes in {self.name} is damaged; copy or export it again.") from error
        odd = sorted(set(listed) ^ (set(self._entries) - {HASHES}))
        if odd:
            raise LiminalError(f"{self.name} is not complete: {odd[0]!r} is not both in it and in its list of hashes; {WRONG}.")
        return listed

    def _blocks(self, path: str) -> Iterator[bytes]:
        """The content of a file, never more than its list of contents says."""
        entry = self._entries[path]
        size = 0
        try:
            with self._zip.open(entry) as file:
                while block := file.read(BLOCK):
                    size += len(block)
                    if size > entry.file_size:
                        raise LiminalError(f"{self.name} holds {path!r}, which is larger than it says; {WRONG}.")
                    yield block
        except LiminalError:
            raise
        except Exception as error:  # what the unpackers raise (zlib.error, lzma.LZMAError, BadZipFile ...) has no common parent
            raise LiminalError(f"{path!r} in {self.name} is damaged; copy or export the file again.") from error

    def paths(self) -> list[str]:
        """Every file but the list of hashes."""
        return list(self.hashes)

    def read(self, path: str) -> bytes:
        """A file's content, held to its hash."""
        if path not in self.hashes:
            raise LiminalError(f"{self.name} is no export of a study: it lacks {path}.")
        digest, blocks = hashlib.sha256(), []
        for block in self._blocks(path):
            digest.update(block)
            blocks.append(block)
        self._compare(path, digest.hexdigest())
        return b"".join(blocks)

    def unpack(self, path: str, target: Path) -> None:
        """A file's content into a file, held to its hash."""
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with target.open("xb") as file:
            for block in self._blocks(path):
                digest.update(block)
                file.write(block)
        self._compare(path, digest.hexdigest())

    def _compare(self, path: str, digest: str) -> None:
        if digest != self.hashes[path]:
            raise LiminalError(f"{path!r} in {self.name} is not what was exported: its hash differs; {WRONG}.")
