"""Stimuli chosen or made for one person: the most informative question, and images on which their model and the group's differ.

``expected_gain``: the expected log loss on the images that matter shrinks with the person's uncertainty S as tr(F S) / 2, F
being Fisher's information averaged over these images; an answer about an image of information A^T A takes from it what
Woodbury's identity says (V-optimal design; prediction-oriented as EPIG, Bickford Smith et al. 2023, arXiv:2304.08151).
``expected_information`` is BALD (Houlsby et al. 2011, arXiv:1112.5745), which asks for whatever tells most about the
parameters, whether or not predictions need it; with simulated people it was no better than random order.

Controversial stimuli (Golan, Raju and Kriegeskorte 2020, PNAS 117): *you would say fear, most would say surprise*. The person's
model and the group's are the opponents. ``rank_controversial`` finds such images among those that a study has, without torch.
``search_controversial`` makes new ones: from many latents the ones on which the opponents differ most, first through the
surrogate, read out to the group's answers by a linear map, then through the generator and the group's network itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.alignment.alignment import Alignment
from core.alignment.data import IndexArray
from core.alignment.observer import (
    EMOTION_COUNT,
    MIN_PROBABILITY,
    PARAMETER_COUNT,
    PersonPosterior,
    information_roots,
    person_probabilities,
)
from core.analysis.choices import jensen_shannon_divergence, shannon_entropy
from core.analysis.estimate import Array
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.configuration import sample_seed
from core.sampling.images import quantise, to_pictures

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy_import("torch")

NATS_PER_BIT = float(np.log(2.0))
MAX_TARGETS = 200
"""Of more images a random subset of this size is used."""


def expected_gain(posterior: PersonPosterior, group: Array, targets: Array) -> Array:
    """Bits that one answer about each image, group (N, 6), is expected to take from the mean log loss on ``targets`` (M, 6)."""
    target_information = information_roots(posterior.mode, targets).reshape(-1, PARAMETER_COUNT)
    target_information = target_information.T @ target_information / max(len(targets), 1)  # (P, P)
    roots = information_roots(posterior.mode, group)  # A (N, 6, P)
    moved = roots @ posterior.covariance  # A S
    inner = np.eye(EMOTION_COUNT) + moved @ roots.transpose(0, 2, 1)
    saved = np.linalg.solve(inner, moved @ target_information @ moved.transpose(0, 2, 1))
    gained: Array = 0.5 * np.trace(saved, axis1=1, axis2=2) / NATS_PER_BIT
    return gained


def expected_information(predictions: Array) -> Array:
    """Expected information of one answer about each image on the parameters, bits (N,). predictions: of D draws (D, N, 6).

    The entropy of the mean prediction minus the mean entropy of the draws' predictions.
    """
    draws, images, k = predictions.shape
    entropy_of_draws = shannon_entropy(predictions.reshape(-1, k)).reshape(draws, images).mean(axis=0)
    information: Array = np.maximum(shannon_entropy(predictions.mean(axis=0)) - entropy_of_draws, 0.0)
    return information


def find_images_between(group: Array, emotion1: str, emotion2: str) -> IndexArray:
    """Indices of the images, group (N, 6), whose two most probable answers are these emotions.

    Raises LiminalError for an unknown emotion and for one with itself.
    """
    for name in (emotion1, emotion2):
        if name not in EMOTIONS:
            raise LiminalError(f"'{name}' is no emotion that people are asked for; there are {', '.join(EMOTIONS)}.")
    if emotion1 == emotion2:
        raise LiminalError(f"There is nothing between {emotion1} and itself; name two emotions.")
    pair = {EMOTIONS.index(emotion1), EMOTIONS.index(emotion2)}
    likeliest = np.sort(np.argsort(group, axis=1)[:, -2:], axis=1)
    return np.flatnonzero((likeliest == sorted(pair)).all(axis=1))


def choose_next_question(
    posterior: PersonPosterior,
    group: Array,
    images: Sequence[str],
    answered: Collection[str] = (),
    *,
    targets: Array | None = None,
    seed: int = 0,
) -> tuple[str, float]:
    """The image to ask about next, and its expected reduction of the mean log loss on the targets, in bits.

    group (N, 6): the group's probabilities of ``images``; targets (M, 6): of the images to predict, else all. Takes milliseconds.
    Raises LiminalError where all images are answered, and for no targets.
    """
    done = set(answered)
    remaining = np.array([index for index, name in enumerate(images) if name not in done], np.intp)
    if not len(remaining):
        raise LiminalError("This person has answered about every image; bring more images into the study.")
    targets = group if targets is None else targets
    if not len(targets):
        raise LiminalError("There is no image to foretell this person's answers about; choose other emotions or more images.")
    targets = (
        targets if len(targets) <= MAX_TARGETS else targets[np.random.default_rng(seed).permutation(len(targets))[:MAX_TARGETS]]
    )
    gained = expected_gain(posterior, group[remaining], targets)
    best = int(gained.argmax())
    return images[int(remaining[best])], float(gained[best])


POOL_SIZE = 1024
"""Latents that the search starts from."""
CLIMB, RATE, SHELL, RIDGE = 60, 0.05, 5.0, 1.0


@dataclass(frozen=True, eq=False)
class ControversialImage:
    """One new image: latent (d,), picture uint8 (H, W, 3), what you and most would say, both models' probabilities (6,)."""

    latent: NDArray[np.float32]
    picture: NDArray[np.uint8]
    you: str
    most: str
    own: Array
    group: Array

    @property
    def differ(self) -> bool:
        """Whether the opponents' first choices differ on the finished picture; the search may fail."""
        return self.you != self.most


def rank_controversial(images: Sequence[str], individual: Array, group: Array) -> pd.DataFrame:
    """Images by how much a person's model (N, 6) and the group's (N, 6) disagree about them, most first.

    stimulus, you and most (first choices), p_you (own model, of ``you``), p_most (group's, of ``most``), score: the smaller of
    these two where the choices differ, else 0; divergence: Jensen-Shannon, bits.
    """
    rows, names = np.arange(len(images)), np.array(EMOTIONS)
    first, second = individual.argmax(axis=1), group.argmax(axis=1)
    p_you, p_most = individual[rows, first], group[rows, second]
    table = pd.DataFrame(
        {
            "stimulus": list(images),
            "you": names[first],
            "most": names[second],
            "p_you": p_you,
            "p_most": p_most,
            "score": np.where(first != second, np.minimum(p_you, p_most), 0.0),
            "divergence": jensen_shannon_divergence(individual, group),
        }
    )
    return table.sort_values(["score", "divergence", "stimulus"], ascending=[False, False, True]).reset_index(drop=True)


def search_controversial(
    alignment: Alignment,
    posterior: PersonPosterior,
    *,
    count: int = 4,
    seed: int = 0,
    steps: int = 12,
    progress: Progress | None = None,
) -> list[ControversialImage]:
    """Make images at the boundary between a person and the group, by the group's emotion MLP; the best first.

    Half a minute for four on two cores. Raises LiminalError where that MLP is not trained, and for numbers out of range.
    """
    from core.alignment.networks import predict_probabilities  # PyTorch
    from core.alignment.train import load_group_network  # PyTorch
    from core.models.engine.engine import device_turn  # PyTorch

    if not 1 <= count <= 64 or not 0 <= steps <= 1000:
        raise LiminalError("Choose 1 to 64 images and 0 to 1,000 steps.")
    progress = progress or Progress()
    progress.stage("Reading everybody's model", 0.0)
    name = alignment.labels.generator
    generator, encoder = registry.load(name, "generator"), registry.load(registry.list_names("encoder")[0], "encoder")
    surrogate = registry.load(registry.list_names("surrogate")[0], "surrogate")
    network = load_group_network(alignment, "emotion-mlp")
    with torch.inference_mode(False):
        with torch.no_grad():
            seen = _surrogate_features(surrogate.logits(generator.sample(alignment.labels.seeds)).cpu().clone())
            group_probabilities = torch.from_numpy(alignment.group("emotion-mlp").reference).to(seen.dtype)
            readout = _fit_readout(seen, group_probabilities.clamp_min(MIN_PROBABILITY).log())

        def foretold(latents: Tensor) -> Tensor:
            return (_surrogate_features(surrogate.logits(latents).cpu()) @ readout).log_softmax(dim=1)

        def real(latents: Tensor) -> Tensor:
            with device_turn(generator.device):
                log_probabilities: Tensor = network(encoder.embed(generator.decode_draft(latents)).cpu()).log_softmax(dim=1)
            return log_probabilities

        drawn = generator.sample([sample_seed(seed, "controversial", index) for index in range(POOL_SIZE)])
        with torch.no_grad():
            logs = foretold(drawn)
        latents, pairs = _choose_starts(drawn, logs, posterior, count)
        progress.stage("Looking for faces that you and others see differently", 0.25)
        latents = _climb_latents(
            latents, pairs, posterior, foretold, CLIMB, progress.stretch(0.25, 0.5, "A first search: {}".format)
        )
        latents = _climb_latents(
            latents, pairs, posterior, real, steps, progress.stretch(0.5, 0.9, "Finishing the faces: {}".format)
        )
        with torch.no_grad():
            images = quantise(generator.decode(latents))
            group = predict_probabilities(network, encoder.embed(images).cpu().clone()).double().numpy()
    progress.stage("Made", 1.0)
    individual = person_probabilities(posterior.mode[None], group)[0]
    pictures = to_pictures(images)
    order = np.argsort(-jensen_shannon_divergence(individual, group))
    return [
        ControversialImage(
            latents[at].numpy(),
            pictures[at],
            EMOTIONS[int(individual[at].argmax())],
            EMOTIONS[int(group[at].argmax())],
            individual[at],
            group[at],
        )
        for at in map(int, order)
    ]


def person_log_probabilities(posterior: PersonPosterior, logs: Tensor) -> Tensor:
    """The group's log probabilities (N, 6) -> the person's (N, 6), at the posterior's mode. Differentiable."""
    mode = torch.from_numpy(posterior.mode).to(logs.dtype)
    lapse = torch.sigmoid(mode[-1])
    clear = (mode[0].exp() * logs.clamp_min(float(np.log(MIN_PROBABILITY))) + mode[1 : EMOTION_COUNT + 1]).softmax(dim=1)
    log_probabilities: Tensor = ((1 - lapse) * clear + lapse / EMOTION_COUNT).log()
    return log_probabilities


def _choose_starts(drawn: Tensor, logs: Tensor, posterior: PersonPosterior, count: int) -> tuple[Tensor, NDArray[np.intp]]:
    """The latents nearest to a disagreement, of different pairs of emotions where possible -> latents and pairs (you, most)."""
    person, group = person_log_probabilities(posterior, logs).numpy(), logs.numpy()
    value = person[:, :, None] + group[:, None, :]  # log p(you says i) + log p(most say j)
    # minus the score of the reversed pair: else every ambiguous image would score high
    score = 2 * value - value.transpose(0, 2, 1)
    score[:, np.arange(EMOTION_COUNT), np.arange(EMOTION_COUNT)] = -np.inf
    score = score.reshape(len(value), -1)
    chosen: list[tuple[int, int]] = []
    used: dict[int, int] = {}
    taken: set[int] = set()
    for flat_index in np.argsort(-score, axis=None):
        row, pair = divmod(int(flat_index), EMOTION_COUNT * EMOTION_COUNT)
        if row in taken or used.get(pair, 0) >= max(1, count // 2):
            continue
        chosen.append((row, pair))
        taken.add(row)
        used[pair] = used.get(pair, 0) + 1
        if len(chosen) == count:
            break
    rows = [row for row, _ in chosen]
    return drawn[rows].clone(), np.array([divmod(pair, EMOTION_COUNT) for _, pair in chosen], np.intp)


def _climb_latents(
    latents: Tensor,
    pairs: NDArray[np.intp],
    posterior: PersonPosterior,
    model: Callable[[Tensor], Tensor],
    steps: int,
    progress: Progress,
) -> Tensor:
    """Adam towards images where the person says the first and the group the second emotion of each row's pair."""
    if not steps:
        return latents
    rows, you, most = torch.arange(len(latents)), torch.from_numpy(pairs[:, 0]), torch.from_numpy(pairs[:, 1])
    moving = latents.detach().clone().requires_grad_()
    adam = torch.optim.Adam([moving], lr=RATE)
    with torch.enable_grad():
        for step in range(steps):
            progress.stage(f"step {step + 1} of {steps}", step / steps)
            logs = model(moving)
            log_probability = person_log_probabilities(posterior, logs)[rows, you] + logs[rows, most]
            loss = -log_probability.sum() + SHELL * (moving.square().mean(dim=1) - 1).square().sum()
            adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
    return moving.detach()


def _surrogate_features(logits: Tensor) -> Tensor:
    """The surrogate's logits (N, C, 6) -> features of the linear map: one, logits, log of the mean probabilities."""
    mean = logits.softmax(dim=2).mean(dim=1).clamp_min(MIN_PROBABILITY).log()
    return torch.cat([torch.ones(len(logits), 1), logits.flatten(1) / 10, mean], dim=1)


def _fit_readout(seen: Tensor, logs: Tensor) -> Tensor:
    """Ridge regression from the surrogate's features to the group's log probabilities of the same faces."""
    weights: Tensor = torch.linalg.solve(seen.T @ seen + RIDGE * torch.eye(seen.shape[1]), seen.T @ logs)
    return weights
