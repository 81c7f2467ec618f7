"""A visitor's photo: the upload, the latent found for it, what recognisers measure on it, and the owner of the phone (a photo
or a gallery face).

A photo and everything made from it lie in one object of the session and nowhere else: no file, no link, no log, no store that
other
sessions share. Jobs write into that object and keep nothing when they end. It leaves with the session, or when another face is
chosen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models import registry
from core.progress import Progress, Stage
from ui import cache, jobs, markup, progress
from ui.jobs import find_or_start_job, get_job_manager
from ui.pictures import asset_url, data_url

if TYPE_CHECKING:
    from core.sampling.inversion import Inversion, InversionStep


FACE_SLOT = "own_face"
FACE_JOB = "own_face_job"
SAMPLE_JOBS = ("set_job", "walk_job")
"""Where the page that makes samples keeps its jobs."""
PHOTO_BASE = "your-photo"
"""Stands where a base of the gallery has its name."""
NEAREST_STRANGERS = 48
"""Stored strangers that a search may start from: those whom the recogniser finds most alike."""


@dataclass(eq=False)
class VisitorFace:
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


def current_face() -> VisitorFace | None:
    """The one of this session."""
    kept: VisitorFace | None = st.session_state.get(FACE_SLOT)
    return kept


def forget_face() -> None:
    """Drop the photograph and all that was made from it, and stop what is being made."""
    if st.session_state.pop(FACE_SLOT, None) is None:
        return
    for slot in (FACE_JOB, *SAMPLE_JOBS):
        kept = st.session_state.pop(slot, None)
        job = get_job_manager().get(kept[1]) if kept is not None else None
        if job is not None and not job.finished:
            job.stop()


def read_face(upload: str, data: bytes, generator: str, recogniser: str) -> VisitorFace:
    """The upload as this session's own face, read once. Raises LiminalError with what is wrong with the picture."""
    kept = current_face()
    if kept is not None and (kept.upload, kept.generator) == (upload, generator):
        return kept
    forget_face()
    from core.models.photos import read_photo

    own = VisitorFace(upload, generator, recogniser, read_photo(data).image, data)
    st.session_state[FACE_SLOT] = own
    return own


def report_stages_only(own: VisitorFace, progress: Progress) -> Progress:
    """A progress whose pictures go to ``own``; the server's list of jobs hears how far it is and nothing else."""

    def report(event: Any) -> None:
        if isinstance(event, Stage):
            progress.emit(event)
        else:
            own.events.append(event)

    return Progress(report, progress.cancel)


def make_inversion_job(own: VisitorFace) -> Callable[[Progress], None]:
    """The work of a job: the latent of the photograph, into ``own``. It returns nothing, so that the job keeps nothing."""

    def work(progress: Progress) -> None:
        progress.stage("Loading the networks", 0.0)
        from core.models.framing import find_face_frame
        from core.models.photos import DEFAULT_FRAME, read_photo
        from core.models.registry import list_usable
        from core.sampling.inversion import InversionConfiguration, InversionStep, invert_photo

        with jobs.privately():
            maker = registry.load(own.generator, "generator")
            frame = find_face_frame(maker, progress)
            if own.data is not None and not np.allclose(frame, DEFAULT_FRAME):
                own.photo = read_photo(own.data, frame).image
            own.data = None

            def heard(event: Any) -> None:
                if isinstance(event, InversionStep):
                    if event.picture is not None:
                        own.latest = event
                else:
                    progress.emit(event)

            configuration = InversionConfiguration(generator=own.generator, judges=tuple(list_usable("recogniser", own.recogniser)))
            own.found = invert_photo(own.photo, configuration, Progress(heard, progress.cancel), candidates=_nearest_seeds(own))
            own.latest = None

    return work


def _nearest_seeds(own: VisitorFace) -> list[int] | None:
    """Seeds of the stored strangers nearest to the photograph; None where there are none, so that new ones are drawn."""
    from core.sampling.images import to_images

    try:
        people = cache.cached_population(own.generator)
        vector = registry.load(own.recogniser, "recogniser").embed(to_images(own.photo[None]))[0].cpu().numpy()
        apart = people.distances(vector, own.recogniser)
    except LiminalError:
        return None
    order = np.argsort(np.where(np.isfinite(apart), apart, np.inf), kind="stable")
    return [int(people.seeds[index]) for index in order[:NEAREST_STRANGERS]]


GALLERY, UPLOAD, CAMERA = "Pick a generated face", "Use my photo", "Use the camera"

PRIVACY_NOTE = (
    "The photo stays in this server's memory while this tab is open, and so does everything made from it. Nothing of it is written "
    "to disk, logged, sent anywhere or saved to the library, no link contains it, and it is gone when you choose a generated face, "
    "or a few minutes after you close the tab. Use your own face, or one whose owner said yes."
)


def choose_face_source(key: str) -> str:
    """Where the base comes from. Choosing a generated face forgets the photo."""
    chosen = st.segmented_control(
        "Whose face is the base?",
        [GALLERY, UPLOAD, CAMERA],
        default=GALLERY,
        required=True,
        wrap=True,
        key=key,
        label_visibility="collapsed",
    )
    if chosen == GALLERY:
        forget_face()
    return str(chosen)


def upload_face(chosen: str, generator: str, recogniser: str) -> VisitorFace | None:
    """Upload or camera, and the search; the own face once its latent was found."""
    if chosen == CAMERA:
        given = st.camera_input("Take a picture of one face, from the front", key="own-camera")
    else:
        given = st.file_uploader("A photo of one face, from the front", type=["jpg", "jpeg", "png", "webp"], key="own-photo")
    st.html(markup.caption_html(PRIVACY_NOTE))
    if given is None:
        forget_face()
        return None
    with st.spinner("Looking for the face"):
        own = read_face(given.file_id, given.getvalue(), generator, recogniser)
    if own.found is not None:
        return own
    _search_face(own)
    return None


def face_portrait_html() -> str:
    """The base as HTML: the face that was found, before that the photo, before that an empty frame."""
    own = current_face()
    if own is None:
        return '<div class="portrait-empty">Your picture will be here</div>'
    if own.found is None:
        return markup.portrait_html(
            own.address(own.photo), "Your photo, framed around the face", "You, framed. Kept in memory only."
        )
    return markup.portrait_html(
        own.address(own.found.picture), "The generated face nearest to your photo", "The base: the generated face nearest to you"
    )


def _search_face(own: VisitorFace) -> None:
    kept: tuple[VisitorFace, str] | None = st.session_state.get(FACE_JOB)
    job = get_job_manager().get(kept[1]) if kept is not None and kept[0] is own else None
    if job is None or (job.finished and job.status != "done"):
        if job is not None:
            progress.show_outcome(job)
        title = registry.find_entry(own.generator).title
        st.html(markup.caption_html(f"It must first be found among the faces that {title} can make. That takes about a minute."))
        if st.button("Find me in the generator", type="primary", key="find-own-face"):
            st.session_state.pop(FACE_JOB, None)
            find_or_start_job(FACE_JOB, own, "a face in a generator", make_inversion_job(own))
            st.rerun()
        return
    _watch_face_search(job.id)


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch_face_search(job_id: str) -> None:
    progress.poll_job(job_id)
    own = current_face()
    if own is not None and own.latest is not None and own.latest.picture is not None:
        caption = "The nearest generated face so far"
        with st.columns([2, 3])[0]:
            st.html(markup.portrait_html(data_url(own.latest.picture), caption, caption))


def show_likeness(own: VisitorFace) -> None:
    """How near it came: both faces, what recognisers say, how different they look."""
    from core.sampling.inversion import NOT_YOU, describe_verdict, list_facts  # its module loads torch

    assert own.found is not None
    found = own.found
    with st.expander("How near did it come?", expanded=True, key="likeness"):
        left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
        with left:
            nearest = (own.address(found.picture), "The nearest generated face")
            st.html(markup.pair_html((own.address(found.photo), "You, framed"), nearest))
        with right:
            st.html(markup.intro_html(describe_verdict(found)))
            st.html(markup.facts_html(list_facts(found)))
            st.html(markup.caption_html(f"{NOT_YOU} All that follows on this page is about that face."))


OWNER_SLOT = "photo_owner"


@dataclass(frozen=True)
class PhoneOwner:
    """The face that all others are compared with. ``descriptors`` by recogniser, NaN where it found no face."""

    identity: str
    title: str
    src: str
    descriptors: Mapping[str, NDArray[np.float32]] = field(repr=False)
    latent: NDArray[np.float32] | None = field(default=None, repr=False)  # None for a photo
    picture: NDArray[np.uint8] | None = field(default=None, repr=False)  # of a photo

    @property
    def is_photo(self) -> bool:
        return self.picture is not None

    def descriptor(self, recogniser: str) -> NDArray[np.float32]:
        """(D,). Raises LiminalError where the recogniser found no face."""
        vector = self.descriptors.get(recogniser)
        if vector is None:
            raise LiminalError(
                f"{registry.find_entry(recogniser).title} has not judged the faces shown here yet; prepare it on the page Models, or "
                "choose another recogniser."
            )
        if not np.isfinite(vector).all():
            raise LiminalError(f"{recogniser} found no face in this picture; choose another face or another recogniser.")
        return vector


def owner_from_gallery(generator: str, base_id: str | None) -> PhoneOwner:
    """The gallery's face of that id; the first one where the id is none of the gallery's."""
    gallery = cache.cached_gallery(generator)
    base = next((each for each in gallery.bases if each.base_id == base_id), gallery.bases[0])
    return PhoneOwner(
        identity=base.base_id,
        title=base.title,
        src=asset_url(base.image),
        descriptors={name: gallery.descriptor(base.base_id, name) for name in gallery.descriptors},
        latent=base.latent,
    )


def owner_from_photo(identity: str, data: bytes) -> PhoneOwner:
    """A user's photo: read once, framed, described; only the framed face is kept, in this session's memory.

    ``identity`` is the upload's own random name. Raises LiminalError with what is wrong with the picture.
    """
    kept: PhoneOwner | None = st.session_state.get(OWNER_SLOT)
    if kept is not None and kept.identity == identity:
        return kept
    from core.models.photos import read_photo
    from core.models.registry import list_usable
    from core.sampling.images import to_images

    photo = read_photo(data)
    image = to_images(photo.image[None])
    with jobs.privately():
        descriptors = {name: registry.load(name, "recogniser").embed(image)[0].numpy() for name in list_usable("recogniser")}
    owner = PhoneOwner(
        identity=identity,
        title="you",
        src=data_url(photo.image),
        descriptors=descriptors,
        picture=photo.image,
    )
    st.session_state[OWNER_SLOT] = owner
    return owner


def forget_owner_photo() -> None:
    """Drop the photo from this session's memory."""
    st.session_state.pop(OWNER_SLOT, None)
