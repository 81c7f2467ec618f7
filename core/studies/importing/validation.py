"""Every answer checked against the contract of ratings, by pandera; what fails is told by line, with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import LiminalError
from core.studies.importing.problems import Problems
from core.studies.ratings import SOURCES
from core.studies.storage.rows import checked_name

LAST_TRIAL = 2**31 - 1

CHUNK = 500_000

REASONS: Mapping[str, str] = {
    "rating_id": "'{0}' is no UUID, which an answer's identifier has to be",
    "rater": "'{0}' names nobody: who answered has a name of 1 to 200 printable characters",
    "stimulus": "'{0}' names no picture: what was answered about has a name of 1 to 200 printable characters",
    "session": "'{0}' is no session: it has at most 200 printable characters",
    "trial": "'{0}' is no place in an order: it is a whole number from 0",
    "task": "'{0}' is no task; there are similarity, identity and emotion",
    "value": "{0}",
    "reaction_time_ms": "'{0}' is no reaction time: it is a number from 0, or nothing",
    "is_sentinel": "'{0}' is neither yes nor no, which 'attention check' has to be",
    "source": "'{0}' is no source of answers; there are human, simulated and model",
    "presented": "'{0}' is no JSON object, which how a trial was shown has to be",
    "created_at": "'{0}' is no time that is understood; write for example 2026-11-22T10:00:00Z",
}
"""By column: what is wrong with a cell. {0}: what the file holds there."""


def checked(meaning: str, name: str) -> str | None:
    """A name as the store keeps it, or None where it keeps none such."""
    try:
        return checked_name(name, meaning)
    except LiminalError:
        return None


@lru_cache(maxsize=1)
def schema() -> Any:
    """The pandera schema of answers before the last turn into types: null stands for what could not be understood."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            "rating_id": pa.Column(nullable=False),
            "rater": pa.Column(nullable=False),
            "stimulus": pa.Column(nullable=False),
            "session": pa.Column(nullable=False),
            "trial": pa.Column(checks=[pa.Check.in_range(0, LAST_TRIAL), pa.Check(lambda column: column % 1 == 0)], nullable=False),
            "task": pa.Column(nullable=False),
            "value": pa.Column(nullable=False),
            "reaction_time_ms": pa.Column(checks=pa.Check.ge(0), nullable=True),
            "is_sentinel": pa.Column(nullable=False),
            "source": pa.Column(checks=pa.Check.isin(SOURCES), nullable=False),
            "presented": pa.Column(nullable=False),
            "created_at": pa.Column(nullable=False),
        }
    )


def failures(
    parsed: pd.DataFrame, raw: pd.DataFrame, lines: NDArray[np.int64], reasons: Mapping[str, Mapping[str, str]], problems: Problems
) -> NDArray[np.bool_]:
    """Check ``parsed`` -> which rows fail; each is added to ``problems`` with its line and its first reason.

    raw: the same rows as the file has them; reasons: by column, sentences by raw text that stand in for those of REASONS.
    """
    from pandera.errors import SchemaErrors

    bad = np.zeros(len(parsed), dtype=bool)
    for start in range(0, len(parsed), CHUNK):
        part = parsed.iloc[start : start + CHUNK].reset_index(drop=True)
        try:
            schema().validate(part, lazy=True)
        except SchemaErrors as errors:
            cases = errors.failure_cases.dropna(subset=["index"]).drop_duplicates("index")
            places = cases["index"].to_numpy(dtype=np.int64) + start
            columns = cases["column"].tolist()
            bad[places] = True
            problems.add(lines[places], lambda at, p=places, c=columns: _reason(c[at], raw[c[at]].iloc[int(p[at])], reasons))  # type: ignore[misc]
    return bad


def _reason(column: str, cell: object, reasons: Mapping[str, Mapping[str, str]]) -> str:
    text = "" if not isinstance(cell, str) else cell
    if text in reasons.get(column, {}):
        return reasons[column][text]
    shown = text if len(text) <= 80 else f"{text[:80]}…"
    if not text.strip() and column == "value":
        return "there is no answer"
    return REASONS[column].format(shown.replace("\0", "\\0"))


def duplicates(
    parsed: pd.DataFrame, lines: NDArray[np.int64], keys: Sequence[str], meaning: str, problems: Problems
) -> NDArray[np.bool_]:
    """Rows that repeat an earlier one in ``keys`` -> which they are; each is added to ``problems`` with the line it repeats."""
    twice = parsed.duplicated(list(keys)).to_numpy(dtype=bool)
    if not twice.any():
        return twice
    first = parsed.loc[~twice, list(keys)].assign(first=lines[~twice])
    repeats = parsed.loc[twice, list(keys)].merge(first, on=list(keys), how="left")["first"].to_numpy()
    problems.add(lines[twice], lambda at: f"it holds {meaning} that line {int(repeats[at])} holds already")
    return twice
