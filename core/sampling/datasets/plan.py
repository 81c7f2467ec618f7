"""The plan of a large data set (a TOML or JSON file), and the restartable pieces that it is cut into.

title = "All of it"            # for the library; optional
seed = 7                       # the same seed gives the same data set
generator = "dcgan-sharp"      # of both parts; dcgan where a plan names none
piece = 64                     # emotion images in one piece: what a killed worker costs

[identity]                     # leave a part out and it is not made
batches = 250                  # of four bases each; or bases = "gallery": all bases of the gallery, in batches of four or five
types = ["positive", "interpolation", "optimized", "semantic"]     # genuine pairs and negatives are always there
strategy = "cmaes"             # surrogate where a plan names none and its generator has one; and any other parameter of
                               # core.sampling.configuration.IdentityConfiguration

[emotion]
pairs = "all"                  # or [["surprise", "fear"], ["anger", "disgust"]]
bases = "own"                  # every image has a base of its own; or "gallery", or a list of the gallery's ids
count = 1000                   # images a pair and type; with bases of the gallery: a base, pair and type
types = ["guided", "unguided"] # unguided: the same seeds without guidance
guidance = "best"              # or "paper", and any other parameter of core.sampling.emotion.configuration.EmotionConfiguration
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.progress import Progress
from core.sampling.bases import Base
from core.sampling.configuration import IdentityConfiguration, check_whole, default_strategy, sample_seed
from core.sampling.emotion.configuration import EMOTION_PAIRS, GROUP_SIZE, MAX_COUNT, EmotionConfiguration, order_emotions
from core.sampling.sample_set import Kind, SampleSet, count_sample_types, make_empty_pairs
from core.sampling.stored.directions import find_directions
from core.sampling.stored.gallery import load_gallery

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")

PLAN_KEYS = ("title", "seed", "generator", "piece", "identity", "emotion")
IDENTITY_KEYS = ("batches", "bases", "types")
EMOTION_KEYS = ("pairs", "bases", "count", "types", "guidance")
IDENTITY_TYPES = ("genuine", "negative", "positive", "interpolation", "optimized", "semantic")
EMOTION_TYPES = ("guided", "unguided")
GENERATOR_OF_OLD_PLANS = "dcgan"
"""What a plan that names no generator means: the default of the version that introduced plans, so that its data set goes on."""
PLAN_PARAMETERS = ("seed", "generator", "semantic", "emotion1", "emotion2", "base", "guided")
"""Parameters of configurations that the plan says in its own words."""

PlanValues = Mapping[str, Any]


@dataclass(frozen=True)
class IdentityPlan:
    """batches: of drawn bases; or bases: ids of the gallery's, which are cut into batches."""

    configuration: IdentityConfiguration
    batches: int = 0
    bases: tuple[str, ...] = ()


@dataclass(frozen=True)
class EmotionPlan:
    """configuration: of the first pair, with ``count`` as asked. bases: ids of the gallery's; none: each image has its own."""

    configuration: EmotionConfiguration
    pairs: tuple[tuple[str, str], ...]
    bases: tuple[str, ...]
    count: int
    types: tuple[str, ...]


@dataclass(frozen=True)
class DataSetPlan:
    """What ``read_plan`` makes of a file. values: the file's own content, which says everything."""

    values: PlanValues
    seed: int
    title: str
    piece: int
    identity: IdentityPlan | None
    emotion: EmotionPlan | None

    @property
    def plan_id(self) -> str:
        """Hash of all that the data depend on. 20 hexadecimal digits."""
        values = {name: value for name, value in self.values.items() if name != "title"}
        return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=10).hexdigest()

    def pieces(self) -> list[Piece]:
        """All of them, in order: identity first."""
        numbered = count()
        pieces = list(_iterate_identity_pieces(self.identity, numbered)) if self.identity else []
        return pieces + (list(_iterate_emotion_pieces(self.emotion, self.seed, self.piece, numbered)) if self.emotion else [])


def read_plan(path: Path) -> DataSetPlan:
    """Raises LiminalError with one sentence where the file cannot be read or asks for something that there is not."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise LiminalError(f"The plan {path} cannot be read ({reason}); give a TOML or JSON file.") from None
    try:
        values = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
        raise LiminalError(f"The plan {path} is not valid {kind}: {str(error).splitlines()[0]}; mend that place.") from None
    if not isinstance(values, dict):
        raise LiminalError(f"The plan {path} must hold names and values, not a list; see '[identity]' and '[emotion]' in the help.")
    return parse_plan(values)


def parse_plan(values: PlanValues) -> DataSetPlan:
    """The same from values at hand."""
    _check_names(values, PLAN_KEYS, "a plan")
    seed, piece = values.get("seed", 0), values.get("piece", 64)
    check_whole("seed", seed, 0, 2**63 - 1)
    check_whole("piece", piece, GROUP_SIZE, MAX_COUNT)
    if piece % GROUP_SIZE:
        raise LiminalError(
            f"'piece' must be a multiple of {GROUP_SIZE}, because emotion images are made {GROUP_SIZE} together, not {piece}."
        )
    generator = _read_text("generator", values.get("generator", GENERATOR_OF_OLD_PLANS))
    registry.find_entry(generator, "generator")
    parts = {name: values.get(name) for name in ("identity", "emotion")}
    if not any(isinstance(part, dict) for part in parts.values()):
        raise LiminalError("The plan asks for nothing; give it a part '[identity]', a part '[emotion]', or both.")
    for name, part in parts.items():
        if part is not None and not isinstance(part, dict):
            raise LiminalError(f"'{name}' must be a part with names and values, not {part!r}.")
    identity = _parse_identity_plan(parts["identity"], seed, generator) if parts["identity"] is not None else None
    emotion = _parse_emotion_plan(parts["emotion"], seed, generator) if parts["emotion"] is not None else None
    return DataSetPlan(dict(values), seed, _read_text("title", values.get("title", "")), piece, identity, emotion)


def _parse_identity_plan(values: PlanValues, seed: int, generator: str) -> IdentityPlan:
    names = [field.name for field in fields(IdentityConfiguration) if field.name not in PLAN_PARAMETERS]
    _check_names(values, (*IDENTITY_KEYS, *names), "the plan's part 'identity'")
    types = _read_choices("types", values.get("types", list(IDENTITY_TYPES[:-1])), IDENTITY_TYPES)
    parameters = {name: value for name, value in values.items() if name in names}
    absent = {"positive": "positive_steps", "interpolation": "interpolation_steps", "optimized": "targets"}
    for kind, name in absent.items():
        if kind not in types:
            if parameters.get(name):
                raise LiminalError(f"The plan asks for '{name}' but not for the type '{kind}'; leave out one or name the other.")
            parameters[name] = ()
    configuration = IdentityConfiguration(seed=seed, generator=generator, semantic="semantic" in types, **parameters)
    if "strategy" not in parameters:
        configuration = replace(configuration, strategy=default_strategy(generator, configuration.recogniser))
    for name in (configuration.recogniser, *configuration.judges):
        registry.find_entry(name, "recogniser")
    for name in configuration.classifiers:
        registry.find_entry(name, "classifier")
    registry.find_entry(configuration.perceptual, "distance")
    if "bases" in values:
        if "batches" in values:
            raise LiminalError("The plan's part 'identity' names both 'batches' and 'bases'; leave one of them out.")
        bases = _read_gallery_bases(values["bases"], generator)
        if len(bases) < 2:
            raise LiminalError("The plan's part 'identity' needs at least two bases, because each is the others' negative.")
        return IdentityPlan(configuration, bases=bases)
    batches = values.get("batches", 1)
    check_whole("batches", batches, 1, 10_000_000)
    return IdentityPlan(configuration, batches)


def _parse_emotion_plan(values: PlanValues, seed: int, generator: str) -> EmotionPlan:
    names = [item.name for item in fields(EmotionConfiguration) if item.name not in (*PLAN_PARAMETERS, "count")]
    _check_names(values, (*EMOTION_KEYS, *names), "the plan's part 'emotion'")
    requested = values.get("pairs", "all")
    if requested != "all" and (not isinstance(requested, list) or not requested or any(not _is_pair(item) for item in requested)):
        raise LiminalError(f'\'pairs\' must be "all" or a list of pairs such as [["surprise", "fear"]], not {requested!r}.')
    pairs = EMOTION_PAIRS if requested == "all" else tuple(dict.fromkeys(order_emotions(*item) for item in requested))
    bases = values.get("bases", "own")
    chosen = () if bases == "own" else _read_gallery_bases(bases, generator)
    number = values.get("count", 16)
    check_whole("count", number, 1, 100_000_000)
    parameters = {name: value for name, value in values.items() if name in names}
    usual = EmotionConfiguration(*pairs[0], count=min(number, MAX_COUNT), seed=seed, generator=generator, **parameters)
    configuration = usual.with_guidance(values.get("guidance", "best"))
    for name in configuration.classifiers:
        registry.find_entry(name, "classifier")
    registry.find_entry(configuration.recogniser, "recogniser")
    types = _read_choices("types", values.get("types", ["guided"]), EMOTION_TYPES)
    return EmotionPlan(configuration, pairs, chosen, number, tuple(item for item in EMOTION_TYPES if item in types))


def _iterate_identity_pieces(part: IdentityPlan, numbered: Iterator[int]) -> Iterator[Piece]:
    if not part.bases:
        for batch in range(part.batches):
            yield Piece(next(numbered), part.configuration, batch)
        return
    batches = max(1, len(part.bases) // part.configuration.bases_per_batch)
    for batch in range(batches):  # as even as can be: no base is left over, none is shown twice
        low, high = (len(part.bases) * number // batches for number in (batch, batch + 1))
        yield Piece(next(numbered), part.configuration, batch, part.bases[low:high])


def _iterate_emotion_pieces(part: EmotionPlan, seed: int, size: int, numbered: Iterator[int]) -> Iterator[Piece]:
    """By pair, base and block of at most MAX_COUNT images (a configuration each), then by type: guided, unguided share a seed."""
    bases_done: set[str] = set()
    for pair in part.pairs:
        for base in part.bases or (None,):
            for block, rows in enumerate(split_range(part.count, MAX_COUNT)):
                own_seed = sample_seed(seed, "emotion", *pair, base or "", block)
                for order, kind in enumerate(part.types):
                    configuration = replace(
                        part.configuration,
                        emotion1=pair[0],
                        emotion2=pair[1],
                        base=base,
                        seed=own_seed,
                        count=len(rows),
                        guided=kind == "guided",
                    )
                    for span in split_range(configuration.count, size):
                        owns = order == 0 if base is None else base not in bases_done
                        if base is not None:
                            bases_done.add(base)
                        yield Piece(next(numbered), configuration, first=span.start, stop=span.stop, owns_bases=owns)


def _read_gallery_bases(requested: Any, generator: str) -> tuple[str, ...]:
    known = [base.base_id for base in load_gallery(generator).bases]
    if requested == "gallery":
        return tuple(known)
    if not isinstance(requested, list) or not requested or any(not isinstance(base_id, str) for base_id in requested):
        raise LiminalError(
            f'\'bases\' must be "gallery" or a list of the gallery\'s ids, for example ["{known[0]}"], not {requested!r}.'
        )
    for base_id in requested:
        if base_id not in known:
            raise LiminalError(f"The gallery holds no base '{base_id}'; one of its {len(known)} ids is {known[0]}.")
    return tuple(dict.fromkeys(requested))


def _check_names(values: PlanValues, names: Sequence[str], where: str) -> None:
    unknown = [name for name in values if name not in names]
    if unknown:
        raise LiminalError(f"'{unknown[0]}' is nothing that {where} can hold; there are {', '.join(names)}.")


def _read_choices(name: str, requested: Any, known: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(requested, list) or not requested:
        raise LiminalError(f"'{name}' must be a list of {', '.join(known)}, not {requested!r}.")
    for choice in requested:
        if choice not in known:
            raise LiminalError(f"There is no type '{choice}' of samples; '{name}' may hold {', '.join(known)}.")
    return tuple(requested)


def _read_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise LiminalError(f"'{name}' must be a text, not {value!r}.")
    return value


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(emotion, str) for emotion in value)


@dataclass(frozen=True)
class Piece:
    """A part of a plan that is made at once: an identity batch, or some whole groups of emotion samples.

    It is made by the same functions as any other sample set, and is the same to the byte wherever it is made, as long as the
    processor's kind and the number of torch's threads are the same.

    number: its place in the plan. An identity piece is a batch: of drawn bases, or of the gallery's where ``bases`` names some.
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
    def sample_count(self) -> int:
        """Emotion samples that are asked for."""
        return self.stop - self.first

    @property
    def images(self) -> int:
        """Images that it keeps, its bases among them; at most: some parts of a batch may be the same picture."""
        c = self.configuration
        if isinstance(c, EmotionConfiguration):
            bases = 0 if not self.owns_bases else 1 if c.base else self.sample_count
            return self.sample_count + bases
        bases = len(self.bases) or c.bases_per_batch
        samples_a_base = 1 + c.positive_directions * len(c.positive_steps) + _count_semantic_samples(c)
        return bases * (samples_a_base + (bases - 1) * (len(c.interpolation_steps) + len(c.targets)))

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
            from core.sampling.emotion.generate import generate_emotion_set  # PyTorch

            sample_set = generate_emotion_set(c, progress, only=range(self.first, self.stop))
            return sample_set if self.owns_bases else _remove_bases(sample_set)
        from core.sampling.identity import generate_identity_batch  # PyTorch

        bases = None
        if self.bases:
            gallery = load_gallery(c.generator)
            bases = [Base(base.latent, base.seed) for base in map(gallery.base, self.bases)]
        return generate_identity_batch(c, self.batch, progress, bases=bases)


def split_range(count: int, size: int) -> list[range]:
    """``count`` samples in ranges of ``size``, the last one of what is left."""
    return [range(first, min(first + size, count)) for first in range(0, count, size)]


def split_identity_set(configuration: IdentityConfiguration, batches: int) -> list[Piece]:
    """One a batch of drawn bases."""
    return [Piece(batch, configuration, batch) for batch in range(batches)]


def split_emotion_set(configuration: EmotionConfiguration, size: int) -> list[Piece]:
    """``size`` samples each. A base of the gallery is shared by all of them and kept with the first."""
    parts = split_range(configuration.count, size)
    return [
        Piece(number, configuration, first=span.start, stop=span.stop, owns_bases=configuration.base is None or number == 0)
        for number, span in enumerate(parts)
    ]


def join_emotion_sets(parts: Sequence[SampleSet]) -> SampleSet:
    """The pieces of one emotion configuration, in their order, as the set that ``generate_emotion_set`` makes at once."""
    first = parts[0]
    samples = pd.concat([part.samples for part in parts]).drop_duplicates("sample_id").reset_index(drop=True)
    latents = {name: latent for part in parts for name, latent in part.latents.items()}
    images = {name: image for part in parts for name, image in part.images.items()}
    seconds = {name: sum(part.manifest["seconds"][name] for part in parts) for name in first.manifest["seconds"]}
    manifest = {**first.manifest, "counts": count_sample_types(samples), "seconds": seconds}
    return SampleSet(first.configuration, samples, make_empty_pairs(), latents, images, manifest)


def _remove_bases(sample_set: SampleSet) -> SampleSet:
    samples = sample_set.samples[sample_set.samples["sample_type"] != "genuine"].reset_index(drop=True)
    names = list(samples["sample_id"])
    return dataclasses.replace(
        sample_set,
        samples=samples,
        latents={name: sample_set.latents[name] for name in names},
        images={name: sample_set.images[name] for name in names},
        manifest={**sample_set.manifest, "counts": count_sample_types(samples)},
    )


def _count_semantic_samples(configuration: IdentityConfiguration) -> int:
    """Semantic samples of a base."""
    return 2 * _count_directions(configuration.generator) * len(configuration.semantic_steps) if configuration.semantic else 0


@cache
def _count_directions(generator: str) -> int:
    """How many there are; read once, as every estimate of the time that is left counts the images of every piece."""
    return len(find_directions(generator))
