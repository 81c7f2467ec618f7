"""The noising of DDPM, by diffusers' scheduler: how noise comes in, and one step of taking it out (Ho et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor

from core.models.contracts import Prior

BETAS = "squaredcos_cap_v2"
"""Cosine schedule (Nichol and Dhariwal 2021, arXiv:2102.09672): few steps are wasted on pure noise. A prior may have another one
of diffusers' schedules, by its name there."""


@lru_cache(maxsize=16)
def _full(train_steps: int, betas: str) -> DDPMScheduler:
    scheduler: DDPMScheduler = DDPMScheduler(num_train_timesteps=train_steps, beta_schedule=betas, clip_sample=False)
    return scheduler


def schedule(train_steps: int, steps: int, betas: str = BETAS) -> DDPMScheduler:
    """A scheduler of its own for one run: ``steps`` of the ``train_steps``, evenly spread."""
    scheduler: DDPMScheduler = DDPMScheduler(
        num_train_timesteps=train_steps, beta_schedule=betas, clip_sample=False, timestep_spacing="trailing"
    )
    scheduler.set_timesteps(min(steps, train_steps))
    return scheduler


def kept_share(train_steps: int, betas: str = BETAS) -> Tensor:
    """alpha-bar: the share of variance that is still signal after each step -> (train_steps,)."""
    shares: Tensor = _full(train_steps, betas).alphas_cumprod
    return shares


def noised(clean: Tensor, noise: Tensor, step: Tensor, train_steps: int, betas: str = BETAS) -> Tensor:
    """x_t = sqrt(alpha-bar_t) x_0 + sqrt(1 - alpha-bar_t) noise; (N, E), (N, E), (N,)."""
    share = kept_share(train_steps, betas).to(clean.device)[step][:, None]
    mixed: Tensor = share.sqrt() * clean + (1 - share).sqrt() * noise
    return mixed


def noise_beyond_gaussian(network: Callable[[Tensor, Tensor], Tensor], noised_: Tensor, step: Tensor, train_steps: int) -> Tensor:
    """The noise in x_t (N, E) at steps (N,): what it would be if clean embeddings were N(0, I), plus what the network adds.

    Whitened embeddings are nearly normal; for N(0, I) the best guess is sqrt(1 - alpha-bar) x_t, and it is off by a standard
    deviation of sqrt(alpha-bar). Scaled by that, the network has only to learn what a Gaussian cannot say (after Karras et al.
    2022, arXiv:2206.00364, section 5).
    """
    share = kept_share(train_steps).to(noised_.device)[step][:, None]
    noise: Tensor = (1 - share).sqrt() * noised_ + share.sqrt() * network(noised_, step)
    return noise


def cleaned(noised_: Tensor, noise: Tensor, step: int, train_steps: int, betas: str = BETAS) -> Tensor:
    """Where x_t would land if its noise were taken out at once: the estimate of x_0, (N, E)."""
    share = kept_share(train_steps, betas)[step].to(noised_.device)
    estimate: Tensor = (noised_ - (1 - share).sqrt() * noise) / share.sqrt()
    return estimate


def sample(prior: Prior, scheduler: DDPMScheduler, count: int, random: torch.Generator) -> Tensor:
    """Unguided samples of the prior, from pure noise -> (count, E)."""
    with torch.inference_mode():
        x = torch.randn(count, prior.embedding_dim, generator=random)
        for step in scheduler.timesteps:
            noise = prior.noise(x, step.expand(count)).cpu()
            x = denoised(scheduler, noise, int(step), x, random)
        return x


def denoised(scheduler: DDPMScheduler, noise: Tensor, step: int, x: Tensor, random: torch.Generator) -> Tensor:
    """One reverse step of DDPM, x_t (N, E) -> x_{t-1}: DDPM^- of paper B's equation (2)."""
    before: Tensor = scheduler.step(noise, step, x, generator=random, return_dict=False)[0]
    return before


def denoised_each(scheduler: DDPMScheduler, noise: Tensor, step: int, x: Tensor, random: Sequence[torch.Generator]) -> Tensor:
    """As ``denoised``, where every row draws from a generator of its own."""
    return torch.cat([denoised(scheduler, noise[row, None], step, x[row, None], each) for row, each in enumerate(random)])


def drawn(prior: Prior, seeds: Sequence[int], steps: int = 50) -> Tensor:
    """Unguided samples of the prior, one a seed, whatever the others -> (N, E) on the CPU."""
    scheduler = schedule(prior.train_steps, steps, prior.betas)
    random = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    if not random:
        return torch.empty(0, prior.embedding_dim)
    with torch.inference_mode():
        x = torch.stack([torch.randn(prior.embedding_dim, generator=each) for each in random])
        for step in scheduler.timesteps:
            x = denoised_each(scheduler, prior.noise(x, step.expand(len(x))).cpu(), int(step), x, random)
    return x.clone()
