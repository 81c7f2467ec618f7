"""Studies, stimuli and raters as rows of the tables, and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from core.errors import LiminalError
from core.studies.study import Plan, Rater, Stimulus, Study

LENGTH = 200
"""Characters of a rater's or stimulus's name at most."""


@dataclass(frozen=True)
class Deletion:
    """What is left of what was deleted: that it was there. ``what``: 'rater' (no name) or 'study'."""

    study: str
    what: str
    answers: int
    reason: str
    deleted_at: datetime


def checked_name(value: object, meaning: str) -> str:
    """A name in any script. Raises LiminalError for nothing, for too much and for characters that cannot be printed."""
    name = str(value).strip()
    if not name or len(name) > LENGTH or not _storable(name):
        raise LiminalError(f"The name of a {meaning} has 1 to {LENGTH} printable characters, which {value!r} has not.")
    return name


def _storable(name: str) -> bool:
    # Not isprintable(), which refuses the joiners inside an emoji and of several scripts.
    return not any(ord(letter) < 32 or ord(letter) == 127 or 0xD800 <= ord(letter) < 0xE000 for letter in name)


def study_row(study: Study) -> dict[str, Any]:
    """Values by the columns of STUDIES, ``enrolled`` apart."""
    return {**{name: getattr(study, name) for name in study.__dataclass_fields__}, "plan": study.plan.to_dict()}


def to_study(row: RowMapping) -> Study:
    """A row of STUDIES."""
    values = {name: row[name] for name in Study.__dataclass_fields__}
    return Study(**{**values, "plan": Plan.from_dict(row["plan"]), "sample_sets": tuple(row["sample_sets"])})


def stimulus_row(stimulus: Stimulus, study: str, place: int) -> dict[str, Any]:
    """Values by the columns of STIMULI."""
    name = checked_name(stimulus.stimulus, "stimulus")
    return {**asdict(stimulus), "stimulus": name, "study": study, "place": place, "handed_out": 0}


def to_stimulus(row: RowMapping) -> Stimulus:
    """A row of STIMULI."""
    values = {name: row[name] for name in Stimulus.__dataclass_fields__}
    return Stimulus(**{**values, "images": tuple(row["images"])})


def rater_row(rater: Rater, number: int) -> dict[str, Any]:
    """Values by the columns of RATERS."""
    return {**{name: getattr(rater, name) for name in rater.__dataclass_fields__}, "number": number}


def to_rater(row: RowMapping) -> Rater:
    """A row of RATERS."""
    values = {name: row[name] for name in Rater.__dataclass_fields__}
    return Rater(**{**values, "trials": tuple(row["trials"])})
