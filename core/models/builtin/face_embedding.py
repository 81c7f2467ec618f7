"""One vector per face: descriptor, penultimate features and outputs of real networks, whitened.

The features are of a picture framed for classifiers (``framing``): dlib's descriptor of the crop where faces lie in it,
mini-XCEPTION's last feature map averaged over the image, the penultimate layer of the tanh network, and both emotion networks'
outputs. Each block is standardised and weighted; a principal component analysis of all of them keeps ``embedding_dim`` values of
variance one. The small CNN takes no part, so that it can judge what the others guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from types import SimpleNamespace

import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample

from core.models import registry
from core.models.builtin.dlib_recogniser import DlibRecogniser, chip_grid
from core.models.builtin.fer import MiniXception, TanhCNN
from core.models.contracts import NOT_FOR, Encoder, ModelCard
from core.models.device import choose_search_precision, freeze_network
from core.models.emotions import EMOTIONS
from core.models.engine.engine import batched
from core.models.preprocessing import to_grey
from core.models.trained_weights import TrainedWeights, read_trained, trained_weight_file

SOURCE = "trained here: principal components of dlib's, mini-XCEPTION's and the tanh network's features on"

CARD = ModelCard(
    name="face-embedding",
    title="Face embedding",
    kind="encoder",
    source=f"{SOURCE} generated faces",
    weights_licence="MIT (this repository)",
    data_licence="faces of the DCGAN (DigiFace-1M: non-commercial research use); see the networks whose features it takes",
    input_size=64,
    not_for=NOT_FOR["encoder"],
    files=(trained_weight_file("face-embedding"),),
)
HEAD_CARD = ModelCard(
    name="head-embedding",
    title="Face embedding of rendered heads",
    kind="encoder",
    source=f"{SOURCE} rendered heads with all expressions",
    weights_licence="MIT (this repository)",
    data_licence="rendered heads (no data of people); see the networks whose features it takes",
    input_size=64,
    not_for=NOT_FOR["encoder"],
    files=(trained_weight_file("head-embedding"),),
)

CHUNK = 4

FaceCrop = tuple[tuple[float, float], ...]
"""dlib's five landmarks in shares of the side of a picture that is framed for classifiers."""

FACE_CROPS: Mapping[str, FaceCrop] = {
    "face-embedding": ((0.7117, 0.4644), (0.5905, 0.4712), (0.2955, 0.4694), (0.4139, 0.4730), (0.4969, 0.7167)),
    "head-embedding": ((0.7260, 0.3985), (0.5955, 0.4092), (0.2740, 0.3985), (0.4045, 0.4092), (0.5000, 0.6606)),
}
"""Means of the landmarks: over 225 of 300 faces of the DCGAN, whose pictures are whole (standard deviation 0.02 to 0.03); over 159
of 160 random heads inside their detected face, made symmetric (0.02 to 0.06 across, from the turn of the head)."""

FEATURE_BLOCKS = {"dlib": 128, "mini-xception": 128, "tanh-cnn": 304, "outputs": 12}
"""The features in their order, with their numbers."""

FEATURE_WEIGHTS = {"dlib": 1.0, "mini-xception": 0.7, "tanh-cnn": 0.5, "outputs": 1.5, "probabilities": 3.0}
"""Weight of a standardised block, its size evened out; outputs and their probabilities (softmax over each network's six outputs)
count each for itself, so that expression survives."""

EMOTION_NETWORKS = ("mini-xception", "tanh-cnn")
"""The emotion networks in the embedding, and the teachers of what is trained on it."""


@dataclass(frozen=True)
class FaceFeatures:
    """The networks' features of images: values (N, 572) in the order of FEATURE_BLOCKS, and logits (N, 2, 6) of
    EMOTION_NETWORKS."""

    values: Tensor
    logits: Tensor


class FeatureNetworks:
    """The networks behind the embedding, as they were published. Differentiable."""

    def __init__(self, device: torch.device, crop: FaceCrop) -> None:
        dlib = registry.load("dlib", "recogniser", str(device))
        mini = registry.load("mini-xception", "classifier", str(device))
        tanh = registry.load("tanh-cnn", "classifier", str(device))
        assert isinstance(dlib, DlibRecogniser)
        assert isinstance(mini, MiniXception)
        assert isinstance(tanh, TanhCNN)
        self.device, self.crop = device, crop
        self.dlib, self.mini, self.tanh = dlib.fast_network, mini, tanh
        self.precision = choose_search_precision(device)

    def features(self, images: Tensor) -> FaceFeatures:
        """(N, 3, S, S) in [0, 1] -> FaceFeatures, in one chunk: the caller cuts the rows into chunks."""
        side = images.shape[3]
        grid = _make_crop_grid(side, self.crop).to(images)
        chips = grid_sample(images, grid.expand(len(images), -1, -1, -1), padding_mode="border", align_corners=True)
        descriptors = self.dlib(chips.to(self.precision).contiguous(memory_format=torch.channels_last)).float()
        maps, penultimate, logits = self._read_expressions(images)
        values = torch.cat([descriptors, maps.mean(dim=(2, 3)), penultimate, logits.flatten(1)], dim=1)
        return FaceFeatures(values, logits)

    def emotion_logits(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) in [0, 1] -> logits (N, 2, 6) of EMOTION_NETWORKS, in one chunk."""
        return self._read_expressions(images)[2]

    def _read_expressions(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """-> mini-XCEPTION's last maps, the tanh network's penultimate layer, both networks' logits (N, 2, 6)."""
        maps = self.mini.network.maps(to_grey(images, self.mini.card.input_size) * 2 - 1)
        mini = self.mini.network.head(maps).mean(dim=(2, 3))[:, self.mini.emotion_order]
        penultimate = self.tanh.network.features(to_grey(images, self.tanh.card.input_size))
        tanh = self.tanh.network.fc3(torch.relu(penultimate))[:, self.tanh.emotion_order]
        return maps, penultimate, torch.stack([mini, tanh], dim=1)


@lru_cache(maxsize=8)
def _make_crop_grid(side: int, crop: FaceCrop) -> Tensor:
    """The fixed crop as a grid (1, 150, 150, 2), the same for all images of a size."""
    with torch.inference_mode(False):  # a grid made in inference mode cannot take part in a gradient
        return chip_grid(torch.tensor(crop, dtype=torch.float64)[None] * side, (side, side))


class Whitening(nn.Module):
    """Features (N, 572) -> embeddings (N, E): probabilities added, minus the mean, times the projection."""

    mean: Tensor
    projection: Tensor
    spread: Tensor
    """(E,): standard deviation of each component before it was whitened; components that tell expressions apart have a large
    one."""

    def __init__(self, features: int, embedding_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features + FEATURE_BLOCKS["outputs"]))
        self.register_buffer("projection", torch.zeros(features + FEATURE_BLOCKS["outputs"], embedding_dim))
        self.register_buffer("spread", torch.ones(embedding_dim))

    def forward(self, features: Tensor) -> Tensor:
        return (append_probabilities(features) - self.mean) @ self.projection


def append_probabilities(features: Tensor) -> Tensor:
    """(N, 572) -> (N, 584): behind the outputs of the emotion networks, their probabilities."""
    outputs = features[:, -FEATURE_BLOCKS["outputs"] :].view(len(features), len(EMOTION_NETWORKS), len(EMOTIONS))
    return torch.cat([features, outputs.softmax(dim=2).flatten(1)], dim=1)


class FaceEmbedding(Encoder):
    """Images of any square size -> (N, embedding_dim)."""

    def __init__(self, networks: FeatureNetworks, whitening: Whitening, card: ModelCard = CARD) -> None:
        self.card = card
        self.networks = networks
        self.device = networks.device
        self.whitening = freeze_network(whitening, networks.device)
        self.embedding_dim = whitening.projection.shape[1]
        self.spread = self.whitening.spread

    def embed(self, images: Tensor) -> Tensor:
        return batched(self._embeddings, images.to(self.device), CHUNK, cache=True)

    def _embeddings(self, images: Tensor) -> Tensor:
        values: Tensor = self.whitening(self.networks.features(images).values)
        return values


def read_whitening(trained: TrainedWeights) -> Whitening:
    """The stored whitening."""
    whitening = Whitening(sum(FEATURE_BLOCKS.values()), int(trained.configuration["embedding_dim"]))
    trained.fill_network(whitening)
    return whitening


def _load(device: torch.device, card: ModelCard) -> FaceEmbedding:
    """The encoder with its stored whitening."""
    assert len(EMOTIONS) * len(EMOTION_NETWORKS) == FEATURE_BLOCKS["outputs"]
    return FaceEmbedding(FeatureNetworks(device, FACE_CROPS[card.name]), read_whitening(read_trained(card.name)), card)


# What the registry finds by ``core.models.builtin.face_embedding:NAME``.
FACE_EMBEDDING = SimpleNamespace(CARD=CARD, load=partial(_load, card=CARD))
HEAD_EMBEDDING = SimpleNamespace(CARD=HEAD_CARD, load=partial(_load, card=HEAD_CARD))
