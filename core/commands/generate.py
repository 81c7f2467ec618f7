"""``python -m core generate identity|morphs|emotion|impostor|lockout|master|study``: judged samples in a folder; or a data set.

Identity: batches of paper A's samples; every parameter of the configuration has an option, with the paper's value as default.
Morphs: faces between two owners, in front of both phones. Emotion: images on the boundary between two emotions (paper B). Study: a
whole data set by a plan, in pieces that can be made anywhere and begun again. The searches for impostors, lock-outs and master
faces are in ``generate_searches``. Options that were given replace the configuration's own defaults; no torch is imported before
the options are checked.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from core.commands import generate_searches
from core.commands.terminal import TerminalProgress, count_noun, name_flags
from core.errors import LiminalError
from core.models import registry
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.configuration import (
    MORPH_STEPS,
    MOST_PAIRS,
    IdentityConfiguration,
    check_whole,
    configure_morphs,
    default_strategy,
)
from core.sampling.datasets import plan as plan_module
from core.sampling.datasets.data_set import DataSet
from core.sampling.datasets.plan import DataSetPlan, Piece, read_plan
from core.sampling.datasets.running import (
    estimate_worker_seconds,
    format_duration,
    generate_emotion_set_on_ray,
    generate_identity_set_on_ray,
    inspect_folder,
    require_ray,
    run_plan,
)
from core.sampling.emotion.configuration import FREE, KEEP, MAX_COUNT, EmotionConfiguration
from core.sampling.sample_set import SampleSet
from core.sampling.stored.gallery import find_gallery_base
from core.studies.library import DataSetRegister
from core.writing import check_folder_is_free

EXIT_STOPPED = 130

IDENTITY_LIST_OPTIONS = {
    "judges": str,
    "classifiers": str,
    "positive_steps": float,
    "interpolation_steps": float,
    "semantic_steps": float,
    "targets": float,
}
IDENTITY_INTEGER_OPTIONS = {
    "bases_per_batch": "bases in a batch",
    "positive_directions": "random directions of positive samples",
    "iterations": "iterations of the search at most",
    "population": "CMA-ES candidates a generation (default: 4 + 3 ln d)",
    "face_checks": "random steps in which a face is looked for around a base",
    "faces_needed": "so many of them must show one",
    "base_draws": "draws for one base before giving up",
}
IDENTITY_NUMBER_OPTIONS = {
    "sigma": "CMA-ES: first standard deviation, raw latent units",
    "learning_rate": "gradient: Adam's step, raw latent units",
    "plausibility": "gradient, surrogate: weight of the term that keeps latents plausible",
    "face_step": "size of those random steps",
}


def add_ray_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that all kinds of ``generate`` share."""
    parser.add_argument("--on", choices=["ray"], help="make the pieces side by side: on this computer, or on RAY_ADDRESS's cluster")
    parser.add_argument("--workers", type=int, metavar="N", help="processors of a Ray on this computer (default: all)")


def check_workers(arguments: argparse.Namespace) -> None:
    """Raises LiminalError for a number of workers that makes no sense."""
    if arguments.workers is not None and arguments.workers < 1:
        raise LiminalError(f"--workers must be at least 1, not {arguments.workers}.")


def add_identity_arguments(identity: argparse.ArgumentParser) -> None:
    """The options: every parameter of the configuration has one, with the paper's value as default."""
    paper = IdentityConfiguration()
    identity.add_argument("--out", type=Path, required=True, help="the folder to write; must be new or empty")
    identity.add_argument("--batches", type=int, default=1, help="batches of four bases (default 1; the paper made 10)")
    identity.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples (default 0)")
    identity.add_argument("--generator", help=f"one of {', '.join(registry.list_names('generator'))}")
    identity.add_argument(
        "--recogniser", help=f"finds the bases, steers the search; {', '.join(registry.list_names('recogniser'))}"
    )
    identity.add_argument("--perceptual", help=f"one of {', '.join(registry.list_names('distance'))}")
    identity.add_argument("--strategy", help="surrogate (default where the generator has one), cmaes (else), or gradient")
    identity.add_argument("--steps-move", help="everything (default, as in the paper) or person")
    identity.add_argument("--semantic", action="store_true", help="also steps along named directions, such as a smile")
    add_ray_arguments(identity)
    for name, kind in IDENTITY_LIST_OPTIONS.items():
        default = " ".join(str(value) for value in getattr(paper, name))
        identity.add_argument(_name_flag(name), type=kind, nargs="*", metavar="VALUE", help=f"default {default}")
    for name, meaning in IDENTITY_INTEGER_OPTIONS.items():
        identity.add_argument(_name_flag(name), type=int, metavar="N", help=f"{meaning}{_format_default(paper, name)}")
    for name, meaning in IDENTITY_NUMBER_OPTIONS.items():
        identity.add_argument(_name_flag(name), type=float, metavar="X", help=f"{meaning}{_format_default(paper, name)}")


def run_identity(arguments: argparse.Namespace) -> int:
    """Make the set, save it, print a summary."""
    with name_flags({name: _name_flag(name) for name in vars(arguments)}):
        configuration = configure_identity(arguments)
    check_workers(arguments)
    check_folder_is_free(arguments.out)
    with TerminalProgress() as terminal:
        sample_set = _generate_identity(configuration, arguments, Progress(terminal))
    sample_set.save(arguments.out)
    _print_identity_summary(sample_set, arguments.out)
    return 0


def add_morph_arguments(morphs: argparse.ArgumentParser) -> None:
    """The options of faces between two owners."""
    recognisers = registry.list_names("recogniser")
    morphs.add_argument("--out", type=Path, required=True, help="the folder to write; must be new or empty")
    morphs.add_argument("--pairs", type=int, default=40, metavar="N", help="pairs of owners (default %(default)s)")
    morphs.add_argument("--seed", type=int, default=0, help="the same seed gives the same owners (default 0)")
    steps = " ".join(f"{step:g}" for step in MORPH_STEPS)
    morphs.add_argument(
        "--steps",
        type=float,
        nargs="+",
        default=list(MORPH_STEPS),
        metavar="X",
        help=f"shares of the second owner (default {steps})",
    )
    morphs.add_argument("--generator", default=registry.default_generator("identity"), help="default %(default)s")
    morphs.add_argument("--recogniser", default=recognisers[0], help=f"finds the owners: one of {', '.join(recognisers)}")


def run_morphs(arguments: argparse.Namespace) -> int:
    """Make the set, save it, say how many faces open both phones."""
    registry.find_entry(arguments.generator, "generator")
    registry.find_entry(arguments.recogniser, "recogniser")
    with name_flags({"pairs": "--pairs", "steps": "--steps", "interpolation_steps": "--steps", "seed": "--seed"}):
        check_whole("pairs", arguments.pairs, 1, MOST_PAIRS)
        configuration = configure_morphs(arguments.generator, arguments.recogniser, seed=arguments.seed, steps=arguments.steps)
    check_folder_is_free(arguments.out)
    from core.sampling.morphing import generate_morphs  # PyTorch, only once the arguments are known to be good

    with TerminalProgress() as terminal:
        sample_set = generate_morphs(configuration, arguments.pairs, Progress(terminal))
    sample_set.save(arguments.out)
    from core.commands.report import print_morphs  # Plotly

    print(f"{count_noun(len(sample_set.pairs), 'pair')} of {count_noun(arguments.pairs, 'pair')} of owners in {arguments.out}")
    print_morphs(sample_set)
    return 0


def _generate_identity(configuration: IdentityConfiguration, arguments: argparse.Namespace, progress: Progress) -> SampleSet:
    if arguments.on == "ray":
        return generate_identity_set_on_ray(configuration, arguments.batches, progress, arguments.workers)
    from core.sampling.identity import generate_identity_set  # PyTorch, only once the arguments are known to be good

    return generate_identity_set(configuration, arguments.batches, progress)


def configure_identity(arguments: argparse.Namespace) -> IdentityConfiguration:
    """Options that were given replace the paper's values. Raises LiminalError for values that make no sense."""
    names = [
        "seed",
        "generator",
        "recogniser",
        "perceptual",
        "strategy",
        "steps_move",
        "semantic",
        *IDENTITY_LIST_OPTIONS,
        *IDENTITY_INTEGER_OPTIONS,
        *IDENTITY_NUMBER_OPTIONS,
    ]
    values = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    configuration = IdentityConfiguration(**values)
    if arguments.strategy is None:
        configuration = replace(configuration, strategy=default_strategy(configuration.generator, configuration.recogniser))
    registry.find_entry(configuration.generator, "generator")
    registry.find_entry(configuration.perceptual, "distance")
    for name in (configuration.recogniser, *configuration.judges):
        registry.find_entry(name, "recogniser")
    for name in configuration.classifiers:
        registry.find_entry(name, "classifier")
    return configuration


def _print_identity_summary(sample_set: SampleSet, folder: Path) -> None:
    manifest = sample_set.manifest
    pairs, bases, images = (
        count_noun(number, noun)
        for number, noun in (
            (len(sample_set.pairs), "pair"),
            (len(sample_set.base_ids()), "base"),
            (len(sample_set.images), "image"),
        )
    )
    print(f"{pairs} of {bases}, {images} in {folder}")
    for name, number in manifest["counts"].items():
        print(f"  {name:<14}{number:>6}")
    seconds, evaluations = manifest["seconds"], manifest["evaluations"]
    rate = f" ({evaluations / seconds['search']:.0f} a second)" if evaluations else ""
    print(f"search: {count_noun(evaluations, 'evaluation')}{rate}; bases drawn: {manifest['base_draws']}")
    print("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))


def _name_flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _format_default(paper: IdentityConfiguration, name: str) -> str:
    value = getattr(paper, name)
    return "" if value is None else f" (default {value:g})"


PAPER_GUIDANCE_FIELDS = ("strategy", "loss", "gamma", "adaptive", "resampling")
"""What ``--guidance paper`` decides."""
STRATEGY_HELP = (
    "two-stage: a diffusion leads the description of the face (an embedding) to where the classifier cannot decide, then a face "
    "with that description is drawn; direct: the face itself is changed step by step until the networks cannot decide"
)
GUIDANCE_HELP = (
    "best (default): both feelings are rewarded evenly, with steps as large as the noise allows; paper: equations (1) and (2) as "
    "they are written, which reward any mix of the two"
)
EMOTION_OPTIONS = (
    "seed",
    "count",
    "base",
    "generator",
    "steerer",
    "recogniser",
    "guided",
    "freedom",
    "steps",
    "search_steps",
    *PAPER_GUIDANCE_FIELDS,
)
"""Parameters of the configuration that an option sets."""


def add_emotion_arguments(emotion: argparse.ArgumentParser) -> None:
    """The options: what is not given has the configuration's own default."""
    usual = EmotionConfiguration(*EMOTIONS[:2])
    emotion.add_argument("--pair", nargs=2, required=True, metavar="EMOTION", help=f"two of {', '.join(EMOTIONS)}")
    emotion.add_argument("--out", type=Path, required=True, help="the folder to write; must be new or empty")
    emotion.add_argument("--count", type=int, metavar="N", help=f"images, 1 to {MAX_COUNT} (default {usual.count})")
    emotion.add_argument("--seed", type=int, metavar="S", help="the same seed gives the same samples (default 0)")
    emotion.add_argument("--base", metavar="ID", help="a face of the gallery (default: every sample has a base of its own)")
    emotion.add_argument("--generator", help=f"one of {', '.join(registry.list_names('generator'))}")
    emotion.add_argument("--steerer", metavar="NAME", help=f"the classifier that steers and filters (default {usual.steerer})")
    emotion.add_argument("--judges", nargs="+", metavar="NAME", help=f"also asked, the last never steers; {' '.join(usual.judges)}")
    emotion.add_argument("--recogniser", metavar="NAME", help=f"how far from the base a face is (default {usual.recogniser})")
    emotion.add_argument("--strategy", help=f"{STRATEGY_HELP} (default {usual.strategy})")
    emotion.add_argument("--unguided", dest="guided", action="store_false", default=None, help="the same seeds without guidance")
    emotion.add_argument("--guidance", default="best", help=GUIDANCE_HELP)
    add_ray_arguments(emotion)
    near = emotion.add_mutually_exclusive_group()
    near.add_argument("--freedom", type=float, metavar="X", help=f"how far the base is noised, 0 to 1 (default {usual.freedom:g})")
    near.add_argument("--keep", dest="freedom", action="store_const", const=KEEP, help=f"keep the face: --freedom {KEEP:g}")
    near.add_argument("--free", dest="freedom", action="store_const", const=FREE, help=f"be free: --freedom {FREE:g}")
    emotion.add_argument("--loss", help=f"product, as in equation (1), or cross-entropy (default {usual.loss})")
    emotion.add_argument("--gamma", type=float, metavar="X", help=f"strength of the guidance (default {usual.gamma:g})")
    emotion.add_argument("--resampling", type=int, metavar="N", help=f"times each step is done (default {usual.resampling})")
    emotion.add_argument(
        "--no-adaptive", dest="adaptive", action="store_false", default=None, help="do not scale the gradient to the step's noise"
    )
    emotion.add_argument("--steps", type=int, metavar="N", help=f"denoising steps of the schedule (default {usual.steps})")
    emotion.add_argument("--search-steps", type=int, metavar="N", help=f"direct: Adam's last steps (default {usual.search_steps})")


def run_emotion(arguments: argparse.Namespace) -> int:
    """Make the set, save it, print a summary."""
    flags = {name: _name_flag(name) for name in vars(arguments)} | {"guided": "--unguided", "adaptive": "--no-adaptive"}
    with name_flags(flags):
        configuration = configure_emotion(arguments)
    if configuration.base is not None:
        find_gallery_base(configuration.generator, configuration.base)
    check_workers(arguments)
    check_folder_is_free(arguments.out)
    if tuple(arguments.pair) != (configuration.emotion1, configuration.emotion2):
        named = f"{configuration.emotion1}, {configuration.emotion2}"
        print(f"Note: the order of a pair does not matter; this one is stored as '{named}'.", file=sys.stderr)
    with TerminalProgress() as terminal:
        sample_set = _generate_emotion(configuration, arguments, Progress(terminal))
    sample_set.save(arguments.out)
    _print_emotion_summary(sample_set, arguments.out)
    return 0


def _generate_emotion(configuration: EmotionConfiguration, arguments: argparse.Namespace, progress: Progress) -> SampleSet:
    if arguments.on == "ray":
        return generate_emotion_set_on_ray(configuration, progress, arguments.workers)
    from core.sampling.emotion.generate import generate_emotion_set  # PyTorch, only once the arguments are known to be good

    return generate_emotion_set(configuration, progress)


def configure_emotion(arguments: argparse.Namespace) -> EmotionConfiguration:
    """Options that were given replace the defaults. Raises LiminalError for values that make no sense. Imports no torch."""
    values = {name: getattr(arguments, name) for name in EMOTION_OPTIONS if getattr(arguments, name) is not None}
    values["judges"] = arguments.judges or [name for name in EmotionConfiguration.judges if name != arguments.steerer]
    configuration = EmotionConfiguration(*arguments.pair, **values)
    twice = [name for name in PAPER_GUIDANCE_FIELDS if name in values]
    if arguments.guidance == "paper" and twice:
        raise LiminalError(f"The paper's guidance decides '{twice[0]}' itself; leave out either that option or '--guidance paper'.")
    registry.find_entry(configuration.generator, "generator")
    registry.find_entry(configuration.recogniser, "recogniser")
    for name in configuration.classifiers:
        registry.find_entry(name, "classifier")
    return configuration.with_guidance(arguments.guidance)


def _print_emotion_summary(sample_set: SampleSet, folder: Path) -> None:
    from core.commands.report import compute_emotion_statistics, describe_bases, print_faces, print_passing  # Plotly

    statistics = compute_emotion_statistics(sample_set)
    configuration = sample_set.emotion
    way = f"{'guided' if configuration.guided else 'unguided'}, {configuration.strategy}"
    print(
        f"{count_noun(statistics.n, 'image')} between {statistics.emotion1} and {statistics.emotion2} ({way}) of "
        f"{describe_bases(sample_set)} in {folder}"
    )
    for classifier in statistics.classifiers:
        print_passing(classifier, configuration)
    print_faces(statistics.faces)
    print("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in sample_set.manifest["seconds"].items()))


def add_study_arguments(study: argparse.ArgumentParser) -> None:
    """The options; what is made stands in the plan."""
    study.formatter_class = argparse.RawDescriptionHelpFormatter
    study.epilog = _describe_plan_file()
    study.add_argument("--plan", type=Path, required=True, metavar="FILE", help="TOML or JSON: what to make (see below)")
    study.add_argument("--out", type=Path, required=True, help="the data set's folder; one that was begun with this plan goes on")
    add_ray_arguments(study)
    study.add_argument("--threads", type=int, default=1, metavar="N", help="of torch in one piece (default 1); part of the result")
    study.add_argument("--pieces", type=int, metavar="N", help="stop after so many pieces; the same command goes on from there")
    study.add_argument("--dry-run", action="store_true", help="say what would be made, and what it takes; make nothing")
    study.add_argument("--price", type=float, metavar="X", help="what a worker costs an hour, for the estimate")


def run_study(arguments: argparse.Namespace) -> int:
    """Make what is missing, and say what there is."""
    plan = read_plan(arguments.plan)
    check_workers(arguments)
    for name in ("threads", "pieces"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise LiminalError(f"--{name} must be at least 1, not {value}.")
    if arguments.price is not None and not arguments.price >= 0:
        raise LiminalError(f"--price must be a number from 0, not {arguments.price}.")
    if arguments.dry_run:
        print(_describe_forecast(plan, arguments))
        return 0
    if arguments.on == "ray":
        require_ray()
    try:
        with TerminalProgress() as terminal:
            outcome = run_plan(
                plan,
                arguments.out,
                Progress(terminal),
                ray=arguments.on == "ray",
                workers=arguments.workers,
                threads=arguments.threads,
                most=arguments.pieces,
            )
    except KeyboardInterrupt:
        print(f"Stopped by Ctrl-C; finished pieces are kept in {arguments.out}: the same command goes on.", file=sys.stderr)
        return EXIT_STOPPED
    print(
        f"{count_noun(outcome.pieces_made, 'piece')} made in {format_duration(outcome.seconds)}, "
        f"{outcome.pieces_done:,} of {outcome.pieces_total:,} are there in {arguments.out}"
    )
    if outcome.finished:
        print(_finish_data_set(arguments.out))
    else:
        print(_estimate_time(plan, arguments))
        print("The same command goes on from here.")
    return 0


def _describe_forecast(plan: DataSetPlan, arguments: argparse.Namespace) -> str:
    pieces = plan.pieces()
    lines = []
    identity = [piece for piece in pieces if piece.kind == "identity"]
    if identity:
        images, pairs, searches = (sum(getattr(piece, name) for piece in identity) for name in ("images", "pairs", "searches"))
        lines.append(
            f"identity: {count_noun(len(identity), 'batch', 'batches')} (a piece each), {count_noun(images, 'image')} at most, "
            f"{count_noun(pairs, 'pair')}, {count_noun(searches, 'search', 'searches')}"
        )
    emotion = [piece for piece in pieces if piece.kind == "emotion"]
    if emotion:
        by_pair: Counter[str] = Counter()
        for piece in emotion:
            by_pair[_describe_piece(piece)] += piece.sample_count
        bases = sum(piece.images - piece.sample_count for piece in emotion)
        lines.append(
            f"emotion: {count_noun(len(emotion), 'piece')}, {count_noun(by_pair.total(), 'image')}, and {count_noun(bases, 'base')}"
        )
        lines += [f"  {name:<34}{number:>12,}" for name, number in by_pair.items()]
    images = sum(piece.images for piece in pieces)
    lines.append(f"in all: {count_noun(len(pieces), 'piece')}, {count_noun(images, 'image')} at most, in {arguments.out}")
    lines.append(_estimate_time(plan, arguments))
    return "\n".join(lines)


def _describe_piece(piece: Piece) -> str:
    c = piece.configuration
    return f"{c.emotion1} or {c.emotion2}, {'guided' if c.guided else 'unguided'}"  # type: ignore[union-attr]


def add_axis_arguments(parser: argparse.ArgumentParser) -> None:
    """The options: ways between people, named latents, or one pair of feelings."""
    parser.add_argument("--out", type=Path, required=True, help="the folder to write; must be new or empty")
    parser.add_argument("--people", type=int, metavar="N", help="ways from one person to another (default: 1)")
    parser.add_argument(
        "--latents", nargs="+", default=[], metavar="NAME", help="named latents, each from as drawn to its high end"
    )
    parser.add_argument("--feelings", nargs=2, metavar="EMOTION", help="one person from the first feeling to the second, instead")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--generator", default=registry.default_generator("identity"), metavar="NAME")


def run_axis(arguments: argparse.Namespace) -> int:
    """Make the axes, save them, say how to ask people about them."""
    check_folder_is_free(arguments.out)
    if arguments.feelings and (arguments.latents or arguments.people is not None):
        raise LiminalError("--feelings asks which feeling it is, --people and --latents who it is; choose one of both.")
    from core.sampling.axis_sets import make_emotion_axis, make_identity_axes  # PyTorch

    with TerminalProgress() as terminal:
        progress = Progress(terminal)
        if arguments.feelings:
            emotion1, emotion2 = arguments.feelings
            configuration = EmotionConfiguration(
                emotion1, emotion2, count=1, seed=arguments.seed, generator=arguments.generator, guided=False, strategy="direct"
            )
            if (configuration.emotion1, configuration.emotion2) != (emotion1, emotion2):
                named = f"from {configuration.emotion1} to {configuration.emotion2}"
                print(f"Note: the order of a pair does not matter; this axis goes {named}.", file=sys.stderr)
            made = make_emotion_axis(configuration, progress=progress)
        else:
            people = (0 if arguments.latents else 1) if arguments.people is None else arguments.people
            made = make_identity_axes(
                people=people, latents=arguments.latents, generator=arguments.generator, seed=arguments.seed, progress=progress
            )
    made.save(arguments.out)
    what = count_noun(len(made.pairs) or len(made.samples), "pair" if len(made.pairs) else "face")
    command = f"python -m core study make --set {arguments.out} --adaptive --name NAME"
    print(f"{what} along axes in {arguments.out}; '{command}' asks people.")
    return 0


def _estimate_time(plan: DataSetPlan, arguments: argparse.Namespace) -> str:
    """Time and cost of what is missing, from pieces that were made; otherwise how to find out."""
    missing, records, finished = inspect_folder(plan, arguments.out, arguments.threads)
    if finished:
        return "All of it is there already."
    seconds = estimate_worker_seconds(missing, records)
    if seconds is None:
        return (
            "time: unknown until a piece of each kind was made here; '--pieces 2' makes the first ones, which are kept, and says "
            "what the rest takes"
        )
    workers = arguments.workers or 1
    cost = f", {arguments.price * seconds / 3600:,.2f} at {arguments.price:g} an hour" if arguments.price is not None else ""
    together = f", {format_duration(seconds / workers)} with {workers} workers" if workers > 1 else ""
    return f"time: {format_duration(seconds)} of one worker for the {count_noun(len(missing), 'missing piece')}{together}{cost}"


def _finish_data_set(folder: Path) -> str:
    data = DataSet.open(folder)
    DataSetRegister().add(folder)
    contents = f"{count_noun(data.rows('samples'), 'image')}, {count_noun(data.rows('pairs'), 'pair')}, {data.size / 1e6:,.1f} MB"
    return f"{contents}; finished, and listed in the library"


def _describe_plan_file() -> str:
    return "the plan:\n" + "\n".join((plan_module.__doc__ or "").splitlines()[1:])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand a kind of samples."""
    kinds = parser.add_subparsers(
        dest="kind", required=True, metavar="identity|morphs|emotion|impostor|lockout|master|controversial|axis|study"
    )
    meaning = "paper A's samples: who is still the same person?"
    _add_kind(kinds, "identity", meaning, add_identity_arguments, run_identity)
    meaning = "faces between two owners, judged against both: how many open both phones?"
    _add_kind(kinds, "morphs", meaning, add_morph_arguments, run_morphs)
    meaning = "paper B's samples: which of two emotions is it?"
    _add_kind(kinds, "emotion", meaning, add_emotion_arguments, run_emotion)
    meaning = "strangers whom a recogniser takes for the owner, found by a search"
    _add_kind(kinds, "impostor", meaning, generate_searches.add_impostor_arguments, generate_searches.run_impostor)
    meaning = "the smallest change of looks after which a recogniser refuses the owner"
    _add_kind(kinds, "lockout", meaning, generate_searches.add_lockout_arguments, generate_searches.run_lockout)
    meaning = "the faces that together open most phones, found by a search"
    _add_kind(kinds, "master", meaning, generate_searches.add_master_arguments, generate_searches.run_master)
    meaning = "pairs of which one recogniser says the same person and another two people"
    _add_kind(kinds, "controversial", meaning, generate_searches.add_controversial_arguments, generate_searches.run_controversial)
    meaning = "rows of faces from one end to another, for adaptive studies"
    _add_kind(kinds, "axis", meaning, add_axis_arguments, run_axis)
    meaning = "a whole data set by a plan: in pieces, on many computers where wanted"
    _add_kind(kinds, "study", meaning, add_study_arguments, run_study)


def _add_kind(
    kinds: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    meaning: str,
    add: Callable[[argparse.ArgumentParser], None],
    make: Callable[[argparse.Namespace], int],
) -> None:
    """One subcommand with its options and what it does."""
    kind = kinds.add_parser(name, help=meaning)
    add(kind)
    kind.set_defaults(make=make)


def run(arguments: argparse.Namespace) -> int:
    """Make the set, save it, print a summary."""
    return int(arguments.make(arguments))
