"""``python -m core align ...``: train models on people's answers, report and list them, and choose a person's next question."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.alignment.alignment import begin_alignment
from core.alignment.configuration import AlignmentConfiguration, list_all_learners
from core.alignment.evaluate import LEVELS, PUBLISHED_GAINS, evaluate_alignment
from core.alignment.identity import align_identity, rank_parting_pairs
from core.alignment.observer import person_probabilities
from core.alignment.personal import fit_crowd_prior, learn_rater, select_person_answers
from core.alignment.response_patterns import learn_person
from core.alignment.stimulus_choice import (
    build_controversial_set,
    choose_next_question,
    find_images_between,
    rank_controversial,
    search_controversial,
)
from core.alignment.store import describe_beginning, list_cards
from core.analysis.estimate import Basis, Estimate
from core.analysis.study_data import load_study_data
from core.commands.terminal import TerminalProgress, count_noun, require_study
from core.errors import LiminalError
from core.figures.exhibit import describe_estimate
from core.figures.theme import format_interval
from core.lazy_import import lazy_import
from core.progress import Progress
from core.sampling.configuration import check_whole
from core.sampling.sample_set import CONTROVERSIAL_KEY
from core.sampling.stored.population import load_population
from core.studies.library import Library
from core.studies.store import Store
from core.writing import check_folder_is_free

if TYPE_CHECKING:
    from core.alignment import parting_pairs
    from core.alignment.alignment import Alignment
    from core.alignment.configuration import AlignmentConfiguration
    from core.alignment.evaluate import AlignmentReport, ModelGain
    from core.alignment.identity import IdentityReport
    from core.analysis.study_data import StudyData
else:
    parting_pairs = lazy_import("core.alignment.parting_pairs")  # PyTorch


CONFIGURATION_OPTIONS: Mapping[str, tuple[type, str]] = {
    "seed": (int, "of split and training"),
    "validation": (float, "share of the images that is held out"),
    "epochs": (int, "times through the answers"),
    "batch": (int, "answers a step"),
    "rate": (float, "Adam's"),
    "reference_faces": (int, "reference faces mixed in, so that nothing is unlearned"),
    "patience": (int, "stop after so many epochs without a gain; 0: never"),
    "least_answers": (int, "of all people, to learn from"),
    "least_own": (int, "of one person, to learn from"),
}
"""Options for values of AlignmentConfiguration, whose defaults are the paper's."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a subcommand for each action."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, run_action: Callable[[argparse.Namespace], int], meaning: str, study: bool = True) -> Any:
        parser_of_action = actions.add_parser(name, help=meaning, description=meaning)
        parser_of_action.set_defaults(act=run_action)
        if study:
            parser_of_action.add_argument("--study", required=True, metavar="NAME")
            _add_configuration(parser_of_action)
        return parser_of_action

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
    apart = action("controversial", _controversial, "faces or pairs on which two people of a study part: its own, and new ones")
    apart.add_argument("--raters", nargs=2, required=True, metavar="ID")
    apart.add_argument("--count", type=int, default=8, metavar="N", help="new faces or pairs (default %(default)s)")
    apart.add_argument("--out", type=Path, metavar="DIR", help="make new faces, or pairs, and write them here as a sample set")
    action("list", _list, "alignments that are kept", study=False)


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen action -> exit code."""
    return int(arguments.act(arguments))


def _add_configuration(parser: argparse.ArgumentParser) -> None:
    default = AlignmentConfiguration()
    parser.add_argument(
        "--classifiers",
        nargs="+",
        choices=list_all_learners(),
        default=[],
        help="what learns (default: the classifier that guides samples of the study's generator)",
    )
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
    for name, (kind, meaning) in CONFIGURATION_OPTIONS.items():
        value = getattr(default, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=value, help=f"{meaning} (default %(default)s)")


def _build_configuration(arguments: argparse.Namespace) -> AlignmentConfiguration:
    names = ("split", "part", "network_individuals", *CONFIGURATION_OPTIONS)
    values = {name: getattr(arguments, name) for name in names}
    return AlignmentConfiguration(classifiers=tuple(arguments.classifiers), **values)


def _load_data(name: str) -> StudyData:
    store = Store()
    require_study(store, name)
    return load_study_data(store, Library(), name)


def _begin(arguments: argparse.Namespace) -> Alignment:
    configuration = _build_configuration(arguments)
    return begin_alignment(_load_data(arguments.study), Library(), configuration)


def _group(arguments: argparse.Namespace) -> int:
    from core.alignment import train  # PyTorch

    alignment = _begin(arguments)
    with TerminalProgress() as terminal:
        train.train_group(alignment, Progress(terminal))
    for name in alignment.configuration.classifiers:
        curve = alignment.curve(name).epochs
        first, last = curve[0], curve[-1]
        print(
            f"{name}: {count_noun(len(curve) - 1, 'epoch')}; held-out answers foretold {first.validation_accuracy:.1%} -> "
            f"{last.validation_accuracy:.1%}, loss {first.validation_loss:.3f} -> {last.validation_loss:.3f} nats"
        )
        print(f"  It began with {alignment.describe_beginning(name)}.")
    print(f"Kept as alignment {alignment.alignment_id}. {alignment.note}")
    return 0


def _individual(arguments: argparse.Namespace) -> int:
    from core.alignment import train  # PyTorch

    alignment = _begin(arguments)
    with TerminalProgress() as terminal:
        progress = Progress(terminal)
        if arguments.rater is None:
            train.train_everyone(alignment, null=not arguments.no_control, progress=progress)
        else:
            for name in alignment.configuration.classifiers:
                train.train_individual(alignment, name, arguments.rater, progress=progress)
    for name in alignment.configuration.classifiers:
        if arguments.rater is None:
            people = len(alignment.people(name))
            print(f"{name}: {people:,} {'person has' if people == 1 else 'people have'} a model of their own.")
        else:
            first, last = (alignment.curve(name, arguments.rater).epochs[index] for index in (0, -1))
            print(f"{name}: loss on held-out answers {first.validation_loss:.3f} -> {last.validation_loss:.3f} nats.")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    study_data = _load_data(arguments.study)
    if study_data.kind == "identity":
        _, report = align_identity(study_data, _build_configuration(arguments))
        print(
            json.dumps(report.to_dict(), indent=1, allow_nan=False) if arguments.json else "\n".join(format_identity_report(report))
        )
        return 0
    alignment = _begin(arguments)
    reports = evaluate_alignment(alignment)
    if not reports:
        raise LiminalError(
            f"Nothing has learned from the study '{arguments.study}' this way; run 'python -m core align group' first."
        )
    if arguments.json:
        print(json.dumps([report.to_dict() for report in reports], indent=1, allow_nan=False))
    else:
        for each in reports:
            print("\n".join(format_report(each)))
            print(f"  It began with {alignment.describe_beginning(each.classifier)}.")
        print(alignment.note)
    return 0


def _next(arguments: argparse.Namespace) -> int:
    alignment = _begin(arguments)
    name = alignment.configuration.classifiers[0]
    group, answers = select_person_answers(alignment, name, arguments.rater)
    rows = alignment.answers.rater == alignment.answers.index_of(arguments.rater)
    answered = {alignment.answers.images[image] for image in alignment.answers.image[rows]}
    posterior = learn_person(group, answers, fit_crowd_prior(alignment, name)).shift
    images = alignment.group(name).images
    targets = images[find_images_between(images, *arguments.between)] if arguments.between else None
    stimulus, bits = choose_next_question(posterior, images, alignment.answers.images, answered, targets=targets)
    print(f"{stimulus}  (expected to take {bits:.5f} bits from the mean surprise at '{arguments.rater}')")
    return 0


def _controversial(arguments: argparse.Namespace) -> int:
    if arguments.out is not None:
        check_folder_is_free(arguments.out)
    check_whole("--count", arguments.count, 1, 64)
    first, second = arguments.raters
    if first == second:
        raise LiminalError("Nobody parts from themselves; name two people with --raters.")
    study_data = _load_data(arguments.study)
    if study_data.kind == "identity":
        return _part_by_pairs(study_data, arguments)
    alignment = begin_alignment(study_data, Library(), _build_configuration(arguments))
    name = alignment.configuration.classifiers[0]
    posteriors = [learn_rater(alignment, name, rater) for rater in arguments.raters]
    images = alignment.group(name).images
    own = [person_probabilities(posterior.mode[None], images)[0] for posterior in posteriors]
    print(f"The faces of the study on which {first} and {second} part most:")
    for row in rank_controversial(alignment.answers.images, *own).head(10).to_dict("records"):
        print(f"  {row['stimulus']}: {first} {row['you']} ({row['p_you']:.2f}), {second} {row['most']} ({row['p_most']:.2f})")
    if arguments.out is None:
        return 0
    with TerminalProgress() as terminal:
        made = search_controversial(
            alignment, posteriors[0], other=posteriors[1], count=arguments.count, seed=arguments.seed, progress=Progress(terminal)
        )
    people = (first, second)
    build_controversial_set(made, alignment.labels.generator, seed=arguments.seed, people=people, study=study_data.study.name).save(
        arguments.out
    )
    print(f"{sum(image.differ for image in made)} of {count_noun(len(made), 'new face')} part them; they are in {arguments.out}")
    return 0


def _part_by_pairs(study_data: StudyData, arguments: argparse.Namespace) -> int:
    """Of an identity study: its pairs on which two people part, and new ones where a folder is named."""
    first, second = arguments.raters
    model, _ = align_identity(study_data, _build_configuration(arguments))
    print(f"The pairs of the study on which {first} and {second} part most, by their models (chance of 'same person'):")
    for row in rank_parting_pairs(model, study_data.shown, first, second).head(10).to_dict("records"):
        print(f"  {row['pair_id']}: {first} {100 * row['p_first']:.0f} %, {second} {100 * row['p_second']:.0f} %")
    if arguments.out is None:
        return 0
    if not study_data.generator:
        raise LiminalError("No generator made the pictures of this study, so that no new pairs can be made; leave out --out.")
    population = load_population(study_data.generator)
    with TerminalProgress() as terminal:
        made = parting_pairs.generate_parting_pairs(
            model,
            study_data.pairs,
            first,
            second,
            population,
            study_data.generator,
            study=study_data.study.name,
            count=arguments.count,
            seed=arguments.seed,
            progress=Progress(terminal),
        )
    made.save(arguments.out)
    facts, command = made.manifest[CONTROVERSIAL_KEY], f"python -m core study make --set {arguments.out} --name NAME"
    print(f"{facts['kept']} of {count_noun(facts['count'], 'new pair')} part them; all are in {arguments.out}.")
    print(f"'{command}' asks people.")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    cards = list_cards()
    for folder, card in cards:
        basis, names = card.get("basis", {}), card["configuration"]["classifiers"]
        print(
            f"{folder.name}  {card.get('study')}: {', '.join(names)}; {count_noun(basis.get('answers', 0), 'answer')} of "
            f"{count_noun(basis.get('raters', 0), 'person', 'people')} ({basis.get('source', '')}), {card.get('made', '')}; "
            f"began with {' and '.join(describe_beginning(card, name) for name in names)}"
        )
    if not cards:
        print("Nothing has learned from people yet; 'python -m core align group --help' says how.")
    return 0


def format_report(report: AlignmentReport) -> Iterator[str]:
    """The lines of paper B's Fig. 5 for one classifier."""
    yield f"{report.classifier}: {_describe_basis(report.basis)}"
    yield f"  {'accuracy':<26}" + "".join(f"{level:<26}" for level in LEVELS)
    for title, row in (
        ("on reference faces", report.reference),
        ("on everybody's answers", report.group),
        ("on a person's answers", report.own),
    ):
        yield f"  {title:<26}" + "".join(f"{_format_share(row[level]):<26}" for level in LEVELS)
    yield f"  {'surprise, bits':<26}" + "".join(f"{describe_estimate(report.loss[level]):<26}" for level in LEVELS)
    yield f"  base -> group, a person's answers:       {_format_points(report.group_gain)}"
    yield f"  group -> individual:                     {_format_points(report.individual_gain)}"
    yield f"  the same, answers shuffled, median:      {_format_points(report.null_gain)}"
    yield f"  group -> individual, bits saved:         {_format_bits(report.individual_loss_gain)}"
    yield f"  the same, answers shuffled, median:      {_format_bits(report.null_loss_gain)}"
    shift, shift_bits = _format_points(report.shift_gain), _format_bits(report.shift_loss_gain)
    yield f"  group -> shifted by eight numbers:       {shift}; bits saved {shift_bits}"
    yield f"  the same, answers shuffled (control):    bits saved {_format_bits(report.null_shift_loss_gain)}"
    base, group = describe_estimate(report.entropy_base), describe_estimate(report.entropy_group)
    yield f"  entropy of model and people (Spearman):  {base} -> {group}"
    yield f"  95 % intervals; gains are means over people, of the control (answers shuffled) medians. {PUBLISHED_GAINS}"


def format_identity_report(report: IdentityReport) -> Iterator[str]:
    """The lines of the report on the decision models of an identity study."""
    yield f"Same person? {_describe_basis(report.basis)}"
    base, group, individual = (_format_share(level) for level in (report.base, report.group, report.individual))
    yield f"  accuracy    threshold {base}  group {group}  individual {individual}"
    group, individual = describe_estimate(report.group_loss), describe_estimate(report.individual_loss)
    yield f"  surprise, bits              group {group}  individual {individual}"
    gain, bits = _format_points(report.individual_gain), _format_bits(report.individual_loss_gain)
    yield f"  group -> individual:                   {gain}; bits saved {bits}"
    gain, bits = _format_points(report.null_gain), _format_bits(report.null_loss_gain)
    yield f"  the same, answers shuffled, median:    {gain}; bits saved {bits}"
    for row in report.coefficients.itertuples():
        yield f"  {row.name:<22} {row.group:7.2f} ({row.low:.2f} to {row.high:.2f}), people differ by {row.spread:.2f}"
    if report.note:
        yield f"  {report.note}"


def _describe_basis(basis: Basis) -> str:
    return f"{count_noun(basis.answers, 'held-out answer')} of {count_noun(basis.raters, 'rater')} ({basis.source})"


def _format_share(share: Estimate) -> str:
    """A share with its interval in per cent, one decimal."""
    return format_interval(100 * share.value, 100 * share.low, 100 * share.high, 1, " %")


def _format_points(gain: ModelGain) -> str:
    estimate = gain.value
    if math.isnan(estimate.value):
        return "-"
    return f"{100 * estimate.value:+.1f} points ({_format_certainty(gain, 100, 1)}n {estimate.n})"


def _format_bits(gain: ModelGain) -> str:
    estimate = gain.value
    if math.isnan(estimate.value):
        return "-"
    return f"{estimate.value:+.3f} ({_format_certainty(gain, 1, 3)}n {estimate.n})"


def _format_certainty(gain: ModelGain, scale: float, decimals: int) -> str:
    """Interval and p, each with a comma behind it where it is known."""
    low, high = scale * gain.value.low, scale * gain.value.high
    interval = f"{low:+.{decimals}f} to {high:+.{decimals}f}, " if math.isfinite(low + high) else ""
    return interval + ("" if math.isnan(gain.p) else f"p {gain.p:.3g}, ")
