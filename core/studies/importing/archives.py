"""Zip files that somebody brings: their list of contents is checked before anything is unpacked, and files are read one by one.

No links, no paths that lead out of a folder, no locked or doubled files, and none that unpacks to far more than it weighs or than
the list says.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

from core.errors import LiminalError

MAX_FILES = 200_000
MAX_BYTES = 8 * 2**30  # of all files after unpacking
MAX_RATIO = 200  # unpacked over packed size of a file above SMALL_FILE bytes; text packs to about a tenth
SMALL_FILE = 2**20
BLOCK_BYTES = 2**20

NOTHING_IMPORTED = "nothing was imported"


class CheckedArchive:
    """An open zip file whose list of contents has been checked.

    belongs: whether a path may be in it; kind: what the archive should be, for the sentence on one that may not. Raises
    LiminalError with one sentence where anything is found that does not belong into an archive of that kind.
    """

    def __init__(self, stream: BinaryIO, name: str, belongs: Callable[[str], bool], kind: str, *, folders: bool = False) -> None:
        self.name = name
        try:
            self._zip = zipfile.ZipFile(stream)
            entries = self._zip.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise LiminalError(f"{name} is damaged or no zip file; copy or export it again.") from error
        if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_BYTES:
            raise LiminalError(f"{name} unpacks to more than {MAX_BYTES // 2**30} GB or {MAX_FILES:,} files; {NOTHING_IMPORTED}.")
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            if not (folders and entry.is_dir()):
                self._check(entry, belongs, kind)
                self._entries[entry.filename] = entry

    def _check(self, entry: zipfile.ZipInfo, belongs: Callable[[str], bool], kind: str) -> None:
        path = entry.filename
        if path in self._entries:
            raise LiminalError(f"{self.name} holds {path!r} twice; {NOTHING_IMPORTED}.")
        if stat.S_ISLNK(entry.external_attr >> 16) or entry.is_dir() or not belongs(path):
            raise LiminalError(f"{self.name} holds {path[:100]!r}, which does not belong into {kind}; {NOTHING_IMPORTED}.")
        if entry.flag_bits & 1:
            raise LiminalError(f"{self.name} is locked by a password; export it again without one.")
        if entry.file_size > SMALL_FILE and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
            raise LiminalError(f"{self.name} holds {path!r}, which unpacks to far more than it weighs; {NOTHING_IMPORTED}.")

    def entries(self) -> list[str]:
        """The paths of all files."""
        return list(self._entries)

    def size(self, path: str) -> int:
        """Bytes of a file after unpacking."""
        return self._entries[path].file_size

    def blocks(self, path: str) -> Iterator[bytes]:
        """The content of a file in blocks, never more than the list of contents says."""
        entry = self._entries[path]
        size = 0
        try:
            with self._zip.open(entry) as file:
                while block := file.read(BLOCK_BYTES):
                    size += len(block)
                    if size > entry.file_size:
                        raise LiminalError(f"{self.name} holds {path!r}, which is larger than it says; {NOTHING_IMPORTED}.")
                    yield block
        except LiminalError:
            raise
        except Exception as error:  # what the unpackers raise (zlib.error, lzma.LZMAError, BadZipFile ...) has no common parent
            raise LiminalError(f"{path!r} in {self.name} is damaged; copy or export the file again.") from error


def leads_outside(path: str) -> bool:
    """Whether a path of an archive is absolute or climbs: '..', a drive, a backslash, a control character."""
    parts = path.split("/")
    return path.startswith("/") or ".." in parts or "\\" in path or ":" in parts[0] or not path.isprintable()
