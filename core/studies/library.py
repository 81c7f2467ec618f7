"""The library: the sample sets that studies ask about, and the large data sets that the app may show.

``data_folder()/sets/<set_id>`` is a sample set's folder (``core.sampling.sample_set``), named by its content, with
``library.json`` beside the manifest: title and date. Sets of pictures that somebody brought along (``core.sampling.pictures``)
lie there too and are the only ones that are deleted: with the last study that asks about them. The sets of
``assets/demonstration`` are listed too; they are read where they lie. Sets of earlier demonstrations are found by their ids, for
data folders that have their studies, but not listed.
``data_folder()/data-sets/<id>.json`` names the folder of a large data set, which stays where it was made and is opened without
being read. Ids come from links: they are checked, so that none leads out of these folders.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.data_folder import ASSETS, data_folder
from core.errors import LiminalError
from core.sampling.configuration import NO_GENERATOR
from core.sampling.datasets.data_set import DataSet
from core.sampling.datasets.storage import MANIFEST
from core.sampling.sample_set import FORMAT, SampleSet
from core.writing import new_folder, write_bytes

DEMONSTRATION_SETS = ASSETS / "demonstration" / "sets"
EARLIER_SETS = ASSETS / "demonstration" / "earlier"
LABEL_FILE = "library.json"
SET_ID = re.compile(r"[0-9a-f]{20}")
MEDIA_TYPES = {".png": "image/png", ".webp": "image/webp"}


@dataclass(frozen=True)
class SetEntry:
    """A sample set of the library. made: when it was added, an ISO date."""

    set_id: str
    kind: str  # identity | emotion
    title: str
    made: str
    images: int
    demonstration: bool
    folder: Path
    own_pictures: bool = False  # somebody brought them along, and they may show real people


class Library:
    """The sample sets in ``folder`` (None: ``data_folder()/sets``) and those of the demonstration."""

    def __init__(self, folder: Path | None = None, demonstration: Path = DEMONSTRATION_SETS) -> None:
        if folder is None:
            folder = data_folder() / "sets"
        self.folder, self.demonstration = folder, demonstration
        self.data_sets = DataSetRegister(folder.parent / "data-sets")

    def add(self, sample_set: SampleSet, title: str = "", *, lossy: bool = False) -> str:
        """Store a set, whole or not at all -> set_id. The same set twice is one entry, which keeps its first title."""
        set_id = hash_sample_set(sample_set)
        if self._folder_of(set_id) is None:
            try:
                write_sample_set(self.folder / set_id, sample_set, title, lossy=lossy)
            except LiminalError:
                if self._folder_of(set_id) is None:  # else somebody added the same set in the meantime
                    raise
        return set_id

    def sets(self) -> list[SetEntry]:
        """All sample sets, the newest first. A damaged folder is left out."""
        entries: dict[str, SetEntry] = {}
        for parent, demonstration in ((self.folder, False), (self.demonstration, True)):
            for folder in _list_set_folders(parent):
                entry = _read_entry(folder, demonstration)
                if entry is not None:
                    entries.setdefault(entry.set_id, entry)
        return sorted(entries.values(), key=lambda entry: (entry.made, entry.set_id), reverse=True)

    def load(self, set_id: str) -> SampleSet:
        """Read a set. Raises LiminalError where there is none of that id or it is damaged."""
        return SampleSet.load(self.folder_of(set_id))

    def has_own_pictures(self, set_id: str) -> bool:
        """Whether the library holds a set of that id of pictures that somebody brought along."""
        folder = self._folder_of(set_id)
        entry = _read_entry(folder, False) if folder is not None else None
        return entry is not None and entry.own_pictures

    def remove_own_pictures(self, set_id: str) -> bool:
        """Delete a set of own pictures for good -> whether there was one. Other sets are never deleted."""
        folder = self.folder / set_id
        if not self.has_own_pictures(set_id) or self._folder_of(set_id) != folder:
            return False
        doomed = folder.with_name(f".{set_id}.removed")
        try:  # renamed first, so that no half of it is ever listed
            folder.rename(doomed)
        except OSError as error:
            raise LiminalError(f"The pictures in {folder} cannot be deleted ({error.strerror or error}).") from error
        shutil.rmtree(doomed, ignore_errors=True)
        if doomed.exists():
            raise LiminalError(f"Not all pictures could be deleted; delete the folder {doomed} yourself.")
        return True

    def picture(self, set_id: str, sample_id: str) -> tuple[bytes, str]:
        """The stored bytes and media type of a picture, also of a large data set. Raises LiminalError where there is none."""
        if self.data_sets.has(set_id) and SET_ID.fullmatch(sample_id):
            return self.data_sets.open(set_id).picture(sample_id), MEDIA_TYPES[".png"]
        folder = self.folder_of(set_id)
        if SET_ID.fullmatch(sample_id):
            for ending, media_type in MEDIA_TYPES.items():
                try:
                    return (folder / "images" / f"{sample_id}{ending}").read_bytes(), media_type
                except OSError:
                    continue
        raise LiminalError(f"The sample set {set_id} holds no picture '{sample_id}'; choose one of its samples.")

    def folder_of(self, set_id: str) -> Path:
        """The folder of a set. Raises LiminalError where there is none of that id."""
        folder = self._folder_of(set_id)
        if folder is None:
            raise LiminalError(
                f"The library holds no sample set '{set_id}'; 'python -m core study make --help' says how to add one."
            )
        return folder

    def _folder_of(self, set_id: str) -> Path | None:
        if not SET_ID.fullmatch(set_id):  # an id comes from a link: it never leads out of the library
            return None
        for folder in (self.folder, self.demonstration, EARLIER_SETS):
            if (folder / set_id / "manifest.json").is_file():
                return folder / set_id
        return None


def hash_sample_set(sample_set: SampleSet) -> str:
    """Hash of configuration, samples and pairs: 20 hexadecimal digits, the same for copies with compressed pictures."""
    record = {
        "kind": sample_set.kind,
        "configuration": sample_set.configuration.to_dict(),
        "samples": sample_set.samples["sample_id"].tolist(),
        "pairs": sample_set.pairs["pair_id"].tolist(),
        "models": sample_set.manifest.get("models"),
    }
    return hashlib.blake2b(json.dumps(record, sort_keys=True).encode(), digest_size=10).hexdigest()


def write_sample_set(folder: Path, sample_set: SampleSet, title: str = "", *, lossy: bool = False) -> None:
    """Write a set's folder with its label, whole or not at all. Raises LiminalError where that fails."""
    label = {
        "title": title.strip() or describe_sample_set(sample_set),
        "made": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    with new_folder(folder) as partial:
        sample_set.write(partial, lossy=lossy)
        (partial / LABEL_FILE).write_text(json.dumps(label, ensure_ascii=False) + "\n", encoding="utf-8")


def describe_sample_set(sample_set: SampleSet) -> str:
    """A title for a set, from its contents."""
    if sample_set.own_pictures:
        pictures = len(sample_set.samples)
        return f"{pictures} own {'picture' if pictures == 1 else 'pictures'}"
    if sample_set.kind == "identity":
        pairs = len(sample_set.pairs)
        return f"{pairs} {'pair' if pairs == 1 else 'pairs'} of faces around {len(sample_set.base_ids())} people"
    configuration = sample_set.emotion
    faces = int((sample_set.samples["sample_type"] != "genuine").sum())
    return f"{configuration.emotion1.capitalize()} or {configuration.emotion2}: {faces} {'face' if faces == 1 else 'faces'}"


def _list_set_folders(parent: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder for folder in parent.iterdir() if SET_ID.fullmatch(folder.name))
    except OSError:
        return


def _read_entry(folder: Path, demonstration: bool) -> SetEntry | None:
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        label = json.loads((folder / LABEL_FILE).read_bytes())
        if manifest["format"] != FORMAT or manifest["kind"] not in ("identity", "emotion"):
            return None
        images = sum(1 for path in (folder / "images").iterdir() if path.suffix in MEDIA_TYPES)
        title, added_at = str(label["title"]), dt.datetime.fromisoformat(label["made"]).isoformat()
        own = manifest["configuration"].get("generator") == NO_GENERATOR
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return SetEntry(folder.name, str(manifest["kind"]), title, added_at, images, demonstration, folder, own)


@dataclass(frozen=True)
class DataSetEntry:
    """A large data set of the library. made: when it was listed, an ISO date."""

    set_id: str
    title: str
    made: str
    images: int
    pairs: int
    folder: Path


class DataSetRegister:
    """The large data sets that ``register`` lists, a folder (None: ``data_folder()/data-sets``)."""

    def __init__(self, register: Path | None = None) -> None:
        if register is None:
            register = data_folder() / "data-sets"
        self.register = register

    def add(self, folder: Path) -> str:
        """List a finished data set -> its id. An earlier one of the same folder is taken off the list.

        Raises LiminalError where the folder holds no data set.
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
        """All listed data sets, the newest first. One whose folder is gone is left out."""
        entries = []
        try:
            names = [path.stem for path in self.register.glob("*.json")]
        except OSError:
            names = []
        for name in names:
            try:
                data, line = self.open(name), json.loads((self.register / f"{name}.json").read_bytes())
                listed_at = dt.datetime.fromisoformat(line["made"]).isoformat()
                entries.append(DataSetEntry(name, data.title, listed_at, data.rows("samples"), data.rows("pairs"), data.folder))
            except (LiminalError, OSError, ValueError, KeyError, TypeError):
                continue
        return sorted(entries, key=lambda entry: (entry.made, entry.set_id), reverse=True)

    def open(self, set_id: str) -> DataSet:
        """Open a data set. Raises LiminalError where none of that id is listed or its folder is gone."""
        if self.has(set_id):
            try:
                folder = Path(json.loads((self.register / f"{set_id}.json").read_bytes())["folder"])
                return _open_cached(folder, (folder / MANIFEST).stat().st_mtime_ns)
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
        """Whether it has the form of an id. Ids come from links: none may lead out of the register's folder."""
        return len(set_id) == 20 and set(set_id) <= set("0123456789abcdef")


@lru_cache(maxsize=16)
def _open_cached(folder: Path, changed: int) -> DataSet:
    """An open data set, cached until its manifest changes."""
    return DataSet.open(folder)
