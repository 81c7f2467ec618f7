"""U-ViT over embeddings (Bao et al. 2023, arXiv:2209.12152): everything is a token, with long skips from shallow to deep blocks.

An embedding of ``tokens * token_size`` values is cut into tokens; the time is a token of its own. CoCoG-2's size is 64 tokens of
16, width 768, depth 12, 12 heads (paper B; ``cocog_uvit``); the default here is small enough for a laptop's CPU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from core.errors import LiminalError


@dataclass(frozen=True)
class UViTConfiguration:
    """Sizes. ``depth`` blocks: half of them before the middle block, half after it, joined by long skips."""

    tokens: int = 6
    token_size: int = 16
    width: int = 128
    depth: int = 4
    heads: int = 4

    def __post_init__(self) -> None:
        if min(self.tokens, self.token_size, self.width, self.depth, self.heads) < 1 or self.width % self.heads or self.depth % 2:
            raise LiminalError(f"A U-ViT needs an even depth and a width that its heads divide, not {self}.")

    @property
    def embedding_dim(self) -> int:
        return self.tokens * self.token_size


class Block(nn.Module):
    """Pre-norm transformer block; behind a long skip the two branches are joined by a linear layer first."""

    def __init__(self, width: int, heads: int, skip: bool, biased: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.join = nn.Linear(2 * width, width) if skip else None
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width, bias=biased), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        if self.join is not None:
            assert skip is not None
            x = self.join(torch.cat([x, skip], dim=-1))
        n, tokens, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, width)
        x = x + self.project(attended)
        x = x + self.mlp(self.norm2(x))
        return x


class UViT(nn.Module):
    """x_t (N, E), t (N,) -> the noise in it (N, E)."""

    def __init__(self, configuration: UViTConfiguration) -> None:
        super().__init__()
        c = self.configuration = configuration
        self.embed = nn.Linear(c.token_size, c.width)
        self.time = nn.Sequential(nn.Linear(c.width, 4 * c.width), nn.SiLU(), nn.Linear(4 * c.width, c.width))
        self.position = nn.Parameter(0.02 * torch.randn(1, c.tokens + 1, c.width))
        self.before = nn.ModuleList([Block(c.width, c.heads, skip=False) for _ in range(c.depth // 2)])
        self.middle = Block(c.width, c.heads, skip=False)
        self.after = nn.ModuleList([Block(c.width, c.heads, skip=True) for _ in range(c.depth // 2)])
        self.norm = nn.LayerNorm(c.width)
        self.out = nn.Linear(c.width, c.token_size)

    def forward(self, noised: Tensor, step: Tensor) -> Tensor:
        c = self.configuration
        tokens = self.embed(noised.view(-1, c.tokens, c.token_size))  # (N, T, W)
        time = self.time(_sinusoid(step, c.width))[:, None]  # (N, 1, W)
        x = torch.cat([time, tokens], dim=1) + self.position
        x = through(x, self.before, self.middle, self.after)
        noise: Tensor = self.out(self.norm(x[:, 1:])).reshape(-1, c.embedding_dim)
        return noise


def through(x: Tensor, before: nn.ModuleList, middle: nn.Module, after: nn.ModuleList) -> Tensor:
    """(N, T, W) through a U of blocks: what left the first one is handed to the last, of the second to the last but one."""
    skips = []
    for block in before:
        x = block(x)
        skips.append(x)
    x = middle(x)
    for block in after:
        x = block(x, skips.pop())
    return x


def _sinusoid(step: Tensor, width: int) -> Tensor:
    """(N,) -> (N, width): sines and cosines of geometrically spaced frequencies (Vaswani et al. 2017, section 3.5)."""
    half = width // 2
    frequencies = torch.exp(-math.log(10_000) * torch.arange(half, device=step.device) / half)
    angles = step.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)
