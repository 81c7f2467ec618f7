"""The models that make and judge emotion samples, loaded together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import LiminalError
from core.models import registry
from core.models.contracts import Classifier, Decoder, Encoder, Generator, ModelCard, Prior, Recogniser, Surrogate
from core.models.emotion_mlp import EmotionMLP
from core.sampling.emotion.configuration import EmotionConfiguration, embedding_classifier
from core.sampling.emotion.embedding_models import EmbeddingSurrogate
from core.sampling.emotion.reference import Reference, load_reference


@dataclass(frozen=True)
class EmotionPanel:
    """generator, encoder, mlp, prior and decoder are paper B's stages; surrogate and steering serve the direct search.

    decoder: None where the generator's latents are the embeddings, so that it is stage 2 itself (``embedding_models``).
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
    reference: Reference

    @classmethod
    def load(cls, configuration: EmotionConfiguration) -> EmotionPanel:
        """The models that a configuration names. Raises LiminalError for unknown names and for models that do not fit together."""
        generator = registry.load(configuration.generator, "generator")
        registry.entry(configuration.steerer, "classifier")
        if embedding_classifier(configuration.generator) is not None:
            return cls._of_embeddings(configuration, generator)
        if configuration.strategy == "direct" and not generator.differentiable:
            raise LiminalError(
                f"{generator.card.title} has no gradient to search by, and names no classifier of its embeddings; add it again "
                "with --option classifier=NAME."
            )
        encoder = registry.load(registry.names("encoder")[0], "encoder")
        mlp = registry.load("emotion-mlp", "classifier")
        prior = registry.load(registry.names("prior")[0], "prior")
        decoder = registry.load(registry.names("decoder")[0], "decoder")
        surrogate = registry.load(registry.names("surrogate")[0], "surrogate")
        assert isinstance(mlp, EmotionMLP)
        if not encoder.embedding_dim == prior.embedding_dim == decoder.embedding_dim:
            raise LiminalError(
                f"The embedding has {encoder.embedding_dim} values, the prior {prior.embedding_dim} and the decoder "
                f"{decoder.embedding_dim}; train them again with 'python -m core train all'."
            )
        own = registry.entry(configuration.generator).own is not None
        aided = not own and configuration.steerer == mlp.name
        if configuration.strategy == "two-stage" and (own or decoder.latent_dim != generator.latent_dim):
            raise LiminalError(
                f"Two stages need a decoder from embeddings to latents of {generator.name}, and there is none; choose the direct "
                "search, or another generator."
            )
        if configuration.strategy == "two-stage" and configuration.steerer != mlp.name:
            raise LiminalError(
                f"Two stages are steered by {mlp.card.title}, which knows embeddings, not by {configuration.steerer}; choose the "
                "direct search."
            )
        steering = surrogate.classifiers if configuration.steerer == mlp.name else (configuration.steerer,)
        return cls(
            generator=generator,
            encoder=encoder,
            mlp=mlp,
            prior=prior,
            decoder=decoder,
            surrogate=surrogate if aided else None,
            steering=tuple(registry.load(name, "classifier") for name in steering),
            classifiers={name: registry.load(name, "classifier") for name in configuration.classifiers},
            recogniser=registry.load(configuration.recogniser, "recogniser"),
            reference=load_reference(configuration.generator),
        )

    @classmethod
    def _of_embeddings(cls, configuration: EmotionConfiguration, generator: Generator) -> EmotionPanel:
        """The panel of a generator whose latents are embeddings: it brings its prior, and its classifier the encoder."""
        name = str(embedding_classifier(configuration.generator))
        if configuration.steerer != name:
            raise LiminalError(
                f"Faces of {generator.card.title} are steered by {name}, which reads its embeddings, not by "
                f"{configuration.steerer}; choose {name}."
            )
        mlp = registry.load(name, "classifier")
        assert isinstance(mlp, EmotionMLP)
        own = registry.entry(generator.name, "generator").own
        assert own is not None
        prior = registry.load(str(own.options["prior"]), "prior")
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
            classifiers={each: registry.load(each, "classifier") for each in configuration.classifiers},
            recogniser=registry.load(configuration.recogniser, "recogniser"),
            reference=load_reference(configuration.generator),
        )

    def cards(self) -> list[ModelCard]:
        """Every model's card, each once."""
        cards = [self.generator.card, self.encoder.card, self.mlp.card, self.prior.card]
        cards += [each.card for each in (self.decoder, self.surrogate) if each is not None]
        cards += [self.recogniser.card, *(each.card for each in (*self.steering, *self.classifiers.values()))]
        return list({card.name: card for card in cards}.values())
