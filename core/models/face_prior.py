"""The diffusion prior over face embeddings: a U-ViT that predicts noise (DDPM), kept as the moving average of its training."""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from core.models.contracts import NOT_FOR, ModelCard, Prior
from core.models.engine import gathered
from core.models.noising import noise_beyond_gaussian
from core.models.trained import Trained, card_file, read_trained
from core.models.uvit import UViT, UViTConfiguration

NAME = "face-prior"

CARD = ModelCard(
    name=NAME,
    title="U-ViT diffusion prior",
    kind="prior",
    source="trained here on embeddings of generated faces: DDPM noise prediction, exponential moving average",
    weights_licence="MIT (this repository)",
    data_licence="faces of the DCGAN (DigiFace-1M: non-commercial research use)",
    input_size=0,
    not_for=f"{NOT_FOR['prior']}; it knows the embeddings of generated faces alone",
    files=(card_file(NAME),),
)


class FacePrior(Prior):
    """U-ViT behind the contract."""

    chunk = 4  # as many as are made together

    def __init__(self, network: UViT, train_steps: int, device: torch.device, card: ModelCard = CARD) -> None:
        self.card = card
        self.device = device
        self.network = network.to(device).eval().requires_grad_(False)
        self.embedding_dim = network.configuration.embedding_dim
        self.train_steps = train_steps

    def noise(self, noised: Tensor, step: Tensor) -> Tensor:
        rows = torch.cat([noised, step[:, None].to(noised)], dim=1).to(self.device)
        return gathered(self._noise, rows, self.chunk)

    def _noise(self, rows: Tensor) -> Tensor:
        return noise_beyond_gaussian(self.network, rows[:, :-1], rows[:, -1].long(), self.train_steps)


def read_uvit(trained: Trained) -> UViT:
    """The stored network, of the size that its card names."""
    sizes = {each.name: int(trained.configuration[each.name]) for each in fields(UViTConfiguration)}
    network = UViT(UViTConfiguration(**sizes))
    trained.fill(network)
    return network


def load(device: torch.device) -> FacePrior:
    """The prior with its trained weights."""
    trained = read_trained(NAME)
    return FacePrior(read_uvit(trained), int(trained.configuration["train_steps"]), device)
