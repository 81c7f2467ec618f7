"""What waits for a device, who is next, and what was computed already: sessions take turns, row by row.

A ``Request`` is one call with its rows (``RowTask``); a ``Turn`` is a short stretch in which a thread has the device to itself. No
thread is started here, and the queue is not thread-safe: a ``DeviceWorker`` holds its lock around every call of ``BatchQueue``.

``RowCache`` stores networks' results by the content of their input, bounded in bytes and in number of rows: ten people who look at
the same face cost one evaluation. Only rows of requests whose context allows it are stored (``request_context.RequestContext``).
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextvars import Context, copy_context
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.errors import LiminalError
from core.fair_queue import FairQueue
from core.models.request_context import RequestContext
from core.progress import send_notice
from core.result_cache import ResultCache

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class BatchKey:
    """Rows with equal keys go through the network together: the same network object, chunk size, shape, type and memory layout."""

    network: Hashable
    size: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    layout: torch.memory_format


@dataclass(eq=False)
class RowTask:
    """One row (1, ...) to be computed, once, for everybody who waits for it. cache_key: None where it is not to be shared."""

    row: Tensor
    cache_key: CacheKey | None
    waiters: list[tuple[Request, int]]  # each with the row's index in its results


@dataclass(eq=False)
class Request:
    """One call: its rows that are still to come, and what has come back."""

    context: RequestContext
    batch_key: BatchKey
    network: Network
    results: list[Tensor | None]
    pending: deque[RowTask] = field(default_factory=deque)
    remaining: int = 0  # rows that have not come back
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)
    since: float = field(default_factory=time.monotonic)
    thread_context: Context = field(default_factory=copy_context)

    def set_result(self, index: int, result: Tensor) -> None:
        """Take in one row that has come back."""
        if self.results[index] is None and not self.done.is_set():
            self.results[index] = result
            self.remaining -= 1
            if self.remaining == 0:
                self.done.set()

    def notify(self, message: str) -> None:
        """Send a notice about its rows to where the asking thread's notices go."""
        self.thread_context.run(send_notice, message)

    def fail(self, error: BaseException) -> None:
        """It will not be finished."""
        if not self.done.is_set():
            self.error = error
            self.pending.clear()
            self.done.set()

    def result(self) -> Tensor:
        """All rows (N, ...), a copy of its own. Raises what went wrong."""
        if self.error is not None:
            raise self.error
        rows = [row for row in self.results if row is not None]
        return torch.cat(rows) if len(rows) > 1 else rows[0].clone()


@dataclass(eq=False)
class Turn:
    """A short stretch in which a thread has the device to itself."""

    context: RequestContext
    granted: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None
    since: float = field(default_factory=time.monotonic)

    def fail(self, error: BaseException) -> None:
        """It will not be granted."""
        self.error = error
        self.over.set()
        self.granted.set()


QueueItem = Request | Turn


def find_memory_layout(rows: Tensor) -> torch.memory_format:
    """Channels last where rows (N, C, H, W) lie so in memory: networks use other kernels there."""
    last = rows.dim() == 4 and rows.is_contiguous(memory_format=torch.channels_last) and not rows.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def pad_batch(tasks: list[RowTask], key: BatchKey) -> Tensor:
    """Exactly ``key.size`` rows, filled up with zeros, in the rows' own memory layout."""
    rows = [task.row for task in tasks]
    missing = key.size - len(rows)
    if missing:
        padding = torch.zeros((missing, *key.shape), dtype=key.dtype, device=rows[0].device)
        rows.append(padding.contiguous(memory_format=key.layout))
    return torch.cat(rows).contiguous(memory_format=key.layout)


class BatchQueue(FairQueue[QueueItem]):
    """Requests and turns by session, and which of them make up the next chunk."""

    def add(self, item: QueueItem) -> None:
        """Queue an item for its session."""
        self.put(item.context.session, item)

    def discard(self, item: QueueItem) -> None:
        """Take an item out, wherever it is."""
        self.remove(item.context.session, item)

    def count_ahead(self, item: QueueItem) -> int:
        """How many sessions are served before this one."""
        sessions = self.owners()
        return sessions.index(item.context.session) if item.context.session in sessions else 0

    def choose_next(self, patience: float) -> tuple[QueueItem | None, float]:
        """What is to be done now, and else how many seconds to wait for more rows of what is there.

        A turn, or a request whose chunk is full or which has waited for ``patience`` seconds; by the order of the sessions.
        """
        now, soonest, items = time.monotonic(), patience, self.items()
        counts: dict[BatchKey, int] = {}
        for item in items:
            if isinstance(item, Request):
                counts[item.batch_key] = counts.get(item.batch_key, 0) + len(item.pending)
        for item in items:
            if isinstance(item, Turn):
                return item, 0.0
            wait = item.since + patience - now
            if counts[item.batch_key] >= item.batch_key.size or wait <= 0:
                return item, 0.0
            soonest = min(soonest, wait)
        return None, soonest

    def grant(self, turn: Turn) -> None:
        """Take the turn out; its session goes to the end of the line."""
        self.discard(turn)
        self.move_to_end(turn.context.session)

    def take_chunk(self, first: Request) -> list[RowTask]:
        """The next chunk: rows of ``first``'s batch key, one of each session in turns, its own session's first."""
        tasks: list[RowTask] = []
        order = [first.context.session, *(name for name in self.owners() if name != first.context.session)]
        sources = {name: deque(self._find_matching(name, first)) for name in order}
        while len(tasks) < first.batch_key.size and any(sources.values()):
            for name in order:
                requests = sources[name]
                while requests and not requests[0].pending:
                    requests.popleft()
                if requests and len(tasks) < first.batch_key.size:
                    tasks.append(requests[0].pending.popleft())
        for item in self.items():
            if isinstance(item, Request) and not item.pending:
                self.discard(item)
        self.move_to_end(first.context.session)
        return tasks

    def _find_matching(self, session: str, first: Request) -> list[Request]:
        """The session's requests of the same batch key, ``first`` in front."""
        matching = [item for item in self.items_of(session) if isinstance(item, Request) and item.batch_key == first.batch_key]
        return sorted(matching, key=lambda item: item is not first)


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
