"""The models that make and judge one sample set, loaded together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import LiminalError
from core.models import registry
from core.models.contracts import Classifier, Generator, ModelCard, PerceptualDistance, Recogniser
from core.sampling.configuration import IdentityConfiguration


@dataclass(frozen=True)
class Panel:
    """generator and recogniser make the samples; judges, perceptual distance and classifiers say what they think of them."""

    generator: Generator
    recogniser: Recogniser
    judges: Sequence[Recogniser]
    perceptual: PerceptualDistance
    classifiers: Sequence[Classifier]

    @classmethod
    def load(cls, configuration: IdentityConfiguration) -> Panel:
        """The models that a configuration names. Raises LiminalError for names that the registry does not know."""
        recogniser = registry.load(configuration.recogniser, "recogniser")
        if configuration.strategy == "gradient" and not recogniser.differentiable:
            raise LiminalError(f"{recogniser.card.title} has no gradient; search by trial and selection (cmaes) instead.")
        generator = registry.load(configuration.generator, "generator")
        if configuration.strategy == "gradient" and not generator.differentiable:
            raise LiminalError(f"{generator.card.title} has no gradient; search by trial and selection (cmaes) instead.")
        return cls(
            generator=generator,
            recogniser=recogniser,
            judges=[registry.load(name, "recogniser") for name in configuration.judges],
            perceptual=registry.load(configuration.perceptual, "distance"),
            classifiers=[registry.load(name, "classifier") for name in configuration.classifiers],
        )

    def cards(self) -> list[ModelCard]:
        """Every model's card, each once."""
        recognisers = [each.card for each in (self.recogniser, *self.judges)]
        cards = [self.generator.card, *recognisers, self.perceptual.card, *(each.card for each in self.classifiers)]
        return list({card.name: card for card in cards}.values())
