"""Galleries of the report: the faces that people and models disagree about most, base above sample."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from core.analysis.chains import name_calibrated_columns
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
from core.figures.exhibit import ExhibitView, find_threshold, name_raters
from core.figures.theme import format_number, format_percent
from core.models import registry
from core.models.emotions import EMOTIONS
from core.sampling.configuration import NO_GENERATOR
from core.sampling.images import encode_webp
from core.sampling.sample_set import MEAN_OF_CHAINS
from core.studies.library import Library

ITEMS_SHOWN = 8
PICTURE_SIDE = 224  # pixels
WEBP_QUALITY = 82


@dataclass(frozen=True)
class ReportFace:
    """A picture as a data address ("" where it is not known) with its alternative text."""

    src: str
    alt: str


@dataclass(frozen=True)
class ReportItem:
    """One pair or face with the lines of text below it."""

    faces: tuple[ReportFace, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class ReportGallery:
    """One end of a ranking. score, interval: definition of what is ranked by."""

    title: str
    score: str
    interval: str
    items: tuple[ReportItem, ...]
    table: list[dict[Hashable, Any]] = field(repr=False)


class PictureReader:
    """Reads the study's pictures as small WebP data addresses, each once.

    own_pictures: whether those that somebody brought along are read too, which may show real people.
    """

    def __init__(self, study_data: StudyData, library: Library, *, own_pictures: bool = False) -> None:
        self.study_data, self.library = study_data, library
        brought = {set_id for set_id, generator in study_data.generators.items() if generator == NO_GENERATOR}
        self._left_out = set() if own_pictures else brought
        self._known: dict[str, str] = {}

    def src(self, sample_id: str) -> str:
        """The data address of a picture; "" where the library does not hold it."""
        if sample_id not in self._known:
            self._known[sample_id] = self._read(sample_id)
        return self._known[sample_id]

    def _read(self, sample_id: str) -> str:
        set_id = self.study_data.where.get(sample_id)
        if set_id is None or set_id in self._left_out:
            return ""
        try:
            data, _ = self.library.picture(set_id, sample_id)
            with Image.open(io.BytesIO(data), formats=["WEBP", "PNG"]) as picture:
                small = picture.convert("RGB")
                small.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
        except (LiminalError, OSError):
            return ""
        return "data:image/webp;base64," + base64.b64encode(encode_webp(np.asarray(small), WEBP_QUALITY)).decode()


def list_mean_faces(study_data: StudyData, pictures: PictureReader) -> list[ReportItem]:
    """The mean faces that people's chains came to, each below the person that they began with; none of other studies."""
    samples = study_data.samples
    if not study_data.made or "chain" not in samples:
        return []
    items = []
    for row in samples[samples["chain"] == MEAN_OF_CHAINS].to_dict("records"):
        words = []
        for name in study_data.classifiers:
            columns = name_calibrated_columns(name, study_data.steerer)
            shares = {emotion: float(row[column]) for emotion, column in zip(EMOTIONS, columns, strict=True)}
            first = max(shares, key=shares.__getitem__)
            words.append(f"{registry.title(name)}: {first}, {format_percent(shares[first], 0)}")
        faces = (("base_id", "the person at rest"), ("sample_id", "the mean face of the chains"))
        shown = tuple(ReportFace(pictures.src(str(row[column])), f"{text} (generated)") for column, text in faces)
        items.append(ReportItem(shown, tuple(words)))
    return items


def build_galleries(study_data: StudyData, view: ExhibitView, pictures: PictureReader) -> list[ReportGallery]:
    """Build the galleries for the study's task; none where nobody has answered."""
    if not len(study_data.counted) and study_data.imported_means is None:
        return []
    return (
        _build_identity_galleries(study_data, view, pictures)
        if study_data.kind == "identity"
        else _build_emotion_galleries(study_data, pictures)
    )


def _build_identity_galleries(study_data: StudyData, view: ExhibitView, pictures: PictureReader) -> list[ReportGallery]:
    who = name_raters(study_data)
    galleries = []
    rows = study_data.pairs.set_index("pair_id")
    if view.recogniser:
        name = view.recogniser
        limit = find_threshold(study_data, view, name)
        disagreement = score_identity_disagreement(
            study_data.pairs, study_data.ratings, name, limit, excluded=study_data.excluded, means=study_data.imported_means
        )
        describe = [
            lambda row: f"{format_percent(row['share'], 0)} of {int(row['votes'])} {who}: same person",
            lambda row: f"{registry.title(name)}: {format_number(row['distance'])}, {'accepted' if row['accepted'] else 'refused'}",
        ]
        galleries += [
            _build_gallery(
                disagreement, "lowest", f"{registry.title(name)} sees the same person, {who} do not", rows, pictures, describe
            ),
            _build_gallery(
                disagreement,
                "highest",
                f"{who.capitalize()} see the same person, {registry.title(name)} does not",
                rows,
                pictures,
                describe,
            ),
        ]
    spread = score_identity_spread(
        study_data.pairs, study_data.ratings, excluded=study_data.excluded, means=study_data.imported_means
    )
    describe = [lambda row: f"{int(row['yes'])} of {int(row['votes'])} {who}: same person"]
    galleries.append(_build_gallery(spread, "highest", f"{who.capitalize()} are divided over who it is", rows, pictures, describe))
    return [gallery for gallery in galleries if gallery.items]


def _build_emotion_galleries(study_data: StudyData, pictures: PictureReader) -> list[ReportGallery]:
    who = name_raters(study_data)
    samples = study_data.asked
    votes = count_choices(study_data.ratings, samples["sample_id"], excluded=study_data.excluded)
    rows = samples.set_index("sample_id")
    galleries = []
    for name in study_data.classifiers:
        try:
            disagreement = score_against_classifier(samples, votes, name, study_data.steerer)
        except LiminalError:
            continue
        describe: list[Callable[[Any], str]] = [
            lambda row: f"most {who}: {row['chosen']} ({int(row['votes'])} votes)",
            lambda row, name=name: f"{registry.title(name)}: {row['said']}",  # type: ignore[misc]
        ]
        galleries.append(
            _build_gallery(
                disagreement, "highest", f"{registry.title(name)} and {who} see different feelings", rows, pictures, describe
            )
        )
    describe = [lambda row: f"most {who}: {row['chosen']} ({int(row['votes'])} votes, {format_number(row['score'])} bits)"]
    galleries.append(
        _build_gallery(
            score_among_people(samples, votes),
            "highest",
            f"{who.capitalize()} are divided over the feeling",
            rows,
            pictures,
            describe,
        )
    )
    return [gallery for gallery in galleries if gallery.items]


def _build_gallery(
    disagreement: Disagreement,
    end: Any,
    title: str,
    rows: pd.DataFrame,
    pictures: PictureReader,
    describe: list[Callable[[Any], str]],
) -> ReportGallery:
    enough = Disagreement(**{**disagreement.__dict__, "table": disagreement.table[~disagreement.table["few"]]})
    top = enough.ranked(end, ITEMS_SHOWN)
    top = top[top["score"] < 0] if end == "lowest" else top[top["score"] > 0]
    items = []
    for row in top.to_dict("records"):
        record = rows.loc[row["stimulus"]]
        names = (
            [("base", record["base_id"]), ("sample", record["sample_id"])] if "sample_id" in record else [("face", row["stimulus"])]
        )
        faces = tuple(ReportFace(pictures.src(str(sample)), what) for what, sample in names)
        between = f" ({format_number(row['low'])} to {format_number(row['high'])})" if row["low"] == row["low"] else ""
        between = f"{record['emotion1']} or {record['emotion2']}" if pd.notna(record.get("emotion1")) else ""
        kind = str(record["sample_type"]) if "sample_id" in record or not between else between
        items.append(
            ReportItem(faces, (kind, *(sentence(row) for sentence in describe), f"score {format_number(row['score'])}{between}"))
        )
    return ReportGallery(title, disagreement.score, disagreement.interval, tuple(items), top.to_dict("records"))
