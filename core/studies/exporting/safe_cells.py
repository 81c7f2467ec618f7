"""Cells that a spreadsheet would take for a formula get an apostrophe in front, and lose it again in our own import."""

from __future__ import annotations

import re

import pandas as pd

STARTS = "=+\\-@\t\r\n＝＋－＠"
"""What makes a spreadsheet compute: also tabs and line ends, which it skips, and the wide forms of the signs."""

_DANGEROUS = re.compile(f"'*[{STARTS}]")
_ESCAPED = re.compile(f"'+[{STARTS}]")


def escape(text: str) -> str:
    """One apostrophe before a text that starts like a formula, also behind apostrophes of its own, so that it can be undone."""
    return f"'{text}" if _DANGEROUS.match(text) else text


def escaped(column: pd.Series) -> pd.Series:
    """``escape`` for a column of text."""
    dangerous = column.str.match(_DANGEROUS.pattern).fillna(False).astype(bool)
    return column.where(~dangerous, "'" + column)


def unescaped(column: pd.Series) -> pd.Series:
    """Undoes ``escaped``, for every text; missing cells stay missing."""
    marked = column.str.match(_ESCAPED.pattern).fillna(False).astype(bool)
    return column.where(~marked, column.str.slice(1))
