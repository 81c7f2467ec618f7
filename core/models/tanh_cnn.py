"""Emotion network of three convolutions with tanh, trained by its package's author: a third opinion, of a third kind."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from core.models.contracts import EMOTIONS, NOT_FOR, Classifier, ModelCard
from core.models.engine import gathered
from core.models.grey import grey
from core.models.mini_xception import FER_ORDER
from core.models.weights import WeightFile

CARD = ModelCard(
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

CHUNK = 4


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
    """The whole image is taken as a tight face. 'Neutral' is dropped."""

    def __init__(self, network: TanhCNNNetwork, device: torch.device) -> None:
        self.card = CARD
        self.device = device
        self.network = network.to(device).eval().requires_grad_(False)
        self.emotion_order = [FER_ORDER.index(emotion) for emotion in EMOTIONS]

    def logits(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, 6): values before softmax. Softmax over six of seven is their exact renormalisation."""
        return gathered(self.network, grey(images.to(self.device), self.card.input_size), CHUNK, keep=True)[:, self.emotion_order]


def load(device: torch.device) -> TanhCNN:
    """The classifier with its trained weights."""
    network = TanhCNNNetwork()
    network.load_state_dict(torch.load(CARD.files[0].verified(), map_location="cpu", weights_only=True))
    return TanhCNN(network, device)
