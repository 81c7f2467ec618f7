"""Who asks: every request to a network belongs to a visit, so that visitors get their turns in fairness and can leave.

A page's session and a background job name theirs with ``visiting``; without one, each thread is a visitor of its own (the command
line). Nothing heavy is imported here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

Waiting = Callable[[int], None]
"""Told how many others are ahead, now and then while a request waits, in the thread that waits. It may raise to give up."""


@dataclass(frozen=True)
class Visit:
    """session: who shares one place in the queue. cancel: set when they have left. keeps: results may be kept for others."""

    session: str
    cancel: threading.Event = field(default_factory=threading.Event, compare=False)
    waiting: Waiting | None = field(default=None, compare=False)
    keeps: bool = False


_visit: ContextVar[Visit | None] = ContextVar("visit", default=None)


def current() -> Visit:
    """The visit that this thread works for."""
    return _visit.get() or Visit(f"thread-{threading.get_ident()}")


def enter(visit: Visit) -> None:
    """From here on this thread works for ``visit``."""
    _visit.set(visit)


@contextmanager
def visiting(visit: Visit) -> Iterator[Visit]:
    """Within the block this thread works for ``visit``."""
    token = _visit.set(visit)
    try:
        yield visit
    finally:
        _visit.reset(token)


@contextmanager
def waiting(told: Waiting) -> Iterator[Visit]:
    """Within the block ``told`` hears how many others are ahead while a request waits."""
    with visiting(replace(current(), waiting=told)) as visit:
        yield visit
