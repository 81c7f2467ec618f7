"""The contracts of all models, written once: shapes, ranges, units.

Images inside ``core.models`` are float tensors (N, 3, H, W), RGB in [0, 1]; at the edges (files, pages) they are uint8 arrays
(N, H, W, 3). Latents are float32 tensors (N, latent_dim). Networks run in padded chunks of one fixed size
(``device.run_in_chunks``), so that a result never depends on how many neighbours it was asked for with.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Literal

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.weights import WeightFile

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:  # imported by pages that paint before PyTorch is there
    torch = lazy_import("torch")

ClassifierFrame = Literal["whole", "face"]
"""What classifiers of emotion are shown of a generator's pictures (``framing.frame_for_classifiers``)."""

ModelKind = Literal["generator", "recogniser", "classifier", "distance", "encoder", "prior", "decoder", "surrogate"]


@dataclass(frozen=True)
class ModelCard:
    """Where a model comes from and what it may be used for. ``doctor`` and the README print it."""

    name: str  # the registry's name, also used in column names such as distance_<name>
    title: str  # for people
    kind: ModelKind
    source: str  # package, version, and who trained it
    weights_licence: str
    data_licence: str
    input_size: int  # pixels, side of the square the network reads
    not_for: str
    files: tuple[WeightFile, ...]


NOT_FOR: Mapping[ModelKind, str] = {
    "generator": "evidence about real people",
    "recogniser": "identifying real people or deciding about access; its errors differ between groups of people",
    "classifier": "telling what a real person feels; a face shows an expression, not a feeling",
    "encoder": "identifying people or telling what a real person feels",
    "prior": "evidence about real people",
}
"""Uses that every model of a kind is unfit for, whoever made it."""

SPEED_UNITS: Mapping[ModelKind, str] = {
    "generator": "an image",
    "recogniser": "an image",
    "classifier": "an image",
    "distance": "a pair of images",
    "encoder": "an image",
    "prior": "an embedding",
    "decoder": "an embedding",
    "surrogate": "a latent",
}
"""What one row of a kind's main function is, for figures of speed."""


@dataclass(frozen=True)
class LatentName:
    """What one latent of a generator does: its block, its name, the unit and range of its value, and its meaning in words."""

    block: str
    name: str
    unit: str
    lowest: float
    highest: float
    meaning: str


@dataclass(frozen=True)
class PairCondition:
    """In what two pictures of one person differ, read from named values; error rates are counted at each of its levels.

    latents: whose values are read. measure: extreme (the largest absolute value in either picture), change (the largest
    difference between them), presence (in neither, in both, in one: a value above 0.5), person (the value itself). edges: where one
    level ends and the next begins, rising; levels: their words, one more than edges. alone: counted among pairs in which nothing
    worn has changed, so that no two causes mix.
    """

    name: str
    latents: tuple[str, ...]
    measure: Literal["extreme", "change", "presence", "person"]
    edges: tuple[float, ...]
    levels: tuple[str, ...]
    alone: bool = False


@dataclass(frozen=True)
class EmotionChain:
    """Names of the models that make and steer emotion samples of a generator (paper B, section III).

    teachers: the networks that the classifier learned from, and that direct search goes through. classifier_searches: direct search
    goes through the classifier, too.
    """

    encoder: str
    classifier: str
    prior: str
    decoder: str
    surrogate: str
    teachers: tuple[str, ...]
    classifier_searches: bool = False


class Generator(ABC):
    """latents -> images. Latents are standard normal in z-space."""

    card: ModelCard
    latent_dim: int
    image_size: int
    device: torch.device
    face_box: tuple[float, float, float, float] | None = None
    """Where this generator's faces usually lie as dlib frames them: left, top, right, bottom in shares of the side."""

    face_points: tuple[tuple[float, float], ...] | None = None
    """Where eyes and corners of the mouth usually lie, x and y in shares of the side; None: not measured yet (``framing``)."""
    differentiable: ClassVar[bool] = True
    """Whether ``decode`` has a gradient: a search (``gradient``, ``direct``) and inversion can climb through the picture itself.

    Where it has none, a search can still climb what the generator's surrogate predicts, if it has one (strategy ``surrogate``,
    ``registry.find_descriptor_surrogate``); else only trial and selection (CMA-ES) are left.
    """

    classifier_frame: ClassVar[ClassifierFrame] = "whole"
    """The whole picture, or the square around the detected face where pictures show more than the face."""

    blocks: Mapping[str, slice] = MappingProxyType({})
    """Parts of the latents by name, such as identity, expression, scene and accessories; empty where the latents are entangled."""

    latent_names: tuple[LatentName, ...] = ()
    """What each latent does, in their order; empty where single latents have no meaning."""

    daily_latents: tuple[str, ...] = ()
    """Names of the latents of the identity block that one person changes from day to day, such as a beard."""

    pair_conditions: tuple[PairCondition, ...] = ()
    """By what the error rates of recognisers are told apart; empty where latents have no names."""

    sizes: ClassVar[tuple[int, ...]] = ()
    """Sides in pixels that ``decode_at`` draws; empty: none but ``image_size``."""

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def knows_identity(self) -> bool:
        """Whether a block of the latents is the person, so that images have a truth about identity."""
        return "identity" in self.blocks

    def identity_distance(self, first: Tensor, second: Tensor) -> Tensor:
        """Distance of the identity blocks of latents (N, d) and (N, d) -> (N,), 1 for two independent draws on average.

        Euclidean, divided by sqrt(2 k) for a block of k latents. Raises LiminalError where the generator has no such block.
        """
        self._check_identity()
        part = self.blocks["identity"]
        apart: Tensor = (first[:, part] - second[:, part]).double().norm(dim=1)
        scaled: Tensor = apart / math.sqrt(2 * (part.stop - part.start))
        return scaled

    def redraw_conditions(self, latents: Tensor, seeds: Sequence[int], keep: Sequence[str] = ()) -> Tensor:
        """The same people (N, d) with all but the identity block drawn anew, one seed a row; blocks in ``keep`` stay too.

        Raises LiminalError where the generator has no identity block.
        """
        self._check_identity()
        drawn = self.sample(seeds)
        for name in ("identity", *keep):
            drawn[:, self.blocks[name]] = latents[:, self.blocks[name]]
        return drawn

    def named_values(self, latents: Tensor) -> list[dict[str, float]]:
        """Latents (N, d) -> for each, the name of every latent and its value in its unit. Raises LiminalError where they have no
        names."""
        raise self._nameless()

    def set_named_value(self, latents: Tensor, name: str, value: float) -> Tensor:
        """Copies of latents (N, d) in which one named value is ``value`` and no other latent has changed.

        Raises LiminalError for an unknown name, a value out of its range, or where latents have no names.
        """
        raise self._nameless()

    def facial_actions(self, latents: Tensor) -> Tensor:
        """Latents (N, d) -> strengths of the facial actions in the face (N, A), 1 a strong one. Differentiable.

        Raises LiminalError where latents have no names.
        """
        raise self._nameless()

    def _nameless(self) -> LiminalError:
        return LiminalError(f"The latents of {self.card.title} have no names; choose a generator with named latents.")

    def _check_identity(self) -> None:
        if not self.knows_identity:
            raise LiminalError(
                f"{self.card.title} mixes person, expression and scene in all its latents; choose another generator."
            )

    @property
    def step_scale(self) -> float:
        """Euclidean length of one paper unit of latent distance: sqrt(latent_dim) (paper A, Table 1: 19.06 / 0.2 / sqrt(18))."""
        return math.sqrt(self.latent_dim)

    def sample(self, seeds: Sequence[int]) -> Tensor:
        """One standard normal latent a seed -> (N, latent_dim) on the CPU; each depends on its own seed alone."""
        rows = [
            torch.randn(self.latent_dim, generator=torch.Generator().manual_seed(int(seed)), dtype=torch.float32) for seed in seeds
        ]
        return torch.stack(rows) if rows else torch.empty(0, self.latent_dim)

    @abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """(N, latent_dim) -> images (N, 3, image_size, image_size) in [0, 1]. Differentiable where ``differentiable`` says so.

        The same image is shown and judged: nothing is applied to it afterwards.
        """

    def decode_at(self, latents: Tensor, size: int) -> Tensor:
        """As ``decode``, drawn with another side: (N, 3, size, size). Raises LiminalError for one that is not in ``sizes``."""
        if size != self.image_size:
            raise LiminalError(f"{self.card.title} makes pictures of {self.image_size} pixels, not {size}; ask for that size.")
        return self.decode(latents)

    has_draft: ClassVar[bool] = False
    """Whether ``decode_draft`` is another, cheaper picture than ``decode``."""

    def decode_draft(self, latents: Tensor) -> Tensor:
        """A cheaper picture of the same latents, of any size, for gradient search and previews. Differentiable. Never a result."""
        return self.decode(latents)

    def decode_for_search(self, latents: Tensor) -> Tensor:
        """As ``decode``, without gradient; a generator may have a faster, slightly inexact path for it. Never a result."""
        with torch.inference_mode():
            return self.decode(latents)


@dataclass(frozen=True)
class DetectedFaces:
    """One face an image, at most: five landmarks in the image's own pixels, NaN rows where no face was found.

    landmarks: float64 (N, L, 2), x and y; found: bool (N,); boxes: float64 (N, 4) left, top, right, bottom.
    """

    landmarks: Tensor
    boxes: Tensor

    @property
    def found(self) -> Tensor:
        return torch.isfinite(self.landmarks).flatten(1).all(dim=1)


class Recogniser(ABC):
    """image -> vector; two images are accepted as one person where ``distance < threshold``."""

    card: ModelCard
    embedding_dim: int
    threshold: float  # default, in this recogniser's own distance
    threshold_source: str  # where that number comes from
    device: torch.device
    differentiable: ClassVar[bool] = True
    """Whether ``embed_chips`` has a gradient. A network that runs outside PyTorch has none, and only CMA-ES can search with it."""

    @property
    def name(self) -> str:
        return self.card.name

    @abstractmethod
    def find_faces(self, images: Tensor) -> DetectedFaces:
        """(N, 3, H, W) -> DetectedFaces: the largest face of each image."""

    @abstractmethod
    def align(self, images: Tensor, faces: DetectedFaces) -> Tensor:
        """Cut the aligned chips, differentiable with respect to the images: -> (N, 3, input_size, input_size) in [0, 1].

        Rows without a face hold a grey chip.
        """

    @abstractmethod
    def embed_chips(self, chips: Tensor) -> Tensor:
        """Aligned chips -> (N, embedding_dim). Differentiable where ``differentiable`` says so."""

    def embed(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, embedding_dim), NaN rows where no face was found. Without gradient."""
        with torch.inference_mode():
            faces = self.find_faces(images)
            vectors = self.embed_chips(self.align(images, faces)).float()
            vectors[~faces.found.to(vectors.device)] = torch.nan
            return vectors

    def embed_for_search(self, images: Tensor, boxes: Tensor | None) -> Tensor:
        """As ``embed``, or a faster, slightly inexact path that ranks a search's candidates; results are judged by ``embed``.

        boxes: (N, 4), where each image's face is expected: left, top, right, bottom in shares of the side, as in
        ``DetectedFaces.boxes``; a faster path may look for the face there alone. None: nothing is expected.
        """
        return self.embed(images)

    @abstractmethod
    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Row by row, broadcasting: (N, D), (N, D) -> (N,). NaN where either side is NaN. Differentiable."""


class Classifier(ABC):
    """image -> probabilities over EMOTIONS."""

    card: ModelCard
    device: torch.device
    has_neutral: ClassVar[bool] = True
    """A 'neutral' output is dropped and the remaining six are renormalised."""
    differentiable: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return self.card.name

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) tight face images -> (N, 6) over EMOTIONS. Differentiable where ``differentiable`` says so."""

    def probabilities(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 6) over EMOTIONS; rows sum to one. 'Neutral' is dropped and the rest renormalised."""
        return torch.softmax(self.logits(images), dim=1)


class PerceptualDistance(ABC):
    """How different two images look, by a network's features (LPIPS)."""

    card: ModelCard
    device: torch.device

    @property
    def name(self) -> str:
        return self.card.name

    @abstractmethod
    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """(N, 3, H, W), (N, 3, H, W) -> (N,), 0 for equal images. Differentiable."""

    def toward(self, image: Tensor) -> Callable[[Tensor], Tensor]:
        """One image (1, 3, H, W) -> a function: images of its size -> their distance (N,) from it. Its features are computed
        once."""
        return lambda images: self.distance(images, image.to(images.device).expand_as(images))


class Encoder(ABC):
    """image -> embedding. The built-in one is whitened: every value has mean 0 and variance 1 over generated faces."""

    card: ModelCard
    embedding_dim: int
    spread: Tensor
    """(embedding_dim,), > 0: weights of the values where two embeddings are compared; ones: all count alike."""
    device: torch.device

    @property
    def name(self) -> str:
        return self.card.name

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, embedding_dim). Every image has one, whether or not a detector finds a face. Differentiable."""


class Prior(ABC):
    """Diffusion over embeddings: a network that says which noise is in a noised embedding (DDPM, Ho et al. 2020)."""

    card: ModelCard
    embedding_dim: int
    train_steps: int  # length of the noising schedule it was trained on
    betas: str = "squaredcos_cap_v2"  # that schedule, by its name in diffusers (``prior.DEFAULT_BETAS``)
    device: torch.device

    @property
    def name(self) -> str:
        return self.card.name

    @abstractmethod
    def noise(self, noised: Tensor, step: Tensor) -> Tensor:
        """x_t (N, E), steps (N,) in [0, train_steps) -> the noise in it (N, E). Differentiable."""


class Decoder(ABC):
    """embedding -> latent of a generator; stochastic: each seed gives another of the faces that have this embedding."""

    card: ModelCard
    embedding_dim: int
    latent_dim: int
    device: torch.device

    @property
    def name(self) -> str:
        return self.card.name

    @abstractmethod
    def latents(self, embeddings: Tensor, seeds: Sequence[int], kept: Tensor | None = None) -> Tensor:
        """(N, E) and one seed a row -> (N, latent_dim). A row depends on its embedding, its seed and what is kept.

        kept: latents (N, latent_dim) of which all but the expression block stay as they are, to the byte. LiminalError where the
        decoder cannot.
        """


class Surrogate(ABC):
    """latent -> prediction of classifiers' logits for its image, without making the image: smooth, cheap and approximate."""

    card: ModelCard
    latent_dim: int  # of the latents that it reads
    classifiers: tuple[str, ...]  # whose logits it predicts
    device: torch.device

    @property
    def name(self) -> str:
        return self.card.name

    @abstractmethod
    def logits(self, latents: Tensor) -> Tensor:
        """(N, latent_dim) -> (N, len(classifiers), 6), in their own units. Differentiable."""


class EncoderSurrogate(Surrogate):
    """A surrogate that predicts an encoder's embedding of the image, too; stage 2 of paper B climbs through it."""

    @abstractmethod
    def embeddings(self, latents: Tensor) -> Tensor:
        """(N, latent_dim) -> (N, the encoder's embedding_dim). Differentiable."""


class DescriptorSurrogate(Surrogate):
    """A surrogate of one generator that predicts recognisers' descriptors, too, so that a search can climb toward a descriptor.

    Found by the generator's name (``registry.find_descriptor_surrogate``). What it predicts is never a result: a search checks
    every step on a true picture.
    """

    generator: str
    recognisers: tuple[str, ...]  # whose descriptors it predicts
    r2: Mapping[str, float]
    """By the name of recogniser or classifier: the share of its outputs' variance over random faces that is predicted, held out."""

    @abstractmethod
    def descriptors(self, latents: Tensor, recogniser: str) -> Tensor:
        """(N, latent_dim) -> (N, the recogniser's embedding_dim). Differentiable. LiminalError for another recogniser."""

    def predict_table(self, latents: Tensor, recogniser: str | None) -> Tensor:
        """As ``descriptors``, or as ``logits`` for None, without gradient and for thousands of rows; last bits may differ."""
        with torch.inference_mode():
            return self.logits(latents) if recogniser is None else self.descriptors(latents, recogniser)
