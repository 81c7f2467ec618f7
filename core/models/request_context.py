"""Whom a request to a network is made for, so that visitors are served in turns and can cancel.

A page's session and a background job set theirs with ``use_context``; without one, each thread is a visitor of its own (the command
line). Nothing heavy is imported here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

WaitingCallback = Callable[[int], None]
"""Told how many others are ahead, now and then while a request waits, in the thread that waits. It may raise to give up."""


@dataclass(frozen=True)
class RequestContext:
    """session: who shares one place in the queue. cancel: set when they have left. keeps: results may be kept for others."""

    session: str
    cancel: threading.Event = field(default_factory=threading.Event, compare=False)
    waiting: WaitingCallback | None = field(default=None, compare=False)
    keeps: bool = False


_context: ContextVar[RequestContext | None] = ContextVar("visit", default=None)


def current_context() -> RequestContext:
    """The visit that this thread works for."""
    return _context.get() or RequestContext(f"thread-{threading.get_ident()}")


def set_context(visit: RequestContext) -> None:
    """From here on this thread works for ``visit``."""
    _context.set(visit)


@contextmanager
def use_context(visit: RequestContext) -> Iterator[RequestContext]:
    """Within the block this thread works for ``visit``."""
    token = _context.set(visit)
    try:
        yield visit
    finally:
        _context.reset(token)


@contextmanager
def report_waiting(told: WaitingCallback) -> Iterator[RequestContext]:
    """Within the block ``told`` hears how many others are ahead while a request waits."""
    with use_context(replace(current_context(), waiting=told)) as visit:
        yield visit
