"""Diffusion prior over face embeddings: U-ViT, the noising of DDPM, and the prior trained here.

U-ViT (Bao et al. 2023, arXiv:2209.12152): everything is a token, with long skips from shallow to deep blocks. An embedding of
``tokens * token_size`` values is cut into tokens; the time is a token of its own. CoCoG-2's size is 64 tokens of 16, width 768,
depth 12, 12 heads (paper B; ``custom.cocog``); the default here is small enough for a laptop's CPU. Noising is that of DDPM (Ho et
al. 2020), by diffusers' scheduler: x_t = sqrt(alpha-bar_t) x_0 + sqrt(1 - alpha-bar_t) noise. ``FacePrior`` predicts noise; its
weights are the moving average of its training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.contracts import NOT_FOR, ModelCard, Prior
from core.models.device import freeze_network
from core.models.engine.engine import batched
from core.models.trained_weights import TrainedWeights, read_trained, trained_weight_file

if TYPE_CHECKING:
    from diffusers.schedulers import scheduling_ddpm
else:  # diffusers: the network is built without it
    scheduling_ddpm = lazy_import("diffusers.schedulers.scheduling_ddpm")


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


class TransformerBlock(nn.Module):
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
        self.before = nn.ModuleList([TransformerBlock(c.width, c.heads, skip=False) for _ in range(c.depth // 2)])
        self.middle = TransformerBlock(c.width, c.heads, skip=False)
        self.after = nn.ModuleList([TransformerBlock(c.width, c.heads, skip=True) for _ in range(c.depth // 2)])
        self.norm = nn.LayerNorm(c.width)
        self.out = nn.Linear(c.width, c.token_size)

    def forward(self, noised: Tensor, step: Tensor) -> Tensor:
        c = self.configuration
        tokens = self.embed(noised.view(-1, c.tokens, c.token_size))  # (N, T, W)
        time = self.time(_embed_time(step, c.width))[:, None]  # (N, 1, W)
        x = torch.cat([time, tokens], dim=1) + self.position
        x = run_u_blocks(x, self.before, self.middle, self.after)
        noise: Tensor = self.out(self.norm(x[:, 1:])).reshape(-1, c.embedding_dim)
        return noise


def run_u_blocks(x: Tensor, before: nn.ModuleList, middle: nn.Module, after: nn.ModuleList) -> Tensor:
    """(N, T, W) through a U of blocks: the first block's output is a skip to the last, the second's to the last but one."""
    skips = []
    for block in before:
        x = block(x)
        skips.append(x)
    x = middle(x)
    for block in after:
        x = block(x, skips.pop())
    return x


def _embed_time(step: Tensor, width: int) -> Tensor:
    """(N,) -> (N, width): sines and cosines of geometrically spaced frequencies (Vaswani et al. 2017, section 3.5)."""
    half = width // 2
    frequencies = torch.exp(-math.log(10_000) * torch.arange(half, device=step.device) / half)
    angles = step.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1)


DEFAULT_BETAS = "squaredcos_cap_v2"
"""Cosine schedule (Nichol and Dhariwal 2021, arXiv:2102.09672): few steps are wasted on pure noise. A prior may have another one
of diffusers' schedules, by its name there."""


@lru_cache(maxsize=16)
def _full_scheduler(train_steps: int, betas: str) -> scheduling_ddpm.DDPMScheduler:
    scheduler: scheduling_ddpm.DDPMScheduler = scheduling_ddpm.DDPMScheduler(
        num_train_timesteps=train_steps, beta_schedule=betas, clip_sample=False
    )
    return scheduler


def make_scheduler(train_steps: int, steps: int, betas: str = DEFAULT_BETAS) -> scheduling_ddpm.DDPMScheduler:
    """A scheduler for one run, as it keeps state: ``steps`` of the ``train_steps``, evenly spread."""
    scheduler: scheduling_ddpm.DDPMScheduler = scheduling_ddpm.DDPMScheduler(
        num_train_timesteps=train_steps, beta_schedule=betas, clip_sample=False, timestep_spacing="trailing"
    )
    scheduler.set_timesteps(min(steps, train_steps))
    return scheduler


def read_alpha_bar(train_steps: int, betas: str = DEFAULT_BETAS) -> Tensor:
    """alpha-bar: the share of variance that is still signal after each step -> (train_steps,)."""
    shares: Tensor = _full_scheduler(train_steps, betas).alphas_cumprod
    return shares


def add_noise(clean: Tensor, noise: Tensor, step: Tensor, train_steps: int, betas: str = DEFAULT_BETAS) -> Tensor:
    """x_t = sqrt(alpha-bar_t) x_0 + sqrt(1 - alpha-bar_t) noise; (N, E), (N, E), (N,)."""
    share = read_alpha_bar(train_steps, betas).to(clean.device)[step][:, None]
    mixed: Tensor = share.sqrt() * clean + (1 - share).sqrt() * noise
    return mixed


def noise_beyond_gaussian(network: Callable[[Tensor, Tensor], Tensor], noised_: Tensor, step: Tensor, train_steps: int) -> Tensor:
    """The noise in x_t (N, E) at steps (N,): what it would be if clean embeddings were N(0, I), plus the network's correction.

    Whitened embeddings are nearly normal; for N(0, I) the best guess is sqrt(1 - alpha-bar) x_t, and it is off by a standard
    deviation of sqrt(alpha-bar). Scaled by that, the network has only to learn what a Gaussian lacks (after Karras et al.
    2022, arXiv:2206.00364, section 5).
    """
    share = read_alpha_bar(train_steps).to(noised_.device)[step][:, None]
    noise: Tensor = (1 - share).sqrt() * noised_ + share.sqrt() * network(noised_, step)
    return noise


def estimate_clean(noised_: Tensor, noise: Tensor, step: int, train_steps: int, betas: str = DEFAULT_BETAS) -> Tensor:
    """Where x_t would land if its noise were taken out at once: the estimate of x_0, (N, E)."""
    share = read_alpha_bar(train_steps, betas)[step].to(noised_.device)
    estimate: Tensor = (noised_ - (1 - share).sqrt() * noise) / share.sqrt()
    return estimate


def sample_prior(prior: Prior, scheduler: scheduling_ddpm.DDPMScheduler, count: int, random: torch.Generator) -> Tensor:
    """Unguided samples of the prior, from pure noise -> (count, E)."""
    with torch.inference_mode():
        x = torch.randn(count, prior.embedding_dim, generator=random)
        for step in scheduler.timesteps:
            noise = prior.noise(x, step.expand(count)).cpu()
            x = denoise_step(scheduler, noise, int(step), x, random)
        return x


def denoise_step(scheduler: scheduling_ddpm.DDPMScheduler, noise: Tensor, step: int, x: Tensor, random: torch.Generator) -> Tensor:
    """One reverse step of DDPM, x_t (N, E) -> x_{t-1}: DDPM^- of paper B's equation (2)."""
    before: Tensor = scheduler.step(noise, step, x, generator=random, return_dict=False)[0]
    return before


def denoise_rows(
    scheduler: scheduling_ddpm.DDPMScheduler, noise: Tensor, step: int, x: Tensor, random: Sequence[torch.Generator]
) -> Tensor:
    """As ``denoise_step``, where every row draws from a generator of its own."""
    return torch.cat(
        [denoise_step(scheduler, noise[row, None], step, x[row, None], generator) for row, generator in enumerate(random)]
    )


def draw_embeddings(prior: Prior, seeds: Sequence[int], steps: int = 50) -> Tensor:
    """Unguided samples of the prior, one a seed, independent of each other -> (N, E) on the CPU."""
    scheduler = make_scheduler(prior.train_steps, steps, prior.betas)
    random = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    if not random:
        return torch.empty(0, prior.embedding_dim)
    with torch.inference_mode():
        x = torch.stack([torch.randn(prior.embedding_dim, generator=generator) for generator in random])
        for step in scheduler.timesteps:
            x = denoise_rows(scheduler, prior.noise(x, step.expand(len(x))).cpu(), int(step), x, random)
    return x.clone()


CARD = ModelCard(
    name="face-prior",
    title="U-ViT diffusion prior",
    kind="prior",
    source="trained here on embeddings of generated faces: DDPM noise prediction, exponential moving average",
    weights_licence="MIT (this repository)",
    data_licence="faces of the DCGAN (DigiFace-1M: non-commercial research use)",
    input_size=0,
    not_for=f"{NOT_FOR['prior']}; it knows the embeddings of generated faces alone",
    files=(trained_weight_file("face-prior"),),
)
HEAD_CARD = ModelCard(
    name="head-prior",
    title="U-ViT diffusion prior of rendered heads",
    kind="prior",
    source="trained here on embeddings of rendered heads: DDPM noise prediction, exponential moving average",
    weights_licence="MIT (this repository)",
    data_licence="rendered heads (no data of people)",
    input_size=0,
    not_for=f"{NOT_FOR['prior']}; it knows the embeddings of rendered heads alone",
    files=(trained_weight_file("head-prior"),),
)


class FacePrior(Prior):
    """The U-ViT as a Prior."""

    chunk = 4  # as many as are drawn together

    def __init__(self, network: UViT, train_steps: int, device: torch.device, card: ModelCard = CARD) -> None:
        self.card = card
        self.device = device
        self.network = freeze_network(network, device)
        self.embedding_dim = network.configuration.embedding_dim
        self.train_steps = train_steps

    def noise(self, noised: Tensor, step: Tensor) -> Tensor:
        rows = torch.cat([noised, step[:, None].to(noised)], dim=1).to(self.device)
        return batched(self._noise, rows, self.chunk)

    def _noise(self, rows: Tensor) -> Tensor:
        return noise_beyond_gaussian(self.network, rows[:, :-1], rows[:, -1].long(), self.train_steps)


def read_uvit(trained: TrainedWeights) -> UViT:
    """The stored network, of the size that its card names."""
    sizes = {size.name: int(trained.configuration[size.name]) for size in fields(UViTConfiguration)}
    network = UViT(UViTConfiguration(**sizes))
    trained.fill_network(network)
    return network


def _load(device: torch.device, card: ModelCard) -> FacePrior:
    """The prior with its trained weights."""
    trained = read_trained(card.name)
    return FacePrior(read_uvit(trained), int(trained.configuration["train_steps"]), device, card)


# What the registry finds by ``core.models.builtin.prior:NAME``.
FACE_PRIOR = SimpleNamespace(CARD=CARD, load=partial(_load, card=CARD))
HEAD_PRIOR = SimpleNamespace(CARD=HEAD_CARD, load=partial(_load, card=HEAD_CARD))
