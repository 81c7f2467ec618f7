"""``train latent-emotion``: the teachers' logits from the latent alone."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from core.models.contracts import EMOTIONS
from core.models.face_embedding import EMOTION_NETWORKS
from core.models.latent_emotion import NAME, LatentEmotionNetwork
from core.models.trained import Trained, write_trained
from core.models.training.faces import TrainingFaces
from core.models.training.loop import Plan, train
from core.progress import Progress


def fit(
    faces: TrainingFaces,
    *,
    steps: int,
    command: str,
    width: int = 512,
    batch: int = 256,
    folder: Path | None = None,
    saved: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Squared error on standardised logits; R2 on held-out faces."""
    wanted = faces.logits.flatten(1)  # (N, K * 6)
    torch.manual_seed(faces.seed)
    network = LatentEmotionNetwork(faces.latents.shape[1], width, faces.logits.shape[1])
    network.mean.copy_(wanted[: faces.trained].mean(dim=0))
    network.scale.copy_(wanted[: faces.trained].std(dim=0).clamp_min(1e-6))
    plan = Plan(steps=steps, batch=batch, rate=2e-3, seed=faces.seed, weight_decay=5e-2, average=0.99)

    def loss(rows: Tensor, _: torch.Generator) -> Tensor:
        missed: Tensor = (network(faces.latents[rows]).flatten(1) - wanted[rows]) / network.scale
        return missed.square().mean()

    seconds = train(network, loss, faces.trained, plan, name=NAME, saved=saved, progress=progress)
    with torch.inference_mode():
        told = network(faces.latents[faces.trained :]).flatten(1)
    held = wanted[faces.trained :]
    r2 = 1 - (told - held).square().mean(dim=0) / (held - held.mean(dim=0)).square().mean(dim=0).clamp_min(1e-12)
    return write_trained(
        NAME,
        network.state_dict(),
        configuration={"latent_dim": faces.latents.shape[1], "width": width, "classifiers": list(EMOTION_NETWORKS)},
        data=faces.described(),
        command=command,
        seed=faces.seed,
        figures={
            "r2": {
                network_name: {emotion: round(float(r2[place * len(EMOTIONS) + each]), 4) for each, emotion in enumerate(EMOTIONS)}
                for place, network_name in enumerate(EMOTION_NETWORKS)
            }
        },
        seconds=seconds,
        folder=folder,
    )
