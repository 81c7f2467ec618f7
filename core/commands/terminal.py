"""How far long work is, on standard error: one line that rewrites itself in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any, TextIO

from core.progress import Stage

SPARSE = 15.0
"""Seconds between two lines where the output is no terminal."""


class TerminalProgress:
    """To be given to ``Progress`` as its report, within a ``with`` block, which ends the line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.rewrites = self.stream.isatty()
        self.last = -SPARSE
        self.open = False

    def __call__(self, event: Any) -> None:
        if not isinstance(event, Stage):
            return
        text = f"{100 * event.fraction:3.0f} %  {event.message}"
        if self.rewrites:
            width = shutil.get_terminal_size().columns - 1
            self.stream.write("\r" + text[:width].ljust(width))
            self.stream.flush()
            self.open = True
        elif time.monotonic() - self.last >= SPARSE or event.fraction >= 1:
            self.last = time.monotonic()
            print(text, file=self.stream, flush=True)

    def __enter__(self) -> TerminalProgress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.open:
            self.stream.write("\n")
