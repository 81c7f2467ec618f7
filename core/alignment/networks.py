"""The classifiers that learn: copies of the registry's networks, whose shared originals never change.

Batch normalisation keeps its published statistics: a batch here is a few dozen faces of one generator.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

from core.alignment.configuration import TrainedPart, list_all_learners
from core.errors import LiminalError
from core.models import registry
from core.models.builtin.emotion_mlp import EmotionMLP
from core.models.builtin.fer import MiniXception, MiniXceptionNetwork, TanhCNN, TanhCNNNetwork
from core.models.contracts import Classifier, ClassifierFrame
from core.models.emotions import EMOTIONS
from core.models.framing import frame_for_classifiers
from core.models.preprocessing import to_grey

FORWARD_BATCH = 256
"""Rows of a forward pass without training."""


class Learner(nn.Module):
    """A network as its body and its last layer: prepared inputs (N, ...) -> logits (N, 6) over EMOTIONS."""

    def __init__(self, name: str, body: nn.Module, head: nn.Module, order: Sequence[int] | None = None) -> None:
        super().__init__()
        self.name, self.body, self.head = name, body, head
        self.order = list(order) if order is not None else None
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.from_features(self.body(inputs))

    def from_features(self, features: Tensor) -> Tensor:
        """The body's features -> logits (N, 6)."""
        scores = cast(Tensor, self.head(features))
        return scores if self.order is None else scores[:, self.order]

    def learning(self, part: TrainedPart) -> list[nn.Parameter]:
        """Set which weights are trained -> these weights."""
        for parameter in self.parameters():
            parameter.requires_grad_(part == "all")
        chosen = list(self.parameters()) if part == "all" else list(self.head.parameters())
        for parameter in chosen:
            parameter.requires_grad_(True)
        return chosen

    def check(self, inputs: Tensor) -> None:
        """Raises LiminalError where the network does not name all six emotions."""
        with torch.no_grad():
            try:
                width = self(inputs[:1]).shape[1]
            except IndexError:
                width = -1
        if width != len(EMOTIONS):
            raise LiminalError(
                f"The classifier {self.name} does not name all of {', '.join(EMOTIONS)}; a classifier that lacks an emotion cannot "
                f"learn from people who saw it, so choose another one."
            )

    def clone(self) -> Learner:
        """An independent copy."""
        return copy.deepcopy(self)


class _SpatialMean(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean(dim=(2, 3))


class _TanhBody(nn.Module):
    """The tanh network up to its last layer."""

    def __init__(self, network: TanhCNNNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> Tensor:
        return torch.relu(self.network.features(faces))


def load_learner(name: str) -> Learner:
    """A copy of a classifier's network, ready to learn, on the CPU. Raises LiminalError for one that cannot."""
    if name not in (learners := list_all_learners()):
        raise LiminalError(f"'{name}' is no classifier that can learn from people; there are {', '.join(learners)}.")
    return _copy_network(registry.load(name, "classifier"))


def _copy_network(classifier: Classifier) -> Learner:
    with torch.inference_mode(False):
        if isinstance(classifier, EmotionMLP):
            mlp = copy.deepcopy(classifier.network).cpu()
            return Learner(classifier.name, nn.Sequential(*list(mlp)[:-1]), mlp[-1])
        if isinstance(classifier, MiniXception):
            mini: MiniXceptionNetwork = copy.deepcopy(classifier.network).cpu()
            # plain memory order: a gradient through its depthwise layers in channels-last order crashes oneDNN (torch 2.14.1)
            mini = mini.to(memory_format=torch.contiguous_format)
            body = nn.Sequential(mini.stem, mini.blocks)
            return Learner(classifier.name, body, nn.Sequential(mini.head, _SpatialMean()), classifier.emotion_order)
        assert isinstance(classifier, TanhCNN)
        tanh: TanhCNNNetwork = copy.deepcopy(classifier.network).cpu()
        head, tanh.fc3 = tanh.fc3, cast(nn.Linear, nn.Identity())
        return Learner(classifier.name, _TanhBody(tanh), head, classifier.emotion_order)


def prepare_inputs(name: str, images: Tensor, frame: ClassifierFrame = "whole") -> Tensor:
    """Images (N, 3, H, W) in [0, 1] -> the inputs of a classifier's network: embeddings (N, E), or grey faces (N, 1, S, S).

    frame: what the classifier is shown of these images.
    """
    classifier = registry.load(name, "classifier")
    with torch.inference_mode():
        images = frame_for_classifiers(images, frame)
        if isinstance(classifier, EmotionMLP):
            rows = classifier.encoder.embed(images)
        else:
            rows = to_grey(images, classifier.card.input_size)
            rows = rows * 2 - 1 if isinstance(classifier, MiniXception) else rows
    with torch.inference_mode(False):
        return rows.float().cpu().clone()  # one made in inference mode could take part in no gradient


def compute_features(network: Learner, inputs: Tensor) -> Tensor:
    """The features of all inputs, the output of a network's body, without gradient."""
    with torch.no_grad():
        return torch.cat([network.body(inputs[start : start + FORWARD_BATCH]) for start in range(0, len(inputs), FORWARD_BATCH)])


def predict_probabilities(network: Learner, inputs: Tensor) -> Tensor:
    """Probabilities (N, 6), without gradient."""
    with torch.no_grad():
        rows = [network(inputs[start : start + FORWARD_BATCH]) for start in range(0, len(inputs), FORWARD_BATCH)]
    return softmax(torch.cat(rows), dim=1)
