"""The plan of a large data set: a TOML or JSON file, and the pieces that it asks for.

title = "All of it"            # for the library; optional
seed = 7                       # the same seed gives the same data set
generator = "dcgan"            # of both parts
piece = 64                     # emotion images in one piece: what a killed worker costs

[identity]                     # leave a part out and it is not made
batches = 250                  # of four bases each; or bases = "gallery": all bases of the gallery, in batches of four or five
types = ["positive", "interpolation", "optimized", "semantic"]     # genuine pairs and negatives are always there
strategy = "cmaes"             # and any other parameter of core.sampling.configuration.IdentityConfiguration

[emotion]
pairs = "all"                  # or [["surprise", "fear"], ["anger", "disgust"]]
bases = "own"                  # every image has a base of its own; or "gallery", or a list of the gallery's ids
count = 1000                   # images a pair and type; with bases of the gallery: a base, pair and type
types = ["guided", "unguided"] # unguided: the same seeds without guidance
guidance = "best"              # or "paper", and any other parameter of core.sampling.emotion.configuration.EmotionConfiguration
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import count
from pathlib import Path
from typing import Any

from core.errors import LiminalError
from core.models import registry
from core.sampling.configuration import IdentityConfiguration, check_whole
from core.sampling.emotion.configuration import MOST, PAIRS, EmotionConfiguration, ordered
from core.sampling.gallery import load_gallery
from core.sampling.many.pieces import Piece, slices
from core.sampling.seeds import sample_seed

GROUP = 4
"""Emotion samples are made in groups of so many (``core.sampling.emotion.generate.GROUP``): pieces hold whole groups."""

WHOLE = ("title", "seed", "generator", "piece", "identity", "emotion")
IDENTITY_OWN = ("batches", "bases", "types")
EMOTION_OWN = ("pairs", "bases", "count", "types", "guidance")
IDENTITY_TYPES = ("genuine", "negative", "positive", "interpolation", "optimized", "semantic")
EMOTION_TYPES = ("guided", "unguided")
NOT_IN_PARTS = ("seed", "generator", "semantic", "emotion1", "emotion2", "base", "guided")
"""Parameters of configurations that the plan says in its own words."""

Values = Mapping[str, Any]


@dataclass(frozen=True)
class IdentityPart:
    """batches: of drawn bases; or bases: ids of the gallery's, which are cut into batches."""

    configuration: IdentityConfiguration
    batches: int = 0
    bases: tuple[str, ...] = ()


@dataclass(frozen=True)
class EmotionPart:
    """configuration: of the first pair, with ``count`` as asked. bases: ids of the gallery's; none: each image has its own."""

    configuration: EmotionConfiguration
    pairs: tuple[tuple[str, str], ...]
    bases: tuple[str, ...]
    count: int
    types: tuple[str, ...]


@dataclass(frozen=True)
class StudyPlan:
    """What ``read_plan`` makes of a file. values: the file's own content, which says everything."""

    values: Values
    seed: int
    title: str
    piece: int
    identity: IdentityPart | None
    emotion: EmotionPart | None

    @property
    def plan_id(self) -> str:
        """Hash of all that the data depend on. 20 hexadecimal digits."""
        told = {name: value for name, value in self.values.items() if name != "title"}
        return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=10).hexdigest()

    def pieces(self) -> list[Piece]:
        """All of them, in order: identity first."""
        numbered = count()
        found = list(_identity_pieces(self.identity, numbered)) if self.identity else []
        return found + (list(_emotion_pieces(self.emotion, self.seed, self.piece, numbered)) if self.emotion else [])


def read_plan(path: Path) -> StudyPlan:
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
    return plan_of(values)


def plan_of(values: Values) -> StudyPlan:
    """The same from values at hand."""
    _known(values, WHOLE, "a plan")
    seed, piece = values.get("seed", 0), values.get("piece", 64)
    check_whole("seed", seed, 0, 2**63 - 1)
    check_whole("piece", piece, GROUP, MOST)
    if piece % GROUP:
        raise LiminalError(f"'piece' must be a multiple of {GROUP}, because emotion images are made {GROUP} together, not {piece}.")
    generator = _text("generator", values.get("generator", registry.names("generator")[0]))
    registry.entry(generator, "generator")
    parts = {name: values.get(name) for name in ("identity", "emotion")}
    if not any(isinstance(part, dict) for part in parts.values()):
        raise LiminalError("The plan asks for nothing; give it a part '[identity]', a part '[emotion]', or both.")
    for name, part in parts.items():
        if part is not None and not isinstance(part, dict):
            raise LiminalError(f"'{name}' must be a part with names and values, not {part!r}.")
    identity = _identity(parts["identity"], seed, generator) if parts["identity"] is not None else None
    emotion = _emotion(parts["emotion"], seed, generator) if parts["emotion"] is not None else None
    return StudyPlan(dict(values), seed, _text("title", values.get("title", "")), piece, identity, emotion)


def _identity(values: Values, seed: int, generator: str) -> IdentityPart:
    own = [each.name for each in fields(IdentityConfiguration) if each.name not in NOT_IN_PARTS]
    _known(values, (*IDENTITY_OWN, *own), "the plan's part 'identity'")
    types = _choices("types", values.get("types", list(IDENTITY_TYPES[:-1])), IDENTITY_TYPES)
    given = {name: value for name, value in values.items() if name in own}
    absent = {"positive": "positive_steps", "interpolation": "interpolation_steps", "optimized": "targets"}
    for kind, name in absent.items():
        if kind not in types:
            if given.get(name):
                raise LiminalError(f"The plan asks for '{name}' but not for the type '{kind}'; leave out one or name the other.")
            given[name] = ()
    made = IdentityConfiguration(seed=seed, generator=generator, semantic="semantic" in types, **given)
    for name in (made.recogniser, *made.judges):
        registry.entry(name, "recogniser")
    for name in made.classifiers:
        registry.entry(name, "classifier")
    registry.entry(made.perceptual, "distance")
    if "bases" in values:
        if "batches" in values:
            raise LiminalError("The plan's part 'identity' names both 'batches' and 'bases'; leave one of them out.")
        bases = _gallery_bases(values["bases"], generator)
        if len(bases) < 2:
            raise LiminalError("The plan's part 'identity' needs at least two bases, because each is the others' negative.")
        return IdentityPart(made, bases=bases)
    batches = values.get("batches", 1)
    check_whole("batches", batches, 1, 10_000_000)
    return IdentityPart(made, batches)


def _emotion(values: Values, seed: int, generator: str) -> EmotionPart:
    own = [each.name for each in fields(EmotionConfiguration) if each.name not in (*NOT_IN_PARTS, "count")]
    _known(values, (*EMOTION_OWN, *own), "the plan's part 'emotion'")
    asked = values.get("pairs", "all")
    if asked != "all" and (not isinstance(asked, list) or not asked or any(not _is_pair(each) for each in asked)):
        raise LiminalError(f'\'pairs\' must be "all" or a list of pairs such as [["surprise", "fear"]], not {asked!r}.')
    pairs = PAIRS if asked == "all" else tuple(dict.fromkeys(ordered(*each) for each in asked))
    bases = values.get("bases", "own")
    chosen = () if bases == "own" else _gallery_bases(bases, generator)
    number = values.get("count", 16)
    check_whole("count", number, 1, 100_000_000)
    given = {name: value for name, value in values.items() if name in own}
    usual = EmotionConfiguration(*pairs[0], count=min(number, MOST), seed=seed, generator=generator, **given)
    made = usual.with_guidance(values.get("guidance", "best"))
    for name in made.classifiers:
        registry.entry(name, "classifier")
    registry.entry(made.recogniser, "recogniser")
    types = _choices("types", values.get("types", ["guided"]), EMOTION_TYPES)
    return EmotionPart(made, pairs, chosen, number, tuple(each for each in EMOTION_TYPES if each in types))


def _identity_pieces(part: IdentityPart, numbered: Iterator[int]) -> Iterator[Piece]:
    if not part.bases:
        for batch in range(part.batches):
            yield Piece(next(numbered), part.configuration, batch)
        return
    batches = max(1, len(part.bases) // part.configuration.bases_per_batch)
    for batch in range(batches):  # as even as can be: no base is left over, none is shown twice
        low, high = (len(part.bases) * each // batches for each in (batch, batch + 1))
        yield Piece(next(numbered), part.configuration, batch, part.bases[low:high])


def _emotion_pieces(part: EmotionPart, seed: int, size: int, numbered: Iterator[int]) -> Iterator[Piece]:
    """By pair, base and block of at most MOST images (one configuration each), then by type: guided and unguided share a seed."""
    shown: set[str] = set()
    for pair in part.pairs:
        for base in part.bases or (None,):
            for block, rows in enumerate(slices(part.count, MOST)):
                own_seed = sample_seed(seed, "emotion", *pair, base or "", block)
                for place, kind in enumerate(part.types):
                    made = replace(
                        part.configuration,
                        emotion1=pair[0],
                        emotion2=pair[1],
                        base=base,
                        seed=own_seed,
                        count=len(rows),
                        guided=kind == "guided",
                    )
                    for each in slices(made.count, size):
                        owns = place == 0 if base is None else base not in shown
                        if base is not None:
                            shown.add(base)
                        yield Piece(next(numbered), made, first=each.start, stop=each.stop, owns_bases=owns)


def _gallery_bases(asked: Any, generator: str) -> tuple[str, ...]:
    known = [base.base_id for base in load_gallery(generator).bases]
    if asked == "gallery":
        return tuple(known)
    if not isinstance(asked, list) or not asked or any(not isinstance(each, str) for each in asked):
        raise LiminalError(
            f'\'bases\' must be "gallery" or a list of the gallery\'s ids, for example ["{known[0]}"], not {asked!r}.'
        )
    for each in asked:
        if each not in known:
            raise LiminalError(f"The gallery holds no base '{each}'; one of its {len(known)} ids is {known[0]}.")
    return tuple(dict.fromkeys(asked))


def _known(values: Values, names: Sequence[str], where: str) -> None:
    unknown = [name for name in values if name not in names]
    if unknown:
        raise LiminalError(f"'{unknown[0]}' is nothing that {where} can hold; there are {', '.join(names)}.")


def _choices(name: str, asked: Any, known: Sequence[str]) -> tuple[str, ...]:
    if not isinstance(asked, list) or not asked:
        raise LiminalError(f"'{name}' must be a list of {', '.join(known)}, not {asked!r}.")
    for each in asked:
        if each not in known:
            raise LiminalError(f"There is no type '{each}' of samples; '{name}' may hold {', '.join(known)}.")
    return tuple(asked)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise LiminalError(f"'{name}' must be a text, not {value!r}.")
    return value


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(each, str) for each in value)
