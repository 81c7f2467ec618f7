"""``python -m core report DIR``: all statistics of a sample set, beside the published ones."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from core.commands import report_emotion, report_identity
from core.commands.formatting import plain
from core.sampling.sample_set import SampleSet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``report``."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of a sample set")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the statistics that belong to the kind of the set."""
    made = SampleSet.load(arguments.folder)
    kind = report_identity if made.kind == "identity" else report_emotion
    if arguments.json:
        print(json.dumps(plain(kind.figures(made)), indent=1, allow_nan=False))
    else:
        kind.show(made, arguments.folder)
    return 0
