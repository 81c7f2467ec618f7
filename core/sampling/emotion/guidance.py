"""Uncertainty guidance: pull a denoising embedding towards the boundary between two emotions (paper B, equations (1) and (2)).

(1)  loss(x, y) = - p(y|x) . q(y), with q half on either emotion of the pair.
(2)  x_{t-1} = DDPM^-(x_t) - gamma * grad_{x_t} loss(x_t, y).

Equation (1) rewards mass on the pair, not evenness: all of it on one emotion costs the same as half on each. The cross-entropy
form, -q(y) . log p(y|x), asks for both. As written, p is asked about the noised x_t; asked about the estimate of x_0 instead
(as CoCoG-2 does, arXiv:2407.14949), it hears what it was trained on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from core.models.emotion_mlp import EmotionMLP
from core.models.noising import BETAS, cleaned
from core.sampling.emotion.configuration import EmotionConfiguration, GuidanceLoss

LEAST: dict[GuidanceLoss, float] = {"product": -0.5, "cross-entropy": math.log(2)}
"""The smallest value that either loss can take, at p = (1/2, 1/2) and, for the product, all along p1 + p2 = 1."""

CLOSE = 0.05
"""Adaptive steps shorten within this excess over the least loss, so that they come to rest there."""


def uncertainty_loss(probabilities: Tensor, pair: tuple[int, int], form: GuidanceLoss) -> Tensor:
    """(N, 6) -> (N,): equation (1), or its cross-entropy form."""
    first, second = probabilities[:, pair[0]], probabilities[:, pair[1]]
    if form == "product":
        return -0.5 * (first + second)
    return -0.5 * (first.clamp_min(1e-12).log() + second.clamp_min(1e-12).log())


SOFTENED = 2.5
"""Adaptive guidance divides the logits by so much first: both emotions must then stand out clearly above the other four, since
stage 2 loses some of what stage 1 has won."""


@dataclass(frozen=True)
class Guide:
    """Computes the second term of equation (2) for one configuration."""

    mlp: EmotionMLP
    configuration: EmotionConfiguration
    train_steps: int
    betas: str = BETAS

    def push(self, x: Tensor, noise: Tensor, step: int, spread: float) -> Tensor:
        """What is subtracted from DDPM^-(x_t): x_t (N, E), the noise in it (N, E), t, the step's standard deviation -> (N, E).

        As written: gamma times the gradient at x_t. Adaptive: along the gradient at the estimate of x_0, of length
        2 gamma * spread * sqrt(E), with gamma = 0.5 the size of the step's own noise (Yang et al. 2024, arXiv:2402.03201), less
        near the goal.
        """
        c = self.configuration
        with torch.inference_mode(False), torch.enable_grad():
            asked = cleaned(x, noise, step, self.train_steps, self.betas) if c.adaptive else x
            asked = asked.detach().clone().requires_grad_()
            logits = self.mlp.logits_of(asked) / (SOFTENED if c.adaptive else 1.0)
            losses = uncertainty_loss(logits.softmax(dim=1), c.pair, c.loss)
            (gradient,) = torch.autograd.grad(losses.sum(), asked)
        if not c.adaptive:
            return c.gamma * gradient
        excess = ((losses.detach() - LEAST[c.loss]) / CLOSE).clamp(0, 1)[:, None]
        length = gradient.norm(dim=1, keepdim=True).clamp_min(1e-12)
        pushed: Tensor = 2 * c.gamma * spread * math.sqrt(x.shape[1]) * excess * gradient / length
        return pushed
