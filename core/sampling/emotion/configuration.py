"""What makes a set of emotion samples: paper B's parameters (section III), with the values that work best here as defaults."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import ClassVar, Literal, get_args

from core.errors import LiminalError
from core.models import registry
from core.models.contracts import EmotionChain
from core.models.custom.catalogue import list_custom_models
from core.models.emotions import EMOTIONS
from core.sampling.configuration import NO_GENERATOR, Configuration, check_number, check_whole

EmotionStrategy = Literal["two-stage", "direct"]
GuidanceLoss = Literal["product", "cross-entropy"]
Guidance = Literal["best", "paper"]

EMOTION_PAIRS: tuple[tuple[str, str], ...] = tuple(combinations(EMOTIONS, 2))
"""All 15 pairs, each in the order of EMOTIONS."""

GROUP_SIZE = 4
"""Samples made together, always so many: a sample is the same to the byte whatever the number asked for."""

MAX_COUNT = 10_000
"""Images in one set."""

EMBEDDING_GENERATORS = ("sdxl-ip-adapter",)
"""Classes of added generators whose latents are embeddings; each may name the classifier that reads these."""

KEEP, FREE = 0.4, 1.0
"""How much of the noising the base goes through: 'keep the face' and 'be free'."""


def find_embedding_classifier(generator: str) -> str | None:
    """The classifier of a generator whose latents are embeddings; None where it names none, and for all other generators."""
    for model in list_custom_models():
        if model.name == generator and model.model_class in EMBEDDING_GENERATORS:
            named: str | None = model.options.get("classifier")
            return named
    return None


def find_chain(generator: str) -> EmotionChain:
    """The models that make a generator's emotion samples. One without a chain of its own is judged by the DCGAN's."""
    return registry.find_emotion_chain(generator) or registry.DCGAN_CHAIN


def find_steerer(generator: str) -> str:
    """The classifier that steers where none is named."""
    return find_embedding_classifier(generator) or find_chain(generator).classifier


def order_emotions(emotion1: str, emotion2: str) -> tuple[str, str]:
    """The pair in the order of EMOTIONS. Raises LiminalError for an unknown emotion and for one named twice."""
    for emotion in (emotion1, emotion2):
        if emotion not in EMOTIONS:
            raise LiminalError(f"There is no emotion '{emotion}'; choose two of {', '.join(EMOTIONS)}.")
    if emotion1 == emotion2:
        raise LiminalError(f"A pair needs two different emotions, but '{emotion1}' was named twice; choose another one beside it.")
    first, second = sorted((emotion1, emotion2), key=EMOTIONS.index)
    return first, second


@dataclass(frozen=True)
class EmotionConfiguration(Configuration):
    """All that a set depends on. Raises LiminalError with one sentence where a value makes no sense.

    A pair in the other order is the same pair: it is stored in the order of EMOTIONS. Pictures that no generator made
    (NO_GENERATOR) were made between no two emotions: both are "".
    """

    samples: ClassVar[str] = "emotion samples"

    emotion1: str
    emotion2: str
    count: int = 16
    seed: int = 0
    base: str | None = None  # a gallery base's id; None: every sample starts from a base of its own, drawn by its seed
    generator: str = field(default_factory=lambda: registry.default_generator("emotion"))
    strategy: EmotionStrategy = "two-stage"
    guided: bool = True  # False: the same seeds, noised and denoised without guidance (two-stage) or left alone (direct)
    freedom: float = KEEP  # in (0, 1]: share of the noising that the base goes through

    steps: int = 40  # denoising steps for the whole schedule; the base enters at ``freedom`` of them
    loss: GuidanceLoss = "cross-entropy"  # "product" is equation (1)
    gamma: float = 0.5  # equation (2)
    adaptive: bool = True  # CoCoG-2: the gradient is scaled to the noise of the step
    resampling: int = 1  # CoCoG-2: times a step is taken back and done again

    search_steps: int = 18  # direct: Adam's steps through the real networks, behind those through the surrogate
    steerer: str = ""  # filter (3) and the p_<emotion> columns are by this classifier; "": the generator's own (``find_steerer``)
    judges: tuple[str, ...] = ("mini-xception", "tanh-cnn", "small-cnn")  # they say what they think; the last one never steers
    recogniser: str = "dlib"  # how far a sample is from its base

    def __post_init__(self) -> None:
        if self.generator != NO_GENERATOR or self.emotion1 or self.emotion2:
            first, second = order_emotions(self.emotion1, self.emotion2)
            object.__setattr__(self, "emotion1", first)
            object.__setattr__(self, "emotion2", second)
        reader = find_embedding_classifier(self.generator)
        if not self.steerer or (reader is not None and self.steerer == registry.DCGAN_CHAIN.classifier):  # that one cannot read it
            object.__setattr__(self, "steerer", find_steerer(self.generator))
        if isinstance(self.judges, str):
            raise LiminalError(f"'judges' must be a list, not {self.judges!r}.")
        object.__setattr__(self, "judges", tuple(self.judges))
        check_whole("count", self.count, 1, MAX_COUNT)
        check_whole("seed", self.seed, 0, 2**63 - 1)
        check_whole("steps", self.steps, 2, 1000)
        check_whole("resampling", self.resampling, 1, 100)
        check_whole("search_steps", self.search_steps, 0, 10_000)
        check_number("gamma", self.gamma, 0.0, 1e6)
        check_number("freedom", self.freedom, 0.01, 1.0)
        for name, value, known in (
            ("strategy", self.strategy, get_args(EmotionStrategy)),
            ("loss", self.loss, get_args(GuidanceLoss)),
        ):
            if value not in known:
                raise LiminalError(f"'{value}' is no {name}; use {' or '.join(known)}.")
        if len(set(self.classifiers)) != len(self.classifiers):
            raise LiminalError(f"A classifier is named twice in {', '.join(self.classifiers)}; name each once.")

    @property
    def classifiers(self) -> tuple[str, ...]:
        """The steerer and the judges."""
        return (self.steerer, *self.judges)

    @property
    def held_out_classifier(self) -> str:
        """The judge that never steers: no network that did has learned from it."""
        return self.judges[-1]

    def describe_role(self, classifier: str) -> str:
        """What a classifier had to do with the making of the samples, in words: '<its name>, which <part>'.

        The two stages are steered by the chain's classifier, which learned from the other judges; direct search goes through these
        themselves, or through another steerer alone.
        """
        if self.generator == NO_GENERATOR:
            return "judged the pictures"
        chain = find_chain(self.generator)
        if self.steerer != chain.classifier:
            return "steered" if classifier == self.steerer else "did not steer"
        if classifier not in (self.steerer, *chain.teachers):
            return "did not steer"
        if self.strategy == "two-stage":
            return "steered" if classifier == self.steerer else "taught the one that steered"
        if classifier == self.steerer and not chain.classifier_searches:
            return "learned from those that steered"
        return "steered"

    def check_strategy(self) -> None:
        """Raises LiminalError where the generator cannot make samples in two stages, or not by this steerer. Loads nothing."""
        if self.strategy == "direct" or find_embedding_classifier(self.generator) is not None:
            return
        title = registry.title(self.generator)
        chain = registry.find_emotion_chain(self.generator)
        if chain is None:
            raise LiminalError(
                f"Two stages need a network from embeddings to faces of {title}, and there is none; choose the direct search "
                "(--strategy direct), or another generator."
            )
        if self.steerer != chain.classifier:
            raise LiminalError(
                f"Two stages with {title} are steered by {registry.title(chain.classifier)}, which knows embeddings, not by "
                f"{self.steerer}; choose the direct search (--strategy direct)."
            )

    @property
    def pair(self) -> tuple[int, int]:
        """The two emotions as places in EMOTIONS."""
        return EMOTIONS.index(self.emotion1), EMOTIONS.index(self.emotion2)

    def with_guidance(self, guidance: Guidance) -> EmotionConfiguration:
        """``paper``: equations (1) and (2) as written, unscaled, gamma 0.5; ``best``: this configuration's own defaults."""
        if guidance == "paper":
            return replace(self, strategy="two-stage", loss="product", gamma=0.5, adaptive=False, resampling=1)
        if guidance == "best":
            return self
        raise LiminalError(f"There is no guidance '{guidance}'; use best or paper.")
