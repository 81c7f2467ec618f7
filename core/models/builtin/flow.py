"""Embedding -> latent by conditional flow matching (Lipman et al. 2023, arXiv:2210.02747): paper B's stage 2.

The flow starts at noise drawn from the row's seed and follows a learnt velocity, given the embedding, to a latent of the
generator. Another seed gives another face with about the same embedding. No classifier guides it, as in the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from core.models.contracts import Decoder, ModelCard
from core.models.device import freeze_network
from core.models.engine.engine import batched
from core.models.trained_weights import TrainedWeights, read_trained, trained_weight_file

FLOW_NAME = "latent-flow"

CARD = ModelCard(
    name=FLOW_NAME,
    title="Flow from embedding to latent",
    kind="decoder",
    source="trained here on generated faces: conditional flow matching from noise to the DCGAN's latents",
    weights_licence="MIT (this repository)",
    data_licence="faces of the DCGAN (DigiFace-1M: non-commercial research use)",
    input_size=0,
    not_for="drawing real people: it only knows the DCGAN's faces",
    files=(trained_weight_file(FLOW_NAME),),
)

CHUNK = 4
FLOW_STEPS = 12
"""Midpoint steps from noise to latent."""


class FlowNetwork(nn.Module):
    """Latent on its way (N, d), time (N,) in [0, 1], embedding (N, E) -> velocity (N, d). Residual MLP with a gated condition."""

    def __init__(self, latent_dim: int, embedding_dim: int, width: int, depth: int) -> None:
        super().__init__()
        self.latent_dim, self.embedding_dim = latent_dim, embedding_dim
        self.frequencies = 16
        self.enter = nn.Linear(latent_dim, width)
        self.condition = nn.Sequential(nn.Linear(embedding_dim + 2 * self.frequencies, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList([_FlowBlock(width) for _ in range(depth)])
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, latent_dim))

    def forward(self, latents: Tensor, time: Tensor, embeddings: Tensor) -> Tensor:
        angles = time[:, None] * (math.pi * torch.arange(1, self.frequencies + 1, device=time.device))
        condition = self.condition(torch.cat([embeddings, angles.cos(), angles.sin()], dim=1))
        x = self.enter(latents)
        for block in self.blocks:
            x = block(x, condition)
        velocity: Tensor = self.leave(x)
        return velocity


class _FlowBlock(nn.Module):
    """x + gate * MLP(scale * norm(x) + shift), all three from the condition."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulate = nn.Sequential(nn.SiLU(), nn.Linear(width, 3 * width))
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift, gate = self.modulate(condition).chunk(3, dim=1)
        moved: Tensor = x + gate * self.mlp(self.norm(x) * (1 + scale) + shift)
        return moved


class LatentFlow(Decoder):
    """The flow as a Decoder."""

    def __init__(self, network: FlowNetwork, device: torch.device, card: ModelCard = CARD) -> None:
        self.card = card
        self.device = device
        self.network = freeze_network(network, device)
        self.embedding_dim, self.latent_dim = network.embedding_dim, network.latent_dim

    def latents(self, embeddings: Tensor, seeds: Sequence[int]) -> Tensor:
        if not len(seeds):
            return torch.empty(0, self.latent_dim)
        noise = [torch.randn(self.latent_dim, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds]
        with torch.inference_mode():
            return batched(self._flow, torch.cat([torch.stack(noise), embeddings.cpu()], dim=1).to(self.device), CHUNK).cpu()

    def _flow(self, rows: Tensor) -> Tensor:
        """Noise and embedding side by side (N, d + E) -> latents (N, d), by the midpoint rule."""
        x, embeddings = rows[:, : self.latent_dim], rows[:, self.latent_dim :]
        for step in range(FLOW_STEPS):
            start, half = step / FLOW_STEPS, (step + 0.5) / FLOW_STEPS
            middle = x + self.network(x, x.new_full((len(x),), start), embeddings) * (0.5 / FLOW_STEPS)
            x = x + self.network(middle, x.new_full((len(x),), half), embeddings) / FLOW_STEPS
        return x


def read_flow(trained: TrainedWeights) -> FlowNetwork:
    """The stored network, of the size that its card names."""
    sizes = {name: int(trained.configuration[name]) for name in ("latent_dim", "embedding_dim", "width", "depth")}
    network = FlowNetwork(**sizes)
    trained.fill_network(network)
    return network


def load(device: torch.device) -> LatentFlow:
    """The decoder with its trained weights."""
    return LatentFlow(read_flow(read_trained(FLOW_NAME)), device)
