"""StyleGAN2's generator (Karras et al. 2020, arXiv:1912.04958; ADA version arXiv:2006.06676) in plain PyTorch, inference only.

Modules, parameters and buffers are named as in the official ``networks_stylegan2.Generator`` of stylegan3 and ``Generator`` of
stylegan2-ada-pytorch, so that a ``G_ema`` state dict loads strictly. No custom kernels: filters are grouped convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, linear, one_hot, pad

SLOPE = 0.2  # of leaky ReLU on the negative side
GAIN = math.sqrt(2)  # keeps the variance behind leaky ReLU
HALF_RESOLUTIONS = 4
"""The highest so many may be computed in half precision, as the official networks are trained (``num_fp16_res``)."""
LEAST_HALF = 8  # the official networks never have a smaller one in half precision
TINY = 1e-30  # under a division, where all weights of a filter are zero
MAPPING_RATE = 0.01  # the mapping network's learning rate multiplier, which scales its weights at run time


@dataclass(frozen=True)
class StyleGAN2Sizes:
    """Everything about the network that its state dict tells."""

    z_dim: int
    w_dim: int
    classes: int  # 0: unconditional
    class_features: int
    mapping: tuple[int, ...]  # outputs of each mapping layer
    channels: Mapping[int, int]  # by resolution: 4, 8, ..., image size
    image_channels: int = 3

    @property
    def image_size(self) -> int:
        return max(self.channels)


class FullyConnectedLayer(nn.Module):
    """x W^T g + b r: weights are kept at unit variance and scaled at run time (equalised learning rate)."""

    def __init__(self, inputs: int, outputs: int, activate: bool = False, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.gain, self.rate, self.activate = rate / math.sqrt(inputs), rate, activate

    def forward(self, x: Tensor) -> Tensor:
        x = linear(x, self.weight * self.gain, self.bias * self.rate)
        return leaky_relu(x, SLOPE) * GAIN if self.activate else x


def normalised(x: Tensor) -> Tensor:
    """Rows (N, D) scaled to a mean square of one."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class MappingNetwork(nn.Module):
    """z (N, z_dim) and a class (or None) -> w (N, w_dim)."""

    w_avg: Tensor

    def __init__(self, sizes: StyleGAN2Sizes) -> None:
        super().__init__()
        self.classes, self.layers = sizes.classes, len(sizes.mapping)
        if sizes.classes:
            self.embed = FullyConnectedLayer(sizes.classes, sizes.class_features)
        widths = [sizes.z_dim + (sizes.class_features if sizes.classes else 0), *sizes.mapping]
        for number in range(self.layers):
            self.add_module(
                f"fc{number}", FullyConnectedLayer(widths[number], widths[number + 1], activate=True, rate=MAPPING_RATE)
            )
        self.register_buffer("w_avg", torch.zeros(sizes.w_dim))

    def forward(self, z: Tensor, label: int = 0) -> Tensor:
        x = normalised(z)
        if self.classes:
            chosen = one_hot(torch.full((len(z),), label, device=z.device), self.classes).to(z)
            x = torch.cat([x, normalised(self.embed(chosen))], dim=1)
        for number in range(self.layers):
            x = self.get_submodule(f"fc{number}")(x)
        return x


def smooth(x: Tensor, taps: Tensor, padding: Sequence[int], gain: float) -> Tensor:
    """Convolve every channel with ``taps`` (h, w) after padding (left, right, top, bottom)."""
    x = pad(x, list(padding))
    kernel = (taps * gain).flip([0, 1]).to(x.dtype)[None, None].expand(x.shape[1], 1, -1, -1)
    return conv2d(x, kernel, groups=x.shape[1])


def upsampled(images: Tensor, taps: Tensor) -> Tensor:
    """Twice the size: zeros between the pixels, then the filter (official ``upsample2d``)."""
    n, channels, height, width = images.shape
    spread = pad(images[:, :, :, None, :, None], [0, 1, 0, 0, 0, 1]).reshape(n, channels, 2 * height, 2 * width)
    size = taps.shape[0]
    return smooth(spread, taps, [(size + 1) // 2, (size - 2) // 2] * 2, 4.0)


class SynthesisLayer(nn.Module):
    """Modulated 3 x 3 convolution (paper, section 2.2, equations 1 and 3), at twice the size where ``up``, noise, activation."""

    resample_filter: Tensor
    noise_const: Tensor

    def __init__(self, before: int, after: int, w_dim: int, resolution: int, up: bool) -> None:
        super().__init__()
        self.up = up
        self.affine = FullyConnectedLayer(w_dim, before, bias=1.0)
        self.weight = nn.Parameter(torch.randn(after, before, 3, 3))
        self.register_buffer("resample_filter", _taps())
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(after))

    def forward(self, x: Tensor, w: Tensor, noise: bool, clamp: float | None) -> Tensor:
        """x may be of half precision, w is float32; x's type is kept."""
        styles, half = self.affine(w), x.dtype  # (N, before)
        weight: Tensor = self.weight
        if half != weight.dtype:
            # Demodulation takes any common factor out again, so that small numbers cannot overflow (official ``modulated_conv2d``).
            weight = weight / (weight.abs().amax(dim=(1, 2, 3), keepdim=True) * math.sqrt(weight[0].numel())).clamp_min(TINY)
            styles = styles / styles.abs().amax(dim=1, keepdim=True).clamp_min(TINY)
        # Scaling inputs and outputs is scaling the weights (equation 1), without weights of their own for every row.
        power = weight.square().sum(dim=(2, 3))  # (after, before)
        demodulation = (styles.square() @ power.T + 1e-8).rsqrt()  # equation 3
        x, weight = x * styles[:, :, None, None].to(half), weight.to(half)
        if self.up:
            # Upsampling, filter and convolution commute: the transposed convolution skips the zeros between the pixels.
            x = conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            size = self.resample_filter.shape[0]
            x = smooth(x, self.resample_filter, [(size + 1) // 2 - 1, size // 2 - 1] * 2, 4.0)
        else:
            x = conv2d(x, weight, padding=1)
        x = x * demodulation[:, :, None, None].to(half)
        if noise:
            x = x + (self.noise_const * self.noise_strength).to(half)
        x = leaky_relu(x + self.bias[:, None, None].to(half), SLOPE) * GAIN
        return x if clamp is None else x.clamp(-clamp, clamp)


class ToRGBLayer(nn.Module):
    """Modulated 1 x 1 convolution without demodulation: features -> picture."""

    def __init__(self, before: int, after: int, w_dim: int) -> None:
        super().__init__()
        self.affine = FullyConnectedLayer(w_dim, before, bias=1.0)
        self.weight = nn.Parameter(torch.randn(after, before, 1, 1))
        self.bias = nn.Parameter(torch.zeros(after))
        self.gain = 1 / math.sqrt(before)

    def forward(self, x: Tensor, w: Tensor, clamp: float | None) -> Tensor:
        """x may be of half precision; the picture is of w's."""
        styles, half = self.affine(w) * self.gain, x.dtype
        x = conv2d(x * styles[:, :, None, None].to(half), self.weight.to(half)) + self.bias[:, None, None].to(half)
        return (x if clamp is None else x.clamp(-clamp, clamp)).to(w.dtype)


class SynthesisBlock(nn.Module):
    """One resolution: the first starts from a learned constant; each adds its picture to the enlarged one before ('skip')."""

    resample_filter: Tensor

    def __init__(self, before: int, after: int, resolution: int, sizes: StyleGAN2Sizes) -> None:
        super().__init__()
        self.first = before == 0
        self.register_buffer("resample_filter", _taps())
        if self.first:
            self.const = nn.Parameter(torch.randn(after, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(before, after, sizes.w_dim, resolution, up=True)
        self.conv1 = SynthesisLayer(after, after, sizes.w_dim, resolution, up=False)
        self.torgb = ToRGBLayer(after, sizes.image_channels, sizes.w_dim)

    @property
    def convolutions(self) -> int:
        return 1 if self.first else 2

    def forward(
        self, x: Tensor | None, picture: Tensor | None, ws: Tensor, noise: bool, clamp: float | None, precision: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        x = self.const[None].expand(len(ws), -1, -1, -1) if x is None else self.conv0(x.to(precision), ws[:, 0], noise, clamp)
        x = self.conv1(x, ws[:, self.convolutions - 1], noise, clamp)
        drawn = self.torgb(x, ws[:, self.convolutions], clamp)
        return x, drawn if picture is None else upsampled(picture, self.resample_filter) + drawn


class SynthesisNetwork(nn.Module):
    """ws (N, num_ws, w_dim) -> pictures (N, image_channels, size, size), about [-1, 1]."""

    def __init__(self, sizes: StyleGAN2Sizes) -> None:
        super().__init__()
        self.resolutions = sorted(sizes.channels)
        self.num_ws = 2 * len(self.resolutions)
        before = 0
        for resolution in self.resolutions:
            self.add_module(f"b{resolution}", SynthesisBlock(before, sizes.channels[resolution], resolution, sizes))
            before = sizes.channels[resolution]

    def forward(self, ws: Tensor, noise: bool = True, clamp: float | None = None, precision: torch.dtype = torch.float32) -> Tensor:
        """precision: of the HALF_RESOLUTIONS highest resolutions; the others, and the pictures of all, are of the weights'."""
        x = picture = None
        place = 0
        halved = max(2 * self.resolutions[-1] >> HALF_RESOLUTIONS, LEAST_HALF) if precision != torch.float32 else math.inf
        for resolution in self.resolutions:
            block = self.get_submodule(f"b{resolution}")
            assert isinstance(block, SynthesisBlock)
            # a block's picture shares its w with the next block's first convolution
            computed = precision if resolution >= halved else ws.dtype
            x, picture = block(x, picture, ws[:, place : place + block.convolutions + 1], noise, clamp, computed)
            place += block.convolutions
        result: Tensor | None = picture
        assert result is not None
        return result


class StyleGAN2Network(nn.Module):
    """``mapping`` and ``synthesis``, as the official Generator holds them."""

    def __init__(self, sizes: StyleGAN2Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.synthesis = SynthesisNetwork(sizes)
        self.mapping = MappingNetwork(sizes)

    def styles(self, w: Tensor) -> Tensor:
        """One w a row, for every layer: (N, w_dim) -> (N, num_ws, w_dim)."""
        return w[:, None].expand(-1, self.synthesis.num_ws, -1)

    def forward(self, z: Tensor, truncation: float = 1.0, label: int = 0, clamp: float | None = None) -> Tensor:
        w = self.mapping.w_avg.lerp(self.mapping(z, label), truncation)
        pictures: Tensor = self.synthesis(self.styles(w), True, clamp)
        return pictures


def _taps() -> Tensor:
    """The binomial filter 1 3 3 1 in two dimensions, summing to one."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    taps = torch.outer(taps, taps)
    return taps / taps.sum()
