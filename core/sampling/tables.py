"""The columns of the two tables of a sample set, with one type each, so that a set is the same before and after a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import pandas_dtype

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
    if name.startswith("accepted_"):
        return "boolean"  # null where no face was found
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
