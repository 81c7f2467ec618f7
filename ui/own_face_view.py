"""A visitor's own face on the page: the upload, the search for it in a generator, and how near it came."""

from __future__ import annotations

import streamlit as st

from core.models import registry
from ui import own_face, progress, words
from ui.images import data_url
from ui.jobs import job_for, manager
from ui.own_face import OwnFace

GALLERY, UPLOAD, CAMERA = "Pick a generated face", "Use my photo", "Use the camera"

PRIVACY = (
    "The photo stays in this server's memory while this tab is open, and so does everything made from it. Nothing of it is written "
    "to disk, logged, sent anywhere or saved to the library, no link contains it, and it is gone when you choose a generated face, "
    "or a few minutes after you close the tab. Use your own face, or one whose owner said yes."
)


def way(key: str) -> str:
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
        own_face.forget()
    return str(chosen)


def choose(chosen: str, generator: str, recogniser: str) -> OwnFace | None:
    """Upload or camera, and the search; the own face once its latent was found."""
    if chosen == CAMERA:
        given = st.camera_input("Take a picture of one face, from the front", key="own-camera")
    else:
        given = st.file_uploader("A photo of one face, from the front", type=["jpg", "jpeg", "png", "webp"], key="own-photo")
    st.html(words.fine(PRIVACY))
    if given is None:
        own_face.forget()
        return None
    with st.spinner("Looking for the face"):
        own = own_face.take(given.file_id, given.getvalue(), generator, recogniser)
    if own.found is not None:
        return own
    _search(own)
    return None


def portrait() -> str:
    """The base as HTML: the face that was found, before that the photo, before that an empty frame."""
    own = own_face.current()
    if own is None:
        return '<div class="portrait-empty">Your picture will be here</div>'
    if own.found is None:
        return words.portrait(own.address(own.photo), "Your photo, framed around the face", "You, framed. Kept in memory only.")
    return words.portrait(
        own.address(own.found.picture), "The generated face nearest to your photo", "The base: the generated face nearest to you"
    )


def _search(own: OwnFace) -> None:
    kept: tuple[OwnFace, str] | None = st.session_state.get(own_face.JOB)
    job = manager().get(kept[1]) if kept is not None and kept[0] is own else None
    if job is None or (job.finished and job.status != "done"):
        if job is not None:
            progress.outcome(job)
        title = registry.entry(own.generator).title
        st.html(words.fine(f"It must first be found among the faces that {title} can make. That takes about a minute."))
        if st.button("Find me in the generator", type="primary", key="find-own-face"):
            st.session_state.pop(own_face.JOB, None)
            job_for(own_face.JOB, own, "a face in a generator", own_face.finder(own))
            st.rerun()
        return
    _watch(job.id)


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch(job_id: str) -> None:
    progress.tick(job_id)
    own = own_face.current()
    if own is not None and own.latest is not None and own.latest.picture is not None:
        caption = "The nearest generated face so far"
        with st.columns([2, 3])[0]:
            st.html(words.portrait(data_url(own.latest.picture), caption, caption))


def show_likeness(own: OwnFace) -> None:
    """How near it came: both faces, what recognisers say, how different they look."""
    from core.sampling.inversion_words import NOT_YOU, facts, verdict  # its module loads torch

    assert own.found is not None
    found = own.found
    with st.expander("How near did it come?", expanded=True, key="likeness"):
        left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
        with left:
            nearest = (own.address(found.picture), "The nearest generated face")
            st.html(words.pair((own.address(found.photo), "You, framed"), nearest))
        with right:
            st.html(words.lead(verdict(found)))
            st.html(words.facts(facts(found)))
            st.html(words.fine(f"{NOT_YOU} All that follows on this page is about that face."))
