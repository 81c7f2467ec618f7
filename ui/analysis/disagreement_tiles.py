"""The tiles of a ranking: what was said of each pair or face, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from core.analysis.disagreement import FEW_VOTES
from core.figures.theme import SOURCES, WORDS
from ui.analysis.disagreement_filters import TYPES
from ui.analysis.disagreement_views import RANGES, title_of
from ui.components.ranking import Ranked
from ui.studies.words import many
from ui.words import sample_title

if TYPE_CHECKING:
    from core.analysis.disagreement import Disagreement
    from ui.analysis.disagreement_views import Scored, View
    from ui.analysis.material import Chosen

Row = Mapping[str, Any]


def tiles(chosen: Chosen, found: Disagreement, view: View, what: Scored, rows: pd.DataFrame, first: int) -> list[Ranked]:
    """One tile a row; ``first``: the place of the first row in the ranking, from 0."""
    return [tile(chosen, found, view, what, row, first + place) for place, row in enumerate(rows.to_dict("records"), start=1)]


def tile(chosen: Chosen, found: Disagreement, view: View, what: Scored, row: Row, place: int) -> Ranked:
    """Pictures, score, interval and words of one row."""
    shown = RANGES[view.measure]
    words = said(chosen, what, row)
    interval = interval_of(view, row)
    mark = few(row) if row["few"] else ""
    score = shown.text(row["score"])
    return Ranked(
        id=str(row["stimulus"]),
        pictures=[chosen.picture(name) for name in images(chosen, row)],
        alt=". ".join(each for each in (f"Place {place:,}, score {score}", interval, "; ".join(words), mark) if each),
        place=f"{place:,}.",
        score=score,
        words=words,
        interval=interval,
        at=shown.place(row["score"]),
        low=shown.place(row["low"]),
        high=shown.place(row["high"]),
        mark=mark,
    )


def images(chosen: Chosen, row: Row) -> tuple[str, ...]:
    """Sample_ids from above to below: base and sample, or the face."""
    if chosen.material.kind == "identity":
        return str(row["base_id"]), str(row["sample_id"])
    return (str(row["stimulus"]),)


def interval_of(view: View, row: Row) -> str:
    """'−0.80 to −0.31', '' where there is none."""
    if not (math.isfinite(row["low"]) and math.isfinite(row["high"])):
        return ""
    shown = RANGES[view.measure]
    return f"{shown.text(row['low'])} to {shown.text(row['high'])}"


def few(row: Row) -> str:
    """What speaks against the score."""
    return f"only {many(int(row['votes']), 'vote')}, fewer than {FEW_VOTES}"


def said(chosen: Chosen, what: Scored, row: Row) -> list[str]:
    """What people and models said of it, a line each; then what it is."""
    votes = int(row["votes"])
    lines = []
    if "yes" in row:
        lines.append(f"{int(row['yes']):,} of {votes:,} say the same person")
    elif "mean" in row:
        mean = f"{row['mean']:.0f} of 100 alike on average" if math.isfinite(row["mean"]) else "no votes yet"
        lines.append(f"{mean}, {many(votes, 'vote')}")
    elif row.get("chosen"):
        lines.append(f"people: {row['chosen']}, {int(row['top']):,} of {votes:,}")
    if "distance" in row and what.models:
        verdict = "no face found" if pd.isna(row["accepted"]) else "accepts it" if row["accepted"] else "refuses it"
        lines.append(f"{title_of(what.models[0])} {verdict}, distance {row['distance']:.2f}")
    elif row.get("said") and what.models:
        lines.append(f"{title_of(what.models[0])}: {row['said']}")
        if row.get("said_other") and len(what.models) > 1:
            lines.append(f"{title_of(what.models[1])}: {row['said_other']}")
    lines.append(kind_of(row))
    return [line for line in lines if line]


def kind_of(row: Row) -> str:
    """What a pair or a face is, in words."""
    kind = str(row["sample_type"])
    if isinstance(row.get("emotion1"), str):
        pair = f"{row['emotion1']} or {row['emotion2']}"
        return f"made as {pair}" if kind == "boundary" else f"{TYPES.get(kind, kind)}: {pair}"
    step = row.get("step")
    known = isinstance(step, float) and math.isfinite(step)
    if kind in ("genuine", "negative", "semantic") or (kind in TYPES and known):
        return sample_title(kind, float(step) if known else math.nan)  # type: ignore[arg-type]
    return kind


def answerers(found: Disagreement) -> str:
    """How many answered, and who they are."""
    if found.basis.source == "simulated":
        return many(found.basis.raters, "simulated observer")
    return many(found.basis.raters, "person", "people")


def source(found: Disagreement) -> str:
    """Where the answers come from, in words."""
    return " and ".join(WORDS[SOURCES.get(name, "")] for name in found.basis.source.split(" and ")) or WORDS[""]
