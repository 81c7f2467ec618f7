"""Text cells -> numbers, times, yes and no. What cannot be understood is told apart from what is missing."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "nil", "-", "."})
"""What programs write into a cell without a value, in small letters."""

YES = frozenset({"1", "1.0", "yes", "y", "true", "t", "same", "ja", "j", "oui", "si", "sí"})
NO = frozenset({"0", "0.0", "no", "n", "false", "f", "different", "nein", "non"})

DAY_AND_MONTH = (
    r"^(?P<first>\d{1,2})[./-](?P<second>\d{1,2})[./-](?P<year>\d{4})"
    r"(?:[ T,]+(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<s>\d\d))?)?$"
)

UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of answers whose file names none: the same at every import, so that importing twice changes nothing."""


def missing(column: pd.Series) -> NDArray[np.bool_]:
    """Where a cell has no value."""
    return (column.isna() | column.str.strip().str.lower().isin(MISSING)).to_numpy(dtype=bool)


def numbers(column: pd.Series, decimal_comma: bool = False) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(values, NaN where there is none; where a cell holds something that is no finite number)."""
    empty = missing(column)
    text = column.str.strip()
    if decimal_comma:
        text = text.str.replace(",", ".", regex=False)
    values = pd.to_numeric(text.where(~empty), errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
    wrong = ~empty & ~np.isfinite(values)
    return np.where(np.isfinite(values), values, np.nan), wrong


def truths(column: pd.Series) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(values, no where there is none; where a cell is neither yes nor no)."""
    text = column.str.strip().str.lower()
    yes, no = text.isin(YES).to_numpy(dtype=bool), text.isin(NO).to_numpy(dtype=bool)
    return yes, ~(yes | no | missing(column))


def times(column: pd.Series) -> tuple[pd.Series, NDArray[np.bool_], str]:
    """(times in UTC, NaT where there is none; where a cell is no time; a note on how they were read, or '').

    Known are ISO 8601, seconds or milliseconds since 1970, and day and month in the order that the whole column allows: where it
    allows both (03/04/2026 throughout), every cell counts as not understood.
    """
    empty = missing(column)
    text = column.str.strip().where(~empty)
    present = text.dropna()
    if present.empty:
        return pd.Series(pd.NaT, index=column.index, dtype="datetime64[us, UTC]"), np.zeros(len(column), dtype=bool), ""
    plain = pd.to_numeric(present, errors="coerce")
    note = ""
    if plain.notna().all():
        in_ms = bool(plain.median() > 1e11)
        made = pd.to_datetime(plain * (1000 if in_ms else 1_000_000), unit="us", utc=True, errors="coerce")
        note = f"Times were read as {'milliseconds' if in_ms else 'seconds'} since 1970."
    else:
        made = pd.to_datetime(present, format="ISO8601", utc=True, errors="coerce")
        left = made.isna()
        if left.any():
            other, note = _day_month(present[left])
            made = made.astype("datetime64[us, UTC]")
            made[left] = other
        if not note and not present.str.contains(r"(?:[zZ]|[+-]\d\d:?\d\d|[+-]\d\d)$").any():
            note = "Times carry no time zone and were read as UTC."
    values = made.astype("datetime64[us, UTC]").reindex(column.index)
    return values, ~empty & values.isna().to_numpy(dtype=bool), note


def _day_month(text: pd.Series) -> tuple[pd.Series, str]:
    """Times such as 22.11.2026 10:00 or 11/22/2026 -> (times in UTC, note)."""
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
    made = pd.to_datetime(fields, errors="coerce", utc=True).astype("datetime64[us, UTC]")
    return made, f"Dates were read with the {'day' if day_first else 'month'} first, times as UTC."
