"""Convert a file, by the meaning of its columns, to answers in the row schema RATINGS, and list every row that is no answer.

``LongTable`` reads the cells as the mapping says; ``ratings.check_table`` checks every answer, and ``report_faults`` says by line
what does not fit and why. Answers whose file gives no ids get version 5 UUIDs (RFC 9562, section 5.5) that depend on
the study, the file's content and the line, so that importing a file twice is importing it once. Nothing is stored here.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
import uuid
from collections import abc
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import LiminalError
from core.studies.exporting.tables import unescape_column
from core.studies.importing import published
from core.studies.importing.mapping import (
    NO,
    YES,
    ColumnMapping,
    MappedField,
    find_missing,
    parse_numbers,
    parse_times,
    parse_truths,
)
from core.studies.importing.reading import ImportedTable, Problems
from core.studies.ratings import (
    RATINGS,
    TASKS,
    TEXT,
    UNKNOWN_TIME,
    check_table,
    check_value,
    describe_fault,
    make_ratings_table,
    map_distinct,
    type_columns,
)
from core.studies.study import Kind, Stimulus

logger = logging.getLogger(__name__)

NAMESPACE = uuid.UUID("6f1f3c1e-2c0e-5d3c-9d0b-3f0f6c1d8a57")
"""Namespace of the UUIDs that are derived."""

UUID_GROUPS = (8, 4, 4, 4, 12)  # hexadecimal digits between the dashes


def derive_identifiers(space: uuid.UUID, names: Iterable[str]) -> pd.Series:
    """``str(uuid.uuid5(space, name))`` for each name, ten times as fast, as tables have millions of rows."""
    start = hashlib.sha1(space.bytes, usedforsecurity=False)
    digests = []
    for name in names:
        digest = start.copy()
        digest.update(name.encode())
        digests.append(digest.digest())
    values = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 20)[:, :16].copy()  # (N, 16)
    values[:, 6] = values[:, 6] & 0x0F | 0x50  # version 5
    values[:, 8] = values[:, 8] & 0x3F | 0x80  # the variant of RFC 9562
    digits = np.frombuffer(values.tobytes().hex().encode(), dtype="S1").reshape(-1, 32)
    text = np.full((len(values), 36), b"-", dtype="S1")
    read = write = 0
    for width in UUID_GROUPS:
        text[:, write : write + width] = digits[:, read : read + width]
        read, write = read + width, write + width + 1
    return pd.Series(text.reshape(-1).view("S36").astype("U36"), dtype=pd.StringDtype(na_value=np.nan))


def normalise_identifier(text: str) -> str | None:
    """A UUID in its usual form, or None for any other text."""
    try:
        return str(uuid.UUID(text.strip()))
    except ValueError:
        return None


def report_faults(
    faults: NDArray[np.object_],
    raw: pd.DataFrame,
    lines: NDArray[np.int64],
    reasons: Mapping[str, Mapping[str, str]],
    problems: Problems,
) -> NDArray[np.bool_]:
    """Add every row with a fault (a column of RATINGS, '' where there is none) to ``problems`` -> which rows these are.

    raw: the same rows as the file has them; reasons: by column, sentences by raw text that stand in for those of FAULTS.
    """
    rows = np.flatnonzero(faults != "")

    def describe(at: int) -> str:
        column = faults[rows[at]]
        cell = raw[column].iloc[int(rows[at])]
        text = cell if isinstance(cell, str) else ""
        if text in reasons.get(column, {}):
            return reasons[column][text]
        return "there is no answer" if column == "value" and not text.strip() else describe_fault(column, text)

    problems.add(lines[rows], describe)
    return np.asarray(faults != "", dtype=bool)


def find_duplicates(
    parsed: pd.DataFrame, lines: NDArray[np.int64], keys: Sequence[str], meaning: str, problems: Problems
) -> NDArray[np.bool_]:
    """Which rows repeat an earlier one in the columns ``keys``; each is added to ``problems`` with the line that it repeats."""
    repeated = parsed.duplicated(list(keys)).to_numpy(dtype=bool)
    if not repeated.any():
        return repeated
    first = parsed.loc[~repeated, list(keys)].assign(first=lines[~repeated])
    repeats = parsed.loc[repeated, list(keys)].merge(first, on=list(keys), how="left")["first"].to_numpy()
    problems.add(lines[repeated], lambda at: f"it holds {meaning} that line {int(repeats[at])} holds already")
    return repeated


FILE_NAME = "{file}"
"""In a constant of a mapping: stands for the file's name without its ending."""

IMAGE_TAG = re.compile(r"""<img[^>]*\bsrc\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)

CHUNK = 500_000
"""Rows that are converted together."""

DEFAULTS = {"source": "human", "presented": "{}", "is_sentinel": "0"}
"""Values of targets that the mapping does not name; the others are empty."""

Piece = tuple[pd.DataFrame, pd.DataFrame, NDArray[np.int64]]
"""(cells as in the file, parsed values with null where a cell is not understood, lines); a row is an answer."""


class LongTable:
    """The answers of a long table, in pieces of CHUNK rows. reasons: by column, why a text of the last piece is not understood."""

    def __init__(
        self,
        imported: ImportedTable,
        mapping: ColumnMapping,
        study: str,
        stimuli: Collection[str] | None,
        pictures: Collection[str],
    ) -> None:
        self.imported, self.mapping, self.study = imported, mapping, study
        self.only_known = stimuli is not None
        self.known = frozenset(pictures if stimuli is None else stimuli)
        included = np.ones(len(imported.frame), dtype=bool)
        for column, allowed in mapping.only.items():
            included &= imported.frame[column].str.strip().isin(allowed).to_numpy(dtype=bool)
        self.frame = imported.frame if included.all() else imported.frame[included].reset_index(drop=True)
        self.lines = imported.lines[included]
        self.notes: list[str] = []
        self.reasons: dict[str, dict[str, str]] = {}
        # What only the whole file shows: day or month first, and the place in a rater's order.
        self._created, self._odd_times, note = parse_times(self._read("created_at", self.frame))
        self.notes += [note] if note and "created_at" in mapping.fields else []
        self._order: NDArray[np.float64] | None = None
        if "trial" not in mapping.fields:
            raters = self._read("rater", self.frame).fillna("")
            self._order = np.asarray(raters.groupby(raters).cumcount(), dtype=np.float64)

    def pieces(self) -> Iterator[Piece]:
        """All answers in the order of the file; the answers of one row follow each other."""
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
        """The answers of one column of answers."""
        raw = pd.DataFrame({name: self._read(name, part) for name in RATINGS if name not in ("task", "value")})
        raw["task"] = self._read("task", part).str.strip().str.lower() if target == "value" else target
        raw["value"] = self._read(target, part)
        raw = raw.astype(TEXT)
        lines, created, odd_times = self.lines[rows], self._created.iloc[rows].reset_index(drop=True), self._odd_times[rows]
        trial, odd = parse_numbers(raw["trial"], self.imported.decimal_comma)
        trial = np.where(odd, np.nan, trial) if self._order is None else self._order[rows]
        parsed = pd.DataFrame(index=raw.index)
        parsed["rating_id"] = self._identifiers(raw, lines)
        parsed["study"] = pd.Series(self.study, index=raw.index, dtype=TEXT)
        parsed["rater"] = raw["rater"]
        none = (
            raw["session"].fillna("") == "" if self.mapping.exported else pd.Series(find_missing(raw["session"]), index=raw.index)
        )
        parsed["session"] = raw["session"].mask(none, "")
        parsed["trial"] = trial
        parsed["stimulus"] = map_distinct(raw["stimulus"], self._stimulus)
        parsed["task"] = raw["task"]
        parsed["value"] = self._values(raw, self.mapping.fields[target])
        reaction, odd = parse_numbers(raw["reaction_time_ms"], self.imported.decimal_comma)
        unit = self.mapping.fields["reaction_time_ms"].unit if "reaction_time_ms" in self.mapping.fields else "ms"
        parsed["reaction_time_ms"] = np.where(odd, -1.0, reaction * (1000.0 if unit == "s" else 1.0))
        parsed["is_sentinel"] = _mask_gaps(*parse_truths(raw["is_sentinel"]))
        parsed["source"] = raw["source"].str.strip().str.lower()
        parsed["presented"] = map_distinct(raw["presented"], _check_json_object)
        parsed["created_at"] = created.where(~created.isna() | odd_times, pd.Timestamp(UNKNOWN_TIME))
        if len(self.mapping.answers()) > 1:  # a row may hold an answer to one task and none to another
            answered = ~find_missing(raw["value"])
            return raw[answered].reset_index(drop=True), parsed[answered].reset_index(drop=True), lines[answered]
        return raw, parsed, lines

    def _read(self, target: str, frame: pd.DataFrame) -> pd.Series:
        """The text of a target, its values translated; its default where the mapping does not name it."""
        field = self.mapping.fields.get(target)
        if field is None or field.column is None:
            constant = DEFAULTS.get(target, "") if field is None else str(field.constant)
            return pd.Series(constant.replace(FILE_NAME, Path(self.imported.name).stem), index=frame.index, dtype=TEXT)
        column = frame[field.column].astype(TEXT)
        if self.mapping.exported:
            return unescape_column(column) if self.imported.kind == "csv" and RATINGS.get(target) == "str" else column
        if field.values:
            return map_distinct(column, lambda text: field.values.get(text.strip().lower(), text))
        return column

    def _stimulus(self, text: str) -> str | None:
        """The stimulus of a cell, also as an HTML image or as a path whose stem is a known name; None for an unknown one."""
        if not self.mapping.exported:
            picture = IMAGE_TAG.search(text)
            text = picture[1] if picture else text.strip()
        if text in self.known:
            return text
        stem = PurePosixPath(text.replace("\\", "/")).stem
        if stem in self.known:
            return stem
        if not self.only_known:
            return text
        self.reasons["stimulus"][text] = f"{NOT_ASKED_ABOUT} '{text[:80]}'"
        return None

    def _values(self, raw: pd.DataFrame, answer: MappedField) -> pd.Series:
        """Answers as ``check_value`` returns them, null where there is none; the reason is noted in ``reasons``."""
        values = pd.Series(np.nan, index=raw.index, dtype=TEXT)
        for task in TASKS:
            of_task = raw["task"] == task
            if of_task.any():
                values[of_task] = map_distinct(raw.loc[of_task, "value"], partial(self._value, task, answer))
        return values

    def _value(self, task: str, answer: MappedField, text: str) -> str | None:
        answer_text = text.strip()
        if not answer_text:
            return None
        try:
            if task == "identity":
                answer_text = "1" if answer_text.lower() in YES else "0" if answer_text.lower() in NO else answer_text
            if task == "similarity":
                answer_text = answer_text.replace(",", ".") if self.imported.decimal_comma else answer_text
                if answer.scale is not None:
                    low, high = answer.scale
                    answer_text = repr((float(answer_text) - low) / (high - low) * 100.0)
            return check_value(task, answer_text)
        except (LiminalError, ValueError) as error:
            self.reasons["value"][text] = str(error).rstrip(".") if isinstance(error, LiminalError) else f"'{text}' is no number"
            return None

    def _identifiers(self, raw: pd.DataFrame, lines: NDArray[np.int64]) -> pd.Series:
        """The file's ids, or ids derived from the study, the file's content and the line alone."""
        if "rating_id" not in self.mapping.fields:
            base = uuid.uuid5(NAMESPACE, f"{self.study}/{self.imported.digest}")
            return derive_identifiers(
                base, (f"{line}/{task}" for line, task in zip(lines.tolist(), raw["task"].tolist(), strict=True))
            )
        identifiers = map_distinct(raw["rating_id"], normalise_identifier)
        if "study" in self.mapping.fields and (elsewhere := raw["study"] != self.study).any():
            self.notes.append("The answers come from a study of another name and get identifiers of their own.")
            base = uuid.uuid5(NAMESPACE, self.study)
            identifiers[elsewhere] = (
                derive_identifiers(base, identifiers[elsewhere].fillna("").tolist())
                .mask(identifiers[elsewhere].isna().to_numpy())
                .to_numpy()
            )
        return identifiers


def _mask_gaps(values: NDArray[np.bool_], gaps: NDArray[np.bool_]) -> pd.Series:
    return pd.Series(pd.array(values, dtype="boolean")).mask(gaps)


def _check_json_object(text: str) -> str | None:
    if not text.strip():
        return "{}"
    try:
        return text if isinstance(json.loads(text), dict) else None
    except (ValueError, RecursionError):
        return None


NOT_ASKED_ABOUT = "the study asks about no picture"

MAX_EXAMPLES = 1000
"""Different answers that are not understood, remembered for the error where none is understood."""


@dataclass(frozen=True)
class ConvertedAnswers:
    """The answers of a file; nothing is stored yet.

    ratings: the valid rows, typed as RATINGS; stimuli: in order of appearance (of a wide table with their published means, see
    ``published``); problems: the other rows; rows: the number of all rows; kind: of a study that can hold these answers.
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
        """Raises LiminalError where any row has a problem: a file is imported whole or not at all."""
        if self.problems.total:
            first = next(iter(self.problems))
            raise LiminalError(
                f"{self.problems.total:,} of {self.rows:,} rows cannot be taken (first: line {first.line}, {first.reason}), so "
                "nothing was imported; correct the file or what its columns mean, or leave these rows out on purpose."
            )


def convert_table(
    imported: ImportedTable,
    mapping: ColumnMapping,
    study: str,
    *,
    kind: Kind | None = None,
    stimuli: Collection[str] | None = None,
    pictures: Collection[str] = (),
) -> ConvertedAnswers:
    """Read the cells as the mapping says -> ConvertedAnswers. Nothing is stored.

    kind: of the study, where it exists already; stimuli: of the study, where it exists already: answers about others are problems;
    pictures: further known names (the library's). A path such as images/<id>.png stands for the id where that is known. The file's
    ids are used where it names the same study; else they are derived from the file's content and the line (uuid5), so that
    importing a file twice is importing it once. Raises LiminalError where the mapping does not fit the file, or no answer does.
    """
    start, frame, study = time.monotonic(), imported.frame, study.strip()
    mapping.check(list(frame.columns))
    problems = Problems(list(imported.problems.listed), imported.problems.lines)
    rows = len(frame) + imported.problems.total
    if mapping.layout == "wide":
        pairs = published.read_published_pairs(imported, mapping, problems)
        if kind == "emotion":
            raise LiminalError("These are means of similarity and identity, but the study is about emotions; choose another study.")
        return ConvertedAnswers(
            study,
            "identity",
            make_ratings_table([]),
            tuple(pairs),
            problems,
            rows,
            _wide_notes(mapping),
            published=True,
        )
    answers = LongTable(imported, mapping, study, stimuli, pictures)
    good, places, examples, understood = [], [], dict[str, str](), False
    for raw, parsed, lines in answers.pieces():
        understood = understood or bool(parsed["value"].notna().any())
        examples |= dict(list(answers.reasons["value"].items())[: MAX_EXAMPLES - len(examples)])
        checked, faults = check_table(parsed)
        bad = report_faults(faults, raw, lines, answers.reasons, problems)
        good.append(type_columns(checked[~bad]))
        places.append(lines[~bad])
    if not understood:
        raise _no_answers_error(examples, mapping)
    ratings, lines = pd.concat(good, ignore_index=True), np.concatenate(places)
    once = ["rater", "stimulus", "task", *(["trial"] if "trial" in mapping.fields else [])]
    for keys, meaning in ((["rating_id"], "the identifier"), (once, "an answer of the same person to the same picture")):
        repeated = find_duplicates(ratings, lines, keys, meaning, problems)
        if repeated.any():
            ratings, lines = ratings[~repeated], lines[~repeated]
    if problems.total:  # a row is taken whole or not at all
        ratings = ratings[~np.isin(lines, problems.lines)]
    ratings = ratings.reset_index(drop=True)
    seconds = time.monotonic() - start
    logger.info("import of %s: %d rows taken, %d rejected in %.1f s", imported.kind, rows - problems.total, problems.total, seconds)
    return ConvertedAnswers(
        study, _find_kind(ratings, kind), ratings, _find_stimuli(ratings), problems, rows, tuple(dict.fromkeys(answers.notes))
    )


def _no_answers_error(examples: abc.Mapping[str, str], mapping: ColumnMapping) -> LiminalError:
    """The error where no answer of the file is understood: then the mapping is wrong, not the rows."""
    if not examples:
        return LiminalError("No row of the file holds an answer; look which column does, and which rows are kept.")
    texts = list(examples)
    if "emotion" in mapping.fields and all(text.strip().isdigit() for text in texts):
        listed = ", ".join(sorted(texts, key=int)[:10])
        return LiminalError(
            f"The answers are numbers ({listed}), which are no emotions; if each stands for one, say which, and if they are digits "
            "that people recognised (as in variMNIST), they cannot be studied as emotions."
        )
    return LiminalError(f"No answer can be taken: {examples[texts[0]]}; say what the file's answers mean.")


def _find_kind(ratings: pd.DataFrame, wanted: Kind | None) -> Kind:
    tasks = set(ratings["task"].unique())
    if len(tasks) > 1 and not tasks <= {"similarity", "identity"}:
        raise LiminalError(
            "The file holds answers about emotions and about identity, or to other questions; a study asks one: split the file."
        )
    if tasks <= {"label", "scale"} and tasks:  # asked about single faces, and about pairs
        return wanted or "emotion"
    kind: Kind = "emotion" if tasks == {"emotion"} else "identity"
    if wanted is not None and tasks and kind != wanted:
        raise LiminalError(f"The file's answers are about {kind}, but the study asks about {wanted}; choose another study.")
    return wanted or kind


def _find_stimuli(ratings: pd.DataFrame) -> tuple[Stimulus, ...]:
    checks = ratings.groupby("stimulus", sort=False)["is_sentinel"].any()
    return tuple(Stimulus(str(name), (), is_sentinel=bool(check)) for name, check in checks.items())


def _wide_notes(mapping: ColumnMapping) -> tuple[str, ...]:
    notes = ["The file holds means over people: they are shown as published, and no single answers are made up from them."]
    if "people" not in mapping.fields:
        notes.append("It does not say over how many people, so that no interval can be given.")
    return tuple(notes)
