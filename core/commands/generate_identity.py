"""``python -m core generate identity``: batches of paper A's samples, judged, in a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.commands.generate_study import add_ray, check_workers
from core.commands.terminal import TerminalProgress
from core.models import registry
from core.progress import Progress
from core.sampling.configuration import IdentityConfiguration
from core.sampling.folders import check_free
from core.sampling.sample_set import SampleSet

LISTS = {
    "judges": str,
    "classifiers": str,
    "positive_steps": float,
    "interpolation_steps": float,
    "semantic_steps": float,
    "targets": float,
}
WHOLE = {
    "bases_per_batch": "bases in a batch",
    "positive_directions": "random directions of positive samples",
    "iterations": "iterations of the search at most",
    "population": "CMA-ES candidates a generation (default: 4 + 3 ln d)",
    "face_checks": "random steps in which a face is looked for around a base",
    "faces_needed": "so many of them must show one",
    "base_draws": "draws for one base before giving up",
}
NUMBERS = {
    "sigma": "CMA-ES: first standard deviation, raw latent units",
    "learning_rate": "gradient: Adam's step, raw latent units",
    "plausibility": "gradient: weight of the term that keeps latents plausible",
    "face_step": "size of those random steps",
}


def add_arguments(identity: argparse.ArgumentParser) -> None:
    """The options: every parameter of the configuration has one, with the paper's value as default."""
    paper = IdentityConfiguration()
    identity.add_argument("--out", type=Path, required=True, help="the folder to write; must be new or empty")
    identity.add_argument("--batches", type=int, default=1, help="batches of four bases (default 1; the paper made 10)")
    identity.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples (default 0)")
    identity.add_argument("--generator", help=f"one of {', '.join(registry.names('generator'))}")
    identity.add_argument("--recogniser", help=f"finds the bases, steers the search; {', '.join(registry.names('recogniser'))}")
    identity.add_argument("--perceptual", help=f"one of {', '.join(registry.names('distance'))}")
    identity.add_argument("--strategy", help="cmaes (default) or gradient")
    identity.add_argument("--semantic", action="store_true", help="also steps along named directions, such as a smile")
    add_ray(identity)
    for name, kind in LISTS.items():
        shown = " ".join(str(value) for value in getattr(paper, name))
        identity.add_argument(_flag(name), type=kind, nargs="*", metavar="VALUE", help=f"default {shown}")
    for name, meaning in WHOLE.items():
        identity.add_argument(_flag(name), type=int, metavar="N", help=f"{meaning}{_default(paper, name)}")
    for name, meaning in NUMBERS.items():
        identity.add_argument(_flag(name), type=float, metavar="X", help=f"{meaning}{_default(paper, name)}")


def run(arguments: argparse.Namespace) -> int:
    """Make the set, save it, print a summary."""
    configuration = configured(arguments)
    check_workers(arguments)
    check_free(arguments.out)
    with TerminalProgress() as shown:
        made = _made(configuration, arguments, Progress(shown))
    made.save(arguments.out)
    _summarise(made, arguments.out)
    return 0


def _made(configuration: IdentityConfiguration, arguments: argparse.Namespace, progress: Progress) -> SampleSet:
    if arguments.on == "ray":
        from core.sampling.many.running import identity_set

        return identity_set(configuration, arguments.batches, progress, arguments.workers)
    from core.sampling.identity import generate  # torch, only once the arguments are known to be good

    return generate(configuration, arguments.batches, progress)


def configured(arguments: argparse.Namespace) -> IdentityConfiguration:
    """Options that were given replace the paper's values. Raises LiminalError for values that make no sense."""
    names = ["seed", "generator", "recogniser", "perceptual", "strategy", "semantic", *LISTS, *WHOLE, *NUMBERS]
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    configuration = IdentityConfiguration(**given)
    registry.entry(configuration.generator, "generator")
    registry.entry(configuration.perceptual, "distance")
    for name in (configuration.recogniser, *configuration.judges):
        registry.entry(name, "recogniser")
    for name in configuration.classifiers:
        registry.entry(name, "classifier")
    return configuration


def _summarise(made: SampleSet, folder: Path) -> None:
    manifest = made.manifest
    print(f"{len(made.pairs)} pairs of {len(made.base_ids())} bases, {len(made.images)} images in {folder}")
    for name, number in manifest["counts"].items():
        print(f"  {name:<14}{number:>6}")
    seconds, evaluations = manifest["seconds"], manifest["evaluations"]
    rate = f" ({evaluations / seconds['search']:.0f} a second)" if evaluations else ""
    print(f"search: {evaluations} evaluations{rate}; bases drawn: {manifest['base_draws']}")
    print("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _default(paper: IdentityConfiguration, name: str) -> str:
    value = getattr(paper, name)
    return "" if value is None else f" (default {value:g})"
