"""Emotion samples and morphs made for the pages: the jobs, their cached results, and the classifiers' verdicts in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from core.analysis.emotion_tables import MIN_SHARE_EACH
from core.errors import LiminalError
from core.figures.theme import format_percent
from core.lazy_import import lazy_import
from core.models import registry
from core.models.emotions import EMOTIONS
from core.progress import Progress, Stage
from core.sampling.bases import Base
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.events import BaseShown, BoundarySampleMade, ClassifierScores, DenoisingStep
from ui import bases, markup
from ui.cache import SharedResultCache
from ui.components import MapPosition

if TYPE_CHECKING:
    from core.sampling.emotion import generate, morph
    from core.sampling.emotion.morph import EmotionMorph
    from core.sampling.sample_set import SampleSet
else:  # PyTorch
    generate, morph = lazy_import("core.sampling.emotion.generate"), lazy_import("core.sampling.emotion.morph")


def name_classifier(classifier: str, configuration: EmotionConfiguration) -> str:
    """'Small CNN, which did not steer'; of faces that nobody steered the title alone."""
    title = registry.find_entry(classifier).title
    return f"{title}, which {configuration.describe_role(classifier)}" if configuration.guided else title


def describe_verdict(sample: BoundarySampleMade, configuration: EmotionConfiguration, classifier: str) -> str:
    """Whether a face passed the filter of one classifier, and why, in words.

    The filter asks whether the logits of both emotions are raised. A face that passes could be either where the map says so too:
    where both shares reach MIN_SHARE_EACH.
    """
    first, second = sample.above[classifier]
    if sample.passed[classifier]:
        p1, p2 = map_position(sample.opinions[classifier], configuration)
        if min(p1, p2) >= MIN_SHARE_EACH:
            return "could be either"
        if max(p1, p2) >= MIN_SHARE_EACH:
            return f"both raised, mostly {configuration.emotion1 if p1 > p2 else configuration.emotion2}"
        return "both raised, another feeling stronger"
    if first or second:
        return f"not enough {configuration.emotion2 if first else configuration.emotion1}"
    return f"too little of both {configuration.emotion1} and {configuration.emotion2}"


def strongest_emotion(opinion: ClassifierScores) -> str:
    """The emotion that a network finds most likely."""
    return EMOTIONS[max(range(len(EMOTIONS)), key=lambda index: opinion.calibrated[index])]


def map_position(opinion: ClassifierScores, configuration: EmotionConfiguration) -> MapPosition:
    """A face's position on the map: its calibrated shares of both emotions."""
    first, second = configuration.pair
    return opinion.calibrated[first], opinion.calibrated[second]


def describe_shares(position: MapPosition, configuration: EmotionConfiguration) -> str:
    """'fear 41 %, surprise 44 %'."""
    return ", ".join(
        f"{emotion} {format_percent(share)}"
        for emotion, share in zip((configuration.emotion1, configuration.emotion2), position, strict=True)
    )


def describe_similarity(distance: float, threshold: float, recogniser: str) -> str:
    """How far a face is from its base, in words."""
    title = registry.find_entry(recogniser).title
    if not math.isfinite(distance):
        return f"{title} found no face in it"
    measured = f"distance {markup.format_distance(distance, threshold)}, limit {markup.format_limit(threshold)}"
    return (
        f"{title} still takes them for the same person: {measured}"
        if distance < threshold
        else f"{title} takes them for two people: {measured}"
    )


EmotionPath = list[tuple[float, float]]
"""Shares of the first and the second emotion, step by step."""


@dataclass
class RunEvents:
    """The base, and by index the paths and the finished faces that the events of a run have told so far."""

    base: BaseShown | None = None
    paths: dict[int, EmotionPath] = field(default_factory=dict)
    faces: dict[int, BoundarySampleMade] = field(default_factory=dict)


def gather_events(events: Iterable[Any]) -> RunEvents:
    """What a run's events tell so far."""
    result = RunEvents()
    for event in events:
        if isinstance(event, BaseShown):
            result.base = result.base or event
        elif isinstance(event, DenoisingStep):
            for offset, (first, second) in enumerate(np.asarray(event.shares)):
                result.paths.setdefault(event.first + offset, []).append((round(float(first), 3), round(float(second), 3)))
        elif isinstance(event, BoundarySampleMade):
            result.faces[event.index] = event
    return result


@dataclass(frozen=True)
class EmotionFace:
    """One finished face with its scores, and its path over the map."""

    sample: BoundarySampleMade
    path: EmotionPath


@dataclass(frozen=True)
class EmotionRun:
    """A finished sample set with the paths of its faces."""

    sample_set: SampleSet
    base: BaseShown
    faces: tuple[EmotionFace, ...]


@st.cache_resource(show_spinner=False)
def cached_runs() -> SharedResultCache:
    """Runs by configuration."""
    return SharedResultCache()


@st.cache_resource(show_spinner=False)
def cached_morphs() -> SharedResultCache:
    """Morphs by (configuration, frames)."""
    return SharedResultCache()


def load_base(configuration: EmotionConfiguration) -> Base:
    """The base that a page's configuration names: of the gallery, or a face that was made from one."""
    base = bases.find_base(configuration.generator, configuration.base)
    return Base(base.latent, base.seed)


def record_events(progress: Progress) -> tuple[list[Any], Progress]:
    """A list that fills with the events of some work, and the progress to give to it, which passes them on."""
    events: list[Any] = []

    def record(event: Any) -> None:
        if not isinstance(event, Stage):
            events.append(event)
        progress.emit(event)

    return events, Progress(record, progress.cancel)


def make_run_job(configuration: EmotionConfiguration) -> Callable[[Progress], EmotionRun]:
    """The work of a job: a set of faces on the boundary, and their paths."""

    def make(progress: Progress) -> EmotionRun:
        progress.stage("Loading the networks", 0.0)
        events, recorded = record_events(progress)
        sample_set = generate.generate_emotion_set(configuration, recorded, base=load_base(configuration))
        run_events = gather_events(events)
        if run_events.base is None:
            raise LiminalError("The base of this run was never shown, so there is nothing to compare with; make the faces again.")
        return EmotionRun(sample_set, run_events.base, _gather_faces(run_events))

    def work(progress: Progress) -> EmotionRun:
        run: EmotionRun = cached_runs().get_or_compute(configuration, lambda: make(progress), progress)
        return run

    return work


def _gather_faces(run_events: RunEvents) -> tuple[EmotionFace, ...]:
    """The faces in order. Two paths that end in the very same picture are one face."""
    faces: dict[str, EmotionFace] = {}
    for index, event in sorted(run_events.faces.items()):
        faces.setdefault(event.sample_id, EmotionFace(event, run_events.paths.get(index, [])))
    return tuple(faces.values())


def make_morph_job(configuration: EmotionConfiguration, frames: int) -> Callable[[Progress], EmotionMorph]:
    """The work of a job: one row of faces from the first emotion to the second."""

    def work(progress: Progress) -> EmotionMorph:
        progress.stage("Loading the networks", 0.0)

        def make() -> EmotionMorph:
            return morph.make_morph(configuration, frames, progress, base=load_base(configuration))

        row: EmotionMorph = cached_morphs().get_or_compute((configuration, frames), make, progress)
        return row

    return work


def choose_network(label: str, configuration: EmotionConfiguration, key: str) -> str:
    """A widget for one of the networks that judge, the one that steers first."""
    return st.segmented_control(
        label,
        configuration.classifiers,
        format_func=lambda name: registry.find_entry(name).title,
        default=configuration.steerer,
        required=True,
        wrap=True,
        key=key,
    )
