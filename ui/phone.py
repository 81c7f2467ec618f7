"""The parts of the page 'Who could unlock my phone'."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st

from core.models import registry
from ui import caches, components, doubles, findings, owners, progress, state, words
from ui.findings import Crowd
from ui.images import asset_url, face_url, picture_url
from ui.jobs import manager
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


def threshold_of(view: PhoneState) -> float:
    """The limit in force: the address's, else the recogniser's default."""
    return view.threshold if view.threshold is not None else caches.stored_thresholds(view.generator, view.recogniser).default


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
                key="way",
                label_visibility="collapsed",
            )
            owner = _from_gallery(view) if way == GALLERY else _from_photo(camera=way == CAMERA)
        with portrait:
            if owner is None:
                st.html('<div class="portrait-empty">Your picture will be here</div>')
            else:
                caption = "You. Only this frame is kept, and only in memory." if owner.is_photo else f"The owner: {owner.title}"
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
            "and it is gone when you close the tab or choose a generated face. Use your own face, or one whose owner said yes."
        )
    )
    if given is None:
        owners.forget_photo()
        return None
    with st.spinner("Looking for the face"):
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
    people = findings.crowd(caches.stored_strangers(view.generator), owner, view.recogniser)
    limits = caches.stored_thresholds(view.generator, view.recogniser)
    title = registry.entry(view.recogniser).title
    marks = [components.Mark(round(limits.default, 3), "as delivered")]
    marks += [components.Mark(round(each.distance, 3), f"lets {words.one_in(each.rate)} in") for each in limits.calibrated]
    wall = sorted(
        (
            components.WallFace(str(face.seed), asset_url(face.image), round(float(people.lead[face.index]), 4))
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
        threshold=round(threshold_of(view), 3),
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


def _opinions(view: PhoneState, people: Crowd, index: int) -> str:
    rows = []
    for name in [view.recogniser, *people.others]:
        limit = threshold_of(view) if name == view.recogniser else caches.stored_thresholds(view.generator, name).default
        rows.append(words.Opinion(registry.entry(name).title, float(people.distances[name][index]), limit))
    return words.opinions(rows)


def _picture_of(view: PhoneState, people: Crowd, index: int) -> str:
    for face in people.strangers.wall:
        if face.index == index:
            return asset_url(face.image)
    return picture_url(caches.stranger_picture(view.generator, int(people.strangers.seeds[index])))


@st.dialog("One stranger", width="medium", on_dismiss=_forget_stranger)
def _stranger_dialog(view: PhoneState, owner: Owner, people: Crowd) -> None:
    index = int(np.flatnonzero(people.strangers.seeds == view.stranger)[0])
    name = "You" if owner.is_photo else "The owner"
    st.html(words.pair((owner.src, name), (_picture_of(view, people, index), "The stranger")) + _opinions(view, people, index))
    st.html(words.fine(f"Seed {view.stranger} of {registry.entry(view.generator).title}."))


def show_findings(view: PhoneState, owner: Owner) -> None:
    """What stands out: who gets in without looking alike, what locks the owner out, and whether the other recogniser agrees."""
    people = findings.crowd(caches.stored_strangers(view.generator), owner, view.recogniser)
    limit = threshold_of(view)
    st.space("medium")
    left, right = st.columns(2, gap="large")
    with left:
        _show_least_alike(view, owner, people, limit)
    with right:
        if owner.is_photo:
            _show_agreement(view, people, limit)
        else:
            st.header("The smallest change that locks the owner out", anchor=False)
    if owner.is_photo:
        _show_search(view, owner, people, limit)
    else:
        _show_agreement(view, people, limit)


def _show_least_alike(view: PhoneState, owner: Owner, people: Crowd, limit: float) -> None:
    index = people.least_alike(limit)
    nobody = index is None
    st.header("Nobody gets in; this one came nearest" if nobody else "Gets in, and looks least like the owner", anchor=False)
    shown = people.nearest() if index is None else index
    name = "You" if owner.is_photo else "The owner"
    with st.spinner("Making the picture"):
        st.html(words.pair((owner.src, name), (_picture_of(view, people, shown), "Stranger")) + _opinions(view, people, shown))
    if people.others and not nobody:
        other = registry.entry(people.others[0]).title
        st.html(words.fine(f"Of all strangers let in, {other} finds this one least like {name.lower()}."))


def _show_agreement(view: PhoneState, people: Crowd, limit: float) -> None:
    inside = int(people.accepted(limit).sum())
    for other in people.others:
        title, guard = registry.entry(other).title, registry.entry(view.recogniser).title
        its_limit = caches.stored_thresholds(view.generator, other).default
        both, all_in = people.agreement(limit, other, its_limit)
        st.header(f"What would {title} say?", anchor=False)
        if inside == 0:
            sentence = f"{guard} lets nobody in. {title}, at its own limit of {its_limit:.2f}, would let {all_in:,} strangers in."
        else:
            share = "all" if both == inside else "none" if both == 0 else f"{both:,}"
            sentence = (
                f"Of the {inside:,} strangers that {guard} lets in, {title} would let {share} in as well. At its own limit of "
                f"{its_limit:.2f} it lets {all_in:,} in altogether. Two recognisers, two different crowds."
            )
        st.html(words.lead(sentence))


def _show_search(view: PhoneState, owner: Owner, people: Crowd, limit: float) -> None:
    st.space("medium")
    with st.container(key="search"):
        st.header("Find a stranger who gets in", anchor=False)
        st.html(
            words.lead(
                "Random strangers rarely get far. A search does: it starts from people who look unlike you and changes them, step "
                "by step, until the recogniser takes them for you. What it finds need not look like you at all."
            )
        )
        signature = (owner.identity, view.generator, view.recogniser, round(limit, 3))
        job = manager().get(st.session_state.get("double_job"))
        if st.session_state.get("double_signature") != signature:
            job = None
        if (job is None or job.finished) and st.button(
            "Search now" if job is None else "Search again", type="primary", key="find-double"
        ):
            starts = [int(people.strangers.seeds[index]) for index in people.starts(doubles.SEARCHES)]
            assert owner.picture is not None
            job = manager().submit(
                "search for a double",
                doubles.finder(
                    owner.picture,
                    {name: owner.descriptor(name) for name in [view.recogniser, *people.others]},
                    starts,
                    generator=view.generator,
                    recogniser=view.recogniser,
                    threshold=limit,
                ),
            )
            st.session_state["double_job"], st.session_state["double_signature"] = job.id, signature
            st.rerun()
        if job is None:
            return
        if not job.finished:
            _watch_search(view, limit)
        elif job.result:
            _show_doubles(view, owner, job.result, limit)
        else:
            progress.outcome(job)


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch_search(view: PhoneState, limit: float) -> None:
    job = manager().get(st.session_state.get("double_job"))
    if job is None or job.finished:
        st.rerun()
    progress.bar(job)
    progress.searches(
        job.events, limit=limit, iterations=100, targets=[components.Mark(limit, "unlocks below this")], key="double-search"
    )


def _show_doubles(view: PhoneState, owner: Owner, found: list[doubles.Double], limit: float) -> None:
    best, *rest = found

    def rows(double: doubles.Double) -> str:
        return words.opinions(
            [
                words.Opinion(
                    registry.entry(name).title,
                    distance,
                    limit if name == view.recogniser else caches.stored_thresholds(view.generator, name).default,
                )
                for name, distance in double.distances.items()
            ]
        )

    left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
    with left:
        st.html(words.pair((owner.src, "You"), (face_url(best.image), "Found by the search")))
    with right:
        st.subheader(
            "This face would unlock your phone" if best.accepted else "The search came close, but stays locked out", anchor=False
        )
        st.html(rows(best))
        st.html(
            words.fine(
                f"LPIPS, a measure of how different two pictures look, is {best.lpips:.2f}; 0 is the same picture. Of {len(found)} "
                f"searches, {sum(double.accepted for double in found)} got in; the one that looks least like you is shown large."
            )
        )
    if rest:
        for column, double in zip(st.columns(len(rest), gap="medium"), rest, strict=True):
            with column:
                words_of = words.VERDICTS["open" if double.accepted else "closed"]
                st.html(words.pair((face_url(double.start), "Began as"), (face_url(double.image), f"Ended as: {words_of}")))
