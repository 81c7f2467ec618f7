"""The page on which a rater takes part: consent, demographics, instructions, trials, one last question, the way out.

The step follows from what the store knows of the rater, so that the link with their code brings them back to it, and the link of a
panel whoever has the same participant's name. The last page is ``ui.studies.thanks``.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from core.errors import LiminalError
from core.models import registry
from core.studies.planning import order_choices
from core.studies.recruitment import Participant, StudyFull, read_link
from core.studies.study import CONSENT, OWN_PICTURES_CONSENT, Kind, Rater, RatingPlan, Study
from core.studies.words import RaterError, Words
from ui import cache, markup, navigation
from ui.components.trials import Trial, remember_code, run_trial_block
from ui.markup import caption_html, intro_html
from ui.pictures import asset_url
from ui.studies import access, owner_gate, screening, thanks
from ui.studies.thanks import show_full, show_screened_out, show_way_out

logger = logging.getLogger(__name__)

READY_CONSENTS = {CONSENT: "consent.text", OWN_PICTURES_CONSENT: "consent.text.own"}
"""Texts of consent that are there in every language that ships."""


def describe_task(plan: RatingPlan, words: Words, *, generated: bool) -> str:
    """The task of a study in one or two sentences. generated: no picture in it was brought along, and may show a real person."""
    task = plan.kind if plan.asks == plan.kind else f"own.{plan.kind}"
    return " ".join(words.say(key) for key in (f"consent.task.{task}", *(("consent.generated",) if generated else ())))


def expectations_html(plan: RatingPlan, words: Words, *, named: bool) -> str:
    """What to expect, as short facts in HTML. named: a panel gives the visitor a name."""
    facts = (
        words.say_number("count.minute", plan.minutes),
        words.say_number(f"count.{NOUNS[plan.kind]}", plan.trials + plan.sentinels),
        words.say("consent.named" if named else "consent.unnamed"),
        words.say("consent.resume"),
    )
    return f'<ul class="facts">{"".join(f"<li>{html.escape(fact)}</li>" for fact in facts)}</ul>'


SHOWN_LABELS = 6
"""In the picture of the instructions."""


def instructions_html(plan: RatingPlan, words: Words) -> str:
    """The steps of a trial in pictures, as HTML; the example's faces are part of no study."""
    faces = [_face_html(face, words.say("steps.example")) for face in _example_faces()] or ["", ""]
    ends = "".join(f"<span>{html.escape(words.say(f'ask.alike.{end}'))}</span>" for end in ("low", "high"))
    shown = [words.say_answer(choice) for choice in plan.choices]
    few = shown if len(shown) <= SHOWN_LABELS else [*shown[: SHOWN_LABELS - 1], "…"]
    own: tuple[str, str, str] = (_buttons_html(few), "step-buttons", plan.wording or words.say("ask.labels"))
    if plan.asks == "scale":
        text = f"{plan.wording} {words.say('steps.scale', low=plan.scale_low, high=plan.scale_high)}"
        own = (_buttons_html(shown), "step-buttons step-points", text)
    if plan.kind == "emotion":
        seconds = words.format_number(plan.image_ms / 1000)
        steps = [
            ('<b class="step-cross">+</b>', "", words.say("steps.cross")),
            (faces[0], "", words.say("steps.face.timed", seconds=seconds) if plan.image_ms else words.say("steps.face")),
            (_buttons_html(shown), "step-buttons", words.say("steps.which")) if plan.asks == "emotion" else own,
        ]
    elif plan.asks != "identity":
        steps = [("".join(faces), "step-pair", words.say("steps.pair")), own]
    else:
        yes_no = _buttons_html([words.say("steps.yes"), words.say("steps.no")])
        steps = [
            ("".join(faces), "step-pair", words.say("steps.pair")),
            (f"<i></i><small>{ends}</small>", "step-slider", words.say("steps.alike")),
            (yes_no, "step-buttons step-two", words.say("steps.same")),
        ]
    advice = words.say(f"steps.advice.{plan.kind if plan.asks == plan.kind else 'own'}")
    items = "".join(
        f'<li><div class="step-box {style}">{picture}</div><p>{html.escape(text)}</p></li>' for picture, style, text in steps
    )
    return f'<ol class="steps">{items}</ol><p class="lead">{html.escape(advice)}</p>'


def _buttons_html(labels: Sequence[str]) -> str:
    return "".join(f"<span>{html.escape(label)}</span>" for label in labels)


def _example_faces() -> list[str]:
    try:
        bases = cache.cached_gallery(registry.default_generator("identity")).bases
    except LiminalError:
        return []
    return [asset_url(base.image) for base in bases[:2]]


def _face_html(address: str, alt: str) -> str:
    return f'<img src="{html.escape(address)}" alt="{html.escape(alt)}">'


DEMOGRAPHICS, INSTRUCTIONS, FINISHED_HERE = "demographics-done", "instructions-done", "finished-here"
NOUNS: dict[Kind, str] = {"emotion": "face", "identity": "pair"}
"""What a trial shows, as the keys of numbers of trials say it."""


PREVIEW_STATE = (
    *(DEMOGRAPHICS, INSTRUCTIONS, FINISHED_HERE, "declined"),
    *(screening.DEVICE_PASSED, screening.TURNED_AWAY, screening.PRACTISED),
)
"""What a visit knows of the steps that somebody has taken."""


def show_rater_page() -> None:
    """Show the step of the rater in the address."""
    with st.container(key="rater"):
        try:
            study = access.get_store().study_of(st.query_params.get("study", ""))
        except LiminalError:
            _show_notice(access.words_for(None), "link.nowhere")
            return
        words = access.words_for(study)
        try:
            _show_step(study, words)
        except RaterError as error:
            _show_notice(words, "wrong.title", error.say(words))
        except LiminalError as error:  # the store's own sentence names the study as its owner does
            logger.warning("A rater's page failed: %s", error)
            _show_notice(words, "wrong")


def _show_step(study: Study, words: Words) -> None:
    preview = None
    if access.PREVIEW in st.query_params and owner_gate.require_owner():
        preview = access.find_preview(study)
        study = replace(study, closed=False)
        _show_preview_bar(study, words)
    elif access.PREVIEW in st.query_params:
        return
    if not study.asks_people:
        _show_notice(words, "nobody.title", words.say(f"nobody.{'simulated' if study.source != 'human' else study.origin}"))
        return
    if preview is not None and preview.person is None:
        st.query_params.pop("code", None)
    code = st.query_params.get("code", "")
    rater = _find_rater(study, code)
    try:
        participant = _read_link(study, rater) if preview is None else Participant()
    except RaterError as error:
        _show_notice(words, "link.unusable.title", error.say(words))
        return
    if participant.name:
        named = access.rater_store(study).find_participant(study.name, participant.name)
        if named is not None and (rater is None or named.rater != rater.rater):
            rater = named
            st.query_params["code"] = rater.code
        elif named is None and rater is not None and access.rater_store(study).participant_of(rater).name:
            rater = None  # the code of somebody else, on the same computer or in a link that was passed on
            st.query_params.pop("code", None)
    elif code and rater is None:
        _show_unknown_code(study, words)
        return
    if rater is None:
        _show_start(study, words, participant)
        return
    if preview is None:
        remember_code(study.token, rater.code, language=words.code)
    _show_next_step(study, words, rater, participant)


def _show_preview_bar(study: Study, words: Words) -> None:
    """Say that this is a preview, and lead back to the study's own page."""
    with st.container(key="preview-bar", horizontal=True, vertical_alignment="center"):
        st.html(f"<p>{html.escape(words.say('preview.note'))}</p>")
        st.page_link(
            navigation.build_page(navigation.STUDIES),
            label=words.say("preview.back"),
            query_params={"study": study.name},
            icon=":material/arrow_back:",
        )
        st.button(words.say("unknown.anew"), key="preview-anew", type="tertiary", on_click=_forget_preview)


def _forget_preview() -> None:
    for name in (access.PREVIEW, *PREVIEW_STATE):
        st.session_state.pop(name, None)
    st.query_params.pop("code", None)


def _read_link(study: Study, rater: Rater | None) -> Participant:
    """What the link says of the visitor; of one who comes back by their code, what it said the first time."""
    link = {name: st.query_params.get_all(name) for name in st.query_params}
    if rater is None:
        return read_link(link, study.settings)
    found = read_link(link, replace(study.settings, participant_parameter=""))
    known = access.rater_store(study).participant_of(rater)
    return known if not found.name or found.name == known.name else found


def _find_rater(study: Study, code: str) -> Rater | None:
    """The rater with a secret code, if there is one in this study."""
    if not code:
        return None
    try:
        rater = access.rater_store(study).rater(code)
    except LiminalError:
        return None
    return rater if rater.study == study.name else None


def _show_start(study: Study, words: Words, participant: Participant) -> None:
    """Show the start for a visitor without a code: consent, or a way back for the same browser."""
    preview = access.find_preview(study) is not None
    code = "" if preview else remember_code(study.token, forget=bool(st.session_state.get("forget-rater")), language=words.code)
    back = None
    if code and not participant.name:  # else whoever sat here before is somebody else, or was found by the name
        back = _find_rater(study, code) if not st.session_state.get("somebody-else") else None
    if back is not None:
        _show_welcome_back(study, words, back)
    elif study.closed or not _has_place(study):
        show_full(study, words, participant)
    elif st.session_state.get("declined"):
        _show_notice(words, "declined")
        show_way_out(study, words, "declined", participant)
        st.button(words.say("declined.return"), key="after-all", on_click=_decline, args=(study, -1))
    elif screening.is_turned_away():
        show_screened_out(study, words, participant)
    elif screening.pass_device_check(study, words, enrolled=False):
        _show_consent(study, words, participant)


def _has_place(study: Study) -> bool:
    if study.settings.target is None:
        return True
    people = access.rater_store(study).participation(study.name)
    return people.finished + people.working < study.settings.target


def _decline(study: Study, step: int) -> None:
    """Count somebody who does not consent, or who does after all (step -1)."""
    if bool(st.session_state.get("declined")) != (step > 0):
        access.rater_store(study).count_departure(study.name, "declined", step)
        st.session_state["declined"] = step > 0


def _show_consent(study: Study, words: Words, participant: Participant) -> None:
    plan = study.plan
    st.title(markup.escape_markdown(plan.title or words.say("consent.title")), anchor=False)
    st.html(intro_html(describe_task(plan, words, generated=not access.asks_about_own_pictures(study))))
    st.html(expectations_html(plan, words, named=bool(participant.name)))
    with st.container(key="consent", border=True):
        st.subheader(words.say("consent.heading"), anchor=False)
        consent = words.say(READY_CONSENTS[plan.consent]) if plan.consent in READY_CONSENTS else plan.consent
        st.html("".join(f"<p>{html.escape(part)}</p>" for part in consent.splitlines() if part.strip()))
        if participant.name:
            st.html(caption_html(words.say("consent.participant")))
        if study.plan.investigator or study.plan.contact:
            st.html(thanks.contact_html(study, words))
    with st.container(horizontal=True, gap="small"):
        st.button(words.say("consent.agree"), type="primary", key="agree", on_click=_enrol_rater, args=(study, participant))
        st.button(words.say("consent.decline"), key="decline", on_click=_decline, args=(study, 1))
    if st.session_state.pop("enrol-problem", False):
        st.warning(words.say("wrong.text"))


def _enrol_rater(study: Study, participant: Participant) -> None:
    try:
        rater = access.rater_store(study).enrol(study.name, access.find_assign(study), participant=participant)
        access.rater_store(study).update(rater.code, consented_at=datetime.now(UTC))
    except StudyFull:
        return  # the page says so
    except LiminalError as error:
        logger.warning("Nobody could enrol: %s", error)
        st.session_state["enrol-problem"] = True
        return
    for name in ("somebody-else", DEMOGRAPHICS, INSTRUCTIONS, screening.PRACTISED):
        st.session_state.pop(name, None)
    st.query_params["code"] = rater.code


def _show_welcome_back(study: Study, words: Words, rater: Rater) -> None:
    done, total = _count_answered(study, rater)
    finished = rater.finished_at is not None
    st.title(words.say("back.finished.title" if finished else "back.title"), anchor=False)
    st.html(intro_html(words.say("back.finished.text") if finished else words.say("back.text", done=done, total=total)))
    with st.container(horizontal=True, gap="small"):
        st.button(
            words.say("back.finished.look" if finished else "back.resume"),
            type="primary",
            key="resume",
            on_click=lambda: st.query_params.update(code=rater.code),
        )
        st.button(
            words.say("back.other"),
            key="somebody-else-button",
            on_click=lambda: st.session_state.update({"somebody-else": True}),
        )


def _show_unknown_code(study: Study, words: Words) -> None:
    _show_notice(words, "unknown")

    def anew() -> None:
        st.query_params.pop("code", None)
        st.session_state["forget-rater"] = True
        st.session_state["somebody-else"] = True

    if not study.closed:
        st.button(words.say("unknown.anew"), type="primary", key="anew", on_click=anew)


def _count_answered(study: Study, rater: Rater) -> tuple[int, int]:
    """The number of trials answered and of all trials."""
    total = study.plan.trials + study.plan.sentinels if study.plan.adaptive else len(rater.trials)
    return len(rater.trials) - len(_list_open_trials(study, rater)), total


def _list_open_trials(study: Study, rater: Rater) -> list[str]:
    answered = access.rater_store(study).answered(rater)
    tasks = study.plan.tasks
    return [name for name in rater.trials if not all((name, task) in answered for task in tasks)]


def _show_next_step(study: Study, words: Words, rater: Rater, participant: Participant) -> None:
    """Show the step of a rater who has consented."""
    plan = study.plan
    if rater.finished_at is not None:
        thanks.show_thanks(study, words, rater, participant, again=not st.session_state.get(FINISHED_HERE))
        return
    if rater.screened_out_at is not None:
        show_screened_out(study, words, participant)
        return
    left = _list_open_trials(study, rater)
    begun = len(left) < len(rater.trials)
    try:
        if rater.released_at is not None:
            rater = access.rater_store(study).resume(rater.code)
    except StudyFull:
        show_full(study, words, participant, answers=len(rater.trials) - len(left), away=True)
        return
    if study.closed and left:
        show_full(study, words, participant, answers=len(rater.trials) - len(left))
    elif left and not screening.pass_device_check(study, words, enrolled=True):
        return
    elif left:
        if plan.demographics and not begun and not rater.demographics and not st.session_state.get(DEMOGRAPHICS):
            _show_demographics(study, words, rater)
        elif not begun and not st.session_state.get(INSTRUCTIONS):
            _show_instructions(study, words)
        elif not begun and study.settings.practice and st.session_state.get(screening.PRACTISED) != study.token:
            screening.show_practice(study, words, rater)
        elif not begun and study.settings.questions and rater.understood_at is None:
            screening.show_questions(study, words, rater, instructions_html(plan, words))
        else:
            _show_trials(study, words, rater, left)
    elif plan.adaptive and not study.closed and (extended := access.ask_on(study, rater)) is not None:
        _show_next_step(study, words, extended, participant)
    elif plan.strategy_question:
        _show_last_question(study, words, rater, participant)
    else:
        _finish_participation(study, words, rater, participant, "")


OLDEST = 120
GENDERS = {"Woman": "about.woman", "Man": "about.man", "Non-binary": "about.nonbinary"}
"""As it is kept, whatever the language -> the key of what people read."""


def _show_demographics(study: Study, words: Words, rater: Rater) -> None:
    st.title(words.say("about.title"), anchor=False)
    st.html(intro_html(words.say("about.text")))
    with st.form("about-you", border=False):
        empty = words.say("about.empty")
        age = st.number_input(words.say("about.age"), None, None, None, step=1, placeholder=empty, width=260)
        chosen = st.pills(words.say("about.gender"), list(GENDERS), format_func=lambda name: words.say(GENDERS[name]))
        written = st.text_input(words.say("about.words"), max_chars=60, placeholder=empty, width=260)
        with st.container(horizontal=True, gap="small"):
            saved = st.form_submit_button(words.say("button.next"), type="primary")
            skipped = st.form_submit_button(words.say("button.skip"))
    if saved and age is not None and not 1 <= age <= OLDEST:
        st.warning(words.say("about.range", most=OLDEST))
    elif saved or skipped:
        entered = {"age": age, "gender": written.strip() or chosen} if saved else {}
        filled = {name: value for name, value in entered.items() if value}
        if filled:
            access.rater_store(study).update(rater.code, demographics=filled)
        st.session_state[DEMOGRAPHICS] = True
        st.rerun()


def _show_instructions(study: Study, words: Words) -> None:
    st.title(words.say("steps.title"), anchor=False)
    st.html(instructions_html(study.plan, words))
    ready = words.say("steps.ready")
    st.button(ready, type="primary", key="instructed", on_click=lambda: st.session_state.update({INSTRUCTIONS: True}))


def _show_trials(study: Study, words: Words, rater: Rater, left: list[str]) -> None:
    images_of = {stimulus.stimulus: stimulus.images for stimulus in access.load_stimuli(study)}
    plan, preview = study.plan, access.find_preview(study)

    def finished(answers: Any) -> None:
        if preview is not None:
            preview.keep(answers)

    trials = [
        Trial(
            name,
            [access.study_picture_url(study.token, image) for image in images_of[name]],
            {task: access.make_answer_id(rater.code, name, task) for task in plan.tasks},
        )
        for name in left
    ]
    run_trial_block(
        trials,
        plan=plan,
        choices=order_choices(plan, rater.rater),
        words=words,
        study=study.token,
        code=rater.code,
        total=plan.trials + plan.sentinels if plan.adaptive else len(rater.trials),
        answered=len(rater.trials) - len(left),
        key="block",
        on_finished=finished,
        preview=preview is not None,
    )
    st.html(caption_html(words.say("block.stop"), centre=True))


def _show_last_question(study: Study, words: Words, rater: Rater, participant: Participant) -> None:
    st.title(words.say("last.title"), anchor=False)
    st.html(intro_html(words.say("last.text")))
    with st.form("strategy", border=False):
        written = st.text_area(words.say("last.label"), max_chars=2000, height=150, label_visibility="collapsed")
        with st.container(horizontal=True, gap="small"):
            finished = st.form_submit_button(words.say("button.finish"), type="primary")
            skipped = st.form_submit_button(words.say("button.skip"))
    if finished or skipped:
        _finish_participation(study, words, rater, participant, written.strip() if finished else "")


def _finish_participation(study: Study, words: Words, rater: Rater, participant: Participant, strategy: str) -> None:
    try:
        access.rater_store(study).finish(rater.code, strategy)
    except StudyFull:
        show_full(study, words, participant, answers=len(rater.trials), away=True)
        return
    st.session_state[FINISHED_HERE] = True
    st.rerun()


def _show_notice(words: Words, key: str, text: str = "") -> None:
    """A title and a sentence: those of a key with .title and .text, or a title's own key and a text."""
    st.title(words.say(key if text else f"{key}.title"), anchor=False)
    st.html(intro_html(text or words.say(f"{key}.text")))
