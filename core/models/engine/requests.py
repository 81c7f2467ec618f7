"""What waits in a lane: requests with their rows, and turns at the device. No thread is started here."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextvars import Context, copy_context
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.models.kept_rows import Mark
from core.models.visits import Visit
from core.progress import notice

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Kind:
    """Rows of one kind go through the network together: the same network object, chunk size, shape, type and memory layout."""

    network: Hashable
    size: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    layout: torch.memory_format


@dataclass(eq=False)
class Cell:
    """One row (1, ...) to be computed, once, for everybody who waits for it."""

    row: Tensor
    mark: Mark | None
    waiters: list[tuple[Request, int]]


@dataclass(eq=False)
class Request:
    """One call: its rows that are still to come, and what has come back."""

    visit: Visit
    kind: Kind
    network: Network
    results: list[Tensor | None]
    pending: deque[Cell] = field(default_factory=deque)
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
        self.context.run(notice, message)

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

    visit: Visit
    granted: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None
    since: float = field(default_factory=time.monotonic)

    def fail(self, error: BaseException) -> None:
        """It will not be granted."""
        self.error = error
        self.over.set()
        self.granted.set()


Waiting = Request | Turn


def layout_of(rows: Tensor) -> torch.memory_format:
    """Channels last where rows (N, C, H, W) lie so in memory: networks use other kernels there."""
    last = rows.dim() == 4 and rows.is_contiguous(memory_format=torch.channels_last) and not rows.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def batch(cells: list[Cell], kind: Kind) -> Tensor:
    """Exactly ``kind.size`` rows, filled up with zeros, in the rows' own memory layout."""
    rows = [cell.row for cell in cells]
    missing = kind.size - len(rows)
    if missing:
        padding = torch.zeros((missing, *kind.shape), dtype=kind.dtype, device=rows[0].device)
        rows.append(padding.contiguous(memory_format=kind.layout))
    return torch.cat(rows).contiguous(memory_format=kind.layout)
