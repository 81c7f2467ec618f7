"""Emotion classifiers from their authors' PyTorch checkpoints: DAN and ResEmoteNet.

No file says which output means which emotion. It is known for the data sets that the authors trained on
(``catalogue.CLASS_ORDERS``), guessed from the number of outputs and the file's name, shown, and correctable by the options
``order`` and ``labels``. DAN, 'Distract Your Attention' (Wen et al. 2023, Biomimetics 8(2), arXiv:2109.07270): a ResNet-18 without
its pooling gives 512 maps of 7 x 7; each of four heads attends to positions, then to channels; the heads' logarithmic shares of one
another are summed and classified. Parameter names are those of the authors' ``networks/dan.py``. ResEmoteNet (Roy et al. 2024, IEEE
Signal Processing Letters, arXiv:2409.10545): three convolutions with pooling, one squeeze-and-excitation block, three residual
blocks that halve the maps, four linear layers. It reads grey pictures of 64 pixels in three equal channels. Parameter names are
those of the authors' ``approach/ResEmoteNet.py``; the widths are read off the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.contracts import Classifier, ModelCard
from core.models.custom.catalogue import CLASS_ORDERS, CustomModel
from core.models.custom.huggingface import resolve_labels
from core.models.custom.loading import describe_outputs, fill_network, make_custom_card, read_tensors
from core.models.custom.sources import WEIGHT_SUFFIXES, verify_source
from core.models.device import freeze_network
from core.models.emotions import EMOTIONS
from core.models.engine.engine import batched
from core.models.preprocessing import Preprocessing, to_grey

if TYPE_CHECKING:
    import torchvision
else:  # DAN alone is built with it
    torchvision = lazy_import("torchvision")

CHUNK = 4
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class CheckpointClassifier(Classifier):
    """Takes the whole image as a tight face."""

    def __init__(
        self,
        network: nn.Module,
        preprocessing: Callable[[Tensor], Tensor],
        order: list[int],
        device: torch.device,
        card: ModelCard,
    ) -> None:
        self.card, self.device = card, device
        self.network = freeze_network(network, device)
        self.preprocessing, self.order = preprocessing, order

    def logits(self, images: Tensor) -> Tensor:
        return batched(self.network, self.preprocessing(images.to(self.device)), CHUNK, cache=True)[:, self.order].float()


def find_weights_file(root: Path) -> Path:
    """The only weight file of a folder, or the file itself."""
    if root.is_file():
        return root
    paths = sorted(path for path in root.iterdir() if path.suffix in WEIGHT_SUFFIXES)
    if len(paths) != 1:
        raise LiminalError(f"{root} holds {len(paths)} weight files; name the one that is meant.")
    return paths[0]


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """A checkpoint's tensors by the network's own names, also where it was saved from DataParallel."""
    return {key.removeprefix("module."): tensor for key, tensor in read_tensors(path).items()}


def fill_label_options(custom: CustomModel, count: int, path: Path, *, guess: str) -> dict[str, Any]:
    """The options with the order of the outputs and the labels filled in, so that they can be read and corrected.

    count: the network's outputs. guess: the name in CLASS_ORDERS where no other one fits better.
    Raises LiminalError for an order that does not fit, and where an emotion has no output.
    """
    order: str | None = custom.options.get("order") or _guess_order(count, path, guess)
    if order is not None and order not in CLASS_ORDERS:
        raise LiminalError(f"The option order is '{order}'; it can be {', '.join(CLASS_ORDERS)}.")
    if order is not None and len(CLASS_ORDERS[order]) != count:
        raise LiminalError(f"The order {order} has {len(CLASS_ORDERS[order])} outputs, the network in {path.name} has {count}.")
    names = dict(enumerate(CLASS_ORDERS[order] if order is not None else [f"output {number}" for number in range(count)]))
    options = {**custom.options, "labels": resolve_labels(custom.options.get("labels", {}), names)}
    return options if order is None else {**options, "order": order}


def _guess_order(count: int, path: Path, guess: str) -> str | None:
    fitting = [name for name, names in CLASS_ORDERS.items() if len(names) == count]
    if "raf" in path.name.lower() and "raf-db" in fitting and guess != "resemotenet":
        return "raf-db"
    return guess if guess in fitting else next(iter(fitting), None)


def read_output_order(options: Mapping[str, Any]) -> list[int]:
    """The outputs in the order of EMOTIONS."""
    return [int(options["labels"][emotion]) for emotion in EMOTIONS]


def load_checkpoint_classifier(
    custom: CustomModel,
    read_network: Callable[[Path], nn.Module],
    preprocessing: Callable[[Tensor], Tensor],
    validate: Callable[[CustomModel, Path], Mapping[str, Any]],
    device: torch.device,
    card: ModelCard,
) -> CheckpointClassifier:
    """The classifier of an added model; its outputs in the order found when it was added, else as ``validate`` guesses it."""
    root = verify_source(custom)
    order = read_output_order(custom.options if "labels" in custom.options else validate(custom, root))
    return CheckpointClassifier(read_network(find_weights_file(root)), preprocessing, order, device, card)


def make_checkpoint_card(custom: CustomModel, paper: str, size: int) -> ModelCard:
    """The card of an added classifier."""
    return make_custom_card(
        custom,
        f"{custom.source} ({paper}), {describe_outputs(custom)}",
        input_size=size,
        data_licence="not stated; AffectNet, RAF-DB and FER2013 are for non-commercial research",
    )


DAN_SIDE = 224
DAN_CHANNELS = 512
DAN_PREPROCESSING = Preprocessing(DAN_SIDE, None, False, IMAGENET_MEAN, IMAGENET_DEVIATION)


def _dan_convolution(before: int, after: int, kernel: tuple[int, int]) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(nn.Conv2d(before, after, kernel, padding=padding), nn.BatchNorm2d(after))


class SpatialAttention(nn.Module):
    """Maps (N, 512, h, w) weighted position by position: square, flat and tall kernels, summed over their channels (section
    3.3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1x1 = _dan_convolution(DAN_CHANNELS, DAN_CHANNELS // 2, (1, 1))
        self.conv_3x3 = _dan_convolution(DAN_CHANNELS // 2, DAN_CHANNELS, (3, 3))
        self.conv_1x3 = _dan_convolution(DAN_CHANNELS // 2, DAN_CHANNELS, (1, 3))
        self.conv_3x1 = _dan_convolution(DAN_CHANNELS // 2, DAN_CHANNELS, (3, 1))

    def forward(self, maps: Tensor) -> Tensor:
        narrow = self.conv1x1(maps)
        weights: Tensor = torch.relu(self.conv_3x3(narrow) + self.conv_1x3(narrow) + self.conv_3x1(narrow))
        return maps * weights.sum(dim=1, keepdim=True)


class ChannelAttention(nn.Module):
    """Maps (N, 512, h, w) -> means over positions, weighted channel by channel (N, 512)."""

    def __init__(self) -> None:
        super().__init__()
        layers = [
            nn.Linear(DAN_CHANNELS, DAN_CHANNELS // 16),
            nn.BatchNorm1d(DAN_CHANNELS // 16),
            nn.ReLU(),
            nn.Linear(DAN_CHANNELS // 16, DAN_CHANNELS),
            nn.Sigmoid(),
        ]
        self.attention = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        means = maps.mean(dim=(2, 3))
        weighted: Tensor = means * self.attention(means)
        return weighted


class CrossAttentionHead(nn.Module):
    """Attention over positions, then over channels."""

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
        self.features = nn.Sequential(*list(torchvision.models.resnet18(weights=None).children())[:-2])
        self.heads = [f"cat_head{index}" for index in range(heads)]
        for name in self.heads:
            self.add_module(name, CrossAttentionHead())
        self.fc = nn.Linear(DAN_CHANNELS, outputs)
        self.bn = nn.BatchNorm1d(outputs)

    def forward(self, pixels: Tensor) -> Tensor:
        maps = self.features(pixels)
        votes = torch.stack([self.get_submodule(name)(maps) for name in self.heads], dim=1)  # (N, heads, 512)
        if len(self.heads) > 1:
            votes = votes.log_softmax(dim=1)
        values: Tensor = self.bn(self.fc(votes.sum(dim=1)))
        return values


def read_dan(path: Path) -> DANNetwork:
    """The network with a checkpoint's weights. Raises LiminalError that names the first key that does not fit."""
    tensors = read_checkpoint(path)
    heads = len({key.split(".")[0] for key in tensors if key.startswith("cat_head")})
    network = DANNetwork(_count_dan_outputs(tensors, path), heads)
    fill_network(network, tensors, path)
    return network


def _count_dan_outputs(tensors: Mapping[str, Tensor], path: Path) -> int:
    for key in ("fc.weight", "cat_head0.sa.conv1x1.0.weight"):
        if key not in tensors:
            raise LiminalError(f"{path.name} lacks '{key}', so it holds no DAN; name a checkpoint of its authors' code.")
    return len(tensors["fc.weight"])


def validate_dan_options(custom: CustomModel, root: Path) -> dict[str, Any]:
    """The options ``order`` and ``labels`` filled in. Of seven outputs RAF-DB's order is guessed where the file's name says so."""
    path = find_weights_file(root)
    return fill_label_options(custom, _count_dan_outputs(read_checkpoint(path), path), path, guess="affectnet-7")


def make_dan_card(custom: CustomModel) -> ModelCard:
    """The card of an added DAN."""
    return make_checkpoint_card(custom, "DAN, Wen et al. 2023", DAN_SIDE)


def load_dan(custom: CustomModel, device: torch.device) -> CheckpointClassifier:
    """The classifier with the weights that were added."""
    return load_checkpoint_classifier(custom, read_dan, DAN_PREPROCESSING, validate_dan_options, device, make_dan_card(custom))


RESEMOTENET_SIDE = 64
RESEMOTENET_SIZE_LAYERS = (
    "conv1",
    "conv2",
    "conv3",
    "res_block1.conv1",
    "res_block2.conv1",
    "res_block3.conv1",
    "fc1",
    "fc2",
    "fc3",
    "fc4",
)
"""Layers whose number of outputs makes up the network's size."""


@dataclass(frozen=True)
class ResEmoteSizes:
    """As published: stem (64, 128, 256), squeezed 16, blocks (512, 1024, 2048), linear (1024, 512, 256, 7)."""

    stem: tuple[int, ...]
    squeezed: int
    blocks: tuple[int, ...]
    linear: tuple[int, ...]  # the last one: outputs


class SEBlock(nn.Module):
    """Squeeze and excitation (Hu et al. 2018): channels weighted by a function of all channels' means."""

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

    def __init__(self, sizes: ResEmoteSizes) -> None:
        super().__init__()
        for number, (before, after) in enumerate(pairwise((3, *sizes.stem)), start=1):
            self.add_module(f"conv{number}", nn.Conv2d(before, after, 3, padding=1))
            self.add_module(f"bn{number}", nn.BatchNorm2d(after))
        self.se = SEBlock(sizes.stem[-1], sizes.squeezed)
        for number, (before, after) in enumerate(pairwise((sizes.stem[-1], *sizes.blocks)), start=1):
            self.add_module(f"res_block{number}", ResidualBlock(before, after))
        for number, (before, after) in enumerate(pairwise((sizes.blocks[-1], *sizes.linear)), start=1):
            self.add_module(f"fc{number}", nn.Linear(before, after))

    def forward(self, pixels: Tensor) -> Tensor:
        part = self.get_submodule
        x = pixels
        for number in (1, 2, 3):
            x = functional.max_pool2d(torch.relu(part(f"bn{number}")(part(f"conv{number}")(x))), 2)
        x = self.se(x)
        for number in (1, 2, 3):
            x = part(f"res_block{number}")(x)
        x = x.mean(dim=(2, 3))
        for number in (1, 2, 3):
            x = torch.relu(part(f"fc{number}")(x))
        values: Tensor = part("fc4")(x)
        return values


def preprocess_resemotenet(images: Tensor) -> Tensor:
    """(N, 3, H, W) in [0, 1] -> (N, 3, 64, 64): grey in all three channels, then ImageNet's mean and deviation of each."""
    mean, deviation = images.new_tensor(IMAGENET_MEAN), images.new_tensor(IMAGENET_DEVIATION)
    return (to_grey(images, RESEMOTENET_SIDE) - mean[:, None, None]) / deviation[:, None, None]


def read_resemotenet_sizes(tensors: Mapping[str, Tensor], path: Path) -> ResEmoteSizes:
    """The widths of a checkpoint. Raises LiminalError that names the first key that is missing."""
    widths = []
    for key in (*(f"{layer}.weight" for layer in RESEMOTENET_SIZE_LAYERS), "se.fc.0.weight"):
        if key not in tensors:
            raise LiminalError(f"{path.name} lacks '{key}', so it holds no ResEmoteNet; name a checkpoint of its authors' code.")
        widths.append(len(tensors[key]))
    return ResEmoteSizes(tuple(widths[:3]), widths[10], tuple(widths[3:6]), tuple(widths[6:10]))


def read_resemotenet(path: Path) -> ResEmoteNetwork:
    """The network with a checkpoint's weights. Raises LiminalError that names the first key that does not fit."""
    tensors = read_checkpoint(path)
    network = ResEmoteNetwork(read_resemotenet_sizes(tensors, path))
    fill_network(network, tensors, path)
    return network


def validate_resemotenet_options(custom: CustomModel, root: Path) -> dict[str, Any]:
    """The options ``order`` and ``labels`` filled in."""
    path = find_weights_file(root)
    return fill_label_options(custom, read_resemotenet_sizes(read_checkpoint(path), path).linear[-1], path, guess="resemotenet")


def make_resemotenet_card(custom: CustomModel) -> ModelCard:
    """The card of an added ResEmoteNet."""
    return make_checkpoint_card(custom, "ResEmoteNet, Roy et al. 2024", RESEMOTENET_SIDE)


def load_resemotenet(custom: CustomModel, device: torch.device) -> CheckpointClassifier:
    """The classifier with the weights that were added."""
    return load_checkpoint_classifier(
        custom, read_resemotenet, preprocess_resemotenet, validate_resemotenet_options, device, make_resemotenet_card(custom)
    )


# What the catalogue finds by ``core.models.custom.checkpoints:NAME``.
DAN = SimpleNamespace(make_card=make_dan_card, load_custom=load_dan, validate_options=validate_dan_options)
RESEMOTENET = SimpleNamespace(
    make_card=make_resemotenet_card, load_custom=load_resemotenet, validate_options=validate_resemotenet_options
)
