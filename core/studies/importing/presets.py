"""Tables that are known by their columns: our own export, the two papers' forms, variMNIST and jsPsych."""

from __future__ import annotations

from collections import abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.errors import LiminalError
from core.studies.importing.mapping import Field, Mapping
from core.studies.importing.spellings import DISTANCES, named, normal
from core.studies.ratings import RATINGS


@dataclass(frozen=True)
class Preset:
    """A known form of table. ``mapping`` gives what the columns mean, or None where a table has not this form."""

    name: str
    title: str
    explanation: str  # for people, one sentence
    mapping: Callable[[Sequence[str]], Mapping | None]

    def apply(self, columns: Sequence[str]) -> Mapping:
        """Raises LiminalError where a table has not this form."""
        made = self.mapping(columns)
        if made is None:
            raise LiminalError(
                f"The file's columns ({', '.join(columns[:12])}) are not those of the preset '{self.name}'; choose another or none."
            )
        return made


def _found(columns: Sequence[str], wanted: abc.Mapping[str, Sequence[str]]) -> dict[str, Field]:
    """Targets whose column is there, by normal spelling; the first spelling that fits is taken."""
    known = {normal(column): column for column in reversed(columns)}
    found: dict[str, Field] = {}
    for target, spellings in wanted.items():
        column = next((known[each] for each in spellings if each in known), None)
        if column is not None and all(column != field.column for field in found.values()):
            found[target] = Field(column=column)
    return found


def _exported(columns: Sequence[str]) -> Mapping | None:
    if not set(RATINGS) <= set(columns):
        return None
    return Mapping({name: Field(column=name) for name in RATINGS}, exported=True)


def _paper_a(columns: Sequence[str]) -> Mapping | None:
    fields = _found(
        columns,
        {name: named(name) for name in ("stimulus", "base", "sample", "sample_type", "step", "people")}
        | {
            "similarity": ("meansimilarity", "similaritymean", "similarity", "sim", "humansimilarity", "avgsimilarity"),
            "identity": ("identityrate", "meanidentity", "identitymean", "identity", "id", "humanidentity", "sameperson"),
        },
    )
    raters = _found(columns, {"rater": named("rater")})
    if (
        raters
        or not {"similarity", "identity"} & set(fields)
        or not ({"stimulus"} & set(fields) or {"base", "sample"} <= set(fields))
    ):
        return None
    used = {field.column for field in fields.values()}
    kept = tuple(name for name in columns if name not in used and any(word in normal(name) for word in DISTANCES))
    return Mapping(fields, layout="wide", kept=kept)


def _paper_b(columns: Sequence[str]) -> Mapping | None:
    fields = _found(
        columns,
        {
            "rater": named("rater"),
            "stimulus": named("stimulus"),
            "emotion": ("emotion", "choice", "response", "chosenemotion", "answer", "label"),
            "reaction_time_ms": named("reaction_time_ms"),
            "trial": named("trial"),
            "is_sentinel": named("is_sentinel"),
            "session": named("session"),
            "created_at": named("created_at"),
        },
    )
    return Mapping(fields) if {"rater", "stimulus", "emotion"} <= set(fields) else None


def _varimnist(columns: Sequence[str]) -> Mapping | None:
    """df_DigitRecog.csv: subject_id, stimulus (a path), stimulus_id (its place in images.pt), response (a digit), is_train."""
    if not {"subject_id", "stimulus", "response"} <= set(columns):
        return None
    return Mapping(
        _found(columns, {"rater": ("subjectid",), "stimulus": ("stimulus",), "emotion": ("response",), "reaction_time_ms": ("rt",)})
    )


def _jspsych(columns: Sequence[str]) -> Mapping | None:
    if not {"trial_type", "trial_index"} <= set(columns):
        return None
    fields = _found(
        columns,
        {
            "rater": (*named("rater"), "personinthefile", "runid"),
            "stimulus": named("stimulus"),
            "emotion": ("emotion", "choice", "responselabel", "response", "buttonpressed"),
            "reaction_time_ms": ("rt",),
            "trial": ("trialindex",),
            "is_sentinel": named("is_sentinel"),
            "session": named("session"),
        },
    )
    return Mapping(fields) if {"stimulus", "emotion"} <= set(fields) else None


PRESETS: abc.Mapping[str, Preset] = {
    each.name: each
    for each in (
        Preset("liminal", "An export of Liminal", "The CSV or Parquet file that an export of a study gives.", _exported),
        Preset(
            "paper-a",
            "A row a pair (face recognition)",
            "Mean similarity, the share of people who saw one person, and the models' distances: shown as published means, since "
            "single answers cannot be recovered from means.",
            _paper_a,
        ),
        Preset(
            "varimnist",
            "variMNIST (digits)",
            "df_DigitRecog.csv: its answers are digits, so say which emotion each stands for.",
            _varimnist,
        ),
        Preset("jspsych", "An experiment in jsPsych", "The JSON or CSV that jsPsych saves, a row a trial.", _jspsych),
        Preset("paper-b", "A row a trial (emotions)", "Who saw which picture and which of six emotions was chosen.", _paper_b),
    )
}
"""By name; the most particular first: a file is taken for the first one that fits."""


def preset(name: str) -> Preset:
    """Raises LiminalError where there is none of this name."""
    if name not in PRESETS:
        raise LiminalError(f"There is no preset '{name}'; there are {', '.join(PRESETS)}.")
    return PRESETS[name]
