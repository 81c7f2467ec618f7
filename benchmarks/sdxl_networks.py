"""The U-Net and the VAE decoder of SDXL (Podell et al. 2023, arXiv:2307.01952) with random weights, to be timed and compared.

Where diffusers is installed its classes are used, which are what the product runs; else the same layers in plain PyTorch: sizes
and number of parameters are equal, the order of the parameters is not, so that no published weights fit into the plain ones.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate, scaled_dot_product_attention, silu

HEAD = 64
"""Channels of one attention head of the U-Net."""
TIME_IDS, TIME_ID_SIZE = 6, 256
"""Size, crop and target size of the picture enter as six numbers, each as a sinusoid of so many values."""
LATENT_CHANNELS = 4


@dataclass(frozen=True)
class SDXLSizes:
    """Sizes of U-Net and VAE; the defaults are SDXL's."""

    channels: tuple[int, ...] = (320, 640, 1280)
    depths: tuple[int, ...] = (0, 2, 10)
    """Transformer layers of every resolution of the U-Net, the highest resolution first; only the first may be 0."""
    context: int = 2048
    """Width of the text encoders' tokens."""
    pooled: int = 1280
    decoder_channels: tuple[int, ...] = (128, 256, 512, 512)
    groups: int = 32
    """Of group normalisation."""

    @property
    def scale(self) -> int:
        """Pixels of a picture per value of its latent, along one side."""
        return 1 << (len(self.decoder_channels) - 1)


def has_diffusers() -> bool:
    """Whether diffusers is installed; it is not imported."""
    try:
        return importlib.util.find_spec("diffusers") is not None
    except (ImportError, ValueError):
        return False


def make_unet(sizes: SDXLSizes) -> nn.Module:
    """(noised latents (N, 4, s, s), context (N, tokens, context), pooled (N, pooled)) -> noise (N, 4, s, s), at the last step."""
    return DiffusersUNet(sizes) if has_diffusers() else PlainUNet(sizes)


def make_decoder(sizes: SDXLSizes) -> nn.Module:
    """Latents (N, 4, s, s) -> pictures (N, 3, scale s, scale s), about [-1, 1]."""
    return DiffusersDecoder(sizes) if has_diffusers() else PlainDecoder(sizes)


class DiffusersUNet(nn.Module):
    """``UNet2DConditionModel`` with the configuration of stabilityai/sdxl-turbo."""

    def __init__(self, sizes: SDXLSizes) -> None:
        super().__init__()
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        flat = [not depth for depth in sizes.depths]
        network_class: Any = UNet2DConditionModel
        self.unet = network_class(
            block_out_channels=sizes.channels,
            down_block_types=["DownBlock2D" if is_flat else "CrossAttnDownBlock2D" for is_flat in flat],
            up_block_types=["UpBlock2D" if is_flat else "CrossAttnUpBlock2D" for is_flat in reversed(flat)],
            transformer_layers_per_block=[max(1, depth) for depth in sizes.depths],
            attention_head_dim=[width // HEAD for width in sizes.channels],  # diffusers' name for the number of heads
            use_linear_projection=True,
            cross_attention_dim=sizes.context,
            addition_embed_type="text_time",
            addition_time_embed_dim=TIME_ID_SIZE,
            projection_class_embeddings_input_dim=TIME_IDS * TIME_ID_SIZE + sizes.pooled,
            norm_num_groups=sizes.groups,
        )

    def forward(self, noised: Tensor, context: Tensor, pooled: Tensor) -> Tensor:
        ids = torch.full((len(noised), TIME_IDS), 512.0, device=noised.device, dtype=noised.dtype)
        added = {"text_embeds": pooled, "time_ids": ids}
        noise: Tensor = self.unet(noised, 999, context, added_cond_kwargs=added, return_dict=False)[0]
        return noise


class DiffusersDecoder(nn.Module):
    """The decoding half of ``AutoencoderKL`` with SDXL's configuration."""

    def __init__(self, sizes: SDXLSizes) -> None:
        super().__init__()
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

        levels = len(sizes.decoder_channels)
        network_class: Any = AutoencoderKL
        self.vae = network_class(
            block_out_channels=sizes.decoder_channels,
            down_block_types=["DownEncoderBlock2D"] * levels,
            up_block_types=["UpDecoderBlock2D"] * levels,
            layers_per_block=2,
            latent_channels=LATENT_CHANNELS,
            norm_num_groups=sizes.groups,
        )
        del self.vae.encoder, self.vae.quant_conv

    def forward(self, latents: Tensor) -> Tensor:
        pictures: Tensor = self.vae.decode(latents, return_dict=False)[0]
        return pictures


class SDXLResidualBlock(nn.Module):
    """Two 3 x 3 convolutions behind group normalisation; the time's embedding is added between them where there is one."""

    def __init__(self, before: int, after: int, groups: int, time: int = 0, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, before, epsilon), nn.Conv2d(before, after, 3, padding=1)
        self.time = nn.Linear(time, after) if time else None
        self.norm2, self.conv2 = nn.GroupNorm(groups, after, epsilon), nn.Conv2d(after, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        inner = self.conv1(silu(self.norm1(x)))
        if self.time is not None and time is not None:
            inner = inner + self.time(silu(time))[:, :, None, None]
        inner = self.conv2(silu(self.norm2(inner)))
        result: Tensor = self.shortcut(x) + inner
        return result


class SDXLAttention(nn.Module):
    """Multi-head attention of x (N, T, width) over a context (N, S, context width), or over x itself."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.q = nn.Linear(width, width, bias=False)
        self.k, self.v = nn.Linear(context, width, bias=False), nn.Linear(context, width, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        q, k, v = (
            layer(rows).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (N, heads, T, HEAD)
            for layer, rows in ((self.q, x), (self.k, context), (self.v, context))
        )
        result: Tensor = self.out(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return result


class SDXLTransformerLayer(nn.Module):
    """Self-attention, attention over the text, and a gated linear unit (GEGLU), each behind layer normalisation."""

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.cross = SDXLAttention(width, width), SDXLAttention(width, context)
        self.enter, self.leave = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = x + self.attention(normed, normed)
        x = x + self.cross(self.norm2(x), context)
        values, gate = self.enter(self.norm3(x)).chunk(2, dim=2)
        result: Tensor = x + self.leave(values * gelu(gate))
        return result


class SDXLTransformer(nn.Module):
    """``depth`` layers over the positions of a map (N, C, h, w), added to it."""

    def __init__(self, width: int, depth: int, sizes: SDXLSizes) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(sizes.groups, width, 1e-6)
        self.enter, self.leave = nn.Linear(width, width), nn.Linear(width, width)
        self.layers = nn.ModuleList([SDXLTransformerLayer(width, sizes.context) for _ in range(depth)])

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        rows = self.enter(self.norm(x).flatten(2).transpose(1, 2))  # (N, h w, C)
        for layer in self.layers:
            rows = layer(rows, context)
        result: Tensor = x + self.leave(rows).transpose(1, 2).unflatten(2, x.shape[2:])
        return result


class SDXLStage(nn.Module):
    """A residual block, then a transformer where this resolution has one."""

    def __init__(self, before: int, after: int, depth: int, sizes: SDXLSizes) -> None:
        super().__init__()
        self.block = SDXLResidualBlock(before, after, sizes.groups, 4 * sizes.channels[0])
        self.transformer = SDXLTransformer(after, depth, sizes) if depth else None

    def forward(self, x: Tensor, time: Tensor, context: Tensor) -> Tensor:
        x = self.block(x, time)
        return x if self.transformer is None else self.transformer(x, context)


class PlainUNet(nn.Module):
    """SDXL's U-Net in plain PyTorch: two stages a resolution on the way down, three on the way up, joined by skips."""

    def __init__(self, sizes: SDXLSizes) -> None:
        super().__init__()
        first, last = sizes.channels[0], sizes.channels[-1]
        time = 4 * first
        self.first = first
        self.time = nn.Sequential(nn.Linear(first, time), nn.SiLU(), nn.Linear(time, time))
        added = TIME_IDS * TIME_ID_SIZE + sizes.pooled
        self.added = nn.Sequential(nn.Linear(added, time), nn.SiLU(), nn.Linear(time, time))
        self.enter = nn.Conv2d(LATENT_CHANNELS, first, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        skips, width = [first], first
        for level, (channels, depth) in enumerate(zip(sizes.channels, sizes.depths, strict=True)):
            for _ in range(2):
                self.down.append(SDXLStage(width, channels, depth, sizes))
                width = channels
                skips.append(width)
            if level + 1 < len(sizes.channels):
                self.down.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
                skips.append(width)
        self.middle1 = SDXLStage(last, last, sizes.depths[-1], sizes)
        self.middle2 = SDXLResidualBlock(last, last, sizes.groups, time)
        for level in reversed(range(len(sizes.channels))):
            for _ in range(3):
                self.up.append(SDXLStage(width + skips.pop(), sizes.channels[level], sizes.depths[level], sizes))
                width = sizes.channels[level]
            if level:
                self.up.append(nn.Conv2d(width, width, 3, padding=1))
        self.norm, self.leave = nn.GroupNorm(sizes.groups, first), nn.Conv2d(first, LATENT_CHANNELS, 3, padding=1)

    def forward(self, noised: Tensor, context: Tensor, pooled: Tensor) -> Tensor:
        step = torch.full((len(noised),), 999.0, device=noised.device)
        ids = torch.full((len(noised) * TIME_IDS,), 512.0, device=noised.device)
        sizes = _sinusoid(ids, TIME_ID_SIZE).view(len(noised), -1)
        time = self.time(_sinusoid(step, self.first).to(noised)) + self.added(torch.cat([pooled, sizes.to(noised)], dim=1))
        x = self.enter(noised)
        skips = [x]
        for part in self.down:
            x = part(x, time, context) if isinstance(part, SDXLStage) else part(x)
            skips.append(x)
        x = self.middle2(self.middle1(x, time, context), time)
        for part in self.up:
            if isinstance(part, SDXLStage):
                x = part(torch.cat([x, skips.pop()], dim=1), time, context)
            else:
                x = part(interpolate(x, scale_factor=2.0, mode="nearest"))
        noise: Tensor = self.leave(silu(self.norm(x)))
        return noise


class PlainDecoder(nn.Module):
    """SDXL's VAE decoder in plain PyTorch: three residual blocks a resolution, self-attention with one head at the lowest."""

    def __init__(self, sizes: SDXLSizes) -> None:
        super().__init__()
        groups, width = sizes.groups, sizes.decoder_channels[-1]
        self.before = nn.Conv2d(LATENT_CHANNELS, LATENT_CHANNELS, 1)
        self.enter = nn.Conv2d(LATENT_CHANNELS, width, 3, padding=1)
        self.middle1, self.middle2 = (SDXLResidualBlock(width, width, groups, epsilon=1e-6) for _ in range(2))
        self.norm = nn.GroupNorm(groups, width, 1e-6)
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up = nn.Sequential()
        for level in reversed(range(len(sizes.decoder_channels))):
            for _ in range(3):
                self.up.append(SDXLResidualBlock(width, sizes.decoder_channels[level], groups, epsilon=1e-6))
                width = sizes.decoder_channels[level]
            if level:
                self.up.append(nn.Upsample(scale_factor=2.0, mode="nearest"))
                self.up.append(nn.Conv2d(width, width, 3, padding=1))
        self.leave = nn.Sequential(nn.GroupNorm(groups, width, 1e-6), nn.SiLU(), nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, latents: Tensor) -> Tensor:
        x = self.middle1(self.enter(self.before(latents)))
        rows = self.norm(x).flatten(2).transpose(1, 2)[:, None]  # (N, 1, h w, C)
        attended = self.out(scaled_dot_product_attention(self.q(rows), self.k(rows), self.v(rows)))
        x = x + attended[:, 0].transpose(1, 2).unflatten(2, x.shape[2:])
        pictures: Tensor = self.leave(self.up(self.middle2(x)))
        return pictures


def _sinusoid(values: Tensor, width: int) -> Tensor:
    """(N,) -> (N, width): cosines and sines of geometrically spaced frequencies, float32."""
    half = width // 2
    frequencies = torch.exp(-math.log(10_000) * torch.arange(half, device=values.device) / half)
    angles = values.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)
