"""``python -m core train uvit-prior|clip-mlp --images FOLDER --encoder NAME --out FOLDER``: paper B's networks on photographs."""

from __future__ import annotations

import argparse
import hashlib
from typing import TYPE_CHECKING

from core.errors import LiminalError
from core.models import registry
from core.progress import Progress

if TYPE_CHECKING:
    from core.models.trained import Trained

STEPS = {"uvit-prior": 50_000, "clip-mlp": 2000}
"""Steps of each training, where none are named."""


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raises LiminalError where something is missing. Imports no torch."""
    for option in ("images", "encoder", "out"):
        if getattr(arguments, option) is None:
            raise LiminalError(f"--{option} is needed: 'train {arguments.network} --images FOLDER --encoder NAME --out FOLDER'.")
    registry.entry(arguments.encoder, "encoder")


def fit(arguments: argparse.Namespace, progress: Progress) -> Trained:
    """Embed the pictures (kept for the next run) and train; an interrupted training goes on where it was."""
    from core.models.training import fit_clip_mlp, fit_uvit
    from core.models.training.embeddings import embedded_pictures
    from core.models.training.pictures import find_pictures

    name, steps = arguments.network, arguments.steps or STEPS[arguments.network]
    found = find_pictures(arguments.images)
    pictures = embedded_pictures(found, registry.load(arguments.encoder, "encoder"), progress=progress)
    sizes = {key: value for key in ("width", "depth") if (value := getattr(arguments, key)) is not None}
    command = f"python -m core train {name} --images {arguments.images.name} --encoder {arguments.encoder}"
    command += f" --seed {arguments.seed} --steps {steps}" + "".join(f" --{key} {value}" for key, value in sizes.items())
    data = hashlib.sha256(pictures.vectors.numpy().tobytes()).hexdigest()[:12]  # a state belongs to its pictures
    saved = arguments.out / f"{name}-{arguments.seed}-{data}.training.safetensors"
    if name == "uvit-prior":
        size = fit_uvit.size_for(pictures.vectors.shape[1], **sizes)
        return fit_uvit.fit(
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
    return fit_clip_mlp.fit(
        pictures,
        steps=steps,
        command=command,
        seed=arguments.seed,
        folder=arguments.out,
        saved=saved,
        progress=progress,
        **sizes,
    )
