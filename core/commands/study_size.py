"""``python -m core study size``: how many people a study of sample sets needs, by simulated observers, before anybody is asked."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from core.analysis.preregistration import make_preregistration
from core.analysis.sample_size import RATERS, SampleSizePlan, plan_sample_size
from core.commands.terminal import TerminalProgress
from core.errors import LiminalError
from core.figures.sample_size import describe_power, list_measures, make_page
from core.progress import Progress
from core.sampling.sample_set import SampleSet
from core.studies.library import Library
from core.writing import write_bytes


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a plan, the same for people and for simulated observers."""
    parser.add_argument("--trials", type=int, metavar="N", help="a rater's, without attention checks (default: the papers' number)")
    parser.add_argument("--sentinels", type=int, metavar="N", help="a rater's attention checks (default: the papers' number)")
    parser.add_argument("--all-faces", action="store_true", help="emotion: also ask about faces that did not pass the filter")
    parser.add_argument("--seed", type=int, default=0, help="of assignment and order, and of simulated observers (default 0)")


def add_size_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``study size``."""
    parser.add_argument(
        "--set", nargs="+", required=True, metavar="SET", dest="sets", help="folders of sample sets, or their ids in the library"
    )
    add_plan_arguments(parser)
    parser.add_argument(
        "--raters", type=int, nargs="+", default=list(RATERS), metavar="N", help="numbers to compare (default %(default)s)"
    )
    parser.add_argument(
        "--images",
        type=int,
        nargs="+",
        metavar="N",
        help="numbers of pairs or faces (default: half of the sets', all, twice as many)",
    )
    parser.add_argument(
        "--difference", type=float, metavar="D",
        help="to be found: of the share of 'same person' (default 0.1), or of entropy in bits (default 0.2)",
    )  # fmt: skip
    parser.add_argument("--title", default="", help="of the study, in the preregistration")
    parser.add_argument("--preregistration", type=Path, metavar="FILE.md", help="write plan, exclusion rules, seed and analysis")
    parser.add_argument("--html", type=Path, metavar="FILE.html", help="write the plots")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")


def run_size(arguments: argparse.Namespace) -> int:
    """Simulate, print the table and write what is asked for."""
    library = Library()
    known = {entry.set_id for entry in library.sets()}
    sets = {name: library.load(name) if name in known else SampleSet.load(name) for name in arguments.sets}
    with TerminalProgress() as terminal:
        size = plan_sample_size(
            sets,
            trials=arguments.trials,
            sentinels=arguments.sentinels,
            kept_only=not arguments.all_faces,
            raters=arguments.raters,
            images=arguments.images,
            difference=arguments.difference,
            seed=arguments.seed,
            progress=Progress(terminal),
        )
        Progress(terminal).stage("Done", 1.0)
    if arguments.json:
        print(json.dumps(size.to_dict(), indent=1, ensure_ascii=False))
    else:
        _print_table(size)
    if arguments.preregistration is not None:
        _write(arguments.preregistration, make_preregistration(size, title=arguments.title), quiet=arguments.json)
    if arguments.html is not None:
        _write(arguments.html, make_page(size, arguments.title or "How many people?"), quiet=arguments.json)
    return 0


def _write(path: Path, text: str, *, quiet: bool) -> None:
    try:
        write_bytes(path, text.encode())
    except OSError as error:
        raise LiminalError(f"{path} cannot be written ({error.strerror or error}); choose another place.") from error
    if not quiet:
        print(f"Wrote {path}.")


def _print_table(size: SampleSizePlan) -> None:
    noun = "pairs" if size.plan.kind == "identity" else "faces"
    names = [name for name in size.rows[0].widths if name in list_measures(size)]
    print("SIMULATED: expected widths of 95 % intervals, and power; nobody was asked.")
    print(f"{'people':>7} {noun:>7} {'votes':>7}" + "".join(f" {name:>15}" for name in names) + f" {'power':>7}")
    for row in size.rows:
        widths = "".join(f" {_format(row.widths[name], '.3f'):>15}" for name in names)
        print(f"{row.raters:>7,} {row.images:>7,} {row.votes:>7.1f}{widths} {_format(row.power, '.0%'):>7}")
    print(describe_power(size))


def _format(value: float, form: str) -> str:
    return format(value, form) if value == value else "-"
