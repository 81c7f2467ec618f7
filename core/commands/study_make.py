"""``python -m core study make``: a study of people, made from sample sets; prints the path of the link to send."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.commands.terminal import TerminalProgress
from core.errors import LiminalError
from core.progress import Progress

if TYPE_CHECKING:
    from core.studies.library import Library
    from core.studies.planning import Prepared

LINK = "/take-part?study="


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument(
        "--set", nargs="+", required=True, metavar="SET", dest="sets", help="folders of sample sets, or their ids in the library"
    )
    parser.add_argument("--name", required=True, metavar="NAME", help="the name of the new study")
    parser.add_argument("--title", default="", help="what people read above the study (default: none)")
    parser.add_argument("--consent", type=Path, metavar="FILE", help="text file of what people consent to (default: a short one)")
    add_plan(parser)


def add_plan(parser: argparse.ArgumentParser) -> None:
    """The options of a plan, the same for people and for simulated observers."""
    parser.add_argument("--trials", type=int, metavar="N", help="a rater's, without attention checks (default: the papers' number)")
    parser.add_argument("--sentinels", type=int, metavar="N", help="a rater's attention checks (default: the papers' number)")
    parser.add_argument("--all-faces", action="store_true", help="emotion: also ask about faces that did not pass the filter")
    parser.add_argument("--seed", type=int, default=0, help="of assignment and order, and of simulated observers (default 0)")


def library_ids(library: Library, given: Sequence[str]) -> list[str]:
    """Ids as they are; folders are added to the library. Raises LiminalError for what is neither."""
    from core.sampling.sample_set import SampleSet

    known = {entry.set_id for entry in library.sets()}
    return [each if each in known else library.add(SampleSet.load(each)) for each in given]


def prepared_from(
    arguments: argparse.Namespace, library: Library, set_ids: Sequence[str], progress: Progress, **others: Any
) -> Prepared:
    """The plan that the options describe."""
    from core.studies.planning import prepare

    return prepare(
        library,
        set_ids,
        trials=arguments.trials,
        sentinels=arguments.sentinels,
        kept_only=not arguments.all_faces,
        seed=arguments.seed,
        progress=progress,
        **others,
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the study and say where people take part."""
    from core.studies.library import Library
    from core.studies.store import Store
    from core.studies.study import Study

    others: dict[str, Any] = {"title": arguments.title}
    if arguments.consent is not None:
        others["consent"] = read_text(arguments.consent)
    store, library = Store(), Library()
    with TerminalProgress() as shown:
        prepared = prepared_from(arguments, library, library_ids(library, arguments.sets), Progress(shown), **others)
    made = store.create(Study(arguments.name, prepared.plan, sample_sets=prepared.sample_sets), prepared.stimuli)
    for note in prepared.notes:
        print(f"Note: {note}", file=sys.stderr)
    plan = made.plan
    print(
        f"The study '{made.name}' asks about {len(prepared.stimuli)} stimuli: {plan.trials} trials and {plan.sentinels} attention "
        f"checks a person."
    )
    print(f"{LINK}{made.token}")
    return 0


def read_text(path: Path) -> str:
    """A text file. Raises LiminalError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LiminalError(f"The file {path} cannot be read as text in UTF-8; choose another one.") from error
