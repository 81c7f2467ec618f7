"""Paper B's two stages: guided diffusion over embeddings from the base's, then embedding -> latent -> image, unguided.

Uncertainty guidance pulls a denoising embedding towards the boundary between two emotions (paper B, equations (1) and (2)):

(1)  loss(x, y) = - p(y|x) . q(y), with q half on either emotion of the pair.
(2)  x_{t-1} = DDPM^-(x_t) - gamma * grad_{x_t} loss(x_t, y).

Equation (1) rewards mass on the pair, not evenness: all of it on one emotion costs the same as half on each. The cross-entropy
form, -q(y) . log p(y|x), asks for both. As written, p is asked about the noised x_t; asked about the estimate of x_0 instead
(as CoCoG-2 does, arXiv:2407.14949), it gets what it was trained on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.models.builtin.emotion_mlp import EmotionMLP
from core.models.builtin.prior import DEFAULT_BETAS, add_noise, denoise_rows, estimate_clean, make_scheduler, read_alpha_bar
from core.models.engine.engine import device_turn
from core.sampling.configuration import sample_seed
from core.sampling.emotion.configuration import EmotionConfiguration, GuidanceLoss
from core.sampling.emotion.judging import EmotionPanel

LEAST_LOSS: dict[GuidanceLoss, float] = {"product": -0.5, "cross-entropy": math.log(2)}
"""The smallest value that either loss can take, at p = (1/2, 1/2) and, for the product, all along p1 + p2 = 1."""

RESTING_EXCESS = 0.05
"""Adaptive steps shorten within this excess over the least loss, so that they come to rest there."""


def measure_uncertainty_loss(probabilities: Tensor, pair: tuple[int, int], form: GuidanceLoss) -> Tensor:
    """(N, 6) -> (N,): equation (1), or its cross-entropy form."""
    first, second = probabilities[:, pair[0]], probabilities[:, pair[1]]
    if form == "product":
        return -0.5 * (first + second)
    return -0.5 * (first.clamp_min(1e-12).log() + second.clamp_min(1e-12).log())


LOGIT_DIVISOR = 2.5
"""Adaptive guidance divides the logits by so much first: both emotions must then stand out clearly above the other four, since
stage 2 loses some of what stage 1 has won."""


@dataclass(frozen=True)
class UncertaintyGuide:
    """Computes the second term of equation (2) for one configuration."""

    mlp: EmotionMLP
    configuration: EmotionConfiguration
    train_steps: int
    betas: str = DEFAULT_BETAS

    def push(self, x: Tensor, noise: Tensor, step: int, spread: float) -> Tensor:
        """What is subtracted from DDPM^-(x_t): x_t (N, E), the noise in it (N, E), t, the step's standard deviation -> (N, E).

        As written: gamma times the gradient at x_t. Adaptive: along the gradient at the estimate of x_0, of length
        2 gamma * spread * sqrt(E), with gamma = 0.5 the size of the step's own noise (Yang et al. 2024, arXiv:2402.03201), less
        near the goal.
        """
        c = self.configuration
        with torch.inference_mode(False), torch.enable_grad():
            point = estimate_clean(x, noise, step, self.train_steps, self.betas) if c.adaptive else x
            point = point.detach().clone().requires_grad_()
            logits = self.mlp.logits_of(point) / (LOGIT_DIVISOR if c.adaptive else 1.0)
            losses = measure_uncertainty_loss(logits.softmax(dim=1), c.pair, c.loss)
            (gradient,) = torch.autograd.grad(losses.sum(), point)
        if not c.adaptive:
            return c.gamma * gradient
        excess = ((losses.detach() - LEAST_LOSS[c.loss]) / RESTING_EXCESS).clamp(0, 1)[:, None]
        length = gradient.norm(dim=1, keepdim=True).clamp_min(1e-12)
        pushed: Tensor = 2 * c.gamma * spread * math.sqrt(x.shape[1]) * excess * gradient / length
        return pushed


CANDIDATE_LATENTS = 4
"""Latents drawn for an embedding."""
POLISH_STEPS, POLISH_RATE = 20, 0.07
EXPRESSION_WEIGHT = 20.0
"""Weight, in the distance of embeddings, of the directions in which emotions change: expression is a small part of a face."""
SHELL_WEIGHT = 30.0
"""Weight of (|z|^2 / d - 1)^2 beside the squared distance of embeddings, some hundred at first."""
STEPS_PER_CORRECTION = 6
"""Steps between two looks at how the draft's embedding differs from the image's."""

OnDenoising = Callable[[float, Tensor], None]
"""Share of the way (0 to 1), estimates of the clean embeddings (N, E)."""


def denoise_embeddings(
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
    scheduler = make_scheduler(total, configuration.steps, betas)
    steps = [int(step) for step in scheduler.timesteps]
    steps = steps[len(steps) - max(1, round(configuration.freedom * len(steps))) :]
    random = [torch.Generator().manual_seed(seed) for seed in seeds]
    guide = UncertaintyGuide(panel.mlp, configuration, total, betas)
    with torch.inference_mode():
        x = add_noise(start, _draw_noise(start, random), torch.full((len(start),), steps[0]), total, betas)
        for index, step in enumerate(steps):
            after = steps[index + 1] if index + 1 < len(steps) else None
            for again in range(configuration.resampling):
                noise = prior.noise(x, torch.full((len(x),), step)).cpu()
                if on_step is not None and again == 0:
                    on_step(index / len(steps), estimate_clean(x, noise, step, total, betas))
                spread = _measure_step_noise(step, after, total, betas)
                push = guide.push(x, noise, step, spread) if configuration.guided else torch.zeros_like(x)
                before = denoise_rows(scheduler, noise, step, x, random) - push.cpu()
                if again + 1 < configuration.resampling and after is not None:
                    shares = read_alpha_bar(total, betas)
                    x = _add_noise_again(before, shares[step] / shares[after], random)  # taken back: the same step is done again
                else:
                    x = before
        if on_step is not None:
            on_step(1.0, x)
        return x


def decode_embeddings(embeddings: Tensor, bases: Tensor, seeds: Sequence[int], freedom: float, panel: EmotionPanel) -> Tensor:
    """Stage 2: embeddings (N, E) -> latents (N, d). No classifier is asked about the image.

    Where the generator's latents are embeddings, these are handed on as they are: it is stage 2, and draws the picture. Else
    several latents are drawn from the flow and mixed with the base's (N, d), whose part is the smaller the freer the sample
    may be; the one whose image's embedding comes nearest is taken, and moved a few steps by gradient to come nearer still.
    """
    if panel.decoder is None:
        return embeddings
    base_share = math.sqrt(1 - min(freedom, 1.0) ** 2)
    chosen = []
    for row, seed in enumerate(seeds):
        wanted = embeddings[row : row + 1].expand(CANDIDATE_LATENTS, -1)
        drawn = panel.decoder.latents(wanted, [sample_seed(seed, "candidate", index) for index in range(CANDIDATE_LATENTS)])
        drawn = base_share * bases[row] + freedom * drawn
        with torch.inference_mode():
            apart = _measure_embedding_distance(_embed_drafts(drawn, panel), wanted, panel)
        chosen.append(drawn[int(apart.argmin())])
    return _polish_latents(torch.stack(chosen), embeddings, panel)


def _polish_latents(latents: Tensor, embeddings: Tensor, panel: EmotionPanel) -> Tensor:
    """Descend the squared distance between image's and wanted embedding, within the shell where latents are plausible."""
    with torch.inference_mode(False), torch.enable_grad():
        wanted = embeddings.detach().clone()
        moving = latents.detach().clone().requires_grad_()
        adam = torch.optim.Adam([moving], lr=POLISH_RATE)
        offset = torch.zeros_like(wanted)
        for step in range(POLISH_STEPS):
            with device_turn(panel.generator.device):
                seen = _embed_drafts(moving, panel)
            if panel.generator.has_draft and step % STEPS_PER_CORRECTION == 0:
                with torch.no_grad():
                    offset = panel.encoder.embed(panel.generator.decode(moving)).cpu() - seen
            apart = _measure_embedding_distance(seen + offset, wanted, panel)
            shell = SHELL_WEIGHT * (moving.square().mean(dim=1) - 1).square()
            adam.zero_grad(set_to_none=True)
            with device_turn(panel.generator.device):
                (apart + shell).sum().backward()  # type: ignore[no-untyped-call]
            adam.step()
    return moving.detach()


def _measure_embedding_distance(seen: Tensor, wanted: Tensor, panel: EmotionPanel) -> Tensor:
    """Squared distance of embeddings (N, E) -> (N,), in one metric for all faces.

    Before whitening, so that noise in components that hardly vary counts for little; and with the directions in which the
    emotions of an embedding change counting for more.
    """
    weights = panel.encoder.spread.cpu() / panel.encoder.spread.cpu().mean()
    off = seen - wanted
    expressed = (panel.mlp.sensitivity * off[:, None, :]).sum(dim=2)  # no matrix product: its rows would see their number
    result: Tensor = (weights * off).square().sum(dim=1) + EXPRESSION_WEIGHT * (expressed * off).sum(dim=1)
    return result


def _embed_drafts(latents: Tensor, panel: EmotionPanel) -> Tensor:
    return panel.encoder.embed(panel.generator.decode_draft(latents)).cpu()


def _draw_noise(like: Tensor, random: Sequence[torch.Generator]) -> Tensor:
    return torch.stack([torch.randn(like.shape[1], generator=generator) for generator in random])


def _measure_step_noise(step: int, after: int | None, total: int, betas: str = DEFAULT_BETAS) -> float:
    """Standard deviation of the noise that the forward process adds between both steps: sqrt(1 - abar_t / abar_after)."""
    shares = read_alpha_bar(total, betas)
    before = 1.0 if after is None else float(shares[after])
    return math.sqrt(max(0.0, 1.0 - float(shares[step]) / before))


def _add_noise_again(x: Tensor, ratio: Tensor, random: Sequence[torch.Generator]) -> Tensor:
    """Forward again, by the ratio of alpha-bar (resampling; Lugmayr et al. 2022, arXiv:2201.09865, section 4.2)."""
    result: Tensor = ratio.sqrt() * x + (1 - ratio).sqrt() * _draw_noise(x, random)
    return result
