"""Paper B's two stages: guided diffusion over embeddings from the base's, then embedding -> latent -> image, unguided.

Uncertainty guidance pulls a denoising embedding towards the boundary between two emotions (paper B, equations (1) and (2)):

(1)  loss(x, y) = - p(y|x) . q(y), with q half on either emotion of the pair.
(2)  x_{t-1} = DDPM^-(x_t) - gamma * grad_{x_t} loss(x_t, y).

Equation (1) rewards mass on the pair, not evenness: all of it on one emotion costs the same as half on each. The cross-entropy
form, -q(y) . log p(y|x), asks for both. As written, p is asked about the noised x_t. The adaptive form (CoCoG-2, arXiv:2407.14949)
asks about the estimate of x_0, which is what p was trained on: the gradient of loss(x_0(x_t)) goes through the prior's network to
x_t and is scaled by the variance of the step's posterior.

Under ``--guidance paper`` no classifier has a part in stage 2; otherwise, what the emotion MLP says of the image's embedding is to
be what it says of the wanted one. The facial actions that an embedding shows, as the action decoder reads them, count under both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import LiminalError
from core.models.builtin.emotion_mlp import EmotionMLP
from core.models.builtin.prior import DEFAULT_BETAS, add_noise, denoise_rows, estimate_clean, make_scheduler, read_alpha_bar
from core.models.contracts import EncoderSurrogate, Generator, Prior
from core.models.engine.engine import device_turn
from core.models.framing import frame_for_classifiers
from core.sampling.configuration import sample_seed
from core.sampling.emotion.configuration import FREE, EmotionConfiguration, GuidanceLoss
from core.sampling.emotion.judging import EmotionPanel, NaturalExpressions


def measure_uncertainty_loss(probabilities: Tensor, pair: tuple[int, int], form: GuidanceLoss) -> Tensor:
    """(N, 6) -> (N,): equation (1), or its cross-entropy form."""
    first, second = probabilities[:, pair[0]], probabilities[:, pair[1]]
    if form == "product":
        return -0.5 * (first + second)
    return -0.5 * (first.clamp_min(1e-12).log() + second.clamp_min(1e-12).log())


LOGIT_DIVISOR = 1.5
"""Adaptive guidance divides the logits by so much first: both emotions must then stand out clearly above the other four, since
stage 2 loses some of what stage 1 has won."""


GUIDANCE_STRENGTH = 200.0
"""Adaptive guidance: factor of gamma times the posterior's variance."""


@dataclass(frozen=True)
class UncertaintyGuide:
    """Computes the second term of equation (2) for one configuration."""

    mlp: EmotionMLP
    configuration: EmotionConfiguration
    prior: Prior

    def push(self, x: Tensor, step: int, variance: float) -> Tensor:
        """What is subtracted from DDPM^-(x_t): x_t (N, E), t, the variance of the step's posterior -> (N, E).

        As written: gamma times the gradient of loss(x_t). Adaptive: the gradient of loss(x_0(x_t)), through the prior, times
        GUIDANCE_STRENGTH * gamma * variance, so that guidance fades as the noise does; never longer than 2 gamma times the length
        of the posterior's own noise.
        """
        c = self.configuration
        with torch.inference_mode(False), torch.enable_grad():
            noised = x.detach().clone().requires_grad_()
            point = noised
            if c.adaptive:
                noise = self.prior.noise(noised, torch.full((len(x),), step)).to(noised.device)
                point = estimate_clean(noised, noise, step, self.prior.train_steps, self.prior.betas)
            logits = self.mlp.logits_of(point) / (LOGIT_DIVISOR if c.adaptive else 1.0)
            losses = measure_uncertainty_loss(logits.softmax(dim=1), c.pair, c.loss)
            (gradient,) = torch.autograd.grad(losses.sum(), noised)
        if not c.adaptive:
            return c.gamma * gradient
        pushed = GUIDANCE_STRENGTH * variance * c.gamma * gradient
        longest = 2 * c.gamma * math.sqrt(variance * x.shape[1])
        limited: Tensor = pushed * (longest / pushed.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp(max=1)
        return limited


DRAWN_LATENTS, POLISHED_LATENTS = 8, 2
"""Latents drawn for an embedding, and how many of them, the nearest ones, are moved nearer."""
POLISH_STEPS, POLISH_RATE = 36, 0.1
EMOTION_WEIGHT = 40.0
"""Weight, in the distance of embeddings, of the squared difference of the emotion MLP's logits, less their means."""
ACTION_WEIGHT = 10.0
"""Weight of the squared distance of decoded facial actions, in standard deviations, where an action decoder is there."""
SHELL_WEIGHTS = {True: 3.0, False: 30.0}
"""Weight of (|z|^2 / d - 1)^2 beside the squared distance of embeddings, some hundred at first: of an expression block, of all."""
NATURAL_WEIGHT, NATURAL_SHARE = 10_000.0, 0.96
"""Weight of max(0, m / limit - 0.96)^2, m the Mahalanobis distance of the facial actions from the reference faces': nearly a wall,
since what an embedding does not show would else be free to leave the natural range."""
STEPS_PER_CORRECTION = 12
"""Steps between two looks at how the draft's embedding, or the predicted one, differs from the image's."""

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
    guide = UncertaintyGuide(panel.mlp, configuration, prior)
    with torch.inference_mode():
        x = add_noise(start, _draw_noise(start, random), torch.full((len(start),), steps[0]), total, betas)
        for index, step in enumerate(steps):
            after = steps[index + 1] if index + 1 < len(steps) else None
            for again in range(configuration.resampling):
                noise = prior.noise(x, torch.full((len(x),), step)).cpu()
                if on_step is not None and again == 0:
                    on_step(index / len(steps), estimate_clean(x, noise, step, total, betas))
                variance = _measure_posterior_variance(step, after, total, betas)
                push = guide.push(x, step, variance) if configuration.guided else torch.zeros_like(x)
                before = denoise_rows(scheduler, noise, step, x, random) - push.cpu()
                if again + 1 < configuration.resampling and after is not None:
                    shares = read_alpha_bar(total, betas)
                    x = _add_noise_again(before, shares[step] / shares[after], random)  # taken back: the same step is done again
                else:
                    x = before
        if on_step is not None:
            on_step(1.0, x)
        return x


def decode_embeddings(
    embeddings: Tensor, bases: Tensor, seeds: Sequence[int], configuration: EmotionConfiguration, panel: EmotionPanel
) -> Tensor:
    """Stage 2: embeddings (N, E) -> latents (N, d).

    Where the generator's latents are embeddings, these are handed on as they are: it is stage 2, and draws the picture. Else
    several latents are drawn from the flow; the one whose embedding comes nearest is taken, and moved a few steps by gradient to
    come nearer still. A generator with an expression block keeps the base's (N, d) other blocks, to the byte, unless the sample
    is wholly free; of other generators the base's latent is mixed in, the less the freer the sample.
    """
    if panel.decoder is None:
        return embeddings
    moving = find_moving_latents(panel.generator, configuration.freedom)
    whole = moving == slice(0, panel.generator.latent_dim)
    base_share = math.sqrt(1 - min(configuration.freedom, 1.0) ** 2) if whole else 0.0
    chosen = []
    for row, seed in enumerate(seeds):
        wanted = embeddings[row : row + 1].expand(DRAWN_LATENTS, -1)
        candidates = [sample_seed(seed, "candidate", index) for index in range(DRAWN_LATENTS)]
        drawn = panel.decoder.latents(wanted, candidates, None if whole else bases[row].expand(DRAWN_LATENTS, -1))
        if base_share:
            drawn = base_share * bases[row] + configuration.freedom * drawn
        with torch.inference_mode():
            apart = _measure_embedding_distance(_predict_embeddings(drawn, panel), wanted, configuration, panel)
        chosen.append(drawn[apart.argsort()[:POLISHED_LATENTS]])
    return _polish_latents(torch.stack(chosen), moving, embeddings, configuration, panel)


def find_moving_latents(generator: Generator, freedom: float) -> slice:
    """The latents that a sample may move: the expression block where there is one and the person is to be kept, else all."""
    whole = slice(0, generator.latent_dim)
    return generator.blocks.get("expression", whole) if freedom < FREE else whole


def _polish_latents(
    latents: Tensor, moving: slice, embeddings: Tensor, configuration: EmotionConfiguration, panel: EmotionPanel
) -> Tensor:
    """Descend the squared distance between image's and wanted embedding (N, E), within the shell where latents are plausible.

    latents: (N, K, d), some for each embedding. Where the distance is only predicted, or measured on drafts, true pictures are
    looked at now and then: they correct the prediction, and the nearest of them is the result -> (N, d).
    """
    n, candidates = latents.shape[:2]
    corrected = panel.generator.has_draft or not panel.generator.differentiable
    shell_weight = SHELL_WEIGHTS[moving.stop - moving.start < panel.generator.latent_dim]
    measure_strain = _make_strain_measure(panel)
    with torch.inference_mode(False), torch.enable_grad():
        wanted = embeddings.detach().repeat_interleave(candidates, dim=0)
        flat = latents.detach().flatten(0, 1).clone()
        before, after = flat[:, : moving.start], flat[:, moving.stop :]
        moved = flat[:, moving].clone().requires_grad_()
        adam = torch.optim.Adam([moved], lr=POLISH_RATE)
        offset = torch.zeros_like(wanted)
        best, least = flat, torch.full((len(flat),), torch.inf)
        for step in range(POLISH_STEPS + 1):
            joined = torch.cat([before, moved, after], dim=1)
            last = step == POLISH_STEPS
            if step % STEPS_PER_CORRECTION == 0 or last:
                with torch.no_grad():
                    seen = _predict_embeddings(joined, panel)
                    if corrected:
                        true = embed_faces(panel.generator.decode(joined), panel).cpu()
                        offset, seen = true - seen, true
                    apart = _measure_embedding_distance(seen, wanted, configuration, panel) + measure_strain(joined)
                    better = apart < least
                    best, least = torch.where(better[:, None], joined, best), torch.where(better, apart, least)
            if last:
                break
            with device_turn(panel.generator.device):
                seen = _predict_embeddings(joined, panel)
            apart = _measure_embedding_distance(seen + offset, wanted, configuration, panel)
            shell = shell_weight * (moved.square().mean(dim=1) - 1).square()
            adam.zero_grad(set_to_none=True)
            with device_turn(panel.generator.device):
                (apart + shell + measure_strain(joined)).sum().backward()  # type: ignore[no-untyped-call]
            adam.step()
    nearest = least.view(n, candidates).argmin(dim=1)
    return best.detach().view(n, candidates, -1)[torch.arange(n), nearest]


def _make_strain_measure(panel: EmotionPanel) -> Callable[[Tensor], Tensor | float]:
    """Latents (N, d) -> what an expression beyond the natural range costs (N,); 0 where expressions have no names."""
    if panel.reference.expressions is None:
        return lambda latents: 0.0
    natural, generator = NaturalExpressions(panel.reference.expressions), panel.generator

    def measure(latents: Tensor) -> Tensor:
        beyond = natural.measure_distance(generator.facial_actions(latents)) - NATURAL_SHARE
        return NATURAL_WEIGHT * beyond.clamp_min(0).square()

    return measure


def embed_faces(images: Tensor, panel: EmotionPanel) -> Tensor:
    """Pictures (N, 3, H, W) of the panel's generator -> embeddings (N, E), by the generator's frame."""
    return panel.encoder.embed(frame_for_classifiers(images, panel.generator.classifier_frame))


def _measure_embedding_distance(seen: Tensor, wanted: Tensor, configuration: EmotionConfiguration, panel: EmotionPanel) -> Tensor:
    """Squared distance of embeddings (N, E) -> (N,), in one metric for all faces.

    Before whitening, so that noise in components that hardly vary counts for little. With an action decoder, the distance of the
    facial actions that it reads is added; but for paper B's own guidance, that of the emotion MLP's logits, too.
    """
    weights = panel.encoder.spread.cpu() / panel.encoder.spread.cpu().mean()
    off = seen - wanted
    apart: Tensor = (weights * off).square().sum(dim=1)
    shown, meant = panel.mlp.standard_actions_of(seen), panel.mlp.standard_actions_of(wanted)
    if shown is not None and meant is not None:
        apart = apart + ACTION_WEIGHT * (shown - meant).cpu().square().sum(dim=1)
    if configuration.adaptive:
        said = panel.mlp.logits_of(seen).cpu() - panel.mlp.logits_of(wanted).cpu()
        apart = apart + EMOTION_WEIGHT * (said - said.mean(dim=1, keepdim=True)).square().sum(dim=1)
    return apart


def _predict_embeddings(latents: Tensor, panel: EmotionPanel) -> Tensor:
    """Embeddings (N, E) with a gradient: of the draft, or predicted where the generator has no gradient."""
    if panel.generator.differentiable:
        return panel.encoder.embed(panel.generator.decode_draft(latents)).cpu()
    if not isinstance(panel.surrogate, EncoderSurrogate):
        raise LiminalError(
            f"Nothing predicts the embeddings of {panel.generator.card.title}, so two stages cannot be taken; choose direct search "
            "with '--strategy direct'."
        )
    return panel.surrogate.embeddings(latents).cpu()


def _draw_noise(like: Tensor, random: Sequence[torch.Generator]) -> Tensor:
    return torch.stack([torch.randn(like.shape[1], generator=generator) for generator in random])


def _measure_posterior_variance(step: int, after: int | None, total: int, betas: str = DEFAULT_BETAS) -> float:
    """Variance of x_after given x_step and x_0 (Ho et al. 2020, equation 7), for steps that are skipped, too; of the last step, its
    own noise."""
    shares = read_alpha_bar(total, betas)
    share, before = float(shares[step]), 1.0 if after is None else float(shares[after])
    added = max(0.0, 1.0 - share / before)
    return added * ((1 - before) / (1 - share) if after is not None else 1.0)


def _add_noise_again(x: Tensor, ratio: Tensor, random: Sequence[torch.Generator]) -> Tensor:
    """Forward again, by the ratio of alpha-bar (resampling; Lugmayr et al. 2022, arXiv:2201.09865, section 4.2)."""
    result: Tensor = ratio.sqrt() * x + (1 - ratio).sqrt() * _draw_noise(x, random)
    return result
