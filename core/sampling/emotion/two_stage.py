"""Paper B's two stages: guided diffusion over embeddings from the base's, then embedding -> latent -> image, unguided."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from core.models.engine import turn
from core.models.noising import BETAS, cleaned, denoised_each, kept_share, noised, schedule
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.guidance import Guide
from core.sampling.emotion.panel import EmotionPanel
from core.sampling.seeds import sample_seed

CANDIDATES = 4
"""Latents drawn for an embedding."""
POLISH_STEPS, POLISH_RATE = 20, 0.07
EXPRESSION = 20.0
"""Weight, in the distance of embeddings, of the directions in which emotions change: expression is a small part of a face."""
SHELL = 30.0
"""Weight of (|z|^2 / d - 1)^2 beside the squared distance of embeddings, some hundred at first."""
CORRECT_EVERY = 6
"""Steps between two looks at how the draft's embedding differs from the image's."""

OnDenoising = Callable[[float, Tensor], None]
"""Share of the way (0 to 1), estimates of the clean embeddings (N, E)."""


def guided_embeddings(
    start: Tensor,
    seeds: Sequence[int],
    configuration: EmotionConfiguration,
    panel: EmotionPanel,
    on_step: OnDenoising | None = None,
) -> Tensor:
    """Stage 1: the base's embedding, one row a seed (N, E), noised and denoised with guidance -> (N, E).

    Row by row the noise comes from its seed alone. ``freedom`` says how far up the schedule the base is noised.
    """
    prior, total, betas = panel.prior, panel.prior.train_steps, panel.prior.betas
    scheduler = schedule(total, configuration.steps, betas)
    steps = [int(step) for step in scheduler.timesteps]
    steps = steps[len(steps) - max(1, round(configuration.freedom * len(steps))) :]
    random = [torch.Generator().manual_seed(seed) for seed in seeds]
    guide = Guide(panel.mlp, configuration, total, betas)
    with torch.inference_mode():
        x = noised(start, _normal(start, random), torch.full((len(start),), steps[0]), total, betas)
        for place, step in enumerate(steps):
            after = steps[place + 1] if place + 1 < len(steps) else None
            for again in range(configuration.resampling):
                noise = prior.noise(x, torch.full((len(x),), step)).cpu()
                if on_step is not None and again == 0:
                    on_step(place / len(steps), cleaned(x, noise, step, total, betas))
                spread = _spread(step, after, total, betas)
                push = guide.push(x, noise, step, spread) if configuration.guided else torch.zeros_like(x)
                before = denoised_each(scheduler, noise, step, x, random) - push.cpu()
                if again + 1 < configuration.resampling and after is not None:
                    shares = kept_share(total, betas)
                    x = _renoise(before, shares[step] / shares[after], random)  # taken back: the same step is done again
                else:
                    x = before
        if on_step is not None:
            on_step(1.0, x)
        return x


def decoded(embeddings: Tensor, bases: Tensor, seeds: Sequence[int], freedom: float, panel: EmotionPanel) -> Tensor:
    """Stage 2: embeddings (N, E) -> latents (N, d). No classifier is asked about the image.

    Where the generator's latents are embeddings, these are handed on as they are: it is stage 2, and draws the picture. Else
    several latents are drawn from the flow and mixed with the base's (N, d), whose part is the smaller the freer the sample
    may be; the one whose image's embedding comes nearest is taken, and moved a few steps by gradient to come nearer still.
    """
    if panel.decoder is None:
        return embeddings
    kept = math.sqrt(1 - min(freedom, 1.0) ** 2)
    chosen = []
    for row, seed in enumerate(seeds):
        wanted = embeddings[row : row + 1].expand(CANDIDATES, -1)
        drawn = panel.decoder.latents(wanted, [sample_seed(seed, "candidate", each) for each in range(CANDIDATES)])
        drawn = kept * bases[row] + freedom * drawn
        with torch.inference_mode():
            apart = _apart(_embedded(drawn, panel), wanted, panel)
        chosen.append(drawn[int(apart.argmin())])
    return _polished(torch.stack(chosen), embeddings, panel)


def _polished(latents: Tensor, embeddings: Tensor, panel: EmotionPanel) -> Tensor:
    """Descend the squared distance between image's and wanted embedding, within the shell where latents are plausible."""
    with torch.inference_mode(False), torch.enable_grad():
        wanted = embeddings.detach().clone()
        moving = latents.detach().clone().requires_grad_()
        adam = torch.optim.Adam([moving], lr=POLISH_RATE)
        offset = torch.zeros_like(wanted)
        for step in range(POLISH_STEPS):
            with turn(panel.generator.device):
                seen = _embedded(moving, panel)
            if panel.generator.has_draft and step % CORRECT_EVERY == 0:
                with torch.no_grad():
                    offset = panel.encoder.embed(panel.generator.decode(moving)).cpu() - seen
            apart = _apart(seen + offset, wanted, panel)
            shell = SHELL * (moving.square().mean(dim=1) - 1).square()
            adam.zero_grad(set_to_none=True)
            with turn(panel.generator.device):
                (apart + shell).sum().backward()  # type: ignore[no-untyped-call]
            adam.step()
    return moving.detach()


def _apart(seen: Tensor, wanted: Tensor, panel: EmotionPanel) -> Tensor:
    """Squared distance of embeddings (N, E) -> (N,), in one metric for all faces.

    Before whitening, so that noise in components that hardly vary counts for little; and with the directions in which the
    emotions of an embedding change counting for more.
    """
    weights = panel.encoder.spread.cpu() / panel.encoder.spread.cpu().mean()
    off = seen - wanted
    expressed = (panel.mlp.sensitivity * off[:, None, :]).sum(dim=2)  # no matrix product: its rows would see their number
    result: Tensor = (weights * off).square().sum(dim=1) + EXPRESSION * (expressed * off).sum(dim=1)
    return result


def _embedded(latents: Tensor, panel: EmotionPanel) -> Tensor:
    return panel.encoder.embed(panel.generator.decode_draft(latents)).cpu()


def _normal(like: Tensor, random: Sequence[torch.Generator]) -> Tensor:
    return torch.stack([torch.randn(like.shape[1], generator=each) for each in random])


def _spread(step: int, after: int | None, total: int, betas: str = BETAS) -> float:
    """Standard deviation of the noise that the forward process adds between both steps: sqrt(1 - abar_t / abar_after)."""
    shares = kept_share(total, betas)
    before = 1.0 if after is None else float(shares[after])
    return math.sqrt(max(0.0, 1.0 - float(shares[step]) / before))


def _renoise(x: Tensor, ratio: Tensor, random: Sequence[torch.Generator]) -> Tensor:
    """Forward again, by the ratio of alpha-bar (resampling; Lugmayr et al. 2022, arXiv:2201.09865, section 4.2)."""
    result: Tensor = ratio.sqrt() * x + (1 - ratio).sqrt() * _normal(x, random)
    return result
