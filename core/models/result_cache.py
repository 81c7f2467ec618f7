"""Cache of networks' results by the content of their input, bounded in bytes and in number of rows.

Ten people who look at the same face cost one evaluation. Only rows of requests whose context allows it are stored
(``request_context.RequestContext``).
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Hashable

import torch
from torch import Tensor

from core.errors import LiminalError

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
    """Bytes that may be kept: LIMINAL_RESULTS_MB, else DEFAULT_MEGABYTES. Raises LiminalError for a value that is no number."""
    given = os.environ.get(CAPACITY_VARIABLE, "")
    if given and not given.isdecimal():
        raise LiminalError(f"{CAPACITY_VARIABLE} is '{given}'; it is a whole number of megabytes, 0 to keep nothing.")
    return (int(given) if given else DEFAULT_MEGABYTES) * 1024 * 1024


class RowCache:
    """The most recently used rows. Thread-safe. What is given out must not be changed."""

    def __init__(self, most: int | None = None) -> None:
        self.most = read_capacity() if most is None else most
        self.bytes = 0
        self._rows: OrderedDict[CacheKey, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, mark: CacheKey) -> Tensor | None:
        """The row (1, ...), or None."""
        with self._lock:
            row = self._rows.get(mark)
            if row is not None:
                self._rows.move_to_end(mark)
            return row

    def put(self, mark: CacheKey, row: Tensor) -> None:
        """Keep a copy of a row (1, ...); the longest unused ones make room for it. A row larger than all room is not kept."""
        size = row.numel() * row.element_size()
        if size > self.most:
            return
        with torch.inference_mode(False):
            kept = row.detach().clone()
        with self._lock:
            before = self._rows.pop(mark, None)
            if before is not None:
                self.bytes -= before.numel() * before.element_size()
            self._rows[mark] = kept
            self.bytes += size
            while self.bytes > self.most or len(self._rows) > MAX_ROWS:
                _, oldest = self._rows.popitem(last=False)
                self.bytes -= oldest.numel() * oldest.element_size()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._rows.clear()
            self.bytes = 0
