"""The page on which people make faces together: consent, then one face after the other under a slider, and thanks.

Which step comes next follows from what the store knows, so that the link with a person's code brings them back to it. A slider's
pictures are drawn before it is shown; the next face comes once the choice is on the disk.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.result_cache import ResultCache
from core.sampling import named_slider
from core.sampling.images import encode_webp
from core.studies.chains import ChainDesign, ChainPerson, ChainStudy, OfferedStep
from core.studies.recruitment import StudyFull
from core.studies.study import CONSENT
from core.studies.words import BY_BROWSER, Words, choose_words
from ui.components.trials import choose_face, remember_code
from ui.jobs import find_or_start_job
from ui.markup import caption_html, escape_markdown, intro_html
from ui.pictures import picture_url
from ui.studies import access

if TYPE_CHECKING:
    from core.studies import chain_store
else:
    chain_store = lazy_import("core.studies.chain_store")  # SQLAlchemy

logger = logging.getLogger(__name__)

PARAMETER = "making"
"""Of a person's link: the study's secret."""
WAIT_SECONDS = 2.0
AHEAD_JOB = "making-ahead"
PROBLEM, TRIES, TAKEN, SOMEBODY_ELSE = "making-problem", "making-tries", "making-taken", "making-somebody-else"

_FRAMES: ResultCache[tuple[Any, ...], tuple[bytes, ...]] = ResultCache(48 * 2**20, lambda frames: sum(map(len, frames)))
"""Pictures of the sliders that were shown last, some 200 kB each: a page that runs again draws nothing."""


def show_face_making() -> None:
    """Show the step of the person in the address."""
    with st.container(key="rater"):
        words = choose_words(BY_BROWSER, {}, st.context.headers.get("Accept-Language", ""))
        try:
            study = access.get_chain_store().study_of(st.query_params.get(PARAMETER, ""))
        except LiminalError:
            _show_notice(words, "link.nowhere")
            return
        words = choose_words(study.design.language, {}, st.context.headers.get("Accept-Language", ""))
        try:
            _show_study(study, words)
        except LiminalError as error:
            logger.warning("A page for making faces failed: %s", error)
            _show_notice(words, "wrong")


def _show_notice(words: Words, key: str) -> None:
    st.title(words.say(f"{key}.title"), anchor=False)
    st.html(intro_html(words.say(f"{key}.text")))


def _show_study(study: ChainStudy, words: Words) -> None:
    if study.source != "human":
        st.title(words.say("nobody.title"), anchor=False)
        st.html(intro_html(words.say("nobody.simulated")))
        return
    person = _find_person(study, st.query_params.get("code", ""))
    if person is None:
        _show_start(study, words)
        return
    try:
        offered = access.get_chain_store().next_step(person.code)
    except StudyFull:
        _show_thanks(study, words, person)
    else:
        if offered is None:
            _wait_for_step(words, person.code)
        else:
            _show_step(study, words, person, offered)
    remember_code(study.token, person.code, language=words.code)  # last: it takes room, though it shows nothing


def _find_person(study: ChainStudy, code: str) -> ChainPerson | None:
    if not code:
        return None
    try:
        person = access.get_chain_store().person(code)
    except LiminalError:
        return None
    return person if person.study == study.name else None


def say_task(design: ChainDesign, words: Words) -> str:
    """What people are asked to make, in their language; a wording of the owner's is said as it is."""
    return design.wording or words.say(f"making.task.{design.target}")


def _show_start(study: ChainStudy, words: Words) -> None:
    """Show the start for a visitor without a code: consent, or a way back for the same browser."""
    back = _find_person(study, remember_code(study.token, language=words.code))
    if back is not None and not st.session_state.get(SOMEBODY_ELSE):
        done = access.get_chain_store().count_steps(back)
        st.title(words.say("back.title"), anchor=False)
        st.html(intro_html(words.say("back.text", done=done, total=study.design.steps_of_a_person)))
        with st.container(horizontal=True, gap="small"):
            resume = words.say("back.resume")
            st.button(resume, type="primary", key="resume", on_click=lambda: st.query_params.update(code=back.code))
            other = words.say("back.other")
            st.button(other, key="other", on_click=lambda: st.session_state.update({SOMEBODY_ELSE: True}))
        return
    if study.closed:
        _show_notice(words, "full.closed")
        return
    design = study.design
    own = "" if design.passed_on else ".own"
    st.title(words.say(f"making.title{own}"), anchor=False)
    st.html(intro_html(f"{say_task(design, words)}. {words.say(f'making.how{own}')} {words.say('consent.generated')}"))
    facts = (
        words.say_number("count.minute", design.minutes),
        words.say_number("count.step", design.steps_of_a_person),
        words.say("consent.unnamed"),
        words.say("consent.resume"),
    )
    st.html(f'<ul class="facts">{"".join(f"<li>{html.escape(fact)}</li>" for fact in facts)}</ul>')
    with st.container(key="consent", border=True):
        st.subheader(words.say("consent.heading"), anchor=False)
        consent = words.say("making.consent") if design.consent == CONSENT else design.consent
        st.html("".join(f"<p>{html.escape(part)}</p>" for part in consent.splitlines() if part.strip()))
    with st.container(horizontal=True, gap="small"):
        agree = words.say("consent.agree")
        st.button(agree, type="primary", key="agree", on_click=_enrol, args=(study,))
    if st.session_state.pop("making-full", False):
        st.info(words.say("full.taken.text"))


def _enrol(study: ChainStudy) -> None:
    try:
        person = access.get_chain_store().enrol(study.name)
    except StudyFull:
        st.session_state["making-full"] = True
        return
    st.session_state.pop(SOMEBODY_ELSE, None)
    st.query_params["code"] = person.code


def _wait_for_step(words: Words, code: str) -> None:
    """Somebody else has every face before them: look again until one is free."""
    _show_notice(words, "making.wait")

    @st.fragment(run_every=WAIT_SECONDS)
    def look() -> None:
        try:
            free = access.get_chain_store().next_step(code) is not None
        except StudyFull:
            free = True
        if free:
            st.rerun()

    look()


def draw_frames(design: ChainDesign, offered: OfferedStep) -> tuple[bytes, ...]:
    """A step's pictures, from the lowest value of its latent to the highest, as WebP."""
    key = (design.generator, offered.base, offered.latent, tuple(sorted(offered.values.items())))
    frames = _FRAMES.get(key)
    if frames is None:
        pictures = named_slider.draw_slider(
            design.generator, offered.base, offered.values, offered.latent.name, offered.latent.values
        )
        frames = _FRAMES.put(key, tuple(encode_webp(picture, quick=True) for picture in pictures))
    return frames


def _show_step(study: ChainStudy, words: Words, person: ChainPerson, offered: OfferedStep) -> None:
    task = say_task(study.design, words)
    st.title(escape_markdown(task), anchor=False)
    with st.container(key="making-step"):
        taken = st.session_state.pop(TAKEN, False)
        st.html(
            caption_html(words.say("making.taken") if taken else words.say("making.done", done=offered.done + 1, total=offered.of))
        )
        line = st.empty()
        if "making-begun" not in st.session_state:  # later the slider itself says so
            line.html(caption_html(words.say("making.drawing")))
        frames = [picture_url(frame) for frame in draw_frames(study.design, offered)]
        st.session_state["making-begun"] = True
        line.empty()
        choose_face(
            study=study.token,
            chain=offered.chain,
            iteration=offered.iteration,
            frames=frames,
            start=offered.start,
            turned=offered.turned,
            prompt=task,
            words=words,
            problem=words.say("making.failed") if st.session_state.get(PROBLEM) else "",
            tries=st.session_state.get(TRIES, 0),
            key="face-slider",
            on_chosen=lambda choice: keep_choice(person.code, choice),
        )
    ahead = access.get_chain_store().foresee_step(person.code)
    if ahead is not None:  # while this one is looked at
        key = (study.token, ahead.chain, ahead.iteration)
        find_or_start_job(AHEAD_JOB, key, "the next slider", lambda _: draw_frames(study.design, ahead), automatic=True)


def keep_choice(code: str, choice: Mapping[str, Any]) -> None:
    """Store what a browser sends; what cannot be stored is shown again, with a sentence."""
    st.session_state.pop(PROBLEM, None)
    try:
        access.get_chain_store().choose(
            code,
            int(choice["chain"]),
            int(choice["iteration"]),
            int(choice["frame"]),
            reaction_time_ms=min(max(float(choice["milliseconds"]), 0.0), MOST_MILLISECONDS),
            presented={name: int(choice[name]) for name in ("moves", "start", "turned") if name in choice},
        )
    except chain_store.StepTaken:
        st.session_state[TAKEN] = True
    except StudyFull:
        return  # the page says so
    except (LiminalError, KeyError, ValueError, TypeError) as error:
        logger.warning("A choice was not kept: %s", error)
        st.session_state[PROBLEM] = True
        st.session_state[TRIES] = st.session_state.get(TRIES, 0) + 1


MOST_MILLISECONDS = 24 * 3600 * 1000.0


def _show_thanks(study: ChainStudy, words: Words, person: ChainPerson) -> None:
    done = access.get_chain_store().count_steps(person)
    if study.closed and not done:
        _show_notice(words, "full.closed")
        return
    st.title(words.say("thanks.title"), anchor=False)
    st.html(intro_html(words.say("making.thanks", count=done)))
    st.html(caption_html(words.say("thanks.delete", rater=person.person)) + caption_html(words.say("out.close")))
