"""Import a bundle (``core.studies.exporting.bundle``) into the store and the library: everything, unchanged, or nothing.

The zip file is not trusted: only known paths, no links, no file that unpacks to far more than it weighs, and every byte compared
with its SHA-256 (``BundleArchive``).
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from core.errors import LiminalError
from core.sampling.sample_set import SampleSet
from core.studies.exporting import bundle as layout
from core.studies.exporting.psych_ds import DATA_FILE_PATTERN, DESCRIPTION_FILE
from core.studies.importing.archives import NOTHING_IMPORTED, CheckedArchive
from core.studies.importing.conversion import convert_table
from core.studies.importing.guessing import find_preset
from core.studies.importing.reading import open_parquet, open_source, read_file
from core.studies.library import LABEL_FILE, Library, hash_sample_set
from core.studies.ratings import SOURCES, make_ratings_table
from core.studies.recruitment import Participant, StudySettings, read_link
from core.studies.store import Store
from core.studies.study import Rater, Stimulus, Study, new_code

HASH_LIST = "hashes.json"


class BundleArchive(CheckedArchive):
    """A checked zip file in which every file is held to its SHA-256. known: the form of the paths that may be in it."""

    def __init__(self, stream: BinaryIO, name: str, known: re.Pattern[str]) -> None:
        super().__init__(stream, name, lambda path: known.fullmatch(path) is not None, "an export of a study")
        self.hashes = self._hashes()

    def _hashes(self) -> dict[str, str]:
        if HASH_LIST not in self._entries:
            raise LiminalError(f"{self.name} is no export of a study: it lacks {HASH_LIST}. Save workbooks as CSV and import that.")
        try:
            hashes = json.loads(b"".join(self.blocks(HASH_LIST)))
            listed = {str(path): str(value) for path, value in hashes.items()}
        except (ValueError, AttributeError, RecursionError) as error:
            raise LiminalError(f"The list of hashes in {self.name} is damaged; copy or export it again.") from error
        unmatched = sorted(set(listed) ^ (set(self._entries) - {HASH_LIST}))
        if unmatched:
            raise LiminalError(
                f"{self.name} is not complete: {unmatched[0]!r} is not both in it and in its list of hashes; {NOTHING_IMPORTED}."
            )
        return listed

    def paths(self) -> list[str]:
        """Every file but the list of hashes."""
        return list(self.hashes)

    def read(self, path: str) -> bytes:
        """A file's content. Raises LiminalError where its hash differs."""
        if path not in self.hashes:
            raise LiminalError(f"{self.name} is no export of a study: it lacks {path}.")
        digest, blocks = hashlib.sha256(), []
        for block in self.blocks(path):
            digest.update(block)
            blocks.append(block)
        self._compare(path, digest.hexdigest())
        return b"".join(blocks)

    def unpack(self, path: str, target: Path) -> None:
        """Write a file's content to ``target``. Raises LiminalError where its hash differs."""
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with target.open("xb") as file:
            for block in self.blocks(path):
                digest.update(block)
                file.write(block)
        self._compare(path, digest.hexdigest())

    def _compare(self, path: str, digest: str) -> None:
        if digest != self.hashes[path]:
            raise LiminalError(f"{path!r} in {self.name} is not what was exported: its hash differs; {NOTHING_IMPORTED}.")


KNOWN_PATHS = re.compile(
    rf"{DESCRIPTION_FILE}|{DATA_FILE_PATTERN}|"
    r"README\.md|croissant\.json|study\.json|hashes\.json|(stimuli|raters|ratings|participants)\.parquet|sets/[0-9a-f]{20}/"
    r"(manifest\.json|library\.json|samples\.parquet|pairs\.parquet|latents\.npz|images/[0-9a-f]{20}\.(png|webp))"
)
"""Every path that a bundle may hold."""

MAX_LATENTS = 4 * 2**30
RATER_TIMES = ("consented_at", "finished_at", "released_at", "screened_out_at", "understood_at")


def is_bundle(source: bytes | Path) -> bool:
    """Whether a file begins like a zip file."""
    with open_source(source, "the file") as stream:
        return stream.read(4) == b"PK\x03\x04"


def import_bundle(store: Store, library: Library, source: bytes | Path, name: str | None = None) -> Study:
    """Import an exported study -> the stored study, with a new link. name: instead of the exported one.

    Every file is compared with its hash, every answer checked and every picture compared with its id before anything is stored;
    answers, stimuli and raters (with new codes) are stored in one transaction. Raises LiminalError with one sentence.
    """
    label = source.name if isinstance(source, Path) else "The file"
    with open_source(source, label) as stream, tempfile.TemporaryDirectory(prefix="liminal-") as folder:
        archive = BundleArchive(stream, label, KNOWN_PATHS)
        study = _read_study(archive, name)
        if any(other.name == study.name for other in store.studies()):
            raise LiminalError(f"There is a study '{study.name}' already; give this one another name.")
        stimuli = _read_stimuli(archive)
        raters = _read_raters(archive, study.name)
        ratings = _read_ratings(archive, study)
        if study.origin == "imported" and ratings.empty:
            study = replace(study, origin="published")
        participants = _read_participants(archive)
        for path in (layout.CARD_FILE, layout.CROISSANT_FILE):
            archive.read(path)
        sets = _read_sets(archive, Path(folder))
        before = {entry.set_id for entry in library.sets()}
        try:
            for sample_set, title in sets.values():
                library.add(sample_set, title)
            return store.restore(study, stimuli, ratings, raters, participants)
        except BaseException:
            for set_id in set(sets) - before:
                shutil.rmtree(library.folder / set_id, ignore_errors=True)
            raise


def _read_study(archive: BundleArchive, name: str | None) -> Study:
    record = _read_json(archive, layout.STUDY_FILE)
    if record.get("format") != layout.BUNDLE_FORMAT:
        raise LiminalError(f"{archive.name} is no export of a study; {NOTHING_IMPORTED}.")
    if record.get("format_version") != layout.BUNDLE_VERSION:
        raise LiminalError(f"{archive.name} was exported by a later version of Liminal; update this one and try again.")
    with _explain_damage(archive, layout.STUDY_FILE):
        return layout.study_from_record(record, name)


def _read_ratings(archive: BundleArchive, study: Study) -> pd.DataFrame:
    content, label = archive.read(layout.RATINGS_FILE), f"{layout.RATINGS_FILE} of {archive.name}"
    if not open_parquet(io.BytesIO(content), label).num_rows:
        return make_ratings_table([])
    imported = read_file(content, label)
    converted = convert_table(
        imported, find_preset("liminal").apply(list(imported.frame.columns)), study.name, kind=study.plan.kind
    )
    converted.check()
    return converted.ratings


def _read_stimuli(archive: BundleArchive) -> list[Stimulus]:
    stimuli = []
    with _explain_damage(archive, layout.STIMULI_FILE):
        for row in _read_rows(archive, layout.STIMULI_FILE):
            images, details = json.loads(row["images"]), json.loads(row["details"])
            if not isinstance(details, dict) or not all(isinstance(image, str) for image in images):
                raise TypeError(row["stimulus"])
            stimuli.append(
                Stimulus(**{**row, "images": tuple(images), "details": details, "is_sentinel": bool(row["is_sentinel"])})
            )
    return stimuli


def _read_raters(archive: BundleArchive, study: str) -> list[Rater]:
    raters = []
    with _explain_damage(archive, layout.RATERS_FILE):
        for row in _read_rows(archive, layout.RATERS_FILE):
            times = {name: datetime.fromisoformat(row[name]) if row.get(name) else None for name in RATER_TIMES}
            trials, demographics = json.loads(row["trials"]), json.loads(row["demographics"])
            if row["source"] not in SOURCES or not isinstance(demographics, dict):
                raise TypeError(row["rater"])
            values = {**row, **times, "created_at": datetime.fromisoformat(row["created_at"]), "demographics": demographics}
            values |= {"tries": int(row.get("tries") or 0), "trials": tuple(map(str, trials))}
            raters.append(Rater(**{**values, "study": study, "code": new_code()}))
    return raters


def _read_participants(archive: BundleArchive) -> dict[str, Participant]:
    """What panels call the raters, where the bundle says it."""
    if layout.PARTICIPANTS_FILE not in archive.paths():
        return {}
    with _explain_damage(archive, layout.PARTICIPANTS_FILE):
        found = {}
        for row in _read_rows(archive, layout.PARTICIPANTS_FILE):
            link = {str(name): [str(value)] for name, value in json.loads(row["parameters"]).items()}
            found[str(row["rater"])] = Participant(str(row["participant"]), read_link(link, StudySettings()).parameters)
        return found


def _read_sets(archive: BundleArchive, folder: Path) -> dict[str, tuple[SampleSet, str]]:
    """Unpack and check the bundle's sample sets -> set_id: (set, title)."""
    for path in archive.paths():
        if path.startswith("sets/"):
            archive.unpack(path, folder / path)
    sets: dict[str, tuple[SampleSet, str]] = {}
    for set_folder in sorted((folder / "sets").glob("*")):
        with _explain_damage(archive, f"sets/{set_folder.name}"):
            with zipfile.ZipFile(set_folder / "latents.npz") as latents:
                if sum(entry.file_size for entry in latents.infolist()) > MAX_LATENTS:
                    raise LiminalError(
                        f"The latents of {archive.name} unpack to more than {MAX_LATENTS // 2**30} GB; {NOTHING_IMPORTED}."
                    )
            for name in ("samples.parquet", "pairs.parquet"):
                if (set_folder / name).is_file():
                    with (set_folder / name).open("rb") as stream:
                        open_parquet(stream, name)
            title = str(json.loads((set_folder / LABEL_FILE).read_bytes())["title"])
        sets[set_folder.name] = (SampleSet.load(set_folder), title)
        if hash_sample_set(sets[set_folder.name][0]) != set_folder.name:
            raise LiminalError(
                f"The sample set {set_folder.name} in {archive.name} is not the one that its name says; {NOTHING_IMPORTED}."
            )
    return sets


def _read_rows(archive: BundleArchive, path: str) -> list[dict[str, Any]]:
    return list(open_parquet(io.BytesIO(archive.read(path)), f"{path} of {archive.name}").to_pylist())


def _read_json(archive: BundleArchive, path: str) -> dict[str, Any]:
    with _explain_damage(archive, path):
        return dict(json.loads(archive.read(path)))


@contextmanager
def _explain_damage(archive: BundleArchive, path: str) -> Iterator[None]:
    """Within it, any error of a damaged file becomes one sentence."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError, zipfile.BadZipFile) as error:
        raise LiminalError(
            f"{path} in {archive.name} does not hold what it should; export the study again; {NOTHING_IMPORTED}."
        ) from error
