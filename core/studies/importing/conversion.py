"""A file and what its columns mean -> answers in the one row schema, and every row that cannot be one."""

from __future__ import annotations

from collections import abc
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core.errors import LiminalError
from core.studies.importing import published
from core.studies.importing.mapping import Mapping
from core.studies.importing.problems import Problems
from core.studies.importing.reading import Imported
from core.studies.importing.rows import Answers
from core.studies.importing.validation import duplicates, failures
from core.studies.ratings import table, typed
from core.studies.study import Kind, Stimulus

EXAMPLES = 1000
"""Different answers that mean nothing, kept to say what is wrong where none means anything."""


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
    frame, study = imported.frame, study.strip()
    mapping.check(list(frame.columns))
    problems = Problems(list(imported.problems.listed), imported.problems.lines)
    rows = len(frame) + imported.problems.total
    if mapping.layout == "wide":
        made = published.pairs(imported, mapping, problems)
        if kind == "emotion":
            raise LiminalError("These are means of similarity and identity, but the study is about emotions; choose another study.")
        return Converted(study, "identity", table([]), tuple(made), problems, rows, _wide_notes(mapping), published=True)
    answers = Answers(imported, mapping, study, stimuli, pictures)
    good, places, examples, understood = [], [], dict[str, str](), False
    for raw, parsed, lines in answers.pieces():
        understood = understood or bool(parsed["value"].notna().any())
        examples |= dict(list(answers.reasons["value"].items())[: EXAMPLES - len(examples)])
        bad = failures(parsed, raw, lines, answers.reasons, problems)
        good.append(typed(parsed[~bad]))
        places.append(lines[~bad])
    if not understood:
        raise _nothing(examples, mapping)
    ratings, lines = pd.concat(good, ignore_index=True), np.concatenate(places)
    once = ["rater", "stimulus", "task", *(["trial"] if "trial" in mapping.fields else [])]
    for keys, meaning in ((["rating_id"], "the identifier"), (once, "an answer of the same person to the same picture")):
        twice = duplicates(ratings, lines, keys, meaning, problems)
        if twice.any():
            ratings, lines = ratings[~twice], lines[~twice]
    if problems.total:  # a row is taken whole or not at all
        ratings = ratings[~np.isin(lines, problems.lines)]
    ratings = ratings.reset_index(drop=True)
    return Converted(study, _kind(ratings, kind), ratings, _stimuli(ratings), problems, rows, tuple(dict.fromkeys(answers.notes)))


def _nothing(examples: abc.Mapping[str, str], mapping: Mapping) -> LiminalError:
    """No answer at all is one: the mapping is wrong then, not the rows."""
    if not examples:
        return LiminalError("No row of the file holds an answer; look which column does, and which rows are kept.")
    found = list(examples)
    if "emotion" in mapping.fields and all(text.strip().isdigit() for text in found):
        shown = ", ".join(sorted(found, key=int)[:10])
        return LiminalError(
            f"The answers are numbers ({shown}), which are no emotions; if each stands for one, say which, and if they are digits "
            "that people recognised (as in variMNIST), they cannot be studied as emotions."
        )
    return LiminalError(f"No answer can be taken: {examples[found[0]]}; say what the file's answers mean.")


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
