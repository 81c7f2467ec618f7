"""``train latent-flow``: conditional flow matching from noise to latents, given the embedding (Lipman et al. 2023, eq. 23)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from core.models.latent_flow import NAME, FlowNetwork
from core.models.trained import Trained, write_trained
from core.models.training.faces import TrainingFaces
from core.models.training.fit_embedding import embedded
from core.models.training.loop import Plan, train
from core.progress import Progress

JITTER = 0.2
"""Standard deviation of the noise on embeddings while training: guided embeddings lie a little off those of real images."""


def fit(
    faces: TrainingFaces,
    *,
    steps: int,
    command: str,
    width: int = 384,
    depth: int = 3,
    batch: int = 192,
    folder: Path | None = None,
    saved: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Squared error of the velocity. The figure: how much of the velocity's variance is explained, with and without embedding."""
    embeddings = embedded(faces, folder)
    sizes = {"latent_dim": faces.latents.shape[1], "embedding_dim": embeddings.shape[1], "width": width, "depth": depth}
    torch.manual_seed(faces.seed)
    network = FlowNetwork(**sizes)
    for block in network.blocks:  # every block begins as the identity
        torch.nn.init.zeros_(block.modulate[1].weight)  # type: ignore[index, union-attr]
    plan = Plan(steps=steps, batch=batch, rate=1.5e-3, seed=faces.seed, weight_decay=0.1, average=0.999)

    def missed(rows: Tensor, random: torch.Generator, condition: Tensor) -> Tensor:
        latents = faces.latents[rows]
        noise = torch.randn(latents.shape, generator=random)
        time = torch.rand(len(rows), generator=random)
        on_the_way = (1 - time[:, None]) * noise + time[:, None] * latents
        error: Tensor = network(on_the_way, time, condition) - (latents - noise)
        return error.square().mean()

    def loss(rows: Tensor, random: torch.Generator) -> Tensor:
        condition = embeddings[rows]
        return missed(rows, random, condition + JITTER * torch.randn(condition.shape, generator=random))

    seconds = train(network, loss, faces.trained, plan, name=NAME, saved=saved, progress=progress)
    held = torch.arange(faces.trained, len(faces))
    with torch.inference_mode():
        own = float(missed(held, torch.Generator().manual_seed(1), embeddings[held]))
        others = float(missed(held, torch.Generator().manual_seed(1), embeddings[held].roll(1, dims=0)))
    return write_trained(
        NAME,
        {key: tensor.half() for key, tensor in network.state_dict().items()},
        configuration=sizes,
        data=faces.described(),
        command=command,
        seed=faces.seed,
        figures={"velocity_error": round(own, 4), "velocity_error_with_another_face_s_embedding": round(others, 4)},
        seconds=seconds,
        folder=folder,
    )
