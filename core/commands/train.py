"""``python -m core train``: the committed networks again, with the commands that made them, and paper B's on one's own pictures.

``train head-chain`` renders heads with all expressions and trains what makes emotion samples of them (paper B, section III);
``train head-descriptors`` renders random heads and fits the head's surrogate to what recognisers and classifiers say of them.
``train uvit-prior|clip-mlp --images FOLDER --encoder NAME --out FOLDER`` trains paper B's networks on photographs. Restartable: an
interrupted training goes on where it was. Figures are printed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.commands.terminal import TerminalProgress
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.progress import Progress

if TYPE_CHECKING:
    from core.models.builtin import prior
    from core.models.trained_weights import TrainedWeights
    from core.models.training import data, fit_networks, fit_priors, head_surrogates
else:  # PyTorch, after the arguments were checked
    prior, data = lazy_import("core.models.builtin.prior"), lazy_import("core.models.training.data")
    fit_networks, fit_priors, head_surrogates = (
        lazy_import(f"core.models.training.{name}") for name in ("fit_networks", "fit_priors", "head_surrogates")
    )

PICTURE_STEPS = {"uvit-prior": 50_000, "clip-mlp": 2000}
"""Steps of each training without --steps."""


def check_picture_arguments(arguments: argparse.Namespace) -> None:
    """Raises LiminalError where something is missing. Imports no torch."""
    for option in ("images", "encoder", "out"):
        if getattr(arguments, option) is None:
            raise LiminalError(f"--{option} is needed: 'train {arguments.network} --images FOLDER --encoder NAME --out FOLDER'.")
    registry.find_entry(arguments.encoder, "encoder")


def fit_pictures(arguments: argparse.Namespace, progress: Progress) -> TrainedWeights:
    """Embed the pictures (kept for the next run) and train; an interrupted training goes on where it was."""
    name, steps = arguments.network, arguments.steps or PICTURE_STEPS[arguments.network]
    labelled = data.find_pictures(arguments.images)
    pictures = data.embed_pictures(labelled, registry.load(arguments.encoder, "encoder"), progress=progress)
    sizes = {key: value for key in ("width", "depth") if (value := getattr(arguments, key)) is not None}
    command = f"python -m core train {name} --images {arguments.images.name} --encoder {arguments.encoder}"
    command += f" --seed {arguments.seed} --steps {steps}" + "".join(f" --{key} {value}" for key, value in sizes.items())
    digest = hashlib.sha256(pictures.vectors.numpy().tobytes()).hexdigest()[:12]  # a saved state belongs to its pictures
    saved = arguments.out / f"{name}-{arguments.seed}-{digest}.training.safetensors"
    if name == "uvit-prior":
        size = fit_priors.choose_uvit_size(pictures.vectors.shape[1], **sizes)
        return fit_priors.fit_uvit_prior(
            pictures,
            steps=steps,
            command=command,
            seed=arguments.seed,
            size=size,
            folder=arguments.out,
            saved=saved,
            progress=progress,
        )
    sizes.pop("depth", None)
    return fit_networks.fit_clip_classifier(
        pictures,
        steps=steps,
        command=command,
        seed=arguments.seed,
        folder=arguments.out,
        saved=saved,
        progress=progress,
        **sizes,
    )


TRAINING_STEPS = {
    "emotion-mlp": 6000,
    "latent-emotion": 2000,
    "face-prior": 5500,
    "latent-flow": 2500,
    "head-emotion-mlp": 4000,
    "head-prior": 3000,
    "head-flow": 5000,
}
"""Steps of each training as the committed weights were made. Embeddings and head-expressions take none: they are solved."""

CHAINS = {
    word: (chain.encoder, chain.classifier, chain.surrogate, chain.prior, chain.decoder)
    for word, chain in (("all", registry.DCGAN_CHAIN), ("head-chain", registry.HEAD_CHAIN))
}
"""Networks that learn from the same faces, in the order in which they need each other: the DCGAN's, the head's."""
NETWORK_NAMES = tuple(name for chain in CHAINS.values() for name in chain)

HEAD_SURROGATE = "head-descriptors"
DEFAULT_HEADS = 8192
DEFAULT_FACES = {"dcgan": 40960, "head": 16384}


def fit_head_surrogate(arguments: argparse.Namespace, progress: Progress) -> TrainedWeights:
    """Render and judge heads (kept for the next run) and fit the surrogate."""
    count = arguments.faces or DEFAULT_HEADS
    heads = head_surrogates.load_judged_heads(count, arguments.seed, progress=progress)
    command = f"python -m core train {HEAD_SURROGATE} --faces {count} --seed {arguments.seed}"
    return head_surrogates.fit_head_surrogate(heads, command=command, folder=arguments.out, progress=progress)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``train``."""
    pictured = ", ".join(PICTURE_STEPS)
    parser.add_argument(
        "network",
        choices=[*NETWORK_NAMES, *CHAINS, HEAD_SURROGATE, *PICTURE_STEPS],
        help=f"which one; 'all' makes those that learn from the DCGAN's faces, 'head-chain' those of rendered heads, in order; "
        f"{pictured} learn from --images",
    )
    parser.add_argument("--images", type=Path, help=f"{pictured}: RAF-DB's folder, or one with a folder for every class")
    parser.add_argument("--encoder", help=f"{pictured}: whose embeddings they learn, such as an added clip-encoder")
    parser.add_argument(
        "--faces",
        type=int,
        help=f"generated faces to learn from (default {DEFAULT_FACES['dcgan']}; rendered heads {DEFAULT_FACES['head']}, half an "
        f"hour of two cores; {HEAD_SURROGATE}: {DEFAULT_HEADS}, an hour of one core)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="instead of the number that made the committed weights")
    parser.add_argument("--embedding-dim", type=int, default=96, help="values of an embedding (default %(default)s)")
    parser.add_argument("--width", type=int, help="of the network, instead of its default")
    parser.add_argument("--depth", type=int, help="of the prior or the flow, instead of its default")
    parser.add_argument("--out", type=Path, help="folder for weights and cards (default, but with --images: assets/weights)")


def run(arguments: argparse.Namespace) -> int:
    """Train, write weights and card, print the card's figures."""
    if arguments.faces is not None and arguments.faces < 64:
        raise LiminalError(f"--faces must be at least 64, not {arguments.faces}; some are held out.")
    if not 0 <= arguments.seed < 2**31:
        raise LiminalError(f"--seed must be from 0 to {2**31 - 1}, not {arguments.seed}.")
    for option in ("steps", "width", "depth"):
        value = getattr(arguments, option)
        if value is not None and value < 1:
            raise LiminalError(f"--{option} must be at least 1, not {value}.")
    if arguments.network in PICTURE_STEPS:
        check_picture_arguments(arguments)
        with TerminalProgress() as terminal:
            _print_trained(fit_pictures(arguments, Progress(terminal)))
        return 0
    if arguments.network == HEAD_SURROGATE:
        with TerminalProgress() as terminal:
            _print_trained(fit_head_surrogate(arguments, Progress(terminal)))
        return 0
    generator = "head" if arguments.network.startswith("head-") else "dcgan"
    arguments.faces = arguments.faces or DEFAULT_FACES[generator]
    for option in ("images", "encoder"):
        if getattr(arguments, option) is not None:
            raise LiminalError(f"--{option} is for {' and '.join(PICTURE_STEPS)}; {arguments.network} learns from --faces.")
    with TerminalProgress() as terminal:
        progress = Progress(terminal)
        faces = data.load_training_faces(arguments.faces, arguments.seed, generator=generator, progress=progress)
        for name in CHAINS.get(arguments.network, (arguments.network,)):
            _print_trained(_fit_network(name, arguments, faces, progress))
    return 0


def _print_trained(trained: TrainedWeights) -> None:
    print(f"{trained.path}  ({trained.path.stat().st_size / 1e6:.2f} MB, {trained.card['seconds']:.0f} s of training)")
    print(json.dumps(trained.card["figures"], indent=1))


def _fit_network(name: str, arguments: argparse.Namespace, faces: data.TrainingFaces, progress: Progress) -> TrainedWeights:
    command = f"python -m core train {name} --faces {arguments.faces} --seed {arguments.seed}"
    if name == faces.chain.encoder:
        command += f" --embedding-dim {arguments.embedding_dim}"
        return fit_networks.fit_whitening(faces, embedding_dim=arguments.embedding_dim, command=command, folder=arguments.out)
    if name == "head-expressions":
        return head_surrogates.fit_expression_surrogate(faces, command=command, folder=arguments.out, progress=progress)
    steps = arguments.steps or TRAINING_STEPS[name]
    sizes = {key: value for key in ("width", "depth") if (value := getattr(arguments, key)) is not None}
    command += f" --steps {steps}" + "".join(f" --{key} {value}" for key, value in sizes.items())
    folder = arguments.out or data.cache_folder()
    keywords = {
        "steps": steps,
        "command": command,
        "folder": arguments.out,
        "saved": folder / f"{name}-{arguments.seed}.training.safetensors",
        "progress": progress,
    }
    if name == faces.chain.prior:
        dim = prior.UViTConfiguration().token_size
        if arguments.embedding_dim % dim:
            raise LiminalError(f"--embedding-dim must be a multiple of {dim} for the prior, not {arguments.embedding_dim}.")
        size = prior.UViTConfiguration(tokens=arguments.embedding_dim // dim, **sizes)
        return fit_priors.fit_face_prior(faces, size=size, **keywords)
    if name != faces.chain.decoder:
        sizes.pop("depth", None)
    fits: dict[str, Callable[..., TrainedWeights]] = {
        faces.chain.classifier: fit_networks.fit_emotion_mlp,
        faces.chain.surrogate: fit_networks.fit_latent_surrogate,
        faces.chain.decoder: fit_networks.fit_latent_flow,
    }
    return fits[name](faces, **sizes, **keywords)
