"""What waits for a device, and who is next: sessions take turns, row by row.

A ``Request`` is one call with its rows (``RowTask``); a ``Turn`` is a short stretch in which a thread has the device to itself. No
thread is started here, and nothing is thread-safe: a ``DeviceWorker`` holds its lock around every call of ``FairQueue``.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from contextvars import Context, copy_context
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.models.request_context import RequestContext
from core.models.result_cache import CacheKey
from core.progress import send_notice

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class BatchKey:
    """Rows of one kind go through the network together: the same network object, chunk size, shape, type and memory layout."""

    network: Hashable
    size: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    layout: torch.memory_format


@dataclass(eq=False)
class RowTask:
    """One row (1, ...) to be computed, once, for everybody who waits for it."""

    row: Tensor
    mark: CacheKey | None
    waiters: list[tuple[Request, int]]


@dataclass(eq=False)
class Request:
    """One call: its rows that are still to come, and what has come back."""

    visit: RequestContext
    kind: BatchKey
    network: Network
    results: list[Tensor | None]
    pending: deque[RowTask] = field(default_factory=deque)
    left: int = 0
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)
    since: float = field(default_factory=time.monotonic)
    context: Context = field(default_factory=copy_context)

    def fill(self, place: int, result: Tensor) -> None:
        """One row has come back."""
        if self.results[place] is None and not self.done.is_set():
            self.results[place] = result
            self.left -= 1
            if self.left == 0:
                self.done.set()

    def notify(self, message: str) -> None:
        """A notice about its rows goes where this thread's notices go."""
        self.context.run(send_notice, message)

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
        rows = [each for each in self.results if each is not None]
        return torch.cat(rows) if len(rows) > 1 else rows[0].clone()


@dataclass(eq=False)
class Turn:
    """A short stretch in which a thread has the device to itself."""

    visit: RequestContext
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


def pad_batch(cells: list[RowTask], kind: BatchKey) -> Tensor:
    """Exactly ``kind.size`` rows, filled up with zeros, in the rows' own memory layout."""
    rows = [cell.row for cell in cells]
    missing = kind.size - len(rows)
    if missing:
        padding = torch.zeros((missing, *kind.shape), dtype=kind.dtype, device=rows[0].device)
        rows.append(padding.contiguous(memory_format=kind.layout))
    return torch.cat(rows).contiguous(memory_format=kind.layout)


class FairQueue:
    """Requests and turns by session, in the order in which the sessions are served."""

    def __init__(self) -> None:
        self.sessions: OrderedDict[str, deque[QueueItem]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(items) for items in self.sessions.values())

    def put(self, item: QueueItem) -> None:
        """Behind what this session asked for already."""
        self.sessions.setdefault(item.visit.session, deque()).append(item)

    def remove(self, item: QueueItem) -> None:
        """Take something out, wherever it is."""
        items = self.sessions.get(item.visit.session)
        if items is not None and item in items:
            items.remove(item)
            if not items:
                del self.sessions[item.visit.session]

    def ahead(self, item: QueueItem) -> int:
        """How many sessions are served before this one."""
        names = list(self.sessions)
        return names.index(item.visit.session) if item.visit.session in self.sessions else 0

    def next(self, patience: float) -> tuple[QueueItem | None, float]:
        """What is to be done now, and else how many seconds to wait for more rows of what is there.

        A turn, or a request whose chunk is full or which has waited for ``patience`` seconds; by the order of the sessions.
        """
        now, soonest = time.monotonic(), patience
        counts: dict[BatchKey, int] = {}
        for items in self.sessions.values():
            for item in items:
                if isinstance(item, Request):
                    counts[item.kind] = counts.get(item.kind, 0) + len(item.pending)
        for items in self.sessions.values():
            for item in items:
                if isinstance(item, Turn):
                    return item, 0.0
                remaining = item.since + patience - now
                if counts[item.kind] >= item.kind.size or remaining <= 0:
                    return item, 0.0
                soonest = min(soonest, remaining)
        return None, soonest

    def grant(self, turn: Turn) -> None:
        """The turn's session goes to the end of the line."""
        self.remove(turn)
        self._to_the_end(turn.visit.session)

    def take(self, first: Request) -> list[RowTask]:
        """The next chunk: rows of ``first``'s kind, one of each session in turns, its own session's first."""
        taken: list[RowTask] = []
        order = [first.visit.session, *(name for name in self.sessions if name != first.visit.session)]
        sources = {name: deque(self._of_kind(name, first)) for name in order}
        while len(taken) < first.kind.size and any(sources.values()):
            for name in order:
                requests = sources[name]
                while requests and not requests[0].pending:
                    requests.popleft()
                if requests and len(taken) < first.kind.size:
                    taken.append(requests[0].pending.popleft())
        for name in order:
            self._drop_empty(name)
        self._to_the_end(first.visit.session)
        return taken

    def _of_kind(self, session: str, first: Request) -> list[Request]:
        found = [item for item in self.sessions[session] if isinstance(item, Request) and item.kind == first.kind]
        return sorted(found, key=lambda item: item is not first)

    def _drop_empty(self, session: str) -> None:
        items = self.sessions[session]
        kept = deque(item for item in items if isinstance(item, Turn) or item.pending)
        if kept:
            self.sessions[session] = kept
        else:
            del self.sessions[session]

    def _to_the_end(self, session: str) -> None:
        if session in self.sessions:
            self.sessions.move_to_end(session)
