"""StyleGAN2 as a generator of Liminal, from the official ``G_ema`` weights of any size.

The official files are pickles with code, which is never run here. In a checkout of stylegan2-ada-pytorch or stylegan3, one line
turns one into a file that is read::

    python -c "import legacy, safetensors.torch as s; g = legacy.load_network_pkl(open('ffhq.pkl', 'rb'))['G_ema'];
    s.save_file({k: v.clone() for k, v in g.state_dict().items()}, 'ffhq.safetensors')"
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.errors import LiminalError
from core.models.contracts import Generator, ModelCard
from core.models.device import PRECISIONS, picture_precision
from core.models.engine import gathered
from core.models.own.card import added_card
from core.models.own.listing import OwnModel
from core.models.own.options import is_number, is_whole
from core.models.own.sources import verified
from core.models.own.tensors import fill, read_tensors
from core.models.stylegan2_network import StyleGAN2Network, StyleGAN2Sizes

CLAMP = 256.0
"""Limit of activations in the official training of ADA and later; weights converted from TensorFlow were trained without."""

CONVERT = (
    "convert it in a checkout of stylegan3: g = legacy.load_network_pkl(open('IN.pkl', 'rb'))['G_ema'], then "
    "safetensors.torch.save_file({k: v.clone() for k, v in g.state_dict().items()}, 'OUT.safetensors')"
)
SPREAD_DRAWS = 1024  # latents whose mapped spread scales w space


class StyleGAN2(Generator):
    """z space: z_dim standard normal values. w space: mapped latents, centred and scaled to a mean square of one.

    In both, one paper unit is sqrt(latent_dim) (paper A used z). Truncation pulls w toward its mean: w_avg + t (w - w_avg).

    precision: of the highest four resolutions, as in the official networks; "auto" is the device's (``picture_precision``). Without
    a limit of activations, and where a gradient is asked for, it is float32 everywhere. Pictures are float32 always.
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
        self.precision = torch.float32 if clamp is None else PRECISIONS.get(precision, picture_precision(device))
        self.latent_dim = network.sizes.z_dim if space == "z" else network.sizes.w_dim
        self.has_noise = noise != "none"
        if isinstance(noise, int):
            draw_noise(network, noise)
        self.network = network.to(device).eval().requires_grad_(False)
        self.chunk = max(1, min(4, 256 // self.image_size))  # one at a time where a picture keeps all cores busy
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
        return gathered(self._styles, z.to(self.device), 16)

    def _styles(self, z: Tensor) -> Tensor:
        w: Tensor = self.network.mapping(z, self.label)
        return w

    def sample(self, seeds: Sequence[int]) -> Tensor:
        """One latent a seed. In w space those that standard normal z are mapped to."""
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
        return gathered(self._pictures, w, self.chunk, keep=True)

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


def sizes_of(tensors: Mapping[str, Tensor], path: Path) -> StyleGAN2Sizes:
    """Read the network's sizes off its tensors. Raises LiminalError that names the first key that is missing."""

    def shape(key: str, dimensions: int) -> tuple[int, ...]:
        if key not in tensors:
            raise LiminalError(f"{path.name} lacks '{key}', so it holds no StyleGAN2 generator; save G_ema's state_dict().")
        found = tuple(tensors[key].shape)
        if len(found) != dimensions:
            raise LiminalError(f"'{key}' in {path.name} has the shape {found}, which no StyleGAN2 generator has.")
        return found

    if "synthesis.input.weight" in tensors:
        raise LiminalError(f"'synthesis.input.weight' in {path.name} belongs to StyleGAN3; only StyleGAN2 generators can be added.")
    w_dim = shape("synthesis.b4.conv1.affine.weight", 2)[1]
    resolutions = sorted({int(found[1]) for key in tensors if (found := re.match(r"synthesis\.b(\d+)\.", key))})
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


def read_network(path: Path) -> StyleGAN2Network:
    """The generator in a weight file. Raises LiminalError where it is none, or a pickle."""
    if path.is_dir():
        found = sorted(path.glob("*.safetensors"))
        if len(found) != 1:
            raise LiminalError(f"{path} holds {len(found)} .safetensors files; name the one that holds the generator.")
        path = found[0]
    if path.suffix == ".pkl":
        raise LiminalError(f"{path.name} is a pickle, which can run code and is never opened; {CONVERT}.")
    tensors = read_tensors(path)
    tensors = {key.removeprefix("G_ema."): tensor for key, tensor in tensors.items()}
    sizes = sizes_of(tensors, path)
    if sizes.image_channels != 3:
        raise LiminalError(f"The generator in {path.name} draws {sizes.image_channels} channels; one for colour pictures has 3.")
    network = StyleGAN2Network(sizes)
    fill(network, tensors, path)
    return network


def settle(own: OwnModel, root: Path) -> dict[str, Any]:
    """The options, checked. Raises LiminalError for a value that makes no sense."""
    options = dict(own.options)
    space, truncation, noise = options.get("space", "z"), options.get("truncation", 1.0), options.get("noise", "const")
    if space not in ("z", "w"):
        raise LiminalError(f"The option space is '{space}'; it can be z or w.")
    if not is_number(truncation) or not 0 < truncation <= 2:
        raise LiminalError(f"The option truncation is '{truncation}'; it is a number above 0 and at most 2.")
    if noise not in ("const", "none") and not is_whole(noise, 0):
        raise LiminalError(f"The option noise is '{noise}'; it can be const, none or a whole number from 0.")
    clamp, label = options.get("clamp", CLAMP), options.get("label", 0)
    if clamp is not None and not (is_number(clamp) and clamp > 0):
        raise LiminalError(f"The option clamp is '{clamp}'; it is a number above 0, or null.")
    precision = options.get("precision", "auto")
    if precision != "auto" and precision not in PRECISIONS:
        raise LiminalError(f"The option precision is '{precision}'; use one of auto, {', '.join(PRECISIONS)}.")
    if clamp is None and precision not in ("auto", "float32"):
        raise LiminalError(f"The option precision is '{precision}', in which a generator without a clamp overflows; use float32.")
    if not is_whole(label, 0):
        raise LiminalError(f"The option label is '{label}'; it is the number of a class, from 0.")
    return options


def card(own: OwnModel) -> ModelCard:
    """The card of an added generator; its size is read with the weights."""
    return added_card(
        own,
        f"{own.source} (StyleGAN2, Karras et al. 2020)",
        weights_licence="not stated; NVIDIA's own weights are for non-commercial use",
        data_licence="not stated; FFHQ is for non-commercial use (CC BY-NC-SA 4.0)",
        not_for="faces may resemble people in the training data",
    )


def load_own(own: OwnModel, device: torch.device) -> StyleGAN2:
    """The generator with the weights that were added."""
    network = read_network(verified(own))
    options = settle(own, Path())
    if options.get("label", 0) >= max(1, network.sizes.classes):
        raise LiminalError(f"'{own.name}' knows {network.sizes.classes} classes; the option label must be below that.")
    return StyleGAN2(network, device, card(own), **options)
