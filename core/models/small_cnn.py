"""Small emotion network of four convolutions, trained by its package's author: a second opinion beside mini-XCEPTION."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from core.models.contracts import EMOTIONS, NOT_FOR, Classifier, ModelCard
from core.models.engine import gathered
from core.models.grey import grey
from core.models.mini_xception import FER_ORDER
from core.models.weights import WeightFile

CARD = ModelCard(
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

CHUNK = 4


class SmallCNNNetwork(nn.Module):
    """Grey (N, 1, 48, 48) in [-1, 1] -> (N, 7) before the sigmoid, in FER_ORDER. Parameter names follow the weights'."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.conv_1 = _stage(1, width, 1)
        self.conv_2 = _stage(width, 2 * width, 2)
        self.conv_3 = _stage(2 * width, 4 * width, 2)
        self.conv_4 = _stage(4 * width, 8 * width, 2)
        self.linear = nn.Sequential(nn.Linear(8 * width * 6 * 6, 256), nn.ReLU(), nn.Linear(256, len(FER_ORDER)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_4(self.conv_3(self.conv_2(self.conv_1(x))))  # (N, 256, 6, 6)
        scores: Tensor = self.linear(x.flatten(1))
        return scores


def _stage(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(before, after, 3, stride), nn.BatchNorm2d(after), nn.ReLU())


class SmallCNN(Classifier):
    """The whole image is taken as a tight face. 'Neutral' is dropped.

    The network was trained with one sigmoid an emotion, so its seven outputs are not a distribution. Probabilities are here
    the six sigmoids divided by their sum, and ``logits`` are the logarithms of the sigmoids: softmax of those is the same.
    """

    def __init__(self, network: SmallCNNNetwork, device: torch.device) -> None:
        self.card = CARD
        self.device = device
        self.network = network.to(device).eval().requires_grad_(False)
        self.emotion_order = [FER_ORDER.index(emotion) for emotion in EMOTIONS]

    def logits(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, 6), at most 0; ranks within an emotion as the values before the sigmoid do."""
        return logsigmoid(self.activations(images))

    def activations(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, 6): the values before the sigmoids."""
        faces = (grey(images.to(self.device), self.card.input_size) - 0.5) / 0.5
        return gathered(self.network, faces, CHUNK, keep=True)[:, self.emotion_order]


def load(device: torch.device) -> SmallCNN:
    """The classifier with its trained weights."""
    network = SmallCNNNetwork()
    network.load_state_dict(torch.load(CARD.files[0].verified(), map_location="cpu", weights_only=True)["network"])
    return SmallCNN(network, device)
