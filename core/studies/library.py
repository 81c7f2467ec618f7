"""The library of sample sets: those that studies ask about, each in a folder named by its content.

``data_folder()/sets/<set_id>`` is a sample set's folder (``core.sampling.sample_set``) with ``library.json`` beside the manifest:
title and date. The sets of ``assets/demonstration`` are listed too; they are read where they lie.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import LiminalError
from core.sampling.descriptors import ASSETS
from core.sampling.folders import new_folder
from core.sampling.sample_set import FORMAT, SampleSet
from core.studies.data_sets import DataSets

DEMONSTRATION = ASSETS / "demonstration" / "sets"
LABEL = "library.json"
ID = re.compile(r"[0-9a-f]{20}")
MEDIA_TYPES = {".png": "image/png", ".webp": "image/webp"}


@dataclass(frozen=True)
class SetEntry:
    """A line of the library. made: when it was added, an ISO date."""

    set_id: str
    kind: str  # identity | emotion
    title: str
    made: str
    images: int
    demonstration: bool
    folder: Path


class Library:
    """folder: None for the user's own, ``data_folder()/sets``."""

    def __init__(self, folder: Path | None = None, demonstration: Path = DEMONSTRATION) -> None:
        if folder is None:
            from core.data_folder import data_folder

            folder = data_folder() / "sets"
        self.folder, self.demonstration = folder, demonstration
        self.data_sets = DataSets(folder.parent / "data-sets")

    def add(self, sample_set: SampleSet, title: str = "", *, lossy: bool = False) -> str:
        """-> set_id. Whole or not at all; the same set twice is one entry, which keeps its first title."""
        set_id = content_id(sample_set)
        if self._folder_of(set_id) is None:
            try:
                write_set(self.folder / set_id, sample_set, title, lossy=lossy)
            except LiminalError:
                if self._folder_of(set_id) is None:  # else somebody added the same set in the meantime
                    raise
        return set_id

    def sets(self) -> list[SetEntry]:
        """Newest first. A broken folder is left out."""
        found: dict[str, SetEntry] = {}
        for place, demonstration in ((self.folder, False), (self.demonstration, True)):
            for folder in _folders(place):
                entry = _entry(folder, demonstration)
                if entry is not None:
                    found.setdefault(entry.set_id, entry)
        return sorted(found.values(), key=lambda entry: (entry.made, entry.set_id), reverse=True)

    def load(self, set_id: str) -> SampleSet:
        """Raises LiminalError where there is no such set or it is damaged."""
        return SampleSet.load(self.folder_of(set_id))

    def picture(self, set_id: str, sample_id: str) -> tuple[bytes, str]:
        """A picture's file as it is stored, and its media type; of large data sets too. Raises LiminalError where there is none."""
        if self.data_sets.has(set_id) and ID.fullmatch(sample_id):
            return self.data_sets.open(set_id).picture(sample_id), MEDIA_TYPES[".png"]
        folder = self.folder_of(set_id)
        if ID.fullmatch(sample_id):
            for ending, media_type in MEDIA_TYPES.items():
                try:
                    return (folder / "images" / f"{sample_id}{ending}").read_bytes(), media_type
                except OSError:
                    continue
        raise LiminalError(f"The sample set {set_id} holds no picture '{sample_id}'; choose one of its samples.")

    def folder_of(self, set_id: str) -> Path:
        """Where a set lies. Raises LiminalError where there is none of that id."""
        found = self._folder_of(set_id)
        if found is None:
            raise LiminalError(
                f"The library holds no sample set '{set_id}'; 'python -m core study make --help' says how to add one."
            )
        return found

    def _folder_of(self, set_id: str) -> Path | None:
        if not ID.fullmatch(set_id):  # an id comes from a link: it never leads out of the library
            return None
        for place in (self.folder, self.demonstration):
            if (place / set_id / "manifest.json").is_file():
                return place / set_id
        return None


def content_id(sample_set: SampleSet) -> str:
    """Hash of what a set is: configuration, samples and comparisons. 20 hexadecimal digits, the same for compressed copies."""
    record = {
        "kind": sample_set.kind,
        "configuration": sample_set.configuration.to_dict(),
        "samples": sample_set.samples["sample_id"].tolist(),
        "pairs": sample_set.pairs["pair_id"].tolist(),
        "models": sample_set.manifest.get("models"),
    }
    return hashlib.blake2b(json.dumps(record, sort_keys=True).encode(), digest_size=10).hexdigest()


def write_set(folder: Path, sample_set: SampleSet, title: str = "", *, lossy: bool = False) -> None:
    """A set's folder with its label, whole or not at all. Raises LiminalError where it cannot be written."""
    label = {"title": title.strip() or described(sample_set), "made": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")}
    with new_folder(folder) as place:
        sample_set.write(place, lossy=lossy)
        (place / LABEL).write_text(json.dumps(label, ensure_ascii=False) + "\n", encoding="utf-8")


def described(sample_set: SampleSet) -> str:
    """A title for a set that was given none."""
    if sample_set.kind == "identity":
        pairs = len(sample_set.pairs)
        return f"{pairs} {'pair' if pairs == 1 else 'pairs'} of faces around {len(sample_set.base_ids())} people"
    configuration = sample_set.emotion
    wanted = int((sample_set.samples["sample_type"] != "genuine").sum())
    return f"{configuration.emotion1.capitalize()} or {configuration.emotion2}: {wanted} {'face' if wanted == 1 else 'faces'}"


def _folders(place: Path) -> Iterator[Path]:
    try:
        yield from sorted(folder for folder in place.iterdir() if ID.fullmatch(folder.name))
    except OSError:
        return


def _entry(folder: Path, demonstration: bool) -> SetEntry | None:
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        label = json.loads((folder / LABEL).read_bytes())
        if manifest["format"] != FORMAT or manifest["kind"] not in ("identity", "emotion"):
            return None
        images = sum(1 for path in (folder / "images").iterdir() if path.suffix in MEDIA_TYPES)
        title, made = str(label["title"]), dt.datetime.fromisoformat(label["made"]).isoformat()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return SetEntry(folder.name, str(manifest["kind"]), title, made, images, demonstration, folder)
