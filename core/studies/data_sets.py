"""Large data sets that the app may show: the library knows where each lies, and opens it without reading it.

``data_folder()/data-sets/<id>.json`` names a folder; the data set itself (``core.sampling.many``) stays where it was made.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.errors import LiminalError
from core.sampling.many.data_set import DataSet
from core.sampling.many.work import MANIFEST
from core.writing import write_bytes


@dataclass(frozen=True)
class DataSetEntry:
    """A line of the library. made: when it was listed, an ISO date."""

    set_id: str
    title: str
    made: str
    images: int
    pairs: int
    folder: Path


class DataSets:
    """register: None for the user's own, ``data_folder()/data-sets``."""

    def __init__(self, register: Path | None = None) -> None:
        if register is None:
            from core.data_folder import data_folder

            register = data_folder() / "data-sets"
        self.register = register

    def add(self, folder: Path) -> str:
        """List a finished data set -> its id; one that was made in the same folder before is listed no more.

        Raises LiminalError where the folder is none.
        """
        folder = folder.resolve()
        data = DataSet.open(folder)
        digest = hashlib.blake2b((folder / MANIFEST).read_bytes(), digest_size=10).hexdigest()
        line = {"folder": str(folder), "made": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")}
        try:
            write_bytes(self.register / f"{digest}.json", json.dumps({**line, "title": data.title}).encode())
            for other in self.entries():
                if other.folder == folder and other.set_id != digest:
                    self.remove(other.set_id)
        except OSError as error:
            raise LiminalError(f"The data set cannot be listed in the library ({error.strerror or error}).") from error
        return digest

    def remove(self, set_id: str) -> None:
        """Take it off the list; the data set itself stays."""
        if self._known(set_id):
            (self.register / f"{set_id}.json").unlink(missing_ok=True)

    def entries(self) -> list[DataSetEntry]:
        """Newest first. One whose folder is gone is left out."""
        found = []
        try:
            names = [path.stem for path in self.register.glob("*.json")]
        except OSError:
            names = []
        for name in names:
            try:
                data, line = self.open(name), json.loads((self.register / f"{name}.json").read_bytes())
                made = dt.datetime.fromisoformat(line["made"]).isoformat()
                found.append(DataSetEntry(name, data.title, made, data.rows("samples"), data.rows("pairs"), data.folder))
            except (LiminalError, OSError, ValueError, KeyError, TypeError):
                continue
        return sorted(found, key=lambda entry: (entry.made, entry.set_id), reverse=True)

    def open(self, set_id: str) -> DataSet:
        """Raises LiminalError where none of that id is listed or it is gone."""
        if self.has(set_id):
            try:
                folder = Path(json.loads((self.register / f"{set_id}.json").read_bytes())["folder"])
                return _opened(folder, (folder / MANIFEST).stat().st_mtime_ns)
            except OSError:
                raise LiminalError(
                    f"The data set {set_id} is not where it was any more; put its folder back, or run its 'generate study' again."
                ) from None
            except (ValueError, KeyError, TypeError):
                pass
        raise LiminalError(
            f"The library knows no data set '{set_id}'; 'python -m core generate study --help' says how to make one."
        )

    def has(self, set_id: str) -> bool:
        """Whether one of that id is listed."""
        return self._known(set_id) and (self.register / f"{set_id}.json").is_file()

    def _known(self, set_id: str) -> bool:
        """An id comes from a link: it never leads out of the register."""
        return len(set_id) == 20 and set(set_id) <= set("0123456789abcdef")


@lru_cache(maxsize=16)
def _opened(folder: Path, changed: int) -> DataSet:
    """A manifest is read once until it changes."""
    return DataSet.open(folder)
