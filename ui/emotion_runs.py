"""Emotion samples and morphs made for the pages: the work of their jobs, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from core.errors import LiminalError
from core.progress import Progress, Stage
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.events import BaseShown, BoundaryMade, Denoising
from ui import caches
from ui.kept import Kept

if TYPE_CHECKING:
    from core.sampling.bases import Base
    from core.sampling.emotion.morph import Morph
    from core.sampling.sample_set import SampleSet

Way = list[tuple[float, float]]
"""Shares of the first and the second emotion, step by step."""


@dataclass
class Seen:
    """What the events of a run have shown so far, by sample."""

    base: BaseShown | None = None
    ways: dict[int, Way] = field(default_factory=dict)
    made: dict[int, BoundaryMade] = field(default_factory=dict)


def seen(events: Iterable[Any]) -> Seen:
    """Gather a run's events."""
    result = Seen()
    for event in events:
        if isinstance(event, BaseShown):
            result.base = result.base or event
        elif isinstance(event, Denoising):
            for offset, (first, second) in enumerate(np.asarray(event.shares)):
                result.ways.setdefault(event.first + offset, []).append((round(float(first), 3), round(float(second), 3)))
        elif isinstance(event, BoundaryMade):
            result.made[event.index] = event
    return result


@dataclass(frozen=True)
class Face:
    """One finished face: what was said of it, and its way over the map."""

    made: BoundaryMade
    way: Way


@dataclass(frozen=True)
class Run:
    """A finished sample set with the ways that its faces took."""

    made: SampleSet
    base: BaseShown
    faces: tuple[Face, ...]


@st.cache_resource(show_spinner=False)
def kept_runs() -> Kept:
    """Runs by configuration."""
    return Kept()


@st.cache_resource(show_spinner=False)
def kept_morphs() -> Kept:
    """Morphs by (configuration, frames)."""
    return Kept()


def _base(configuration: EmotionConfiguration) -> Base:
    from core.sampling.bases import Base

    found = caches.stored_gallery(configuration.generator).base(configuration.base or "")
    return Base(found.latent, found.seed)


def maker(configuration: EmotionConfiguration) -> Callable[[Progress], Run]:
    """The work of a job: a set of faces on the boundary, and the ways there."""

    def make(progress: Progress) -> Run:
        progress.stage("Loading the networks", 0.0)
        from core.sampling.emotion.generate import generate

        events: list[Any] = []

        def heard(event: Any) -> None:
            if not isinstance(event, Stage):
                events.append(event)
            progress.emit(event)

        made = generate(configuration, Progress(heard, progress.cancel), base=_base(configuration))
        gathered = seen(events)
        if gathered.base is None:
            raise LiminalError("The base of this run was never shown, so there is nothing to compare with; make the faces again.")
        return Run(made, gathered.base, _faces(gathered))

    def work(progress: Progress) -> Run:
        run: Run = kept_runs().once(configuration, lambda: make(progress), progress)
        return run

    return work


def _faces(gathered: Seen) -> tuple[Face, ...]:
    """The faces in order. Two ways that end in the very same picture are one face."""
    faces: dict[str, Face] = {}
    for index, event in sorted(gathered.made.items()):
        faces.setdefault(event.sample_id, Face(event, gathered.ways.get(index, [])))
    return tuple(faces.values())


def morpher(configuration: EmotionConfiguration, frames: int) -> Callable[[Progress], Morph]:
    """The work of a job: one row of faces from the first emotion to the second."""

    def work(progress: Progress) -> Morph:
        progress.stage("Loading the networks", 0.0)
        from core.sampling.emotion.morph import morph

        def make() -> Morph:
            return morph(configuration, frames, progress, base=_base(configuration))

        made: Morph = kept_morphs().once((configuration, frames), make, progress)
        return made

    return work
