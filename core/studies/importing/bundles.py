"""A bundle (``core.studies.exporting.bundle``) back into the store and the library: everything, unchanged, or nothing."""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from core.errors import LiminalError
from core.sampling.sample_set import SampleSet
from core.studies.exporting import bundle as layout
from core.studies.importing.conversion import convert
from core.studies.importing.parquet_table import parquet
from core.studies.importing.presets import preset
from core.studies.importing.reading import opened, read
from core.studies.importing.unpacking import WRONG, Archive
from core.studies.library import LABEL, Library, content_id
from core.studies.ratings import SOURCES, table
from core.studies.store import Store
from core.studies.study import Rater, Stimulus, Study, new_code

KNOWN = re.compile(
    r"README\.md|croissant\.json|study\.json|hashes\.json|(stimuli|raters|ratings)\.parquet|sets/[0-9a-f]{20}/"
    r"(manifest\.json|library\.json|samples\.parquet|pairs\.parquet|latents\.npz|images/[0-9a-f]{20}\.(png|webp))"
)
"""Every path that a bundle may hold."""

MAX_LATENTS = 4 * 2**30


def is_bundle(source: bytes | Path) -> bool:
    """Whether a file begins like a zip file."""
    with opened(source, "the file") as stream:
        return stream.read(4) == b"PK\x03\x04"


def import_bundle(store: Store, library: Library, source: bytes | Path, name: str | None = None) -> Study:
    """Read an exported study back -> the study as it is stored now, with a new link. name: another one than it was exported under.

    Every file is held to its hash, every answer to the schema and every picture to its id before anything is kept; answers,
    stimuli and raters (with new codes) are kept in one transaction. Raises LiminalError with one sentence where something is odd.
    """
    label = source.name if isinstance(source, Path) else "The file"
    with opened(source, label) as stream, tempfile.TemporaryDirectory(prefix="liminal-") as folder:
        archive = Archive(stream, label, KNOWN)
        study = _study(archive, name)
        if any(other.name == study.name for other in store.studies()):
            raise LiminalError(f"There is a study '{study.name}' already; give this one another name.")
        stimuli = _stimuli(archive)
        raters = _raters(archive, study.name)
        ratings = _ratings(archive, study)
        for path in (layout.CARD, layout.CROISSANT):
            archive.read(path)
        sets = _sets(archive, Path(folder))
        before = {entry.set_id for entry in library.sets()}
        try:
            for sample_set, title in sets.values():
                library.add(sample_set, title)
            return store.restore(study, stimuli, ratings, raters)
        except BaseException:
            for set_id in set(sets) - before:
                shutil.rmtree(library.folder / set_id, ignore_errors=True)
            raise


def _study(archive: Archive, name: str | None) -> Study:
    record = _json(archive, layout.STUDY)
    if record.get("format") != layout.FORMAT:
        raise LiminalError(f"{archive.name} is no export of a study; {WRONG}.")
    if record.get("format_version") != layout.FORMAT_VERSION:
        raise LiminalError(f"{archive.name} was exported by a later version of Liminal; update this one and try again.")
    with _damage(archive, layout.STUDY):
        return layout.recorded_study(record, name)


def _ratings(archive: Archive, study: Study) -> pd.DataFrame:
    content, label = archive.read(layout.RATINGS_FILE), f"{layout.RATINGS_FILE} of {archive.name}"
    if not parquet(io.BytesIO(content), label).num_rows:
        return table([])
    imported = read(content, label)
    converted = convert(imported, preset("liminal").apply(list(imported.frame.columns)), study.name, kind=study.plan.kind)
    converted.check()
    return converted.ratings


def _stimuli(archive: Archive) -> list[Stimulus]:
    made = []
    with _damage(archive, layout.STIMULI):
        for row in _rows(archive, layout.STIMULI):
            images, details = json.loads(row["images"]), json.loads(row["details"])
            if not isinstance(details, dict) or not all(isinstance(image, str) for image in images):
                raise TypeError(row["stimulus"])
            made.append(Stimulus(**{**row, "images": tuple(images), "details": details, "is_sentinel": bool(row["is_sentinel"])}))
    return made


def _raters(archive: Archive, study: str) -> list[Rater]:
    made = []
    with _damage(archive, layout.RATERS):
        for row in _rows(archive, layout.RATERS):
            times = {name: datetime.fromisoformat(row[name]) if row[name] else None for name in ("consented_at", "finished_at")}
            trials, demographics = json.loads(row["trials"]), json.loads(row["demographics"])
            if row["source"] not in SOURCES or not isinstance(demographics, dict):
                raise TypeError(row["rater"])
            values = {**row, **times, "created_at": datetime.fromisoformat(row["created_at"]), "demographics": demographics}
            made.append(Rater(**{**values, "study": study, "code": new_code(), "trials": tuple(map(str, trials))}))
    return made


def _sets(archive: Archive, folder: Path) -> dict[str, tuple[SampleSet, str]]:
    """The bundle's sample sets, unpacked and checked: set_id -> (set, title)."""
    for path in archive.paths():
        if path.startswith("sets/"):
            archive.unpack(path, folder / path)
    made: dict[str, tuple[SampleSet, str]] = {}
    for place in sorted((folder / "sets").glob("*")):
        with _damage(archive, f"sets/{place.name}"):
            with zipfile.ZipFile(place / "latents.npz") as latents:
                if sum(entry.file_size for entry in latents.infolist()) > MAX_LATENTS:
                    raise LiminalError(f"The latents of {archive.name} unpack to more than {MAX_LATENTS // 2**30} GB; {WRONG}.")
            for name in ("samples.parquet", "pairs.parquet"):
                if (place / name).is_file():
                    with (place / name).open("rb") as stream:
                        parquet(stream, name)
            title = str(json.loads((place / LABEL).read_bytes())["title"])
        made[place.name] = (SampleSet.load(place), title)
        if content_id(made[place.name][0]) != place.name:
            raise LiminalError(f"The sample set {place.name} in {archive.name} is not the one that its name says; {WRONG}.")
    return made


def _rows(archive: Archive, path: str) -> list[dict[str, Any]]:
    return list(parquet(io.BytesIO(archive.read(path)), f"{path} of {archive.name}").to_pylist())


def _json(archive: Archive, path: str) -> dict[str, Any]:
    with _damage(archive, path):
        return dict(json.loads(archive.read(path)))


@contextmanager
def _damage(archive: Archive, path: str) -> Iterator[None]:
    """Whatever is wrong inside a file, in one sentence."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError, zipfile.BadZipFile) as error:
        raise LiminalError(f"{path} in {archive.name} does not hold what it should; export the study again; {WRONG}.") from error
