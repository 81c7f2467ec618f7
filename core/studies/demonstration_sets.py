"""The sample sets of the demonstration study, made piece by piece: what was made before is not made again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.configuration import IdentityConfiguration, Strategy
from core.sampling.emotion.configuration import PAIRS, EmotionConfiguration
from core.sampling.sample_set import SampleSet, joined
from core.studies.sentinels import made_sentinels

GENERATOR = "dcgan-sharp"
SENTINELS = 20


@dataclass(frozen=True)
class Size:
    """How much is made."""

    batches: int = 3
    faces: int = 14  # a pair of emotions
    pairs: tuple[tuple[str, str], ...] = PAIRS
    sentinels: int = SENTINELS
    strategy: Strategy = "gradient"


def identity_set(size: Size, seed: int, work: Path, progress: Progress) -> SampleSet:
    """All batches as one set."""
    from core.sampling.identity import generate_batch
    from core.sampling.panel import Panel

    configuration = IdentityConfiguration(seed=seed, generator=GENERATOR, strategy=size.strategy)
    made = []
    for batch in range(size.batches):
        own = progress.part(f"Batch {batch + 1} of {size.batches}", batch, size.batches)

        def make(batch: int = batch, own: Progress = own) -> SampleSet:
            return generate_batch(configuration, batch, own, panel=Panel.load(configuration))

        made.append(_piece(work / f"identity-{batch}", configuration, make))
    return joined(made)


def emotion_sets(size: Size, seed: int, work: Path, progress: Progress) -> list[SampleSet]:
    """One set a pair of emotions, by paper B's two stages."""
    from core.sampling.emotion.generate import generate

    made = []
    for place, (emotion1, emotion2) in enumerate(size.pairs):
        own = progress.part(f"{emotion1} and {emotion2}", place, len(size.pairs))
        configuration = EmotionConfiguration(emotion1, emotion2, count=size.faces, seed=seed, generator=GENERATOR)

        def make(configuration: EmotionConfiguration = configuration, own: Progress = own) -> SampleSet:
            return generate(configuration, own)

        made.append(_piece(work / f"emotion-{emotion1}-{emotion2}", configuration, make))
    return made


def sentinel_set(size: Size, beside: SampleSet, work: Path, progress: Progress) -> tuple[SampleSet | None, str]:
    """Attention checks for the emotion sets, and a sentence where they are fewer than wanted."""
    place = work / "sentinels"
    note = ""
    if not place.exists():
        made, note = made_sentinels(beside.emotion, size.sentinels, progress)
        if made is None:
            return None, note
        made.save(place)
    return SampleSet.load(place), note


def _piece(place: Path, configuration: IdentityConfiguration | EmotionConfiguration, make: Callable[[], SampleSet]) -> SampleSet:
    try:
        found = SampleSet.load(place)
        if found.configuration == configuration:
            return found
    except LiminalError:
        pass
    shutil.rmtree(place, ignore_errors=True)
    make().save(place)
    return SampleSet.load(place)
