"""The faces that people and models disagree about most, as a report shows them: few, large enough to judge, base above sample."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from core.analysis.choices import count_choices
from core.analysis.disagreement import (
    Disagreement,
    score_against_classifier,
    score_among_people,
    score_identity_disagreement,
    score_identity_spread,
)
from core.analysis.study_data import StudyData
from core.errors import LiminalError
from core.figures.exhibit import ExhibitView, find_threshold, find_title
from core.figures.theme import format_number, format_percent
from core.sampling.images import encode_webp
from core.studies.library import Library

ITEMS_SHOWN = 8
PICTURE_SIDE = 224  # pixels
WEBP_QUALITY = 82


@dataclass(frozen=True)
class ReportFace:
    """A picture as the browser takes it ("" where it is not known) and what it is."""

    src: str
    alt: str


@dataclass(frozen=True)
class ReportItem:
    """One pair or face with what was said about it."""

    faces: tuple[ReportFace, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class ReportGallery:
    """The end of a ranking. score, interval: what it is ranked by."""

    title: str
    score: str
    interval: str
    items: tuple[ReportItem, ...]
    table: list[dict[Hashable, Any]] = field(repr=False)


class PictureReader:
    """The study's pictures as small WebP data addresses, each read once."""

    def __init__(self, material: StudyData, library: Library) -> None:
        self.material, self.library = material, library
        self._known: dict[str, str] = {}

    def src(self, sample_id: str) -> str:
        """ "" where the library does not hold it."""
        if sample_id not in self._known:
            self._known[sample_id] = self._read(sample_id)
        return self._known[sample_id]

    def _read(self, sample_id: str) -> str:
        set_id = self.material.where.get(sample_id)
        if set_id is None:
            return ""
        try:
            data, _ = self.library.picture(set_id, sample_id)
            with Image.open(io.BytesIO(data), formats=["WEBP", "PNG"]) as picture:
                small = picture.convert("RGB")
                small.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
        except (LiminalError, OSError):
            return ""
        return "data:image/webp;base64," + base64.b64encode(encode_webp(np.asarray(small), WEBP_QUALITY)).decode()


def build_galleries(material: StudyData, view: ExhibitView, pictures: PictureReader) -> list[ReportGallery]:
    """Those of the study's question; empty where nobody has answered."""
    if not len(material.counted):
        return []
    return (
        _build_identity_galleries(material, view, pictures)
        if material.kind == "identity"
        else _build_emotion_galleries(material, pictures)
    )


def _build_identity_galleries(material: StudyData, view: ExhibitView, pictures: PictureReader) -> list[ReportGallery]:
    who = "observers" if material.source == "simulated" else "people"
    made = []
    rows = material.pairs.set_index("pair_id")
    if view.recogniser:
        name = view.recogniser
        limit = find_threshold(material, view, name)
        found = score_identity_disagreement(material.pairs, material.ratings, name, limit, excluded=material.excluded)
        said = [
            lambda row: f"{format_percent(row['share'])} of {int(row['votes'])} {who}: same person",
            lambda row: f"{find_title(name)}: {format_number(row['distance'])}, {'accepted' if row['accepted'] else 'refused'}",
        ]
        made += [
            _build_gallery(found, "lowest", f"{find_title(name)} sees the same person, people do not", rows, pictures, said),
            _build_gallery(found, "highest", f"People see the same person, {find_title(name)} does not", rows, pictures, said),
        ]
    spread = score_identity_spread(material.pairs, material.ratings, excluded=material.excluded)
    said = [lambda row: f"{int(row['yes'])} of {int(row['votes'])} {who}: same person"]
    made.append(_build_gallery(spread, "highest", "People are divided over who it is", rows, pictures, said))
    return [each for each in made if each.items]


def _build_emotion_galleries(material: StudyData, pictures: PictureReader) -> list[ReportGallery]:
    who = "observers" if material.source == "simulated" else "people"
    samples = material.asked
    votes = count_choices(material.ratings, samples["sample_id"], excluded=material.excluded)
    rows = samples.set_index("sample_id")
    made = []
    for name in material.classifiers:
        try:
            found = score_against_classifier(samples, votes, name, material.steerer)
        except LiminalError:
            continue
        said: list[Callable[[Any], str]] = [
            lambda row: f"most {who}: {row['chosen']} ({int(row['votes'])} votes)",
            lambda row, name=name: f"{find_title(name)}: {row['said']}",  # type: ignore[misc]
        ]
        made.append(_build_gallery(found, "highest", f"{find_title(name)} and people see different feelings", rows, pictures, said))
    said = [lambda row: f"most often {row['chosen']} ({int(row['votes'])} votes, {format_number(row['score'])} bits)"]
    made.append(
        _build_gallery(score_among_people(samples, votes), "highest", "People are divided over the feeling", rows, pictures, said)
    )
    return [each for each in made if each.items]


def _build_gallery(
    found: Disagreement, end: Any, title: str, rows: pd.DataFrame, pictures: PictureReader, said: list[Callable[[Any], str]]
) -> ReportGallery:
    enough = Disagreement(**{**found.__dict__, "table": found.table[~found.table["few"]]})
    top = enough.ranked(end, ITEMS_SHOWN)
    top = top[top["score"] < 0] if end == "lowest" else top[top["score"] > 0]
    items = []
    for row in top.to_dict("records"):
        own = rows.loc[row["stimulus"]]
        names = [("base", own["base_id"]), ("sample", own["sample_id"])] if "sample_id" in own else [("face", row["stimulus"])]
        faces = tuple(ReportFace(pictures.src(str(sample)), what) for what, sample in names)
        between = f" ({format_number(row['low'])} to {format_number(row['high'])})" if row["low"] == row["low"] else ""
        kind = str(own["sample_type"]) if "sample_id" in own else f"{own['emotion1']} or {own['emotion2']}"
        items.append(ReportItem(faces, (kind, *(each(row) for each in said), f"score {format_number(row['score'])}{between}")))
    return ReportGallery(title, found.score, found.interval, tuple(items), top.to_dict("records"))
