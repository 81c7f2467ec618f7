"""What the columns of a file mean, and how their cells are parsed into numbers, times, yes and no.

A ``ColumnMapping`` can be stored as JSON and used for another file of the same form. The parsers distinguish cells that are not
understood from missing ones.
"""

from __future__ import annotations

import math
from collections import abc
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import LiminalError
from core.studies.ratings import RATINGS, TASKS

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "-", "."})
"""Texts of cells without a value, in lower case."""

YES = frozenset({"1", "1.0", "yes", "y", "true", "t", "same", "ja", "j", "oui", "si", "sí"})
NO = frozenset({"0", "0.0", "no", "n", "false", "f", "different", "nein", "non"})

DAY_AND_MONTH = (
    r"^(?P<first>\d{1,2})[./-](?P<second>\d{1,2})[./-](?P<year>\d{4})"
    r"(?:[ T,]+(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<s>\d\d))?)?$"
)


def find_missing(column: pd.Series) -> NDArray[np.bool_]:
    """Whether each cell is without a value."""
    return (column.isna() | column.str.strip().str.lower().isin(MISSING)).to_numpy(dtype=bool)


def parse_numbers(column: pd.Series, decimal_comma: bool = False) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Parse numbers -> (values, NaN where there is none; whether a cell holds something that is no finite number)."""
    empty = find_missing(column)
    text = column.str.strip()
    if decimal_comma:
        text = text.str.replace(",", ".", regex=False)
    values = pd.to_numeric(text.where(~empty), errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
    wrong = ~empty & ~np.isfinite(values)
    return np.where(np.isfinite(values), values, np.nan), wrong


def parse_truths(column: pd.Series) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Parse yes and no -> (values, False where there is none; whether a cell is neither yes nor no)."""
    text = column.str.strip().str.lower()
    yes, no = text.isin(YES).to_numpy(dtype=bool), text.isin(NO).to_numpy(dtype=bool)
    return yes, ~(yes | no | find_missing(column))


def parse_times(column: pd.Series) -> tuple[pd.Series, NDArray[np.bool_], str]:
    """Parse times -> (times in UTC, NaT where there is none; whether a cell is no time; a note on how they were read, or '').

    Understood are ISO 8601, seconds or milliseconds since 1970, and day and month in the order that the whole column allows: where
    it allows both (03/04/2026 throughout), no cell is understood.
    """
    empty = find_missing(column)
    text = column.str.strip().where(~empty)
    present = text.dropna()
    if present.empty:
        return pd.Series(pd.NaT, index=column.index, dtype="datetime64[us, UTC]"), np.zeros(len(column), dtype=bool), ""
    plain = pd.to_numeric(present, errors="coerce")
    note = ""
    if plain.notna().all():
        in_ms = bool(plain.median() > 1e11)
        times = pd.to_datetime(plain * (1000 if in_ms else 1_000_000), unit="us", utc=True, errors="coerce")
        note = f"Times were read as {'milliseconds' if in_ms else 'seconds'} since 1970."
    else:
        times = pd.to_datetime(present, format="ISO8601", utc=True, errors="coerce")
        unread = times.isna()
        if unread.any():
            day_month_times, note = _parse_day_month(present[unread])
            times = times.astype("datetime64[us, UTC]")
            times[unread] = day_month_times
        if not note and not present.str.contains(r"(?:[zZ]|[+-]\d\d:?\d\d|[+-]\d\d)$").any():
            note = "Times carry no time zone and were read as UTC."
    values = times.astype("datetime64[us, UTC]").reindex(column.index)
    return values, ~empty & values.isna().to_numpy(dtype=bool), note


def _parse_day_month(text: pd.Series) -> tuple[pd.Series, str]:
    """Parse times such as 22.11.2026 10:00 or 11/22/2026 -> (times in UTC, note)."""
    parts = text.str.extract(DAY_AND_MONTH).astype("float64")
    nothing = pd.Series(pd.NaT, index=text.index, dtype="datetime64[us, UTC]")
    dotted = text.str.match(r"^\d{1,2}\.").all()  # 22.11.2026: day first wherever it is written so
    day_first = dotted or bool((parts["first"] > 12).any())
    month_first = bool((parts["second"] > 12).any())
    if day_first == month_first:
        return nothing, ""
    day, month = ("first", "second") if day_first else ("second", "first")
    fields = pd.DataFrame(
        {
            "year": parts["year"],
            "month": parts[month],
            "day": parts[day],
            "hour": parts["hour"].fillna(0),
            "minute": parts["minute"].fillna(0),
            "second": parts["s"].fillna(0),
        }
    )
    times = pd.to_datetime(fields, errors="coerce", utc=True).astype("datetime64[us, UTC]")
    return times, f"Dates were read with the {'day' if day_first else 'month'} first, times as UTC."


Layout = Literal["long", "wide"]

PAIR_FIELDS = ("base", "sample", "sample_type", "step", "people")
"""Further targets of a wide table: names of the two images, sample type, step, number of people who were asked."""

TARGETS: tuple[str, ...] = (*RATINGS, *TASKS, *PAIR_FIELDS)
"""What a column can mean: a column of RATINGS, or the answer to one task (similarity, identity, emotion; a row may have several);
of a wide table also PAIR_FIELDS, and similarity is the mean, identity the share of yes."""

Unit = Literal["ms", "s"]


@dataclass(frozen=True)
class MappedField:
    """Where the values of one target come from: a column or a constant, else LiminalError is raised.

    values: text in the file -> its meaning, for example {'j': 'happiness'} (compared without regard to case); scale: the ends
    of the file's scale, which become 0 and 100 (similarity); unit: of reaction times.
    """

    column: str | None = None
    constant: str | None = None
    values: abc.Mapping[str, str] = field(default_factory=dict)
    scale: tuple[float, float] | None = None
    unit: Unit = "ms"

    def __post_init__(self) -> None:
        if (self.column is None) == (self.constant is None):
            raise LiminalError("Every field of a mapping needs either a column or a constant; give one of them.")
        if self.unit not in get_args(Unit):
            raise LiminalError(f"Reaction times are in ms or s, not in '{self.unit}'.")
        if not isinstance(self.values, abc.Mapping):
            raise LiminalError('The \'values\' of a field say what each answer means, for example {"j": "happiness"}.')
        object.__setattr__(self, "values", {str(key).strip().lower(): str(value) for key, value in self.values.items()})
        if self.scale is not None:
            try:
                low, high = (float(end) for end in self.scale)
            except (TypeError, ValueError, OverflowError):
                low = high = math.nan
            if not (math.isfinite(low) and math.isfinite(high) and low != high):
                raise LiminalError("The 'scale' of a field is its two ends, for example [1, 7]; give two different numbers.")
            object.__setattr__(self, "scale", (low, high))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, defaults left out."""
        record: dict[str, Any] = {"column": self.column} if self.column is not None else {"constant": self.constant}
        if self.values:
            record["values"] = dict(self.values)
        if self.scale is not None:
            record["scale"] = list(self.scale)
        if self.unit != "ms":
            record["unit"] = self.unit
        return record


@dataclass(frozen=True)
class ColumnMapping:
    """What a file's columns mean. Raises LiminalError for targets that do not exist.

    layout: long (a row a trial) or wide (a row a pair, with means over people); fields: by target, see TARGETS; only: rows are kept
    where each of these columns holds one of the values (jsPsych also writes a row for every cross); kept: of a wide table, further
    columns that are stored with the pair, for example the models' distances; exported: the file is an export of Liminal, whose
    cells are taken as they are and unescaped.
    """

    fields: abc.Mapping[str, MappedField] = field(default_factory=dict)
    layout: Layout = "long"
    only: abc.Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    exported: bool = False

    def __post_init__(self) -> None:
        if self.layout not in get_args(Layout):
            raise LiminalError(f"A table is long (a row a trial) or wide (a row a pair), not '{self.layout}'.")
        for target in self.fields:
            if target not in TARGETS:
                raise LiminalError(f"'{target}' is nothing that a column can mean; there are {', '.join(TARGETS)}.")
        object.__setattr__(self, "only", {name: tuple(map(str, allowed)) for name, allowed in self.only.items()})
        object.__setattr__(self, "kept", tuple(self.kept))

    def answers(self) -> tuple[str, ...]:
        """The targets that are answers."""
        return tuple(name for name in ("value", *TASKS) if name in self.fields)

    def columns(self) -> list[str]:
        """The columns of the file that the mapping names."""
        named = [field.column for field in self.fields.values() if field.column is not None]
        return list(dict.fromkeys([*named, *self.only, *self.kept]))

    def check(self, columns: Sequence[str]) -> None:
        """Raises LiminalError where the file lacks a column, or where a target that every answer needs is not mapped."""
        missing = [name for name in self.columns() if name not in columns]
        if missing:
            raise LiminalError(
                f"The file has no column '{missing[0]}'; it has {', '.join(columns[:12])}{' ...' if len(columns) > 12 else ''}."
            )
        if not self.answers():
            raise LiminalError("No column is said to hold the answers; choose the one that does.")
        if self.layout == "wide":
            if "value" in self.fields or "emotion" in self.fields:
                raise LiminalError("A table with a row a pair holds mean similarity and the share of yes; choose their columns.")
            if "stimulus" not in self.fields and not {"base", "sample"} <= set(self.fields):
                raise LiminalError("No column is said to name the pair or its two images; choose which one does.")
            return
        if "value" in self.fields and "task" not in self.fields:
            raise LiminalError("It is not said what the answers are about; choose similarity, identity or emotion.")
        for target, meaning in (("rater", "who answered"), ("stimulus", "which picture was answered about")):
            if target not in self.fields:
                raise LiminalError(f"No column is said to hold {meaning}; choose the one that does.")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; ``from_dict`` brings back an equal mapping."""
        record: dict[str, Any] = {
            "layout": self.layout,
            "fields": {name: field.to_dict() for name, field in self.fields.items()},
        }
        if self.only:
            record["only"] = {name: list(allowed) for name, allowed in self.only.items()}
        if self.kept:
            record["kept"] = list(self.kept)
        if self.exported:
            record["exported"] = True
        return record

    @classmethod
    def from_dict(cls, record: Any) -> ColumnMapping:
        """The mapping of a record; a field may be the column's name alone. Raises LiminalError for what is no mapping."""
        try:
            unknown = sorted(set(record) - {"layout", "fields", "only", "kept", "exported"})
            if unknown:
                raise LiminalError(f"'{unknown[0]}' is no part of a mapping; there are layout, fields, only, kept and exported.")
            fields = {
                name: MappedField(column=field) if isinstance(field, str) else MappedField(**field)
                for name, field in record["fields"].items()
            }
            only = {
                name: (values,) if isinstance(values, str) else tuple(values) for name, values in record.get("only", {}).items()
            }
            return cls(
                fields, record.get("layout", "long"), only, tuple(record.get("kept", ())), bool(record.get("exported", False))
            )
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise LiminalError(
                'This is no mapping: it needs \'fields\', for example {"fields": {"rater": "subject", "emotion": "choice"}}.'
            ) from error
