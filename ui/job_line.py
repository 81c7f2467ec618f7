"""Who is next among the visitors whose jobs wait: everybody in turns. Not thread-safe: the manager holds its lock."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Generic, TypeVar

AT_ONCE = 2
"""Jobs of one visitor that run at the same time, where others wait or not: one that never ends does not lock its visitor out."""

Item = TypeVar("Item")


class JobLine(Generic[Item]):
    """Waiting jobs by visitor, in the order in which the visitors are served."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[Item]] = OrderedDict()

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._waiting.values())

    def put(self, visitor: str, job: Item) -> None:
        """Behind what this visitor asked for already."""
        self._waiting.setdefault(visitor, deque()).append(job)

    def take(self, busy: Sequence[str] = ()) -> Item | None:
        """The next job, of the first visitor in line who has not AT_ONCE running already; the visitor goes to the end.

        busy: the visitor of every job that runs.
        """
        for visitor, jobs in self._waiting.items():
            if busy.count(visitor) < AT_ONCE:
                job = jobs.popleft()
                self._waiting.move_to_end(visitor)
                if not jobs:
                    del self._waiting[visitor]
                return job
        return None

    def before(self, visitor: str, job: Item) -> list[Item]:
        """The jobs that are taken before this one, if visitors take turns."""
        own = self._waiting.get(visitor, deque())
        if job not in own:
            return []
        rounds, reached = own.index(job), False
        found = list(own)[:rounds]
        for name, jobs in self._waiting.items():
            if name == visitor:
                reached = True
            else:
                found += list(jobs)[: rounds if reached else rounds + 1]
        return found
