"""What the columns of a file mean, guessed from their names and from what they hold, each guess with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.studies.importing.cells import numbers, times, truths
from core.studies.importing.jspsych import PERSON
from core.studies.importing.mapping import Field, Mapping
from core.studies.importing.presets import PRESETS
from core.studies.importing.spellings import EMOTION_WORDS, IDENTITY_WORDS, NAMES, normal

SAMPLE = 5000
"""Rows that are looked at."""

SURE, LIKELY, POSSIBLE = 0.95, 0.75, 0.5

LONG_TARGETS = (
    "rater", "stimulus", "emotion", "identity", "similarity", "reaction_time_ms", "trial", "session", "is_sentinel",
    "created_at", "rating_id",
)  # fmt: skip

SCALES = ((0.0, 1.0), (1.0, 5.0), (1.0, 7.0), (1.0, 9.0), (0.0, 10.0), (1.0, 10.0), (0.0, 100.0))
"""Ends of scales that are in use; the first that holds all values of a column is taken."""

PHASES = ("task", "phase", "trialpart", "part", "trialname", "name", "trialtype", "screen")
"""Columns in which experiments say what a row is: the cross, the picture, the answer."""


@dataclass(frozen=True)
class FieldGuess:
    """One guess. confidence: 0 to 1; reason: for people, half a sentence."""

    target: str
    column: str  # '' for a constant
    confidence: float
    reason: str


@dataclass(frozen=True)
class Guess:
    """The mapping that looks right; preset: the known form that the table has, '' for none."""

    mapping: Mapping
    preset: str
    fields: tuple[FieldGuess, ...]


def guess(frame: pd.DataFrame, form: str | None = None) -> Guess:
    """What the columns of a table of text (``reading.Imported.frame``) mean. Never raises: what is unclear is left out.

    form: the name of the preset that the table is said to have, which is then not questioned.
    """
    head = frame.head(SAMPLE).reset_index(drop=True)
    columns = list(head.columns)
    for name, preset in PRESETS.items():
        mapping = preset.mapping(columns)
        if mapping is None or form not in (None, name):
            continue
        if form is None and mapping.layout == "wide" and not _looks_wide(head, mapping):
            continue
        if mapping.exported:
            exported = tuple(FieldGuess(target, target, 1.0, "the column of an export") for target in mapping.fields)
            return Guess(mapping, name, exported)
        return _finished(head, mapping, name, dict.fromkeys(mapping.fields, f"the usual column of: {preset.title}"))
    found: dict[str, Field] = {}
    reasons: dict[str, str] = {}
    candidates = [(*_score(head, column, target), target, column) for target in LONG_TARGETS for column in columns]
    for score, reason, target, column in sorted(candidates, key=lambda each: -each[0]):
        taken = any(column == field.column for field in found.values())
        if score >= POSSIBLE and target not in found and not taken:
            found[target], reasons[target] = Field(column=column), reason
    return _finished(head, Mapping(found), "", reasons)


def _finished(head: pd.DataFrame, mapping: Mapping, preset: str, reasons: dict[str, str]) -> Guess:
    """Words, scales and units that the values show, the rows that are answers, and who answered where nothing says so."""
    if mapping.layout == "long" and "emotion" in mapping.fields:
        mapping = replace(mapping, only=_only(head, mapping.fields["emotion"]))
    fields, guesses = dict(mapping.fields), []
    rows = np.ones(len(head), dtype=bool)
    for column, allowed in mapping.only.items():
        rows &= head[column].isin(allowed).to_numpy(dtype=bool)
        reasons["only"] = f"only rows with '{', '.join(allowed)}' in '{column}' hold answers"
    for target, field in mapping.fields.items():
        assert field.column is not None
        cells = head.loc[rows, field.column]
        fields[target], more = _refined(cells, target, field, mapping.layout)
        confidence = max(_score(head[rows], field.column, target)[0], SURE if preset and target not in ("emotion",) else 0.0)
        guesses.append(FieldGuess(target, field.column, confidence, reasons[target] + more))
    if mapping.layout == "long" and "rater" not in fields and fields:
        constant = PERSON in head.columns
        fields["rater"] = Field(column=PERSON) if constant else Field(constant="{file}")
        reason = "one list of trials a person" if constant else "no column says who answered: the file is taken as one person's"
        guesses.append(FieldGuess("rater", PERSON if constant else "", POSSIBLE, reason))
    if "only" in reasons:
        guesses.append(FieldGuess("only", next(iter(mapping.only)), LIKELY, reasons["only"]))
    return Guess(replace(mapping, fields=fields), preset, tuple(guesses))


def _score(head: pd.DataFrame, column: str, target: str) -> tuple[float, str]:
    """How sure a column is a target, and why."""
    name, wanted = normal(column), NAMES[target]
    exact, part = name in wanted, any(len(each) > 3 and each in name for each in wanted)
    fits, meaning = _fits(head[column], target)
    telling = target in ("emotion", "rating_id", "created_at")
    if exact and fits:
        return SURE - 0.001 * wanted.index(name), f"its name is usual and {meaning}"
    if part and fits:
        return LIKELY, f"its name says so and {meaning}"
    if telling and fits:
        return POSSIBLE + 0.1, meaning
    if exact and target in ("emotion", "rater", "stimulus"):
        return POSSIBLE, "its name is usual, but its values have to be explained"
    return 0.0, ""


def _fits(column: pd.Series, target: str) -> tuple[bool, str]:
    """Whether a column holds what a target could, and what was seen."""
    cells = column.dropna()
    cells = cells[cells.str.strip() != ""]
    if cells.empty:
        return False, ""
    lower = cells.str.strip().str.lower()
    if target == "emotion":
        share = float(lower.isin(EMOTION_WORDS).mean())
        return share >= 0.5 or (share > 0 and lower.nunique() > 20), f"{share:.0%} of its cells are words for the six emotions"
    if target == "identity":
        return bool(lower.isin(IDENTITY_WORDS).all()), "it holds yes and no"
    if target == "is_sentinel":
        return not truths(cells)[1].any(), "it holds yes and no"
    if target == "created_at":
        worded = not pd.to_numeric(cells, errors="coerce").notna().any() or float(numbers(cells)[0].min()) > 1e9
        return worded and not times(cells)[1].any(), "it holds points in time"
    if target == "rating_id":
        return bool(lower.str.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").all()), "every cell is an identifier"
    if target in ("rater", "stimulus", "session"):
        return True, f"it holds {lower.nunique():,} different names"
    values, odd = numbers(cells, decimal_comma=True)
    if odd.any():
        return False, ""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    span = f"its numbers run from {low:g} to {high:g}"
    if target == "similarity":
        return low >= 0 and 1 <= high <= 100, span
    if target == "trial":
        return low >= 0 and bool((values % 1 == 0).all()), span
    return low >= 0, span  # reaction times


def _refined(cells: pd.Series, target: str, field: Field, layout: str) -> tuple[Field, str]:
    present = cells.dropna().str.strip()
    present = present[present != ""]
    if target == "emotion":
        words = {text: EMOTION_WORDS[text] for text in present.str.lower().unique() if EMOTION_WORDS.get(text, text) != text}
        return replace(field, values=words), ""
    values, odd = numbers(present, decimal_comma=True)
    if not len(values) or odd.all():
        return field, ""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if target == "similarity":
        scale = next(((first, last) for first, last in SCALES if first <= low and high <= last), None)
        if scale is None or scale == (0.0, 100.0):
            return field, ""
        return replace(field, scale=scale), f"; {scale[0]:g} becomes 0 and {scale[1]:g} becomes 100"
    if target == "reaction_time_ms":
        name = normal(field.column or "")
        seconds = not name.endswith("ms") and float(np.nanmedian(values)) < 30
        return replace(field, unit="s" if seconds else "ms"), "; taken as seconds" if seconds else "; taken as milliseconds"
    return field, ""


def _only(head: pd.DataFrame, answer: Field) -> dict[str, tuple[str, ...]]:
    """Which rows are answers, where a column tells them from crosses and pictures; nothing where all rows are."""
    held = head[answer.column].str.strip().str.lower().isin(EMOTION_WORDS)
    if held.all() or not held.any():
        return {}
    for column in head.columns:
        if normal(column) in PHASES and head[column].nunique() <= 50:
            shares = held.groupby(head[column].str.strip()).mean()
            answers = tuple(str(name) for name in shares.index[shares >= 0.5])
            if answers and (shares[shares < 0.5] < 0.1).all() and len(answers) < len(shares):
                return {column: answers}
    return {}


def _looks_wide(head: pd.DataFrame, mapping: Mapping) -> bool:
    """Means, not answers: they say over how many people, or are shares between no and yes, or no pair is there twice."""
    if "people" in mapping.fields:
        return True
    if "identity" in mapping.fields:
        values, _ = numbers(head[mapping.fields["identity"].column].str.replace("%", "", regex=False), decimal_comma=True)
        if ((values > 0) & (values != 1)).any():
            return True
    field = mapping.fields.get("stimulus")
    return field is None or not head[field.column].duplicated().any()
