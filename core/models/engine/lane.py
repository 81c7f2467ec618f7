"""One device: its queue, its worker threads, and the rows that are being computed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from core.errors import Cancelled, LiminalError
from core.models.chunks import in_chunks
from core.models.engine.queue import FairQueue
from core.models.engine.requests import Cell, Request, Turn, Waiting, batch
from core.models.engine.statistics import Statistics
from core.models.kept_rows import KeptRows, Mark
from core.models.visits import Visit
from core.progress import notices_to

TELL_SECONDS = 0.25
"""Between two looks of a waiting thread at whether its visitor has left, and two words on how many are ahead."""

COMPANY_SECONDS = 1.0
"""A session that was alone for so long need not wait for others."""

LONGEST_TURN = 20.0
"""Seconds after which others go on, even if whoever has the device never gives it back."""

STUCK_SECONDS = 120.0
"""After which a network that does not come back loses its worker: another one goes on with the rest."""

STOPPED = "The server is being stopped; nothing half-made was kept."

logger = logging.getLogger(__name__)


class Lane:
    """Runs what is asked for on one device, as many chunks at a time as it has workers.

    Workers of the processor compute with one thread each: two such workers do more than one with two threads, and a row's bytes do
    not depend on how many cores a machine has.
    """

    def __init__(self, device: torch.device, kept: KeptRows, patience: float, most: int, workers: int) -> None:
        self.device, self.kept, self.patience, self.most, self.count = device, kept, patience, most, workers
        self.statistics = Statistics()
        self._queue = FairQueue()
        self._computed: dict[Mark, Cell] = {}  # that wait or are being computed, of those that may be shared
        self._changed = threading.Condition(threading.Lock())
        self._seen: dict[str, float] = {}  # session -> when it last asked
        self._workers: dict[threading.Thread, float | None] = {}  # each with since when it has been at its chunk
        self._holding = threading.local()
        self._closed = False

    @property
    def held_here(self) -> bool:
        """Whether this thread has the device to itself."""
        return bool(getattr(self._holding, "turns", 0))

    def ask(self, request: Request, cells: list[Cell]) -> Tensor:
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
    def turn(self, visit: Visit) -> Iterator[None]:
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
                self._drop(item, Cancelled(STOPPED))
            self._changed.notify_all()
            workers = list(self._workers)
        until = time.monotonic() + seconds
        for worker in workers:
            worker.join(max(0.0, until - time.monotonic()))

    def _admit(self, visit: Visit) -> None:
        now = time.monotonic()
        self._seen[visit.session] = now
        self._forget_old(now)
        if self._closed:
            raise Cancelled(STOPPED)
        if len(self._queue) >= self.most:
            raise LiminalError(
                "Too many people are making faces on this server right now, so this was not started; try again in a minute."
            )

    def _forget_old(self, now: float) -> None:
        self._seen = {session: at for session, at in self._seen.items() if now - at < COMPANY_SECONDS}

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

    def _wait(self, item: Waiting, event: threading.Event) -> None:
        while not event.wait(TELL_SECONDS):
            if item.visit.cancel.is_set():
                raise Cancelled
            with self._changed:
                self._start()
                ahead = self._queue.ahead(item)
            if item.visit.waiting is not None:
                item.visit.waiting(ahead)

    def _drop(self, item: Waiting, why: BaseException) -> None:
        """A request or turn ends early. Rows for which others wait too go on for them, unless nothing new is begun any more."""
        self._queue.remove(item)
        own = list(item.pending) if isinstance(item, Request) else []
        item.fail(why)
        for cell in own:
            if self._closed:
                for waiter, _ in cell.waiters:
                    self._drop(waiter, Cancelled(STOPPED))
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
                if not work.over.wait(LONGEST_TURN):
                    logger.warning("A turn at %s took longer than %.0f seconds; others go on.", self.device, LONGEST_TURN)
            else:
                self._compute(work)
            del work  # a worker that waits keeps no picture
            with self._changed:
                if me in self._workers:
                    self._workers[me] = None
                self._changed.notify_all()

    def _next(self, me: threading.Thread) -> Turn | list[Cell] | None:
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

    def _compute(self, cells: list[Cell]) -> None:
        """One chunk. Where it fails, each row is tried apart, so that an error reaches only whoever asked for that row."""
        request = cells[0].waiters[0][0]  # any of them: the network is the same
        try:
            began = time.perf_counter()
            with torch.no_grad(), notices_to(lambda message: _notify(cells, message)):
                results = in_chunks(request.network, batch(cells, request.kind), request.kind.size)
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

    def _deliver(self, cells: list[Cell], results: list[Tensor]) -> None:
        for cell, result in zip(cells, results, strict=True):
            if cell.mark is not None:
                self.kept.put(cell.mark, result)
        with self._changed:
            self._forget(cells)
            for cell, result in zip(cells, results, strict=True):
                for waiter, place in cell.waiters:
                    waiter.fill(place, result)

    def _forget(self, cells: list[Cell]) -> None:
        """Nobody may join their waiters any more. Another cell may have a mark of theirs by now, where a network was stuck."""
        for cell in cells:
            if cell.mark is not None and self._computed.get(cell.mark) is cell:
                del self._computed[cell.mark]


def _notify(cells: list[Cell], message: str) -> None:
    for request in {waiter for cell in cells for waiter, _ in cell.waiters}:
        request.notify(message)
