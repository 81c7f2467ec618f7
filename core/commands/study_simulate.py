"""``python -m core study simulate``: a study whose answers come from simulated observers, marked as such wherever it is shown."""

from __future__ import annotations

import argparse
import sys

from core.commands.study_make import add_plan, library_ids, prepared_from
from core.commands.terminal import TerminalProgress
from core.errors import LiminalError
from core.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument(
        "--sets", nargs="+", required=True, metavar="SET", help="folders of sample sets, or their ids in the library; of one kind"
    )
    parser.add_argument("--study", required=True, metavar="NAME", help="the name of the new study")
    parser.add_argument("--raters", type=int, default=60, metavar="N", help="simulated observers (default %(default)s)")
    add_plan(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make the study, ask the observers, keep everything or nothing."""
    from core.studies.library import Library
    from core.studies.observers.simulated_study import simulated_study
    from core.studies.store import Store

    store, library = Store(), Library()
    if any(each.name == arguments.study.strip() for each in store.studies()):
        raise LiminalError(f"There is a study '{arguments.study}' already; choose another name.")
    with TerminalProgress() as shown:
        prepared = prepared_from(arguments, library, library_ids(library, arguments.sets), Progress(shown).part("Plan", 0, 2))
        made = simulated_study(
            arguments.study,
            prepared,
            {set_id: library.load(set_id) for set_id in prepared.sample_sets},
            raters=arguments.raters,
            seed=arguments.seed,
            progress=Progress(shown).part("Answers", 1, 2),
        )
        store.restore(made.study, made.stimuli, made.ratings, made.raters)
        Progress(shown).stage("Done", 1.0)
    for note in prepared.notes:
        print(f"Note: {note}", file=sys.stderr)
    print(
        f"{len(made.ratings):,} simulated answers of {len(made.raters)} observers about {len(made.stimuli)} stimuli in the study "
        f"'{made.study.name}'."
    )
    return 0
