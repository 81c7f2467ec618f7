"""Surrogate model: predicts from a generator's latent the logits that emotion networks will give for its face.

A small, smooth and approximate network: its gradient points where many faces change their expression, not where one network is
fooled. How well it predicts is measured in its card.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from core.models.contracts import ModelCard, Surrogate
from core.models.device import freeze_network
from core.models.emotions import EMOTIONS
from core.models.engine.engine import batched
from core.models.trained_weights import TrainedWeights, read_trained, trained_weight_file

SURROGATE_NAME = "latent-emotion"
CHUNK = 4

CARD = ModelCard(
    name=SURROGATE_NAME,
    title="Emotions predicted from the latent (surrogate)",
    kind="surrogate",
    source="trained here on generated faces, with mini-XCEPTION and the tanh network as teachers",
    weights_licence="MIT (this repository)",
    data_licence="faces of the DCGAN (DigiFace-1M: non-commercial research use); teachers trained on FER2013 and CK+",
    input_size=0,
    not_for="any statement about an image: it never sees one",
    files=(trained_weight_file(SURROGATE_NAME),),
)


class LatentEmotionNetwork(nn.Module):
    """(N, d) -> standardised logits, times their scale plus their mean: (N, K, 6)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, latent_dim: int, width: int, classifiers: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        outputs = classifiers * len(EMOTIONS)
        self.mlp = nn.Sequential(
            nn.Linear(latent_dim, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, outputs)
        )
        self.register_buffer("mean", torch.zeros(outputs))
        self.register_buffer("scale", torch.ones(outputs))

    def forward(self, latents: Tensor) -> Tensor:
        values: Tensor = self.mlp(latents) * self.scale + self.mean
        return values.view(len(latents), -1, len(EMOTIONS))


class LatentEmotion(Surrogate):
    """The network as a Surrogate."""

    def __init__(
        self, network: LatentEmotionNetwork, classifiers: Sequence[str], device: torch.device, card: ModelCard = CARD
    ) -> None:
        self.card = card
        self.device = device
        self.latent_dim, self.classifiers = network.latent_dim, tuple(classifiers)
        self.network = freeze_network(network, device)

    def logits(self, latents: Tensor) -> Tensor:
        return batched(self.network, latents.to(self.device), CHUNK)


def read_surrogate(trained: TrainedWeights) -> LatentEmotionNetwork:
    """The stored network, of the size that its card names."""
    sizes = trained.configuration
    network = LatentEmotionNetwork(int(sizes["latent_dim"]), int(sizes["width"]), len(sizes["classifiers"]))
    trained.fill_network(network)
    return network


def load(device: torch.device) -> LatentEmotion:
    """The surrogate with its trained weights."""
    trained = read_trained(SURROGATE_NAME)
    return LatentEmotion(read_surrogate(trained), trained.configuration["classifiers"], device)
