"""The page 'You': a visitor answers some faces, is guessed, gets a profile against the crowd and images of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.alignment.configuration import CLASSIFIERS
from core.models.emotions import EMOTIONS
from ui import navigation, progress
from ui.alignment import choosing, keeping, made, profile_view, runs
from ui.alignment.visitor import BLOCK, MORE, Visitor, visitor
from ui.components.question import question
from ui.jobs import job_for
from ui.studies.words import badges
from ui.words import fine, lead

if TYPE_CHECKING:
    from core.alignment.alignment import Alignment
    from ui.analysis.material import Chosen

JOB = "you_group_job"


def show(chosen: Chosen) -> None:
    """The step at which the visitor is."""
    if chosen.material.kind != "emotion":
        st.info("This study asks who it is. Your profile is about feelings; choose one below that asks about those.")
        return
    found = _group(chosen)
    if found is not None:
        _answering(chosen, visitor(*found))
    with st.container(key="you-crowd"):
        st.html(badges(chosen.study) + fine(chosen.study.name))


def _answering(chosen: Chosen, you: Visitor) -> None:
    """The next question, or what the answers say."""
    pictured = {name: chosen.picture(name) for name in you.alignment.answers.images if chosen.picture(name)}
    if you.n < you.target and you.question(pictured) is not None:
        _ask(you, pictured)
    else:
        profile_view.show(chosen, you)
        if you.n >= BLOCK:
            made.in_study(chosen, you)
            made.for_you(you)
        _more(you, pictured)
    if you.n:
        keeping.show(chosen, you)


def _group(chosen: Chosen) -> tuple[Alignment, str] | None:
    """A model of the crowd of this study; where there is none, the way to one."""
    kept = runs.kept(chosen)
    for name in CLASSIFIERS:  # faces can be made for the first one only
        for each in kept:
            if name in each.configuration.classifiers and each.ready(name):
                st.session_state.pop("you-learn", None)
                return each, name
    usual = runs.alignment_of(chosen, choosing.USUAL)
    name = CLASSIFIERS[0]
    if usual.ready(name):  # it came with the package
        return usual, name
    if st.session_state.get("you-learn") != usual.alignment_id:
        _offer(usual, chosen)
        return None
    job = job_for(JOB, usual.alignment_id, "learning from people", runs.learner((usual,), (name,), 0))
    if not job.finished:
        st.html(fine("A network learns what people said of these faces; afterwards you can be compared with them."))
        progress.watch(job.id)
        return None
    st.session_state.pop("you-learn")
    if job.status == "done":
        st.rerun()
    progress.outcome(job)
    _offer(usual, chosen)
    return None


def _offer(usual: Alignment, chosen: Chosen) -> None:
    st.html(lead("First a network has to learn what people said of these faces. It takes some minutes, once for everybody."))

    def start() -> None:
        st.session_state.pop(JOB, None)
        st.session_state["you-learn"] = usual.alignment_id

    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.button("Let it learn", type="primary", key="you-learn-button", icon=":material/school:", on_click=start)
        st.page_link(navigation.page(navigation.ALIGN), label="Or choose how it learns", query_params={"study": chosen.study.name})


@st.fragment
def _ask(you: Visitor, pictured: Mapping[str, str]) -> None:
    """One face, what had been guessed of the one before, and the score. The whole page runs again after the last one."""
    now = you.question(pictured)
    if you.n >= you.target or now is None:
        st.rerun()
    told = f"{you.n} of {you.target} answered; the next guess is sealed."
    st.progress(you.n / you.target, text=told)
    told, right = _told(you)

    def answered(given: Mapping[str, Any]) -> None:
        you.answer(given)

    question(
        number=you.n,
        stimulus=now.stimulus,
        src=pictured[now.stimulus],
        key="you-question",
        on_answer=answered,
        told=told,
        right=right,
    )
    if you.n:
        st.html(profile_view.running(you))
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="you-options"):
        st.toggle(
            "Ask what tells most about me",
            you.informative,
            key="you-informative",
            on_change=lambda: setattr(you, "informative", st.session_state["you-informative"]),
            help="On: each face is the one whose answer is expected to say most about you. Off: at random. It holds from the face "
            "after this one.",
        )
        if you.n:
            st.button("Begin again", key="you-again", type="tertiary", on_click=_again, args=(you,))


def _told(you: Visitor) -> tuple[str, bool | None]:
    """What had been guessed of the answer before."""
    if not you.n:
        return "No hurry: nothing is timed. Press a button, or a key from 1 to 6.", None
    last = you.answers[-1]
    own, group = int(last.own.argmax()), int(last.group.argmax())
    right = own == last.said
    crowd = f"Everybody’s model said {EMOTIONS[group]}."
    guess = f"The guess was {EMOTIONS[own]}, made with {100 * last.own[own]:.0f} % confidence."
    return f"You said {EMOTIONS[last.said]}. {guess} {crowd}", right


def _again(you: Visitor) -> None:
    st.session_state.pop("you-visitor", None)
    st.session_state.pop("you-informative", None)


def _more(you: Visitor, pictured: Mapping[str, str]) -> None:
    """On with the questions, or from the start."""
    left = sum(name not in {each.stimulus for each in you.answers} for name in pictured)
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="you-more"):
        if left:
            count = min(MORE, left)

            def on() -> None:
                you.target = you.n + count

            st.button(f"Answer {count} more", key="you-more-button", on_click=on)
        st.button("Begin again", key="you-again", type="tertiary", on_click=_again, args=(you,))
