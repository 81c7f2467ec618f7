"""What commands show in a terminal: how far long work is, numbers with their nouns, errors that name options.

Progress goes to standard error: one line that rewrites itself in a terminal, a line now and then elsewhere.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO

from core.errors import LiminalError
from core.progress import Stage, redirect_notices

SECONDS_BETWEEN_LINES = 15.0
"""Seconds between two lines where the output is no terminal."""


def count_noun(number: int, noun: str, plural: str | None = None) -> str:
    """'1 pair', '1,200 pairs'; ``plural`` where it is not the noun and an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


@contextmanager
def name_flags(flags: Mapping[str, str]) -> Iterator[None]:
    """Within it, a LiminalError that quotes a parameter, such as 'face_step', names its option instead: --face-step.

    flags: the option by parameter.
    """
    try:
        yield
    except LiminalError as error:
        message = re.sub(r"'(\w+)'", lambda quoted: flags.get(quoted[1], quoted[0]), str(error))
        raise type(error)(message) from error


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
