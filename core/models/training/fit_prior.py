"""``train face-prior``: DDPM noise prediction on embeddings (Ho et al. 2020, algorithm 1), kept as a moving average."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from core.errors import LiminalError
from core.models.face_prior import NAME, FacePrior
from core.models.noising import noise_beyond_gaussian, noised, sample, schedule
from core.models.trained import Trained, write_trained
from core.models.training.faces import TrainingFaces
from core.models.training.fit_embedding import embedded
from core.models.training.loop import Plan, train
from core.models.training.quality import drawn_beside, gaussian_draws, held_out_denoising
from core.models.uvit import UViT, UViTConfiguration
from core.progress import Progress

TRAIN_STEPS = 1000
SAMPLED = 50
"""Denoising steps of the samples that are compared."""


def fit(
    faces: TrainingFaces,
    *,
    steps: int,
    command: str,
    size: UViTConfiguration,
    batch: int = 128,
    judged: int = 2500,
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
    torch.nn.init.zeros_(network.out.weight)  # it begins as the Gaussian guess
    torch.nn.init.zeros_(network.out.bias)
    plan = Plan(steps=steps, batch=batch, rate=1e-3, seed=faces.seed, weight_decay=1e-3, average=0.999)

    def loss(rows: Tensor, random: torch.Generator) -> Tensor:
        clean = embeddings[rows]
        noise = torch.randn(clean.shape, generator=random)
        step = torch.randint(0, TRAIN_STEPS, (len(rows),), generator=random)
        error = noise_beyond_gaussian(network, noised(clean, noise, step, TRAIN_STEPS), step, TRAIN_STEPS) - noise
        return error.square().mean()

    seconds = train(network, loss, faces.trained, plan, name=NAME, saved=saved, progress=progress)
    network.load_state_dict({key: tensor.half().float() for key, tensor in network.state_dict().items()})  # as it is stored
    progress.stage("Comparing the prior with a Gaussian", 0.99)
    prior = FacePrior(network, TRAIN_STEPS, torch.device("cpu"))
    prior.chunk = 128  # thousands are drawn here
    trained, held = embeddings[: faces.trained], embeddings[faces.trained :][:judged]
    random = torch.Generator().manual_seed(faces.seed + 1)
    wanted = len(held) + min(judged, len(trained))
    drawn = sample(prior, schedule(TRAIN_STEPS, SAMPLED), wanted, random)
    figures = {
        "n_held_out": len(held),
        "denoising_of_held_out": held_out_denoising(prior, trained, held, faces.seed),
        "prior": drawn_beside(trained, held, drawn, faces.seed),
        "gaussian": drawn_beside(trained, held, gaussian_draws(trained, wanted, random), faces.seed),
        "training_faces": drawn_beside(trained, held, trained[-wanted:], faces.seed),
    }
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
