"""The page 'Who could unlock my phone': the owner, the wall of strangers under a threshold, what stands out among them, and two
searches.

The searches find an impostor who is accepted (for a photo) and the smallest change of looks that locks the owner out (for a
gallery face).

Scores of the stored population need NumPy alone. Only some strangers have a stored picture; the others are made again from
their seeds.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.figures.theme import format_percent
from core.models import registry
from core.progress import Progress
from core.sampling.stored.population import PopulationScores, find_threshold_range, score_population
from ui import cache, components, jobs, markup, photo, progress, state
from ui.cache import SharedResultCache
from ui.jobs import find_or_start_job, get_job_manager
from ui.photo import PhoneOwner
from ui.pictures import asset_url, data_url, face_url, picture_url
from ui.state import PhoneState

if TYPE_CHECKING:
    from core.sampling.impostor import Impostor
    from core.sampling.lockout import JudgedLockout


def score_strangers(view: PhoneState, owner: PhoneOwner) -> PopulationScores:
    """Every stranger against the owner. Raises LiminalError where the recogniser on guard found no face in the owner."""
    owner.descriptor(view.recogniser)
    return score_population(cache.cached_population(view.generator, view.recogniser), owner.descriptors, view.recogniser)


STRANGER_JOB = "stranger_job"


@st.cache_resource(show_spinner=False)
def cached_stranger_pictures() -> SharedResultCache:
    """WebP by (generator, seed)."""
    return SharedResultCache(36)


def render_stranger(generator: str, seed: int) -> bytes:
    """WebP of one stranger as it was judged."""
    import torch

    from core.models import registry
    from core.sampling.images import encode_webp, to_pictures

    maker = registry.load(generator, "generator")
    with torch.inference_mode():
        return encode_webp(to_pictures(maker.decode(maker.sample([seed])))[0])


def find_or_render_stranger(generator: str, seed: int) -> bytes | None:
    """The stranger's picture; while it is made, how far that is is shown instead and None comes back."""
    key = (generator, seed)
    found: bytes | None = cached_stranger_pictures().get(key)
    if found is not None:
        return found

    def work(told: Progress) -> bytes:
        told.stage("Making the picture", 0.0)
        result: bytes = cached_stranger_pictures().get_or_compute(key, lambda: render_stranger(generator, seed), told)
        return result

    job = find_or_start_job(f"{STRANGER_JOB}-{generator}-{seed}", key, "a stranger's picture", work)
    if not job.finished:
        progress.watch_job(job.id)
    elif job.status == "done":
        return bytes(job.result)
    else:
        progress.show_outcome(job)
    return None


def make_impostor_job(
    picture: NDArray[np.uint8],
    descriptors: dict[str, NDArray[np.float32]],
    seeds: list[int],
    *,
    generator: str,
    recogniser: str,
    threshold: float,
    iterations: int = 100,
) -> Callable[[Progress], list[Impostor]]:
    """The work of a job: search from each stranger's seed toward the owner's descriptor -> impostors, the least alike one first."""

    @jobs.privately()
    def work(progress: Progress) -> list[Impostor]:
        progress.stage("Loading the networks", 0.0)
        from core.sampling.impostor import find_impostors  # PyTorch

        return find_impostors(
            picture,
            descriptors,
            seeds,
            generator=generator,
            recogniser=recogniser,
            threshold=threshold,
            iterations=iterations,
            progress=progress,
        )

    return work


def show_impostor_search(view: PhoneState, owner: PhoneOwner, people: PopulationScores, limit: float) -> None:
    """The search for a stranger who gets past the guard: start, progress, result."""
    st.space("medium")
    with st.container(key="search"):
        st.header("Find a stranger who gets in", anchor=False)
        st.html(
            markup.intro_html(
                "Random strangers rarely get far. A search does: it starts from people who look unlike you and changes them, step "
                "by step, until the recogniser takes them for you. What it finds need not look like you at all."
            )
        )
        signature = (owner.identity, view.generator, view.recogniser, round(limit, 3))
        job = get_job_manager().get(st.session_state.get("double_job"))
        if st.session_state.get("double_signature") != signature:
            job = None
        if (job is None or job.finished) and st.button(
            "Search now" if job is None else "Search again", type="primary", key="find-double"
        ):
            starts = [int(people.population.seeds[index]) for index in people.choose_starts()]
            assert owner.picture is not None
            job = get_job_manager().submit(
                "search for a double",
                make_impostor_job(
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
            _watch_impostor_search(view, limit)
        elif job.result:
            _show_impostors(view, owner, job.result, limit)
        else:
            progress.show_outcome(job)


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch_impostor_search(view: PhoneState, limit: float) -> None:
    job = get_job_manager().get(st.session_state.get("double_job"))
    if job is None or job.finished:
        st.rerun()
    progress.show_progress_bar(job)
    progress.show_searches(
        job.events,
        limit=limit,
        iterations=100,
        targets=[components.ThresholdMark(limit, "unlocks below this")],
        key="double-search",
        address=data_url,
    )


def _show_impostors(view: PhoneState, owner: PhoneOwner, found: list[Impostor], limit: float) -> None:
    best, *rest = found

    def rows(double: Impostor) -> str:
        return markup.verdicts_html(
            [
                markup.RecogniserVerdict(
                    registry.find_entry(name).title,
                    distance,
                    limit if name == view.recogniser else cache.cached_thresholds(view.generator, name).default,
                )
                for name, distance in double.distances.items()
            ]
        )

    left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
    with left:
        st.html(markup.pair_html((owner.src, "You"), (data_url(best.image), "Found by the search")))
    with right:
        st.subheader(
            "This face would unlock your phone" if best.accepted else "The search came close, but stays locked out", anchor=False
        )
        st.html(rows(best))
        st.html(
            markup.caption_html(
                f"LPIPS, a measure of how different two pictures look, is {best.lpips:.2f}; 0 is the same picture. Of {len(found)} "
                f"searches, {sum(double.accepted for double in found)} got in; the one that looks least like you is shown large."
            )
        )
    if rest:
        for column, double in zip(st.columns(len(rest), gap="medium"), rest, strict=True):
            with column:
                words_of = markup.VERDICTS["open" if double.accepted else "closed"]
                st.html(markup.pair_html((data_url(double.start), "Began as"), (data_url(double.image), f"Ended as: {words_of}")))


LOCKOUT_JOB = "lockout_job"

LockoutQuestion = tuple[str, str, str, float]
"""generator, recogniser, base, limit."""


@st.cache_resource(show_spinner=False)
def cached_lockouts() -> SharedResultCache:
    """Answers by question."""
    return SharedResultCache(16)


def make_lockout_job(question: LockoutQuestion, owner: PhoneOwner) -> Callable[[Progress], JudgedLockout]:
    """The work of a job: step along every named direction until the guard refuses."""
    generator, recogniser, _, limit = question
    latent = owner.latent
    assert latent is not None

    def make(progress: Progress) -> JudgedLockout:
        progress.stage("Loading the networks", 0.0)
        from core.sampling.lockout import find_lockout  # PyTorch

        return find_lockout(latent, generator, recogniser, limit, progress)

    def work(progress: Progress) -> JudgedLockout:
        answer: JudgedLockout = cached_lockouts().get_or_compute(question, lambda: make(progress), progress)
        return answer

    return work


def show_lockout(generator: str, recogniser: str, owner: PhoneOwner, limit: float) -> None:
    """The owner beside the face that is refused; while it is looked for, how far that is."""
    st.header("The smallest change that is refused", anchor=False)
    if not state.has_semantic_directions(generator):
        title = registry.find_entry(generator).title
        st.html(
            markup.intro_html(
                html.escape(f"Where {title} keeps a smile or glasses is not known, so that no such change can be tried.")
            )
        )
        return
    question = (generator, recogniser, owner.identity, round(limit, 3))
    answer: JudgedLockout | None = cached_lockouts().get(question)
    if answer is not None:
        _show_lockout_answer(question, owner, answer)
        return
    job = find_or_start_job(LOCKOUT_JOB, question, "lock-out", make_lockout_job(question, owner))
    if job.status == "done":  # others have pushed it out of what is kept for all
        _show_lockout_answer(question, owner, job.result)
        return
    if job.finished:
        progress.show_outcome(job)
        return
    progress.watch_job(job.id)


def _show_lockout_answer(question: LockoutQuestion, owner: PhoneOwner, answer: JudgedLockout) -> None:
    generator, recogniser, _, limit = question
    search = answer.search
    tried = len({step.label for step in search.swept})
    if search.smallest is None:
        st.html(markup.intro_html(f"None of {tried} changes of looks, up to a large one, locks the owner out at this limit."))
        return
    step = search.smallest.step
    rows = [
        markup.RecogniserVerdict(
            registry.find_entry(name).title,
            distance,
            limit if name == recogniser else cache.cached_thresholds(generator, name).default,
        )
        for name, distance in answer.distances.items()
    ]
    st.html(
        markup.pair_html((owner.src, "The owner"), (face_url(search.smallest.picture), f"The owner, {step.words}"))
        + markup.verdicts_html(rows)
    )
    st.html(
        markup.caption_html(
            f"The least of {tried} changes of looks (six kinds, each way): {step.words}, by {step.step:.2f}. Two random people are "
            f"about 1.4 apart on that scale."
        )
    )


def current_threshold(view: PhoneState) -> float:
    """The limit in force: the address's, else the recogniser's default."""
    limit = cache.cached_thresholds(view.generator, view.recogniser).default if view.threshold is None else view.threshold
    return round(limit, 3)  # as the slider has it


def stranger_verdicts_html(view: PhoneState, people: PopulationScores, index: int) -> str:
    """What every recogniser says of a stranger, as HTML; the guard at the limit in force, the others at their own."""
    rows = []
    for name in [view.recogniser, *people.others]:
        limit = current_threshold(view) if name == view.recogniser else cache.cached_thresholds(view.generator, name).default
        rows.append(markup.RecogniserVerdict(registry.find_entry(name).title, float(people.distances[name][index]), limit))
    return markup.verdicts_html(rows)


def stranger_url(view: PhoneState, people: PopulationScores, index: int) -> str | None:
    """Address of a stranger's picture: the stored one, else made again; None while it is made, which the page shows."""
    for face in people.population.wall:
        if face.index == index:
            return asset_url(face.image)
    made = find_or_render_stranger(view.generator, int(people.population.seeds[index]))
    return None if made is None else picture_url(made)


def show_findings(view: PhoneState, owner: PhoneOwner) -> None:
    """What stands out: who gets in without looking alike, what locks the owner out, and whether the other recogniser agrees."""
    people = score_strangers(view, owner)
    limit = current_threshold(view)
    st.space("medium")
    left, right = st.columns(2, gap="large")
    with left:
        _show_least_alike(view, owner, people, limit)
    with right:
        if owner.is_photo:
            _show_agreement(view, people, limit)
        else:
            show_lockout(view.generator, view.recogniser, owner, limit)
    if owner.is_photo:
        show_impostor_search(view, owner, people, limit)
    else:
        _show_agreement(view, people, limit)


def _show_least_alike(view: PhoneState, owner: PhoneOwner, people: PopulationScores, limit: float) -> None:
    index = people.find_least_alike(limit)
    nobody = index is None
    st.header("Nobody gets in; this one came nearest" if nobody else "Gets in, and looks least like the owner", anchor=False)
    shown = people.find_nearest() if index is None else index
    name = "You" if owner.is_photo else "The owner"
    address = stranger_url(view, people, shown)
    if address is None:
        return
    st.html(markup.pair_html((owner.src, name), (address, "Stranger")) + stranger_verdicts_html(view, people, shown))
    if people.others and not nobody:
        other = registry.find_entry(people.others[0]).title
        st.html(markup.caption_html(f"Of all strangers let in, {other} finds this one least like {name.lower()}."))


def _show_agreement(view: PhoneState, people: PopulationScores, limit: float) -> None:
    inside = int(people.accepted(limit).sum())
    for other in people.others:
        title, guard = registry.find_entry(other).title, registry.find_entry(view.recogniser).title
        its_limit = cache.cached_thresholds(view.generator, other).default
        both, all_in = people.count_agreement(limit, other, its_limit)
        st.header(f"What would {title} say?", anchor=False)
        if inside == 0:
            sentence = f"{guard} lets nobody in. {title}, at its own limit of {its_limit:.2f}, would let {all_in:,} strangers in."
        else:
            share = "all" if both == inside else "none" if both == 0 else f"{both:,}"
            sentence = (
                f"Of the {inside:,} strangers that {guard} lets in, {title} would let {share} in as well. At its own limit of "
                f"{its_limit:.2f} it lets {all_in or 'nobody'} in altogether."
            )
        st.html(markup.intro_html(sentence))


GALLERY, UPLOAD, CAMERA = "Pick a generated face", "Use a photo", "Use the camera"


def read_phone_state(generator: str, recogniser: str) -> PhoneState:
    """The view that the address asks for."""
    return PhoneState(
        base=st.query_params.get("base"),
        generator=generator,
        recogniser=recogniser,
        threshold=state.read_number("threshold", 0.0, 2.0),
        stranger=state.read_integer("stranger", 0, 2**63 - 1),
    )


def choose_owner(view: PhoneState) -> PhoneOwner | None:
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
            owner = _choose_from_gallery(view) if way == GALLERY else _upload_photo(camera=way == CAMERA)
        with portrait:
            if owner is None:
                st.html('<div class="portrait-empty">Your picture will be here</div>')
            else:
                caption = "You, framed. Kept in memory only." if owner.is_photo else f"The owner: {owner.title}"
                st.html(
                    markup.portrait_html(
                        owner.src,
                        "Your photo, framed around the face" if owner.is_photo else f"The owner, a generated face: {owner.title}",
                        caption,
                    )
                )
    return owner


def _choose_from_gallery(view: PhoneState) -> PhoneOwner:
    photo.forget_owner_photo()
    gallery = cache.cached_gallery(view.generator)
    owner = photo.owner_from_gallery(view.generator, view.base)
    components.show_gallery(gallery, owner.identity, on_pick=_select_base)
    st.html(
        markup.caption_html(
            f"{len(gallery.bases)} generated people, chosen so that every recogniser finds a face in them. Nobody here exists."
        )
    )
    return owner


def _upload_photo(*, camera: bool) -> PhoneOwner | None:
    if camera:
        given = st.camera_input("Take a picture of one face, from the front", key="camera")
    else:
        given = st.file_uploader("A photo of one face, from the front", type=["jpg", "jpeg", "png", "webp"], key="photo")
    st.html(
        markup.caption_html(
            "The photo stays in this server's memory while this tab is open. It is never written to disk, logged or sent anywhere, "
            "and it is gone when you choose a generated face, or a few minutes after you close the tab. Use your own face, or one "
            "whose owner said yes."
        )
    )
    if given is None:
        photo.forget_owner_photo()
        return None
    with progress.queue_spinner("Looking for the face"):
        return photo.owner_from_photo(given.file_id, given.getvalue())


def _select_base(base_id: str) -> None:
    st.query_params["base"] = base_id


def _set_threshold(value: float) -> None:
    st.query_params["threshold"] = f"{value:g}"


def _select_stranger(seed: str) -> None:
    st.query_params["stranger"] = seed


def _clear_stranger() -> None:
    st.query_params.pop("stranger", None)


def show_wall(view: PhoneState, owner: PhoneOwner) -> None:
    """Everybody's verdict under a limit that can be dragged."""
    people = score_strangers(view, owner)
    limits = cache.cached_thresholds(view.generator, view.recogniser)
    title = registry.find_entry(view.recogniser).title
    marks = [components.ThresholdMark(round(limits.default, 3), "as delivered")]
    marks += [
        components.ThresholdMark(round(each.distance, 3), f"lets {markup.format_one_in(each.rate)} in")
        for each in limits.calibrated
    ]
    wall = sorted(
        (
            components.WallTile(str(face.seed), asset_url(face.image), float(people.guard_distances[face.index]))
            for face in people.population.wall
            if math.isfinite(people.guard_distances[face.index])
        ),
        key=lambda face: face.distance,
    )
    known = people.guard_distances[np.isfinite(people.guard_distances)]
    missing = len(people.guard_distances) - len(known)
    components.show_threshold_wall(
        identity=f"{view.generator}-{view.recogniser}-{owner.identity}",
        distances=known.tolist(),
        wall=wall,
        threshold=current_threshold(view),
        bounds=find_threshold_range(people.guard_distances, [mark.value for mark in marks]),
        marks=marks,
        recogniser=title,
        source=f"{len(people.guard_distances):,} random faces of {registry.find_entry(view.generator).title}, judged by {title}"
        + (f"; in {missing:,} of them it found no face" if missing else ""),
        note=f"{len(wall)} of them are on the wall, the most alike first",
        key="judge",
        on_threshold=_set_threshold,
        on_pick=_select_stranger,
    )
    with st.expander("Why are there several limits?"):
        st.markdown(
            f"{limits.explanation}\n\n"
            + "\n".join(
                f"- **{each.distance:.2f}** lets {markup.format_one_in(each.rate)} generated strangers in (95 % interval "
                f"{each.low:.2f} to {each.high:.2f}; {limits.pairs:,} pairs of {limits.strangers - limits.no_face:,} people)."
                for each in limits.calibrated
            )
            + f"\n- **{limits.default:.2f}** is how {title} is delivered: {limits.default_source}. It lets "
            f"{format_percent(limits.default_acceptance.share)} of generated pairs in "
            f"(95 % interval {format_percent(limits.default_acceptance.low)} to {format_percent(limits.default_acceptance.high)})."
        )
    if view.stranger is not None and view.stranger in people.population.seeds:
        _stranger_dialog(view, owner, people)


@st.dialog("One stranger", width="medium", on_dismiss=_clear_stranger)
def _stranger_dialog(view: PhoneState, owner: PhoneOwner, people: PopulationScores) -> None:
    index = int(np.flatnonzero(people.population.seeds == view.stranger)[0])
    name = "You" if owner.is_photo else "The owner"
    address = stranger_url(view, people, index)
    if address is not None:
        st.html(markup.pair_html((owner.src, name), (address, "The stranger")) + stranger_verdicts_html(view, people, index))
    st.html(markup.caption_html(f"Seed {view.stranger} of {registry.find_entry(view.generator).title}."))
