"""The process's engine: from a network and its rows to the lane of their device."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from core.models import visits
from core.models.chunks import in_chunks
from core.models.engine.lane import Lane
from core.models.engine.requests import Cell, Kind, Network, Request, layout_of
from core.models.kept_rows import KeptRows, Mark, digest

PATIENCE = 0.004
"""Seconds that a chunk which is not full waits for other sessions' rows."""

MOST_WAITING = 256
"""Requests that may wait for one device; each has a thread that waits with it."""

MOST_WORKERS = 8
"""Chunks at once on the processor, however many cores it has; what else a chunk takes, Python does for one after another."""

ALONE = "LIMINAL_GATHER"
"""0: every thread runs its own chunks, with as many threads as PyTorch takes, as without an engine: to measure what it gains."""


def cores() -> int:
    """Those that this process may use; OMP_NUM_THREADS says it where several processes share a machine, as Ray's workers do."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Engine:
    """Gathers requests by network; one lane a device. Thread-safe.

    workers: chunks at once on the processor (None: one a core); any other device computes one at a time.
    """

    def __init__(
        self,
        *,
        patience: float = PATIENCE,
        most_waiting: int = MOST_WAITING,
        kept: KeptRows | None = None,
        workers: int | None = None,
    ) -> None:
        self.patience, self.most_waiting, self.workers = patience, most_waiting, workers
        self.kept = KeptRows() if kept is None else kept
        self.gathers = os.environ.get(ALONE) != "0"
        self._lanes: dict[torch.device, Lane] = {}
        self._lock = threading.Lock()

    def lane(self, device: torch.device) -> Lane:
        """The lane of a device, made on first use; ``cuda`` and ``cuda:0``, as its tensors call it, are one."""
        device = torch.device(device.type) if device.index == 0 else device
        with self._lock:
            if device not in self._lanes:
                workers = (self.workers or min(MOST_WORKERS, cores())) if device.type == "cpu" else 1
                self._lanes[device] = Lane(device, self.kept, self.patience, self.most_waiting, workers)
            return self._lanes[device]

    def run(self, network: Network, rows: Tensor, size: int, *, keep: bool = False) -> Tensor:
        """``network`` over rows (N, ...) in chunks of exactly ``size`` rows -> (N, ...), without gradient.

        Calls with the same ``network`` (a module or a bound method; a function made anew for each call is never the same) share
        their chunks. keep: the network never changes, so that its results may be kept for others (see ``visits.Visit.keeps``).
        Raises Cancelled where the visitor has left, LiminalError where too many wait, and what the network raises.
        """
        lane, visit = self.lane(rows.device), visits.current()
        if not len(rows) or not self.gathers or lane.held_here:
            return in_chunks(network, rows, size)
        layout = layout_of(rows)
        rows = rows.contiguous(memory_format=layout)
        kind = Kind(network, size, tuple(rows.shape[1:]), rows.dtype, layout)
        request = Request(visit, kind, network, [None] * len(rows))
        cells = self._unknown(request, rows, keep=keep and visit.keeps, lane=lane)
        request.left = sum(each is None for each in request.results)
        if not request.left:
            return request.result()
        return lane.ask(request, cells)

    @contextmanager
    def turn(self, device: torch.device) -> Iterator[None]:
        """The device for a short stretch of work with a gradient, in this thread; calls of ``run`` inside it go on at once."""
        if not self.gathers:
            yield
            return
        with self.lane(device).turn(visits.current()):
            yield

    def close(self, seconds: float = 10.0) -> None:
        """Begin nothing new, tell whoever waits, and wait for chunks that are being computed: a process that ends in the middle of
        a network is aborted."""
        with self._lock:
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.close(seconds)

    def as_dict(self) -> dict[str, Any]:
        """What was done, device by device, and how many bytes of results are kept."""
        with self._lock:
            lanes = {str(device): lane.statistics.as_dict() for device, lane in self._lanes.items()}
        return {"kept_rows": len(self.kept), "kept_bytes": self.kept.bytes, "devices": lanes}

    def _unknown(self, request: Request, rows: Tensor, *, keep: bool, lane: Lane) -> list[Cell]:
        """The rows whose results are not kept."""
        cells = []
        for place in range(len(rows)):
            row = rows[place : place + 1]
            mark: Mark | None = None
            if keep:
                mark = (request.kind, digest(row))
                known = self.kept.get(mark)
                if known is not None:
                    request.results[place] = known
                    lane.statistics.kept += 1
                    continue
            cells.append(Cell(row, mark, [(request, place)]))
        return cells


_engine: Engine | None = None
_making = threading.Lock()


def engine() -> Engine:
    """The process's engine, made on first use."""
    global _engine
    with _making:
        if _engine is None:
            _engine = Engine()
            atexit.register(_engine.close)
        return _engine


def _forget() -> None:
    global _engine, _making
    _engine, _making = None, threading.Lock()  # a forked process has none of the threads


os.register_at_fork(after_in_child=_forget)


def gathered(network: Network, rows: Tensor, size: int, *, keep: bool = False) -> Tensor:
    """As ``chunks.in_chunks``, to the byte, together with other sessions' rows; with a gradient, in this thread and alone.

    network, keep: see ``Engine.run``.
    """
    if torch.is_grad_enabled():
        return in_chunks(network, rows, size)
    return engine().run(network, rows, size, keep=keep)


@contextmanager
def turn(device: torch.device) -> Iterator[None]:
    """See ``Engine.turn``."""
    with engine().turn(device):
        yield
