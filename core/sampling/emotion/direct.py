"""Direct search: from the base's latent to the boundary between two emotions, by gradient. Beyond the paper, beside its two stages.

First through the surrogate, which is smooth: that finds changes of expression that many networks see, not only the ones climbed.
Then a few steps through the real networks; where there is no surrogate (a generator or steerer that the user added), more of them,
and none where the generator has no gradient. The loss of both is

    sum over the steering networks of [cross-entropy to (1/2, 1/2) + sum over both emotions of max(0, margin - (logit - k) / s)]
    + together * cross-entropy of their mean probabilities + pull * |z - base|^2 + shell * (|z|^2 / r^2 - 1)^2,

with k the 75th percentile of filter (3), s the logit's standard deviation in the reference population, and r^2 = d, or |base|^2
where latents are embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.models.engine.engine import device_turn
from core.sampling.emotion.configuration import FREE, KEEP, EmotionConfiguration
from core.sampling.emotion.judging import EmotionPanel

SURROGATE_STEPS, RATE = 100, 0.05
STEPS_WITHOUT_SURROGATE = 40
"""Steps through the real networks on top of the configuration's, where there is no surrogate."""
MARGINS = (1.0, 0.6)
"""Standard deviations above k that are asked for: of the surrogate, which is only about right, and of the real networks."""
TOGETHER_WEIGHT = 4.0
PULL_WEIGHTS = {"keep": 0.34, "free": 0.03}
SHELL_WEIGHT = 5.0
STEPS_PER_CORRECTION = 5
"""Steps through the real networks between two looks at how the draft's logits differ from the image's."""

OnClimb = Callable[[float, Tensor], None]
"""Share of the way (0 to 1), probabilities (N, 6) so far: the mean of the steering networks."""


@dataclass(frozen=True)
class _BoundaryLoss:
    pair: tuple[int, int]
    k: Tensor  # (K, 6)
    s: Tensor  # (K, 6)
    base: Tensor  # (N, d)
    pull: float
    wanted: Tensor  # (N, 2): shares of both emotions among the pair
    power: Tensor  # (N,): mean square of a plausible latent's values

    def loss(self, latents: Tensor, logits: Tensor, margin: float) -> Tensor:
        """latents (N, d), logits (N, K, 6) -> scalar, a sum over rows: no row sees another."""
        pair = list(self.pair)
        shares = self.wanted[:, None]  # (N, 1, 2): the same of every network
        entropy = -(logits.log_softmax(dim=2)[:, :, pair] * shares).sum(dim=(1, 2))
        together = -(logits.softmax(dim=2).mean(dim=1)[:, pair].clamp_min(1e-9).log() * self.wanted).sum(dim=1)
        short = (margin - (logits - self.k) / self.s)[:, :, pair].clamp_min(0)
        weights = (2 * shares).clamp_max(1)  # towards one end of the pair, the other emotion need not be above its percentile
        pulled = self.pull * (latents - self.base).square().sum(dim=1)
        shell = SHELL_WEIGHT * (latents.square().mean(dim=1) / self.power - 1).square()
        return (entropy + TOGETHER_WEIGHT * together + (short * weights).sum(dim=(1, 2)) + pulled + shell).sum()


def search_boundary(
    base: Tensor,
    configuration: EmotionConfiguration,
    panel: EmotionPanel,
    *,
    start: Tensor | None = None,
    share: float | Sequence[float] = 0.5,
    on_step: OnClimb | None = None,
) -> Tensor:
    """From ``base`` (N, d) -> latents (N, d).

    share: wanted share of emotion 2, one for all rows or one a row, 0.5 on the boundary; start: instead of the base.
    """
    surrogate = panel.surrogate
    real_steps = (
        configuration.search_steps + (STEPS_WITHOUT_SURROGATE if surrogate is None else 0) if panel.generator.differentiable else 0
    )
    quick_steps = 0 if surrogate is None else SURROGATE_STEPS
    total = max(1, quick_steps + 10 * real_steps)  # a real step takes some ten times as long
    with torch.inference_mode(False), torch.enable_grad():
        names = [network.name for network in panel.steering]
        second = torch.as_tensor(share, dtype=torch.float32).expand(len(base))
        reference = panel.reference
        goal = _BoundaryLoss(
            pair=configuration.pair,
            k=torch.from_numpy(np.stack([reference.percentiles(name) for name in names])).float(),
            s=torch.from_numpy(np.stack([reference.logits[name].std(axis=0) for name in names])).float(),
            base=base.detach().clone(),
            pull=_pull_weight(configuration.freedom),
            wanted=torch.stack([1 - second, second], dim=1),
            power=base.detach().square().mean(dim=1) if panel.decoder is None else torch.ones(len(base)),
        )
        latents = (base if start is None else start).detach().clone().requires_grad_()
        adam = torch.optim.Adam([latents], lr=RATE)
        for step in range(quick_steps):
            assert surrogate is not None
            _take_step(adam, latents, goal, surrogate.logits(latents).cpu(), MARGINS[0])
            if on_step is not None and step % 10 == 0:
                on_step(step / total, _mean_probabilities(surrogate.logits(latents).cpu()))
        adam = torch.optim.Adam([latents], lr=RATE)
        offset = torch.zeros(len(latents), len(names), 6)
        for step in range(real_steps):
            with device_turn(panel.generator.device):
                draft = _compute_logits(panel, panel.generator.decode_draft, latents)
            if panel.generator.has_draft and step % STEPS_PER_CORRECTION == 0:
                with torch.no_grad():
                    offset = _compute_logits(panel, panel.generator.decode, latents) - draft
            logits = draft + offset
            with device_turn(panel.generator.device):
                _take_step(adam, latents, goal, logits, MARGINS[1])
            if on_step is not None:
                on_step((quick_steps + 10 * step) / total, _mean_probabilities(logits))
    return latents.detach()


def _take_step(adam: torch.optim.Adam, latents: Tensor, goal: _BoundaryLoss, logits: Tensor, margin: float) -> None:
    adam.zero_grad(set_to_none=True)
    goal.loss(latents, logits, margin).backward()  # type: ignore[no-untyped-call]
    adam.step()


def _compute_logits(panel: EmotionPanel, decode: Callable[[Tensor], Tensor], latents: Tensor) -> Tensor:
    images = decode(latents)
    return torch.stack([network.logits(images) for network in panel.steering], dim=1).cpu()


def _mean_probabilities(logits: Tensor) -> Tensor:
    return logits.detach().softmax(dim=2).mean(dim=1)


def _pull_weight(freedom: float) -> float:
    """From 'keep the face' to 'be free', geometrically in between."""
    share = min(max((freedom - KEEP) / (FREE - KEEP), 0.0), 1.0)
    return float(PULL_WEIGHTS["keep"] ** (1 - share) * PULL_WEIGHTS["free"] ** share)
