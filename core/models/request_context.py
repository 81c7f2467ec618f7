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
"""Receives how many others are ahead, now and then while a request waits, in the thread that waits. It may raise to give up."""


@dataclass(frozen=True)
class RequestContext:
    """session: who shares one place in the queue. cancel: set when they have left. may_cache: results may be stored for others."""

    session: str
    cancel: threading.Event = field(default_factory=threading.Event, compare=False)
    on_wait: WaitingCallback | None = field(default=None, compare=False)
    may_cache: bool = False


_context: ContextVar[RequestContext | None] = ContextVar("request_context", default=None)


def current_context() -> RequestContext:
    """The context that this thread works for."""
    return _context.get() or RequestContext(f"thread-{threading.get_ident()}")


def set_context(context: RequestContext) -> None:
    """From here on this thread works for ``context``."""
    _context.set(context)


@contextmanager
def use_context(context: RequestContext) -> Iterator[RequestContext]:
    """Within the block this thread works for ``context``."""
    token = _context.set(context)
    try:
        yield context
    finally:
        _context.reset(token)


@contextmanager
def report_waiting(callback: WaitingCallback) -> Iterator[RequestContext]:
    """Within the block ``callback`` receives how many others are ahead while a request waits."""
    with use_context(replace(current_context(), on_wait=callback)) as context:
        yield context
