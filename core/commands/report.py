"""``python -m core report DIR``: all statistics of a sample set or a study, beside the published ones.

Of a set alone: for identity how often each type of sample is accepted, beside Table 1 of paper A; for emotion filter (3), paper
B's outcomes, evenness and entropy under the guiding and every held-out classifier. With ``--study`` the exhibits of
``core.figures`` (``report_study``), which is imported only then, since it loads Plotly and the store.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.analysis.emotion_tables import BoundaryStatistics, ClassifierStatistics, FaceStatistics, summarise_boundary
from core.analysis.encode import list_recognisers
from core.analysis.estimate import Estimate, Proportion, Ratio, divide_proportions, to_plain
from core.analysis.identity_tables import (
    AcceptanceRow,
    AcceptanceTable,
    build_acceptance_table,
    find_published_mean,
    load_published_thresholds,
)
from core.errors import LiminalError
from core.models import registry
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.sample_set import SampleSet
from core.sampling.stored.population import load_thresholds
from core.sampling.stored.reference import ReferenceSet, load_reference_set

if TYPE_CHECKING:
    from core.analysis.study_data import StudyData
    from core.studies.library import Library


def format_percent(share: float) -> str:
    """0.123 -> "12.3 %"; NaN -> "-"."""
    return "-" if math.isnan(share) else f"{100 * share:.1f} %"


def format_proportion(share: Proportion) -> str:
    """A share with its interval in per cent: "12.3 % (8 to 18)"; over nothing "-"."""
    if not share.n:
        return "-"
    return f"{100 * share.share:.1f} % ({100 * share.low:.0f} to {100 * share.high:.0f})"


def format_number(value: float) -> str:
    """Two decimals; NaN -> "-"."""
    return "-" if math.isnan(value) else f"{value:.2f}"


def print_identity_report(made: SampleSet, folder: Path) -> None:
    """Print the tables of every recogniser at its default and its calibrated thresholds."""
    sections = _list_all_tables(made)
    configuration = made.identity
    print(
        f"{folder}: {len(made.pairs)} pairs of {len(made.base_ids())} bases, generator {configuration.generator}, "
        f"search by {configuration.strategy} against {configuration.recogniser}, seed {configuration.seed}"
    )
    _print_search_success(made)
    for title, table in sections:
        print(f"\n{table.recogniser}, accepted below {table.threshold:.3f} ({title})")
        _print_acceptance_table(table)
    print(
        "\nShares carry 95 % Wilson intervals, with pairs taken as independent. Ratio: latent distance to the negatives' mean.\n"
        "'Paper': Table 1 of Exploring the Lands Between (StyleGAN2, 1,120 pairs), at that paper's default threshold."
    )


def collect_identity_values(made: SampleSet) -> dict[str, Any]:
    """Everything that is printed, as values."""
    tables = []
    for title, table in _list_all_tables(made):
        rows = []
        for row in table.rows:
            printed = find_published_mean(row.sample_type, row.step) if row.direction is None else None
            rows.append({**asdict(row), "published": asdict(printed) if printed else None})
        tables.append({"recogniser": table.recogniser, "threshold": table.threshold, "threshold_is": title, "rows": rows})
    return {"configuration": made.configuration.to_dict(), "counts": made.manifest["counts"], "tables": tables}


def _list_all_tables(made: SampleSet) -> list[tuple[str, AcceptanceTable]]:
    return [section for name in list_recognisers(made.pairs) for section in _list_tables(made, name)]


def _list_tables(made: SampleSet, recogniser: str) -> list[tuple[str, AcceptanceTable]]:
    """(what the threshold is, the table): the default one first, then the calibrated ones where they are stored."""
    default = made.manifest["thresholds"][recogniser]
    sections = [("default", build_acceptance_table(made.pairs, recogniser, default))]
    try:
        calibrated = load_thresholds(made.configuration.generator, recogniser).calibrated
    except LiminalError:
        return sections  # never calibrated for this generator
    for each in calibrated:
        title = f"calibrated: {100 * each.rate:g} % of this generator's strangers, interval {each.low:.3f} to {each.high:.3f}"
        sections.append((title, build_acceptance_table(made.pairs, recogniser, each.distance)))
    return sections


def _print_search_success(made: SampleSet) -> None:
    """How many runs of the search came under each target."""
    kept = [each for run in made.manifest["searches"] for each in run["kept"]]
    for target in made.identity.targets:
        runs = [each for each in kept if each["target"] == target]
        if runs:
            reached = Proportion.of(sum(each["reached"] for each in runs), len(runs))
            print(f"  search under {target:g}: {reached.count} of {reached.n} runs, {format_proportion(reached)}")


def _print_acceptance_table(table: AcceptanceTable) -> None:
    paper = table.recogniser in load_published_thresholds()
    header = f"{'sample type':<22}{'n':>5}  {'no face':>8}  {'accepted':>21}{'distance':>10}{'LPIPS':>7}{'ratio':>7}"
    print(header + ("   paper: accepted, distance, LPIPS, ratio" if paper else "   paper: LPIPS, ratio"))
    for row in table.rows:
        print(_format_acceptance_row(row) + _format_published_row(row, table.recogniser, paper))


def _format_acceptance_row(row: AcceptanceRow) -> str:
    name = row.sample_type
    if row.direction is not None:
        name = f"  {row.direction}"
    elif row.step is not None:
        name = f"  {100 * row.step:.0f} %" if row.sample_type == "interpolation" else f"  {row.step:g}"
    return (
        f"{name:<22}{row.pairs:>5}  {format_percent(row.no_face.share):>8}  {format_proportion(row.accepted):>21}"
        f"{format_number(row.distance):>10}{format_number(row.lpips):>7}{format_number(row.latent_ratio):>7}"
    )


def _format_published_row(row: AcceptanceRow, recogniser: str, same_model: bool) -> str:
    printed = find_published_mean(row.sample_type, row.step) if row.direction is None else None
    if printed is None:
        return ""
    ours = f"{100 * printed.accepted[recogniser]:>9.0f} %{printed.distances[recogniser]:>8.2f}" if same_model else ""
    return f"   {ours}{printed.lpips:>7.2f}{printed.latent_ratio:>7.2f}"


PUBLISHED_SUCCESS = "nearly 80 %"
PUBLISHED_DEFINITION = "of the images were success or bias in the choices of people (Fig. 4b), not in the probabilities of a model"

OUTCOME_NAMES = ("success", "bias", "failure")


def print_emotion_report(made: SampleSet, folder: Path) -> None:
    """Print everything: the steerer first, then the judges."""
    configuration, said = made.emotion, compute_emotion_statistics(made)
    reference, why_not = _load_reference(configuration)
    way = f"guided by {registry.title(configuration.steerer)}" if configuration.guided else "unguided"
    print(
        f"{folder}: {said.n} samples between {said.emotion1} and {said.emotion2} of {describe_bases(made)}, {way}, "
        f"{configuration.strategy}, freedom {configuration.freedom:g}, generator {configuration.generator}, "
        f"seed {configuration.seed}"
    )
    print_faces(said.faces)
    if why_not:
        print(f"Shares of plain faces are missing: {why_not}")
    for each in said.classifiers:
        _print_classifier(each, configuration, _count_reference_share(reference, each.classifier, configuration))
    print(
        f"\nPaper B: {PUBLISHED_SUCCESS} {PUBLISHED_DEFINITION}.\n"
        "Success: both emotions above 0.25 and together above 0.6; bias: together above 0.6 only; failure: the rest.\n"
        "'Passed' and 'of passed': filter (3) under that classifier. Calibrated: at the classifier's temperature on plain faces.\n"
        "95 % intervals: Wilson for shares, bootstrap for means and medians, Donner and Zou for ratios.\n"
        "Samples are taken as independent."
    )


def collect_emotion_values(made: SampleSet) -> dict[str, Any]:
    """Everything that is printed, as values."""
    configuration, said = made.emotion, compute_emotion_statistics(made)
    reference, why_not = _load_reference(configuration)
    classifiers = []
    for each in said.classifiers:
        plain = _count_reference_share(reference, each.classifier, configuration)
        classifiers.append(
            {
                **asdict(each),
                "title": registry.title(each.classifier),
                "role": configuration.part(each.classifier),
                "plain": asdict(plain) if plain else None,
                "ratio_to_plain": asdict(divide_proportions(each.passed, plain)) if plain else None,
            }
        )
    return {
        "configuration": configuration.to_dict(),
        "counts": made.manifest["counts"],
        **asdict(said),
        "classifiers": classifiers,
        "plain_missing": why_not,
        "published": {"success_or_bias": PUBLISHED_SUCCESS, "is": PUBLISHED_DEFINITION},
    }


def compute_emotion_statistics(made: SampleSet) -> BoundaryStatistics:
    """All statistics of an emotion set. Raises LiminalError for an identity set and where no boundary sample is in it."""
    configuration = made.emotion
    name = configuration.recogniser
    threshold = made.manifest.get("thresholds", {}).get(name) or load_thresholds(configuration.generator, name).default
    return summarise_boundary(made.samples, configuration.steerer, name, threshold)


def describe_bases(made: SampleSet) -> str:
    """How many bases a set has, in words."""
    count = len(made.base_ids())
    return f"{count} base{'s' if count > 1 else ''}"


def print_passing(said: ClassifierStatistics, configuration: EmotionConfiguration) -> None:
    """One line: how many passed under a classifier, and how even those are."""
    kept = ""
    if said.passed.count:
        kept = f"  of these median |p1 - p2| {format_number(said.raw.gap.value)}, p1 + p2 {format_number(said.raw.together.value)}"
    print(f"  {_describe_classifier(said, configuration):<44} passed {_format_count(said.passed)}{kept}")


def print_faces(faces: FaceStatistics) -> None:
    """One line on what the recogniser says."""
    print(
        f"Faces ({faces.recogniser}): found in {_format_count(faces.found)}; nearer than {faces.threshold:g} to the base: "
        f"{_format_count(faces.near)}; median distance {_format_estimate(faces.distance)}"
    )


def _describe_classifier(said: ClassifierStatistics, configuration: EmotionConfiguration) -> str:
    return f"{registry.title(said.classifier)}, which {configuration.part(said.classifier)}"


def _print_classifier(said: ClassifierStatistics, configuration: EmotionConfiguration, plain: Proportion | None) -> None:
    print(f"\n{_describe_classifier(said, configuration)}")
    print(
        f"  {'passed':<22}{_format_count(said.passed):<34}"
        + (_format_reference_share(plain, divide_proportions(said.passed, plain)) if plain else "")
    )
    if not said.steerer:
        print(f"  {'of what steerer kept':<22}{_format_count(said.passed_of_kept)}")
    print(f"  {'':<22}{'raw':<34}calibrated")
    sides = (said.raw, said.calibrated)
    for name in OUTCOME_NAMES:
        _print_cells(name, [_format_count(getattr(side.outcomes, name)) for side in sides])
    for name in OUTCOME_NAMES:
        _print_cells(f"{name}, of passed", [_format_count(getattr(side.outcomes_of_passed, name)) for side in sides])
    _print_cells("median |p1 - p2|", [_format_estimate(side.gap) for side in sides])
    _print_cells("median p1 + p2", [_format_estimate(side.together) for side in sides])
    _print_cells("mean entropy, bits", [_format_estimate(side.entropy) for side in sides])


def _print_cells(name: str, cells: list[str]) -> None:
    print(f"  {name:<22}" + "".join(f"{cell:<34}" for cell in cells).rstrip())


def _format_reference_share(plain: Proportion, gain: Ratio) -> str:
    times = "" if math.isnan(gain.value) else f"; {gain.value:.1f} times that ({gain.low:.1f} to {gain.high:.1f})"
    return f"plain faces: {_format_count(plain)}{times}"


def _format_count(share: Proportion) -> str:
    return f"{share.count} of {share.n}, {format_proportion(share)}" if share.n else "-"


def _format_estimate(value: Estimate) -> str:
    if not value.n:
        return "-"
    between = "" if math.isnan(value.low) else f" ({format_number(value.low)} to {format_number(value.high)})"
    return f"{format_number(value.value)}{between}, n {value.n}"


def _load_reference(configuration: EmotionConfiguration) -> tuple[ReferenceSet | None, str | None]:
    """The population of plain faces, or the sentence on why there is none."""
    try:
        return load_reference_set(configuration.generator), None
    except LiminalError as error:
        return None, str(error)


def _count_reference_share(
    reference: ReferenceSet | None, classifier: str, configuration: EmotionConfiguration
) -> Proportion | None:
    """How many plain faces pass filter (3); None where the population was not judged by the classifier."""
    if reference is None or classifier not in reference.logits:
        return None
    return Proportion.of(*reference.plain_share(classifier, configuration.pair))


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
        return _report_set(arguments)
    material, library = _load_report_data(arguments)
    if arguments.html is not None:
        _write_html(material, library, arguments)
    if arguments.json:
        from core.commands.terminal import TerminalProgress
        from core.figures.report import collect_numbers
        from core.progress import Progress

        with TerminalProgress() as shown:
            found = collect_numbers(material, slow=arguments.looks, progress=Progress(shown))
        if arguments.folder is not None:
            made = SampleSet.load(arguments.folder)
            found["sample_set"] = to_plain(_figures_of(made))
        print(json.dumps(found, indent=1, allow_nan=False))
    elif arguments.html is None:
        from core.commands.report_study import print_study_report

        print_study_report(material, looks=arguments.looks)
    return 0


def _figures_of(made: SampleSet) -> dict[str, Any]:
    return collect_identity_values(made) if made.kind == "identity" else collect_emotion_values(made)


def _report_set(arguments: argparse.Namespace) -> int:
    made = SampleSet.load(arguments.folder)
    if arguments.json:
        print(json.dumps(to_plain(_figures_of(made)), indent=1, allow_nan=False))
    elif made.kind == "identity":
        print_identity_report(made, arguments.folder)
    else:
        print_emotion_report(made, arguments.folder)
    return 0


def _load_report_data(arguments: argparse.Namespace) -> tuple[StudyData, Library]:
    """What the report is about: a study, one of its sets with its answers, or a set that nobody was asked about."""
    from core.commands.report_study import open_set, open_study

    if arguments.study is None:
        return open_set(arguments.folder)
    return open_study(arguments.study, arguments.folder, everybody=arguments.all_raters)


def _write_html(material: StudyData, library: Library, arguments: argparse.Namespace) -> None:
    import sys

    from core.commands.terminal import TerminalProgress
    from core.figures.report import build_report
    from core.progress import Progress
    from core.writing import write_bytes

    target: Path = arguments.html
    if target.is_dir():
        raise LiminalError(f"{target} is a folder; name the file to write, such as {target / 'report.html'}.")
    with TerminalProgress() as shown:
        content = build_report(material, library, slow=arguments.looks, progress=Progress(shown)).encode()
    try:
        write_bytes(target, content)
    except OSError as error:
        raise LiminalError(f"The report cannot be written to {target}: {error.strerror or error}; choose another place.") from error
    print(f"{target}: {len(content) / 1e6:.1f} MB, opens offline.", file=sys.stderr if arguments.json else sys.stdout)
