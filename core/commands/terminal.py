"""How far long work is, on standard error: one line that rewrites itself in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import ExitStack
from typing import Any, TextIO

from core.progress import Stage, redirect_notices

SECONDS_BETWEEN_LINES = 15.0
"""Seconds between two lines where the output is no terminal."""


class TerminalProgress:
    """To be given to ``Progress`` as its report, within a ``with`` block, which ends the line and hears notices."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.rewrites = self.stream.isatty()
        self.last = -SECONDS_BETWEEN_LINES
        self.open = False
        self.said: set[str] = set()
        self.notices = ExitStack()

    def __call__(self, event: Any) -> None:
        if not isinstance(event, Stage):
            return
        text = f"{100 * event.fraction:3.0f} %  {event.message}"
        if self.rewrites:
            width = shutil.get_terminal_size().columns - 1
            self.stream.write("\r" + text[:width].ljust(width))
            self.stream.flush()
            self.open = True
        elif time.monotonic() - self.last >= SECONDS_BETWEEN_LINES or event.fraction >= 1:
            self.last = time.monotonic()
            print(text, file=self.stream, flush=True)

    def say(self, message: str) -> None:
        """A notice, once, on a line of its own."""
        if message not in self.said:
            self.said.add(message)
            self._end_line()
            print(message, file=self.stream, flush=True)

    def _end_line(self) -> None:
        if self.open:
            self.stream.write("\n")
            self.open = False

    def __enter__(self) -> TerminalProgress:
        self.notices.enter_context(redirect_notices(self.say))
        return self

    def __exit__(self, *_: object) -> None:
        self.notices.close()
        self._end_line()
