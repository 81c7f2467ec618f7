"""``python -m core causes``: each named latent moved alone on the same people, and what every network makes of it.

Predicted by the surrogate in seconds, or with ``--true`` from true pictures. ``--out`` writes result.json, effects.csv and the
strips of the largest effects; ``--set`` a sample set of these pairs, for a study of people.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.analysis.causes import EffectTable, InteractionTable, LatentEffect, load_limits, measure_effects, measure_interaction
from core.analysis.estimate import Estimate, to_plain
from core.commands.terminal import TerminalProgress, name_flags
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.progress import Progress
from core.sampling import change_design
from core.sampling.change_design import ChangeDesign, Treatment
from core.sampling.sample_set import encode_png
from core.writing import check_folder_is_free, new_folder

if TYPE_CHECKING:
    from core.sampling import single_changes
    from core.sampling.single_changes import JudgedChanges, LatentStrip
else:
    single_changes = lazy_import("core.sampling.single_changes")  # PyTorch

FLAGS = {"people": "--people", "contexts": "--contexts", "enrolments": "--enrolments", "seed": "--seed", "reach": "--reach"}
RESULT_FILE, TABLE_FILE = "result.json", "effects.csv"
SHOWN = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    recognisers = registry.list_names("recogniser")
    parser.add_argument("--generator", default=registry.default_generator("identity"), metavar="NAME", help="default %(default)s")
    parser.add_argument("--latents", nargs="+", default=[], metavar="NAME", help="some by name, or 'all' (default: the 60 usual)")
    parser.add_argument(
        "--recognisers", nargs="+", default=[], metavar="NAME", help=f"of {', '.join(recognisers)} (default: those built in)"
    )
    parser.add_argument("--by", default="", metavar="NAME", help="the recogniser or classifier to rank by (default: the first)")
    parser.add_argument("--refused", action="store_true", help="rank by how much more often the owner is refused")
    parser.add_argument("--people", type=int, default=50, metavar="N", help="drawn at random (default %(default)s)")
    parser.add_argument("--contexts", type=int, default=1, metavar="N", help="scenes and expressions of each (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--true", action="store_true", help="from true pictures instead of the surrogate's predictions: slow")
    parser.add_argument("--interaction", nargs=2, metavar="NAME", help="two latents together instead of each alone")
    parser.add_argument("--top", type=int, default=SHOWN, metavar="N", help="rows to show, strips to draw (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the result, its table and the strips; must be new or empty")
    parser.add_argument("--set", type=Path, metavar="DIR", help="write pairs of the rows shown, to ask people about")


def run(arguments: argparse.Namespace) -> int:
    """Say what it costs, measure, rank, write."""
    if arguments.top < 1:
        raise LiminalError(f"--top must be at least 1, not {arguments.top}.")
    if arguments.interaction and (arguments.out or arguments.set):
        raise LiminalError("--interaction is printed alone; leave --out and --set out.")
    for folder in (arguments.out, arguments.set):
        if folder is not None:
            check_folder_is_free(folder)
    wanted = arguments.interaction or arguments.latents
    with name_flags(FLAGS):
        design = ChangeDesign(
            change_design.choose_latents(arguments.generator, wanted),
            generator=arguments.generator,
            recognisers=tuple(arguments.recognisers) or tuple(registry.list_built_in("recogniser")),
            people=arguments.people,
            contexts=arguments.contexts,
            seed=arguments.seed,
        )
    network = arguments.by or design.recognisers[0]
    if network not in (*design.recognisers, *design.classifiers):
        names = ", ".join((*design.recognisers, *design.classifiers))
        raise LiminalError(f"--by names no network that is asked: '{network}'; there are {names}.")
    if arguments.refused and network not in design.recognisers:
        raise LiminalError(
            f"--refused ranks by a recogniser, and '{network}' is none; name one of {', '.join(design.recognisers)}."
        )
    predicted = not (arguments.true or change_design.list_unpredicted(design))
    treatments = change_design.list_pair_treatments(design, *arguments.interaction) if arguments.interaction else None
    _tell_cost(design, predicted, arguments.true, treatments)
    limits = load_limits(design.generator, design.recognisers)
    with TerminalProgress() as terminal:
        changes = single_changes.judge_changes(design, predicted=predicted, treatments=treatments, progress=Progress(terminal))
    if arguments.interaction:
        _print_interaction(measure_interaction(changes, limits), json_wanted=arguments.json)
        return 0
    table = measure_effects(changes, limits)
    classifier = network in design.classifiers
    ranked = table.rank(network, "probability" if classifier else "refused" if arguments.refused else "distance")
    record = {"design": design.to_dict(), "seconds": round(changes.seconds, 2), "ranked_by": network, **table.to_dict()}
    if arguments.json:
        print(json.dumps(record, indent=1))
    else:
        _print_table(table, ranked[: arguments.top], network, changes)
    shown = replace(design, latents=tuple(effect.name for effect in ranked[: arguments.top]))
    if arguments.out is not None:
        _write_result(arguments.out, shown, table, record)
    if arguments.set is not None:
        _write_set(arguments.set, shown)
    return 0


def _tell_cost(design: ChangeDesign, predicted: bool, wanted: bool, treatments: Sequence[Treatment] | None) -> None:
    cost = change_design.describe_cost(design, predicted=predicted, treatments=None if treatments is None else len(treatments))
    print(f"{len(design.latents)} latents, {design.people} people: {cost}.", file=sys.stderr)
    if not predicted and not wanted:
        title = registry.title(change_design.list_unpredicted(design)[0])
        print(f"No surrogate predicts what {title} says of these faces, so true pictures are made, which is slow.", file=sys.stderr)


def _format(value: Estimate, factor: float = 1.0, sign: str = "") -> str:
    if not math.isfinite(value.value):
        return "unknown"
    text = f"{factor * value.value:{sign}.2f}" if factor == 1 else f"{factor * value.value:{sign}.0f}"
    if not math.isfinite(value.low):
        return text
    digits = 2 if factor == 1 else 0
    return f"{text} ({factor * value.low:.{digits}f} to {factor * value.high:.{digits}f})"


def _print_table(table: EffectTable, rows: Sequence[LatentEffect], network: str, changes: JudgedChanges) -> None:
    how = "predicted by the surrogate, which makes distances too small" if table.predicted else "from true pictures"
    print(f"What {registry.title(network)} minds; {table.people} people, each latent at both ends, {how}.\n")
    recognisers = list(table.limits)
    titles = "".join(f"{registry.title(name):>46}" for name in recognisers)
    print(f"  {'':<20}{titles}")
    heads = "".join(f"{'distance, of the limit':>24}{'refused, points':>22}" for _ in recognisers)
    print(f"  {'latent':<20}{heads}   {'what it moves' if network in rows[0].probability else 'classifier that it moves most'}")
    for effect in rows:
        cells = "".join(
            f"{_format(effect.distance[name]):>24}{_format(effect.refused[name], 100, '+'):>22}" for name in recognisers
        )
        moved = (
            network
            if network in effect.probability
            else max(effect.probability, key=lambda name: effect.probability[name].value, default="")
        )
        lean = (
            f"{registry.title(moved)}, {100 * effect.probability[moved].value:.0f} %, {_describe_lean(effect, moved)}"
            if moved
            else ""
        )
        print(f"  {effect.name.replace('_', ' '):<20}{cells}   {lean}")
    print(
        f"\nDistance: to the unmoved picture, over the limit ({_describe_limits(table)}). Refused: how much more often than the "
        "unmoved picture, percentage points. Of a classifier: the share of probability that moves, and the feeling that gains or "
        "loses most. "
        f"Intervals: {table.interval}."
    )
    if table.note:
        print(table.note)
    print(f"{changes.seconds:.1f} s; seed {changes.design.seed}.")


def _describe_lean(effect: LatentEffect, classifier: str) -> str:
    feeling, change = effect.leans[classifier]
    return f"{'towards' if change.value >= 0 else 'away from'} {feeling}"


def _describe_limits(table: EffectTable) -> str:
    return ", ".join(f"{registry.title(name)} {limit:.3f}" for name, limit in table.limits.items())


def _print_interaction(table: InteractionTable, *, json_wanted: bool) -> None:
    if json_wanted:
        print(json.dumps(table.to_dict(), indent=1))
        return
    how = "predicted" if table.predicted else "true pictures"
    print(f"{table.first} and {table.second}, low and high ends; {table.people} people, {how}.\n")
    heads = "".join(f"{words:>12}" for words in ("low, low", "low, high", "high, low", "high, high"))
    print(f"  {'network':<18}{'measure':<12}{heads}   beyond both alone")
    for row in table.rows:
        cells = "".join(f"{cell.value:>12.2f}" for cell in row.cells)
        print(f"  {row.network:<18}{row.measure:<12}{cells}   {_format(row.contrast, sign='+')}")
    print(f"\nIntervals: {table.interval}.")
    if table.note:
        print(table.note)


def _write_result(folder: Path, shown: ChangeDesign, table: EffectTable, record: dict[str, Any]) -> None:
    """The folder, whole or not at all."""
    with TerminalProgress() as terminal:
        strips = single_changes.make_strips(shown, shown.latents, progress=Progress(terminal))
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["latent", "network", "measure", "value", "low", "high", "people"])
    for effect in table.effects:
        for measure in ("distance", "refused", "probability"):
            for network, value in getattr(effect, measure).items():
                writer.writerow([effect.name, network, measure, *map(to_plain, (value.value, value.low, value.high)), value.n])
    with new_folder(folder) as partial:
        (partial / TABLE_FILE).write_text(buffer.getvalue(), encoding="utf-8")
        for strip in strips:
            _write_strip(partial / "strips" / strip.name, strip)
        (partial / RESULT_FILE).write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(f"Result, table and {len(strips)} strips in {folder}")


def _write_strip(folder: Path, strip: LatentStrip) -> None:
    folder.mkdir(parents=True)
    for number, frame in enumerate(strip.frames, start=1):
        (folder / f"{number}.png").write_bytes(encode_png(frame.picture))


def _write_set(folder: Path, shown: ChangeDesign) -> None:
    print(f"Pairs to ask people about: {change_design.describe_cost(shown, predicted=False)}.", file=sys.stderr)
    with TerminalProgress() as terminal:
        made = single_changes.make_change_set(shown, progress=Progress(terminal))
    made.save(folder)
    print(f"{len(made.pairs):,} pairs in {folder}; 'python -m core study make --set {folder} --name NAME' asks people about them.")
