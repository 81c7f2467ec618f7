"""Identifiers of answers whose file gives none: version 5 UUIDs (RFC 9562, section 5.5), many at once."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable

import numpy as np
import pandas as pd

NAMESPACE = uuid.UUID("6f1f3c1e-2c0e-5d3c-9d0b-3f0f6c1d8a57")
"""Of all derived identifiers."""

GROUPS = (8, 4, 4, 4, 12)  # hexadecimal digits between the dashes


def derived(space: uuid.UUID, names: Iterable[str]) -> pd.Series:
    """``str(uuid.uuid5(space, name))`` for each name, ten times as fast for the millions of rows of a table."""
    start = hashlib.sha1(space.bytes, usedforsecurity=False)
    digests = []
    for name in names:
        one = start.copy()
        one.update(name.encode())
        digests.append(one.digest())
    values = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 20)[:, :16].copy()  # (N, 16)
    values[:, 6] = values[:, 6] & 0x0F | 0x50  # version 5
    values[:, 8] = values[:, 8] & 0x3F | 0x80  # the variant of RFC 9562
    digits = np.frombuffer(values.tobytes().hex().encode(), dtype="S1").reshape(-1, 32)
    text = np.full((len(values), 36), b"-", dtype="S1")
    read = write = 0
    for width in GROUPS:
        text[:, write : write + width] = digits[:, read : read + width]
        read, write = read + width, write + width + 1
    return pd.Series(text.reshape(-1).view("S36").astype("U36"), dtype=pd.StringDtype(na_value=np.nan))


def identifier(text: str) -> str | None:
    """An identifier in its usual form, or None for what is none."""
    try:
        return str(uuid.UUID(text.strip()))
    except ValueError:
        return None
