"""``python -m benchmarks identity|emotion|analysis|studies|alignment|many``: speed beside the papers' own stack and parity with
the originals, measured side by side in one run.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from collections.abc import Sequence
from typing import Any

from core.__main__ import OneLineParser, report_errors
from core.errors import LiminalError
from core.models import registry

SUITES = ("identity", "emotion", "studies", "analysis", "many", "alignment")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("suite", nargs="?", default="identity", choices=SUITES, help="what to measure (default identity)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument(
        "--runs",
        type=int,
        default=3,
        help="identity: searches by the papers' stack, some two minutes each; analysis: repetitions (default 3)",
    )
    parser.add_argument("--iterations", type=int, default=100, help="iterations of a search at most (default 100, as in paper A)")
    parser.add_argument("--faces", type=int, default=64, help="faces for the recogniser's figures (default 64)")
    parser.add_argument("--full", action="store_true", help="alignment: measure whole runs, nothing scaled")
    names = registry.list_names("generator")
    parser.add_argument(
        "--rows", type=int, help="studies: answers in the table (default 200,000); many: rows of a data set (default 1,000,000)"
    )
    parser.add_argument(
        "--images", type=int, default=8, help="emotion: images a pair, a kind and a configuration; many: images (default 8)"
    )
    parser.add_argument("--generator", choices=names, default=names[0], help="emotion, many: default %(default)s")
    parser.add_argument(
        "--live-generator", choices=names, default=names[-1], help="emotion: of the timed run (default %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure and print. Ratios matter; the seconds are this machine's."""
    for name in ("runs", "iterations", "faces", "images", "rows"):
        if getattr(arguments, name) is not None and getattr(arguments, name) < 1:
            raise LiminalError(f"--{name} must be at least 1; it is {getattr(arguments, name)}.")
    suite = importlib.import_module(f"benchmarks.{arguments.suite}")
    if arguments.suite == "emotion":
        measured = suite.measure(arguments.images, arguments.generator, arguments.live_generator)
    elif arguments.suite == "analysis":
        measured = suite.measure(arguments.runs)
    elif arguments.suite == "studies":
        measured = suite.measure(arguments.rows or 200_000)
    elif arguments.suite == "alignment":
        measured = suite.measure(arguments.full)
    elif arguments.suite == "many":
        measured = suite.measure(arguments.images, arguments.iterations, arguments.rows or suite.MILLION, arguments.generator)
    else:
        measured = suite.measure(arguments.faces, arguments.runs, arguments.iterations)
    figures: dict[str, Any] = {"machine": _describe_machine(), **measured}
    print(json.dumps(figures, indent=2) if arguments.json else suite.as_text(figures))
    return 0


def _describe_machine() -> dict[str, Any]:
    import torch

    return {"processor": platform.machine(), "torch": torch.__version__, "threads": torch.get_num_threads()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark -> exit code, as ``python -m core`` does."""
    parser = OneLineParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])

    def measure() -> int:
        add_arguments(parser)
        return run(parser.parse_args(arguments))

    return report_errors(measure)


if __name__ == "__main__":
    sys.exit(main())
