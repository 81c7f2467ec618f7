"""StyleGAN2 (Karras et al. 2020) as a generator that a user adds, from the official ``G_ema`` weights of any size.

The network is the generator of Karras et al. 2020 (arXiv:1912.04958; ADA version arXiv:2006.06676) in plain PyTorch, inference
only. Modules, parameters and buffers are named as in the official ``networks_stylegan2.Generator`` of stylegan3 and ``Generator``
of stylegan2-ada-pytorch, so that a ``G_ema`` state dict loads strictly. No custom kernels: filters are grouped convolutions. The
official files are pickles with code, of which nothing is run here (``stylegan2_pickle``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, linear, one_hot, pad

from core.errors import LiminalError
from core.models.contracts import Generator, ModelCard
from core.models.custom.catalogue import CustomModel
from core.models.custom.loading import fill_network, is_number, is_whole_number, make_custom_card, read_tensors, reject_nan
from core.models.custom.sources import verify_source
from core.models.custom.stylegan2_pickle import read_clamp, read_official_pickle
from core.models.device import PRECISIONS, find_precision, freeze_network
from core.models.engine.engine import batched

SLOPE = 0.2  # of leaky ReLU on the negative side
GAIN = math.sqrt(2)  # keeps the variance behind leaky ReLU
HALF_RESOLUTIONS = 4
"""The highest so many may be computed in half precision, as the official networks are trained (``num_fp16_res``)."""
MIN_HALF_RESOLUTION = 8  # the official networks never have a smaller one in half precision
TINY = 1e-30  # under a division, where all weights of a filter are zero
MAPPING_RATE = 0.01  # the mapping network's learning rate multiplier, which scales its weights at run time


@dataclass(frozen=True)
class StyleGAN2Sizes:
    """The network's sizes, which its state dict shows."""

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


def normalise(x: Tensor) -> Tensor:
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
        x = normalise(z)
        if self.classes:
            chosen = one_hot(torch.full((len(z),), label, device=z.device), self.classes).to(z)
            x = torch.cat([x, normalise(self.embed(chosen))], dim=1)
        for number in range(self.layers):
            x = self.get_submodule(f"fc{number}")(x)
        return x


def blur(x: Tensor, taps: Tensor, padding: Sequence[int], gain: float) -> Tensor:
    """Convolve every channel with ``taps`` (h, w) after padding (left, right, top, bottom)."""
    x = pad(x, list(padding))
    kernel = (taps * gain).flip([0, 1]).to(x.dtype)[None, None].expand(x.shape[1], 1, -1, -1)
    return conv2d(x, kernel, groups=x.shape[1])


def upsample(images: Tensor, taps: Tensor) -> Tensor:
    """Twice the size: zeros between the pixels, then the filter (official ``upsample2d``)."""
    n, channels, height, width = images.shape
    spread = pad(images[:, :, :, None, :, None], [0, 1, 0, 0, 0, 1]).reshape(n, channels, 2 * height, 2 * width)
    size = taps.shape[0]
    return blur(spread, taps, [(size + 1) // 2, (size - 2) // 2] * 2, 4.0)


class SynthesisLayer(nn.Module):
    """Modulated 3 x 3 convolution (paper, section 2.2, equations 1 and 3), at twice the size where ``up``, noise, activation."""

    resample_filter: Tensor
    noise_const: Tensor

    def __init__(self, before: int, after: int, w_dim: int, resolution: int, up: bool) -> None:
        super().__init__()
        self.up = up
        self.affine = FullyConnectedLayer(w_dim, before, bias=1.0)
        self.weight = nn.Parameter(torch.randn(after, before, 3, 3))
        self.register_buffer("resample_filter", _make_taps())
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(after))

    def forward(self, x: Tensor, w: Tensor, noise: bool, clamp: float | None) -> Tensor:
        """x may be of half precision, w is float32; the result has x's type."""
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
            x = blur(x, self.resample_filter, [(size + 1) // 2 - 1, size // 2 - 1] * 2, 4.0)
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
        """x may be of half precision; the picture has w's."""
        styles, half = self.affine(w) * self.gain, x.dtype
        x = conv2d(x * styles[:, :, None, None].to(half), self.weight.to(half)) + self.bias[:, None, None].to(half)
        return (x if clamp is None else x.clamp(-clamp, clamp)).to(w.dtype)


class SynthesisBlock(nn.Module):
    """One resolution: the first starts from a learned constant; each adds its picture to the enlarged one before ('skip')."""

    resample_filter: Tensor

    def __init__(self, before: int, after: int, resolution: int, sizes: StyleGAN2Sizes) -> None:
        super().__init__()
        self.first = before == 0
        self.register_buffer("resample_filter", _make_taps())
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
        return x, drawn if picture is None else upsample(picture, self.resample_filter) + drawn


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
        """precision: of the HALF_RESOLUTIONS highest resolutions; the others, and the pictures of all, have the weights'."""
        x = picture = None
        index = 0
        halved = max(2 * self.resolutions[-1] >> HALF_RESOLUTIONS, MIN_HALF_RESOLUTION) if precision != torch.float32 else math.inf
        for resolution in self.resolutions:
            block = self.get_submodule(f"b{resolution}")
            assert isinstance(block, SynthesisBlock)
            # a block's picture shares its w with the next block's first convolution
            computed = precision if resolution >= halved else ws.dtype
            x, picture = block(x, picture, ws[:, index : index + block.convolutions + 1], noise, clamp, computed)
            index += block.convolutions
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


def _make_taps() -> Tensor:
    """The binomial filter 1 3 3 1 in two dimensions, summing to one."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    taps = torch.outer(taps, taps)
    return taps / taps.sum()


CLAMP = 256.0
"""Limit of activations in the official training of ADA and later; weights converted from TensorFlow were trained without."""

SPREAD_DRAWS = 1024  # latents whose mapped spread scales w space


class StyleGAN2(Generator):
    """z space: z_dim standard normal values. w space: mapped latents, centred and scaled to a mean square of one.

    In both, one paper unit is sqrt(latent_dim) (paper A used z). Truncation pulls w toward its mean: w_avg + t (w - w_avg).

    precision: of the highest four resolutions, as in the official networks; "auto" is the device's
    (``choose_picture_precision``). Without a limit of activations, and where a gradient is asked for, it is float32 everywhere.
    Pictures are float32 always.
    """

    def __init__(
        self,
        network: StyleGAN2Network,
        device: torch.device,
        card: ModelCard,
        *,
        space: str = "z",
        truncation: float = 1.0,
        noise: str | int = "const",
        clamp: float | None = CLAMP,
        label: int = 0,
        precision: str = "auto",
    ) -> None:
        self.card, self.device = card, device
        self.image_size = network.sizes.image_size
        self.space, self.truncation, self.clamp, self.label = space, truncation, clamp, label
        self.precision = torch.float32 if clamp is None else find_precision(precision, device)
        self.latent_dim = network.sizes.z_dim if space == "z" else network.sizes.w_dim
        self.has_noise = noise != "none"
        if isinstance(noise, int):
            draw_noise(network, noise)
        self.network = freeze_network(network, device)
        self.chunk = max(1, min(4, 256 // self.image_size))  # one at a time where a picture occupies all cores
        self.spread = self._spread()

    def _spread(self) -> float:
        """Root mean square of w - w_avg over drawn latents: a scale for w space."""
        if self.space == "z":
            return 1.0
        seeds = torch.Generator().manual_seed(0)
        with torch.no_grad():
            drawn = self._mapped(torch.randn(SPREAD_DRAWS, self.network.sizes.z_dim, generator=seeds))
        return float((drawn - self.network.mapping.w_avg).square().mean().sqrt())

    def _mapped(self, z: Tensor) -> Tensor:
        return batched(self._styles, z.to(self.device), 16)

    def _styles(self, z: Tensor) -> Tensor:
        w: Tensor = self.network.mapping(z, self.label)
        return w

    def sample(self, seeds: Sequence[int]) -> Tensor:
        """One latent a seed; in w space the mapping of a standard normal z."""
        if self.space == "z":
            return super().sample(seeds)
        size = self.network.sizes.z_dim
        rows = [torch.randn(size, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds]
        z = torch.stack(rows) if rows else torch.empty(0, size)
        with torch.no_grad():
            return ((self._mapped(z) - self.network.mapping.w_avg) / self.spread).cpu()

    def decode(self, latents: Tensor) -> Tensor:
        latents = latents.to(self.device)
        mapping = self.network.mapping
        w = self._mapped(latents) if self.space == "z" else mapping.w_avg + latents * self.spread
        w = mapping.w_avg + self.truncation * (w - mapping.w_avg)
        return batched(self._pictures, w, self.chunk, cache=True)

    def _pictures(self, w: Tensor) -> Tensor:
        precision = torch.float32 if w.requires_grad else self.precision  # small gradients would be lost in float16
        pictures = self.network.synthesis(self.network.styles(w), self.has_noise, self.clamp, precision)
        images: Tensor = ((pictures + 1) / 2).clamp(0, 1)
        return images


def draw_noise(network: StyleGAN2Network, seed: int) -> None:
    """Replace the constant noise of every layer by noise of that seed."""
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in network.named_buffers():
        if name.endswith("noise_const"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator))


def read_sizes(tensors: Mapping[str, Tensor], path: Path) -> StyleGAN2Sizes:
    """Read the network's sizes off its tensors. Raises LiminalError that names the first key that is missing."""

    def shape(key: str, dimensions: int) -> tuple[int, ...]:
        if key not in tensors:
            raise LiminalError(f"{path.name} lacks '{key}', so it holds no StyleGAN2 generator; save G_ema's state_dict().")
        sizes = tuple(tensors[key].shape)
        if len(sizes) != dimensions:
            raise LiminalError(f"'{key}' in {path.name} has the shape {sizes}, which no StyleGAN2 generator has.")
        return sizes

    if "synthesis.input.weight" in tensors:
        raise LiminalError(f"'synthesis.input.weight' in {path.name} belongs to StyleGAN3; only StyleGAN2 generators can be added.")
    w_dim = shape("synthesis.b4.conv1.affine.weight", 2)[1]
    resolutions = sorted({int(match[1]) for key in tensors if (match := re.match(r"synthesis\.b(\d+)\.", key))})
    for expected, resolution in enumerate(resolutions, start=2):
        if resolution != 2**expected:
            raise LiminalError(f"{path.name} lacks 'synthesis.b{2**expected}.conv1.weight'; the generator is not complete.")
    classes, features = 0, 0
    if "mapping.embed.weight" in tensors:
        features, classes = shape("mapping.embed.weight", 2)
    layers = sum(1 for key in tensors if re.fullmatch(r"mapping\.fc\d+\.weight", key))
    z_dim = shape("mapping.fc0.weight", 2)[1] - features
    if z_dim < 1:
        raise LiminalError(f"'mapping.fc0.weight' in {path.name} leaves no room for a latent; the file is damaged.")
    return StyleGAN2Sizes(
        z_dim=z_dim,
        w_dim=w_dim,
        classes=classes,
        class_features=features,
        mapping=tuple(shape(f"mapping.fc{number}.weight", 2)[0] for number in range(layers)),
        channels={resolution: shape(f"synthesis.b{resolution}.conv1.weight", 4)[0] for resolution in resolutions},
        image_channels=shape("synthesis.b4.torgb.weight", 4)[0],
    )


PICKLE_SUFFIX = ".pkl"


def _find_file(path: Path) -> Path:
    """The file with the generator: the path, or the only .safetensors file of a folder."""
    if not path.is_dir():
        return path
    paths = sorted(path.glob("*.safetensors"))
    if len(paths) != 1:
        raise LiminalError(f"{path} holds {len(paths)} .safetensors files; name the one that holds the generator.")
    return paths[0]


def read_stylegan2(path: Path) -> StyleGAN2Network:
    """The generator in a weight file, or in an official pickle. Raises LiminalError where it is none."""
    path = _find_file(path)
    if path.suffix == PICKLE_SUFFIX:
        official = read_official_pickle(path)
        tensors, sizes = official.tensors, read_sizes(official.tensors, path)
        reject_nan(tensors, path)
        read_clamp(official, path)
    else:
        tensors = {key.removeprefix("G_ema."): tensor for key, tensor in read_tensors(path).items()}
        sizes = read_sizes(tensors, path)
    if sizes.image_channels != 3:
        raise LiminalError(f"The generator in {path.name} draws {sizes.image_channels} channels; one for colour pictures has 3.")
    network = StyleGAN2Network(sizes)
    fill_network(network, tensors, path)
    return network


def _read_official_clamp(path: Path) -> float | None:
    official = read_official_pickle(path)
    read_sizes(official.tensors, path)
    return read_clamp(official, path)


def validate_options(custom: CustomModel, root: Path) -> dict[str, Any]:
    """The options, checked; ``clamp`` as an official pickle says where it is not given.

    Raises LiminalError for a value that makes no sense.
    """
    options = dict(custom.options)
    if "clamp" not in options and root.suffix == PICKLE_SUFFIX:
        options["clamp"] = _read_official_clamp(root)
    space, truncation, noise = options.get("space", "z"), options.get("truncation", 1.0), options.get("noise", "const")
    if space not in ("z", "w"):
        raise LiminalError(f"The option space is '{space}'; it can be z or w.")
    if not is_number(truncation) or not 0 < truncation <= 2:
        raise LiminalError(f"The option truncation is '{truncation}'; it is a number above 0 and at most 2.")
    if noise not in ("const", "none") and not is_whole_number(noise, 0):
        raise LiminalError(f"The option noise is '{noise}'; it can be const, none or a whole number from 0.")
    clamp, label = options.get("clamp", CLAMP), options.get("label", 0)
    if clamp is not None and not (is_number(clamp) and clamp > 0):
        raise LiminalError(f"The option clamp is '{clamp}'; it is a number above 0, or null.")
    precision = options.get("precision", "auto")
    if precision != "auto" and precision not in PRECISIONS:
        raise LiminalError(f"The option precision is '{precision}'; use one of auto, {', '.join(PRECISIONS)}.")
    if clamp is None and precision not in ("auto", "float32"):
        raise LiminalError(f"The option precision is '{precision}', in which a generator without a clamp overflows; use float32.")
    if not is_whole_number(label, 0):
        raise LiminalError(f"The option label is '{label}'; it is the number of a class, from 0.")
    return options


def make_card(custom: CustomModel) -> ModelCard:
    """The card of an added generator; its size is read with the weights."""
    return make_custom_card(
        custom,
        f"{custom.source} (StyleGAN2, Karras et al. 2020)",
        weights_licence="not stated; NVIDIA's own weights are for non-commercial use",
        data_licence="not stated; FFHQ is for non-commercial use (CC BY-NC-SA 4.0)",
        not_for="faces may resemble people in the training data",
    )


def load_custom(custom: CustomModel, device: torch.device) -> StyleGAN2:
    """The generator with the weights that were added."""
    path = verify_source(custom)
    network = read_stylegan2(path)
    options = validate_options(custom, path)
    if options.get("label", 0) >= max(1, network.sizes.classes):
        raise LiminalError(f"'{custom.name}' knows {network.sizes.classes} classes; the option label must be below that.")
    return StyleGAN2(network, device, make_card(custom), **options)
