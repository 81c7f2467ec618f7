"""The columns of a sample set's tables, with one type each, so that a set is the same before and after a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import pandas_dtype

from core.models.emotions import EMOTIONS

SAMPLES: Mapping[str, str] = {
    "sample_id": "str",
    "kind": "str",
    "seed": "int64",
    "base_id": "str",
    "sample_type": "str",
    "step": "float64",
    "image": "str",
}
"""One row an image. An image that plays several parts (a base is also the others' negative) has one row: its first part."""

PAIRS: Mapping[str, str] = {
    "pair_id": "str",
    "batch": "int64",
    "base_id": "str",
    "sample_id": "str",
    "sample_type": "str",
    "step": "float64",
    "partner_id": "str",  # the negative it came from
    "direction": "str",  # semantic samples only
    "strategy": "str",  # optimized samples only
    "lpips": "float64",
    "latent_distance": "float64",
}
"""One row a comparison: 28 a base. Missing values are NaN."""

ANSWERS = ("p", "logit", "calibrated")
"""What is kept of a classifier's answer for each emotion: probability, logit, probability at the classifier's temperature."""

EMOTION_SAMPLES: Mapping[str, str] = {
    **SAMPLES,
    "emotion1": "str",
    "emotion2": "str",
    "guided": "boolean",
    "strategy": "str",
    "passed_filter": "boolean",  # filter (3) of paper B under the steerer
    **{f"{answer}_{emotion}": "float64" for answer in ANSWERS for emotion in EMOTIONS},  # the steerer's
}
"""One row an image of an emotion set: SAMPLES and what the steerer says; see ``emotion_samples`` for the judges' columns.

sample_type: genuine (a base itself), boundary (the wanted images; ``guided`` says how they were made), morph (step: the wanted
share of emotion 2, NaN for the other types).
"""


def emotion_samples(judges: Sequence[str], recogniser: str) -> dict[str, str]:
    """All columns of an emotion set's samples: EMOTION_SAMPLES, each judge's answers and verdict, and the distance to the base."""
    columns = dict(EMOTION_SAMPLES)
    for judge in judges:
        columns |= {f"{answer}_{judge}_{emotion}": "float64" for answer in ANSWERS for emotion in EMOTIONS}
        columns[f"passed_{judge}"] = "boolean"
    columns[f"distance_{recogniser}"] = "float64"  # NaN where no face was found
    return columns


def verdict_column(classifier: str, steerer: str) -> str:
    """The column of filter (3) under a classifier: the steerer's is the set's own."""
    return "passed_filter" if classifier == steerer else f"passed_{classifier}"


def frame(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Rows -> a table with at least ``columns``, typed; further columns follow in the order of their first row."""
    return typed(pd.DataFrame(list(rows), columns=None if rows else list(columns)), columns)


def typed(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """The same table with every column of its one type, known columns first."""
    extra = [name for name in table.columns if name not in columns]
    series: dict[str, Any] = {name: table[name].astype(pandas_dtype(kind)) for name, kind in columns.items()}
    for name in extra:
        series[name] = table[name].astype(pandas_dtype(_extra_type(name)))
    return pd.DataFrame(series).reset_index(drop=True)


def _extra_type(name: str) -> str:
    if name.startswith(("accepted_", "passed_")):
        return "boolean"  # accepted_: null where no face was found
    return "float64"


def sample_id(latent: NDArray[np.float32], image: NDArray[np.uint8]) -> str:
    """Hash of what a sample is: its latent and its pixels. 20 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=10)
    digest.update(np.asarray(image.shape, "<i8").tobytes())
    digest.update(np.ascontiguousarray(image).tobytes())
    digest.update(np.ascontiguousarray(latent, "<f4").tobytes())
    return digest.hexdigest()


def pair_id(base_id: str, sample: str, sample_type: str, step: float, partner_id: str | None) -> str:
    """Hash of a comparison: both images and the part that the sample plays. 20 hexadecimal digits."""
    text = f"{base_id}/{sample}/{sample_type}/{step!r}/{partner_id or ''}"
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()
