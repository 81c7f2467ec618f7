"""Direct search over named expressions, for a generator whose pictures have no gradient: the person and the scene stay as they are.

Adam climbs through a surrogate, which predicts what the steering networks say of a latent. Every few steps the true picture is
drawn and judged by the networks themselves (an anchor): from there on the prediction is corrected so that it is right at the best
anchor and at the last one (Broyden 1965, doi:10.1090/S0025-5718-1965-0198670-6), and the best anchor is the result.
The loss of both is that of ``direct``, with the pull towards the base replaced by

    natural * max(0, m / limit - 0.96)^2 + quiet * |u|^2,

with m the Mahalanobis distance of the actions from those of the reference faces (``reference.ExpressionRange``), and u how far
each latent was moved, in strengths of facial actions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.models.contracts import EncoderSurrogate, Generator
from core.models.emotions import EMOTIONS
from core.models.framing import frame_for_classifiers
from core.sampling.configuration import sample_seed
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.judging import EmotionPanel, NaturalExpressions
from core.sampling.images import quantise

USUAL_ANCHORS, ANCHORS = 4, 8
"""True pictures of a face: so many unless one is good at once, and at most, where filter (3) is not passed by then."""
FIRST_STEPS, STEPS_PER_ANCHOR = 25, 12
"""Steps through the surrogate before the first true picture and between two."""
REACH_FACTOR = 0.6
"""Where a true picture is worse than the best so far, the next one is looked for so much nearer to that."""
RATE = 0.07
MARGIN = 0.4
"""Standard deviations above the percentile k of filter (3) that are asked for."""
HALF = 0.55
"""Strength of both feelings at the start, where both are wanted alike."""
STRENGTH_JITTER, EXPRESSION_JITTER = 0.08, 0.5
"""How the starts of samples differ: standard deviations of both strengths, and of the other expression in a random face's."""
MISSING_WEIGHT, EVEN_WEIGHT = 6.0, 0.5
NATURAL_WEIGHT, QUIET_WEIGHT = 60.0, 0.03
NATURAL_SHARE = 0.96
"""Share of the natural range in which nothing pulls back."""
GOOD_LEAN, GOOD_SUM = 0.3, 0.75
"""An anchor is taken at once where the steerer passes by the margin, its log odds are so near the wanted ones, and both emotions
together have so much."""
STEERER_WEIGHT = 4.0
"""Of the steerer among the steering networks: filter (3) is by it."""
SAME_SHARE = 0.72
"""Of the recogniser's threshold: up to this distance to the base a true picture shows the same person without doubt."""
STRANGE_WEIGHT, CALM_STEP = 30.0, 1.0
"""Loss of a threshold beyond that, and by how much strong actions cost more from there on."""
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
    rest: Tensor  # (N, A): the bases' actions
    natural: NaturalExpressions

    def measure(self, logits: Tensor, moves: Tensor, actions: Tensor, calm: Tensor, rows: Tensor) -> Tensor:
        """logits (n, K, 6), moves (n, e), actions (n, A) and what strong actions cost (n,), of the faces ``rows`` (n,) -> (n,)."""
        pair, wanted = list(self.pair), self.wanted[rows]
        least = -(wanted.clamp_min(1e-9).log() * wanted).sum(dim=1)
        excess = -(logits.log_softmax(dim=2)[:, :, pair] * wanted[:, None]).sum(dim=2) - least[:, None]
        # logarithms: what a network never says does not outweigh all else
        costs = excess.clamp_min(0).log1p() + EVEN_WEIGHT * self._measure_lean(logits, rows).square().log1p()
        uneven = (costs * self.weights).sum(dim=1)
        short = (MARGIN - (logits - self.k) / self.s)[:, :, pair].clamp_min(0)
        missing = (short * (2 * wanted[:, None]).clamp_max(1)).sum(dim=2)
        natural = NATURAL_WEIGHT * (self.natural.measure_distance(actions) - NATURAL_SHARE).clamp_min(0).square()
        quiet = QUIET_WEIGHT * moves.square().sum(dim=1) + calm * (actions - self.rest[rows]).norm(dim=1)
        loss: Tensor = uneven + MISSING_WEIGHT * (missing * self.weights).sum(dim=1) + natural + quiet
        return loss

    def count_failures(self, logits: Tensor, actions: Tensor, rows: Tensor) -> Tensor:
        """1 where filter (3) is not passed under the network that counts most, and 1 where the face is not natural -> (n,)."""
        first, pair = int(self.weights.argmax()), list(self.pair)
        below = (logits[:, first] <= self.k[first])[:, pair] & (self.wanted[rows] >= 0.5)
        return below.any(dim=1).float() + (self.natural.measure_distance(actions) > 1).float()

    def _measure_lean(self, logits: Tensor, rows: Tensor) -> Tensor:
        """By how much the log odds of emotion 2 against emotion 1 are off, (n, K); 0 where one end of the pair is wanted."""
        wanted, (first, second) = self.wanted[rows], self.pair
        off = (
            logits[:, :, second]
            - logits[:, :, first]
            - (wanted[:, 1] / wanted[:, 0].clamp_min(1e-9)).clamp_min(1e-9).log()[:, None]
        )
        return off * (wanted.amin(dim=1) > 0)[:, None]

    def is_reached(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Whether nothing is missing for the network that counts most: logits (n, K, 6) of the faces ``rows`` (n,) -> bool (n,)."""
        first, pair, wanted = int(self.weights.argmax()), list(self.pair), self.wanted[rows]
        above = (logits[:, first] - self.k[first])[:, pair] / self.s[first, pair] > MARGIN
        together = logits[:, first].softmax(dim=1)[:, pair].sum(dim=1)
        even = self._measure_lean(logits, rows)[:, first].abs() < GOOD_LEAN
        return (above | (wanted < 0.5)).all(dim=1) & even & (together > GOOD_SUM)


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
            rest=generator.facial_actions(bases).detach(),
            natural=NaturalExpressions(natural),
        )
        scale = _find_scale(latents, block, panel)
        moves = torch.zeros_like(scale).requires_grad_()
        offset = torch.zeros(len(latents), len(names), len(EMOTIONS))
        slope = torch.zeros(*offset.shape, moves.shape[1])
        centre, reach = moves.detach().clone(), torch.full((len(latents),), torch.inf)
        calm, person = torch.zeros(len(latents)), _describe_faces(bases, panel)
        failing = torch.ones(len(latents), dtype=torch.bool)
        least, searching = torch.full((len(latents),), torch.inf), torch.arange(len(latents))

        def move(by: Tensor) -> Tensor:
            moved = latents.clone()
            moved[:, block] = latents[:, block] + scale * by
            return moved[searching]

        def bend(rows: Tensor) -> Tensor:
            return (slope[rows] * (moves - centre)[rows, None, None]).sum(dim=3)

        for anchor in range(ANCHORS):
            adam = torch.optim.Adam([moves], lr=RATE)
            for _ in range(STEPS_PER_ANCHOR if anchor else FIRST_STEPS):
                moved = move(moves)
                logits = _predict_logits(moved, panel) + offset[searching] + bend(searching)
                losses = goal.measure(logits, moves[searching], generator.facial_actions(moved), calm[searching], searching)
                adam.zero_grad(set_to_none=True)
                losses.sum().backward()  # type: ignore[no-untyped-call]
                adam.step()
                with torch.no_grad():
                    away = moves - centre
                    moves.copy_(centre + away * (reach / away.norm(dim=1).clamp_min(1e-9)).clamp_max(1)[:, None])
            with torch.no_grad():
                moved = move(moves)
                truth = judge_anchors(moved, panel)
                losses = goal.measure(truth, moves[searching], generator.facial_actions(moved), torch.zeros(1), searching)
                strange = _measure_strangeness(moved, person[searching], panel)
                calm[searching] += CALM_STEP * (strange > 0)
                failures = goal.count_failures(truth, generator.facial_actions(moved), searching)
                losses += STRANGE_WEIGHT * strange + failures
                better = losses < least[searching]
                won, lost = searching[better], searching[~better]
                predicted, step = _predict_logits(moved, panel), (moves - centre)[searching]
                wrong = truth - predicted - offset[searching] - bend(searching)
                if anchor:  # Broyden's update: the corrected prediction is right at the centre and at this picture
                    slope[searching] += (
                        wrong[..., None] * (step / step.square().sum(dim=1, keepdim=True).clamp_min(1e-6))[:, None, None]
                    )
                offset[won] = (truth - predicted)[better]
                reach[lost] = REACH_FACTOR * (moves - centre).norm(dim=1)[lost]
                centre[won], least[won] = moves[won], losses[better]
                moves.copy_(centre)
                if on_step is not None:
                    on_step((anchor + 1) / ANCHORS, _mean_probabilities(truth, searching, len(latents)))
                failing[won] = ((failures + strange) > 0)[better]
                reached = better & goal.is_reached(truth, searching) & (strange == 0)
                searching = searching[~reached & (failing[searching] | (anchor + 1 < USUAL_ANCHORS))]
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
    """What the steering networks say of the true pictures of latents (N, d) -> (N, K, 6)."""
    with torch.inference_mode():
        framed = frame_for_classifiers(quantise(panel.generator.decode(latents)), panel.generator.classifier_frame)
        return torch.stack([network.logits(framed).cpu() for network in panel.steering], dim=1)


def _describe_faces(latents: Tensor, panel: EmotionPanel) -> Tensor:
    """The recogniser's descriptors (N, D) of the true pictures of latents (N, d); NaN where it finds no face."""
    with torch.inference_mode():
        return panel.recogniser.embed(quantise(panel.generator.decode(latents))).cpu()


def _measure_strangeness(latents: Tensor, person: Tensor, panel: EmotionPanel) -> Tensor:
    """How far latents (N, d) are from looking like the person (N, D), in thresholds beyond ``SAME_SHARE`` -> (N,); 1 without a
    face."""
    apart = panel.recogniser.distance(_describe_faces(latents, panel), person) / panel.recogniser.threshold
    return torch.where(apart.isnan() & ~person.isnan().any(dim=1), torch.tensor(1.0), (apart - SAME_SHARE).clamp_min(0)).nan_to_num(
        0.0
    )


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
            assert isinstance(surrogate, EncoderSurrogate)
            columns.append(panel.mlp.logits_of(surrogate.embeddings(latents)).cpu())
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
