"""Cache of networks' results by the content of their input, bounded in bytes and in number of rows.

Ten people who look at the same face cost one evaluation. Only rows of requests whose context allows it are stored
(``request_context.RequestContext``).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Hashable

import torch
from torch import Tensor

from core.errors import LiminalError
from core.result_cache import ResultCache

CAPACITY_VARIABLE = "LIMINAL_RESULTS_MB"
DEFAULT_MEGABYTES = 192
"""About 240 enlarged pictures; descriptors and probabilities hardly count beside them. A process whose memory is glibc's grows by
almost twice of it until it is full, and then no more (351 to 358 MB with made-up rows, large and small)."""

MAX_ROWS = 50_000
"""Beside its content a row takes a kilobyte (1,038 bytes measured, of which 24 were the six values of a classifier)."""

CacheKey = tuple[Hashable, bytes]
"""The network (the loaded object itself: other weights are another object) with its input's shape, and the hash of the row."""


def hash_row(row: Tensor) -> bytes:
    """The hash of a row's bytes, in row-major order whatever its strides."""
    content = row.detach().cpu().contiguous().view(torch.uint8).numpy().data
    return hashlib.blake2b(content, digest_size=16).digest()


def read_capacity() -> int:
    """Bytes that may be stored: LIMINAL_RESULTS_MB, else DEFAULT_MEGABYTES. Raises LiminalError for a value that is no number."""
    value = os.environ.get(CAPACITY_VARIABLE, "")
    if value and not value.isdecimal():
        raise LiminalError(f"{CAPACITY_VARIABLE} is '{value}'; it is a whole number of megabytes, 0 to keep nothing.")
    return (int(value) if value else DEFAULT_MEGABYTES) * 1024 * 1024


class RowCache(ResultCache[CacheKey, Tensor]):
    """Rows (1, ...) by network and content. What is given out must not be changed."""

    def __init__(self, max_bytes: int | None = None) -> None:
        super().__init__(read_capacity() if max_bytes is None else max_bytes, _count_bytes, max_entries=MAX_ROWS)

    def put(self, key: CacheKey, value: Tensor) -> Tensor:
        """Store a copy of a row; one that is larger than the whole cache is not stored."""
        if _count_bytes(value) > self.max_bytes:
            return value
        with torch.inference_mode(False):
            return super().put(key, value.detach().clone())


def _count_bytes(row: Tensor) -> int:
    return row.numel() * row.element_size()
