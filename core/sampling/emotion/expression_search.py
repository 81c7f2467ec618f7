"""Direct search over named expressions, for a generator whose pictures have no gradient: the person and the scene stay as they are.

Adam climbs through a surrogate, which predicts what the steering networks say of a latent. Every few steps the true picture is
drawn and judged by the networks themselves (an anchor): the difference between truth and prediction is added to the prediction from
there on, and the best anchor is the result. The loss of both is that of ``direct``, with the pull towards the base replaced by

    natural * max(0, m / limit - 0.8)^2 + quiet * |z - start|^2,

with m the Mahalanobis distance of the face's actions from those of the reference faces (``reference.ExpressionRange``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from core.models.emotions import EMOTIONS
from core.models.framing import frame_for_classifiers
from core.sampling.configuration import sample_seed
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.judging import EmotionPanel
from core.sampling.images import quantise

ANCHORS = 7
"""True pictures, at most; a face that is good enough takes no more."""
STEPS_PER_ANCHOR = 25
RATE = 0.05
MARGIN = 0.35
"""Standard deviations above the percentile k of filter (3) that are asked for."""
HALF = 0.55
"""Strength of both feelings at the start, where both are wanted alike."""
STRENGTH_JITTER, EXPRESSION_JITTER = 0.08, 0.5
"""How the starts of samples differ: standard deviations of both strengths, and of the other expression in a random face's."""
NATURAL_WEIGHT, QUIET_WEIGHT = 8.0, 0.02
NATURAL_SHARE = 0.8
"""Share of the natural range in which nothing pulls back."""
GOOD_LOSS = 0.15
"""Above the least possible loss of a network: an anchor within this is taken at once."""
VIEWS: tuple[tuple[float, float, float, float], ...] = ((0, 0, 1, 1), (0.05, -0.03, 1.0, 1.0), (-0.04, 0.03, 0.92, 0.88))
"""How the networks look at an anchor: shift across and down in half sides, side of the part seen, factor of the light."""

OnClimb = Callable[[float, Tensor], None]
"""Share of the way (0 to 1), probabilities (N, 6) so far: the mean of the steering networks."""


@dataclass(frozen=True)
class _Goal:
    """The loss of faces (N) under networks (K)."""

    pair: tuple[int, int]
    k: Tensor  # (K, 6)
    s: Tensor  # (K, 6)
    wanted: Tensor  # (N, 2): shares of both emotions among the pair
    start: Tensor  # (N, e): the expression at the start
    mean: Tensor  # (A,)
    precision: Tensor  # (A, A)
    limit: float

    def measure(self, logits: Tensor, expression: Tensor, actions: Tensor, rows: Tensor) -> Tensor:
        """logits (n, K, 6), expression (n, e), actions (n, A) of the faces ``rows`` (n,) -> (n,)."""
        pair, wanted = list(self.pair), self.wanted[rows]
        entropy = -(logits.log_softmax(dim=2)[:, :, pair] * wanted[:, None]).sum(dim=2).mean(dim=1)
        least = -(wanted.clamp_min(1e-9).log() * wanted).sum(dim=1)
        short = (MARGIN - (logits - self.k) / self.s)[:, :, pair].clamp_min(0)
        missing = (short * (2 * wanted[:, None]).clamp_max(1)).sum(dim=(1, 2)) / logits.shape[1]
        off = actions - self.mean
        far = ((off @ self.precision) * off).sum(dim=1).clamp_min(1e-9).sqrt() / self.limit
        natural = NATURAL_WEIGHT * (far - NATURAL_SHARE).clamp_min(0).square()
        quiet = QUIET_WEIGHT * (expression - self.start[rows]).square().sum(dim=1)
        return entropy - least + missing + natural + quiet


def search_expressions(
    bases: Tensor,
    configuration: EmotionConfiguration,
    panel: EmotionPanel,
    seeds: Sequence[int | None],
    *,
    share: float | Sequence[float] = 0.5,
    on_step: OnClimb | None = None,
) -> Tensor:
    """Base latents (N, d) and a seed each -> latents (N, d) on the boundary that differ from the base in the expression alone.

    seeds: None begins without jitter. share: wanted share of emotion 2, one for all rows or one a row, 0.5 on the boundary. A row
    depends on its base, its seed and its share alone.
    """
    generator, surrogate, natural = panel.generator, panel.surrogate, panel.reference.expressions
    assert surrogate is not None
    assert natural is not None
    block = generator.blocks["expression"]
    second = torch.as_tensor(share, dtype=torch.float32).expand(len(bases))
    with torch.inference_mode(False), torch.enable_grad():
        latents = start_expressions(bases, configuration, panel, seeds, second).clone()
        names = [network.name for network in panel.steering]
        goal = _Goal(
            pair=configuration.pair,
            k=torch.from_numpy(np.stack([panel.reference.percentiles(name) for name in names])).float(),
            s=torch.from_numpy(np.stack([panel.reference.logits[name].std(axis=0) for name in names])).float(),
            wanted=torch.stack([1 - second, second], dim=1),
            start=latents[:, block].clone(),
            mean=torch.from_numpy(natural.mean).float(),
            precision=torch.from_numpy(natural.precision).float(),
            limit=natural.limit,
        )
        expression = latents[:, block].clone().requires_grad_()
        adam = torch.optim.Adam([expression], lr=RATE)
        offset = torch.zeros(len(latents), len(names), len(EMOTIONS))
        best, least = latents.clone(), torch.full((len(latents),), torch.inf)
        searching = torch.arange(len(latents))
        for anchor in range(ANCHORS + 1):
            for _ in range(STEPS_PER_ANCHOR if anchor else 2 * STEPS_PER_ANCHOR):
                moved = _replace(latents, expression, block)[searching]
                logits = _predict_logits(moved, panel) + offset[searching]
                losses = goal.measure(logits, moved[:, block], generator.facial_actions(moved), searching)
                adam.zero_grad(set_to_none=True)
                losses.sum().backward()  # type: ignore[no-untyped-call]
                adam.step()
            with torch.no_grad():
                moved = _replace(latents, expression, block)[searching]
                truth = judge_anchors(moved, panel)
                losses = goal.measure(truth, moved[:, block], generator.facial_actions(moved), searching)
                offset[searching] = truth - _predict_logits(moved, panel)
                better = losses < least[searching]
                best[searching[better]], least[searching[better]] = moved[better], losses[better]
                if on_step is not None:
                    on_step((anchor + 1) / (ANCHORS + 1), _mean_probabilities(truth, searching, len(latents)))
                searching = searching[least[searching] > GOOD_LOSS]
            if not len(searching):
                break
    return best


def start_expressions(
    bases: Tensor, configuration: EmotionConfiguration, panel: EmotionPanel, seeds: Sequence[int | None], second: Tensor
) -> Tensor:
    """Base latents (N, d) -> the same with both feelings, as far as each is wanted, and a little other expression by the seed."""
    generator, rows = panel.generator, []
    places = [index for index, named in enumerate(generator.latent_names) if named.block == "expression"]
    others = [place for place in places if generator.latent_names[place].name not in EMOTIONS]
    for base, seed, share in zip(bases, seeds, second.tolist(), strict=True):
        latent, jitter = base[None].clone(), np.zeros(2)
        if seed is not None:
            drawn = generator.sample([sample_seed(seed, "start")])[0]
            latent[0, others] += EXPRESSION_JITTER * drawn[others]
            jitter = STRENGTH_JITTER * np.random.default_rng(sample_seed(seed, "strength")).normal(size=2)
        for emotion in EMOTIONS:
            if emotion not in (configuration.emotion1, configuration.emotion2):
                latent = generator.set_named_value(latent, emotion, 0.0)
        for emotion, part, more in ((configuration.emotion1, 1 - share, jitter[0]), (configuration.emotion2, share, jitter[1])):
            strength = 2 * HALF * part * (1 + more)
            latent = generator.set_named_value(latent, emotion, float(np.clip(strength, 0.0, 1.0)))
        rows.append(latent)
    return torch.cat(rows)


def judge_anchors(latents: Tensor, panel: EmotionPanel) -> Tensor:
    """What the steering networks say of the true pictures of latents (N, d), the mean over ``VIEWS`` -> (N, K, 6)."""
    with torch.inference_mode():
        framed = frame_for_classifiers(quantise(panel.generator.decode(latents)), panel.generator.classifier_frame)
        views = [_look(framed, *view) for view in VIEWS]
        said = [torch.stack([network.logits(view).cpu() for network in panel.steering], dim=1) for view in views]
        return torch.stack(said).mean(dim=0)


def _look(images: Tensor, across: float, down: float, side: float, light: float) -> Tensor:
    """A part of pictures (N, 3, H, W), of the same size, in another light."""
    if (across, down, side, light) == (0, 0, 1, 1):
        return images
    size = images.shape[-1]
    steps = ((torch.arange(size) + 0.5) / size * 2 - 1) * side
    grid = torch.stack(torch.meshgrid(steps + down, steps + across, indexing="ij")[::-1], dim=-1).to(images)
    seen = grid_sample(images, grid.expand(len(images), -1, -1, -1), mode="bilinear", padding_mode="border", align_corners=False)
    return (seen * light).clamp(0, 1)


def _predict_logits(latents: Tensor, panel: EmotionPanel) -> Tensor:
    """What the surrogate predicts of the steering networks -> (N, K, 6)."""
    surrogate = panel.surrogate
    assert surrogate is not None
    said = surrogate.logits(latents).cpu()
    columns = []
    for network in panel.steering:
        if network.name in surrogate.classifiers:
            columns.append(said[:, surrogate.classifiers.index(network.name)])
        else:
            columns.append(panel.mlp.logits_of(surrogate.embeddings(latents)).cpu())  # type: ignore[attr-defined]
    return torch.stack(columns, dim=1)


def _replace(latents: Tensor, expression: Tensor, block: slice) -> Tensor:
    """Latents (N, d) with another expression (N, e)."""
    return torch.cat([latents[:, : block.start], expression, latents[:, block.stop :]], dim=1)


def _mean_probabilities(logits: Tensor, rows: Tensor, count: int) -> Tensor:
    result = torch.full((count, logits.shape[2]), torch.nan)
    result[rows] = logits.softmax(dim=2).mean(dim=1)
    return result
