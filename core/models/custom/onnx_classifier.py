"""Emotion classifiers in ONNX files, described by a small JSON file beside each::

    {"model": "net.onnx", "input_size": 224, "mean": [123.675, 116.28, 103.53], "deviation": [58.395, 57.12, 57.375],
     "labels": ["anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]}

labels: the outputs in their order; outputs for anything but the six emotions are dropped. An output is a logit; where the network
gives shares that sum to one, ``"outputs": "probabilities"`` says so and their logarithms are taken. onnxruntime has no gradient, so
that such a network judges faces and steers none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from core.errors import LiminalError
from core.models.contracts import Classifier, ModelCard
from core.models.custom.catalogue import CustomModel
from core.models.custom.huggingface import resolve_labels
from core.models.custom.loading import describe_outputs, make_custom_card
from core.models.custom.onnx_network import OnnxDescription, OnnxNetwork, find_described_source, quantise_pictures, read_description
from core.models.custom.sources import FetchedSource, locate_source, verify_source
from core.models.emotions import EMOTIONS

LEAST_SHARE = 1e-6  # under a logarithm


@dataclass(frozen=True, kw_only=True)
class OnnxClassifierDescription(OnnxDescription):
    """The content of the JSON file. Raises LiminalError for a value that makes no sense."""

    required: ClassVar[tuple[str, ...]] = ("model", "labels")

    labels: Sequence[str]
    input_size: int = 224
    outputs: str = "logits"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.labels, list) or not all(isinstance(label, str) for label in self.labels):
            raise LiminalError(f"'labels' of the description is '{self.labels}'; it lists the outputs' names in their order.")

    def list_choices(self) -> Mapping[str, tuple[str, ...]]:
        return {**super().list_choices(), "outputs": ("logits", "probabilities")}


class OnnxClassifier(Classifier):
    """Takes the whole image as a tight face, one after the other, so that neighbours cannot change a result."""

    differentiable: ClassVar[bool] = False

    def __init__(self, network: OnnxNetwork, order: Sequence[int], card: ModelCard) -> None:
        self.card, self.device = card, torch.device("cpu")
        self.network, self.order = network, list(order)
        description = network.description
        assert isinstance(description, OnnxClassifierDescription)
        self.shares = description.outputs == "probabilities"
        if network.outputs != len(description.labels):
            raise LiminalError(
                f"{description.model} has {network.outputs} outputs, its description names {len(description.labels)} labels."
            )

    def logits(self, images: Tensor) -> Tensor:
        side = self.network.description.input_size
        with torch.no_grad():
            sized = interpolate(images.detach().float().cpu(), size=(side, side), mode="bilinear", antialias=True)
        rows = [self.network.run(picture)[self.order] for picture in quantise_pictures(sized)]
        values = np.stack(rows) if rows else np.empty((0, len(EMOTIONS)), np.float32)
        if self.shares:
            values = np.log(np.maximum(values, LEAST_SHARE))
        return torch.from_numpy(values)


def find_source(source: str) -> FetchedSource:
    """The description and its network."""
    return find_described_source(source, OnnxClassifierDescription)


def list_outputs(custom: CustomModel) -> dict[int, str]:
    """Output number -> label, by the description."""
    return _name_outputs(locate_source(custom))


def _name_outputs(root: Path) -> dict[int, str]:
    return dict(enumerate(read_description(root, OnnxClassifierDescription).labels))


def validate_options(custom: CustomModel, root: Path) -> dict[str, Any]:
    """The option ``labels`` filled with what the description's labels mean, so that it can be read and corrected."""
    return {**custom.options, "labels": resolve_labels(custom.options.get("labels", {}), _name_outputs(root))}


def make_card(custom: CustomModel) -> ModelCard:
    """The card of an added classifier."""
    size = read_description(locate_source(custom), OnnxClassifierDescription).input_size
    return make_custom_card(custom, f"{custom.source} (ONNX), {describe_outputs(custom)}", input_size=size)


def load_custom(custom: CustomModel, device: torch.device) -> OnnxClassifier:
    """The classifier with the weights that were added; pictures are sized on the CPU, whatever the device."""
    path = verify_source(custom)
    description = read_description(path, OnnxClassifierDescription)
    labels = validate_options(custom, path)["labels"]
    network = OnnxNetwork(path.parent / description.model, description, "ONNX classifiers", device)
    return OnnxClassifier(network, [labels[emotion] for emotion in EMOTIONS], make_card(custom))
