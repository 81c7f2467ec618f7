"""The restartable pieces that a large data set is cut into: an identity batch, or some groups of emotion samples.

A piece is made by the same functions as any other sample set (``core.sampling.identity``, ``core.sampling.emotion.generate``), and
is the same to the byte wherever it is made, as long as the processor's kind and the number of torch's threads are the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from core.progress import Progress
from core.sampling.configuration import IdentityConfiguration
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.sample_set import Kind, SampleSet, counts


@dataclass(frozen=True)
class Piece:
    """number: its place in the plan. An identity piece is a batch: of drawn bases, or of the gallery's where ``bases`` names some.

    An emotion piece is the samples ``first`` to ``stop`` of its configuration; owns_bases: whether its bases are kept with it (an
    image that several pieces show is kept once, with the first of them).
    """

    number: int
    configuration: IdentityConfiguration | EmotionConfiguration
    batch: int = 0
    bases: tuple[str, ...] = ()
    first: int = 0
    stop: int = 0
    owns_bases: bool = True

    @property
    def kind(self) -> Kind:
        """Which of the two questions it belongs to."""
        return "identity" if isinstance(self.configuration, IdentityConfiguration) else "emotion"

    @property
    def wanted(self) -> int:
        """Emotion samples that are asked for."""
        return self.stop - self.first

    @property
    def images(self) -> int:
        """Images that it keeps, its bases among them; at most: some parts of a batch may be the same picture."""
        c = self.configuration
        if isinstance(c, EmotionConfiguration):
            bases = 0 if not self.owns_bases else 1 if c.base else self.wanted
            return self.wanted + bases
        bases = len(self.bases) or c.bases_per_batch
        each = 1 + c.positive_directions * len(c.positive_steps) + _semantic(c)
        return bases * (each + (bases - 1) * (len(c.interpolation_steps) + len(c.targets)))

    @property
    def pairs(self) -> int:
        """Comparisons that it makes: each negative's is one more than its image."""
        if self.kind == "emotion":
            return 0
        bases = len(self.bases) or self.configuration.bases_per_batch  # type: ignore[union-attr]
        return self.images + bases * (bases - 1)

    @property
    def searches(self) -> int:
        """Runs of the search in it."""
        c = self.configuration
        if isinstance(c, EmotionConfiguration) or not c.targets:
            return 0
        bases = len(self.bases) or c.bases_per_batch
        return bases * (bases - 1)

    @property
    def title(self) -> str:
        """For progress."""
        c = self.configuration
        if isinstance(c, EmotionConfiguration):
            return f"{c.emotion1} or {c.emotion2}, faces {self.first + 1} to {self.stop}"
        return f"batch {self.batch + 1}"

    def make(self, progress: Progress | None = None) -> SampleSet:
        """Its samples, judged. Loads torch."""
        c = self.configuration
        if isinstance(c, EmotionConfiguration):
            from core.sampling.emotion.generate import generate

            made = generate(c, progress, only=range(self.first, self.stop))
            return made if self.owns_bases else _without_bases(made)
        from core.sampling.bases import Base
        from core.sampling.gallery import load_gallery
        from core.sampling.identity import generate_batch

        given = None
        if self.bases:
            gallery = load_gallery(c.generator)
            given = [Base(each.latent, each.seed) for each in map(gallery.base, self.bases)]
        return generate_batch(c, self.batch, progress, bases=given)


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Torch computes with so many threads: sums over other numbers of threads may differ in their last bits."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def slices(count: int, size: int) -> list[range]:
    """``count`` samples in ranges of ``size``, the last one of what is left."""
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def identity_pieces(configuration: IdentityConfiguration, batches: int) -> list[Piece]:
    """One a batch of drawn bases."""
    return [Piece(batch, configuration, batch) for batch in range(batches)]


def emotion_pieces(configuration: EmotionConfiguration, size: int) -> list[Piece]:
    """``size`` samples each. A base of the gallery is shared by all of them and kept with the first."""
    parts = slices(configuration.count, size)
    return [
        Piece(number, configuration, first=each.start, stop=each.stop, owns_bases=configuration.base is None or number == 0)
        for number, each in enumerate(parts)
    ]


def joined_emotion(parts: Sequence[SampleSet]) -> SampleSet:
    """The pieces of one emotion configuration, in their order, as the set that ``generate`` makes at once."""
    import pandas as pd

    from core.sampling.sample_set import no_pairs

    first = parts[0]
    samples = pd.concat([each.samples for each in parts]).drop_duplicates("sample_id").reset_index(drop=True)
    latents = {name: latent for each in parts for name, latent in each.latents.items()}
    images = {name: image for each in parts for name, image in each.images.items()}
    seconds = {name: sum(each.manifest["seconds"][name] for each in parts) for name in first.manifest["seconds"]}
    manifest = {**first.manifest, "counts": counts(samples), "seconds": seconds}
    return SampleSet(first.configuration, samples, no_pairs(), latents, images, manifest)


def _without_bases(made: SampleSet) -> SampleSet:
    samples = made.samples[made.samples["sample_type"] != "genuine"].reset_index(drop=True)
    kept = list(samples["sample_id"])
    return dataclasses.replace(
        made,
        samples=samples,
        latents={name: made.latents[name] for name in kept},
        images={name: made.images[name] for name in kept},
        manifest={**made.manifest, "counts": counts(samples)},
    )


def _semantic(configuration: IdentityConfiguration) -> int:
    """Semantic samples of a base."""
    return 2 * _directions() * len(configuration.semantic_steps) if configuration.semantic else 0


@cache
def _directions() -> int:
    """How many there are; read once, as every estimate of the time that is left counts the images of every piece."""
    from core.sampling.directions import load_directions

    return len(load_directions())
