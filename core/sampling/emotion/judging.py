"""The models that make and judge emotion samples, loaded together, and what classifiers and recogniser say of finished pictures.

``EmotionPanel`` holds paper B's stages (encoder, classifier on embeddings, prior, decoder), the surrogate and networks of the
direct search, and all that judge the result: logits, raw and calibrated probabilities, filter (3), distance to the base.

Where a generator's latents are embeddings themselves (paper B's published models), it names the classifier that reads them,
this one its encoder, and the generator its prior: one name brings all four. Stage 2 is then the generator, and the classifier
is a surrogate model: it predicts from the latent what it will say of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from core.errors import LiminalError
from core.models import registry
from core.models.builtin.emotion_mlp import EmotionMLP
from core.models.contracts import Classifier, Decoder, Encoder, Generator, ModelCard, Prior, Recogniser, Surrogate
from core.models.framing import frame_for_classifiers
from core.progress import Progress
from core.sampling.bases import Base
from core.sampling.emotion.configuration import GROUP_SIZE, EmotionConfiguration, find_chain, find_embedding_classifier
from core.sampling.events import ClassifierScores
from core.sampling.images import quantise, to_pictures
from core.sampling.stored.reference import ExpressionRange, ReferenceSet, load_reference_set


class NaturalExpressions:
    """``reference.ExpressionRange`` with a gradient."""

    def __init__(self, expressions: ExpressionRange) -> None:
        self.mean = torch.from_numpy(expressions.mean).float()
        self.precision = torch.from_numpy(expressions.precision).float()
        self.limit = expressions.limit

    def measure_distance(self, actions: Tensor) -> Tensor:
        """Facial actions (N, A) -> Mahalanobis distance from the reference faces' in shares of the natural range (N,)."""
        off = actions - self.mean
        return ((off @ self.precision) * off).sum(dim=1).clamp_min(1e-9).sqrt() / self.limit


@dataclass(frozen=True)
class EmotionPanel:
    """generator, encoder, mlp, prior and decoder are paper B's stages; surrogate and steering serve the direct search.

    decoder: None where the generator's latents are the embeddings, so that it is stage 2 itself.
    """

    generator: Generator
    encoder: Encoder
    mlp: EmotionMLP
    prior: Prior
    decoder: Decoder | None
    surrogate: Surrogate | None  # None: nothing foretells this generator's emotions, and the real networks do all the work
    steering: tuple[Classifier, ...]  # the real networks that the direct search climbs through: the surrogate's own, or the steerer
    classifiers: Mapping[str, Classifier]  # all that are asked about the result, the steerer first
    recogniser: Recogniser
    reference: ReferenceSet

    @classmethod
    def load(cls, configuration: EmotionConfiguration) -> EmotionPanel:
        """The models that a configuration names. Raises LiminalError for unknown names and for models that do not fit together."""
        registry.find_entry(configuration.generator, "generator")
        entry = registry.find_entry(configuration.steerer, "classifier")
        if entry.custom is not None and not entry.custom.facts.get("differentiable", True):
            raise LiminalError(
                f"{entry.title} has no gradient to steer by; let another classifier steer and ask this one about the faces."
            )
        configuration.check_strategy()
        generator = registry.load(configuration.generator, "generator")
        if find_embedding_classifier(configuration.generator) is not None:
            return cls._of_embeddings(configuration, generator)
        chain = find_chain(configuration.generator)
        steered_by_chain = configuration.steerer == chain.classifier
        own_chain = registry.find_emotion_chain(configuration.generator)
        surrogate = own_chain.surrogate if own_chain is not None and steered_by_chain else None
        if configuration.strategy == "direct" and not generator.differentiable and surrogate is None:
            raise LiminalError(
                f"{generator.card.title} has no gradient to search by, and nothing predicts what {configuration.steerer} says of "
                f"its faces; choose {chain.classifier} to steer."
                if own_chain is not None
                else f"{generator.card.title} has no gradient to search by, and names no classifier of its embeddings; "
                "add it again with --option classifier=NAME."
            )
        encoder = registry.load(chain.encoder, "encoder")
        mlp = registry.load(chain.classifier, "classifier")
        prior = registry.load(chain.prior, "prior")
        decoder = registry.load(chain.decoder, "decoder")
        assert isinstance(mlp, EmotionMLP)
        if not encoder.embedding_dim == prior.embedding_dim == decoder.embedding_dim:
            raise LiminalError(
                f"The embedding has {encoder.embedding_dim} values, the prior {prior.embedding_dim} and the decoder "
                f"{decoder.embedding_dim}; train them again with 'python -m core train all'."
            )
        if configuration.strategy == "two-stage" and decoder.latent_dim != generator.latent_dim:
            raise LiminalError(
                f"{decoder.name} makes latents of {decoder.latent_dim} values, and {generator.name} reads {generator.latent_dim}; "
                "choose the direct search (--strategy direct), or another generator."
            )
        searched_by = (*chain.teachers, chain.classifier) if chain.classifier_searches else chain.teachers
        steering = searched_by if steered_by_chain else (configuration.steerer,)
        return cls(
            generator=generator,
            encoder=encoder,
            mlp=mlp,
            prior=prior,
            decoder=decoder,
            surrogate=None if surrogate is None else registry.load(surrogate, "surrogate"),
            steering=tuple(registry.load(name, "classifier") for name in steering),
            classifiers={name: registry.load(name, "classifier") for name in configuration.classifiers},
            recogniser=registry.load(configuration.recogniser, "recogniser"),
            reference=load_reference_set(configuration.generator),
        )

    @classmethod
    def _of_embeddings(cls, configuration: EmotionConfiguration, generator: Generator) -> EmotionPanel:
        """The panel of a generator whose latents are embeddings: it brings its prior, and its classifier the encoder."""
        name = str(find_embedding_classifier(configuration.generator))
        if configuration.steerer != name:
            raise LiminalError(
                f"Faces of {generator.card.title} are steered by {name}, which reads its embeddings, not by "
                f"{configuration.steerer}; choose {name}."
            )
        mlp = registry.load(name, "classifier")
        assert isinstance(mlp, EmotionMLP)
        custom = registry.find_entry(generator.name, "generator").custom
        assert custom is not None
        prior = registry.load(str(custom.options["prior"]), "prior")
        if not mlp.encoder.embedding_dim == prior.embedding_dim == generator.latent_dim:
            raise LiminalError(
                f"{mlp.encoder.name} gives embeddings of {mlp.encoder.embedding_dim} values, {prior.name} makes them of "
                f"{prior.embedding_dim} and {generator.name} reads {generator.latent_dim}; add models that belong together."
            )
        return cls(
            generator=generator,
            encoder=mlp.encoder,
            mlp=mlp,
            prior=prior,
            decoder=None,
            surrogate=EmbeddingSurrogate(mlp),
            steering=(mlp,),
            classifiers={classifier: registry.load(classifier, "classifier") for classifier in configuration.classifiers},
            recogniser=registry.load(configuration.recogniser, "recogniser"),
            reference=load_reference_set(configuration.generator),
        )

    @property
    def searches_expressions(self) -> bool:
        """Whether direct search moves named expressions alone, since the picture has no gradient to climb by."""
        return "expression" in self.generator.blocks and not self.generator.differentiable

    def cards(self) -> list[ModelCard]:
        """Every model's card, each once."""
        cards = [self.generator.card, self.encoder.card, self.mlp.card, self.prior.card]
        cards += [model.card for model in (self.decoder, self.surrogate) if model is not None]
        cards += [self.recogniser.card, *(model.card for model in (*self.steering, *self.classifiers.values()))]
        return list({card.name: card for card in cards}.values())


class EmbeddingSurrogate(Surrogate):
    """The classifier on embeddings, asked about latents."""

    def __init__(self, mlp: EmotionMLP) -> None:
        self.card, self.device, self.mlp = mlp.card, mlp.device, mlp
        self.latent_dim = mlp.encoder.embedding_dim
        self.classifiers = (mlp.name,)

    def logits(self, latents: Tensor) -> Tensor:
        return self.mlp.logits_of(latents)[:, None]  # (N, 1, 6)


@dataclass(frozen=True)
class JudgedImage:
    """One picture: opinions and filter (3) by classifier; its distance to its base, NaN where no face was found in either."""

    opinions: Mapping[str, ClassifierScores]
    above: Mapping[str, tuple[bool, bool]]
    distance: float
    descriptor: Tensor  # (D,), the recogniser's; NaN where no face was found

    @property
    def passed(self) -> dict[str, bool]:
        """Filter (3): both emotions of the pair above their percentile."""
        return {name: first and second for name, (first, second) in self.above.items()}


def judge_images(
    images: Tensor, bases: Tensor | None, configuration: EmotionConfiguration, panel: EmotionPanel
) -> list[JudgedImage]:
    """(N, 3, H, W) as they are stored, beside their bases' descriptors (N, D) -> one JudgedImage an image. None: they are bases.

    Classifiers see the part of the picture that the generator says (``classifier_frame``), the recogniser all of it.
    """
    reference, pair = panel.reference, configuration.pair
    with torch.inference_mode():
        framed = frame_for_classifiers(images, panel.generator.classifier_frame)
        logits = {name: judge.logits(framed).cpu().double().numpy() for name, judge in panel.classifiers.items()}
        vectors = panel.recogniser.embed(images).cpu()
        distances = panel.recogniser.distance(vectors, vectors if bases is None else bases.cpu()).tolist()
    raw = {name: softmax(rows, axis=1) for name, rows in logits.items()}
    calibrated = {name: reference.calibrated(name, rows) for name, rows in logits.items()}
    above = {name: reference.exceeds_percentiles(name, rows, pair) for name, rows in logits.items()}
    return [
        JudgedImage(
            {
                name: ClassifierScores(_to_floats(raw[name][row]), _to_floats(calibrated[name][row]), _to_floats(logits[name][row]))
                for name in logits
            },
            {name: (bool(above[name][row, 0]), bool(above[name][row, 1])) for name in logits},
            float(distances[row]),
            vectors[row],
        )
        for row in range(len(images))
    ]


def draw_and_judge(
    latents: Tensor, descriptor: Tensor, configuration: EmotionConfiguration, panel: EmotionPanel, progress: Progress
) -> Iterator[tuple[int, NDArray[np.uint8], JudgedImage]]:
    """Latents (N, d) of one base, whose descriptor is (D,), group by group -> place, picture (H, W, 3), what is said of it."""
    for start in range(0, len(latents), GROUP_SIZE):
        progress.stage(f"Making face {start + 1} of {len(latents)}", start / len(latents))
        with torch.inference_mode():
            images = quantise(panel.generator.decode(latents[start : start + GROUP_SIZE]))
        group = judge_images(images, descriptor.expand(len(images), -1), configuration, panel)
        for index, (picture, judged) in enumerate(zip(to_pictures(images), group, strict=True), start):
            yield index, picture, judged


def judge_base(base: Base, configuration: EmotionConfiguration, panel: EmotionPanel) -> tuple[NDArray[np.uint8], JudgedImage]:
    """A base's picture (H, W, 3) and what is said of it."""
    with torch.inference_mode():
        image = quantise(panel.generator.decode(torch.from_numpy(base.latent)[None]))
    return to_pictures(image)[0], judge_images(image, None, configuration, panel)[0]


def _to_floats(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
