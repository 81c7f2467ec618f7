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
from core.models.engine.queue import (
    BatchKey,
    BatchQueue,
    CacheKey,
    Network,
    QueueItem,
    Request,
    RowCache,
    RowTask,
    Turn,
    find_memory_layout,
    hash_row,
    pad_batch,
)
from core.models.request_context import RequestContext
from core.progress import redirect_notices


@dataclass
class NetworkStatistics:
    """A network's chunks: how many, how many rows in all (of ``size`` a chunk at most), in how many seconds."""

    size: int
    chunks: int = 0
    rows: int = 0
    seconds: float = 0.0


@dataclass
class EngineStatistics:
    """Counts since the start. shared: rows that somebody else had asked for at the same time; kept: rows found in the cache."""

    shared: int = 0
    kept: int = 0
    networks: dict[str, NetworkStatistics] = field(default_factory=dict)

    def add_chunk(self, key: BatchKey, rows: int, seconds: float) -> None:
        """Count a chunk that has gone through its network."""
        counted = self.networks.setdefault(network_name(key.network), NetworkStatistics(key.size))
        counted.chunks += 1
        counted.rows += rows
        counted.seconds += seconds

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
    """A name for reports, such as DCGAN.images or SFaceNetwork."""
    owner = getattr(network, "__self__", None)
    if owner is not None:
        return f"{type(owner).__name__}.{getattr(network, '__name__', '')}"
    return str(getattr(network, "__qualname__", type(network).__name__))


REPORT_SECONDS = 0.25
"""Seconds between two checks of whether a waiting visitor has left, and between two reports of how many are ahead."""

ALONE_SECONDS = 1.0
"""Seconds after which a session that is alone does not wait for others' rows."""

MAX_TURN_SECONDS = 20.0
"""Seconds after which others go on, even if a turn at the device never ends."""

STUCK_SECONDS = 120.0
"""Seconds after which a network that does not return loses its thread: another one takes the next chunks."""

STOPPED_MESSAGE = "The server is being stopped; nothing half-made was kept."

logger = logging.getLogger(__name__)


class DeviceWorker:
    """Runs what is asked for on one device, as many chunks at a time as it has threads.

    Threads of the processor compute with one OpenMP thread each: two of them do more than one with two, and a row's bytes do not
    depend on how many cores a machine has.

    max_waiting: requests that may wait. count: threads.
    """

    def __init__(self, device: torch.device, cache: RowCache, patience: float, max_waiting: int, count: int) -> None:
        self.device, self.cache, self.patience, self.max_waiting, self.count = device, cache, patience, max_waiting, count
        self.statistics = EngineStatistics()
        self._queue = BatchQueue()
        self._computed: dict[CacheKey, RowTask] = {}  # tasks that wait or are being computed and may be shared
        self._changed = threading.Condition(threading.Lock())
        self._seen: dict[str, float] = {}  # session -> when it last asked
        self._threads: dict[threading.Thread, float | None] = {}  # thread -> since when it runs its chunk
        self._holding = threading.local()
        self._closed = False

    @property
    def holds_device(self) -> bool:
        """Whether this thread has the device to itself."""
        return bool(getattr(self._holding, "turns", 0))

    def run(self, request: Request, tasks: list[RowTask]) -> Tensor:
        """Queue a request's rows and wait for them. Raises Cancelled where the visitor left, LiminalError where too many wait."""
        with self._changed:
            self._admit(request.context)
            for task in tasks:
                same = self._computed.get(task.cache_key) if task.cache_key is not None else None
                if same is not None:
                    same.waiters += task.waiters
                    self.statistics.shared += 1
                    continue
                if task.cache_key is not None:
                    self._computed[task.cache_key] = task
                request.pending.append(task)
            if request.pending:
                self._queue.add(request)
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
    def device_turn(self, context: RequestContext) -> Iterator[None]:
        """The device for a short stretch. A thread that has it already goes on at once."""
        if self.holds_device:
            yield
            return
        turn = Turn(context)
        with self._changed:
            self._admit(context)
            self._queue.add(turn)
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
                self._queue.discard(turn)
                turn.over.set()
                self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """Begin nothing new, cancel what waits, and give the threads so many seconds to end."""
        with self._changed:
            self._closed = True
            for item in self._queue.items():
                self._drop(item, Cancelled(STOPPED_MESSAGE))
            self._changed.notify_all()
            threads = list(self._threads)
        until = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _admit(self, context: RequestContext) -> None:
        now = time.monotonic()
        self._seen[context.session] = now
        self._forget_old(now)
        if self._closed:
            raise Cancelled(STOPPED_MESSAGE)
        if len(self._queue) >= self.max_waiting:
            raise LiminalError(
                "Too many people are making faces on this server right now, so this was not started; try again in a minute."
            )

    def _forget_old(self, now: float) -> None:
        self._seen = {session: at for session, at in self._seen.items() if now - at < ALONE_SECONDS}

    def _start(self) -> None:
        """Start the threads; those that are stuck or dead are replaced."""
        now = time.monotonic()
        for thread, since in list(self._threads.items()):
            stuck = since is not None and now - since > STUCK_SECONDS
            if stuck:
                logger.warning(
                    "A network on %s has not come back for %.0f seconds; going on without it.", self.device, STUCK_SECONDS
                )
                self._computed.clear()  # later requests for its rows must not wait for it
            if stuck or not thread.is_alive():
                del self._threads[thread]
        while len(self._threads) < self.count:
            before, ready = torch.get_num_threads(), threading.Event()
            thread = threading.Thread(target=self._serve, args=(ready,), name=f"engine-{self.device}", daemon=True)
            self._threads[thread] = None
            thread.start()
            ready.wait()
            torch.set_num_threads(before)  # else later threads would be limited to one OpenMP thread, too

    def _wait(self, item: QueueItem, event: threading.Event) -> None:
        while not event.wait(REPORT_SECONDS):
            if item.context.cancel.is_set():
                raise Cancelled
            with self._changed:
                self._start()
                ahead = self._queue.count_ahead(item)
            if item.context.on_wait is not None:
                item.context.on_wait(ahead)

    def _drop(self, item: QueueItem, why: BaseException) -> None:
        """End a request or turn early. Rows that others wait for, too, stay in the queue for them, unless the worker is closed."""
        self._queue.discard(item)
        tasks = list(item.pending) if isinstance(item, Request) else []
        item.fail(why)
        for task in tasks:
            if self._closed:
                for waiter, _ in task.waiters:
                    self._drop(waiter, Cancelled(STOPPED_MESSAGE))
            task.waiters = [waiter for waiter in task.waiters if not waiter[0].done.is_set()]
            if not task.waiters:
                self._forget([task])
                continue
            heir = task.waiters[0][0]
            if not heir.pending:
                self._queue.add(heir)
            heir.pending.append(task)
        self._changed.notify_all()

    def _serve(self, ready: threading.Event) -> None:
        this = threading.current_thread()
        if self.device.type == "cpu":
            torch.get_num_threads()  # the first call in a thread takes over the process's number, and would undo the next line
            torch.set_num_threads(1)
        ready.set()
        self._holding.turns = 1  # a network that calls another one through the engine must not wait for itself
        while True:
            with self._changed:
                work = self._next(this)
            if work is None:
                return
            if isinstance(work, Turn):
                work.granted.set()
                if not work.over.wait(MAX_TURN_SECONDS):
                    logger.warning("A turn at %s took longer than %.0f seconds; others go on.", self.device, MAX_TURN_SECONDS)
            else:
                self._compute(work)
            del work  # a thread that waits must hold no picture
            with self._changed:
                if this in self._threads:
                    self._threads[this] = None
                self._changed.notify_all()

    def _next(self, this: threading.Thread) -> Turn | list[RowTask] | None:
        while not self._closed and this in self._threads:
            if not len(self._queue):
                self._changed.wait()
                continue
            item, seconds = self._queue.choose_next(self.patience if len(self._seen) > 1 else 0.0)
            if item is None:
                self._changed.wait(seconds)
                continue
            self._threads[this] = time.monotonic()
            if isinstance(item, Turn):
                self._queue.grant(item)
                return item
            return self._queue.take_chunk(item)
        return None

    def _compute(self, tasks: list[RowTask]) -> None:
        """Run one chunk. Where it fails, each row is run alone, so that an error reaches only the requests for that row."""
        request = tasks[0].waiters[0][0]  # any of them: the network is the same
        try:
            began = time.perf_counter()
            with torch.no_grad(), redirect_notices(lambda message: _notify_requests(tasks, message)):
                results = run_in_chunks(request.network, pad_batch(tasks, request.batch_key), request.batch_key.size)
            with self._changed:
                self.statistics.add_chunk(request.batch_key, len(tasks), time.perf_counter() - began)
            self._deliver(tasks, [results[index : index + 1] for index in range(len(tasks))])
        except BaseException as error:  # a thread must survive whatever a network raises
            if len(tasks) > 1:
                for task in tasks:
                    self._compute([task])
                return
            why = error if isinstance(error, Exception) else RuntimeError(f"the network was ended by {type(error).__name__}")
            with self._changed:
                self._forget(tasks)
                for waiter, _ in tasks[0].waiters:
                    self._drop(waiter, why)

    def _deliver(self, tasks: list[RowTask], results: list[Tensor]) -> None:
        for task, result in zip(tasks, results, strict=True):
            if task.cache_key is not None:
                self.cache.put(task.cache_key, result)
        with self._changed:
            self._forget(tasks)
            for task, result in zip(tasks, results, strict=True):
                for waiter, index in task.waiters:
                    waiter.set_result(index, result)

    def _forget(self, tasks: list[RowTask]) -> None:
        """Take tasks out of those that can be shared. Where a network was stuck, another task may have a key of theirs by now."""
        for task in tasks:
            if task.cache_key is not None and self._computed.get(task.cache_key) is task:
                del self._computed[task.cache_key]


def _notify_requests(tasks: list[RowTask], message: str) -> None:
    for request in {waiter for task in tasks for waiter, _ in task.waiters}:
        request.notify(message)


PATIENCE = 0.004
"""Seconds that a chunk which is not full waits for other sessions' rows."""

MAX_WAITING = 256
"""Requests that may wait for one device; each has a thread that waits with it."""

MAX_THREADS = 8
"""Chunks at once on the processor, however many cores it has: the Python part of chunks runs one after another."""

GATHER_VARIABLE = "LIMINAL_GATHER"
"""0: every thread runs its own chunks with PyTorch's number of threads, as without an engine, to measure the engine's gain."""


def count_cores() -> int:
    """Cores that this process may use; OMP_NUM_THREADS limits them where processes share a machine, as Ray's workers do."""
    named = os.environ.get("OMP_NUM_THREADS", "")
    if named.isdecimal() and int(named):
        return int(named)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Engine:
    """Batches requests by network; one worker a device. Thread-safe.

    threads: chunks at once on the processor (None: one a core); any other device computes one at a time.
    """

    def __init__(
        self,
        *,
        patience: float = PATIENCE,
        max_waiting: int = MAX_WAITING,
        cache: RowCache | None = None,
        threads: int | None = None,
    ) -> None:
        self.patience, self.max_waiting, self.threads = patience, max_waiting, threads
        self.cache = RowCache() if cache is None else cache
        self.batches = os.environ.get(GATHER_VARIABLE) != "0"
        self._workers: dict[torch.device, DeviceWorker] = {}
        self._lock = threading.Lock()

    def worker(self, device: torch.device) -> DeviceWorker:
        """The worker of a device, made on first use; ``cuda`` and ``cuda:0``, as its tensors call it, are one."""
        device = torch.device(device.type) if device.index == 0 else device
        with self._lock:
            if device not in self._workers:
                count = (self.threads or min(MAX_THREADS, count_cores())) if device.type == "cpu" else 1
                self._workers[device] = DeviceWorker(device, self.cache, self.patience, self.max_waiting, count)
            return self._workers[device]

    def run(self, network: Network, rows: Tensor, size: int, *, cache: bool = False) -> Tensor:
        """``network`` over rows (N, ...) in chunks of exactly ``size`` rows -> (N, ...), without gradient.

        Calls with the same ``network`` (a module or a bound method; a function made anew for each call is never the same) share
        their chunks. cache: the network never changes, so that its results may be stored for others, where the request's context
        allows it (``RequestContext.may_cache``). Raises Cancelled where the visitor has left, LiminalError where too many wait, and
        what the network raises.
        """
        worker, context = self.worker(rows.device), request_context.current_context()
        if not len(rows) or not self.batches or worker.holds_device:
            return run_in_chunks(network, rows, size)
        layout = find_memory_layout(rows)
        rows = rows.contiguous(memory_format=layout)
        key = BatchKey(network, size, tuple(rows.shape[1:]), rows.dtype, layout)
        request = Request(context, key, network, [None] * len(rows))
        tasks = self._make_tasks(request, rows, cache=cache and context.may_cache, worker=worker)
        request.remaining = len(tasks)
        if not tasks:
            return request.result()
        return worker.run(request, tasks)

    @contextmanager
    def device_turn(self, device: torch.device) -> Iterator[None]:
        """The device for a short stretch of work with a gradient, in this thread; calls of ``run`` inside it go on at once."""
        if not self.batches:
            yield
            return
        with self.worker(device).device_turn(request_context.current_context()):
            yield

    def close(self, seconds: float = 10.0) -> None:
        """Begin nothing new, tell whoever waits, and wait for chunks that are being computed: a process that ends in the middle of
        a network is aborted."""
        with self._lock:
            workers = list(self._workers.values())
        for worker in workers:
            worker.close(seconds)

    def as_dict(self) -> dict[str, Any]:
        """What was done, device by device, and how many bytes of results are cached."""
        with self._lock:
            devices = {str(device): worker.statistics.as_dict() for device, worker in self._workers.items()}
        return {"kept_rows": len(self.cache), "kept_bytes": self.cache.bytes, "devices": devices}

    def _make_tasks(self, request: Request, rows: Tensor, *, cache: bool, worker: DeviceWorker) -> list[RowTask]:
        """The rows whose results are not in the cache; those that are go to the request at once."""
        tasks = []
        for index in range(len(rows)):
            row = rows[index : index + 1]
            key: CacheKey | None = None
            if cache:
                key = (request.batch_key, hash_row(row))
                stored = self.cache.get(key)
                if stored is not None:
                    request.results[index] = stored
                    worker.statistics.kept += 1
                    continue
            tasks.append(RowTask(row, key, [(request, index)]))
        return tasks


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


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_reset_after_fork)


def batched(network: Network, rows: Tensor, size: int, *, cache: bool = False) -> Tensor:
    """As ``run_in_chunks``, to the byte, together with other sessions' rows; with a gradient, in this thread and alone.

    network, cache: see ``Engine.run``.
    """
    if torch.is_grad_enabled():
        return run_in_chunks(network, rows, size)
    return get_engine().run(network, rows, size, cache=cache)


@contextmanager
def device_turn(device: torch.device) -> Iterator[None]:
    """See ``Engine.device_turn``."""
    with get_engine().device_turn(device):
        yield
