"""``python -m core generate emotion``: images on the boundary between two emotions, judged, in a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from core.commands.generate_study import add_ray, check_workers
from core.commands.terminal import TerminalProgress
from core.errors import LiminalError
from core.models import registry
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.emotion.configuration import FREE, KEEP, MOST, EmotionConfiguration
from core.sampling.folders import check_free
from core.sampling.gallery import load_gallery
from core.sampling.sample_set import SampleSet

PAPERS = ("strategy", "loss", "gamma", "adaptive", "resampling")
"""What ``--guidance paper`` decides."""
OPTIONS = ("seed", "count", "base", "generator", "steerer", "recogniser", "guided", "freedom", "steps", "search_steps", *PAPERS)
"""Parameters of the configuration that an option sets."""


def add_arguments(emotion: argparse.ArgumentParser) -> None:
    """The options: what is not given has the configuration's own default."""
    usual = EmotionConfiguration(*EMOTIONS[:2])
    emotion.add_argument("--pair", nargs=2, required=True, metavar="EMOTION", help=f"two of {', '.join(EMOTIONS)}")
    emotion.add_argument("--out", type=Path, required=True, help="the folder to write; must be new or empty")
    emotion.add_argument("--count", type=int, metavar="N", help=f"images, 1 to {MOST} (default {usual.count})")
    emotion.add_argument("--seed", type=int, metavar="S", help="the same seed gives the same samples (default 0)")
    emotion.add_argument("--base", metavar="ID", help="a face of the gallery (default: every sample has a base of its own)")
    emotion.add_argument("--generator", help=f"one of {', '.join(registry.names('generator'))}")
    emotion.add_argument("--steerer", metavar="NAME", help=f"the classifier that steers and filters (default {usual.steerer})")
    emotion.add_argument("--judges", nargs="+", metavar="NAME", help=f"also asked, the last never steers; {' '.join(usual.judges)}")
    emotion.add_argument("--recogniser", metavar="NAME", help=f"how far from the base a face is (default {usual.recogniser})")
    emotion.add_argument("--strategy", help=f"two-stage or direct (default {usual.strategy})")
    emotion.add_argument("--unguided", dest="guided", action="store_false", default=None, help="the same seeds without guidance")
    emotion.add_argument("--guidance", default="best", help="best (default), or paper: equations (1) and (2) as written")
    add_ray(emotion)
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


def run(arguments: argparse.Namespace) -> int:
    """Make the set, save it, print a summary."""
    configuration = configured(arguments)
    check_base(configuration)
    check_workers(arguments)
    check_free(arguments.out)
    if tuple(arguments.pair) != (configuration.emotion1, configuration.emotion2):
        named = f"{configuration.emotion1}, {configuration.emotion2}"
        print(f"Note: the order of a pair does not matter; this one is stored as '{named}'.", file=sys.stderr)
    with TerminalProgress() as shown:
        made = _made(configuration, arguments, Progress(shown))
    made.save(arguments.out)
    _summarise(made, arguments.out)
    return 0


def _made(configuration: EmotionConfiguration, arguments: argparse.Namespace, progress: Progress) -> SampleSet:
    if arguments.on == "ray":
        from core.sampling.many.running import emotion_set

        return emotion_set(configuration, progress, arguments.workers)
    from core.sampling.emotion.generate import generate  # torch, only once the arguments are known to be good

    return generate(configuration, progress)


def configured(arguments: argparse.Namespace) -> EmotionConfiguration:
    """Options that were given replace the defaults. Raises LiminalError for values that make no sense. Imports no torch."""
    given = {name: getattr(arguments, name) for name in OPTIONS if getattr(arguments, name) is not None}
    given["judges"] = arguments.judges or [name for name in EmotionConfiguration.judges if name != arguments.steerer]
    configuration = EmotionConfiguration(*arguments.pair, **given)
    twice = [name for name in PAPERS if name in given]
    if arguments.guidance == "paper" and twice:
        raise LiminalError(f"The paper's guidance decides '{twice[0]}' itself; leave out either that option or '--guidance paper'.")
    registry.entry(configuration.generator, "generator")
    registry.entry(configuration.recogniser, "recogniser")
    for name in configuration.classifiers:
        registry.entry(name, "classifier")
    return configuration.with_guidance(arguments.guidance)


def check_base(configuration: EmotionConfiguration) -> None:
    """Raises LiminalError where the configuration names a base that the gallery does not hold. Imports no torch."""
    if configuration.base is None:
        return
    gallery = load_gallery(configuration.generator)
    known = [base.base_id for base in gallery.bases]
    if configuration.base not in known:
        raise LiminalError(
            f"The gallery holds no base '{configuration.base}'; its {len(known)} ids are the names of the pictures in "
            f"{gallery.bases[0].image.parent}, for example {known[0]}."
        )


def _summarise(made: SampleSet, folder: Path) -> None:
    from core.commands.report_emotion import bases, print_faces, print_passing, statistics  # takes a second

    said = statistics(made)
    configuration = made.emotion
    way = f"{'guided' if configuration.guided else 'unguided'}, {configuration.strategy}"
    print(f"{said.n} images between {said.emotion1} and {said.emotion2} ({way}) of {bases(made)} in {folder}")
    for each in said.classifiers:
        print_passing(each, configuration)
    print_faces(said.faces)
    print("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in made.manifest["seconds"].items()))
