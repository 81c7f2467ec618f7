"""The networks of the check on a GPU with random weights: the architectures that the product runs, in their sizes or tiny."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import sdxl_networks
from benchmarks.sdxl_networks import SDXLSizes
from core.models.builtin.prior import UViT, UViTConfiguration
from core.models.custom.stylegan2 import StyleGAN2Network, StyleGAN2Sizes

CHUNK = 4
"""Rows of a chunk in the engine check: that of most built-in networks."""

SEED = 7


@dataclass(frozen=True)
class NetworkSizes:
    """Sizes of the random networks and the amount of work; the defaults are those of a GPU."""

    resolution: int = 1024  # of StyleGAN2, config F
    width: int = 512  # most channels of StyleGAN2, and its z and w
    uvit: UViTConfiguration = field(default_factory=lambda: UViTConfiguration(64, 16, 768, 12, 12))  # CoCoG-2's
    sdxl: SDXLSizes = field(default_factory=SDXLSizes)
    latent: int = 64  # side of SDXL's latents where it is timed; a quarter of the area where it is compared
    tokens: int = 77
    heads: int = 4  # of DAN
    share: int = 1  # the widths of ResEmoteNet are divided by it
    seconds: float = 4.0  # of timing, for each speed
    requests: int = 60  # of one row, for each stream
    memory_side: int = 64  # pixels of the images in the memory check; 256 on CUDA


FULL = NetworkSizes()
SMALL = NetworkSizes(
    resolution=32,
    width=16,
    uvit=UViTConfiguration(),
    sdxl=SDXLSizes(channels=(64, 128), depths=(0, 1), context=32, pooled=16, decoder_channels=(16, 32), groups=8),
    latent=8,
    tokens=5,
    heads=1,
    share=8,
    seconds=0.05,
    requests=2,
    memory_side=32,
)


@dataclass(frozen=True)
class Case:
    """A network with random weights to be compared with itself on the CPU, and in ``half`` where the product runs it so."""

    name: str
    make: Callable[[], nn.Module]
    inputs: Callable[[torch.Generator], tuple[Tensor, ...]]
    half: torch.dtype | None = None
    casts_inputs: bool = True  # in half precision; False: the network does so itself
    redraw: bool = True  # weights by He's rule: PyTorch's own let the signal fade from layer to layer
    large: bool = False  # weights are drawn on the device, which is faster


class StyleGAN2Pictures(nn.Module):
    """z (N, z_dim) -> pictures (N, 3, size, size), not cut off; ``precision`` is that of the highest four resolutions."""

    def __init__(self, resolution: int, width: int, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        base = 64 * width  # config F: 512 channels up to 64 pixels, then half as many for every doubling
        channels = {2**power: min(width, base // 2**power) for power in range(2, resolution.bit_length())}
        self.network = StyleGAN2Network(StyleGAN2Sizes(width, width, 0, 0, (width,) * 8, channels))
        for name, parameter in self.network.named_parameters():
            if name.endswith("noise_strength"):
                parameter.data.fill_(0.1)  # 0 at first: the noise would not be checked
        self.precision = precision

    def forward(self, z: Tensor) -> Tensor:
        network = self.network
        pictures: Tensor = network.synthesis(network.styles(network.mapping(z)), True, 256.0, self.precision)
        return pictures


Inputs = Callable[[torch.Generator], tuple[Tensor, ...]]
"""Inputs of a network, drawn from a generator."""


def draw_noise(*shape: int) -> Inputs:
    """One input of standard normal values."""
    return lambda random: (torch.randn(shape, generator=random),)


def draw_images(count: int, channels: int, side: int) -> Inputs:
    """One input of images of noise in [0, 1]."""
    return lambda random: (torch.rand(count, channels, side, side, generator=random),)


def draw_steps(count: int, configuration: UViTConfiguration) -> Inputs:
    """Noised embeddings and their steps of the schedule."""
    return lambda random: (torch.randn(count, configuration.embedding_dim, generator=random), torch.arange(count) * 200.0)


def _network(module: str, name: str, *arguments: Any) -> Callable[[], nn.Module]:
    """Make a network of ``core.models``; its module is imported then, as some of them need packages that may be missing."""

    def make() -> nn.Module:
        network: nn.Module = getattr(importlib.import_module(f"core.models.{module}"), name)(*arguments)
        return network

    return make


def _resemotenet(share: int) -> nn.Module:
    """Of the published widths divided by ``share``."""
    module = importlib.import_module("core.models.custom.checkpoints")
    widths = [tuple(width // share for width in layers) for layers in ((64, 128, 256), (512, 1024, 2048), (1024, 512, 256))]
    network: nn.Module = module.ResEmoteNetwork(module.ResEmoteSizes(widths[0], 16 // share, widths[1], (*widths[2], 7)))
    return network


STREAMED = ("DCGAN", "dlib ResNet", "U-ViT prior")
"""Networks of the engine check."""


def list_cases(sizes: NetworkSizes) -> list[Case]:
    """The architectures, in the product's sizes where these are small, else in those of ``sizes``."""
    sdxl, half_side = sizes.sdxl, sizes.latent // 2
    rows = CHUNK + 1

    def unet_inputs(random: torch.Generator) -> tuple[Tensor, ...]:
        shapes = ((1, sdxl_networks.LATENT_CHANNELS, half_side, half_side), (1, sizes.tokens, sdxl.context), (1, sdxl.pooled))
        return tuple(torch.randn(shape, generator=random) for shape in shapes)

    return [
        Case("DCGAN", _network("builtin.dcgan", "DCGANNetwork"), draw_noise(rows, 100, 1, 1), torch.bfloat16),
        Case(
            "dlib ResNet",
            _network("builtin.dlib_recogniser", "DlibResNet"),
            draw_images(2, 3, 150),
            torch.bfloat16,
            casts_inputs=False,
        ),
        Case("mini-XCEPTION", _network("builtin.fer", "MiniXceptionNetwork"), draw_images(rows, 1, 64)),
        Case("Tanh CNN", _network("builtin.fer", "TanhCNNNetwork"), draw_images(rows, 1, 48)),
        Case("Small CNN", _network("builtin.fer", "SmallCNNNetwork"), draw_images(rows, 1, 48)),
        Case("ResEmoteNet", lambda: _resemotenet(sizes.share), draw_images(2, 3, 64)),
        Case("DAN", _network("custom.checkpoints", "DANNetwork", 8, sizes.heads), draw_images(1, 3, 224), redraw=False),
        Case("U-ViT prior", lambda: UViT(sizes.uvit), draw_steps(rows, sizes.uvit)),
        Case("CoCoG U-ViT prior", _network("custom.cocog", "CocogUViT", sizes.uvit), draw_steps(rows, sizes.uvit)),
        Case(
            f"StyleGAN2, {sizes.resolution} pixels",
            lambda: StyleGAN2Pictures(sizes.resolution, sizes.width),
            draw_noise(2, sizes.width),
            torch.float16,
            redraw=False,  # equalised learning rate: weights of variance one are scaled at run time
        ),
        Case("SDXL-sized U-Net", lambda: sdxl_networks.make_unet(sdxl), unet_inputs, torch.float16, redraw=False, large=True),
        Case(
            "SDXL-sized VAE decoder",  # float32 in the product too: diffusers' pipeline decodes so, as float16 overflows
            lambda: sdxl_networks.make_decoder(sdxl),
            draw_noise(1, sdxl_networks.LATENT_CHANNELS, half_side, half_side),
            redraw=False,
        ),
    ]


def build(case: Case, device: torch.device) -> nn.Module:
    """The network of a case with seeded random weights, on the CPU; those of a large one are drawn on the device."""
    with torch.random.fork_rng(), torch.device(device if case.large else "cpu"):
        torch.manual_seed(SEED)
        network = case.make().eval().requires_grad_(False)
        if case.redraw:
            for parameter in network.parameters():
                if parameter.dim() > 1:  # He et al. 2015 (arXiv:1502.01852), equation 10
                    parameter.data.normal_(std=(2 / parameter[0].numel()) ** 0.5)
    needed = sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())
    if case.large and 1.5 * needed > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        raise MemoryError  # else the system would end the process
    return network.to("cpu")


def to_device(network: nn.Module, device: torch.device) -> nn.Module:
    """The network on the device."""
    return network.to(device)


def write_onnx_network(folder: Path) -> Path:
    """A small convolutional network with random weights, pictures (1, 3, 64, 64) to 32 values -> its file."""
    onnx = importlib.import_module("onnx")  # an optional package
    random = np.random.default_rng(SEED)
    shapes = {"kernel": (16, 3, 3, 3), "spread": (16, 16, 3, 3), "last": (16, 32)}
    weights = {name: random.normal(size=shape, scale=0.2).astype(np.float32) for name, shape in shapes.items()}
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    nodes = [
        node("Conv", ["pictures", "kernel"], ["first"], strides=[2, 2]),
        node("Relu", ["first"], ["bent"]),
        node("Conv", ["bent", "spread"], ["second"], strides=[2, 2]),
        node("GlobalAveragePool", ["second"], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"]),
        node("MatMul", ["flat", "last"], ["embedding"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "random",
        [value("pictures", onnx.TensorProto.FLOAT, (1, 3, 64, 64))],
        [value("embedding", onnx.TensorProto.FLOAT, (1, 32))],
        [onnx.numpy_helper.from_array(tensor, name) for name, tensor in weights.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8  # read by older runtimes too
    path = folder / "random.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def to_half(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The network in half precision as the product runs it: StyleGAN2 in its highest resolutions alone."""
    if isinstance(network, StyleGAN2Pictures):
        network.precision = dtype
        return network
    return network.to(dtype)
