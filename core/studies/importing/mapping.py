"""Which column of a file means what: plain values that go to JSON and back, so that a second file comes in the same way."""

from __future__ import annotations

import math
from collections import abc
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from core.errors import LiminalError
from core.studies.ratings import RATINGS, TASKS

Layout = Literal["long", "wide"]

PAIR_FIELDS = ("base", "sample", "sample_type", "step", "people")
"""Of a wide table, beside the stimulus and the means: names of the two images, the kind of sample, how many people were asked."""

TARGETS: tuple[str, ...] = (*RATINGS, *TASKS, *PAIR_FIELDS)
"""What a column can mean: a column of RATINGS, or the answer to one task (similarity, identity, emotion), where a row may hold the
answers to several; of a wide table also PAIR_FIELDS, where similarity is the mean and identity the share of yes."""

Unit = Literal["ms", "s"]


@dataclass(frozen=True)
class Field:
    """Where one target comes from. Raises LiminalError unless it is a column or a constant.

    values: what the file writes -> what it means, for example {'j': 'happiness'} (compared without regard to case); scale: the ends
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
class Mapping:
    """What a file's columns mean. Raises LiminalError for targets that do not exist.

    layout: long (a row a trial) or wide (a row a pair, with means over people); fields: by target, see TARGETS; only: rows are kept
    where each of these columns holds one of the values (jsPsych also writes a row for every cross); kept: of a wide table, further
    columns that stay beside the pair, for example the models' distances; exported: the file is our own export, whose cells are
    taken as they are and whose escaped cells are turned back.
    """

    fields: abc.Mapping[str, Field] = field(default_factory=dict)
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
        """The targets that hold answers."""
        return tuple(name for name in ("value", *TASKS) if name in self.fields)

    def columns(self) -> list[str]:
        """The file's columns that it names."""
        named = [each.column for each in self.fields.values() if each.column is not None]
        return list(dict.fromkeys([*named, *self.only, *self.kept]))

    def check(self, columns: Sequence[str]) -> None:
        """Raises LiminalError where the file lacks a column, or where something without which no answer is one is not mapped."""
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
            "fields": {name: each.to_dict() for name, each in self.fields.items()},
        }
        if self.only:
            record["only"] = {name: list(allowed) for name, allowed in self.only.items()}
        if self.kept:
            record["kept"] = list(self.kept)
        if self.exported:
            record["exported"] = True
        return record

    @classmethod
    def from_dict(cls, record: Any) -> Mapping:
        """Raises LiminalError with one sentence for what is no mapping. A field may be written as the column's name alone."""
        try:
            unknown = sorted(set(record) - {"layout", "fields", "only", "kept", "exported"})
            if unknown:
                raise LiminalError(f"'{unknown[0]}' is no part of a mapping; there are layout, fields, only, kept and exported.")
            fields = {
                name: Field(column=each) if isinstance(each, str) else Field(**each) for name, each in record["fields"].items()
            }
            only = {name: (each,) if isinstance(each, str) else tuple(each) for name, each in record.get("only", {}).items()}
            return cls(
                fields, record.get("layout", "long"), only, tuple(record.get("kept", ())), bool(record.get("exported", False))
            )
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise LiminalError(
                'This is no mapping: it needs \'fields\', for example {"fields": {"rater": "subject", "emotion": "choice"}}.'
            ) from error
