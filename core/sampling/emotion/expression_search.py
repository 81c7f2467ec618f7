"""Direct search over named expressions, for a generator whose pictures have no gradient: the person and the scene stay as they are.

Adam climbs through a surrogate, which predicts what the steering networks say of a latent. Every few steps the true picture is
drawn and judged by the networks themselves (an anchor): the difference between truth and prediction is added to the prediction from
there on, and the best anchor is the result. The loss of both is that of ``direct``, with the pull towards the base replaced by

    natural * max(0, m / limit - 0.8)^2 + quiet * |u|^2,

with m the Mahalanobis distance of the actions from those of the reference faces (``reference.ExpressionRange``), and u how far
each latent was moved, in strengths of facial actions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from core.models.contracts import Generator
from core.models.emotions import EMOTIONS
from core.models.framing import frame_for_classifiers
from core.sampling.configuration import sample_seed
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.judging import EmotionPanel
from core.sampling.images import quantise

ANCHORS = 6
"""True pictures, at most; a face that is good enough takes no more."""
FIRST_STEPS, STEPS_PER_ANCHOR = 40, 15
"""Steps through the surrogate before the first true picture and between two."""
REACH_FACTOR = 0.4
"""Where a true picture is worse than the best so far, the next one is looked for so much nearer to that."""
RATE = 0.04
MARGIN = 0.35
"""Standard deviations above the percentile k of filter (3) that are asked for."""
HALF = 0.55
"""Strength of both feelings at the start, where both are wanted alike."""
STRENGTH_JITTER, EXPRESSION_JITTER = 0.08, 0.5
"""How the starts of samples differ: standard deviations of both strengths, and of the other expression in a random face's."""
MISSING_WEIGHT = 3.0
NATURAL_WEIGHT, QUIET_WEIGHT = 8.0, 0.03
NATURAL_SHARE = 0.8
"""Share of the natural range in which nothing pulls back."""
GOOD_LOSS = 0.15
"""An anchor within this is taken at once; 0 is the least that there can be."""
STEERER_WEIGHT = 2.0
"""Of the steerer among the steering networks: filter (3) is by it."""
VIEWS: tuple[tuple[float, float, float, float], ...] = ((0, 0, 1, 1), (0.05, -0.03, 1.0, 1.0), (-0.04, 0.03, 0.92, 0.88))
"""How the networks look at an anchor: shift across and down in half sides, side of the part seen, factor of the light."""

NUDGE, LEAST_SENSITIVITY = 0.05, 0.02
"""Step of a latent by which its effect is measured, and the least effect of one that is moved."""
AWAKE = 0.02
"""Strength that every single action has at the start, so that there is a gradient to climb by."""

OnClimb = Callable[[float, Tensor], None]
"""Share of the way (0 to 1), probabilities (N, 6) so far: the mean of the steering networks."""


@dataclass(frozen=True)
class _Goal:
    """The loss of faces (N) under networks (K)."""

    pair: tuple[int, int]
    k: Tensor  # (K, 6)
    s: Tensor  # (K, 6)
    weights: Tensor  # (K,), a sum of 1
    wanted: Tensor  # (N, 2): shares of both emotions among the pair
    mean: Tensor  # (A,)
    precision: Tensor  # (A, A)
    limit: float

    def measure(self, logits: Tensor, moves: Tensor, actions: Tensor, rows: Tensor) -> Tensor:
        """logits (n, K, 6), moves (n, e), actions (n, A) of the faces ``rows`` (n,) -> (n,)."""
        pair, wanted = list(self.pair), self.wanted[rows]
        least = -(wanted.clamp_min(1e-9).log() * wanted).sum(dim=1)
        excess = -(logits.log_softmax(dim=2)[:, :, pair] * wanted[:, None]).sum(dim=2) - least[:, None]
        uneven = (excess.clamp_min(0).log1p() * self.weights).sum(dim=1)  # what a network never says does not outweigh all else
        short = (MARGIN - (logits - self.k) / self.s)[:, :, pair].clamp_min(0)
        missing = (short * (2 * wanted[:, None]).clamp_max(1)).sum(dim=2)
        off = actions - self.mean
        far = ((off @ self.precision) * off).sum(dim=1).clamp_min(1e-9).sqrt() / self.limit
        natural = NATURAL_WEIGHT * (far - NATURAL_SHARE).clamp_min(0).square()
        quiet = QUIET_WEIGHT * moves.square().sum(dim=1)
        return uneven + MISSING_WEIGHT * (missing * self.weights).sum(dim=1) + natural + quiet


def search_expressions(
    bases: Tensor,
    configuration: EmotionConfiguration,
    panel: EmotionPanel,
    seeds: Sequence[int] | None,
    *,
    share: float | Sequence[float] = 0.5,
    on_step: OnClimb | None = None,
) -> Tensor:
    """Base latents (N, d) and a seed each -> latents (N, d) on the boundary, which differ from the base in the expression alone.

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
        weights = torch.tensor([STEERER_WEIGHT if name == configuration.steerer else 1.0 for name in names])
        goal = _Goal(
            pair=configuration.pair,
            k=torch.from_numpy(np.stack([panel.reference.percentiles(name) for name in names])).float(),
            s=torch.from_numpy(np.stack([panel.reference.logits[name].std(axis=0) for name in names])).float(),
            weights=weights / weights.sum(),
            wanted=torch.stack([1 - second, second], dim=1),
            mean=torch.from_numpy(natural.mean).float(),
            precision=torch.from_numpy(natural.precision).float(),
            limit=natural.limit,
        )
        scale = _find_scale(latents, block, panel)
        moves = torch.zeros_like(scale).requires_grad_()
        offset = torch.zeros(len(latents), len(names), len(EMOTIONS))
        centre, reach = moves.detach().clone(), torch.full((len(latents),), torch.inf)
        least, searching = torch.full((len(latents),), torch.inf), torch.arange(len(latents))

        def move(by: Tensor) -> Tensor:
            moved = latents.clone()
            moved[:, block] = latents[:, block] + scale * by
            return moved[searching]

        for anchor in range(ANCHORS):
            adam = torch.optim.Adam([moves], lr=RATE)
            for _ in range(STEPS_PER_ANCHOR if anchor else FIRST_STEPS):
                moved = move(moves)
                logits = _predict_logits(moved, panel) + offset[searching]
                losses = goal.measure(logits, moves[searching], generator.facial_actions(moved), searching)
                adam.zero_grad(set_to_none=True)
                losses.sum().backward()  # type: ignore[no-untyped-call]
                adam.step()
                with torch.no_grad():
                    away = moves - centre
                    moves.copy_(centre + away * (reach / away.norm(dim=1).clamp_min(1e-9)).clamp_max(1)[:, None])
            with torch.no_grad():
                moved = move(moves)
                truth = judge_anchors(moved, panel)
                losses = goal.measure(truth, moves[searching], generator.facial_actions(moved), searching)
                better = losses < least[searching]
                won, lost = searching[better], searching[~better]
                offset[won] = (truth - _predict_logits(moved, panel))[better]
                reach[lost] = REACH_FACTOR * (moves - centre).norm(dim=1)[lost]
                centre[won], least[won] = moves[won], losses[better]
                moves.copy_(centre)
                if on_step is not None:
                    on_step((anchor + 1) / ANCHORS, _mean_probabilities(truth, searching, len(latents)))
                searching = searching[least[searching] > GOOD_LOSS]
            if not len(searching):
                break
        searching = torch.arange(len(latents))
        best = move(centre)
    return best


def jitter_expressions(bases: Tensor, generator: Generator, seeds: Sequence[int]) -> Tensor:
    """Latents (N, d) with a little other expression by each one's seed (N); their feelings stay."""
    others = [
        place for place, named in enumerate(generator.latent_names) if named.block == "expression" and named.name not in EMOTIONS
    ]
    latents = bases.clone()
    latents[:, others] += EXPRESSION_JITTER * generator.sample([sample_seed(seed, "start") for seed in seeds])[:, others]
    return latents


def start_expressions(
    bases: Tensor, configuration: EmotionConfiguration, panel: EmotionPanel, seeds: Sequence[int] | None, second: Tensor
) -> Tensor:
    """Latents (N, d) with both feelings alone, each as far as it is wanted (N,), and a little other expression by the seed."""
    latents = bases if seeds is None else jitter_expressions(bases, panel.generator, seeds)
    rows = []
    for index, share in enumerate(second.tolist()):
        strengths = dict.fromkeys(EMOTIONS, 0.0)
        strengths[configuration.emotion1], strengths[configuration.emotion2] = 2 * HALF * (1 - share), 2 * HALF * share
        latent = _wake_actions(latents[index : index + 1], panel.generator)
        random = None if seeds is None else np.random.default_rng(sample_seed(seeds[index], "strength"))
        for emotion, strength in strengths.items():
            more = STRENGTH_JITTER * random.normal() if random is not None else 0.0
            latent = panel.generator.set_named_value(latent, emotion, float(np.clip(strength * (1 + more), 0.0, 1.0)))
        rows.append(latent)
    return torch.cat(rows)


def _wake_actions(latent: Tensor, generator: Generator) -> Tensor:
    """A latent (1, d) whose expression values that begin at 0 are a little more."""
    values = generator.named_values(latent)[0]
    for named in generator.latent_names:
        if named.block == "expression" and named.name not in EMOTIONS and named.lowest == 0 and values[named.name] < AWAKE:
            latent = generator.set_named_value(latent, named.name, AWAKE)
    return latent


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


def _find_scale(latents: Tensor, block: slice, panel: EmotionPanel) -> Tensor:
    """By how much each expression latent (N, e) moves the facial actions by 1; 0 for those that move none, such as the gaze."""
    columns = []
    for place in range(block.start, block.stop):
        nudged = latents.clone()
        nudged[:, place] += NUDGE
        with torch.no_grad():
            moved = panel.generator.facial_actions(nudged) - panel.generator.facial_actions(latents)
        columns.append(moved.norm(dim=1) / NUDGE)
    sensitivity = torch.stack(columns, dim=1)
    return torch.where(sensitivity > LEAST_SENSITIVITY, 1 / sensitivity.clamp_min(LEAST_SENSITIVITY), 0.0)


def _mean_probabilities(logits: Tensor, rows: Tensor, count: int) -> Tensor:
    result = torch.full((count, logits.shape[2]), torch.nan)
    result[rows] = logits.softmax(dim=2).mean(dim=1)
    return result
