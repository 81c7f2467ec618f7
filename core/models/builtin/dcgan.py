"""DCGAN face generator, 64 pixels: Radford et al. 2016 (arXiv:1511.06434), trained by its package's author on DigiFace-1M."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn

from core.models.contracts import NOT_FOR, Generator, ModelCard
from core.models.device import choose_search_precision, freeze_network
from core.models.engine.engine import batched
from core.models.photos import DEFAULT_FRAME
from core.models.weights import WeightFile

CARD = ModelCard(
    name="dcgan",
    title="DCGAN, 64 pixels",
    kind="generator",
    source="gan-face-generate 1.1.1 (PyPI), trained on DigiFace-1M",
    weights_licence="MIT (package)",
    data_licence="DigiFace-1M: non-commercial research use (synthetic faces, Microsoft)",
    input_size=64,
    not_for=f"{NOT_FOR['generator']}; commercial use, because of the training data's licence",
    files=(
        WeightFile(
            distribution="gan-face-generate==1.1.1",
            package="gan_face_generate",
            path="weights.tar",
            sha256="0c3b90b138cfc4e8a73310b9fd5ce2a8f1f3a542a037de277412307fcd28771f",
        ),
    ),
)

CHUNK = 4
"""Measured, single thread: 3.9 ms an image in chunks of 16 and 4.6 in chunks of 4, but one image pays for a whole chunk."""
SEARCH_CHUNK = 32


class DCGANNetwork(nn.Module):
    """Five transposed convolutions: (N, 100, 1, 1) -> (N, 3, 64, 64) in [-1, 1]. Parameter names follow the weights'."""

    def __init__(self, latent_dim: int = 100, features: int = 64) -> None:
        super().__init__()
        widths = [latent_dim, features * 8, features * 4, features * 2, features]
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(pairwise(widths)):
            stride, padding = (1, 0) if index == 0 else (2, 1)
            layers += [
                nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.ConvTranspose2d(features, 3, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.main(latents)
        return images


FACE_BOX = (0.126, 0.240, 0.862, 0.978)
"""Mean of the boxes that dlib's detector gives for 112 of 160 random faces; standard deviation 0.05."""
FACE_POINTS = tuple((float(x), float(y)) for x, y in DEFAULT_FRAME)


class DCGAN(Generator):
    """100 standard normal latents -> 64 x 64 RGB."""

    def __init__(self, network: DCGANNetwork, device: torch.device) -> None:
        self.card = CARD
        self.latent_dim = 100
        self.image_size = 64
        self.device = device
        self.face_box, self.face_points = FACE_BOX, FACE_POINTS
        self.network = freeze_network(network, device)
        self.precision = choose_search_precision(device)
        self.fast_network = copy.deepcopy(self.network).to(self.precision).to(memory_format=torch.channels_last)

    def decode(self, latents: Tensor) -> Tensor:
        latents = latents.to(self.device)
        return batched(self._images, latents, CHUNK, cache=True)

    def _images(self, latents: Tensor) -> Tensor:
        images: Tensor = self.network(latents[:, :, None, None])
        return (images + 1) / 2

    def decode_for_search(self, latents: Tensor) -> Tensor:
        """In bfloat16 where that is native, two to three times faster then; moves pixels by 0.3 of 255 grey levels on average."""
        with torch.inference_mode():
            return batched(self._fast_images, latents.to(self.device, self.precision), SEARCH_CHUNK)

    def _fast_images(self, latents: Tensor) -> Tensor:
        images: Tensor = self.fast_network(latents[:, :, None, None].contiguous(memory_format=torch.channels_last))
        return (images.float() + 1) / 2


def load(device: torch.device) -> DCGAN:
    """The generator with its trained weights."""
    network = DCGANNetwork()
    state = CARD.files[0].load_checkpoint()["netG_state_dict"]
    network.load_state_dict(state)
    return DCGAN(network, device)
