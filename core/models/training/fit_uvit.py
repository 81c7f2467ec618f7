"""``train uvit-prior``: paper B's diffusion prior in CoCoG-2's structure, from embeddings of pictures (DDPM, noise prediction)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from core.errors import LiminalError
from core.models.cocog_prior import BETAS, TRAIN_STEPS, CocogPrior
from core.models.cocog_uvit import HEAD, PUBLISHED, CocogUViT, published_tensors
from core.models.contracts import ModelCard
from core.models.device import choose_device
from core.models.noising import noised, sample, schedule
from core.models.trained import Trained, write_trained
from core.models.training.embeddings import EmbeddedPictures
from core.models.training.loop import Plan, train
from core.models.training.quality import held_out_denoising, precision_recall
from core.models.uvit import UViTConfiguration
from core.progress import Progress

NAME = "uvit-prior"
SAMPLED = 50
"""Denoising steps of the samples that are compared."""
JUDGED = 500
"""Held-out embeddings, at most, that samples are compared with."""


def size_for(embedding_dim: int, width: int | None = None, depth: int | None = None) -> UViTConfiguration:
    """The published size, or another width or depth, in tokens of 16 values. Raises LiminalError where these do not divide."""
    if embedding_dim % PUBLISHED.token_size:
        raise LiminalError(
            f"Embeddings of {embedding_dim} values cannot be cut into tokens of {PUBLISHED.token_size}; choose another encoder."
        )
    chosen = width or PUBLISHED.width
    return UViTConfiguration(
        embedding_dim // PUBLISHED.token_size, PUBLISHED.token_size, chosen, depth or PUBLISHED.depth, max(1, chosen // HEAD)
    )


def fit(
    pictures: EmbeddedPictures,
    *,
    steps: int,
    command: str,
    seed: int,
    size: UViTConfiguration,
    batch: int = 128,
    rate: float = 1e-4,
    folder: Path,
    saved: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train on the device, keep the moving average; figures on held-out embeddings (``quality``)."""
    progress, device = progress or Progress(), choose_device()
    clean, held = pictures.vectors[~pictures.held_out].to(device), pictures.vectors[pictures.held_out][:JUDGED]
    torch.manual_seed(seed)
    network = CocogUViT(size).to(device)
    plan = Plan(steps=steps, batch=batch, rate=rate, seed=seed, average=0.9999)

    def loss(rows: Tensor, random: torch.Generator) -> Tensor:
        noise = torch.randn(len(rows), size.embedding_dim, generator=random).to(device)
        step = torch.randint(0, TRAIN_STEPS, (len(rows),), generator=random).to(device)
        error: Tensor = network(noised(clean[rows.to(device)], noise, step, TRAIN_STEPS, BETAS), step) - noise
        return error.square().mean()

    seconds = train(network, loss, len(clean), plan, name=NAME, saved=saved, progress=progress)
    progress.stage("Comparing the prior with a Gaussian", 0.99)
    prior = CocogPrior(network, TRAIN_STEPS, BETAS, device, _card())
    prior.chunk = 64  # hundreds are drawn here
    random = torch.Generator().manual_seed(seed + 1)
    drawn = sample(prior, schedule(TRAIN_STEPS, SAMPLED, BETAS), len(held), random)
    precision, recall = precision_recall(held, drawn)
    figures = {
        "n_held_out": len(held),
        "denoising_of_held_out": held_out_denoising(prior, clean.cpu(), held, seed, simple=True),
        "precision": precision,
        "recall": recall,
    }
    return write_trained(
        NAME,
        published_tensors(network),
        configuration={**asdict(size), "train_steps": TRAIN_STEPS, "betas": BETAS, "encoder": pictures.encoder},
        data=pictures.described(),
        command=command,
        seed=seed,
        figures={name: None if value != value else value for name, value in figures.items()},  # NaN: too few to say
        seconds=seconds,
        folder=folder,
    )


def _card() -> ModelCard:
    """Of a prior that is measured before it has a place."""
    return ModelCard(NAME, "U-ViT diffusion prior", "prior", "trained here", "", "", 0, "", ())
