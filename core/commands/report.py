"""``python -m core report DIR``: all statistics of a sample set or a study, beside the published ones.

Of a set alone: for identity how often each type of sample is accepted, beside Table 1 of paper A; for emotion filter (3), paper
B's outcomes, evenness and entropy under the guiding and every held-out classifier. With ``--study`` every exhibit of
``core.figures`` with its sentence, n, interval and source, as on the statistics page and in the HTML report. ``--json`` prints
the same numbers, ``--html`` writes one file that works offline.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core.analysis.emotion_tables import BoundaryStatistics, ClassifierStatistics, FaceStatistics, summarise_boundary
from core.analysis.encode import list_recognisers
from core.analysis.estimate import Estimate, Proportion, Ratio, divide_proportions, to_plain
from core.analysis.identity_tables import (
    AcceptanceRow,
    AcceptanceTable,
    build_acceptance_tables,
    find_published_mean,
    load_published_thresholds,
)
from core.analysis.morphs import MorphRate, find_morphs, rate_recogniser
from core.analysis.study_data import StudyData, build_set_data, build_study_data
from core.commands.terminal import TerminalProgress, count_noun, require_study
from core.errors import LiminalError
from core.figures.morphs import describe_step, list_morph_limits
from core.figures.report import build_chapters, build_report, collect_numbers
from core.figures.theme import format_interval, format_number, format_percent
from core.models import registry
from core.progress import Progress
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.sample_set import SampleSet
from core.sampling.stored.population import load_thresholds
from core.sampling.stored.reference import ReferenceSet, load_reference_set
from core.studies.chain_store import ChainStore
from core.studies.library import Library, hash_sample_set
from core.studies.planning import list_stimuli
from core.writing import write_bytes


def format_proportion(share: Proportion) -> str:
    """A share with its interval in per cent: "12.3 % (8 to 18)"; over nothing a dash."""
    if not share.n:
        return "–"
    return f"{format_percent(share.share, 1)} ({100 * share.low:.0f} to {100 * share.high:.0f})"


def print_identity_report(sample_set: SampleSet, folder: Path) -> None:
    """Print the tables of every recogniser at its default and its calibrated thresholds."""
    sections = _list_all_tables(sample_set)
    configuration = sample_set.identity
    print(
        f"{folder}: {count_noun(len(sample_set.pairs), 'pair')} of {describe_bases(sample_set)}, "
        + (
            "pictures of your own"
            if sample_set.own_pictures
            else f"generator {configuration.generator}, "
            f"search by {configuration.strategy} against {configuration.recogniser}, seed {configuration.seed}"
        )
    )
    _print_search_success(sample_set)
    for title, table in sections:
        print(f"\n{table.recogniser}, accepted below {table.threshold:.3f} ({title})")
        _print_acceptance_table(table)
    print_morphs(sample_set)
    print(
        "\nShares carry 95 % Wilson intervals, with pairs taken as independent. Ratio: latent distance to the negatives' mean.\n"
        "'Paper': Table 1 of Exploring the Lands Between (StyleGAN2, 1,120 pairs), at that paper's default threshold."
    )


def print_morphs(sample_set: SampleSet) -> None:
    """Print how many faces between two people open both phones, where some were judged against both."""
    if rates := _rate_morphs(sample_set):
        print("\nTwo owners, one face: share that opens both phones (MMPMR, Scherhag et al. 2017)")
    for words, rate in rates:
        print(
            f"  {words:<46}{describe_step(rate.step):<18}{format_percent(rate.both.value, 1):>8} ({100 * rate.both.low:.0f} to "
            f"{100 * rate.both.high:.0f}), {count_noun(rate.morphs, 'face')} between {count_noun(rate.owners, 'pair')} of owners"
        )


def _rate_morphs(sample_set: SampleSet) -> list[tuple[str, MorphRate]]:
    """Of every recogniser at its default and at the limit for 1 stranger in 1,000."""
    morphs, rates = find_morphs(sample_set.pairs), []
    for name in list_recognisers(sample_set.pairs) if len(morphs) else []:
        default = sample_set.manifest["thresholds"][name]
        for words, limit in list_morph_limits(sample_set.configuration.generator, name, default):
            rates += [(f"{registry.title(name)} {words}", rate) for rate in rate_recogniser(morphs, name, limit)]
    return rates


def collect_identity_values(sample_set: SampleSet) -> dict[str, Any]:
    """Everything that is printed, as values."""
    tables = []
    for title, table in _list_all_tables(sample_set):
        rows = []
        for row in table.rows:
            published = find_published_mean(row.sample_type, row.step) if row.direction is None else None
            rows.append({**asdict(row), "published": asdict(published) if published else None})
        tables.append({"recogniser": table.recogniser, "threshold": table.threshold, "threshold_is": title, "rows": rows})
    morphs = [{"at": words, **asdict(rate)} for words, rate in _rate_morphs(sample_set)]
    counts = sample_set.manifest["counts"]
    return {"configuration": sample_set.configuration.to_dict(), "counts": counts, "tables": tables, "morphs": morphs}


def _list_all_tables(sample_set: SampleSet) -> list[tuple[str, AcceptanceTable]]:
    """(what the threshold is, the table) of every recogniser: its default threshold first, then the calibrated ones."""
    sections = []
    for name in list_recognisers(sample_set.pairs):
        default = sample_set.manifest["thresholds"][name]
        for threshold, table in build_acceptance_tables(sample_set.pairs, name, default, sample_set.configuration.generator):
            title = "default"
            if threshold.rate is not None:
                title = f"calibrated: {100 * threshold.rate:g} % of this generator's strangers, interval "
                title += f"{threshold.low:.3f} to {threshold.high:.3f}"
            sections.append((title, table))
    return sections


def _print_search_success(sample_set: SampleSet) -> None:
    """How many runs of the search came under each target."""
    results = [result for run in sample_set.manifest["searches"] for result in run["kept"]]
    for target in sample_set.identity.targets:
        runs = [result for result in results if result["target"] == target]
        if runs:
            reached = Proportion.of(sum(result["reached"] for result in runs), len(runs))
            print(f"  search under {target:g}: {reached.count} of {count_noun(reached.n, 'run')}, {format_proportion(reached)}")


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
        f"{name:<22}{row.pairs:>5}  {format_percent(row.no_face.share, 1):>8}  {format_proportion(row.accepted):>21}"
        f"{format_number(row.distance):>10}{format_number(row.lpips):>7}{format_number(row.latent_ratio):>7}"
    )


def _format_published_row(row: AcceptanceRow, recogniser: str, same_model: bool) -> str:
    published = find_published_mean(row.sample_type, row.step) if row.direction is None else None
    if published is None:
        return ""
    values = f"{100 * published.accepted[recogniser]:>9.0f} %{published.distances[recogniser]:>8.2f}" if same_model else ""
    return f"   {values}{published.lpips:>7.2f}{published.latent_ratio:>7.2f}"


PUBLISHED_SUCCESS = "nearly 80 %"
PUBLISHED_DEFINITION = "of the images were success or bias in the choices of people (Fig. 4b), not in the probabilities of a model"

OUTCOME_NAMES = ("success", "bias", "failure")


def print_emotion_report(sample_set: SampleSet, folder: Path) -> None:
    """Print all statistics: under the guiding classifier first, then under the held-out ones."""
    configuration, statistics = sample_set.emotion, compute_emotion_statistics(sample_set)
    reference, problem = _load_reference(configuration)
    way = f"guided by {registry.title(configuration.steerer)}" if configuration.guided else "unguided"
    print(
        f"{folder}: {count_noun(statistics.n, 'sample')} between {statistics.emotion1} and {statistics.emotion2} of "
        f"{describe_bases(sample_set)}, {way}, {configuration.strategy}, freedom {configuration.freedom:g}, "
        f"generator {configuration.generator}, seed {configuration.seed}"
    )
    print_faces(statistics.faces)
    if problem:
        print(f"Shares of plain faces are missing: {problem}")
    for row in statistics.classifiers:
        _print_classifier(row, configuration, _count_reference_share(reference, row.classifier, configuration))
    print(
        f"\nPaper B: {PUBLISHED_SUCCESS} {PUBLISHED_DEFINITION}.\n"
        "Success: both emotions above 0.25 and together above 0.6; bias: together above 0.6 only; failure: the rest.\n"
        "'Passed' and 'of passed': filter (3) under that classifier. Calibrated: at the classifier's temperature on plain faces.\n"
        "95 % intervals: Wilson for shares, bootstrap for means and medians, Donner and Zou for ratios.\n"
        "Samples are taken as independent."
    )


def collect_emotion_values(sample_set: SampleSet) -> dict[str, Any]:
    """Everything that is printed, as values."""
    configuration, statistics = sample_set.emotion, compute_emotion_statistics(sample_set)
    reference, problem = _load_reference(configuration)
    classifiers = []
    for row in statistics.classifiers:
        plain = _count_reference_share(reference, row.classifier, configuration)
        classifiers.append(
            {
                **asdict(row),
                "title": registry.title(row.classifier),
                "role": configuration.describe_role(row.classifier),
                "plain": asdict(plain) if plain else None,
                "ratio_to_plain": asdict(divide_proportions(row.passed, plain)) if plain else None,
            }
        )
    return {
        "configuration": configuration.to_dict(),
        "counts": sample_set.manifest["counts"],
        **asdict(statistics),
        "classifiers": classifiers,
        "plain_missing": problem,
        "published": {"success_or_bias": PUBLISHED_SUCCESS, "is": PUBLISHED_DEFINITION},
    }


def compute_emotion_statistics(sample_set: SampleSet) -> BoundaryStatistics:
    """All statistics of an emotion set. Raises LiminalError for an identity set and where no boundary sample is in it."""
    configuration = sample_set.emotion
    if sample_set.own_pictures:
        raise LiminalError(
            "These are pictures of your own, made between no two feelings: ask people about them, then 'report --study NAME' says "
            "what they and the classifiers see."
        )
    name = configuration.recogniser
    threshold = sample_set.manifest.get("thresholds", {}).get(name) or load_thresholds(configuration.generator, name).default
    return summarise_boundary(sample_set.samples, configuration.steerer, name, threshold)


def describe_bases(sample_set: SampleSet) -> str:
    """How many bases a set has, in words."""
    return count_noun(len(sample_set.base_ids()), "base")


def print_passing(statistics: ClassifierStatistics, configuration: EmotionConfiguration) -> None:
    """One line: how many passed under a classifier, and how even those are."""
    evenness = ""
    if statistics.passed.count:
        evenness = f"  of these median |p1 - p2| {format_number(statistics.raw.gap.value)}, "
        evenness += f"p1 + p2 {format_number(statistics.raw.together.value)}"
    print(f"  {_describe_classifier(statistics, configuration):<44} passed {_format_count(statistics.passed)}{evenness}")


def print_faces(faces: FaceStatistics) -> None:
    """One line on the faces that the recogniser found, and their distances to the base."""
    print(
        f"Faces ({faces.recogniser}): found in {_format_count(faces.found)}; nearer than {faces.threshold:g} to the base: "
        f"{_format_count(faces.near)}; median distance {_format_estimate(faces.distance)}"
    )


def _describe_classifier(statistics: ClassifierStatistics, configuration: EmotionConfiguration) -> str:
    return f"{registry.title(statistics.classifier)}, which {configuration.describe_role(statistics.classifier)}"


def _print_classifier(statistics: ClassifierStatistics, configuration: EmotionConfiguration, plain: Proportion | None) -> None:
    print(f"\n{_describe_classifier(statistics, configuration)}")
    print(
        f"  {'passed':<22}{_format_count(statistics.passed):<34}"
        + (_format_reference_share(plain, divide_proportions(statistics.passed, plain)) if plain else "")
    )
    if not statistics.steerer:
        print(f"  {'of what steerer kept':<22}{_format_count(statistics.passed_of_kept)}")
    print(f"  {'':<22}{'raw':<34}calibrated")
    sides = (statistics.raw, statistics.calibrated)
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
    return f"{share.count} of {share.n}, {format_proportion(share)}" if share.n else "–"


def _format_estimate(estimate: Estimate) -> str:
    return f"{format_interval(estimate.value, estimate.low, estimate.high)}, n {estimate.n}" if estimate.n else "–"


def _load_reference(configuration: EmotionConfiguration) -> tuple[ReferenceSet | None, str | None]:
    """The generator's reference faces, or the sentence on why there are none."""
    try:
        return load_reference_set(configuration.generator), None
    except LiminalError as error:
        return None, str(error)


def _count_reference_share(
    reference: ReferenceSet | None, classifier: str, configuration: EmotionConfiguration
) -> Proportion | None:
    """How many reference faces pass filter (3); None where the classifier did not judge them."""
    if reference is None or classifier not in reference.logits:
        return None
    return Proportion.of(*reference.count_passing(classifier, configuration.pair))


class SingleSetLibrary(Library):
    """A library that holds one sample set, wherever its folder lies."""

    def __init__(self, folder: Path, set_id: str) -> None:
        super().__init__(folder.parent, folder.parent)
        self.folder, self.set_id = folder, set_id

    def folder_of(self, set_id: str) -> Path:
        if set_id != self.set_id:
            raise LiminalError(f"This report is about {self.folder} alone, which is not the sample set '{set_id}'.")
        return self.folder


def open_set(folder: Path) -> tuple[StudyData, Library]:
    """A sample set without answers as study data. Raises LiminalError where it cannot be read."""
    set_id = hash_sample_set(SampleSet.load(folder))
    library = SingleSetLibrary(folder, set_id)
    return build_set_data(library, set_id, folder.resolve().name or "sample set"), library


def open_study(name: str, folder: Path | None, *, everybody: bool = False) -> tuple[StudyData, Library]:
    """A study of the store, or only its answers about the set in a folder; LiminalError where these do not belong together."""
    from core.studies.store import Store  # SQLAlchemy

    store = Store()
    try:
        try:
            study = require_study(store, name)
        except LiminalError:
            _refuse_chains(name)
            raise
        stimuli, raters, ratings = store.stimuli(name), store.raters(name), store.ratings(name)
    finally:
        store.dispose()
    library = Library()
    if folder is not None:
        sample_set = SampleSet.load(folder)
        set_id = hash_sample_set(sample_set)
        if set_id not in study.sample_sets:
            raise LiminalError(f"The study '{study.name}' did not ask about the sample set in {folder}; leave the folder out.")
        of_set = {stimulus.stimulus for stimulus in list_stimuli(sample_set, set_id)}
        stimuli = [stimulus for stimulus in stimuli if stimulus.stimulus in of_set or stimulus.is_sentinel]
        ratings = ratings[ratings["stimulus"].isin([stimulus.stimulus for stimulus in stimuli])].reset_index(drop=True)
        study, library = replace(study, sample_sets=(set_id,)), SingleSetLibrary(folder, set_id)
    return build_study_data(study, stimuli, raters, ratings, library, rules=None if everybody else "planned"), library


def _refuse_chains(name: str) -> None:
    """Raises LiminalError with the way to go where people make the faces of a study rather than answer about them."""
    if any(study.name == name for study in ChainStore().studies()):
        raise LiminalError(
            f"People make the faces of '{name}'; 'python -m core chains faces {shlex.quote(name)} --out DIR' draws them, and "
            "'python -m core report DIR' tells about them."
        )


def print_study_report(study_data: StudyData, *, looks: bool) -> None:
    """Print every exhibit's sentence with n, interval and source."""
    raters = len(study_data.exclusions.raters)
    mark = "SIMULATED ANSWERS: nobody was asked. " if study_data.source == "simulated" else ""
    if study_data.ratings.empty and not raters and study_data.imported_means is None:
        print(
            f"'{study_data.study.name}': {count_noun(len(study_data.shown), 'pair' if study_data.kind == 'identity' else 'face')}"
        )
    elif study_data.imported_means is not None:
        print(f"'{study_data.study.name}': imported means of {count_noun(len(study_data.imported_means), 'pair')}")
    else:
        print(
            f"{mark}'{study_data.study.name}': {count_noun(len(study_data.ratings), 'answer')} of {count_noun(raters, 'rater')}, "
            f"{len(study_data.excluded):,} out"
        )
    for made in study_data.made.values():
        mark = "SIMULATED PEOPLE made these faces: nobody was asked. " if made.source == "simulated" else ""
        print(f"{mark}Faces of '{made.study}', made towards: {made.aim}.")
    if study_data.ratings.empty and study_data.study.origin == "here":
        print("Nobody has answered yet: what follows is what models say.")
    with TerminalProgress() as reporter:
        chapters = build_chapters(study_data, slow=looks, progress=Progress(reporter))
    for chapter in chapters:
        print(f"\n{chapter.section.question}")
        if chapter.problem:
            print(f"  {chapter.problem}")
        for exhibit in chapter.exhibits:
            basis = "; ".join(part for part in (f"n = {exhibit.n}", exhibit.interval, exhibit.source) if part)
            print(f"  {exhibit.says}\n    ({basis})")
            if exhibit.note and exhibit.note != exhibit.says:
                print(f"    {exhibit.note}")


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
    parser.add_argument(
        "--with-pictures", action="store_true", help="put pictures of your own, which may show real people, into the HTML file"
    )
    parser.add_argument("--json", action="store_true", help="print every number as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one file that works offline, with figures and faces")


def run(arguments: argparse.Namespace) -> int:
    """Print the statistics that belong to the kind of the set, or write them."""
    if arguments.folder is None and arguments.study is None:
        raise LiminalError("Name the folder of a sample set, or a study with --study, or both.")
    if arguments.study is None and arguments.html is None:
        _report_set(arguments)
        return 0
    if arguments.study is None:
        study_data, library = open_set(arguments.folder)
    else:
        study_data, library = open_study(arguments.study, arguments.folder, everybody=arguments.all_raters)
    if arguments.html is not None:
        _write_html(study_data, library, arguments)
    if arguments.json:
        with TerminalProgress() as reporter:
            values = collect_numbers(study_data, slow=arguments.looks, progress=Progress(reporter))
        if arguments.folder is not None:
            values["sample_set"] = to_plain(_collect_set_values(SampleSet.load(arguments.folder)))
        print(json.dumps(values, indent=1, allow_nan=False))
    elif arguments.html is None:
        print_study_report(study_data, looks=arguments.looks)
    return 0


def _collect_set_values(sample_set: SampleSet) -> dict[str, Any]:
    return collect_identity_values(sample_set) if sample_set.kind == "identity" else collect_emotion_values(sample_set)


def _report_set(arguments: argparse.Namespace) -> None:
    """Print the statistics of a sample set without answers."""
    sample_set = SampleSet.load(arguments.folder)
    if sample_set.kind == "emotion" and not (sample_set.own_pictures or sample_set.samples["sample_type"].eq("boundary").any()):
        _report_rows(arguments)
    elif arguments.json:
        print(json.dumps(to_plain(_collect_set_values(sample_set)), indent=1, allow_nan=False))
    elif sample_set.kind == "identity":
        print_identity_report(sample_set, arguments.folder)
    else:
        print_emotion_report(sample_set, arguments.folder)


def _report_rows(arguments: argparse.Namespace) -> None:
    """Print the chapters of faces that were not sought on a boundary: those that people made, and rows from end to end."""
    study_data, _ = open_set(arguments.folder)
    if arguments.json:
        print(json.dumps(collect_numbers(study_data), indent=1, allow_nan=False))
    else:
        print_study_report(study_data, looks=False)


def _write_html(study_data: StudyData, library: Library, arguments: argparse.Namespace) -> None:
    target: Path = arguments.html
    if target.is_dir():
        raise LiminalError(f"{target} is a folder; name the file to write, such as {target / 'report.html'}.")
    with TerminalProgress() as reporter:
        shown = arguments.with_pictures
        content = build_report(study_data, library, slow=arguments.looks, own_pictures=shown, progress=Progress(reporter)).encode()
    try:
        write_bytes(target, content)
    except OSError as error:
        raise LiminalError(f"The report cannot be written to {target}: {error.strerror or error}; choose another place.") from error
    print(f"{target}: {len(content) / 1e6:.1f} MB, opens offline.", file=sys.stderr if arguments.json else sys.stdout)
