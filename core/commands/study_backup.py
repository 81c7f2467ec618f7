"""``python -m core study backup FILE`` and ``restore FILE``: all studies with their answers, in one file."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.commands.terminal import TerminalProgress
from core.progress import Progress


def add_backup(parser: argparse.ArgumentParser) -> None:
    """The options of ``study backup``."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="where the backup goes; it holds the links' secrets, so keep it safe"
    )
    parser.add_argument("--replace", action="store_true", help="also where there is a file of that name already")


def add_restore(parser: argparse.ArgumentParser) -> None:
    """The options of ``study restore``."""
    parser.add_argument("file", type=Path, metavar="FILE", help="what 'study backup' wrote, from SQLite or PostgreSQL")
    parser.add_argument("--replace", action="store_true", help="in the place of everything that the store holds")


def run_backup(arguments: argparse.Namespace) -> int:
    """Write the file and say what it holds."""
    from core.studies.storage.backup import backup

    with TerminalProgress() as shown:
        held = backup(arguments.file, replace=arguments.replace, progress=Progress(shown))
    print(f"Wrote {arguments.file}: {held.studies:,} studies with {held.answers:,} answers, {held.people:,} people enrolled.")
    print("The pictures of their sample sets lie in the folder 'sets' of the data folder; copy it as it is.")
    return 0


def run_restore(arguments: argparse.Namespace) -> int:
    """Fill the store and say with what."""
    from core.studies.storage.backup import restore

    with TerminalProgress() as shown:
        held = restore(arguments.file, replace=arguments.replace, progress=Progress(shown))
    print(f"Restored {held.studies:,} studies with {held.answers:,} answers, {held.people:,} people enrolled.")
    return 0
