"""One row an answer with all that belongs to it: who, what was shown, what every model says of it, whether the answer counts.

For statistics programs: text, numbers, and 0 or 1 for no or yes; empty where something is not known or does not apply. Names of
columns are letters, digits and underscores. ``describe_columns`` is the data dictionary; ``make_table_files`` gives the table, the
dictionary and an R script (``core.analysis.r_script``) as files.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from core.analysis.encode import list_recognisers, select_probabilities
from core.analysis.r_script import make_r_script, name_column
from core.models.emotions import EMOTIONS
from core.sampling.configuration import FILES_KEY
from core.studies.exclusions import apply_exclusion_rules
from core.studies.exporting.tables import PARTICIPANT, TIME_FORMAT, escape_column
from core.studies.ratings import UNKNOWN_TIME

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData

TableForm = Literal["csv", "parquet"]


@dataclass(frozen=True)
class Column:
    """An entry of the data dictionary. limits: the values that can occur."""

    meaning: str
    unit: str = ""
    limits: str = ""


YES_NO = "0 (no) or 1 (yes)"
EMOTION_NAMES = ", ".join(EMOTIONS)
AT_LEAST_0 = "0 or more"
MS = "milliseconds"

ANSWER_COLUMNS: Mapping[str, Column] = {
    "rating_id": Column("identifier of the answer", limits="a UUID"),
    "study": Column("name of the study"),
    "source": Column("who answered: people, simulated observers or models", limits="human, simulated, model"),
    "simulated": Column("whether nobody was asked: the answer is a simulated observer's", limits=YES_NO),
    "rater": Column("who answered: a name that the study gave, not the person's"),
    PARTICIPANT: Column("what a panel calls the rater"),
    "rater_state": Column("how far the rater is", limits="finished, taking part, timed out, screened out"),
    "session": Column("one sitting of a rater"),
    "trial": Column("place in the rater's order", "trials", "0 or more, from 0"),
    "adaptive": Column("whether the stimulus was chosen by the rater's answers so far (plan of the study)", limits=YES_NO),
    "stimulus": Column("what was shown: a pair or one face"),
    "base_id": Column("the face that the sample was made from"),
    "sample_id": Column("the sample: of a pair the second picture"),
    "sample_type": Column(
        "how the sample was made",
        limits="genuine, positive, negative, interpolation, optimized, semantic; boundary, morph; of own pictures any",
    ),
    "step": Column(
        "how far the sample was moved: of positive and semantic samples the distance, of interpolations and morphs the fraction "
        "of the way, of optimized ones the distance aimed at",
        "paper units (latent distance / sqrt(latent dimension)), or a fraction",
        AT_LEAST_0,
    ),
    "batch": Column("the batch of pairs, all of which one rater sees", limits=AT_LEAST_0),
    "strategy": Column("the search that made the sample"),
    "emotion1": Column("the first of the two emotions that the face lies between", limits=EMOTION_NAMES),
    "emotion2": Column("the second of the two emotions", limits=EMOTION_NAMES),
    "guided": Column("whether the sample was steered to the boundary", limits=YES_NO),
    "is_sentinel": Column("whether the trial checks attention: its right answer is known", limits=YES_NO),
    "expected": Column("the right answer of an attention check", limits=f"1 (same person), or {EMOTION_NAMES}"),
    "task": Column("which question was asked", limits="similarity, identity, emotion, label, scale"),
    "value": Column("the answer as it was given", limits="a number for similarity and scale, 0 or 1 for identity, a name else"),
    "similarity": Column("the answer to 'how alike are they?'; empty for other questions", "points", "0 (not at all) to 100"),
    "same_person": Column("the answer to 'is it the same person?'; empty for other questions", limits=YES_NO),
    "emotion": Column("the answer to 'which feeling is it?'; empty for other questions", limits=EMOTION_NAMES),
    "label": Column("the answer to 'which of the study's own labels?'; empty for other questions"),
    "rating": Column("the answer on the study's own scale; empty for other questions", "points", "1 to 10"),
    "chose_emotion1": Column(
        "whether the first of the two emotions was named, 0 for the second; empty where neither was", limits=YES_NO
    ),
    "check_right": Column("whether the answer to an attention check was right", limits=YES_NO),
    "reaction_time_ms": Column("from the picture to the answer; empty where it was not measured", MS, AT_LEAST_0),
    "answered_at": Column("when the answer was given, ISO 8601; empty where that is not known", "UTC"),
    "excluded": Column("whether the page leaves the rater out: by any of the rules that are on", limits=YES_NO),
    "excluded_sentinels": Column("whether the rater missed attention checks; whether or not the rule is on", limits=YES_NO),
    "excluded_too_fast": Column("whether half of the rater's answers came too fast; whether or not the rule is on", limits=YES_NO),
    "excluded_same_answer": Column("whether the rater always gave one answer; whether or not the rule is on", limits=YES_NO),
    "excluded_constant_similarity": Column("whether the slider never moved; whether or not the rule is on", limits=YES_NO),
    "exclusion_reasons": Column("why the rater is left out, in sentences"),
    "input_device": Column("what the answer was given with", limits="mouse, touch, pen, keyboard"),
    "refresh_rate": Column("of the rater's screen", "hertz", "above 0"),
    "dropped_frames": Column("frames that the screen left out while the picture was shown", "frames", AT_LEAST_0),
    "image_duration_asked": Column("how long the picture was to be shown; 0: until the answer", MS, AT_LEAST_0),
    "image_duration": Column("how long the picture was shown", MS, AT_LEAST_0),
    "viewport_width": Column("of the browser's window", "CSS pixels", "above 0"),
    "viewport_height": Column("of the browser's window", "CSS pixels", "above 0"),
    "device_pixel_ratio": Column("pixels of the screen a CSS pixel", "", "above 0"),
    "latent_distance": Column("between base and sample in the generator's latents", "latent units (Euclidean)", AT_LEAST_0),
    "lpips": Column("perceptual distance of the two pictures, LPIPS (Zhang et al. 2018)", "", "0 (equal) to about 1"),
    "identity_distance": Column("between the identities of base and sample, where the generator knows", "", AT_LEAST_0),
    "same_identity": Column("whether both pictures show one person, where the generator or the owner knows", limits=YES_NO),
    "file": Column("the file that the owner brought along"),
    "file_a": Column("the file of the first picture that the owner brought along"),
    "file_b": Column("the file of the second picture that the owner brought along"),
}
"""The data dictionary of the columns that do not depend on the models; those that a study does not know are left out."""

DEVICE_NUMBERS = ("refresh_rate", "dropped_frames", "image_duration_asked", "image_duration", "device_pixel_ratio")
"""What the browser measured of a trial, by its name in ``presented``."""
RULES = ("sentinels", "too_fast", "same_answer", "constant_similarity")
SHOWN_COLUMNS = (
    *("base_id", "sample_id", "sample_type", "step", "batch", "strategy", "emotion1", "emotion2", "guided"),
    *("latent_distance", "lpips", "identity_distance", "same_identity"),
)
"""Columns of sample sets that are taken over."""
TRUTHS = ("guided", "same_identity")
FILE_COLUMNS: Mapping[str, tuple[str, ...]] = {"identity": ("file_a", "file_b"), "emotion": ("file",)}
"""Of own pictures, by the kind of the study."""
DEMOGRAPHIC_PREFIX = "about_"


def build_answer_table(
    study_data: StudyData, *, participants: Mapping[str, str] | None = None, demographics: bool = False
) -> pd.DataFrame:
    """The table, a row for every answer of the study, those of raters who are left out too.

    participants: rater -> what a panel calls them, as a further column. demographics: what raters said about themselves, as
    columns about_<question>.
    """
    ratings = study_data.ratings
    shown = _build_shown_columns(study_data)
    place = pd.Index(shown["stimulus"]).get_indexer(pd.Index(ratings["stimulus"]))
    of_answer = shown.drop(columns="stimulus").take(np.where(place < 0, len(shown) - 1, place)).reset_index(drop=True)
    of_answer = of_answer.mask(pd.Series(place < 0)) if (place < 0).any() else of_answer
    states = {rater.rater: rater.state for rater in study_data.raters}
    time = ratings["created_at"]
    columns: dict[str, Any] = {name: ratings[name] for name in ("rating_id", "study", "source", "rater", "session", "trial")}
    columns |= {name: ratings[name] for name in ("stimulus", "task", "value", "reaction_time_ms")}
    columns |= {
        "simulated": _to_flags(ratings["source"] == "simulated"),
        "rater_state": ratings["rater"].map(states),
        "is_sentinel": _to_flags(ratings["is_sentinel"]),
        "answered_at": time.dt.strftime(TIME_FORMAT).mask(time == UNKNOWN_TIME),
        **{str(name): of_answer[name] for name in of_answer},
        **_build_answer_values(ratings, of_answer),
        **_build_exclusion_flags(study_data),
        **_parse_presented(ratings["presented"]),
    }
    if study_data.study.plan.adaptive:
        columns["adaptive"] = _to_flags(~ratings["is_sentinel"])
    if participants is not None:
        columns[PARTICIPANT] = ratings["rater"].map(dict(participants)).replace("", None)
    table = pd.DataFrame({name: pd.Series(values).reset_index(drop=True) for name, values in columns.items()})
    if demographics:
        table = table.assign(**_build_demographics(study_data))
    known = [name for name in ANSWER_COLUMNS if name in table]
    return table[[*known, *(name for name in table if name not in ANSWER_COLUMNS)]]


def _to_flags(values: pd.Series) -> pd.Series:
    """Truth values, missing ones too -> 0 or 1."""
    return values.astype("boolean").astype("Int64")


def _build_shown_columns(study_data: StudyData) -> pd.DataFrame:
    """By stimulus, with a last row of an unknown one: what was shown and what models say of it."""
    identity = study_data.kind == "identity"
    source = study_data.pairs if identity else study_data.samples
    key = "pair_id" if identity else "sample_id"
    columns: dict[str, Any] = {"stimulus": source[key]}
    columns |= {name: source[name] for name in SHOWN_COLUMNS if name in source}
    for name in list_recognisers(source):
        columns[name_column("distance", name)] = source[f"distance_{name}"]
        if f"accepted_{name}" in source:
            columns[name_column("accepted", name)] = _to_flags(source[f"accepted_{name}"])
    for name in () if identity else study_data.classifiers:
        p = select_probabilities(source, name, study_data.steerer)
        columns |= {name_column("p", name, emotion): p[:, index] for index, emotion in enumerate(EMOTIONS)}
    table = pd.DataFrame(columns).reset_index(drop=True)
    for name in set(TRUTHS) & set(table):
        table[name] = _to_flags(table[name])
    if "batch" in table:
        table["batch"] = table["batch"].astype("Int64")
    brought = {stimulus.stimulus: stimulus.details.get(FILES_KEY, ()) for stimulus in study_data.stimuli}
    for place, name in enumerate(FILE_COLUMNS[study_data.kind] if any(brought.values()) else ()):
        files = {stimulus: names[place] for stimulus, names in brought.items() if len(names) > place}
        table[name] = table["stimulus"].map(files).astype("str")
    expected = {stimulus.stimulus: stimulus.expected or None for stimulus in study_data.stimuli}
    table["expected"] = table["stimulus"].map(expected).astype("str")
    return table.reindex(range(len(table) + 1))


def _build_answer_values(ratings: pd.DataFrame, of_answer: pd.DataFrame) -> dict[str, pd.Series]:
    """The answer by question, and what follows from it."""
    task, value = ratings["task"].reset_index(drop=True), ratings["value"].reset_index(drop=True)
    choice = value.where(task == "emotion")
    values = {
        "similarity": pd.to_numeric(value.where(task == "similarity")),
        "same_person": pd.to_numeric(value.where(task == "identity")).astype("Int64"),
        "emotion": choice,
    }
    if (task == "label").any():
        values["label"] = value.where(task == "label")
    if (task == "scale").any():
        values["rating"] = pd.to_numeric(value.where(task == "scale"))
    if "emotion1" in of_answer:
        first, second = (choice.eq(of_answer[name]) & choice.notna() for name in ("emotion1", "emotion2"))
        values["chose_emotion1"] = _to_flags(first).where(first | second)
    known = of_answer["expected"].notna() & ~task.isin(["similarity", "scale"])
    values["check_right"] = _to_flags(value == of_answer["expected"]).where(known)
    return values


def _build_exclusion_flags(study_data: StudyData) -> dict[str, pd.Series]:
    """Whether each rule speaks against the rater, whichever rules are on, and whether they are left out."""
    ratings, rules = study_data.ratings, study_data.exclusions.rules
    rater = ratings["rater"]
    flags = {"excluded": _to_flags(rater.isin(list(study_data.excluded)))}
    for rule in RULES:
        alone = replace(rules, **{name: name == rule for name in RULES})
        reasons = apply_exclusion_rules(ratings, study_data.stimuli, alone).reasons
        flags[f"excluded_{rule}"] = _to_flags(rater.isin(list(reasons)))
    sentences = {name: " ".join(why) for name, why in study_data.excluded.items()}
    flags["exclusion_reasons"] = rater.map(sentences).astype("str")
    return flags


def _parse_presented(presented: pd.Series) -> dict[str, pd.Series]:
    """What the browser measured of the trial; what an imported file says otherwise is left out."""
    records = [json.loads(text) if text != "{}" else {} for text in presented]
    numbers = {name: [_number_or_nan(record.get(name)) for record in records] for name in DEVICE_NUMBERS}
    window = [record.get("viewport") for record in records]
    for index, name in enumerate(("viewport_width", "viewport_height")):
        numbers[name] = [_number_or_nan(size[index]) if isinstance(size, list) and len(size) == 2 else np.nan for size in window]
    device = [record.get("input_device") for record in records]
    text = pd.Series([name if isinstance(name, str) else None for name in device], dtype="str")
    return {"input_device": text, **{name: pd.Series(values, dtype="float64") for name, values in numbers.items()}}


def _number_or_nan(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.nan


def _build_demographics(study_data: StudyData) -> dict[str, pd.Series]:
    about = {rater.rater: rater.demographics for rater in study_data.raters}
    names = dict.fromkeys(name for facts in about.values() for name in facts)
    rater = study_data.ratings["rater"].reset_index(drop=True)
    return {
        name_column(DEMOGRAPHIC_PREFIX[:-1], name): rater.map(
            {key: None if facts.get(name) in (None, "") else str(facts[name]) for key, facts in about.items()}
        ).astype("str")
        for name in names
    }


def describe_columns(table: pd.DataFrame, study_data: StudyData) -> pd.DataFrame:
    """The data dictionary of an answer table: column, type, meaning, unit, range (what can occur), found (what does), missing."""
    known = dict(ANSWER_COLUMNS) | _describe_model_columns(study_data)
    rows = []
    for name in table:
        column = known.get(str(name)) or Column("what the rater said about themselves")
        values = table[name].dropna()
        numeric = pd.api.types.is_numeric_dtype(table[name])
        if values.empty:
            found = ""
        elif numeric:
            found = f"{values.min():.6g} to {values.max():.6g}"
        else:
            found = f"{values.nunique():,} different"
        rows.append(
            {
                "column": name,
                "type": "number" if numeric else "text",
                "meaning": column.meaning,
                "unit": column.unit,
                "range": column.limits,
                "found": found,
                "missing": int(table[name].isna().sum()),
            }
        )
    return pd.DataFrame(rows)


def _describe_model_columns(study_data: StudyData) -> dict[str, Column]:
    source = study_data.pairs if study_data.kind == "identity" else study_data.samples
    described = {}
    for name in list_recognisers(source):
        threshold = study_data.thresholds.get(name)
        accepted = f" (distance below {threshold:.4g})" if threshold is not None else ""
        described[name_column("distance", name)] = Column(
            f"distance of the recogniser {name} between base and sample; empty where it found no face", "", AT_LEAST_0
        )
        described[name_column("accepted", name)] = Column(
            f"whether the recogniser {name} takes both for one person at its default threshold{accepted}", limits=YES_NO
        )
    for name in study_data.classifiers:
        steers = ", which steered the samples," if name == study_data.steerer else ""
        for emotion in EMOTIONS:
            described[name_column("p", name, emotion)] = Column(
                f"probability of {emotion} by the classifier {name}{steers} over the six emotions", "", "0 to 1"
            )
    return described


def make_table_files(
    study_data: StudyData,
    stem: str,
    form: TableForm,
    *,
    recogniser: str = "",
    participants: Mapping[str, str] | None = None,
    demographics: bool = False,
) -> dict[str, bytes]:
    """File name -> content: the table, its data dictionary (CSV) and an R script that reads it. stem: the name without ending.

    recogniser: whose distance the script uses; default: the first.
    """
    table = build_answer_table(study_data, participants=participants, demographics=demographics)
    dictionary = describe_columns(table, study_data)
    name = f"{stem}.{form}"
    return {
        name: _to_csv(table) if form == "csv" else _to_parquet(table),
        f"{stem}_dictionary.csv": _to_csv(dictionary),
        f"{stem}.R": make_r_script(study_data, name, recogniser=recogniser).encode(),
    }


def _to_csv(table: pd.DataFrame) -> bytes:
    """UTF-8 with a mark, as Excel wants it; no cell is computed as a formula."""
    text = table.copy()
    for name in text:
        if not pd.api.types.is_numeric_dtype(text[name]):
            text[name] = escape_column(text[name].astype("str"))
    buffer = io.StringIO(newline="")
    text.to_csv(buffer, index=False, lineterminator="\r\n", float_format="%.10g")
    return buffer.getvalue().encode("utf-8-sig")


def _to_parquet(table: pd.DataFrame) -> bytes:
    return table.to_parquet(index=False, compression="zstd")
