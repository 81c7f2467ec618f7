"""Before the block: what the device must have, practice with feedback, and questions on the instructions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import streamlit as st

from core.lazy_import import lazy_import
from core.studies import planning
from core.studies.screening import TRIES, Device, find_faults, needs_device, parse_questions
from core.studies.study import Kind, Rater, RatingPlan, Study
from core.studies.words import Words
from ui import pictures
from ui.components.trials import Trial, report_device, run_trial_block
from ui.markup import caption_html, intro_html
from ui.studies import access

if TYPE_CHECKING:
    from core.studies import practice
    from core.studies.practice import PracticeTrial
else:
    practice = lazy_import("core.studies.practice")  # the renderer's compiled parts

DEVICE_PASSED, TURNED_AWAY, PRACTISED = "device-passed", "turned-away", "practised"


def pass_device_check(study: Study, words: Words, *, enrolled: bool) -> bool:
    """Whether the visitor's device has what the study asks for; if not, the page says what to change. Asked once a visit.

    enrolled: they take part already and can come back on another device, so that nobody is sent away for good.
    """
    if not needs_device(study.settings) or st.session_state.get(DEVICE_PASSED) == study.token:
        return True
    values = report_device(refresh=study.settings.min_refresh > 0, key="device")
    if values is None:
        st.html(intro_html(words.say("device.wait")))
        return False
    faults = find_faults(study.settings, Device.from_browser(values), words)
    if not faults:
        st.session_state[DEVICE_PASSED] = study.token
        st.rerun()
    st.title(words.say_number("device.title", len(faults)), anchor=False)
    for fault in faults:
        st.html(intro_html(fault))
    kept = words.say("device.answers_kept" if enrolled else "device.nothing_kept")
    st.html(caption_html(f"{words.say('device.goes_on')} {kept}"))
    if not enrolled:
        st.button(words.say("device.cannot"), key="turn-away", on_click=_turn_away, args=(study,))
    return False


def _turn_away(study: Study) -> None:
    """Count a visitor whose device does not do."""
    if not st.session_state.get(TURNED_AWAY):
        access.rater_store(study).count_departure(study.name, "screened_out")
        st.session_state[TURNED_AWAY] = True


def is_turned_away() -> bool:
    """Whether the visitor has said that they cannot change what stands against their device."""
    return bool(st.session_state.get(TURNED_AWAY))


def show_practice(study: Study, words: Words, rater: Rater) -> None:
    """Show the practice trials; PRACTISED is set in the session at their end."""
    kind = study.plan.kind
    st.title(words.say("practice.title"), anchor=False)
    with st.spinner(words.say("practice.drawing")):
        trials = load_practice(kind, study.settings.practice)
    run_trial_block(
        [
            Trial(
                trial.name,
                [pictures.face_url(image) for image in trial.images],
                {task: f"{trial.name}-{task}" for task in study.plan.tasks},
                describe_practice(study.plan, trial.right, words),
            )
            for trial in trials
        ],
        plan=study.plan,
        choices=planning.order_choices(study.plan, rater.rater),
        words=words,
        study=study.token,
        code=f"practice-{rater.rater}",
        total=len(trials),
        key="practice-block",
        on_finished=lambda _: st.session_state.update({PRACTISED: study.token}),
        practice=True,
    )


@st.cache_data(show_spinner=False, max_entries=4)
def load_practice(kind: Kind, count: int) -> list[PracticeTrial]:
    """The practice trials, drawn once a server."""
    return practice.make_practice(kind, count)


def describe_practice(plan: RatingPlan, right: str, words: Words) -> dict[str, tuple[str, str]]:
    """For each answer to a practice trial, a title and a sentence: whether it is right, where the question has a right answer."""
    if right not in plan.choices or plan.asks == "scale" or (plan.asks == "labels" and plan.kind == "identity"):
        free = words.say("practice.free.title"), words.say("practice.free.text")
        return dict.fromkeys(plan.choices, free)
    titles = {True: words.say("practice.right"), False: words.say("practice.wrong")}
    if plan.asks == "identity":
        shown = words.say("practice.same" if right == "1" else "practice.two")
        return {answer: (titles[answer == right], shown) for answer in ("1", "0")}
    meant = words.say("practice.shown", right=words.say_answer(right))
    return {
        answer: (
            titles[answer == right],
            meant if answer == right else f"{meant} {words.say('practice.said', answer=words.say_answer(answer))}",
        )
        for answer in plan.choices
    }


def show_questions(study: Study, words: Words, rater: Rater, instructions: str) -> None:
    """Show the questions on the instructions; who answers them wrongly for the last time is screened out.

    instructions: HTML, shown again before the last try.
    """
    questions = parse_questions(study.settings.questions)
    last = rater.tries > 0
    st.title(words.say("questions.again.title" if last else "questions.title"), anchor=False)
    st.html(intro_html(words.say("questions.again.text" if last else "questions.text")))
    if last:
        st.html(instructions)
    with st.form(f"questions-{rater.tries}", border=False):
        chosen = [
            st.radio(question.text, range(len(question.answers)), index=None, format_func=question.answers.__getitem__,
                     key=f"question-{rater.tries}-{number}")
            for number, question in enumerate(questions)
        ]  # fmt: skip
        pressed = st.form_submit_button(words.say("button.next"), type="primary")
    if not pressed:
        return
    if None in chosen:
        st.warning(words.say("questions.missing"))
        return
    store = access.rater_store(study)
    if all(answer == question.right for answer, question in zip(chosen, questions, strict=True)):
        store.update(rater.code, understood_at=datetime.now(UTC))
    else:
        store.update(rater.code, tries=rater.tries + 1)
        if rater.tries + 1 >= TRIES:
            store.screen_out(rater.code)
    st.rerun()
