"""What commands show in a terminal: how far long work is, numbers with their nouns, errors that name options.

Progress goes to standard error: one line that rewrites itself in a terminal, a line now and then elsewhere.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from core.errors import LiminalError
from core.progress import Stage, redirect_notices

if TYPE_CHECKING:
    from core.studies.store import Store
    from core.studies.study import Study

SECONDS_BETWEEN_LINES = 15.0
"""Seconds between two lines where the output is no terminal."""


def count_noun(number: int, noun: str, plural: str | None = None) -> str:
    """'1 pair', '1,200 pairs'; ``plural`` where it is not the noun and an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


NAMED_STUDIES = 5
"""So many names of studies stand in an error; of more the number."""


def require_study(store: Store, name: str) -> Study:
    """The study of that name. Raises LiminalError with the names that there are."""
    try:
        return store.study(name)
    except LiminalError as error:
        names = [f"'{study.name}'" for study in store.studies()]
        if not names:
            raise LiminalError(f"There is no study '{name}', nor any other; 'python -m core study make' makes one.") from error
        more = f" and {len(names) - NAMED_STUDIES:,} more" if len(names) > NAMED_STUDIES else ""
        raise LiminalError(
            f"{str(error).rstrip('.')}; there {'is' if len(names) == 1 else 'are'} {', '.join(names[:NAMED_STUDIES])}{more}."
        ) from error


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


Action = tuple[str, Callable[[argparse.ArgumentParser], object], Callable[[argparse.Namespace], int], str]
"""Name, what adds its arguments, what runs it, what it does in a few words."""


def add_actions(parser: argparse.ArgumentParser, actions: Iterable[Action]) -> None:
    """Add a subcommand for each action; ``run_action`` runs the chosen one."""
    parsers = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, add, act, meaning in actions:
        action = parsers.add_parser(name, help=meaning, description=meaning)
        add(action)
        action.set_defaults(act=act)


def run_action(arguments: argparse.Namespace) -> int:
    """Run the chosen action -> exit code."""
    return int(arguments.act(arguments))
