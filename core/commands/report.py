"""``python -m core report DIR``: all statistics of a sample set or a study, beside the published ones."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.analysis.results import plain
from core.commands import report_emotion, report_identity
from core.errors import LiminalError
from core.sampling.sample_set import SampleSet

if TYPE_CHECKING:
    from core.analysis.material import Material
    from core.studies.library import Library


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``report``."""
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="DIR",
        help="the folder of a sample set; with --study it may be left out: all of its sets",
    )
    parser.add_argument("--study", metavar="NAME", help="with the answers of this study of the store")
    parser.add_argument("--all-raters", action="store_true", help="also the answers of those who fell under a rule of exclusion")
    parser.add_argument("--looks", action="store_true", help="also which facial features drive similarity: measures every face")
    parser.add_argument("--json", action="store_true", help="print every number as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one file that works offline, with figures and faces")


def run(arguments: argparse.Namespace) -> int:
    """Print the statistics that belong to the kind of the set, or write them."""
    if arguments.folder is None and arguments.study is None:
        raise LiminalError("Name the folder of a sample set, or a study with --study, or both.")
    if arguments.study is None and arguments.html is None:
        return _set_alone(arguments)
    material, library = _material(arguments)
    if arguments.html is not None:
        _write(material, library, arguments)
    if arguments.json:
        from core.commands.terminal import TerminalProgress
        from core.figures.report.document import numbers
        from core.progress import Progress

        with TerminalProgress() as shown:
            found = numbers(material, slow=arguments.looks, progress=Progress(shown))
        if arguments.folder is not None:
            made = SampleSet.load(arguments.folder)
            found["sample_set"] = plain(_figures_of(made))
        print(json.dumps(found, indent=1, allow_nan=False))
    elif arguments.html is None:
        from core.commands.report_study import show

        show(material, looks=arguments.looks)
    return 0


def _figures_of(made: SampleSet) -> dict[str, Any]:
    return report_identity.figures(made) if made.kind == "identity" else report_emotion.figures(made)


def _set_alone(arguments: argparse.Namespace) -> int:
    made = SampleSet.load(arguments.folder)
    if arguments.json:
        print(json.dumps(plain(_figures_of(made)), indent=1, allow_nan=False))
    elif made.kind == "identity":
        report_identity.show(made, arguments.folder)
    else:
        report_emotion.show(made, arguments.folder)
    return 0


def _material(arguments: argparse.Namespace) -> tuple[Material, Library]:
    """What the report is about: a study, one of its sets with its answers, or a set that nobody was asked about."""
    from core.commands.report_study import of_set, of_study

    if arguments.study is None:
        return of_set(arguments.folder)
    return of_study(arguments.study, arguments.folder, everybody=arguments.all_raters)


def _write(material: Material, library: Library, arguments: argparse.Namespace) -> None:
    import sys

    from core.commands.terminal import TerminalProgress
    from core.figures.report.document import report
    from core.progress import Progress
    from core.writing import write_bytes

    target: Path = arguments.html
    if target.is_dir():
        raise LiminalError(f"{target} is a folder; name the file to write, such as {target / 'report.html'}.")
    with TerminalProgress() as shown:
        content = report(material, library, slow=arguments.looks, progress=Progress(shown)).encode()
    try:
        write_bytes(target, content)
    except OSError as error:
        raise LiminalError(f"The report cannot be written to {target}: {error.strerror or error}; choose another place.") from error
    print(f"{target}: {len(content) / 1e6:.1f} MB, opens offline.", file=sys.stderr if arguments.json else sys.stdout)
