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

from core.analysis.choices import choices
from core.analysis.disagreement import Disagreement, identity_disagreement, identity_spread
from core.analysis.disagreement_emotion import against_classifier, among_people
from core.analysis.material import Material
from core.errors import LiminalError
from core.figures.exhibits.exhibit import View, threshold_of, title_of
from core.figures.theme import number, percent
from core.sampling.webp import encode_webp
from core.studies.library import Library

SHOWN = 8
SIDE = 224  # pixels
QUALITY = 82


@dataclass(frozen=True)
class Face:
    """A picture as the browser takes it ("" where it is not known) and what it is."""

    src: str
    alt: str


@dataclass(frozen=True)
class Item:
    """One pair or face with what was said about it."""

    faces: tuple[Face, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Gallery:
    """The end of a ranking. score, interval: what it is ranked by."""

    title: str
    score: str
    interval: str
    items: tuple[Item, ...]
    table: list[dict[Hashable, Any]] = field(repr=False)


class Pictures:
    """The study's pictures as small WebP data addresses, each read once."""

    def __init__(self, material: Material, library: Library) -> None:
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
                small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        except (LiminalError, OSError):
            return ""
        return "data:image/webp;base64," + base64.b64encode(encode_webp(np.asarray(small), QUALITY)).decode()


def galleries(material: Material, view: View, pictures: Pictures) -> list[Gallery]:
    """Those of the study's question; empty where nobody has answered."""
    if not len(material.counted):
        return []
    return _identity(material, view, pictures) if material.kind == "identity" else _emotion(material, pictures)


def _identity(material: Material, view: View, pictures: Pictures) -> list[Gallery]:
    who = "observers" if material.source == "simulated" else "people"
    made = []
    rows = material.pairs.set_index("pair_id")
    if view.recogniser:
        name = view.recogniser
        limit = threshold_of(material, view, name)
        found = identity_disagreement(material.pairs, material.ratings, name, limit, excluded=material.excluded)
        said = [
            lambda row: f"{percent(row['share'])} of {int(row['votes'])} {who}: same person",
            lambda row: f"{title_of(name)}: {number(row['distance'])}, {'accepted' if row['accepted'] else 'refused'}",
        ]
        made += [
            _gallery(found, "lowest", f"{title_of(name)} sees the same person, people do not", rows, pictures, said),
            _gallery(found, "highest", f"People see the same person, {title_of(name)} does not", rows, pictures, said),
        ]
    spread = identity_spread(material.pairs, material.ratings, excluded=material.excluded)
    said = [lambda row: f"{int(row['yes'])} of {int(row['votes'])} {who}: same person"]
    made.append(_gallery(spread, "highest", "People are divided over who it is", rows, pictures, said))
    return [each for each in made if each.items]


def _emotion(material: Material, pictures: Pictures) -> list[Gallery]:
    who = "observers" if material.source == "simulated" else "people"
    samples = material.asked
    votes = choices(material.ratings, samples["sample_id"], excluded=material.excluded)
    rows = samples.set_index("sample_id")
    made = []
    for name in material.classifiers:
        try:
            found = against_classifier(samples, votes, name, material.steerer)
        except LiminalError:
            continue
        said: list[Callable[[Any], str]] = [
            lambda row: f"most {who}: {row['chosen']} ({int(row['votes'])} votes)",
            lambda row, name=name: f"{title_of(name)}: {row['said']}",  # type: ignore[misc]
        ]
        made.append(_gallery(found, "highest", f"{title_of(name)} and people see different feelings", rows, pictures, said))
    said = [lambda row: f"most often {row['chosen']} ({int(row['votes'])} votes, {number(row['score'])} bits)"]
    made.append(_gallery(among_people(samples, votes), "highest", "People are divided over the feeling", rows, pictures, said))
    return [each for each in made if each.items]


def _gallery(
    found: Disagreement, end: Any, title: str, rows: pd.DataFrame, pictures: Pictures, said: list[Callable[[Any], str]]
) -> Gallery:
    enough = Disagreement(**{**found.__dict__, "table": found.table[~found.table["few"]]})
    top = enough.ranked(end, SHOWN)
    top = top[top["score"] < 0] if end == "lowest" else top[top["score"] > 0]
    items = []
    for row in top.to_dict("records"):
        own = rows.loc[row["stimulus"]]
        names = [("base", own["base_id"]), ("sample", own["sample_id"])] if "sample_id" in own else [("face", row["stimulus"])]
        faces = tuple(Face(pictures.src(str(sample)), what) for what, sample in names)
        between = f" ({number(row['low'])} to {number(row['high'])})" if row["low"] == row["low"] else ""
        kind = str(own["sample_type"]) if "sample_id" in own else f"{own['emotion1']} or {own['emotion2']}"
        items.append(Item(faces, (kind, *(each(row) for each in said), f"score {number(row['score'])}{between}")))
    return Gallery(title, found.score, found.interval, tuple(items), top.to_dict("records"))
