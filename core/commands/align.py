"""``python -m core align ...``: models that learn from people, and what they say, without a browser."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from core.commands.align_words import identity_lines, report_lines
from core.commands.terminal import TerminalProgress
from core.errors import LiminalError
from core.progress import Progress

if TYPE_CHECKING:
    from core.alignment.alignment import Alignment
    from core.alignment.configuration import AlignmentConfiguration
    from core.analysis.material import Material

OPTIONS: Mapping[str, tuple[type, str]] = {
    "seed": (int, "of split and training"),
    "validation": (float, "share of the images that is held out"),
    "epochs": (int, "times through the answers"),
    "batch": (int, "answers a step"),
    "rate": (float, "Adam's"),
    "reference_faces": (int, "plain faces mixed in, so that nothing is unlearned"),
    "patience": (int, "stop after so many epochs without a gain; 0: never"),
    "least_answers": (int, "of all people, to learn from"),
    "least_own": (int, "of one person, to learn from"),
}
"""Values of AlignmentConfiguration that can be given; their defaults are the paper's."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand an action."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, run_action: Callable[[argparse.Namespace], int], meaning: str, study: bool = True) -> Any:
        made = actions.add_parser(name, help=meaning, description=meaning)
        made.set_defaults(act=run_action)
        if study:
            made.add_argument("--study", required=True, metavar="NAME")
            _add_configuration(made)
        return made

    action("group", _group, "let classifiers learn from all people of an emotion study")
    person = action("individual", _individual, "let them learn from one person, or from each")
    person.add_argument("--rater", metavar="ID", help="one person; else everybody with enough answers, and the null control")
    person.add_argument("--no-control", action="store_true", help="without models of shuffled answers")
    action("report", _report, "what was learned, on held-out answers").add_argument("--json", action="store_true")
    following = action("next", _next, "the image that a person is best asked about next")
    following.add_argument("--rater", required=True, metavar="ID")
    following.add_argument(
        "--between", nargs=2, metavar="EMOTION", help="what is to be foretold: answers to faces between these two"
    )
    action("list", _list, "alignments that are kept", study=False)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    return int(arguments.act(arguments))


def _add_configuration(parser: argparse.ArgumentParser) -> None:
    from core.alignment.configuration import CLASSIFIERS, AlignmentConfiguration

    default = AlignmentConfiguration()
    parser.add_argument("--classifiers", nargs="+", choices=CLASSIFIERS, default=list(default.classifiers))
    parser.add_argument(
        "--split", choices=("images", "paper"), default=default.split, help="what is held out (default %(default)s)"
    )
    parser.add_argument("--part", choices=("all", "head"), default=default.part, help="weights that learn (default %(default)s)")
    parser.add_argument(
        "--network-individuals",
        choices=("all", "head"),
        default=default.network_individuals,
        help="of one person's network",
    )
    for name, (kind, meaning) in OPTIONS.items():
        value = getattr(default, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=value, help=f"{meaning} (default %(default)s)")


def _configuration(arguments: argparse.Namespace) -> AlignmentConfiguration:
    from core.alignment.configuration import AlignmentConfiguration

    names = ("split", "part", "network_individuals", *OPTIONS)
    values = {name: getattr(arguments, name) for name in names}
    return AlignmentConfiguration(classifiers=tuple(arguments.classifiers), **values)


def _material(name: str) -> Material:
    from core.analysis.material import gather
    from core.studies.library import Library
    from core.studies.store import Store

    return gather(Store(), Library(), name)


def _begin(arguments: argparse.Namespace) -> Alignment:
    from core.alignment.alignment import begin
    from core.studies.library import Library

    configuration = _configuration(arguments)
    return begin(_material(arguments.study), Library(), configuration)


def _group(arguments: argparse.Namespace) -> int:
    from core.alignment import learning

    alignment = _begin(arguments)
    with TerminalProgress() as shown:
        learning.group(alignment, Progress(shown))
    for name in alignment.configuration.classifiers:
        first, last = (alignment.curve(name).epochs[place] for place in (0, -1))
        print(
            f"{name}: {len(alignment.curve(name).epochs) - 1} epochs; held-out answers foretold {first.validation_accuracy:.1%} -> "
            f"{last.validation_accuracy:.1%}, loss {first.validation_loss:.3f} -> {last.validation_loss:.3f} nats"
        )
    print(f"Kept as alignment {alignment.alignment_id}. {alignment.note}")
    return 0


def _individual(arguments: argparse.Namespace) -> int:
    from core.alignment import learning

    alignment = _begin(arguments)
    with TerminalProgress() as shown:
        progress = Progress(shown)
        if arguments.rater is None:
            learning.everyone(alignment, null=not arguments.no_control, progress=progress)
        else:
            for name in alignment.configuration.classifiers:
                learning.individual(alignment, name, arguments.rater, progress=progress)
    for name in alignment.configuration.classifiers:
        if arguments.rater is None:
            print(f"{name}: {len(alignment.people(name))} people have a model of their own.")
        else:
            first, last = (alignment.curve(name, arguments.rater).epochs[place] for place in (0, -1))
            print(f"{name}: loss on held-out answers {first.validation_loss:.3f} -> {last.validation_loss:.3f} nats.")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from core.alignment.evaluation import reports

    material = _material(arguments.study)
    if material.kind == "identity":
        from core.alignment.identity import align_identity

        _, found = align_identity(material, _configuration(arguments))
        print(json.dumps(found.to_dict(), indent=1, allow_nan=False) if arguments.json else "\n".join(identity_lines(found)))
        return 0
    alignment = _begin(arguments)
    made = reports(alignment)
    if not made:
        raise LiminalError(
            f"Nothing has learned from the study '{arguments.study}' this way; run 'python -m core align group' first."
        )
    if arguments.json:
        print(json.dumps([each.to_dict() for each in made], indent=1, allow_nan=False))
    else:
        print("\n".join(line for each in made for line in report_lines(each)))
        print(alignment.note)
    return 0


def _next(arguments: argparse.Namespace) -> int:
    from core.alignment.information import between, next_question
    from core.alignment.observer import observe
    from core.alignment.profile import crowd, person_answers

    alignment = _begin(arguments)
    name = alignment.configuration.classifiers[0]
    group, said = person_answers(alignment, name, arguments.rater)
    rows = alignment.answers.rater == alignment.answers.place(arguments.rater)
    asked = {alignment.answers.images[place] for place in alignment.answers.image[rows]}
    known = observe(group, said, crowd(alignment, name))
    images = alignment.group(name).images
    targets = images[between(images, *arguments.between)] if arguments.between else None
    stimulus, bits = next_question(known, images, alignment.answers.images, asked, targets=targets)
    print(f"{stimulus}  (expected to take {bits:.5f} bits from the mean surprise at '{arguments.rater}')")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from core.alignment.kept import cards

    found = cards()
    for folder, card in found:
        basis, names = card.get("basis", {}), ", ".join(card["configuration"]["classifiers"])
        print(
            f"{folder.name}  {card.get('study')}: {names}; {basis.get('answers', 0):,} answers of {basis.get('raters', 0):,} "
            f"people ({basis.get('source', '')}), {card.get('made', '')}"
        )
    if not found:
        print("Nothing has learned from people yet; 'python -m core align group --help' says how.")
    return 0
