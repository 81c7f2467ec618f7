"""One row schema for the answers of people, simulated observers and models, and the checks that every answer passes.

``RATINGS`` lists the columns with their types (DESIGN.md, "Ratings"). ``check_value``, ``check_rating_id`` and ``check_name``
say what a value, an id and a name may be; the store, the import and the rater's page all use them. Names (of raters, stimuli
and sessions) have 1 to 200 printable characters in any script. ``UNKNOWN_TIME`` stands for the time of an answer whose file
names none.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import pandas as pd

from core.errors import LiminalError
from core.models.emotions import EMOTIONS

Task = Literal["similarity", "identity", "emotion"]
Source = Literal["human", "simulated", "model"]
TASKS: tuple[Task, ...] = get_args(Task)
SOURCES: tuple[Source, ...] = get_args(Source)

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


class TakenId(LiminalError):  # noqa: N818 (what it is about an answer)
    """An answer came under the id of another one. Sent again it would be refused again."""


@dataclass(frozen=True)
class Rating:
    """One answer. Raises LiminalError where a value does not fit its task."""

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
        object.__setattr__(self, "value", check_value(self.task, self.value))
        object.__setattr__(self, "rating_id", check_rating_id(self.rating_id))
        if self.source not in SOURCES:
            raise LiminalError(f"An answer's source is {', '.join(SOURCES)}, not '{self.source}'.")

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
        raise LiminalError(f"'{value}' is no UUID; every answer needs one so that it is kept once.") from None


def check_value(task: str, value: object) -> str:
    """An answer as text: '0' to '100' for similarity, '0' or '1' for identity, an emotion's name. Raises LiminalError else."""
    if task == "emotion":
        name = str(value).strip().lower()
        if name not in EMOTIONS:
            raise LiminalError(f"'{value}' is no answer to an emotion trial; there are {', '.join(EMOTIONS)}.")
        return name
    if task not in TASKS:
        raise LiminalError(f"There is no task '{task}'; there are {', '.join(TASKS)}.")
    try:
        number = float(str(value))
    except ValueError:
        number = float("nan")
    if task == "identity":
        if number not in (0.0, 1.0):
            raise LiminalError(f"'{value}' is no answer to 'same person?'; it is 1 (yes) or 0 (no).")
        return f"{number:.0f}"
    if not 0.0 <= number <= 100.0:
        raise LiminalError(f"'{value}' is no similarity; it is a number from 0 to 100.")
    return f"{number:g}"


def make_ratings_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows -> the typed table of RATINGS."""
    return type_columns(pd.DataFrame(list(rows), columns=list(RATINGS)))


def type_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns of RATINGS with their types, in order."""
    return frame[list(RATINGS)].astype(dict(RATINGS)).reset_index(drop=True)


def select_task_values(frame: pd.DataFrame, task: Task) -> pd.DataFrame:
    """The rows of one task; of similarity and identity with ``value`` as float64."""
    chosen = frame[frame["task"] == task].reset_index(drop=True)
    return chosen if task == "emotion" else chosen.assign(value=chosen["value"].astype("float64"))


UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of answers whose file names none: the same at every import, so that importing twice changes nothing."""


def name_or_none(meaning: str, name: str) -> str | None:
    """A name as the store keeps it, or None where it keeps none such."""
    try:
        return check_name(name, meaning)
    except LiminalError:
        return None


MAX_NAME_LENGTH = 200
"""Characters of a rater's or stimulus's name at most."""


def check_name(value: object, meaning: str) -> str:
    """A name in any script. Raises LiminalError for nothing, for too much and for characters that cannot be printed."""
    name = str(value).strip()
    if not name or len(name) > MAX_NAME_LENGTH or not _is_storable(name):
        raise LiminalError(f"The name of a {meaning} has 1 to {MAX_NAME_LENGTH} printable characters, which {value!r} has not.")
    return name


def _is_storable(name: str) -> bool:
    # Not isprintable(), which refuses the joiners inside an emoji and of several scripts.
    return not any(ord(letter) < 32 or ord(letter) == 127 or 0xD800 <= ord(letter) < 0xE000 for letter in name)
