"""A visitor's own face as a base: the photograph, the latent found for it, and all that is made from it.

Everything lies in one object that the session holds, and nothing else does: no file, no link, no log, no store that other sessions
share. Jobs write into it and forget it when they end. It leaves with the session, or when another face is chosen.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models import registry
from core.progress import Progress, Stage
from ui import caches, visitors
from ui.images import data_url
from ui.jobs import manager

if TYPE_CHECKING:
    from core.sampling.inversion import Inversion, InversionStep

SLOT = "own_face"
JOB = "own_face_job"
SAMPLE_JOBS = ("set_job", "walk_job")
"""Where the page that makes samples keeps its jobs."""
BASE = "your-photo"
"""Stands where a base of the gallery has its name."""
NEAREST = 48
"""Stored strangers that a search may start from: those whom the recogniser finds most alike."""


@dataclass(eq=False)
class OwnFace:
    """One photograph on its way into one generator. Equal to itself alone; no picture is part of its ``repr``."""

    upload: str  # the upload's own random name
    generator: str
    recogniser: str
    photo: NDArray[np.uint8] = field(repr=False)  # framed
    data: bytes | None = field(repr=False)  # the file, until it is framed for this generator
    found: Inversion | None = field(default=None, repr=False)
    latest: InversionStep | None = field(default=None, repr=False)
    events: list[Any] = field(default_factory=list, repr=False)  # of the samples that are being made
    results: dict[Any, Any] = field(default_factory=dict, repr=False)  # sample sets and walks by what was asked for
    seed: int | None = None
    sample: str | None = None  # the one that is looked at
    _addresses: dict[bytes, str] = field(default_factory=dict, repr=False)

    def address(self, image: NDArray[np.uint8]) -> str:
        """The picture itself as an address: nothing is kept outside the session."""
        key = hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).digest()
        if key not in self._addresses:
            self._addresses[key] = data_url(image)
        return self._addresses[key]


def encoded(picture: bytes) -> str:
    """An encoded WebP picture as an address."""
    return "data:image/webp;base64," + base64.b64encode(picture).decode()


def current() -> OwnFace | None:
    """The one of this session."""
    kept: OwnFace | None = st.session_state.get(SLOT)
    return kept


def forget() -> None:
    """Drop the photograph and all that was made from it, and stop what is being made."""
    if st.session_state.pop(SLOT, None) is None:
        return
    for slot in (JOB, *SAMPLE_JOBS):
        kept = st.session_state.pop(slot, None)
        job = manager().get(kept[1]) if kept is not None else None
        if job is not None and not job.finished:
            job.stop()


def take(upload: str, data: bytes, generator: str, recogniser: str) -> OwnFace:
    """The upload as this session's own face, read once. Raises LiminalError with what is wrong with the picture."""
    kept = current()
    if kept is not None and (kept.upload, kept.generator) == (upload, generator):
        return kept
    forget()
    from core.models.photos import read_photo

    own = OwnFace(upload, generator, recogniser, read_photo(data).image, data)
    st.session_state[SLOT] = own
    return own


def only_stages(own: OwnFace, progress: Progress) -> Progress:
    """A progress whose pictures go to ``own``; the server's list of jobs hears how far it is and nothing else."""

    def report(event: Any) -> None:
        if isinstance(event, Stage):
            progress.emit(event)
        else:
            own.events.append(event)

    return Progress(report, progress.cancel)


def finder(own: OwnFace) -> Callable[[Progress], None]:
    """The work of a job: the latent of the photograph, into ``own``. It returns nothing, so that the job keeps nothing."""

    def work(progress: Progress) -> None:
        progress.stage("Loading the networks", 0.0)
        from core.models.framing import frame_of
        from core.models.own.usable import usable
        from core.models.photos import FRAME, read_photo
        from core.sampling.inversion import InversionConfiguration, InversionStep, invert

        with visitors.privately():
            maker = registry.load(own.generator, "generator")
            frame = frame_of(maker, progress)
            if own.data is not None and not np.allclose(frame, FRAME):
                own.photo = read_photo(own.data, frame).image
            own.data = None

            def heard(event: Any) -> None:
                if isinstance(event, InversionStep):
                    if event.picture is not None:
                        own.latest = event
                else:
                    progress.emit(event)

            configuration = InversionConfiguration(generator=own.generator, judges=tuple(usable("recogniser", own.recogniser)))
            own.found = invert(own.photo, configuration, Progress(heard, progress.cancel), candidates=_alike(own))
            own.latest = None

    return work


def _alike(own: OwnFace) -> list[int] | None:
    """Seeds of the stored strangers nearest to the photograph; None where there are none, so that new ones are drawn."""
    from core.sampling.pictures import to_images

    try:
        people = caches.stored_strangers(own.generator)
        vector = registry.load(own.recogniser, "recogniser").embed(to_images(own.photo[None]))[0].cpu().numpy()
        apart = people.distances(vector, own.recogniser)
    except LiminalError:
        return None
    order = np.argsort(np.where(np.isfinite(apart), apart, np.inf), kind="stable")
    return [int(people.seeds[index]) for index in order[:NEAREST]]
