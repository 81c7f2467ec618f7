"""The page on which a rater takes part: consent, demographics, instructions, trials, one last question, the way out.

The step follows from what the store knows of the rater, so that the link with their code brings them back to it, and the link of a
panel whoever has the same participant's name. The last page is ``ui.studies.thanks``.
"""

from __future__ import annotations

import html
from dataclasses import replace
from datetime import UTC, datetime

import streamlit as st

from core.errors import LiminalError
from core.models import registry
from core.models.emotions import EMOTIONS
from core.studies.planning import assign_stimuli
from core.studies.recruitment import Participant, StudyFull, read_link
from core.studies.study import Rater, RatingPlan, Study
from ui import cache, markup
from ui.components.trials import Trial, remember_code, run_trial_block
from ui.markup import caption_html, intro_html
from ui.pictures import asset_url
from ui.studies import access, screening, thanks
from ui.studies.thanks import show_full, show_screened_out, show_way_out


def describe_task(plan: RatingPlan) -> str:
    """The task of a study in one sentence."""
    if plan.kind == "emotion":
        return "Faces appear for a moment, and you say which feeling you saw. No face here belongs to a real person."
    return "You see two faces at a time and say how alike they are, and whether they show the same person. None belongs to anybody."


def expectations_html(plan: RatingPlan, *, named: bool) -> str:
    """What to expect, as short facts in HTML. named: a panel gives the visitor a name."""
    total = plan.trials + plan.sentinels
    long = plan.minutes
    noun = "face" if plan.kind == "emotion" else "pair"
    facts = (
        f"about {long} {'minute' if long == 1 else 'minutes'}",
        f"{total:,} {noun if total == 1 else noun + 's'}",
        "no account" if named else "no name, no account",
        "leave and come back",
    )
    return f'<ul class="facts">{"".join(f"<li>{html.escape(fact)}</li>" for fact in facts)}</ul>'


def instructions_html(plan: RatingPlan) -> str:
    """The steps of a trial in pictures, as HTML; the example's faces are part of no study."""
    faces = _example_faces()
    if plan.kind == "emotion":
        buttons = "".join(f"<span>{html.escape(emotion)}</span>" for emotion in EMOTIONS)
        steps = [
            ('<div class="step-box"><b class="step-cross">+</b></div>', "A cross: look at it."),
            (
                f'<div class="step-box">{_example_face_html(faces, 0)}</div>',
                f"A face, for {plan.image_ms / 1000:g} seconds." if plan.image_ms else "A face.",
            ),
            (f'<div class="step-box step-buttons">{buttons}</div>', "Which feeling was it? Choose the nearest."),
        ]
        advice = "There is no right or wrong. It is quick on purpose: go by your first impression. The words wait for you."
    else:
        steps = [
            (
                f'<div class="step-box step-pair">{_example_face_html(faces, 0)}{_example_face_html(faces, 1)}</div>',
                "Two faces, as long as you like.",
            ),
            (
                '<div class="step-box step-slider"><i></i><small><span>not alike</span><span>exactly alike</span></small></div>',
                "How alike are they? Move the slider.",
            ),
            ('<div class="step-box step-buttons step-two"><span>Yes</span><span>No</span></div>', "Do they show the same person?"),
        ]
        advice = "There is no right or wrong: some pairs are one person, some are not, and some lie between. Your own view counts."
    items = "".join(f"<li>{picture}<p>{html.escape(text)}</p></li>" for picture, text in steps)
    return f'<ol class="steps">{items}</ol><p class="lead">{html.escape(advice)}</p>'


def _example_faces() -> list[str]:
    try:
        bases = cache.cached_gallery(registry.default_generator("identity")).bases
    except LiminalError:
        return []
    return [asset_url(base.image) for base in bases[:2]]


def _example_face_html(faces: list[str], index: int) -> str:
    return f'<img src="{html.escape(faces[index])}" alt="An example face">' if index < len(faces) else ""


DEMOGRAPHICS, INSTRUCTIONS, FINISHED_HERE = "demographics-done", "instructions-done", "finished-here"
PARTICIPANT_NOTE = (
    "The page that you came from gives you a name of its own. It is kept apart from your answers, so that you can be paid or "
    "credited, and is never published with them."
)


def show_rater_page() -> None:
    """Show the step of the rater in the address."""
    with st.container(key="rater"):
        try:
            study = access.get_store().study_of(st.query_params.get("study", ""))
        except LiminalError as error:
            _show_notice("This link leads to no study", str(error))
            return
        try:
            _show_step(study)
        except LiminalError as error:
            _show_notice("Something went wrong", _hide_name(study, str(error)))


def _hide_name(study: Study, sentence: str) -> str:
    """A sentence of the store without the study's name, which is its owner's alone."""
    return sentence.replace(f" '{study.name}'", "")


def _show_step(study: Study) -> None:
    if not study.asks_people:
        _show_notice(
            "Nobody can take part in this study",
            "Its answers come from simulated observers, not from people."
            if study.source != "human"
            else "Its answers came from a publication."
            if study.origin == "published"
            else "Its answers were brought in from elsewhere.",
        )
        return
    code = st.query_params.get("code", "")
    rater = _find_rater(study, code)
    try:
        participant = _read_link(study, rater)
    except LiminalError as error:
        _show_notice("This link cannot be used", str(error))
        return
    if participant.name:
        named = access.get_store().find_participant(study.name, participant.name)
        if named is not None and (rater is None or named.rater != rater.rater):
            rater = named
            st.query_params["code"] = rater.code
        elif named is None and rater is not None and access.get_store().participant_of(rater).name:
            rater = None  # the code of somebody else, on the same computer or in a link that was passed on
            st.query_params.pop("code", None)
    elif code and rater is None:
        _show_unknown_code(study)
        return
    if rater is None:
        _show_start(study, participant)
        return
    remember_code(study.token, rater.code)
    _show_next_step(study, rater, participant)


def _read_link(study: Study, rater: Rater | None) -> Participant:
    """What the link says of the visitor; of one who comes back by their code, what it said the first time."""
    link = {name: st.query_params.get_all(name) for name in st.query_params}
    if rater is None:
        return read_link(link, study.settings)
    found = read_link(link, replace(study.settings, participant_parameter=""))
    known = access.get_store().participant_of(rater)
    return known if not found.name or found.name == known.name else found


def _find_rater(study: Study, code: str) -> Rater | None:
    """The rater with a secret code, if there is one in this study."""
    if not code:
        return None
    try:
        rater = access.get_store().rater(code)
    except LiminalError:
        return None
    return rater if rater.study == study.name else None


def _show_start(study: Study, participant: Participant) -> None:
    """Show the start for a visitor without a code: consent, or a way back for the same browser."""
    back = None
    if not participant.name:  # else whoever sat here before is somebody else, or was found by the name
        code = remember_code(study.token, forget=bool(st.session_state.get("forget-rater")))
        back = _find_rater(study, code) if not st.session_state.get("somebody-else") else None
    if back is not None:
        _show_welcome_back(study, back)
    elif study.closed or not _has_place(study):
        show_full(study, participant)
    elif st.session_state.get("declined"):
        _show_notice("That is all right", "Nothing was kept.")
        show_way_out(study, "declined", participant)
        st.button("I would like to take part after all", key="after-all", on_click=_decline, args=(study, -1))
    elif screening.is_turned_away():
        show_screened_out(study, participant)
    elif screening.pass_device_check(study, enrolled=False):
        _show_consent(study, participant)


def _has_place(study: Study) -> bool:
    if study.settings.target is None:
        return True
    people = access.get_store().participation(study.name)
    return people.finished + people.working < study.settings.target


def _decline(study: Study, step: int) -> None:
    """Count somebody who does not consent, or who does after all (step -1)."""
    if bool(st.session_state.get("declined")) != (step > 0):
        access.get_store().count_departure(study.name, "declined", step)
        st.session_state["declined"] = step > 0


def _show_consent(study: Study, participant: Participant) -> None:
    plan = study.plan
    st.title(markup.escape_markdown(plan.title or "A study about faces"), anchor=False)
    st.html(intro_html(describe_task(plan)))
    st.html(expectations_html(plan, named=bool(participant.name)))
    with st.container(key="consent", border=True):
        st.subheader("Before you begin", anchor=False)
        st.html("".join(f"<p>{html.escape(part)}</p>" for part in plan.consent.splitlines() if part.strip()))
        if participant.name:
            st.html(caption_html(PARTICIPANT_NOTE))
    with st.container(horizontal=True, gap="small"):
        st.button("I agree and take part", type="primary", key="agree", on_click=_enrol_rater, args=(study, participant))
        st.button("No, thank you", key="decline", on_click=_decline, args=(study, 1))
    problem = st.session_state.pop("enrol-problem", None)
    if problem:
        st.warning(problem)


def _enrol_rater(study: Study, participant: Participant) -> None:
    try:
        rater = access.get_store().enrol(study.name, assign_stimuli, participant=participant)
        access.get_store().update(rater.code, consented_at=datetime.now(UTC))
    except StudyFull:
        return  # the page says so
    except LiminalError as error:
        st.session_state["enrol-problem"] = _hide_name(study, str(error))
        return
    for name in ("somebody-else", DEMOGRAPHICS, INSTRUCTIONS):
        st.session_state.pop(name, None)
    st.query_params["code"] = rater.code


def _show_welcome_back(study: Study, rater: Rater) -> None:
    done, total = _count_answered(study, rater)
    finished = rater.finished_at is not None
    st.title("You have taken part already" if finished else "Welcome back", anchor=False)
    st.html(
        intro_html(
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


def _show_unknown_code(study: Study) -> None:
    _show_notice(
        "These answers are no longer here",
        "Your personal link is not known in this study: it may have been cut off, or your answers were deleted.",
    )

    def anew() -> None:
        st.query_params.pop("code", None)
        st.session_state["forget-rater"] = True
        st.session_state["somebody-else"] = True

    if not study.closed:
        st.button("Start anew", type="primary", key="anew", on_click=anew)


def _count_answered(study: Study, rater: Rater) -> tuple[int, int]:
    """The number of trials answered and of all trials."""
    return len(rater.trials) - len(_list_open_trials(study, rater)), len(rater.trials)


def _list_open_trials(study: Study, rater: Rater) -> list[str]:
    answered = access.get_store().answered(rater)
    tasks = access.TASKS[study.plan.kind]
    return [name for name in rater.trials if not all((name, task) in answered for task in tasks)]


def _show_next_step(study: Study, rater: Rater, participant: Participant) -> None:
    """Show the step of a rater who has consented."""
    plan = study.plan
    if rater.finished_at is not None:
        thanks.show_thanks(study, rater, participant, again=not st.session_state.get(FINISHED_HERE))
        return
    if rater.screened_out_at is not None:
        show_screened_out(study, participant)
        return
    left = _list_open_trials(study, rater)
    begun = len(left) < len(rater.trials)
    try:
        if rater.released_at is not None:
            rater = access.get_store().resume(rater.code)
    except StudyFull:
        show_full(study, participant, answers=len(rater.trials) - len(left), away=True)
        return
    if study.closed and left:
        show_full(study, participant, answers=len(rater.trials) - len(left))
    elif left and not screening.pass_device_check(study, enrolled=True):
        return
    elif left:
        if plan.demographics and not begun and not rater.demographics and not st.session_state.get(DEMOGRAPHICS):
            _show_demographics(rater)
        elif not begun and not st.session_state.get(INSTRUCTIONS):
            _show_instructions(study)
        elif not begun and study.settings.practice and st.session_state.get(screening.PRACTISED) != study.token:
            screening.show_practice(study, rater)
        elif not begun and study.settings.questions and rater.understood_at is None:
            screening.show_questions(study, rater, instructions_html(plan))
        else:
            _show_trials(study, rater, left)
    elif plan.strategy_question:
        _show_last_question(study, rater, participant)
    else:
        _finish_participation(study, rater, participant, "")


OLDEST = 120


def _show_demographics(rater: Rater) -> None:
    st.title("A word about you", anchor=False)
    st.html(intro_html("Both answers are voluntary. They help to say who took part, never who you are."))
    with st.form("about-you", border=False):
        age = st.number_input("Your age in years", None, None, None, step=1, placeholder="prefer not to say", width=260)
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
    if saved and age is not None and not 1 <= age <= OLDEST:
        st.warning(f"An age lies from 1 to {OLDEST}; correct it, or leave it empty.")
    elif saved or skipped:
        entered = {"age": age, "gender": (gender or "").strip()[:60]} if saved else {}
        filled = {name: value for name, value in entered.items() if value}
        if filled:
            access.get_store().update(rater.code, demographics=filled)
        st.session_state[DEMOGRAPHICS] = True
        st.rerun()


def _show_instructions(study: Study) -> None:
    st.title("How it goes", anchor=False)
    st.html(instructions_html(study.plan))
    st.button("I am ready", type="primary", key="instructed", on_click=lambda: st.session_state.update({INSTRUCTIONS: True}))


def _show_trials(study: Study, rater: Rater, left: list[str]) -> None:
    images_of = {stimulus.stimulus: stimulus.images for stimulus in access.load_stimuli(study)}
    plan = study.plan
    trials = [
        Trial(
            name,
            [access.study_picture_url(study.token, image) for image in images_of[name]],
            {task: access.make_answer_id(rater.code, name, task) for task in access.TASKS[plan.kind]},
        )
        for name in left
    ]
    run_trial_block(
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
    st.html(caption_html("You can stop at any time: this page, opened again, goes on where you left off.", centre=True))


def _show_last_question(study: Study, rater: Rater, participant: Participant) -> None:
    st.title("One last question", anchor=False)
    st.html(intro_html("How did you decide? For example: what in a face did you look at, and did that change on the way?"))
    with st.form("strategy", border=False):
        words = st.text_area("How did you decide?", max_chars=2000, height=150, label_visibility="collapsed")
        with st.container(horizontal=True, gap="small"):
            finished = st.form_submit_button("Finish", type="primary")
            skipped = st.form_submit_button("Skip")
    if finished or skipped:
        _finish_participation(study, rater, participant, words.strip() if finished else "")


def _finish_participation(study: Study, rater: Rater, participant: Participant, strategy: str) -> None:
    try:
        access.get_store().finish(rater.code, strategy)
    except StudyFull:
        show_full(study, participant, answers=len(rater.trials), away=True)
        return
    st.session_state[FINISHED_HERE] = True
    st.rerun()


def _show_notice(title: str, text: str) -> None:
    st.title(title, anchor=False)
    st.html(intro_html(text))
