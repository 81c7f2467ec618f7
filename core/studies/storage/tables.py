"""The store's tables, and the conversion of studies, stimuli and raters to rows and back.

A change of a table needs a migration beside it; a test compares the two.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    RowMapping,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

from core.studies.ratings import check_name
from core.studies.recruitment import StudySettings
from core.studies.study import Rater, RatingPlan, Stimulus, Study


class JsonText(TypeDecorator[Any]):
    """Plain values as JSON in ASCII, so that both databases take any character."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class UtcMoment(TypeDecorator[datetime]):
    """A point in time: kept in UTC, given back with its zone. A naive one is taken as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return self.process_bind_param(value, dialect)


# Ordered by code point on both databases, whatever the server's language.
NAME = Text().with_variant(Text(collation="C"), "postgresql")

METADATA = MetaData()

STUDIES = Table(
    "studies",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("plan", JsonText, nullable=False),
    Column("token", Text, nullable=False, unique=True),
    Column("source", Text, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("sample_sets", JsonText, nullable=False),
    Column("note", JsonText, nullable=False),
    Column("enrolled", Integer, nullable=False),  # raters ever; their numbers are never given twice
    Column("created_at", UtcMoment, nullable=False),
    Column("settings", JsonText, nullable=False),
    Column("declined", Integer, nullable=False, default=0),  # people of whom nothing else is kept
    Column("screened_out", Integer, nullable=False, default=0),  # the same, turned away before they enrolled
    Column("origin", Text, nullable=False),
)

STIMULI = Table(
    "stimuli",
    METADATA,
    Column("study", NAME, ForeignKey("studies.name", ondelete="CASCADE"), primary_key=True),
    Column("stimulus", NAME, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("images", JsonText, nullable=False),
    Column("sample_type", Text, nullable=False),
    Column("base_id", Text, nullable=False),
    Column("is_sentinel", Boolean, nullable=False),
    Column("expected", Text, nullable=False),
    Column("details", JsonText, nullable=False),
    Column("handed_out", Integer, nullable=False),  # raters with a place whose order holds it
)

RATERS = Table(
    "raters",
    METADATA,
    Column("study", NAME, ForeignKey("studies.name", ondelete="CASCADE"), primary_key=True),
    Column("rater", NAME, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("code", Text, nullable=False, unique=True),
    Column("trials", JsonText, nullable=False),
    Column("source", Text, nullable=False),
    Column("consented_at", UtcMoment),
    Column("demographics", JsonText, nullable=False),
    Column("strategy", JsonText, nullable=False),
    Column("finished_at", UtcMoment),
    Column("created_at", UtcMoment, nullable=False),
    Column("seen_at", UtcMoment),  # the last answer, by the server's clock; without any the time of enrolment counts
    Column("released_at", UtcMoment),
    Column("screened_out_at", UtcMoment),
    Column("understood_at", UtcMoment),
    Column("tries", Integer, nullable=False, default=0),
)

PARTICIPANTS = Table(
    "participants",
    METADATA,
    Column("study", NAME, primary_key=True),
    Column("rater", NAME, primary_key=True),
    Column("participant", NAME),
    Column("parameters", JsonText, nullable=False),
    ForeignKeyConstraint(["study", "rater"], ["raters.study", "raters.rater"], ondelete="CASCADE"),
    Index("participants_once", "study", "participant", unique=True),
)
"""What panels call the raters, with every parameter of their links: personal data, of which no answer knows."""

ANSWERS = Table(
    "ratings",
    METADATA,
    Column("rating_id", Text, primary_key=True),
    Column("study", NAME, ForeignKey("studies.name", ondelete="CASCADE"), nullable=False),
    Column("rater", NAME, nullable=False),
    Column("session", Text, nullable=False),
    Column("trial", BigInteger, nullable=False),
    Column("stimulus", NAME, nullable=False),
    Column("task", NAME, nullable=False),
    Column("value", Text, nullable=False),
    Column("reaction_time_ms", Float(53)),
    Column("is_sentinel", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    Column("presented", Text, nullable=False),
    Column("created_at", UtcMoment, nullable=False),
    # A trial is answered once, from however many tabs. Also the order in which a study's table is read.
    Index("ratings_once", "study", "rater", "trial", "task", "stimulus", unique=True),
    Index("ratings_by_stimulus", "study", "stimulus", "rater"),
)
"""The columns of core.studies.ratings.RATINGS. ``rater`` need not be in ``raters``: published and simulated ones are not."""

CHAIN_STUDIES = Table(
    "chain_studies",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("design", JsonText, nullable=False),
    Column("token", Text, nullable=False, unique=True),
    Column("source", Text, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("note", JsonText, nullable=False),
    Column("enrolled", Integer, nullable=False),
    Column("created_at", UtcMoment, nullable=False),
)

CHAIN_PEOPLE = Table(
    "chain_people",
    METADATA,
    Column("study", NAME, ForeignKey("chain_studies.name", ondelete="CASCADE"), primary_key=True),
    Column("person", NAME, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("code", Text, nullable=False, unique=True),
    Column("source", Text, nullable=False),
    Column("chain", Integer),  # their own; none where chains are passed on
    Column("created_at", UtcMoment, nullable=False),
    Column("finished_at", UtcMoment),
)

CHAIN_STEPS = Table(
    "chain_steps",
    METADATA,
    Column("study", NAME, ForeignKey("chain_studies.name", ondelete="CASCADE"), primary_key=True),
    Column("chain", Integer, primary_key=True, autoincrement=False),
    Column("iteration", Integer, primary_key=True, autoincrement=False),
    Column("person", NAME, nullable=False),
    Column("latent", NAME, nullable=False),
    Column("value", Float(53)),  # none: the step is open
    Column("reaction_time_ms", Float(53)),
    Column("source", Text, nullable=False),
    Column("offered_at", UtcMoment, nullable=False),
    Column("chosen_at", UtcMoment),
    Column("presented", JsonText, nullable=False),
)
"""Steps of ``core.studies.chains``: the key holds one row a step, so that no two people ever have the same one."""

DELETIONS = Table(
    "deletions",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("study", NAME, nullable=False, index=True),
    Column("what", Text, nullable=False),
    Column("answers", Integer, nullable=False),
    Column("reason", JsonText, nullable=False),
    Column("deleted_at", UtcMoment, nullable=False),
)


@dataclass(frozen=True)
class Deletion:
    """The record that something was deleted. ``what``: 'rater' (without the name), 'participants' (their names) or 'study'."""

    study: str
    what: str
    answers: int
    reason: str
    deleted_at: datetime


def study_row(study: Study) -> dict[str, Any]:
    """A study as values by the columns of STUDIES, except its counts."""
    values = {name: getattr(study, name) for name in study.__dataclass_fields__}
    return {**values, "plan": study.plan.to_dict(), "settings": study.settings.to_dict()}


def to_study(row: RowMapping) -> Study:
    """The study of a row of STUDIES."""
    values = {name: row[name] for name in Study.__dataclass_fields__}
    values |= {"plan": RatingPlan.from_dict(row["plan"]), "settings": StudySettings.from_dict(row["settings"])}
    return Study(**{**values, "sample_sets": tuple(row["sample_sets"])})


def stimulus_row(stimulus: Stimulus, study: str, position: int) -> dict[str, Any]:
    """A stimulus as values by the columns of STIMULI."""
    name = check_name(stimulus.stimulus, "stimulus")
    return {**asdict(stimulus), "stimulus": name, "study": study, "place": position, "handed_out": 0}


def to_stimulus(row: RowMapping) -> Stimulus:
    """The stimulus of a row of STIMULI."""
    values = {name: row[name] for name in Stimulus.__dataclass_fields__}
    return Stimulus(**{**values, "images": tuple(row["images"])})


def rater_row(rater: Rater, number: int) -> dict[str, Any]:
    """A rater as values by the columns of RATERS."""
    return {**{name: getattr(rater, name) for name in rater.__dataclass_fields__}, "number": number}


def to_rater(row: RowMapping) -> Rater:
    """The rater of a row of RATERS."""
    values = {name: row[name] for name in Rater.__dataclass_fields__}
    return Rater(**{**values, "trials": tuple(row["trials"])})
