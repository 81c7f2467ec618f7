"""A whole study as one zip file: answers, what was asked about, the pictures with their latents and scores, and a data card.

    README.md         the data card, for people
    croissant.json    the same for machines (Croissant 1.0)
    study.json        plan, name, marks; format and version
    stimuli.parquet   what was asked about, in order
    raters.parquet    who took part: order of trials and times; no secrets, demographics only on request
    ratings.parquet   every answer, the columns of core.studies.ratings.RATINGS
    sets/<id>/...     the sample sets (core.sampling.sample_set) with pictures, latents and what models say
    hashes.json       SHA-256 of every other file

Equal studies give equal bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from core.errors import LiminalError
from core.studies.exporting.croissant import croissant
from core.studies.exporting.data_card import data_card
from core.studies.exporting.tables import parquet_bytes
from core.studies.library import LABEL, MEDIA_TYPES, Library
from core.studies.ratings import SOURCES
from core.studies.store import Store
from core.studies.study import Plan, Rater, Stimulus, Study

FORMAT = "liminal study"
FORMAT_VERSION = 1

STUDY, STIMULI, RATERS, RATINGS_FILE, HASHES = "study.json", "stimuli.parquet", "raters.parquet", "ratings.parquet", "hashes.json"
CARD, CROISSANT = "README.md", "croissant.json"

SET_FILES = ("manifest.json", "samples.parquet", "pairs.parquet", "latents.npz", LABEL)
"""What a set's folder may hold beside its images."""


@dataclass(frozen=True)
class Bundled:
    """What was written. missing: ids of sample sets that the study names but the library does not hold, so that their pictures are
    not in the bundle."""

    answers: int
    pictures: int
    missing: tuple[str, ...]


def bundle(store: Store, library: Library, name: str, *, demographics: bool = False) -> bytes:
    """A study's bundle in memory, for a download. Raises LiminalError where there is no such study."""
    buffer = io.BytesIO()
    write_bundle(store, library, name, buffer, demographics=demographics)
    return buffer.getvalue()


def write_bundle(store: Store, library: Library, name: str, target: BinaryIO, *, demographics: bool = False) -> Bundled:
    """Write a study's bundle to a stream; only one picture at a time is in memory.

    demographics: also what people said about themselves. The codes by which raters come back and the link's secret never leave.
    """
    study, stimuli, raters, ratings = store.study(name), store.stimuli(name), store.raters(name), store.ratings(name)
    missing = tuple(set_id for set_id in study.sample_sets if not _is_there(library, set_id))
    hashes: dict[str, str] = {}
    pictures = 0
    with zipfile.ZipFile(target, "w") as archive:

        def add(path: str, content: bytes) -> None:
            entry = zipfile.ZipInfo(path)  # its date is fixed: equal studies give equal bytes
            entry.compress_type = zipfile.ZIP_DEFLATED if path.endswith((".json", ".md")) else zipfile.ZIP_STORED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
            if path != HASHES:
                hashes[path] = hashlib.sha256(content).hexdigest()

        add(STUDY, _json(study_record(study)))
        add(STIMULI, _table(stimuli_frame(stimuli)))
        add(RATERS, _table(raters_frame(raters, demographics)))
        add(RATINGS_FILE, parquet_bytes(ratings))
        for set_id in study.sample_sets:
            if set_id not in missing:
                for path, content in _set_files(library.folder_of(set_id)):
                    add(f"sets/{set_id}/{path}", content)
                    pictures += path.startswith("images/")
        add(CARD, data_card(study, stimuli, raters, ratings, missing, demographics).encode())
        add(CROISSANT, _json(croissant(study, ratings, hashes)))
        add(HASHES, _json(dict(sorted(hashes.items()))))
    return Bundled(len(ratings), pictures, missing)


def study_record(study: Study) -> dict[str, Any]:
    """A study as plain JSON values, without its link's secret."""
    values = asdict(study) | {"plan": study.plan.to_dict(), "created_at": study.created_at.isoformat()}
    values["sample_sets"] = list(study.sample_sets)
    values.pop("token")
    return {"format": FORMAT, "format_version": FORMAT_VERSION, "study": values}


def recorded_study(record: Mapping[str, Any], name: str | None = None) -> Study:
    """``study_record`` back -> the study with a new link. name: instead of its own.

    Raises KeyError, TypeError, ValueError or LiminalError for what is no record of a study.
    """
    values = dict(record["study"])
    values["plan"] = Plan.from_dict(values["plan"])
    values["created_at"] = datetime.fromisoformat(values["created_at"])
    values["sample_sets"] = tuple(map(str, values["sample_sets"]))
    if values["source"] not in SOURCES:
        raise ValueError(values["source"])
    for mark in ("published", "closed"):
        if not isinstance(values[mark], bool):
            raise TypeError(mark)
    return Study(**{**values, "name": name or values["name"]})


def stimuli_frame(stimuli: Sequence[Stimulus]) -> pd.DataFrame:
    """A row a stimulus; images and details as JSON."""
    rows = [asdict(each) | {"images": json.dumps(each.images), "details": json.dumps(each.details)} for each in stimuli]
    return pd.DataFrame(rows, columns=list(Stimulus.__dataclass_fields__)).astype(
        {name: "bool" if name == "is_sentinel" else "str" for name in Stimulus.__dataclass_fields__}
    )


def raters_frame(raters: Sequence[Rater], demographics: bool) -> pd.DataFrame:
    """A row a rater, without the code; what people said about themselves as JSON, empty unless asked for."""
    columns = [name for name in Rater.__dataclass_fields__ if name != "code"]
    hidden = {} if demographics else {"demographics": "{}"}
    rows = [{name: _plain(getattr(each, name)) for name in columns} | hidden for each in raters]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns, "str"))


def _plain(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return value.isoformat() if isinstance(value, datetime) else json.dumps(value)


def _set_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(path in the set's folder, content) of all that belongs to a set, in a fixed order."""
    try:
        for name in SET_FILES:
            if (folder / name).is_file():
                yield name, (folder / name).read_bytes()
        for path in sorted((folder / "images").iterdir()):
            if path.suffix in MEDIA_TYPES:
                yield f"images/{path.name}", path.read_bytes()
    except OSError as error:
        raise LiminalError(f"The sample set {folder.name} cannot be read ({error.strerror or error}); copy it again.") from error


def _is_there(library: Library, set_id: str) -> bool:
    try:
        library.folder_of(set_id)
    except LiminalError:
        return False
    return True


def _table(frame: pd.DataFrame) -> bytes:
    return frame.to_parquet(index=False)


def _json(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
