"""Stimuli chosen or made for one person: the most informative question, and images on which their model and the group's differ.

``expected_gain``: the expected log loss on the images that matter shrinks with the person's uncertainty S as tr(F S) / 2, F
being Fisher's information averaged over these images; an answer about an image of information A^T A takes from it what
Woodbury's identity says (V-optimal design; prediction-oriented as EPIG, Bickford Smith et al. 2023, arXiv:2304.08151).
``expected_information`` is BALD (Houlsby et al. 2011, arXiv:1112.5745), which asks for whatever tells most about the
parameters, whether or not predictions need it; with simulated people it was no better than random order.

Controversial stimuli (Golan, Raju and Kriegeskorte 2020, PNAS 117): *you would say fear, most would say surprise*. The person's
model and the group's are the opponents, or the models of two people of a study. ``rank_controversial`` finds such images among
those that a study has, without torch.
``search_controversial`` makes new ones with the study's generator and the group's model on its chain's classifier: from many
latents the ones on which the opponents differ most, first through the chain's surrogate, then through generator and network
themselves; where pictures have no gradient, through the surrogate again, corrected by what finished pictures have shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
from core.models.contracts import Encoder, EncoderSurrogate, Generator, Surrogate
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.configuration import sample_seed
from core.sampling.images import quantise, to_images, to_pictures
from core.sampling.sample_set import CONTROVERSIAL_KEY

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from core.alignment import train
    from core.alignment.networks import Learner
    from core.models import framing
    from core.models.engine import engine
    from core.sampling import bases
    from core.sampling.building import population
    from core.sampling.emotion import configuration as emotion_configuration
    from core.sampling.emotion import generate as emotion_generate
    from core.sampling.emotion import judging as emotion_judging
    from core.sampling.sample_set import SampleSet
else:
    torch = lazy_import("torch")
    framing, engine = lazy_import("core.models.framing"), lazy_import("core.models.engine.engine")
    train, population = lazy_import("core.alignment.train"), lazy_import("core.sampling.building.population")
    bases, emotion_configuration = lazy_import("core.sampling.bases"), lazy_import("core.sampling.emotion.configuration")
    emotion_generate = lazy_import("core.sampling.emotion.generate")
    emotion_judging = lazy_import("core.sampling.emotion.judging")

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
PICTURE_ROUNDS = 4
"""Climbs between looks at finished pictures, where these have no gradient."""
MOST_ERROR = 3.0
"""Nats by which a prediction is corrected at most: a larger error does not hold where the next climb ends."""


@dataclass(frozen=True, eq=False)
class ControversialImage:
    """One new image: latent (d,), picture uint8 (H, W, 3), what you and most would say, both models' probabilities (6,).

    Where the opponent is another person, ``most`` and ``group`` are that person's.
    """

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
    other: PersonPosterior | None = None,
    count: int = 4,
    seed: int = 0,
    steps: int = 12,
    progress: Progress | None = None,
) -> list[ControversialImage]:
    """Make images at the boundary between a person and the group, by the group's model on the chain's classifier; the best first.

    other: another person, who is the opponent instead of the group.

    Where the generator has an expression block, nothing else moves: people and scenes stay as they were drawn. Half a minute for
    four on two cores. Raises LiminalError where that model is not trained, where nothing predicts what it says of the generator's
    faces, and for numbers out of range.
    """
    if not 1 <= count <= 64 or not 0 <= steps <= 1000:
        raise LiminalError("Choose 1 to 64 images and 0 to 1,000 steps.")
    progress = progress or Progress()
    progress.stage("Reading everybody's model", 0.0)
    judge = _GroupJudge.load(alignment)
    generator = judge.generator
    movable = generator.blocks.get("expression", slice(0, generator.latent_dim))
    first, last = (
        progress.stretch(*part) for part in ((0.25, 0.5, "A first search: {}".format), (0.5, 0.9, "Finishing the faces: {}".format))
    )
    with torch.inference_mode(False):
        drawn = generator.sample([sample_seed(seed, "controversial", index) for index in range(POOL_SIZE)])
        with torch.no_grad():
            foretell = judge.make_prediction(alignment)
            logs = foretell(drawn)
        latents, pairs = _choose_starts(drawn, logs, posterior, count, other)
        progress.stage("Looking for faces that you and others see differently", 0.25)
        climb = _Climb(posterior, pairs, movable, other)
        latents = climb.move(latents, foretell, CLIMB, first)
        if judge.has_gradient:
            latents = climb.move(latents, judge.judge_drafts, steps, last)
        else:
            latents = _climb_by_pictures(climb, latents, judge, foretell, 2 * steps, last)
        images, logs = judge.judge_pictures(latents)
    progress.stage("Made", 1.0)
    group = logs.exp().double().numpy()
    individual = person_probabilities(posterior.mode[None], group)[0]
    if other is not None:
        group = person_probabilities(other.mode[None], group)[0]
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


@dataclass(frozen=True, eq=False)
class _GroupJudge:
    """The group's model on the chain's classifier, and what it takes to ask it about latents; it says log probabilities (N, 6)."""

    generator: Generator
    encoder: Encoder
    surrogate: Surrogate
    network: Learner

    @classmethod
    def load(cls, alignment: Alignment) -> _GroupJudge:
        name = alignment.labels.generator
        chain = registry.find_emotion_chain(name)
        if chain is None:
            raise LiminalError(
                f"Nothing predicts what a network says of faces of {registry.title(name)}; none can be made for you."
            )
        return cls(
            registry.load(name, "generator"),
            registry.load(chain.encoder, "encoder"),
            registry.load(chain.surrogate, "surrogate"),
            train.load_group_network(alignment, chain.classifier),
        )

    @property
    def has_gradient(self) -> bool:
        """Whether there is a way from its answers back to the latents through the picture."""
        return self.generator.differentiable and self.generator.classifier_frame == "whole"

    def make_prediction(self, alignment: Alignment) -> Callable[[Tensor], Tensor]:
        """What it will say of latents, without a picture; differentiable. By the predicted embedding; where the surrogate predicts
        none, by a linear map from predicted logits that is fitted to the reference faces."""
        if isinstance(self.surrogate, EncoderSurrogate):
            predicted = self.surrogate
            return lambda latents: self.network(predicted.embeddings(latents).cpu()).log_softmax(dim=1)
        logits, chain = self.surrogate.logits, alignment.chain
        faces = population.draw_reference_faces(self.generator, range(len(alignment.labels)), alignment.labels.seed)
        seen = _surrogate_features(logits(faces).cpu().clone())
        said = torch.from_numpy(alignment.group(chain.classifier).reference).to(seen.dtype)
        readout = _fit_readout(seen, said.clamp_min(MIN_PROBABILITY).log())
        return lambda latents: (_surrogate_features(logits(latents).cpu()) @ readout).log_softmax(dim=1)

    def judge_drafts(self, latents: Tensor) -> Tensor:
        """What it says of drafts of the pictures; differentiable."""
        with engine.device_turn(self.generator.device):
            said: Tensor = self.network(self.encoder.embed(self.generator.decode_draft(latents)).cpu()).log_softmax(dim=1)
        return said

    def judge_pictures(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Finished pictures (N, 3, H, W), and what it says of them."""
        with torch.no_grad():
            images = quantise(self.generator.decode(latents))
            framed = framing.frame_for_classifiers(images, self.generator.classifier_frame)
            return images, self.network(self.encoder.embed(framed).cpu().clone()).log_softmax(dim=1)


@dataclass(frozen=True, eq=False)
class _Climb:
    """Adam towards images where the person says the first and the group the second emotion of each row's pair."""

    posterior: PersonPosterior
    pairs: NDArray[np.intp]
    movable: slice
    other: PersonPosterior | None = None

    def reached(self, logs: Tensor) -> Tensor:
        """log p(the person says the first) + log p(the opponent says the second), (N,), by the group's log probabilities (N, 6)."""
        rows, you, most = torch.arange(len(logs)), torch.from_numpy(self.pairs[:, 0]), torch.from_numpy(self.pairs[:, 1])
        opponent = logs if self.other is None else person_log_probabilities(self.other, logs)
        return person_log_probabilities(self.posterior, logs)[rows, you] + opponent[rows, most]

    def move(self, latents: Tensor, model: Callable[[Tensor], Tensor], steps: int, progress: Progress) -> Tensor:
        """``steps`` steps by a differentiable model of the group's log probabilities."""
        moving = latents[:, self.movable].detach().clone().requires_grad_()
        adam = torch.optim.Adam([moving], lr=RATE)
        with torch.enable_grad():
            for step in range(steps):
                progress.stage(f"step {step + 1} of {steps}", step / steps)
                shell = SHELL * (moving.square().mean(dim=1) - 1).square().sum()
                loss = shell - self.reached(model(_replace(latents, self.movable, moving))).sum()
                adam.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                adam.step()
        return _replace(latents, self.movable, moving.detach())


def _replace(latents: Tensor, part: slice, values: Tensor) -> Tensor:
    return torch.cat([latents[:, : part.start], values, latents[:, part.stop :]], dim=1)


def _climb_by_pictures(
    climb: _Climb, latents: Tensor, judge: _GroupJudge, foretell: Callable[[Tensor], Tensor], steps: int, progress: Progress
) -> Tensor:
    """PICTURE_ROUNDS climbs by the prediction, each corrected by its error at the picture before; of each row the best picture's
    latent."""
    best, best_reached = latents, torch.full((len(latents),), -torch.inf)
    for number in range(PICTURE_ROUNDS + 1):
        progress.stage(f"look {number + 1} of {PICTURE_ROUNDS + 1}", number / (PICTURE_ROUNDS + 1))
        _, logs = judge.judge_pictures(latents)
        reached = climb.reached(logs)
        better = reached > best_reached
        best, best_reached = torch.where(better[:, None], latents, best), torch.maximum(reached, best_reached)
        if number < PICTURE_ROUNDS:
            with torch.no_grad():
                error = (logs - foretell(latents)).clamp(-MOST_ERROR, MOST_ERROR)
            corrected = partial(_correct, foretell, error)
            latents = climb.move(latents, corrected, steps, Progress(cancel=progress.cancel))
    return best


def _correct(foretell: Callable[[Tensor], Tensor], error: Tensor, latents: Tensor) -> Tensor:
    return (foretell(latents) + error).log_softmax(dim=1)


def tell_apart(answers: IndexArray, first: Array, second: Array) -> NDArray[np.bool_]:
    """Answers (n,) about images and both people's predicted probabilities of them (n, 6) -> whether the first is likelier (n,)."""
    rows = np.arange(len(answers))
    return np.asarray(first[rows, answers] > second[rows, answers], np.bool_)


def build_controversial_set(
    images: Sequence[ControversialImage], generator: str, *, seed: int = 0, people: Sequence[str] = (), study: str = ""
) -> SampleSet:
    """The images as an emotion sample set, to ask about: each beside the same person at rest, between the two expected answers.

    people, study: whose models they part, for the manifest (``controversial``).
    Raises LiminalError for no images, or where the generator's faces have no classifier.
    """
    if not images:
        raise LiminalError("There are no faces to ask about; make some first.")
    first = images[0] if images[0].differ else next((image for image in images if image.differ), None)
    pair = (first.you, first.most) if first is not None else EMOTIONS[:2]
    configuration = emotion_configuration.EmotionConfiguration(
        *pair, generator=generator, count=len(images), seed=seed, guided=True
    )
    panel = emotion_judging.EmotionPanel.load(configuration)
    builder = emotion_generate.EmotionSetBuilder(configuration, panel)
    began = time.perf_counter()
    for index, image in enumerate(images):
        latent = torch.from_numpy(image.latent)
        rested = bases.rest_expressions(latent[None], panel.generator)[0] if "expression" in panel.generator.blocks else latent
        base = bases.Base(rested.numpy().copy(), sample_seed(seed, "controversial set", index))
        (descriptor,) = builder.show_bases([base], [index], Progress())
        picture = to_images(image.picture[None])
        (judged,) = emotion_judging.judge_images(picture, descriptor[None], configuration, panel)
        builder.add(latent, image.picture, judged, index, base, "morph", pair=(image.you, image.most) if image.differ else None)
    made = builder.set(time.perf_counter() - began)
    kept = sum(image.differ for image in images)
    facts = {"people": list(people), "study": study, "count": len(images), "kept": kept}
    return replace(made, manifest={**made.manifest, CONTROVERSIAL_KEY: facts}) if people else made


def person_log_probabilities(posterior: PersonPosterior, logs: Tensor) -> Tensor:
    """The group's log probabilities (N, 6) -> the person's (N, 6), at the posterior's mode. Differentiable."""
    mode = torch.from_numpy(posterior.mode).to(logs.dtype)
    lapse = torch.sigmoid(mode[-1])
    clear = (mode[0].exp() * logs.clamp_min(float(np.log(MIN_PROBABILITY))) + mode[1 : EMOTION_COUNT + 1]).softmax(dim=1)
    log_probabilities: Tensor = ((1 - lapse) * clear + lapse / EMOTION_COUNT).log()
    return log_probabilities


def _choose_starts(
    drawn: Tensor, logs: Tensor, posterior: PersonPosterior, count: int, other: PersonPosterior | None = None
) -> tuple[Tensor, NDArray[np.intp]]:
    """The latents nearest to a disagreement, of different pairs of emotions where possible -> latents and pairs (you, most)."""
    # clamped on both sides: else a face of which the group is all but certain would score high for the reversed pair
    opponent = logs if other is None else person_log_probabilities(other, logs)
    person, group = person_log_probabilities(posterior, logs).numpy(), opponent.clamp_min(float(np.log(MIN_PROBABILITY))).numpy()
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


def _surrogate_features(logits: Tensor) -> Tensor:
    """The surrogate's logits (N, C, 6) -> features of the linear map: one, logits, log of the mean probabilities."""
    mean = logits.softmax(dim=2).mean(dim=1).clamp_min(MIN_PROBABILITY).log()
    return torch.cat([torch.ones(len(logits), 1), logits.flatten(1) / 10, mean], dim=1)


def _fit_readout(seen: Tensor, logs: Tensor) -> Tensor:
    """Ridge regression from the surrogate's features to the group's log probabilities of the same faces."""
    weights: Tensor = torch.linalg.solve(seen.T @ seen + RIDGE * torch.eye(seen.shape[1]), seen.T @ logs)
    return weights
