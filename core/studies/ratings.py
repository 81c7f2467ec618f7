"""One row schema for the answers of people, simulated observers and models, and the checks that every answer passes.

``RATINGS`` lists the columns with their types. ``Rating`` checks a single answer, ``check_table`` a table column by column, by
the same rules: the store, the import of files and the page of a rater use one of the two. Names (of raters, stimuli and
sessions) have 1 to 200 printable characters in any script. ``UNKNOWN_TIME`` is the time of an answer whose file gives none.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.emotions import EMOTIONS

Task = Literal["similarity", "identity", "emotion", "label", "scale"]
Source = Literal["human", "simulated", "model"]
TASKS: tuple[Task, ...] = get_args(Task)
SOURCES: tuple[Source, ...] = get_args(Source)
TEXT_TASKS: tuple[Task, ...] = ("emotion", "label")
"""Tasks that are answered by a name; answers to the others are numbers."""

RATINGS: Mapping[str, str] = {
    "rating_id": "str",  # a UUID, from whoever answered: the same answer sent twice is one answer
    "study": "str",  # the study's name
    "rater": "str",
    "session": "str",
    "trial": "int64",  # place in the rater's order, from 0
    "stimulus": "str",  # pair_id or sample_id
    "task": "str",
    "value": "str",  # see ``check_value``
    "reaction_time_ms": "float64",  # NaN: not measured
    "is_sentinel": "bool",
    "source": "str",
    "presented": "str",  # JSON: asked and achieved durations, refresh rate, dropped frames, input device
    "created_at": "datetime64[us, UTC]",
}
"""The columns of a table of ratings, in order, with their types."""


MAX_TRIAL = 2**31 - 1
MAX_NAME_LENGTH = 200  # characters
MAX_LABEL_LENGTH = 60

FAULTS: Mapping[str, str] = {
    "rating_id": "'{0}' is no UUID, which an answer's identifier has to be",
    "study": "'{0}' is no name of a study",
    "rater": "'{0}' names nobody: who answered has a name of 1 to 200 printable characters",
    "stimulus": "'{0}' names no picture: what was answered about has a name of 1 to 200 printable characters",
    "session": "'{0}' is no session: it has at most 200 printable characters",
    "trial": "'{0}' is no place in an order: it is a whole number from 0",
    "task": "there is no task '{0}'; there are similarity, identity, emotion, label and scale",
    "value": "{0}",  # the sentence of ``check_value``
    "reaction_time_ms": "'{0}' is no reaction time: it is a number from 0, or nothing",
    "is_sentinel": "'{0}' is neither yes nor no, which 'attention check' has to be",
    "source": "the source of an answer is human, simulated or model, not '{0}'",
    "presented": "'{0}' is no JSON object, which how a trial was shown has to be",
    "created_at": "'{0}' is no time that is understood; write for example 2026-11-22T10:00:00Z",
}
"""By column, in the order of the checks: what is wrong with a cell. {0}: the cell."""


class TakenId(LiminalError):  # noqa: N818 (what it is about an answer)
    """An answer came under the id of another one. Sent again it would be refused again."""


@dataclass(frozen=True)
class Rating:
    """One answer, its id, names and value in their one form. Raises LiminalError where something does not fit."""

    study: str
    rater: str
    stimulus: str
    task: Task
    value: str
    trial: int = 0
    session: str = ""
    reaction_time_ms: float | None = None
    is_sentinel: bool = False
    source: Source = "human"
    presented: Mapping[str, Any] = field(default_factory=dict)
    rating_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        values = {
            "rating_id": check_rating_id(self.rating_id),
            "rater": check_name(self.rater, "rater"),
            "stimulus": check_name(self.stimulus, "stimulus"),
            "session": self.session and check_name(self.session, "session"),
            "value": check_value(self.task, self.value),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        time = self.reaction_time_ms
        for name, fits in (
            ("trial", 0 <= self.trial <= MAX_TRIAL),
            ("reaction_time_ms", time is None or time >= 0 or math.isnan(time)),
            ("source", self.source in SOURCES),
        ):
            if not fits:
                raise LiminalError(f"{describe_fault(name, getattr(self, name))}.")

    def to_row(self) -> dict[str, Any]:
        """Values by the columns of RATINGS."""
        row = {name: getattr(self, name) for name in RATINGS}
        row["presented"] = json.dumps(self.presented, sort_keys=True, allow_nan=False)
        return row


def check_rating_id(value: str) -> str:
    """A UUID in its usual form. Raises LiminalError for anything else."""
    try:
        return str(uuid.UUID(value))
    except (ValueError, AttributeError, TypeError):
        raise LiminalError(f"{describe_fault('rating_id', value)}.") from None


def check_value(task: str, value: object) -> str:
    """An answer as text. Raises LiminalError for what is none.

    '0' to '100' for similarity and scale, '0' or '1' for identity, an emotion's name, a label of 1 to 60 printable characters.
    Which labels and points a study has its plan knows (``core.studies.study.RatingPlan.check_answer``).
    """
    if task == "emotion":
        name = str(value).strip().lower()
        if name not in EMOTIONS:
            raise LiminalError(f"'{value}' is no answer to an emotion trial; there are {', '.join(EMOTIONS)}.")
        return name
    if task == "label":
        label = str(value).strip()
        if not label or len(label) > MAX_LABEL_LENGTH or _UNPRINTABLE.search(label):
            raise LiminalError(f"A label has 1 to {MAX_LABEL_LENGTH} printable characters, which {str(value)[:80]!r} has not.")
        return label
    if task not in TASKS:
        raise LiminalError(f"{describe_fault('task', task)}.")
    try:
        number = float(str(value))
    except ValueError:
        number = float("nan")
    if task == "identity":
        if number not in (0.0, 1.0):
            raise LiminalError(f"'{value}' is no answer to 'same person?'; it is 1 (yes) or 0 (no).")
        return f"{number:.0f}"
    if not 0.0 <= number <= 100.0:
        raise LiminalError(f"'{value}' is no {'similarity' if task == 'similarity' else 'rating'}; it is a number from 0 to 100.")
    return f"{number:g}"


def make_ratings_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows -> the typed table of RATINGS."""
    return type_columns(pd.DataFrame(list(rows), columns=list(RATINGS)))


def type_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns of RATINGS with their types, in order."""
    return frame[list(RATINGS)].astype(dict(RATINGS)).reset_index(drop=True)


def select_task_values(frame: pd.DataFrame, task: Task) -> pd.DataFrame:
    """The rows of one task; of tasks that are answered by a number with ``value`` as float64."""
    chosen = frame[frame["task"] == task].reset_index(drop=True)
    return chosen if task in TEXT_TASKS else chosen.assign(value=chosen["value"].astype("float64"))


UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of answers whose file names none: the same at every import, so that importing twice changes nothing."""


def check_name(value: object, meaning: str) -> str:
    """A name in any script. Raises LiminalError for nothing, for too much and for characters that cannot be printed."""
    name = str(value).strip()
    if not name or len(name) > MAX_NAME_LENGTH or _UNPRINTABLE.search(name):
        raise LiminalError(f"The name of a {meaning} has 1 to {MAX_NAME_LENGTH} printable characters, which {value!r} has not.")
    return name


# Not isprintable(), which refuses the joiners inside an emoji and of several scripts.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def name_or_none(meaning: str, name: str) -> str | None:
    """A name as the store keeps it, or None where it keeps none such."""
    try:
        return check_name(name, meaning)
    except LiminalError:
        return None


def value_or_none(task: str, value: str) -> str | None:
    """An answer as the store keeps it, or None for no answer to this task."""
    try:
        return check_value(task, value)
    except LiminalError:
        return None


UUID_PATTERN = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TEXT = pd.StringDtype(na_value=np.nan)


def check_table(frame: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.object_]]:
    """Check a table with the columns of RATINGS -> the table with names and values in their one form, and by row its fault.

    A fault is the first column in the order of FAULTS that does not fit, '' where the row fits. A missing cell does not fit,
    except a missing reaction time. Ids are in their usual form already. The text of ``presented`` is not parsed.
    """
    table = frame.assign(
        rater=map_distinct(frame["rater"], partial(name_or_none, "rater")),
        stimulus=map_distinct(frame["stimulus"], partial(name_or_none, "stimulus")),
        session=map_distinct(frame["session"], lambda name: name and name_or_none("session", name)),
        value=pd.Series(np.nan, index=frame.index, dtype=TEXT),
    )
    for task in TASKS:
        rows = (frame["task"] == task).fillna(False)
        table.loc[rows, "value"] = map_distinct(frame.loc[rows, "value"], partial(value_or_none, task))
    trial, time = frame["trial"], frame["reaction_time_ms"]
    fits = {name: table[name].notna() for name in FAULTS} | {
        "rating_id": frame["rating_id"].str.fullmatch(UUID_PATTERN),
        "trial": trial.between(0, MAX_TRIAL) & (trial % 1 == 0),
        "task": frame["task"].isin(TASKS),
        "reaction_time_ms": time.isna() | (time >= 0),
        "source": frame["source"].isin(SOURCES),
    }
    faults = np.full(len(frame), "", dtype=object)
    for name in reversed(list(FAULTS)):
        faults[~fits[name].fillna(False).to_numpy(dtype=bool)] = name
    return table, faults


def describe_fault(column: str, cell: object) -> str:
    """Half a sentence on a cell that does not fit; a long cell is cut."""
    text = "" if cell is None else str(cell)
    return FAULTS[column].format((text if len(text) <= 80 else f"{text[:80]}…").replace("\0", "\\0"))


def map_distinct(column: pd.Series, change: Callable[[str], str | None]) -> pd.Series:
    """``change`` for every text of a column, called once for each that occurs; missing cells stay missing."""
    codes, different = pd.factorize(column)
    changed = pd.array([*(change(text) for text in different), None], dtype=TEXT)
    return pd.Series(changed.take(codes), index=column.index)  # code -1, a missing cell, takes the last one
