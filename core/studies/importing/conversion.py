"""A file and what its columns mean -> answers in the one row schema, and every row that cannot be one."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import LiminalError
from core.studies.exporting.safe_cells import unescaped
from core.studies.importing import published
from core.studies.importing.cells import UNKNOWN_TIME, missing, numbers, times, truths
from core.studies.importing.identifiers import NAMESPACE, derived, identifier
from core.studies.importing.mapping import Field, Mapping
from core.studies.importing.problems import Problems
from core.studies.importing.reading import Imported
from core.studies.importing.validation import checked, duplicates, failures
from core.studies.ratings import RATINGS, TASKS, checked_value, table, typed
from core.studies.study import Kind, Stimulus

FILE = "{file}"
"""As a constant: the file's name without its ending."""

IMAGE = re.compile(r"""<img[^>]*\bsrc\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)

TEXT = pd.StringDtype(na_value=np.nan)


@dataclass(frozen=True)
class Converted:
    """What a file comes to. Nothing is stored yet.

    ratings: the good rows, typed as RATINGS; stimuli: what they are about, in order of appearance (of a wide table with their
    published means, see ``published``); problems: the other rows; rows: all that were looked at; kind: of the study that fits.
    """

    study: str
    kind: Kind
    ratings: pd.DataFrame
    stimuli: tuple[Stimulus, ...]
    problems: Problems
    rows: int
    notes: tuple[str, ...] = ()
    published: bool = field(default=False)  # means instead of answers

    def check(self) -> None:
        """Raises LiminalError where any row has a problem: nothing is half-imported."""
        if self.problems.total:
            first = next(iter(self.problems))
            raise LiminalError(
                f"{self.problems.total:,} of {self.rows:,} rows cannot be taken (first: line {first.line}, {first.reason}), so "
                "nothing was imported; correct the file or what its columns mean, or leave these rows out on purpose."
            )


def convert(
    imported: Imported,
    mapping: Mapping,
    study: str,
    *,
    kind: Kind | None = None,
    stimuli: Collection[str] | None = None,
    pictures: Collection[str] = (),
) -> Converted:
    """Read the cells as the mapping says -> Converted. Pure: nothing is stored.

    kind: of the study that exists already; stimuli: the only ones that may be answered about (a study that exists); pictures: names
    that are known otherwise (the library's). A path such as images/<id>.png stands for the id where that is known.
    Ids that the file gives are kept while it names the same study; else they are derived
    from the file's content and the line (uuid5), so that importing a file twice is importing it once.
    Raises LiminalError where the mapping does not fit the file, or no answer of it does.
    """
    frame = imported.frame
    mapping.check(list(frame.columns))
    problems = Problems(list(imported.problems.listed), imported.problems.lines)
    rows = len(frame) + imported.problems.total
    if mapping.layout == "wide":
        made = published.pairs(imported, mapping, problems)
        if kind == "emotion":
            raise LiminalError("These are means of similarity and identity, but the study is about emotions; choose another study.")
        return Converted(study, "identity", table([]), tuple(made), problems, rows, _wide_notes(mapping), published=True)
    kept = np.ones(len(frame), dtype=bool)
    for column, allowed in mapping.only.items():
        kept &= frame[column].str.strip().isin(allowed).to_numpy(dtype=bool)
    source = _Source(imported, mapping, study, frame[kept].reset_index(drop=True), imported.lines[kept])
    blocks = [source.block(target, stimuli, pictures) for target in mapping.answers()]
    raw = pd.concat([block[0] for block in blocks], ignore_index=True)
    parsed = pd.concat([block[1] for block in blocks], ignore_index=True)
    lines = np.concatenate([block[2] for block in blocks])
    if len(blocks) > 1:  # the answers of one row stand together
        order = np.argsort(lines, kind="stable")
        raw, parsed, lines = raw.iloc[order].reset_index(drop=True), parsed.iloc[order].reset_index(drop=True), lines[order]
    _check_any(parsed, raw, source)
    bad = failures(parsed, raw, lines, source.reasons, problems)
    parsed, lines = parsed[~bad], lines[~bad]
    for keys, meaning in ((["rating_id"], "the identifier"), (source.once, "an answer of the same person to the same picture")):
        twice = duplicates(parsed, lines, keys, meaning, problems)
        parsed, lines = parsed[~twice], lines[~twice]
    ratings = typed(parsed[~np.isin(lines, problems.lines)])  # a row is taken whole or not at all
    return Converted(study, _kind(ratings, kind), ratings, _stimuli(ratings), problems, rows, tuple(dict.fromkeys(source.notes)))


class _Source:
    """The rows of a long table that are answers, and what was found out about them."""

    def __init__(self, imported: Imported, mapping: Mapping, study: str, frame: pd.DataFrame, lines: NDArray[np.int64]) -> None:
        self.imported, self.mapping, self.study, self.frame, self.lines = imported, mapping, study, frame, lines
        self.notes: list[str] = []
        self.reasons: dict[str, dict[str, str]] = {"value": {}, "stimulus": {}}
        self.once = ["rater", "stimulus", "task", *(["trial"] if "trial" in mapping.fields else [])]
        self._cells: dict[str, pd.Series] = {}

    def block(
        self, target: str, stimuli: Collection[str] | None, pictures: Collection[str]
    ) -> tuple[pd.DataFrame, pd.DataFrame, NDArray[np.int64]]:
        """(cells as the file has them, what they mean with null for what is not understood, lines) for one column of answers."""
        column = self.cells(target)
        rows = np.ones(len(column), dtype=bool)
        if len(self.mapping.answers()) > 1:  # a row may hold an answer to one task and none to another
            rows = ~missing(column)
        task = self.cells("task").str.strip().str.lower() if target == "value" else self.constant(target)
        raw = pd.DataFrame({name: self.cells(name) for name in RATINGS if name not in ("task", "value")})
        raw["task"], raw["value"] = task, column
        raw = raw[rows].reset_index(drop=True)
        lines = self.lines[rows]
        decimal_comma = self.imported.decimal_comma
        parsed = pd.DataFrame(index=raw.index)
        parsed["rater"] = self.name(raw["rater"], "rater")
        none = raw["session"].fillna("") == "" if self.mapping.exported else pd.Series(missing(raw["session"]), index=raw.index)
        parsed["session"] = self.name(raw["session"].mask(none, "-"), "session").mask(none, "")
        parsed["stimulus"] = self.name(self.stimulus(raw["stimulus"], stimuli, pictures), "stimulus")
        parsed["task"] = raw["task"].where(raw["task"].isin(TASKS))
        parsed["value"] = self.value(raw, self.mapping.fields[target])
        parsed["is_sentinel"] = _with_gaps(*truths(raw["is_sentinel"]))
        reaction, odd = numbers(raw["reaction_time_ms"], decimal_comma)
        unit = self.mapping.fields["reaction_time_ms"].unit if "reaction_time_ms" in self.mapping.fields else "ms"
        parsed["reaction_time_ms"] = np.where(odd, -1.0, reaction * (1000.0 if unit == "s" else 1.0))
        parsed["source"] = raw["source"].str.strip().str.lower()
        parsed["presented"] = _mapped(raw["presented"], _json_object)
        created, odd, note = times(raw["created_at"])
        parsed["created_at"] = created.where(~created.isna() | odd, pd.Timestamp(UNKNOWN_TIME))
        self.notes += [note] if note and "created_at" in self.mapping.fields else []
        trial, odd = numbers(raw["trial"], decimal_comma)
        if "trial" not in self.mapping.fields:
            trial = np.asarray(self.frame.groupby(self.cells("rater").fillna("")).cumcount(), dtype=np.float64)[rows]
        parsed["trial"] = np.where(odd, np.nan, trial)
        parsed["rating_id"] = self.identifier(raw, lines)
        return raw, parsed.assign(study=self.study), lines

    def cells(self, target: str) -> pd.Series:
        """The text of a target, its values translated; a default where nothing is said of it."""
        if target not in self._cells:
            self._cells[target] = self._read(target)
        return self._cells[target]

    def _read(self, target: str) -> pd.Series:
        field = self.mapping.fields.get(target)
        if field is None:
            return self.constant({"source": "human", "presented": "{}", "is_sentinel": "0"}.get(target, ""))
        if field.column is None:
            return self.constant(str(field.constant).replace(FILE, Path(self.imported.name).stem))
        column = self.frame[field.column].astype(TEXT)
        if self.mapping.exported:
            return unescaped(column) if self.imported.kind == "csv" and RATINGS.get(target) == "str" else column
        if field.values:
            return _mapped(column, lambda text: field.values.get(text.strip().lower(), text))
        return column

    def constant(self, text: str) -> pd.Series:
        """The same text in every row."""
        return pd.Series(text, index=self.frame.index, dtype=TEXT)

    def name(self, column: pd.Series, meaning: str) -> pd.Series:
        """Names as the store keeps them; our own export holds them so already, and a space there is a fault."""
        return _mapped(column, lambda text: checked(meaning, text))

    def stimulus(self, column: pd.Series, stimuli: Collection[str] | None, pictures: Collection[str]) -> pd.Series:
        """Names of stimuli: the source of an HTML picture; of a path its last part where only that is known."""
        known = frozenset(pictures if stimuli is None else stimuli)

        def meant(text: str) -> str | None:
            if not self.mapping.exported:
                picture = IMAGE.search(text)
                text = picture[1] if picture else text.strip()
            stem = PurePosixPath(text.replace("\\", "/")).stem
            if stimuli is None or text in known or stem in known:
                return stem if text not in known and stem in known else text
            self.reasons["stimulus"][text] = f"the study asks about no picture '{text[:80]}'"
            return None

        return _mapped(column, meant)

    def value(self, raw: pd.DataFrame, answer: Field) -> pd.Series:
        """Answers in the contract's form; why one is none is kept in ``reasons``."""
        made = pd.Series(np.nan, index=raw.index, dtype=TEXT)
        for task in TASKS:
            of_task = raw["task"] == task
            if of_task.any():
                made[of_task] = _mapped(raw.loc[of_task, "value"], partial(self._value, task, answer))
        return made

    def _value(self, task: str, answer: Field, text: str) -> str | None:
        said = text.strip()
        if not said:
            return None
        try:
            if task == "identity" and not self.mapping.exported:
                yes, odd = truths(pd.Series([said], dtype=TEXT))
                said = said if odd[0] else "1" if yes[0] else "0"
            if task == "similarity":
                said = said.replace(",", ".") if self.imported.decimal_comma else said
                if answer.scale is not None:
                    low, high = answer.scale
                    said = repr((float(said) - low) / (high - low) * 100.0)
            return checked_value(task, said)
        except (LiminalError, ValueError) as error:
            self.reasons["value"][text] = str(error).rstrip(".") if isinstance(error, LiminalError) else f"'{text}' is no number"
            return None

    def identifier(self, raw: pd.DataFrame, lines: NDArray[np.int64]) -> pd.Series:
        """The file's ids, or ids that depend on the study, the file's content and the line alone."""
        if "rating_id" not in self.mapping.fields:
            base = uuid.uuid5(NAMESPACE, f"{self.study}/{self.imported.digest}")
            return derived(base, (f"{line}/{task}" for line, task in zip(lines.tolist(), raw["task"].tolist(), strict=True)))
        kept = _mapped(raw["rating_id"], identifier)
        if "study" in self.mapping.fields and (elsewhere := raw["study"] != self.study).any():
            self.notes.append("The answers come from a study of another name and get identifiers of their own.")
            base = uuid.uuid5(NAMESPACE, self.study)
            kept[elsewhere] = derived(base, kept[elsewhere].fillna("").tolist()).mask(kept[elsewhere].isna().to_numpy()).to_numpy()
        return kept


def _mapped(column: pd.Series, change: Callable[[str], str | None]) -> pd.Series:
    """``change`` for every text of a column, worked out once for each that occurs; missing cells stay missing."""
    codes, different = pd.factorize(column)
    changed = pd.array([*(change(text) for text in different), None], dtype=TEXT)
    return pd.Series(changed.take(codes), index=column.index)  # code -1, a missing cell, takes the last one


def _with_gaps(values: NDArray[np.bool_], gaps: NDArray[np.bool_]) -> pd.Series:
    return pd.Series(pd.array(values, dtype="boolean")).mask(gaps)


def _json_object(text: str) -> str | None:
    if not text.strip():
        return "{}"
    try:
        return text if isinstance(json.loads(text), dict) else None
    except (ValueError, RecursionError):
        return None


def _check_any(parsed: pd.DataFrame, raw: pd.DataFrame, source: _Source) -> None:
    """Raises LiminalError with one sentence where no answer at all is one: the mapping is wrong then, not the rows."""
    if parsed.empty:
        raise LiminalError("No row of the file holds an answer; look which column does, and which rows are kept.")
    if parsed["value"].notna().any() or not source.reasons["value"]:
        return
    found = list(source.reasons["value"])
    if all(text.strip().isdigit() for text in found) and (raw["task"] == "emotion").all():
        shown = ", ".join(sorted(found, key=int)[:10])
        raise LiminalError(
            f"The answers are numbers ({shown}), which are no emotions; if each stands for one, say which, and if they are digits "
            "that people recognised (as in variMNIST), they cannot be studied as emotions."
        )
    raise LiminalError(f"No answer can be taken: {source.reasons['value'][found[0]]}; say what the file's answers mean.")


def _kind(ratings: pd.DataFrame, wanted: Kind | None) -> Kind:
    tasks = set(ratings["task"].unique())
    if {"emotion"} < tasks:
        raise LiminalError(
            "The file holds answers about emotions and about identity; a study asks about one of them: split the file."
        )
    found: Kind = "emotion" if tasks == {"emotion"} else "identity"
    if wanted is not None and tasks and found != wanted:
        raise LiminalError(f"The file's answers are about {found}, but the study asks about {wanted}; choose another study.")
    return wanted or found


def _stimuli(ratings: pd.DataFrame) -> tuple[Stimulus, ...]:
    checks = ratings.groupby("stimulus", sort=False)["is_sentinel"].any()
    return tuple(Stimulus(str(name), (), is_sentinel=bool(check)) for name, check in checks.items())


def _wide_notes(mapping: Mapping) -> tuple[str, ...]:
    notes = ["The file holds means over people: they are shown as published, and no single answers are made up from them."]
    if "people" not in mapping.fields:
        notes.append("It does not say over how many people, so that no interval can be given.")
    return tuple(notes)
