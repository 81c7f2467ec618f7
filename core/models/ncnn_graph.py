"""Networks in ncnn's format (a text graph and a binary of weights), rebuilt in PyTorch: batched and differentiable.

Only the layers that Real-ESRGAN's two networks use are known; any other is refused with its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.errors import LiminalError

HALF_PRECISION_TAG = 0x01306B47
"""ncnn's mark in front of weights stored in 16 bits."""


@dataclass(frozen=True)
class Layer:
    """One line of the ``.param`` text: what it does, from which blobs to which, with which numbered parameters."""

    operation: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: dict[int, list[float]]

    def number(self, key: int, default: float = 0.0) -> float:
        """The first value of a parameter."""
        return self.parameters.get(key, [default])[0]


class NcnnNetwork(nn.Module):
    """(N, 3, H, W) in [0, 1] -> the graph's last blob."""

    def __init__(self, layers: list[Layer], weights: bytes) -> None:
        super().__init__()
        self.layers = layers
        self.modules_by_name = nn.ModuleDict()
        reader = _WeightReader(weights)
        channels: dict[str, int] = {}
        for layer in layers:
            made = _module(layer, reader, channels)
            if made is not None:
                self.modules_by_name[layer.name] = made
        if reader.offset != len(weights):
            raise ValueError(f"{len(weights) - reader.offset} bytes of weights are left over")
        # a blob is let go after its last reader, which keeps the memory of long graphs flat
        self.last_use = {name: index for index, layer in enumerate(layers) for name in layer.inputs}

    def forward(self, images: Tensor) -> Tensor:
        blobs: dict[str, Tensor] = {}
        result = images
        for index, layer in enumerate(self.layers):
            inputs = [blobs[name] for name in layer.inputs]
            if layer.operation == "Input":
                result = images
            elif layer.name in self.modules_by_name:
                result = self.modules_by_name[layer.name](inputs[0])
            else:
                result = _apply(layer, inputs)
            for name in layer.inputs:
                if self.last_use[name] == index:
                    del blobs[name]
            for name in layer.outputs:
                blobs[name] = result
        return result


def read_network(param: Path, binary: Path) -> NcnnNetwork:
    """The network of a ``.param`` and ``.bin`` pair. Raises LiminalError where the files do not fit together."""
    try:
        return NcnnNetwork(_parse(param.read_text()), binary.read_bytes())
    except (ValueError, IndexError, KeyError) as error:
        raise LiminalError(f"{param} and {binary.name} are not a network that can be read: {error}; run 'make weights'.") from error


def _parse(text: str) -> list[Layer]:
    lines = text.split("\n")
    if lines[0].strip() != "7767517":
        raise ValueError("the text is no ncnn graph")
    layers = []
    for line in lines[2:]:
        words = line.split()
        if not words:
            continue
        operation, name, count_in, count_out = words[0], words[1], int(words[2]), int(words[3])
        blobs, settings = words[4 : 4 + count_in + count_out], words[4 + count_in + count_out :]
        parameters: dict[int, list[float]] = {}
        for setting in settings:
            key_text, _, value = setting.partition("=")
            key = int(key_text)
            if key <= -23300:  # an array: its length comes first
                parameters[-key - 23300] = [float(v) for v in value.split(",")[1:]]
            else:
                parameters[key] = [float(value)]
        layers.append(Layer(operation, name, tuple(blobs[:count_in]), tuple(blobs[count_in:]), parameters))
    return layers


class _WeightReader:
    """Reads weights in the order of the layers."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def floats(self, count: int) -> NDArray[np.float32]:
        """Plain 32-bit values."""
        values = np.frombuffer(self.data, "<f4", count, self.offset)
        self.offset += values.nbytes
        return values

    def tagged(self, count: int) -> NDArray[np.float32]:
        """Values behind a tag that says in how many bits they are stored."""
        tag = int.from_bytes(self.data[self.offset : self.offset + 4], "little")
        self.offset += 4
        if tag == 0:
            return self.floats(count)
        if tag != HALF_PRECISION_TAG:
            raise ValueError(f"unknown storage of weights {tag:#x}")
        values = np.frombuffer(self.data, "<f2", count, self.offset).astype(np.float32)
        self.offset += (count * 2 + 3) // 4 * 4  # aligned to four bytes
        return values


def _module(layer: Layer, reader: _WeightReader, channels: dict[str, int]) -> nn.Module | None:
    """The layer's module if it has weights; ``channels`` keeps each blob's number of channels."""
    incoming = [channels[name] for name in layer.inputs]
    made: nn.Module | None = None
    outgoing = incoming[0] if incoming else 3
    if layer.operation == "Convolution":
        made = _convolution(layer, incoming[0], reader)
        outgoing = int(layer.number(0))
    elif layer.operation == "PReLU":
        count = int(layer.number(0))
        made = nn.PReLU(count)
        made.weight.data.copy_(torch.from_numpy(reader.floats(count).copy()))
    elif layer.operation == "Concat":
        outgoing = sum(incoming)
    elif layer.operation == "PixelShuffle":
        outgoing = incoming[0] // int(layer.number(0)) ** 2
    elif layer.operation not in ("Input", "Split", "Interp", "BinaryOp", "Eltwise"):
        raise ValueError(f"layer {layer.name} is a {layer.operation}, which is not known here")
    for name in layer.outputs:
        channels[name] = outgoing
    return made


def _convolution(layer: Layer, channels: int, reader: _WeightReader) -> nn.Module:
    outgoing, kernel, padding = int(layer.number(0)), int(layer.number(1)), int(layer.number(4))
    convolution = nn.Conv2d(channels, outgoing, kernel, padding=padding, bias=bool(layer.number(5)))
    weights = reader.tagged(int(layer.number(6)))
    convolution.weight.data.copy_(torch.from_numpy(weights.reshape(tuple(convolution.weight.shape))))
    if convolution.bias is not None:
        convolution.bias.data.copy_(torch.from_numpy(reader.floats(outgoing).copy()))
    activation = int(layer.number(9))
    if activation == 0:
        return convolution
    if activation == 2:
        return nn.Sequential(convolution, nn.LeakyReLU(layer.number(10), inplace=True))
    raise ValueError(f"layer {layer.name} has activation {activation}, which is not known here")


def _apply(layer: Layer, inputs: list[Tensor]) -> Tensor:
    """Layers without weights."""
    if layer.operation == "Split":
        return inputs[0]
    if layer.operation == "Concat":
        return torch.cat(inputs, dim=1)
    if layer.operation == "PixelShuffle":
        return functional.pixel_shuffle(inputs[0], int(layer.number(0)))
    if layer.operation == "Interp":  # 1 = nearest
        scale = layer.number(1)
        return functional.interpolate(inputs[0], scale_factor=scale, mode="nearest" if layer.number(0) == 1 else "bilinear")
    factors = layer.parameters.get(1 if layer.operation == "Eltwise" else -1, [1.0, 1.0])
    return factors[0] * inputs[0] + factors[1] * inputs[1]
