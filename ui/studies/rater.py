"""Taking part: consent, a word about oneself, how it goes, the faces, one last question, thanks. One step is shown at a time.

Where somebody stands follows from what the store knows of them, so that the link with their code brings them back to it.
"""

from __future__ import annotations

import html
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import streamlit as st

from core.errors import LiminalError
from ui.components.remembered import remembered
from ui.components.trial import Trial, block
from ui.studies import access, rater_words, thanks, words
from ui.words import fine, lead

if TYPE_CHECKING:
    from core.studies.study import Rater, Study

DEMOGRAPHICS, INSTRUCTIONS = "demographics-done", "instructions-done"


def show() -> None:
    """The step at which the visitor of the address is."""
    with st.container(key="rater"):
        try:
            study = access.store().study_of(st.query_params.get("study", ""))
        except LiminalError as error:
            _door("This link leads to no study", str(error))
            return
        try:
            _step(study)
        except LiminalError as error:
            _door("Something went wrong", str(error))


def _step(study: Study) -> None:
    code = st.query_params.get("code", "")
    if study.published or study.source != "human":
        _door(
            "Nobody can take part in this study",
            "Its answers came from a publication."
            if study.published
            else "Its answers come from simulated observers, not from people.",
        )
        return
    rater = _known(study, code)
    if code and rater is None:
        _unknown(study)
        return
    if rater is None:
        _begin(study)
        return
    remembered(study.token, code)
    _go_on(study, rater)


def _known(study: Study, code: str) -> Rater | None:
    """The rater of that secret, if they belong to this study."""
    if not code:
        return None
    try:
        rater = access.store().rater(code)
    except LiminalError:
        return None
    return rater if rater.study == study.name else None


def _begin(study: Study) -> None:
    """Somebody without a code: new here, or back in the same browser."""
    kept = remembered(study.token, forget=bool(st.session_state.get("forget-rater")))
    back = _known(study, kept) if not st.session_state.get("somebody-else") else None
    if back is not None:
        _welcome_back(study, back)
    elif study.closed:
        _closed(0)
    elif st.session_state.get("declined"):
        _door("That is all right", "Nothing was kept. You can close this page.")
        st.button("I would like to take part after all", on_click=lambda: st.session_state.pop("declined"))
    else:
        _consent(study)


def _consent(study: Study) -> None:
    plan = study.plan
    st.title(words.plain_label(plan.title or study.name), anchor=False)
    st.html(lead(rater_words.what_it_is(plan)))
    st.html(rater_words.facts(plan))
    with st.container(key="consent", border=True):
        st.subheader("Before you begin", anchor=False)
        st.html("".join(f"<p>{html.escape(part)}</p>" for part in plan.consent.splitlines() if part.strip()))
    with st.container(horizontal=True, gap="small"):
        st.button("I agree and take part", type="primary", key="agree", on_click=_enrol, args=(study,))
        st.button("No, thank you", key="decline", on_click=lambda: st.session_state.update(declined=True))
    problem = st.session_state.pop("enrol-problem", None)
    if problem:
        st.warning(problem)


def _enrol(study: Study) -> None:
    from core.studies.assignment import assign

    try:
        rater = access.store().enrol(study.name, assign)
        access.store().update(rater.code, consented_at=datetime.now(UTC))
    except LiminalError as error:
        st.session_state["enrol-problem"] = str(error)
        return
    for name in ("somebody-else", DEMOGRAPHICS, INSTRUCTIONS):
        st.session_state.pop(name, None)
    st.query_params["code"] = rater.code


def _welcome_back(study: Study, rater: Rater) -> None:
    done, total = _progress(study, rater)
    finished = rater.finished_at is not None
    st.title("You have taken part already" if finished else "Welcome back", anchor=False)
    st.html(
        lead(
            "Thank you. You can look again at what was learnt."
            if finished
            else f"You began this study in this browser and answered {done:,} of {total:,}. Everything was kept."
        )
    )
    with st.container(horizontal=True, gap="small"):
        st.button(
            "See what was learnt" if finished else "Go on where you left off",
            type="primary",
            key="resume",
            on_click=lambda: st.query_params.update(code=rater.code),
        )
        st.button(
            "I am somebody else", key="somebody-else-button", on_click=lambda: st.session_state.update({"somebody-else": True})
        )


def _unknown(study: Study) -> None:
    _door(
        "These answers are no longer here",
        "Your personal link is not known in this study: it may have been cut off, or your answers were deleted.",
    )

    def anew() -> None:
        st.query_params.pop("code", None)
        st.session_state["forget-rater"] = True
        st.session_state["somebody-else"] = True

    if not study.closed:
        st.button("Start anew", type="primary", key="anew", on_click=anew)


def _progress(study: Study, rater: Rater) -> tuple[int, int]:
    """-> (trials answered, all trials)."""
    return len(rater.trials) - len(_open_trials(study, rater)), len(rater.trials)


def _open_trials(study: Study, rater: Rater) -> list[str]:
    answered = access.store().answered(rater)
    tasks = access.TASKS[study.plan.kind]
    return [name for name in rater.trials if not all((name, task) in answered for task in tasks)]


def _go_on(study: Study, rater: Rater) -> None:
    """The step of somebody who agreed."""
    plan = study.plan
    if rater.finished_at is not None:
        thanks.show(study, rater)
        return
    left = _open_trials(study, rater)
    begun = len(left) < len(rater.trials)
    if study.closed:
        _closed(len(rater.trials) - len(left))
    elif left:
        if plan.demographics and not begun and not rater.demographics and not st.session_state.get(DEMOGRAPHICS):
            _about_you(rater)
        elif not begun and not st.session_state.get(INSTRUCTIONS):
            _instructions(study)
        else:
            _faces(study, rater, left)
    elif plan.strategy_question:
        _last_question(rater)
    else:
        _finish(rater, "")
        st.rerun()


def _about_you(rater: Rater) -> None:
    st.title("A word about you", anchor=False)
    st.html(lead("Both answers are voluntary. They help to say who took part, never who you are."))
    with st.form("about-you", border=False):
        age = st.number_input("Your age in years", 1, 120, None, step=1, placeholder="prefer not to say", width=260)
        gender = st.selectbox(
            "Your gender, in your own words if you like",
            ["Woman", "Man", "Non-binary"],
            index=None,
            placeholder="prefer not to say",
            accept_new_options=True,
            width=360,
        )
        with st.container(horizontal=True, gap="small"):
            saved = st.form_submit_button("Go on", type="primary")
            skipped = st.form_submit_button("Skip")
    if saved or skipped:
        given = {"age": age, "gender": (gender or "").strip()[:60]} if saved else {}
        kept = {name: value for name, value in given.items() if value}
        if kept:
            access.store().update(rater.code, demographics=kept)
        st.session_state[DEMOGRAPHICS] = True
        st.rerun()


def _instructions(study: Study) -> None:
    st.title("How it goes", anchor=False)
    st.html(rater_words.instructions(study.plan))
    st.button("I am ready", type="primary", key="instructed", on_click=lambda: st.session_state.update({INSTRUCTIONS: True}))


def _faces(study: Study, rater: Rater, left: list[str]) -> None:
    shown = {each.stimulus: each.images for each in access.stimuli(study)}
    plan = study.plan
    trials = [
        Trial(
            name,
            [access.picture_address(study.token, image) for image in shown[name]],
            {task: access.answer_id(rater.code, name, task) for task in access.TASKS[plan.kind]},
        )
        for name in left
    ]
    block(
        trials,
        kind=plan.kind,
        study=study.token,
        code=rater.code,
        total=len(rater.trials),
        fixation_ms=plan.fixation_ms,
        image_ms=plan.image_ms,
        key="block",
        on_finished=lambda: None,
    )
    st.html(fine("You can stop at any time: this page, opened again, goes on where you left off.", centre=True))


def _last_question(rater: Rater) -> None:
    st.title("One last question", anchor=False)
    st.html(lead("How did you decide? For example: what in a face did you look at, and did that change on the way?"))
    with st.form("strategy", border=False):
        words = st.text_area("How did you decide?", max_chars=2000, height=150, label_visibility="collapsed")
        with st.container(horizontal=True, gap="small"):
            given = st.form_submit_button("Finish", type="primary")
            skipped = st.form_submit_button("Skip")
    if given or skipped:
        _finish(rater, words.strip() if given else "")
        st.rerun()


def _finish(rater: Rater, strategy: str) -> None:
    access.store().update(rater.code, strategy=strategy or None, finished_at=datetime.now(UTC))


def _closed(answers: int) -> None:
    kept = f" The answers that you gave ({answers:,}) are kept." if answers else ""
    _door("This study is closed", f"It takes no more answers. Thank you for your interest.{kept}")


def _door(title: str, text: str) -> None:
    st.title(title, anchor=False)
    st.html(lead(text))
