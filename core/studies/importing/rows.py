"""The cells of a long table as the mapping says: what the file holds, and what it means where that is understood."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import LiminalError
from core.studies.exporting.safe_cells import unescaped
from core.studies.importing.cells import NO, UNKNOWN_TIME, YES, missing, numbers, times, truths
from core.studies.importing.identifiers import NAMESPACE, derived, identifier
from core.studies.importing.mapping import Field, Mapping
from core.studies.importing.reading import Imported
from core.studies.importing.validation import checked
from core.studies.ratings import RATINGS, TASKS, checked_value

FILE = "{file}"
"""As a constant: the file's name without its ending."""

IMAGE = re.compile(r"""<img[^>]*\bsrc\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)

TEXT = pd.StringDtype(na_value=np.nan)

CHUNK = 500_000
"""Rows that are looked at together."""

DEFAULTS = {"source": "human", "presented": "{}", "is_sentinel": "0"}
"""Of what no column and no constant says; nothing for the rest."""

Piece = tuple[pd.DataFrame, pd.DataFrame, NDArray[np.int64]]
"""(cells as the file has them, what they mean with null for what is not understood, lines), a row an answer."""


class Answers:
    """The answers of a long table, in pieces of CHUNK rows. reasons: by column, why a text of the last piece means nothing."""

    def __init__(
        self, imported: Imported, mapping: Mapping, study: str, stimuli: Collection[str] | None, pictures: Collection[str]
    ) -> None:
        self.imported, self.mapping, self.study = imported, mapping, study
        self.only_known = stimuli is not None
        self.known = frozenset(pictures if stimuli is None else stimuli)
        kept = np.ones(len(imported.frame), dtype=bool)
        for column, allowed in mapping.only.items():
            kept &= imported.frame[column].str.strip().isin(allowed).to_numpy(dtype=bool)
        self.frame = imported.frame if kept.all() else imported.frame[kept].reset_index(drop=True)
        self.lines = imported.lines[kept]
        self.notes: list[str] = []
        self.reasons: dict[str, dict[str, str]] = {}
        # What only the whole file shows: day or month first, and the place in a rater's order.
        self._created, self._odd_times, note = times(self._read("created_at", self.frame))
        self.notes += [note] if note and "created_at" in mapping.fields else []
        self._order: NDArray[np.float64] | None = None
        if "trial" not in mapping.fields:
            raters = self._read("rater", self.frame).fillna("")
            self._order = np.asarray(raters.groupby(raters).cumcount(), dtype=np.float64)

    def pieces(self) -> Iterator[Piece]:
        """All answers in the order of the file; the answers of one row stand together."""
        for start in range(0, len(self.frame), CHUNK):
            rows = slice(start, start + CHUNK)
            self.reasons = {"value": {}, "stimulus": {}}
            part = self.frame.iloc[rows].reset_index(drop=True)
            blocks = [self._block(part, rows, target) for target in self.mapping.answers()]
            if len(blocks) == 1:
                yield blocks[0]
                continue
            lines = np.concatenate([block[2] for block in blocks])
            order = np.argsort(lines, kind="stable")
            raw, parsed = pd.concat([block[0] for block in blocks]), pd.concat([block[1] for block in blocks])
            yield raw.iloc[order].reset_index(drop=True), parsed.iloc[order].reset_index(drop=True), lines[order]

    def _block(self, part: pd.DataFrame, rows: slice, target: str) -> Piece:
        """The answers of one column."""
        raw = pd.DataFrame({name: self._read(name, part) for name in RATINGS if name not in ("task", "value")})
        raw["task"] = self._read("task", part).str.strip().str.lower() if target == "value" else target
        raw["value"] = self._read(target, part)
        raw = raw.astype(TEXT)
        lines, created, odd_times = self.lines[rows], self._created.iloc[rows].reset_index(drop=True), self._odd_times[rows]
        trial, odd = numbers(raw["trial"], self.imported.decimal_comma)
        trial = np.where(odd, np.nan, trial) if self._order is None else self._order[rows]
        parsed = pd.DataFrame(index=raw.index)
        parsed["rating_id"] = self._identifiers(raw, lines)
        parsed["study"] = pd.Series(self.study, index=raw.index, dtype=TEXT)
        parsed["rater"] = self._names(raw["rater"], "rater")
        none = raw["session"].fillna("") == "" if self.mapping.exported else pd.Series(missing(raw["session"]), index=raw.index)
        parsed["session"] = self._names(raw["session"].mask(none, "-"), "session").mask(none, "")
        parsed["trial"] = trial
        parsed["stimulus"] = self._names(_mapped(raw["stimulus"], self._stimulus), "stimulus")
        parsed["task"] = raw["task"].where(raw["task"].isin(TASKS))
        parsed["value"] = self._values(raw, self.mapping.fields[target])
        reaction, odd = numbers(raw["reaction_time_ms"], self.imported.decimal_comma)
        unit = self.mapping.fields["reaction_time_ms"].unit if "reaction_time_ms" in self.mapping.fields else "ms"
        parsed["reaction_time_ms"] = np.where(odd, -1.0, reaction * (1000.0 if unit == "s" else 1.0))
        parsed["is_sentinel"] = _with_gaps(*truths(raw["is_sentinel"]))
        parsed["source"] = raw["source"].str.strip().str.lower()
        parsed["presented"] = _mapped(raw["presented"], _json_object)
        parsed["created_at"] = created.where(~created.isna() | odd_times, pd.Timestamp(UNKNOWN_TIME))
        if len(self.mapping.answers()) > 1:  # a row may hold an answer to one task and none to another
            held = ~missing(raw["value"])
            return raw[held].reset_index(drop=True), parsed[held].reset_index(drop=True), lines[held]
        return raw, parsed, lines

    def _read(self, target: str, frame: pd.DataFrame) -> pd.Series:
        """The text of a target, its values translated; a default where nothing is said of it."""
        field = self.mapping.fields.get(target)
        if field is None or field.column is None:
            constant = DEFAULTS.get(target, "") if field is None else str(field.constant)
            return pd.Series(constant.replace(FILE, Path(self.imported.name).stem), index=frame.index, dtype=TEXT)
        column = frame[field.column].astype(TEXT)
        if self.mapping.exported:
            return unescaped(column) if self.imported.kind == "csv" and RATINGS.get(target) == "str" else column
        if field.values:
            return _mapped(column, lambda text: field.values.get(text.strip().lower(), text))
        return column

    def _names(self, column: pd.Series, meaning: str) -> pd.Series:
        """Names as the store keeps them."""
        return _mapped(column, lambda text: checked(meaning, text))

    def _stimulus(self, text: str) -> str | None:
        """The source of an HTML picture; of a path its last part where only that is known."""
        if not self.mapping.exported:
            picture = IMAGE.search(text)
            text = picture[1] if picture else text.strip()
        if text in self.known:
            return text
        stem = PurePosixPath(text.replace("\\", "/")).stem
        if stem in self.known:
            return stem
        if not self.only_known:
            return text
        self.reasons["stimulus"][text] = f"the study asks about no picture '{text[:80]}'"
        return None

    def _values(self, raw: pd.DataFrame, answer: Field) -> pd.Series:
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
            if task == "identity":
                said = "1" if said.lower() in YES else "0" if said.lower() in NO else said
            if task == "similarity":
                said = said.replace(",", ".") if self.imported.decimal_comma else said
                if answer.scale is not None:
                    low, high = answer.scale
                    said = repr((float(said) - low) / (high - low) * 100.0)
            return checked_value(task, said)
        except (LiminalError, ValueError) as error:
            self.reasons["value"][text] = str(error).rstrip(".") if isinstance(error, LiminalError) else f"'{text}' is no number"
            return None

    def _identifiers(self, raw: pd.DataFrame, lines: NDArray[np.int64]) -> pd.Series:
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
