"""Report progress of long work, and cancel it. The core knows nothing of pages or terminals."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from core.errors import Cancelled

logger = logging.getLogger(__name__)

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


def send_notice(message: str) -> None:
    """Report in one sentence that work goes on in another way than asked for: to this thread's listener, else to the log."""
    listener = _listener.get()
    if listener is None:
        logger.warning("%s", message)
    else:
        listener(message)


@contextmanager
def redirect_notices(listener: Callable[[str], None]) -> Iterator[None]:
    """Within it, this thread's notices go to ``listener``, such as a page's job or a terminal."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@dataclass(frozen=True)
class Stage:
    """One sentence on what is being done, and the share of the whole task that is done, in [0, 1]."""

    message: str
    fraction: float


@dataclass
class Progress:
    """An argument of long functions. ``report`` receives Stage and the task's own events; ``cancel`` is checked between batches."""

    report: Callable[[Any], None] | None = None
    cancel: threading.Event = field(default_factory=threading.Event)

    def emit(self, event: Any) -> None:
        """Pass an event on; raises Cancelled when the user has asked to stop."""
        self.check()
        if self.report is not None:
            self.report(event)

    def stage(self, message: str, fraction: float) -> None:
        """Report what is being done and which share of the whole is done."""
        self.emit(Stage(message, min(max(fraction, 0.0), 1.0)))

    def part(self, label: str, index: int, of: int) -> Progress:
        """The progress of one of ``of`` equal parts: its stages are labelled and scaled to its part of the whole."""
        return self.stretch(index / of, (index + 1) / of, lambda message: f"{label}: {message}")

    def stretch(self, low: float, high: float, words: Callable[[str], str] = str) -> Progress:
        """The progress of the whole from ``low`` to ``high``, its messages changed by ``words``; cancelled with the whole."""

        def report(event: Any) -> None:
            if isinstance(event, Stage):
                event = Stage(words(event.message), low + (high - low) * event.fraction)
            if self.report is not None:
                self.report(event)

        return Progress(report, self.cancel)

    def check(self) -> None:
        """Raise Cancelled when the user has asked to stop."""
        if self.cancel.is_set():
            raise Cancelled
