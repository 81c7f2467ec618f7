"""DAN, 'Distract Your Attention' (Wen et al. 2023, Biomimetics 8(2), arXiv:2109.07270), from its authors' checkpoints.

A ResNet-18 without its pooling gives 512 maps of 7 x 7; each of four heads attends to places, then to channels; the heads'
logarithmic shares of one another are summed and classified. Parameter names are those of the authors' ``networks/dan.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from core.errors import LiminalError
from core.models.checkpoint_classifier import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    CheckpointClassifier,
    checkpoint_tensors,
    described,
    loaded,
    settled,
    weights_file,
)
from core.models.contracts import ModelCard
from core.models.hf_classifier import Preprocessing
from core.models.own.listing import OwnModel
from core.models.own.tensors import fill

SIDE = 224
MAPS = 512
PREPROCESSING = Preprocessing(SIDE, None, False, IMAGENET_MEAN, IMAGENET_DEVIATION)


def _convolution(before: int, after: int, kernel: tuple[int, int]) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(nn.Conv2d(before, after, kernel, padding=padding), nn.BatchNorm2d(after))


class SpatialAttention(nn.Module):
    """Maps (N, 512, h, w) weighted place by place: square, flat and tall kernels, summed over their channels (section 3.3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1x1 = _convolution(MAPS, MAPS // 2, (1, 1))
        self.conv_3x3 = _convolution(MAPS // 2, MAPS, (3, 3))
        self.conv_1x3 = _convolution(MAPS // 2, MAPS, (1, 3))
        self.conv_3x1 = _convolution(MAPS // 2, MAPS, (3, 1))

    def forward(self, maps: Tensor) -> Tensor:
        narrow = self.conv1x1(maps)
        weights: Tensor = torch.relu(self.conv_3x3(narrow) + self.conv_1x3(narrow) + self.conv_3x1(narrow))
        return maps * weights.sum(dim=1, keepdim=True)


class ChannelAttention(nn.Module):
    """Maps (N, 512, h, w) -> means over places, weighted channel by channel (N, 512)."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Linear(MAPS, MAPS // 16), nn.BatchNorm1d(MAPS // 16), nn.ReLU(), nn.Linear(MAPS // 16, MAPS), nn.Sigmoid()]
        self.attention = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        means = maps.mean(dim=(2, 3))
        weighted: Tensor = means * self.attention(means)
        return weighted


class CrossAttentionHead(nn.Module):
    """Places, then channels."""

    def __init__(self) -> None:
        super().__init__()
        self.sa, self.ca = SpatialAttention(), ChannelAttention()

    def forward(self, maps: Tensor) -> Tensor:
        weighted: Tensor = self.ca(self.sa(maps))
        return weighted


class DANNetwork(nn.Module):
    """(N, 3, 224, 224), normalised -> (N, outputs)."""

    def __init__(self, outputs: int, heads: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*list(resnet18(weights=None).children())[:-2])
        self.heads = [f"cat_head{index}" for index in range(heads)]
        for name in self.heads:
            self.add_module(name, CrossAttentionHead())
        self.fc = nn.Linear(MAPS, outputs)
        self.bn = nn.BatchNorm1d(outputs)

    def forward(self, pixels: Tensor) -> Tensor:
        maps = self.features(pixels)
        said = torch.stack([self.get_submodule(name)(maps) for name in self.heads], dim=1)  # (N, heads, 512)
        if len(self.heads) > 1:
            said = said.log_softmax(dim=1)
        values: Tensor = self.bn(self.fc(said.sum(dim=1)))
        return values


def read_network(path: Path) -> DANNetwork:
    """The network with a checkpoint's weights. Raises LiminalError that names the first key that does not fit."""
    tensors = checkpoint_tensors(path)
    heads = len({key.split(".")[0] for key in tensors if key.startswith("cat_head")})
    network = DANNetwork(_outputs(tensors, path), heads)
    fill(network, tensors, path)
    return network


def _outputs(tensors: Mapping[str, Tensor], path: Path) -> int:
    for key in ("fc.weight", "cat_head0.sa.conv1x1.0.weight"):
        if key not in tensors:
            raise LiminalError(f"{path.name} lacks '{key}', so it holds no DAN; name a checkpoint of its authors' code.")
    return len(tensors["fc.weight"])


def settle(own: OwnModel, root: Path) -> dict[str, Any]:
    """The options ``order`` and ``labels`` filled in. Of seven outputs RAF-DB's order is guessed where the file's name says so."""
    path = weights_file(root)
    return settled(own, _outputs(checkpoint_tensors(path), path), path, guess="affectnet-7")


def card(own: OwnModel) -> ModelCard:
    """The card of an added DAN."""
    return described(own, "DAN, Wen et al. 2023", SIDE)


def load_own(own: OwnModel, device: torch.device) -> CheckpointClassifier:
    """The classifier with the weights that were added."""
    return loaded(own, read_network, PREPROCESSING, settle, device, card(own))
