"""Guess what the columns of a file mean, from known forms of tables and from names and values, each guess with its reason.

Known forms (``PRESETS``): our own export, the two papers' forms, variMNIST and jsPsych. Other tables are guessed from how
columns are usually called (``COLUMN_NAMES``), from words for emotions, and from what the cells hold.
"""

from __future__ import annotations

import re
from collections import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.studies.importing.mapping import NO, YES, ColumnMapping, MappedField, parse_numbers, parse_times, parse_truths
from core.studies.importing.reading import PERSON_COLUMN
from core.studies.ratings import RATINGS

COLUMN_NAMES: Mapping[str, tuple[str, ...]] = {
    "rating_id": ("ratingid", "answerid", "uuid"),
    "rater": (
        "rater", "raterid", "subject", "subjectid", "participant", "participantid", "subj", "subjid", "observer", "observerid",
        "workerid", "prolificpid", "prolificid", "pid", "user", "userid", "person", "personid", "sub", "vp", "proband",
    ),
    "stimulus": (
        "stimulus", "stimulusid", "pairid", "pair", "image", "imageid", "imagename", "imagefile", "img", "imgid", "picture",
        "pictureid", "file", "filename", "stim", "stimid", "item", "itemid", "face", "faceid", "sampleid",
    ),
    "emotion": (
        "emotion", "choice", "emotionchoice", "chosenemotion", "response", "answer", "expression", "rating", "label", "selected",
        "value",
    ),
    "similarity": ("similarity", "perceivedsimilarity", "similarityrating", "meansimilarity", "similaritymean", "sim", "slider"),
    "identity": (
        "identity", "sameperson", "same", "sameidentity", "identical", "identityrating", "identityrate", "identitymean",
        "meanidentity", "isidentical", "issame", "matches", "gleicheperson", "dieselbeperson", "selbeperson",
    ),
    "reaction_time_ms": (
        "reactiontimems", "reactiontime", "rt", "rtms", "rts", "responsetime", "responsetimems", "latency", "latencyms",
        "reactiontimes", "rtsec", "reactiontimesec",
    ),
    "trial": ("trial", "trialindex", "trialnumber", "trialnr", "trialno", "trialid", "order", "position"),
    "session": ("session", "sessionid", "run", "runid", "block"),
    "is_sentinel": ("issentinel", "sentinel", "catch", "catchtrial", "iscatch", "attentioncheck", "isattentioncheck", "control"),
    "created_at": ("createdat", "timestamp", "datetime", "date", "submittedat", "recordedat", "recordeddate", "time", "datum"),
    "task": ("task", "measure", "question"),
    "value": ("value",),
    "source": ("source",),
    "people": ("people", "n", "raters", "nraters", "numraters", "votes", "nvotes", "count", "nratings", "numratings"),
    "base": ("base", "baseid", "baseimage", "image1", "img1", "reference", "original"),
    "sample": ("sample", "sampleid", "sampleimage", "image2", "img2", "comparison"),
    "sample_type": ("sampletype", "type", "kind", "category", "condition"),
    "step": ("step", "strength", "level", "interpolationstep"),
}  # fmt: skip
"""By target: usual names of columns as ``normalise_name`` returns them, the likeliest first."""

DISTANCE_WORDS = ("dlib", "vgg", "facenet", "openface", "sface", "arcface", "lpips", "latent", "distance")
"""Words in the names of columns that hold scores of models."""

EMOTION_WORDS: Mapping[str, str] = {
    **{emotion: emotion for emotion in EMOTIONS},
    **dict.fromkeys(("surprised", "surprising", "astonished", "sur", "su"), "surprise"),
    **dict.fromkeys(("fearful", "afraid", "scared", "frightened", "fea", "fe"), "fear"),
    **dict.fromkeys(("disgusted", "dis", "di"), "disgust"),
    **dict.fromkeys(("happy", "joy", "joyful", "hap", "ha"), "happiness"),
    **dict.fromkeys(("sad", "sorrow", "sa"), "sadness"),
    **dict.fromkeys(("angry", "mad", "ang", "an"), "anger"),
}
"""Words for the six emotions, in lower case."""

IDENTITY_WORDS: Mapping[str, str] = {**dict.fromkeys(sorted(YES), "1"), **dict.fromkeys(sorted(NO), "0")}


def normalise_name(name: str) -> str:
    """A name in lower case without spaces and signs: 'Reaction time (ms)' -> 'reactiontimems'."""
    return re.sub(r"[^0-9a-z]+", "", name.lower())


def usual_names(target: str) -> tuple[str, ...]:
    """The usual names of columns for a target."""
    return COLUMN_NAMES[target]


@dataclass(frozen=True)
class Preset:
    """A known form of table. ``mapping``: columns -> their meaning, or None where a table does not have this form."""

    name: str
    title: str
    explanation: str  # for people, one sentence
    mapping: Callable[[Sequence[str]], ColumnMapping | None]

    def apply(self, columns: Sequence[str]) -> ColumnMapping:
        """Raises LiminalError where a table has not this form."""
        mapping = self.mapping(columns)
        if mapping is None:
            raise LiminalError(
                f"The file's columns ({', '.join(columns[:12])}) are not those of the preset '{self.name}'; choose another or none."
            )
        return mapping


def _find_fields(columns: Sequence[str], wanted: abc.Mapping[str, Sequence[str]]) -> dict[str, MappedField]:
    """The fields of targets for which there is a column; spellings: as ``normalise_name`` returns them, the first match counts."""
    known = {normalise_name(column): column for column in reversed(columns)}
    fields: dict[str, MappedField] = {}
    for target, spellings in wanted.items():
        column = next((known[spelling] for spelling in spellings if spelling in known), None)
        if column is not None and all(column != field.column for field in fields.values()):
            fields[target] = MappedField(column=column)
    return fields


def _map_export(columns: Sequence[str]) -> ColumnMapping | None:
    if not set(RATINGS) <= set(columns):
        return None
    return ColumnMapping({name: MappedField(column=name) for name in RATINGS}, exported=True)


def _map_paper_a(columns: Sequence[str]) -> ColumnMapping | None:
    fields = _find_fields(
        columns,
        {name: usual_names(name) for name in ("stimulus", "base", "sample", "sample_type", "step", "people")}
        | {
            "similarity": ("meansimilarity", "similaritymean", "similarity", "sim", "humansimilarity", "avgsimilarity"),
            "identity": ("identityrate", "meanidentity", "identitymean", "identity", "id", "humanidentity", "sameperson"),
        },
    )
    raters = _find_fields(columns, {"rater": usual_names("rater")})
    if (
        raters
        or not {"similarity", "identity"} & set(fields)
        or not ({"stimulus"} & set(fields) or {"base", "sample"} <= set(fields))
    ):
        return None
    used = {field.column for field in fields.values()}
    model_columns = tuple(
        name for name in columns if name not in used and any(word in normalise_name(name) for word in DISTANCE_WORDS)
    )
    return ColumnMapping(fields, layout="wide", kept=model_columns)


def _map_paper_b(columns: Sequence[str]) -> ColumnMapping | None:
    fields = _find_fields(
        columns,
        {
            "rater": usual_names("rater"),
            "stimulus": usual_names("stimulus"),
            "emotion": ("emotion", "choice", "response", "chosenemotion", "answer", "label"),
            "reaction_time_ms": usual_names("reaction_time_ms"),
            "trial": usual_names("trial"),
            "is_sentinel": usual_names("is_sentinel"),
            "session": usual_names("session"),
            "created_at": usual_names("created_at"),
        },
    )
    return ColumnMapping(fields) if {"rater", "stimulus", "emotion"} <= set(fields) else None


def _map_varimnist(columns: Sequence[str]) -> ColumnMapping | None:
    """df_DigitRecog.csv: subject_id, stimulus (a path), stimulus_id (its place in images.pt), response (a digit), is_train."""
    if not {"subject_id", "stimulus", "response"} <= set(columns):
        return None
    return ColumnMapping(
        _find_fields(
            columns, {"rater": ("subjectid",), "stimulus": ("stimulus",), "emotion": ("response",), "reaction_time_ms": ("rt",)}
        )
    )


def _map_jspsych(columns: Sequence[str]) -> ColumnMapping | None:
    if not {"trial_type", "trial_index"} <= set(columns):
        return None
    fields = _find_fields(
        columns,
        {
            "rater": (*usual_names("rater"), "personinthefile", "runid"),
            "stimulus": usual_names("stimulus"),
            "emotion": ("emotion", "choice", "responselabel", "response", "buttonpressed"),
            "reaction_time_ms": ("rt",),
            "trial": ("trialindex",),
            "is_sentinel": usual_names("is_sentinel"),
            "session": usual_names("session"),
        },
    )
    return ColumnMapping(fields) if {"stimulus", "emotion"} <= set(fields) else None


PRESETS: abc.Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("liminal", "An export of Liminal", "The CSV or Parquet file that an export of a study gives.", _map_export),
        Preset(
            "paper-a",
            "A row a pair (face recognition)",
            "Mean similarity, the share of people who saw one person, and the models' distances: shown as published means, since "
            "single answers cannot be recovered from means.",
            _map_paper_a,
        ),
        Preset(
            "varimnist",
            "variMNIST (digits)",
            "df_DigitRecog.csv: its answers are digits, so say which emotion each stands for.",
            _map_varimnist,
        ),
        Preset("jspsych", "An experiment in jsPsych", "The JSON or CSV that jsPsych saves, a row a trial.", _map_jspsych),
        Preset("paper-b", "A row a trial (emotions)", "Who saw which picture and which of six emotions was chosen.", _map_paper_b),
    )
}
"""By name, the most specific first: a file has the first form that fits."""


def find_preset(name: str) -> Preset:
    """The preset of that name. Raises LiminalError where there is none."""
    if name not in PRESETS:
        raise LiminalError(f"There is no preset '{name}'; there are {', '.join(PRESETS)}.")
    return PRESETS[name]


SAMPLE_ROWS = 5000
"""Rows of a table that guesses are based on."""

SURE, LIKELY, POSSIBLE = 0.95, 0.75, 0.5

LONG_TARGETS = (
    "rater", "stimulus", "emotion", "identity", "similarity", "reaction_time_ms", "trial", "session", "is_sentinel",
    "created_at", "rating_id",
)  # fmt: skip

SCALES = ((0.0, 1.0), (1.0, 5.0), (1.0, 7.0), (1.0, 9.0), (0.0, 10.0), (1.0, 10.0), (0.0, 100.0))
"""Ends of usual scales; a column gets the first that contains all its values."""

PHASES = ("task", "phase", "trialpart", "part", "trialname", "name", "trialtype", "screen")
"""Columns in which experiments say what a row is: the cross, the picture, the answer."""


@dataclass(frozen=True)
class FieldGuess:
    """One guess. confidence: 0 to 1; reason: half a sentence for people."""

    target: str
    column: str  # '' for a constant
    confidence: float
    reason: str


@dataclass(frozen=True)
class MappingGuess:
    """The mapping that fits best. preset: the known form that the table has, '' for none."""

    mapping: ColumnMapping
    preset: str
    fields: tuple[FieldGuess, ...]


def guess_mapping(frame: pd.DataFrame, form: str | None = None) -> MappingGuess:
    """Guess what the columns of a table of text (``ImportedTable.frame``) mean. Unclear columns are left out.

    form: the name of the preset to use, instead of looking for one that fits.
    """
    head = frame.head(SAMPLE_ROWS).reset_index(drop=True)
    columns = list(head.columns)
    for name, preset in PRESETS.items():
        mapping = preset.mapping(columns)
        if mapping is None or form not in (None, name):
            continue
        if form is None and mapping.layout == "wide" and not _looks_wide(head, mapping):
            continue
        if mapping.exported:
            exported = tuple(FieldGuess(target, target, 1.0, "the column of an export") for target in mapping.fields)
            return MappingGuess(mapping, name, exported)
        return _finish_guess(head, mapping, name, dict.fromkeys(mapping.fields, f"the usual column of: {preset.title}"))
    fields: dict[str, MappedField] = {}
    reasons: dict[str, str] = {}
    candidates = [(*_score_column(head, column, target), target, column) for target in LONG_TARGETS for column in columns]
    for score, reason, target, column in sorted(candidates, key=lambda candidate: -candidate[0]):
        taken = any(column == field.column for field in fields.values())
        if score >= POSSIBLE and target not in fields and not taken:
            fields[target], reasons[target] = MappedField(column=column), reason
    return _finish_guess(head, ColumnMapping(fields), "", reasons)


def _finish_guess(head: pd.DataFrame, mapping: ColumnMapping, preset: str, reasons: dict[str, str]) -> MappingGuess:
    """Add words, scales and units that the values show, the rows that are answers, and a rater where no column names one."""
    if mapping.layout == "long" and "emotion" in mapping.fields:
        mapping = replace(mapping, only=_find_answer_rows(head, mapping.fields["emotion"]))
    fields, guesses = dict(mapping.fields), []
    rows = np.ones(len(head), dtype=bool)
    for column, allowed in mapping.only.items():
        rows &= head[column].isin(allowed).to_numpy(dtype=bool)
        reasons["only"] = f"only rows with '{', '.join(allowed)}' in '{column}' hold answers"
    for target, field in mapping.fields.items():
        assert field.column is not None
        cells = head.loc[rows, field.column]
        fields[target], more = _refine_field(cells, target, field, mapping.layout)
        confidence = max(_score_column(head[rows], field.column, target)[0], SURE if preset and target not in ("emotion",) else 0.0)
        guesses.append(FieldGuess(target, field.column, confidence, reasons[target] + more))
    if mapping.layout == "long" and "rater" not in fields and fields:
        constant = PERSON_COLUMN in head.columns
        fields["rater"] = MappedField(column=PERSON_COLUMN) if constant else MappedField(constant="{file}")
        reason = "one list of trials a person" if constant else "no column says who answered: the file is taken as one person's"
        guesses.append(FieldGuess("rater", PERSON_COLUMN if constant else "", POSSIBLE, reason))
    if "only" in reasons:
        guesses.append(FieldGuess("only", next(iter(mapping.only)), LIKELY, reasons["only"]))
    return MappingGuess(replace(mapping, fields=fields), preset, tuple(guesses))


def _score_column(head: pd.DataFrame, column: str, target: str) -> tuple[float, str]:
    """(confidence that a column is a target, reason)."""
    name, usual_names = normalise_name(column), COLUMN_NAMES[target]
    exact = name in usual_names
    elsewhere = any(name in names for names in COLUMN_NAMES.values())  # 'gleiche Person' names nobody who answered
    part = not elsewhere and any(len(usual) > 3 and usual in name for usual in usual_names)
    fits, meaning = _fits_target(head[column], target)
    telling = target in ("emotion", "rating_id", "created_at")
    if exact and fits:
        return SURE - 0.001 * usual_names.index(name), f"its name is usual and {meaning}"
    if part and fits:
        return LIKELY, f"its name says so and {meaning}"
    if telling and fits:
        return POSSIBLE + 0.1, meaning
    if exact and target in ("emotion", "rater", "stimulus"):
        return POSSIBLE, "its name is usual, but its values have to be explained"
    return 0.0, ""


def _fits_target(column: pd.Series, target: str) -> tuple[bool, str]:
    """(whether a column's values can be a target's, what they look like)."""
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
        return not parse_truths(cells)[1].any(), "it holds yes and no"
    if target == "created_at":
        worded = not pd.to_numeric(cells, errors="coerce").notna().any() or float(parse_numbers(cells)[0].min()) > 1e9
        return worded and not parse_times(cells)[1].any(), "it holds points in time"
    if target == "rating_id":
        return bool(lower.str.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").all()), "every cell is an identifier"
    if target == "rater" and bool(lower.isin(IDENTITY_WORDS).all()):
        return False, ""  # 'gleiche Person' names nobody
    if target in ("rater", "stimulus", "session"):
        return True, f"it holds {lower.nunique():,} different names"
    values, odd = parse_numbers(cells, decimal_comma=True)
    if odd.any():
        return False, ""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    span = f"its numbers run from {low:g} to {high:g}"
    if target == "similarity":
        return low >= 0 and 1 <= high <= 100, span
    if target == "trial":
        return low >= 0 and bool((values % 1 == 0).all()), span
    return low >= 0, span  # reaction times


def _refine_field(cells: pd.Series, target: str, field: MappedField, layout: str) -> tuple[MappedField, str]:
    present = cells.dropna().str.strip()
    present = present[present != ""]
    if target == "emotion":
        words = {text: EMOTION_WORDS[text] for text in present.str.lower().unique() if EMOTION_WORDS.get(text, text) != text}
        return replace(field, values=words), ""
    values, odd = parse_numbers(present, decimal_comma=True)
    if not len(values) or odd.all():
        return field, ""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if target == "similarity":
        scale = next(((first, last) for first, last in SCALES if first <= low and high <= last), None)
        if scale is None or scale == (0.0, 100.0):
            return field, ""
        return replace(field, scale=scale), f"; {scale[0]:g} becomes 0 and {scale[1]:g} becomes 100"
    if target == "reaction_time_ms":
        name = normalise_name(field.column or "")
        seconds = not name.endswith("ms") and float(np.nanmedian(values)) < 30
        return replace(field, unit="s" if seconds else "ms"), "; taken as seconds" if seconds else "; taken as milliseconds"
    return field, ""


def _find_answer_rows(head: pd.DataFrame, answer: MappedField) -> dict[str, tuple[str, ...]]:
    """By column: values that mark the rows with answers among those of crosses and pictures; empty where all rows are answers."""
    is_answer = head[answer.column].str.strip().str.lower().isin(EMOTION_WORDS)
    if is_answer.all() or not is_answer.any():
        return {}
    for column in head.columns:
        if normalise_name(column) in PHASES and head[column].nunique() <= 50:
            shares = is_answer.groupby(head[column].str.strip()).mean()
            answers = tuple(str(name) for name in shares.index[shares >= 0.5])
            if answers and (shares[shares < 0.5] < 0.1).all() and len(answers) < len(shares):
                return {column: answers}
    return {}


def _looks_wide(head: pd.DataFrame, mapping: ColumnMapping) -> bool:
    """Whether a table holds means: it gives numbers of people, or shares between no and yes, or no pair occurs twice."""
    if "people" in mapping.fields:
        return True
    if "identity" in mapping.fields:
        values, _ = parse_numbers(head[mapping.fields["identity"].column].str.replace("%", "", regex=False), decimal_comma=True)
        if ((values > 0) & (values != 1)).any():
            return True
    field = mapping.fields.get("stimulus")
    return field is None or not head[field.column].duplicated().any()
