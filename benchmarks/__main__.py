"""Speed beside the papers' own stack and parity with the originals, both sides of a comparison measured in one run.

``python -m benchmarks identity|emotion|causes|adaptive|chains|analysis|studies|alignment|imitation|many|gpu``. Every suite is a
module with ``FULL`` and ``QUICK``, the amounts of work, ``measure(sizes)`` -> plain data and ``as_text(figures)``; one that can
fail has ``exit_code(figures)`` as well. An option of the command line is the field of the suite's amounts that has its name.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from core.__main__ import OneLineParser, report_errors
from core.errors import LiminalError
from core.models import registry

SUITES = ("identity", "emotion", "causes", "adaptive", "chains", "studies", "analysis", "many", "alignment", "imitation", "gpu")

COUNTS = {
    "runs": "identity: searches by the papers' stack, some five minutes each; analysis, chains: repetitions (default 3, 10)",
    "iterations": "identity, many: iterations of a search at most (default 100, as in paper A)",
    "faces": "identity: faces for the recogniser's figures (default 64)",
    "rows": "studies: answers in the table (default 200,000); many: rows of a data set (default 1,000,000)",
    "images": "emotion: images a pair, a kind and a configuration (default 16); many: images (default 8)",
}
GENERATORS = {
    "generator": "emotion, many: which generator (emotion: the page's own, many: dcgan)",
    "live_generator": "emotion: generator of the timed run (default the page's own)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options. None is the suite's own default, so that no default depends on which models a user added."""
    parser.add_argument("suite", nargs="?", default="identity", choices=SUITES, help="what to measure (default identity)")
    parser.add_argument("--quick", action="store_true", help="a small amount of everything, within a minute on two cores")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--full", action="store_true", default=None, help="alignment: measure whole runs, nothing scaled")
    for name, meaning in COUNTS.items():
        parser.add_argument(f"--{name}", type=int, help=meaning)
    names = [entry.name for entry in registry.list_entries() if entry.kind == "generator"]
    for name, meaning in GENERATORS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", choices=names, help=meaning)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print -> exit code. Ratios matter; the seconds are this machine's."""
    suite: Any = importlib.import_module(f"benchmarks.{arguments.suite}")  # the one asked for: each loads libraries of its own
    figures = {"machine": _describe_machine(), **suite.measure(_choose_sizes(arguments, suite))}
    print(json.dumps(figures, indent=2) if arguments.json else suite.as_text(figures))
    return int(suite.exit_code(figures)) if hasattr(suite, "exit_code") else 0


def _choose_sizes(arguments: argparse.Namespace, suite: Any) -> Any:
    """The suite's amounts of work with the options that were given. Raises LiminalError for one that it has no use for."""
    sizes = suite.QUICK if arguments.quick else suite.FULL
    names = {field.name for field in fields(sizes)}
    options = {name: getattr(arguments, name) for name in (*COUNTS, *GENERATORS, "full")}
    changes = {name: value for name, value in options.items() if value is not None}
    for name, value in changes.items():
        option = f"--{name.replace('_', '-')}"
        if name not in names:
            raise LiminalError(f"{option} is no option of the suite {arguments.suite}; 'python -m benchmarks --help' lists them.")
        if name in COUNTS and value < 1:
            raise LiminalError(f"{option} must be at least 1; it is {value}.")
    return replace(sizes, **changes)


def _describe_machine() -> dict[str, Any]:
    import torch  # after the options were checked

    return {"processor": platform.machine(), "torch": torch.__version__, "threads": torch.get_num_threads()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark -> exit code, as ``python -m core`` does; 1 where a parity check failed."""
    parser = OneLineParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])

    def measure() -> int:
        add_arguments(parser)
        return run(parser.parse_args(arguments))

    return report_errors(measure)


if __name__ == "__main__":
    sys.exit(main())
