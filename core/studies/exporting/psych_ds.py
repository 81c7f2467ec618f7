"""The part of a bundle that follows Psych-DS (https://psych-ds.github.io): dataset_description.json and data/study-NAME_data.csv.

Psych-DS asks for a description in schema.org's words, whose ``variableMeasured`` names every column, and for data as CSV in UTF-8
without a mark, in files that are named by pairs of keyword and value.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from core.models.emotions import EMOTIONS
from core.studies.exporting.tables import make_text_table
from core.studies.study import Stimulus, Study

DESCRIPTION_FILE = "dataset_description.json"
DATA_FILE_PATTERN = r"data/study-[A-Za-z0-9]+_data\.csv"
SCHEMA_VERSION = "Psych-DS 0.1.0"

STIMULUS_MEANINGS = {
    "sample_type": "how the sample was made: genuine, positive, negative, interpolation, optimized, semantic, boundary or morph",
    "base_id": "the face that the sample was made from",
    "step": "how far the sample was moved from the base, or the fraction of the way between two faces",
    "emotion1": f"the first of the two emotions that the face lies between; of {', '.join(EMOTIONS)}",
    "emotion2": "the second of the two emotions",
    "expected": "the right answer of a trial that checks attention",
}
UNITS = {"reaction_time_ms": "milliseconds", "created_at": "UTC, ISO 8601", "trial": "trials"}


def make_psych_ds_files(
    study: Study, stimuli: Sequence[Stimulus], ratings: pd.DataFrame, description: str, meanings: Mapping[str, str]
) -> dict[str, bytes]:
    """Path -> content. description: of the study, plain text. meanings: of the columns of ratings."""
    table = make_text_table(ratings)
    rows = {stimulus.stimulus: stimulus for stimulus in stimuli}
    for name in STIMULUS_MEANINGS:
        table[name] = ratings["stimulus"].map({key: _find_fact(stimulus, name) for key, stimulus in rows.items()}).fillna("")
    buffer = io.StringIO(newline="")
    table.to_csv(buffer, index=False, lineterminator="\r\n")
    keyword = re.sub(r"[^A-Za-z0-9]+", "", study.name) or "answers"
    described = describe_dataset(
        study, [str(name) for name in table], description, {**meanings, **STIMULUS_MEANINGS, "created_at": WHEN}
    )
    return {
        DESCRIPTION_FILE: (json.dumps(described, indent=1, ensure_ascii=False) + "\n").encode(),
        f"data/study-{keyword}_data.csv": buffer.getvalue().encode(),
    }


WHEN = "when the answer was given; empty where that is not known"


def _find_fact(stimulus: Stimulus, name: str) -> str:
    value = getattr(stimulus, name) if hasattr(stimulus, name) else stimulus.details.get(name)
    return "" if value is None else str(value)


def describe_dataset(study: Study, columns: Sequence[str], description: str, meanings: Mapping[str, str]) -> dict[str, Any]:
    """The content of dataset_description.json."""
    variables = [
        {"@type": "PropertyValue", "name": name, "description": meanings[name]}
        | ({"unitText": UNITS[name]} if name in UNITS else {})
        | ({"minValue": 0} if name in ("trial", "reaction_time_ms") else {})
        for name in columns
    ]
    return {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "name": study.plan.title or study.name,
        "description": description,
        "schemaVersion": SCHEMA_VERSION,
        "dateCreated": study.created_at.date().isoformat(),
        "keywords": ["face perception", "emotion" if study.plan.kind == "emotion" else "face recognition"],
        "variableMeasured": variables,
    }
