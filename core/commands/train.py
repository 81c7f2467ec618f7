"""``python -m core train``: the committed networks again, with the commands that made them, and paper B's on one's own pictures.

Restartable; figures are printed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.commands import train_pictures
from core.commands.terminal import TerminalProgress
from core.errors import LiminalError
from core.progress import Progress

if TYPE_CHECKING:
    from core.models.trained import Trained
    from core.models.training.faces import TrainingFaces

STEPS = {"emotion-mlp": 6000, "latent-emotion": 2000, "face-prior": 5500, "latent-flow": 2500}
"""Steps of each training as the committed weights were made. face-embedding takes none: it is solved, not descended to."""

NAMES = ("face-embedding", *STEPS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``train``."""
    pictured = ", ".join(train_pictures.STEPS)
    parser.add_argument(
        "network",
        choices=[*NAMES, "all", *train_pictures.STEPS],
        help=f"which one; 'all' makes the committed ones in order; {pictured} learn from --images",
    )
    parser.add_argument("--images", type=Path, help=f"{pictured}: RAF-DB's folder, or one with a folder for every class")
    parser.add_argument("--encoder", help=f"{pictured}: whose embeddings they learn, such as an added clip-encoder")
    parser.add_argument("--faces", type=int, default=40960, help="generated faces to learn from (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="instead of the number that made the committed weights")
    parser.add_argument("--embedding-dim", type=int, default=96, help="values of an embedding (default %(default)s)")
    parser.add_argument("--width", type=int, help="of the network, instead of its default")
    parser.add_argument("--depth", type=int, help="of the prior or the flow, instead of its default")
    parser.add_argument("--out", type=Path, help="folder for weights and cards (default, but with --images: assets/weights)")


def run(arguments: argparse.Namespace) -> int:
    """Train, write weights and card, print the card's figures."""
    if arguments.faces < 64:
        raise LiminalError(f"--faces must be at least 64, not {arguments.faces}; some are held out.")
    if not 0 <= arguments.seed < 2**31:
        raise LiminalError(f"--seed must be from 0 to {2**31 - 1}, not {arguments.seed}.")
    for option in ("steps", "width", "depth"):
        value = getattr(arguments, option)
        if value is not None and value < 1:
            raise LiminalError(f"--{option} must be at least 1, not {value}.")
    if arguments.network in train_pictures.STEPS:
        train_pictures.check_arguments(arguments)
        with TerminalProgress() as shown:
            _show(train_pictures.fit(arguments, Progress(shown)))
        return 0
    for option in ("images", "encoder"):
        if getattr(arguments, option) is not None:
            raise LiminalError(f"--{option} is for {' and '.join(train_pictures.STEPS)}; {arguments.network} learns from --faces.")
    from core.models.training.faces import training_faces

    with TerminalProgress() as shown:
        progress = Progress(shown)
        faces = training_faces(arguments.faces, arguments.seed, progress=progress)
        for name in NAMES if arguments.network == "all" else (arguments.network,):
            _show(_fit(name, arguments, faces, progress))
    return 0


def _show(made: Trained) -> None:
    print(f"{made.path}  ({made.path.stat().st_size / 1e6:.2f} MB, {made.card['seconds']:.0f} s of training)")
    print(json.dumps(made.card["figures"], indent=1))


def _fit(name: str, arguments: argparse.Namespace, faces: TrainingFaces, progress: Progress) -> Trained:
    from core.models.training import fit_embedding, fit_flow, fit_mlp, fit_prior, fit_surrogate
    from core.models.training.faces import cache_folder
    from core.models.uvit import UViTConfiguration

    command = f"python -m core train {name} --faces {arguments.faces} --seed {arguments.seed}"
    if name == "face-embedding":
        command += f" --embedding-dim {arguments.embedding_dim}"
        return fit_embedding.fit(faces, embedding_dim=arguments.embedding_dim, command=command, folder=arguments.out)
    steps = arguments.steps or STEPS[name]
    sizes = {key: value for key in ("width", "depth") if (value := getattr(arguments, key)) is not None}
    command += f" --steps {steps}" + "".join(f" --{key} {value}" for key, value in sizes.items())
    place = arguments.out or cache_folder()
    given = {
        "steps": steps,
        "command": command,
        "folder": arguments.out,
        "saved": place / f"{name}-{arguments.seed}.training.safetensors",
        "progress": progress,
    }
    if name == "face-prior":
        dim = UViTConfiguration().token_size
        if arguments.embedding_dim % dim:
            raise LiminalError(f"--embedding-dim must be a multiple of {dim} for the prior, not {arguments.embedding_dim}.")
        return fit_prior.fit(faces, size=UViTConfiguration(tokens=arguments.embedding_dim // dim, **sizes), **given)
    if name != "latent-flow":
        sizes.pop("depth", None)
    fits: dict[str, Callable[..., Trained]] = {
        "emotion-mlp": fit_mlp.fit,
        "latent-emotion": fit_surrogate.fit,
        "latent-flow": fit_flow.fit,
    }
    return fits[name](faces, **sizes, **given)
