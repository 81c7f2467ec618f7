"""``train face-prior``: DDPM noise prediction on embeddings (Ho et al. 2020, algorithm 1), kept as a moving average."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from core.errors import LiminalError
from core.models.face_prior import NAME, FacePrior
from core.models.noising import noised, sample, schedule
from core.models.trained import Trained, write_trained
from core.models.training.faces import TrainingFaces
from core.models.training.fit_embedding import embedded
from core.models.training.loop import Plan, train
from core.models.training.quality import beside_gaussian
from core.models.uvit import UViT, UViTConfiguration
from core.progress import Progress

TRAIN_STEPS = 1000


def fit(
    faces: TrainingFaces,
    *,
    steps: int,
    command: str,
    size: UViTConfiguration,
    batch: int = 128,
    judged: int = 2000,
    folder: Path | None = None,
    saved: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train, then compare samples of the prior and of a Gaussian fit with held-out embeddings (``quality``)."""
    progress = progress or Progress()
    embeddings = embedded(faces, folder)
    if embeddings.shape[1] != size.embedding_dim:
        raise LiminalError(
            f"A U-ViT of {size.tokens} tokens of {size.token_size} does not fit embeddings of {embeddings.shape[1]} values."
        )
    torch.manual_seed(faces.seed)
    network = UViT(size)
    plan = Plan(steps=steps, batch=batch, rate=1e-3, seed=faces.seed, weight_decay=1e-3, average=0.999)

    def loss(rows: Tensor, random: torch.Generator) -> Tensor:
        clean = embeddings[rows]
        noise = torch.randn(clean.shape, generator=random)
        step = torch.randint(0, TRAIN_STEPS, (len(rows),), generator=random)
        error: Tensor = network(noised(clean, noise, step, TRAIN_STEPS), step) - noise
        return error.square().mean()

    seconds = train(network, loss, faces.trained, plan, name=NAME, saved=saved, progress=progress)
    network.load_state_dict({key: tensor.half().float() for key, tensor in network.state_dict().items()})  # as it is stored
    progress.stage("Comparing the prior with a Gaussian", 0.99)
    prior = FacePrior(network, TRAIN_STEPS, torch.device("cpu"))
    held = embeddings[faces.trained :][:judged]
    drawn = sample(prior, schedule(TRAIN_STEPS, 100), len(held), torch.Generator().manual_seed(faces.seed + 1))
    figures = beside_gaussian(embeddings[: faces.trained], held, drawn, seed=faces.seed)
    return write_trained(
        NAME,
        {key: tensor.half() for key, tensor in network.state_dict().items()},
        configuration={**asdict(size), "train_steps": TRAIN_STEPS},
        data=faces.described(),
        command=command,
        seed=faces.seed,
        figures=figures,
        seconds=seconds,
        folder=folder,
    )
