"""The parts of the page 'Who could unlock my phone'."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from core.models import registry
from ui import caches, components, findings, owners, phone_findings, state, waiting, words
from ui.findings import Crowd
from ui.images import asset_url
from ui.owners import Owner
from ui.state import PhoneState

GALLERY, UPLOAD, CAMERA = "Pick a generated face", "Use a photo", "Use the camera"


def read_state(generator: str, recogniser: str) -> PhoneState:
    """The view that the address asks for."""
    return PhoneState(
        base=st.query_params.get("base"),
        generator=generator,
        recogniser=recogniser,
        threshold=state.read_number("threshold", 0.0, 2.0),
        stranger=state.read_whole("stranger", 0, 2**63 - 1),
    )


def choose_owner(view: PhoneState) -> Owner | None:
    """The owner's face, large, beside the ways to choose another; None while a photo is still to come."""
    with st.container(key="owner"):
        portrait, ways = st.columns([4, 9], gap="large")
        with ways:
            way = st.segmented_control(
                "Whose phone is it?",
                [GALLERY, UPLOAD, CAMERA],
                default=GALLERY,
                required=True,
                wrap=True,
                key="way",
                label_visibility="collapsed",
            )
            owner = _from_gallery(view) if way == GALLERY else _from_photo(camera=way == CAMERA)
        with portrait:
            if owner is None:
                st.html('<div class="portrait-empty">Your picture will be here</div>')
            else:
                caption = "You, framed. Kept in memory only." if owner.is_photo else f"The owner: {owner.title}"
                st.html(
                    words.portrait(
                        owner.src,
                        "Your photo, framed around the face" if owner.is_photo else f"The owner, a generated face: {owner.title}",
                        caption,
                    )
                )
    return owner


def _from_gallery(view: PhoneState) -> Owner:
    owners.forget_photo()
    gallery = caches.stored_gallery(view.generator)
    owner = owners.from_gallery(view.generator, view.base)
    components.gallery(gallery, owner.identity, on_pick=_pick_base)
    st.html(
        words.fine(
            f"{len(gallery.bases)} generated people, chosen so that every recogniser finds a face in them. Nobody here exists."
        )
    )
    return owner


def _from_photo(*, camera: bool) -> Owner | None:
    if camera:
        given = st.camera_input("Take a picture of one face, from the front", key="camera")
    else:
        given = st.file_uploader("A photo of one face, from the front", type=["jpg", "jpeg", "png", "webp"], key="photo")
    st.html(
        words.fine(
            "The photo stays in this server's memory while this tab is open. It is never written to disk, logged or sent anywhere, "
            "and it is gone when you choose a generated face, or a few minutes after you close the tab. Use your own face, or one "
            "whose owner said yes."
        )
    )
    if given is None:
        owners.forget_photo()
        return None
    with waiting.spinner("Looking for the face"):
        return owners.from_photo(given.file_id, given.getvalue())


def _pick_base(base_id: str) -> None:
    st.query_params["base"] = base_id


def _set_threshold(value: float) -> None:
    st.query_params["threshold"] = f"{value:g}"


def _pick_stranger(seed: str) -> None:
    st.query_params["stranger"] = seed


def _forget_stranger() -> None:
    st.query_params.pop("stranger", None)


def show_wall(view: PhoneState, owner: Owner) -> None:
    """Everybody's verdict under a limit that can be dragged."""
    people = findings.crowd(caches.stored_strangers(view.generator, view.recogniser), owner, view.recogniser)
    limits = caches.stored_thresholds(view.generator, view.recogniser)
    title = registry.entry(view.recogniser).title
    marks = [components.Mark(round(limits.default, 3), "as delivered")]
    marks += [components.Mark(round(each.distance, 3), f"lets {words.one_in(each.rate)} in") for each in limits.calibrated]
    wall = sorted(
        (
            components.WallFace(str(face.seed), asset_url(face.image), float(people.lead[face.index]))
            for face in people.strangers.wall
            if math.isfinite(people.lead[face.index])
        ),
        key=lambda face: face.distance,
    )
    known = people.lead[np.isfinite(people.lead)]
    missing = len(people.lead) - len(known)
    components.judge(
        identity=f"{view.generator}-{view.recogniser}-{owner.identity}",
        distances=known.tolist(),
        wall=wall,
        threshold=phone_findings.threshold_of(view),
        bounds=findings.bounds(people.lead, [mark.value for mark in marks]),
        marks=marks,
        recogniser=title,
        source=f"{len(people.lead):,} random faces of {registry.entry(view.generator).title}, judged by {title}"
        + (f"; in {missing:,} of them it found no face" if missing else ""),
        note=f"{len(wall)} of them are on the wall, the most alike first",
        key="judge",
        on_threshold=_set_threshold,
        on_pick=_pick_stranger,
    )
    with st.expander("Why are there several limits?"):
        st.markdown(
            f"{limits.explanation}\n\n"
            + "\n".join(
                f"- **{each.distance:.2f}** lets {words.one_in(each.rate)} generated strangers in (95 % interval "
                f"{each.low:.2f} to {each.high:.2f}; {limits.pairs:,} pairs of {limits.strangers - limits.no_face:,} people)."
                for each in limits.calibrated
            )
            + f"\n- **{limits.default:.2f}** is how {title} is delivered: {limits.default_source}. It lets "
            f"{words.percent(limits.default_acceptance.share)} of generated pairs in "
            f"(95 % interval {words.percent(limits.default_acceptance.low)} to {words.percent(limits.default_acceptance.high)})."
        )
    if view.stranger is not None and view.stranger in people.strangers.seeds:
        _stranger_dialog(view, owner, people)


@st.dialog("One stranger", width="medium", on_dismiss=_forget_stranger)
def _stranger_dialog(view: PhoneState, owner: Owner, people: Crowd) -> None:
    index = int(np.flatnonzero(people.strangers.seeds == view.stranger)[0])
    name = "You" if owner.is_photo else "The owner"
    address = phone_findings.picture_of(view, people, index)
    if address is not None:
        st.html(words.pair((owner.src, name), (address, "The stranger")) + phone_findings.opinions(view, people, index))
    st.html(words.fine(f"Seed {view.stranger} of {registry.entry(view.generator).title}."))
