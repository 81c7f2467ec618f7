"""The process's engine: one worker a device, its threads, and the rows that are being computed.

``Engine`` sends a network and its rows to the ``DeviceWorker`` of their device, which runs them chunk by chunk and shares results
between those who wait for the same row. ``EngineStatistics`` counts, network by network, how full the chunks were and how long they
took.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from core.errors import Cancelled, LiminalError
from core.models import request_context
from core.models.device import run_in_chunks
from core.models.engine.queue import BatchKey, FairQueue, Network, QueueItem, Request, RowTask, Turn, find_memory_layout, pad_batch
from core.models.request_context import RequestContext
from core.models.result_cache import CacheKey, RowCache, hash_row
from core.progress import redirect_notices


@dataclass
class NetworkStatistics:
    """Chunks of one kind: how many, with how many rows of ``size`` each, in how many seconds."""

    size: int
    chunks: int = 0
    rows: int = 0
    seconds: float = 0.0


@dataclass
class EngineStatistics:
    """Counts since the start. shared: rows that somebody else had asked for at the same time; kept: that were known already."""

    shared: int = 0
    kept: int = 0
    networks: dict[str, NetworkStatistics] = field(default_factory=dict)

    def ran(self, kind: BatchKey, rows: int, seconds: float) -> None:
        """One chunk has gone through its network."""
        found = self.networks.setdefault(network_name(kind.network), NetworkStatistics(kind.size))
        found.chunks += 1
        found.rows += rows
        found.seconds += seconds

    def as_dict(self) -> dict[str, Any]:
        """For reports: everything above, and ``filled``, the share of the chunks' rows that somebody had asked for."""
        networks = {
            name: {
                "chunks": ran.chunks,
                "rows": ran.rows,
                "filled": ran.rows / (ran.chunks * ran.size),
                "milliseconds_per_row": 1000 * ran.seconds / ran.rows,
            }
            for name, ran in self.networks.items()
        }
        return {"shared": self.shared, "kept": self.kept, "networks": networks}


def network_name(network: object) -> str:
    """For example DCGAN.images or SFaceNetwork."""
    owner = getattr(network, "__self__", None)
    if owner is not None:
        return f"{type(owner).__name__}.{getattr(network, '__name__', '')}"
    return str(getattr(network, "__qualname__", type(network).__name__))


REPORT_SECONDS = 0.25
"""Between two looks of a waiting thread at whether its visitor has left, and two words on how many are ahead."""

ALONE_SECONDS = 1.0
"""A session that was alone for so long need not wait for others."""

MAX_TURN_SECONDS = 20.0
"""Seconds after which others go on, even if whoever has the device never gives it back."""

STUCK_SECONDS = 120.0
"""After which a network that does not come back loses its worker: another one goes on with the rest."""

STOPPED_MESSAGE = "The server is being stopped; nothing half-made was kept."

logger = logging.getLogger(__name__)


class DeviceWorker:
    """Runs what is asked for on one device, as many chunks at a time as it has workers.

    Workers of the processor compute with one thread each: two such workers do more than one with two threads, and a row's bytes do
    not depend on how many cores a machine has.
    """

    def __init__(self, device: torch.device, kept: RowCache, patience: float, most: int, workers: int) -> None:
        self.device, self.kept, self.patience, self.most, self.count = device, kept, patience, most, workers
        self.statistics = EngineStatistics()
        self._queue = FairQueue()
        self._computed: dict[CacheKey, RowTask] = {}  # that wait or are being computed, of those that may be shared
        self._changed = threading.Condition(threading.Lock())
        self._seen: dict[str, float] = {}  # session -> when it last asked
        self._workers: dict[threading.Thread, float | None] = {}  # each with since when it has been at its chunk
        self._holding = threading.local()
        self._closed = False

    @property
    def held_here(self) -> bool:
        """Whether this thread has the device to itself."""
        return bool(getattr(self._holding, "turns", 0))

    def ask(self, request: Request, cells: list[RowTask]) -> Tensor:
        """Queue a request's rows and wait for them. Raises Cancelled where the visitor left, LiminalError where too many wait."""
        with self._changed:
            self._admit(request.visit)
            for cell in cells:
                same = self._computed.get(cell.mark) if cell.mark is not None else None
                if same is not None:
                    same.waiters += cell.waiters
                    self.statistics.shared += 1
                    continue
                if cell.mark is not None:
                    self._computed[cell.mark] = cell
                request.pending.append(cell)
            if request.pending:
                self._queue.put(request)
            self._start()
            self._changed.notify_all()
        try:
            self._wait(request, request.done)
        except BaseException:
            with self._changed:
                self._drop(request, Cancelled())
            raise
        return request.result()

    @contextmanager
    def turn(self, visit: RequestContext) -> Iterator[None]:
        """The device for a short stretch. A thread that has it already goes on at once."""
        if self.held_here:
            yield
            return
        turn = Turn(visit)
        with self._changed:
            self._admit(visit)
            self._queue.put(turn)
            self._start()
            self._changed.notify_all()
        try:
            self._wait(turn, turn.granted)
            if turn.error is not None:
                raise turn.error
            self._holding.turns = 1
            yield
        finally:
            self._holding.turns = 0
            with self._changed:
                self._queue.remove(turn)
                turn.over.set()
                self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """Nothing new is begun; whoever waits is told; the worker may take so many seconds to end."""
        with self._changed:
            self._closed = True
            for item in [item for items in self._queue.sessions.values() for item in items]:
                self._drop(item, Cancelled(STOPPED_MESSAGE))
            self._changed.notify_all()
            workers = list(self._workers)
        until = time.monotonic() + seconds
        for worker in workers:
            worker.join(max(0.0, until - time.monotonic()))

    def _admit(self, visit: RequestContext) -> None:
        now = time.monotonic()
        self._seen[visit.session] = now
        self._forget_old(now)
        if self._closed:
            raise Cancelled(STOPPED_MESSAGE)
        if len(self._queue) >= self.most:
            raise LiminalError(
                "Too many people are making faces on this server right now, so this was not started; try again in a minute."
            )

    def _forget_old(self, now: float) -> None:
        self._seen = {session: at for session, at in self._seen.items() if now - at < ALONE_SECONDS}

    def _start(self) -> None:
        """All workers; those that are stuck or dead are replaced."""
        now = time.monotonic()
        for worker, since in list(self._workers.items()):
            stuck = since is not None and now - since > STUCK_SECONDS
            if stuck:
                logger.warning(
                    "A network on %s has not come back for %.0f seconds; going on without it.", self.device, STUCK_SECONDS
                )
                self._computed.clear()  # whoever asks for its rows from now on must not wait for it
            if stuck or not worker.is_alive():
                del self._workers[worker]
        while len(self._workers) < self.count:
            before, ready = torch.get_num_threads(), threading.Event()
            worker = threading.Thread(target=self._serve, args=(ready,), name=f"engine-{self.device}", daemon=True)
            self._workers[worker] = None
            worker.start()
            ready.wait()
            torch.set_num_threads(before)  # else threads that come later would have one thread, too

    def _wait(self, item: QueueItem, event: threading.Event) -> None:
        while not event.wait(REPORT_SECONDS):
            if item.visit.cancel.is_set():
                raise Cancelled
            with self._changed:
                self._start()
                ahead = self._queue.ahead(item)
            if item.visit.waiting is not None:
                item.visit.waiting(ahead)

    def _drop(self, item: QueueItem, why: BaseException) -> None:
        """A request or turn ends early. Rows for which others wait too go on for them, unless nothing new is begun any more."""
        self._queue.remove(item)
        own = list(item.pending) if isinstance(item, Request) else []
        item.fail(why)
        for cell in own:
            if self._closed:
                for waiter, _ in cell.waiters:
                    self._drop(waiter, Cancelled(STOPPED_MESSAGE))
            cell.waiters = [each for each in cell.waiters if not each[0].done.is_set()]
            if not cell.waiters:
                self._forget([cell])
                continue
            heir = cell.waiters[0][0]
            if not heir.pending:
                self._queue.put(heir)
            heir.pending.append(cell)
        self._changed.notify_all()

    def _serve(self, ready: threading.Event) -> None:
        me = threading.current_thread()
        if self.device.type == "cpu":
            torch.get_num_threads()  # a thread's first question takes the process's number over, and would undo the next line
            torch.set_num_threads(1)
        ready.set()
        self._holding.turns = 1  # a network that asks another one must not wait for itself
        while True:
            with self._changed:
                work = self._next(me)
            if work is None:
                return
            if isinstance(work, Turn):
                work.granted.set()
                if not work.over.wait(MAX_TURN_SECONDS):
                    logger.warning("A turn at %s took longer than %.0f seconds; others go on.", self.device, MAX_TURN_SECONDS)
            else:
                self._compute(work)
            del work  # a worker that waits keeps no picture
            with self._changed:
                if me in self._workers:
                    self._workers[me] = None
                self._changed.notify_all()

    def _next(self, me: threading.Thread) -> Turn | list[RowTask] | None:
        while not self._closed and me in self._workers:
            if not len(self._queue):
                self._changed.wait()
                continue
            item, seconds = self._queue.next(self.patience if len(self._seen) > 1 else 0.0)
            if item is None:
                self._changed.wait(seconds)
                continue
            self._workers[me] = time.monotonic()
            if isinstance(item, Turn):
                self._queue.grant(item)
                return item
            return self._queue.take(item)
        return None

    def _compute(self, cells: list[RowTask]) -> None:
        """One chunk. Where it fails, each row is tried apart, so that an error reaches only whoever asked for that row."""
        request = cells[0].waiters[0][0]  # any of them: the network is the same
        try:
            began = time.perf_counter()
            with torch.no_grad(), redirect_notices(lambda message: _notify_requests(cells, message)):
                results = run_in_chunks(request.network, pad_batch(cells, request.kind), request.kind.size)
            with self._changed:
                self.statistics.ran(request.kind, len(cells), time.perf_counter() - began)
            self._deliver(cells, [results[place : place + 1] for place in range(len(cells))])
        except BaseException as error:  # a worker must outlive whatever a network raises
            if len(cells) > 1:
                for cell in cells:
                    self._compute([cell])
                return
            why = error if isinstance(error, Exception) else RuntimeError(f"the network was ended by {type(error).__name__}")
            with self._changed:
                self._forget(cells)
                for waiter, _ in cells[0].waiters:
                    self._drop(waiter, why)

    def _deliver(self, cells: list[RowTask], results: list[Tensor]) -> None:
        for cell, result in zip(cells, results, strict=True):
            if cell.mark is not None:
                self.kept.put(cell.mark, result)
        with self._changed:
            self._forget(cells)
            for cell, result in zip(cells, results, strict=True):
                for waiter, place in cell.waiters:
                    waiter.fill(place, result)

    def _forget(self, cells: list[RowTask]) -> None:
        """Nobody may join their waiters any more. Another cell may have a mark of theirs by now, where a network was stuck."""
        for cell in cells:
            if cell.mark is not None and self._computed.get(cell.mark) is cell:
                del self._computed[cell.mark]


def _notify_requests(cells: list[RowTask], message: str) -> None:
    for request in {waiter for cell in cells for waiter, _ in cell.waiters}:
        request.notify(message)


PATIENCE = 0.004
"""Seconds that a chunk which is not full waits for other sessions' rows."""

MAX_WAITING = 256
"""Requests that may wait for one device; each has a thread that waits with it."""

MAX_WORKERS = 8
"""Chunks at once on the processor, however many cores it has; what else a chunk takes, Python does for one after another."""

GATHER_VARIABLE = "LIMINAL_GATHER"
"""0: every thread runs its own chunks, with as many threads as PyTorch takes, as without an engine: to measure what it gains."""


def count_cores() -> int:
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
        most_waiting: int = MAX_WAITING,
        kept: RowCache | None = None,
        workers: int | None = None,
    ) -> None:
        self.patience, self.most_waiting, self.workers = patience, most_waiting, workers
        self.kept = RowCache() if kept is None else kept
        self.gathers = os.environ.get(GATHER_VARIABLE) != "0"
        self._lanes: dict[torch.device, DeviceWorker] = {}
        self._lock = threading.Lock()

    def lane(self, device: torch.device) -> DeviceWorker:
        """The lane of a device, made on first use; ``cuda`` and ``cuda:0``, as its tensors call it, are one."""
        device = torch.device(device.type) if device.index == 0 else device
        with self._lock:
            if device not in self._lanes:
                workers = (self.workers or min(MAX_WORKERS, count_cores())) if device.type == "cpu" else 1
                self._lanes[device] = DeviceWorker(device, self.kept, self.patience, self.most_waiting, workers)
            return self._lanes[device]

    def run(self, network: Network, rows: Tensor, size: int, *, keep: bool = False) -> Tensor:
        """``network`` over rows (N, ...) in chunks of exactly ``size`` rows -> (N, ...), without gradient.

        Calls with the same ``network`` (a module or a bound method; a function made anew for each call is never the same) share
        their chunks. keep: the network never changes, so that its results may be kept for others (see ``visits.Visit.keeps``).
        Raises Cancelled where the visitor has left, LiminalError where too many wait, and what the network raises.
        """
        lane, visit = self.lane(rows.device), request_context.current_context()
        if not len(rows) or not self.gathers or lane.held_here:
            return run_in_chunks(network, rows, size)
        layout = find_memory_layout(rows)
        rows = rows.contiguous(memory_format=layout)
        kind = BatchKey(network, size, tuple(rows.shape[1:]), rows.dtype, layout)
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
        with self.lane(device).turn(request_context.current_context()):
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

    def _unknown(self, request: Request, rows: Tensor, *, keep: bool, lane: DeviceWorker) -> list[RowTask]:
        """The rows whose results are not kept."""
        cells = []
        for place in range(len(rows)):
            row = rows[place : place + 1]
            mark: CacheKey | None = None
            if keep:
                mark = (request.kind, hash_row(row))
                known = self.kept.get(mark)
                if known is not None:
                    request.results[place] = known
                    lane.statistics.kept += 1
                    continue
            cells.append(RowTask(row, mark, [(request, place)]))
        return cells


_engine: Engine | None = None
_engine_lock = threading.Lock()


def get_engine() -> Engine:
    """The process's engine, made on first use."""
    global _engine
    with _engine_lock:
        if _engine is None:
            _engine = Engine()
            atexit.register(_engine.close)
        return _engine


def _reset_after_fork() -> None:
    global _engine, _engine_lock
    _engine, _engine_lock = None, threading.Lock()  # a forked process has none of the threads


os.register_at_fork(after_in_child=_reset_after_fork)


def batched(network: Network, rows: Tensor, size: int, *, keep: bool = False) -> Tensor:
    """As ``device.run_in_chunks``, to the byte, together with other sessions' rows; with a gradient, in this thread and alone.

    network, keep: see ``Engine.run``.
    """
    if torch.is_grad_enabled():
        return run_in_chunks(network, rows, size)
    return get_engine().run(network, rows, size, keep=keep)


@contextmanager
def device_turn(device: torch.device) -> Iterator[None]:
    """See ``Engine.turn``."""
    with get_engine().turn(device):
        yield
