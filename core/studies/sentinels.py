"""Attention checks for emotion studies: plain faces on which all classifiers agree above 0.9 (paper B, section III)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.emotion.configuration import EmotionConfiguration, ordered
from core.sampling.sample_set import SampleSet
from core.sampling.seeds import sample_seed
from core.studies.planning import SURE, agreed

if TYPE_CHECKING:
    from core.sampling.emotion.reference import Reference


def candidates(reference: Reference, classifiers: Sequence[str]) -> list[tuple[int, str]]:
    """(place in the reference population, emotion) of its unanimous faces; emotions take turns, so that a few cover many."""
    from scipy.special import softmax  # a rater is enrolled without SciPy

    p = np.stack([softmax(reference.of(name).astype(np.float64), axis=1) for name in classifiers])  # (classifiers, N, 6)
    emotions = agreed(p)
    turns: Counter[int] = Counter()
    found = []
    for place in np.flatnonzero(emotions >= 0):
        emotion = int(emotions[place])
        found.append((turns[emotion], emotion, int(place)))
        turns[emotion] += 1
    return [(place, EMOTIONS[emotion]) for _, emotion, place in sorted(found)]


def made_sentinels(
    configuration: EmotionConfiguration, count: int, progress: Progress | None = None
) -> tuple[SampleSet | None, str]:
    """Up to ``count`` unanimous faces as an emotion set of genuine samples (None: there are none); a sentence if they are fewer.

    configuration: of the set that they are shown with; its generator and classifiers are meant.
    """
    from core.sampling.emotion.reference import load_reference  # as above

    reference = load_reference(configuration.generator)
    known = candidates(reference, configuration.classifiers)
    emotions = Counter(emotion for _, emotion in known)
    named = ", ".join(f"{emotion} {number}" for emotion, number in emotions.items()) or "none"
    note = (
        ""
        if len(known) >= count
        else (
            f"Only {len(known)} of {count} attention checks can be had: among {len(reference):,} plain faces of "
            f"{configuration.generator} all classifiers agree above {SURE:g} on {named}."
        )
    )
    if not known:
        return None, note
    from core.sampling.bases import Base
    from core.sampling.emotion.generate import judged_bases
    from core.sampling.emotion.panel import EmotionPanel

    chosen = known[:count]
    first = chosen[0][1]
    pair = ordered(first, next(each for each in EMOTIONS if each != first))
    asked = EmotionConfiguration(
        *pair,
        count=len(chosen),
        seed=reference.seed,
        generator=configuration.generator,
        guided=False,
        steerer=configuration.steerer,
        judges=configuration.judges,
        recogniser=configuration.recogniser,
    )
    panel = EmotionPanel.load(asked)
    seeds = [sample_seed(reference.seed, "reference", place) for place, _ in chosen]
    latents = panel.generator.sample(seeds).numpy()
    bases = [Base(latent, seed) for latent, seed in zip(latents, seeds, strict=True)]
    return judged_bases(asked, bases, progress, panel=panel), note
