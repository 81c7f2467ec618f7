"""Two searches of the page 'Who could unlock my phone', which run as jobs: for a stranger who is accepted, and for the smallest
change of looks that locks the owner out (for a face of the gallery).

What the search for a stranger finds is kept for all visitors by what was asked, or with the photo that it was asked of.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.models import registry
from core.progress import Progress
from core.sampling.configuration import default_strategy
from core.sampling.events import SearchStep
from core.sampling.stored.directions import has_directions
from core.sampling.stored.population import PopulationScores
from ui import cache, markup, photo, progress
from ui.cache import SharedResultCache
from ui.jobs import Job, find_or_start_job, get_job_manager
from ui.photo import PhoneOwner
from ui.pictures import face_url

if TYPE_CHECKING:
    from core.sampling.impostor import Impostor
    from core.sampling.lockout import JudgedLockout


def verdicts_html(generator: str, recogniser: str, limit: float, distances: Mapping[str, float]) -> str:
    """What every recogniser says of a face, as HTML; the guard at the limit in force, the others at their own."""
    rows = [
        markup.RecogniserVerdict(
            registry.find_entry(name).title,
            distance,
            limit if name == recogniser else cache.cached_thresholds(generator, name).opening,
        )
        for name, distance in distances.items()
    ]
    return markup.verdicts_html(rows)


ImpostorQuestion = tuple[str, str, str, float]
"""generator, recogniser, owner, threshold."""


@st.cache_resource(show_spinner=False)
def cached_impostors() -> SharedResultCache:
    """Impostors of faces of the gallery by question; those of a photo stay with it."""
    return SharedResultCache(16)


def make_impostor_job(
    owner: PhoneOwner, question: ImpostorQuestion, judges: Sequence[str], seeds: Sequence[int], iterations: int = 100
) -> Callable[[Progress], list[Impostor] | None]:
    """The work of a job: search from each stranger's seed toward the owner's descriptor; of a photo, it keeps nothing itself.

    judges: the recognisers that say how far each impostor is from the owner, the one that is searched against among them.
    """
    generator, recogniser, _, threshold = question
    descriptors = {name: owner.descriptors[name] for name in judges}

    def make(progress: Progress) -> list[Impostor]:
        progress.stage("Loading the networks", 0.0)
        from core.sampling.impostor import find_impostors  # PyTorch

        return find_impostors(
            owner.picture(),
            descriptors,
            seeds,
            generator=generator,
            recogniser=recogniser,
            threshold=threshold,
            iterations=iterations,
            progress=progress,
        )

    def work(progress: Progress) -> list[Impostor]:
        impostors: list[Impostor] = cached_impostors().get_or_compute(question, lambda: make(progress), progress)
        return impostors

    return work if owner.photo is None else photo.make_private_work(owner.photo, question, make)


def _starts_at_once(generator: str, recogniser: str) -> bool:
    """Whether a search with these models takes seconds; one without a gradient, or with a large network, is asked for."""
    return registry.find_entry(generator).custom is None and default_strategy(generator, recogniser) != "cmaes"


def show_impostor_search(generator: str, owner: PhoneOwner, scores: PopulationScores, limit: float) -> None:
    """The owner beside a stranger who gets past the guard: looked for at once, with how far that is, then with the verdict."""
    question = (generator, scores.recogniser, owner.identity, limit)
    impostors: list[Impostor] | None = (
        cached_impostors().get(question) if owner.photo is None else owner.photo.results.get(question)
    )
    if impostors is not None:
        _show_impostors(generator, owner, scores, impostors, limit)
        return
    key = question if owner.photo is None else (owner.photo, question)
    stored = st.session_state.get(photo.IMPOSTOR_JOB)
    asked = (stored is not None and stored[0] == key) or _starts_at_once(generator, scores.recogniser)
    if not asked:
        _show_two_faces(owner, "A search can find a stranger who gets in")
        asked = st.button("Search now", type="primary", key="find-double")
        if not asked:
            return
    seeds = [int(scores.population.seeds[index]) for index in scores.choose_starts()]
    work = make_impostor_job(owner, question, [scores.recogniser, *scores.others], seeds)
    job = find_or_start_job(photo.IMPOSTOR_JOB, key, "a search for a stranger who gets in", work, automatic=True)
    if not job.finished:
        _watch_impostor_search(owner, question, job.id)
        return
    if job.status == "done" and job.result is not None:  # newer results have pushed it out of the cache
        _show_impostors(generator, owner, scores, job.result, limit)
        return
    _show_two_faces(owner, "Nobody was found")
    progress.show_outcome(job)
    st.button("Search again", key="find-double", on_click=_forget_search)


def _forget_search() -> None:
    st.session_state.pop(photo.IMPOSTOR_JOB, None)


def _show_two_faces(owner: PhoneOwner, words: str, picture: NDArray[np.uint8] | None = None, caption: str = "") -> None:
    """The owner, and as large beside it the stranger; until there is one, the words stand in its place. caption: HTML."""
    stranger = f'<div class="portrait-empty">{html.escape(words)}</div>'
    if picture is not None:
        stranger = markup.portrait_html(_address(owner, picture), words, caption or words)
    name = f"The owner: {owner.title}" if owner.photo is None else "You, framed. Kept in memory only."
    alt = f"The owner, a generated face: {owner.title}" if owner.photo is None else "Your photo, framed around the face"
    st.html(f'<div class="pair two-faces">{markup.portrait_html(owner.src, alt, name)}{stranger}</div>')


def _address(owner: PhoneOwner, picture: NDArray[np.uint8]) -> str:
    return face_url(picture) if owner.photo is None else owner.photo.address(picture)


@st.fragment(run_every=progress.POLL_SECONDS)
def _watch_impostor_search(owner: PhoneOwner, question: ImpostorQuestion, job_id: str) -> None:
    job = get_job_manager().get(job_id)
    nearest = None if job is None else _find_nearest(_list_events(owner, question, job))
    if nearest is None:
        _show_two_faces(owner, "Looking for a stranger who gets in")
    else:
        distance, picture = nearest
        verdict = markup.VERDICTS[markup.judge_distance(distance, question[3])]
        caption = f"The nearest stranger so far: {verdict}, {markup.format_distance(distance, question[3])}"
        _show_two_faces(owner, caption, picture)
    st.header("A search for a stranger who gets in", anchor=False)
    progress.poll_job(job_id)


def _list_events(owner: PhoneOwner, question: ImpostorQuestion, job: Job) -> list[Any]:
    return list(job.events if owner.photo is None else owner.photo.events.get(question, []))


def _find_nearest(events: Sequence[Any]) -> tuple[float, NDArray[np.uint8]] | None:
    """Distance and picture of the nearest face so far of which there is a picture."""
    steps = [event for event in events if isinstance(event, SearchStep) and event.image is not None]
    steps = [step for step in steps if np.isfinite(step.distance)]
    if not steps:
        return None
    best = min(steps, key=lambda step: step.distance)
    assert best.image is not None
    return best.distance, best.image


def _show_impostors(
    generator: str, owner: PhoneOwner, scores: PopulationScores, impostors: Sequence[Impostor], limit: float
) -> None:
    best, you = impostors[0], owner.photo is not None
    _show_two_faces(owner, "Found by the search", best.image)
    phone = "your phone" if you else "the phone"
    st.header(f"This stranger unlocks {phone}" if best.accepted else "The search did not get in", anchor=False)
    st.html(verdicts_html(generator, scores.recogniser, limit, best.distances))
    inside, everybody = int(scores.accepted(limit).sum()), len(scores.guard_distances)
    title, name = registry.find_entry(scores.recogniser).title, "you" if you else "the owner"
    st.html(
        markup.caption_html(
            f"Of {everybody:,} random strangers {inside or 'nobody'} {'gets' if inside < 2 else 'get'} in at this limit. The "
            f"search began with some who look unlike {name} and changed them until {title} took them for {name}. How different "
            f"the two pictures look (LPIPS): {best.lpips:.2f}; 0 is the same picture."
        )
    )
    got_in = sum(impostor.accepted for impostor in impostors)
    with st.expander(f"All {len(impostors)} searches: {got_in} got in"):
        for column, impostor in zip(st.columns(len(impostors), gap="medium"), impostors, strict=True):
            with column:
                verdict = markup.VERDICTS["open" if impostor.accepted else "closed"]
                began, ended = _address(owner, impostor.start), _address(owner, impostor.image)
                st.html(markup.pair_html((began, "Began as"), (ended, f"Ended as: {verdict}")))


LOCKOUT_JOB = "lockout_job"

LockoutQuestion = tuple[str, str, str, float]
"""generator, recogniser, base, threshold."""


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
    """The owner beside the face that is refused; while it is looked for, how far the search is."""
    st.header("The smallest change that locks the owner out", anchor=False)
    if not has_directions(generator):
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
    job = find_or_start_job(
        LOCKOUT_JOB, question, "the change that locks the owner out", make_lockout_job(question, owner), automatic=True
    )
    if job.status == "done":  # newer results have pushed it out of the cache
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
    way = [(owner.src, "The owner", 0.0)]
    way += [
        (face_url(frame.picture), f"The owner, {frame.step.words}", frame.distance) for frame in (*search.strip, search.smallest)
    ]
    st.html(
        markup.pair_html((owner.src, "The owner"), (face_url(search.smallest.picture), f"The owner, {step.words}"))
        + markup.strip_html(way, limit)
        + verdicts_html(generator, recogniser, limit, answer.distances)
    )
    st.html(
        markup.caption_html(
            f"The least of {tried} changes of looks: {step.words}."
            if registry.find_entry(generator).changes
            else f"The least of {tried} changes of looks (six kinds, each way): {step.words}, by {step.step:.2f}. Two random "
            "people are about 1.4 apart on that scale."
        )
    )
