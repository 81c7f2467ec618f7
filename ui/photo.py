"""A visitor's photo: the upload, the latent found for it, what recognisers measure on it, and the owner of the phone.

A photo and everything made from it lie in one object of the session and nowhere else: no file, no link, no log, no store that
other sessions share. Jobs write into that object and keep nothing when they end (``make_private_work``). It leaves with the
session, or when a generated face is chosen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models import photos, registry
from core.progress import Progress, Stage
from core.sampling.images import decode_webp, to_images
from ui import bases, cache, jobs, markup, progress
from ui.jobs import find_or_start_job, get_job_manager
from ui.pictures import asset_url, data_url

if TYPE_CHECKING:
    from core.sampling.inversion import Inversion, InversionStep


PHOTO_SLOT = "own_face"
INVERSION_JOB, SET_JOB, STRIP_JOB, IMPOSTOR_JOB = "own_face_job", "set_job", "walk_job", "double_job"
"""Where the session keeps its jobs that may work on a photo."""
PHOTO_BASE = "your-photo"
"""Stands where a base of the gallery has its id."""
NEAREST_STRANGERS = 48
"""Stored strangers that the inversion may start from: those whom the recogniser finds most alike."""


@dataclass(eq=False)
class VisitorPhoto:
    """One photo of this session and all that was made from it. Equal to itself alone; no picture is part of its ``repr``.

    generator, recogniser: where its nearest generated face is looked for, and by whom; '' where none is, as on the phone's page.
    """

    upload: str  # the upload's own random id
    image: NDArray[np.uint8] = field(repr=False)  # framed around the face
    generator: str = ""
    recogniser: str = ""
    data: bytes | None = field(default=None, repr=False)  # the file, until it is framed as the generator frames faces
    inversion: Inversion | None = field(default=None, repr=False)
    latest_step: InversionStep | None = field(default=None, repr=False)
    events: dict[Any, list[Any]] = field(default_factory=dict, repr=False)  # of running jobs, by what was asked for
    results: dict[Any, Any] = field(default_factory=dict, repr=False)  # of finished jobs, by what was asked for
    seed: int | None = None  # of the samples that were asked for
    sample: str | None = None  # the sample that is open
    _descriptors: dict[str, NDArray[np.float32]] = field(default_factory=dict, repr=False)
    _addresses: dict[bytes, str] = field(default_factory=dict, repr=False)

    def address(self, image: NDArray[np.uint8]) -> str:
        """The picture itself as an address: nothing is kept outside the session."""
        key = hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=16).digest()
        if key not in self._addresses:
            self._addresses[key] = data_url(image)
        return self._addresses[key]

    def descriptors(self) -> Mapping[str, NDArray[np.float32]]:
        """The photo's descriptor (D,) by every usable recogniser, NaN where it found no face; measured once."""
        missing = [name for name in registry.list_usable("recogniser") if name not in self._descriptors]
        if missing:
            image = to_images(self.image[None])
            with jobs.privately():
                self._descriptors |= {name: registry.load(name, "recogniser").embed(image)[0].numpy() for name in missing}
        return self._descriptors


def current_photo() -> VisitorPhoto | None:
    """The photo of this session."""
    photo: VisitorPhoto | None = st.session_state.get(PHOTO_SLOT)
    return photo


def forget_photo() -> None:
    """Drop the photo and all that was made from it, and stop what is being made."""
    if st.session_state.pop(PHOTO_SLOT, None) is None:
        return
    for slot in (INVERSION_JOB, SET_JOB, STRIP_JOB, IMPOSTOR_JOB):
        stored = st.session_state.pop(slot, None)
        job = get_job_manager().get(stored[1]) if stored is not None else None
        if job is not None and not job.finished:
            job.stop()


def open_photo(upload: str, data: bytes, generator: str = "", recogniser: str = "") -> VisitorPhoto:
    """The upload as this session's photo, read once. Raises LiminalError with what is wrong with the picture.

    upload: its own random id. With a generator the file is kept until it is framed as the generator frames faces.
    """
    current = current_photo()
    if current is not None and (current.upload, current.generator) == (upload, generator):
        return current
    forget_photo()
    photo = VisitorPhoto(upload, photos.read_photo(data).image, generator, recogniser, data if generator else None)
    st.session_state[PHOTO_SLOT] = photo
    return photo


def make_private_work(photo: VisitorPhoto, key: Any, make: Callable[[Progress], Any]) -> Callable[[Progress], None]:
    """The work of a job on a photo: what ``make`` returns goes to ``photo.results[key]``, its pictures to ``photo.events[key]``.

    The job itself, which the server's list holds, hears how far the work is and nothing else, and has no result.
    """

    def work(progress: Progress) -> None:
        events = photo.events[key] = []

        def report(event: Any) -> None:
            if isinstance(event, Stage):
                progress.emit(event)
            else:
                events.append(event)

        try:
            with jobs.privately():
                photo.results[key] = make(Progress(report, progress.cancel))
        finally:
            photo.events.pop(key, None)

    return work


def make_inversion_job(photo: VisitorPhoto) -> Callable[[Progress], None]:
    """The work of a job: find the latent nearest to the photo, into ``photo.inversion``. The job keeps nothing."""

    def work(progress: Progress) -> None:
        progress.stage("Loading the networks", 0.0)
        from core.models.framing import find_face_frame  # PyTorch
        from core.sampling.inversion import InversionConfiguration, InversionStep, invert_photo  # PyTorch

        with jobs.privately():
            frame = find_face_frame(registry.load(photo.generator, "generator"), progress)
            if photo.data is not None and not np.allclose(frame, photos.DEFAULT_FRAME):
                photo.image = photos.read_photo(photo.data, frame).image
            photo.data = None

            def report(event: Any) -> None:
                if isinstance(event, InversionStep):
                    if event.picture is not None:
                        photo.latest_step = event
                else:
                    progress.emit(event)

            judges = tuple(registry.list_usable("recogniser", photo.recogniser))
            configuration = InversionConfiguration(generator=photo.generator, judges=judges)
            heard = Progress(report, progress.cancel)
            photo.inversion = invert_photo(photo.image, configuration, heard, candidates=_nearest_seeds(photo))
            photo.latest_step = None

    return work


def _nearest_seeds(photo: VisitorPhoto) -> list[int] | None:
    """Seeds of the stored strangers nearest to the photo; None where none are stored, so that new ones are drawn."""
    try:
        people = cache.cached_population(photo.generator)
        vector = registry.load(photo.recogniser, "recogniser").embed(to_images(photo.image[None]))[0].cpu().numpy()
        distances = people.distances(vector, photo.recogniser)
    except LiminalError:
        return None
    order = np.argsort(np.where(np.isfinite(distances), distances, np.inf), kind="stable")
    return [int(people.seeds[index]) for index in order[:NEAREST_STRANGERS]]


GALLERY, UPLOAD, CAMERA = "Pick a generated face", "Use a photo", "Use the camera"

PRIVACY_NOTE = (
    "The photo stays in this server's memory while this tab is open, and so does everything made from it. Nothing of it is written "
    "to disk, logged, sent anywhere or saved to the library, no link contains it, and it is gone when you choose a generated face, "
    "or a few minutes after you close the tab. Use your own face, or one whose owner said yes."
)


def choose_face_source(question: str, key: str) -> str:
    """GALLERY, UPLOAD or CAMERA. Choosing a generated face drops the photo. question: for screen readers."""
    source = st.segmented_control(
        question,
        [GALLERY, UPLOAD, CAMERA],
        default=GALLERY,
        required=True,
        wrap=True,
        key=key,
        label_visibility="collapsed",
    )
    if source == GALLERY:
        forget_photo()
    return str(source)


def upload_photo(source: str, prefix: str = "", generator: str = "", recogniser: str = "") -> VisitorPhoto | None:
    """The upload or the camera, with the note on privacy; the photo once there is one.

    prefix: of the widgets' keys. generator, recogniser: of ``open_photo``.
    """
    if source == CAMERA:
        upload = st.camera_input("Take a picture of one face, from the front", key=f"{prefix}camera")
    else:
        upload = st.file_uploader("A photo of one face, from the front", type=["jpg", "jpeg", "png", "webp"], key=f"{prefix}photo")
    st.html(markup.caption_html(PRIVACY_NOTE))
    if upload is None:
        forget_photo()
        return None
    with progress.queue_spinner("Looking for the face"):
        return open_photo(upload.file_id, upload.getvalue(), generator, recogniser)


def photo_portrait_html() -> str:
    """One large picture as HTML: the generated face that was found, before that the photo, before that an empty frame."""
    photo = current_photo()
    if photo is None:
        return '<div class="portrait-empty">Your picture will be here</div>'
    if photo.inversion is None:
        return markup.portrait_html(
            photo.address(photo.image), "Your photo, framed around the face", "You, framed. Kept in memory only."
        )
    return markup.portrait_html(
        photo.address(photo.inversion.picture),
        "The generated face nearest to your photo",
        "The base: the generated face nearest to you",
    )


def find_generated_face(photo: VisitorPhoto) -> bool:
    """Whether the generated face nearest to the photo is there; else the button that starts the search, or how far it is."""
    if photo.inversion is not None:
        return True
    stored: tuple[VisitorPhoto, str] | None = st.session_state.get(INVERSION_JOB)
    job = get_job_manager().get(stored[1]) if stored is not None and stored[0] is photo else None
    if job is not None and (not job.finished or job.status == "done"):
        _watch_inversion(job.id)
        return False
    if job is not None:
        progress.show_outcome(job)
    title = registry.find_entry(photo.generator).title
    st.html(markup.caption_html(f"It must first be found among the faces that {title} can make. That takes about a minute."))
    if st.button("Find me in the generator", type="primary", key="find-own-face"):
        st.session_state.pop(INVERSION_JOB, None)
        find_or_start_job(INVERSION_JOB, photo, "a face in a generator", make_inversion_job(photo))
        st.rerun()
    return False


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch_inversion(job_id: str) -> None:
    progress.poll_job(job_id)
    photo = current_photo()
    if photo is not None and photo.latest_step is not None and photo.latest_step.picture is not None:
        caption = "The nearest generated face so far"
        with st.columns([2, 3])[0]:
            st.html(markup.portrait_html(data_url(photo.latest_step.picture), caption, caption))


def show_likeness(photo: VisitorPhoto) -> None:
    """How near the generated face came: both faces, what recognisers say, how different they look."""
    from core.sampling.inversion import NOT_YOU, describe_verdict, list_facts  # PyTorch

    inversion = photo.inversion
    assert inversion is not None
    with st.expander("How near did it come?", expanded=True, key="likeness"):
        left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
        with left:
            nearest = (photo.address(inversion.picture), "The nearest generated face")
            st.html(markup.pair_html((photo.address(inversion.photo), "You, framed"), nearest))
        with right:
            st.html(markup.intro_html(describe_verdict(inversion)))
            st.html(markup.facts_html(list_facts(inversion)))
            st.html(markup.caption_html(f"{NOT_YOU} All that follows on this page is about that face."))


@dataclass(frozen=True)
class PhoneOwner:
    """The face that all others are compared with. ``descriptors`` by recogniser, NaN where it found no face."""

    identity: str
    title: str
    src: str
    descriptors: Mapping[str, NDArray[np.float32]] = field(repr=False)
    latent: NDArray[np.float32] | None = field(default=None, repr=False)  # None for a photo
    photo: VisitorPhoto | None = field(default=None, repr=False)  # None for a face of the gallery
    file: Path | None = field(default=None, repr=False)  # of a face of the gallery
    others: Mapping[str, NDArray[np.float32]] = field(default_factory=dict, repr=False)
    """By recogniser: distances to the same person in other scenes, NaN where no face was found; where the generator knows."""

    def picture(self) -> NDArray[np.uint8]:
        """The face itself (H, W, 3)."""
        if self.photo is not None:
            return self.photo.image
        assert self.file is not None
        return decode_webp(self.file)

    def genuine_distances(self, recogniser: str) -> list[float]:
        """Distances to the same person in other scenes in which a face was found; none where they are not known."""
        distances = self.others.get(recogniser, np.empty(0, np.float32))
        return [float(distance) for distance in distances[np.isfinite(distances)]]

    def descriptor(self, recogniser: str) -> NDArray[np.float32]:
        """(D,). Raises LiminalError where the recogniser found no face."""
        vector = self.descriptors.get(recogniser)
        if vector is None:
            raise LiminalError(
                f"{registry.find_entry(recogniser).title} has not judged the faces shown here yet; prepare it on the page Models, "
                "or choose another recogniser."
            )
        if not np.isfinite(vector).all():
            raise LiminalError(f"{recogniser} found no face in this picture; choose another face or another recogniser.")
        return vector


def owner_from_gallery(generator: str, base_id: str | None) -> PhoneOwner:
    """The gallery's face of that id; the first one where the id is none of the gallery's."""
    gallery = cache.cached_gallery(generator)
    person = bases.short_name(base_id or "")  # a face that was made from one of the gallery is that person
    base = next((base for base in gallery.bases if base.base_id == person), gallery.bases[0])
    return PhoneOwner(
        identity=base.base_id,
        title=base.title,
        src=asset_url(base.image),
        descriptors={name: gallery.descriptor(base.base_id, name) for name in gallery.descriptors},
        latent=base.latent,
        file=base.image,
        others={name: rows[gallery.index(base.base_id)] for name, rows in gallery.genuine_distances.items()},
    )


def owner_from_photo(photo: VisitorPhoto) -> PhoneOwner:
    """The visitor's photo as the owner, measured by every recogniser. Networks run in this thread, the first time."""
    return PhoneOwner(photo.upload, "you", photo.address(photo.image), photo.descriptors(), photo=photo)
