"""Embedding -> latent by conditional flow matching (Lipman et al. 2023, arXiv:2210.02747): paper B's stage 2.

The flow starts at noise drawn from the row's seed and follows a learnt velocity, given the embedding, to a latent of the
generator. Another seed gives another face with about the same embedding. No classifier guides it, as in the paper.

``head-flow`` may also be given a head whose person, scene and accessories are kept: it then draws the expression alone. One network
does both; while it was trained, what is kept was hidden from it in some of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from core.errors import LiminalError
from core.models.contracts import Decoder, ModelCard
from core.models.device import freeze_network
from core.models.engine.engine import batched
from core.models.trained_weights import TrainedWeights, read_trained, trained_weight_file

CARD = ModelCard(
    name="latent-flow",
    title="Flow from embedding to latent",
    kind="decoder",
    source="trained here on generated faces: conditional flow matching from noise to the DCGAN's latents",
    weights_licence="MIT (this repository)",
    data_licence="faces of the DCGAN (DigiFace-1M: non-commercial research use)",
    input_size=0,
    not_for="drawing real people: it only knows the DCGAN's faces",
    files=(trained_weight_file("latent-flow"),),
)
HEAD_CARD = ModelCard(
    name="head-flow",
    title="Flow from embedding to head",
    kind="decoder",
    source="trained here on rendered heads: conditional flow matching from noise to the head's latents, person kept or free",
    weights_licence="MIT (this repository)",
    data_licence="rendered heads (no data of people)",
    input_size=0,
    not_for="drawing real people: it only knows rendered heads",
    files=(trained_weight_file("head-flow"),),
)

CHUNK = 4
FLOW_STEPS = 12
"""Midpoint steps from noise to latent."""


class FlowNetwork(nn.Module):
    """Latent on its way (N, d), time (N,) in [0, 1], embedding (N, E) -> velocity (N, d). Residual MLP with a gated condition.

    free: the latents [free[0], free[1]) that are drawn where the others are kept; () for a network that keeps none. Kept latents
    stand in the latent on its way as they are, and a row of its own says that they do.
    """

    def __init__(self, latent_dim: int, embedding_dim: int, width: int, depth: int, free: Sequence[int] = ()) -> None:
        super().__init__()
        self.latent_dim, self.embedding_dim, self.free = latent_dim, embedding_dim, tuple(free)
        self.frequencies = 16
        self.enter = nn.Linear(latent_dim + len(self.free) // 2, width)
        self.condition = nn.Sequential(nn.Linear(embedding_dim + 2 * self.frequencies, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList([_FlowBlock(width) for _ in range(depth)])
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, latent_dim))

    def forward(self, latents: Tensor, time: Tensor, embeddings: Tensor, kept: Tensor | None = None) -> Tensor:
        """kept: (N, 1), 1 where all but the free latents are given; None: in no row."""
        angles = time[:, None] * (math.pi * torch.arange(1, self.frequencies + 1, device=time.device))
        condition = self.condition(torch.cat([embeddings, angles.cos(), angles.sin()], dim=1))
        if self.free:
            latents = torch.cat([latents, latents.new_zeros(len(latents), 1) if kept is None else kept], dim=1)
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

    def latents(self, embeddings: Tensor, seeds: Sequence[int], kept: Tensor | None = None) -> Tensor:
        if not len(seeds):
            return torch.empty(0, self.latent_dim)
        if kept is not None and not self.network.free:
            raise LiminalError(f"{self.card.title} draws whole faces and cannot keep a person; leave the face free.")
        noise = torch.stack([torch.randn(self.latent_dim, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds])
        flow = self._flow
        if kept is not None:
            start, stop = self.network.free
            noise = torch.cat([kept[:, :start].cpu(), noise[:, start:stop], kept[:, stop:].cpu()], dim=1)
            flow = self._flow_kept
        with torch.inference_mode():
            return batched(flow, torch.cat([noise, embeddings.cpu()], dim=1).to(self.device), CHUNK).cpu()

    def _flow(self, rows: Tensor) -> Tensor:
        """Noise and embedding side by side (N, d + E) -> latents (N, d), by the midpoint rule."""
        return self._integrate(rows, None)

    def _flow_kept(self, rows: Tensor) -> Tensor:
        """As ``_flow``, from rows whose latents are kept but for the free ones."""
        return self._integrate(rows, rows.new_ones(len(rows), 1))

    def _integrate(self, rows: Tensor, kept: Tensor | None) -> Tensor:
        x, embeddings = rows[:, : self.latent_dim], rows[:, self.latent_dim :]
        moves = x.new_ones(self.latent_dim)
        if kept is not None:
            moves = torch.zeros_like(moves)
            moves[slice(*self.network.free)] = 1.0
        for step in range(FLOW_STEPS):
            start, half = step / FLOW_STEPS, (step + 0.5) / FLOW_STEPS
            middle = x + moves * self.network(x, x.new_full((len(x),), start), embeddings, kept) * (0.5 / FLOW_STEPS)
            x = x + moves * self.network(middle, x.new_full((len(x),), half), embeddings, kept) / FLOW_STEPS
        return x


def read_flow(trained: TrainedWeights) -> FlowNetwork:
    """The stored network, of the size that its card names."""
    sizes = {name: int(trained.configuration[name]) for name in ("latent_dim", "embedding_dim", "width", "depth")}
    network = FlowNetwork(**sizes, free=trained.configuration.get("free", ()))
    trained.fill_network(network)
    return network


def _load(device: torch.device, card: ModelCard) -> LatentFlow:
    """The decoder with its trained weights."""
    return LatentFlow(read_flow(read_trained(card.name)), device, card)


# What the registry finds by ``core.models.builtin.flow:NAME``.
LATENT_FLOW = SimpleNamespace(CARD=CARD, load=partial(_load, card=CARD))
HEAD_FLOW = SimpleNamespace(CARD=HEAD_CARD, load=partial(_load, card=HEAD_CARD))
