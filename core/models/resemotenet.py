"""ResEmoteNet (Roy et al. 2024, IEEE Signal Processing Letters, arXiv:2409.10545), from its authors' checkpoints.

Three convolutions with pooling, one squeeze-and-excitation block, three residual blocks that halve the maps, four linear layers. It
reads grey pictures of 64 pixels in three equal channels. Parameter names are those of the authors' ``approach/ResEmoteNet.py``;
the widths are read off the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

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
from core.models.grey import grey
from core.models.own.listing import OwnModel
from core.models.own.tensors import fill

SIDE = 64
WIDTHS = ("conv1", "conv2", "conv3", "res_block1.conv1", "res_block2.conv1", "res_block3.conv1", "fc1", "fc2", "fc3", "fc4")
"""Layers whose number of outputs makes up the network's size."""


@dataclass(frozen=True)
class Sizes:
    """As published: stem (64, 128, 256), squeezed 16, blocks (512, 1024, 2048), linear (1024, 512, 256, 7)."""

    stem: tuple[int, ...]
    squeezed: int
    blocks: tuple[int, ...]
    linear: tuple[int, ...]  # the last one: outputs


class SEBlock(nn.Module):
    """Squeeze and excitation (Hu et al. 2018): channels weighted by what all of them hold on average."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        layers = [nn.Linear(channels, squeezed, bias=False), nn.ReLU(), nn.Linear(squeezed, channels, bias=False), nn.Sigmoid()]
        self.fc = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        weights: Tensor = self.fc(maps.mean(dim=(2, 3)))
        return maps * weights[:, :, None, None]


class ResidualBlock(nn.Module):
    """Two convolutions beside a 1 x 1 one, both at half the size."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = nn.Conv2d(after, after, 3, padding=1), nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride=2), nn.BatchNorm2d(after))

    def forward(self, maps: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(maps)))))
        return torch.relu(inner + self.shortcut(maps))


class ResEmoteNetwork(nn.Module):
    """(N, 3, 64, 64), normalised -> (N, outputs). Dropout, which does nothing here, is left out: it has no weights."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        for place, (before, after) in enumerate(pairwise((3, *sizes.stem)), start=1):
            self.add_module(f"conv{place}", nn.Conv2d(before, after, 3, padding=1))
            self.add_module(f"bn{place}", nn.BatchNorm2d(after))
        self.se = SEBlock(sizes.stem[-1], sizes.squeezed)
        for place, (before, after) in enumerate(pairwise((sizes.stem[-1], *sizes.blocks)), start=1):
            self.add_module(f"res_block{place}", ResidualBlock(before, after))
        for place, (before, after) in enumerate(pairwise((sizes.blocks[-1], *sizes.linear)), start=1):
            self.add_module(f"fc{place}", nn.Linear(before, after))

    def forward(self, pixels: Tensor) -> Tensor:
        part = self.get_submodule
        x = pixels
        for place in (1, 2, 3):
            x = functional.max_pool2d(torch.relu(part(f"bn{place}")(part(f"conv{place}")(x))), 2)
        x = self.se(x)
        for place in (1, 2, 3):
            x = part(f"res_block{place}")(x)
        x = x.mean(dim=(2, 3))
        for place in (1, 2, 3):
            x = torch.relu(part(f"fc{place}")(x))
        values: Tensor = part("fc4")(x)
        return values


def preprocessed(images: Tensor) -> Tensor:
    """(N, 3, H, W) in [0, 1] -> (N, 3, 64, 64): grey in all three channels, then ImageNet's mean and deviation of each."""
    mean, deviation = images.new_tensor(IMAGENET_MEAN), images.new_tensor(IMAGENET_DEVIATION)
    return (grey(images, SIDE) - mean[:, None, None]) / deviation[:, None, None]


def sizes_of(tensors: Mapping[str, Tensor], path: Path) -> Sizes:
    """The widths of a checkpoint. Raises LiminalError that names the first key that is missing."""
    found = []
    for key in (*(f"{layer}.weight" for layer in WIDTHS), "se.fc.0.weight"):
        if key not in tensors:
            raise LiminalError(f"{path.name} lacks '{key}', so it holds no ResEmoteNet; name a checkpoint of its authors' code.")
        found.append(len(tensors[key]))
    return Sizes(tuple(found[:3]), found[10], tuple(found[3:6]), tuple(found[6:10]))


def read_network(path: Path) -> ResEmoteNetwork:
    """The network with a checkpoint's weights. Raises LiminalError that names the first key that does not fit."""
    tensors = checkpoint_tensors(path)
    network = ResEmoteNetwork(sizes_of(tensors, path))
    fill(network, tensors, path)
    return network


def settle(own: OwnModel, root: Path) -> dict[str, Any]:
    """The options ``order`` and ``labels`` filled in."""
    path = weights_file(root)
    return settled(own, sizes_of(checkpoint_tensors(path), path).linear[-1], path, guess="resemotenet")


def card(own: OwnModel) -> ModelCard:
    """The card of an added ResEmoteNet."""
    return described(own, "ResEmoteNet, Roy et al. 2024", SIDE)


def load_own(own: OwnModel, device: torch.device) -> CheckpointClassifier:
    """The classifier with the weights that were added."""
    return loaded(own, read_network, preprocessed, settle, device, card(own))
