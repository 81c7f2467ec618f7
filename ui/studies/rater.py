"""The page on which a rater takes part: consent, demographics, instructions, trials, one last question, thanks with feedback.

The step follows from what the store knows of the rater, so that the link with their code brings them back to it. The last page
says how often others and the network gave the same answers, and where they differed most.
"""

from __future__ import annotations

import html
import math
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from core.errors import LiminalError
from core.figures.theme import format_percent
from core.models import registry
from core.models.emotions import EMOTIONS
from core.studies import overview
from core.studies.overview import LoneAnswer, NetworkAnswer
from core.studies.planning import assign_stimuli
from core.studies.study import Kind, Rater, RatingPlan, Study
from ui import cache, markup
from ui.components.trials import Trial, remember_code, run_trial_block
from ui.markup import caption_html, intro_html
from ui.pictures import asset_url
from ui.studies import access

SECONDS_PER_TRIAL = {"emotion": 2.2, "identity": 8.0}
"""Seconds of a trial with its breaks (paper B reports reaction times of 0.5 to 1.5 s)."""


def describe_task(plan: RatingPlan) -> str:
    """The task of a study in one sentence."""
    if plan.kind == "emotion":
        return "Faces appear for a moment, and you say which feeling you saw. No face here belongs to a real person."
    return "You see two faces at a time and say how alike they are, and whether they show the same person. None belongs to anybody."


def estimate_minutes(plan: RatingPlan) -> int:
    """The expected duration in minutes."""
    return max(1, round((plan.trials + plan.sentinels) * SECONDS_PER_TRIAL[plan.kind] / 60))


def expectations_html(plan: RatingPlan) -> str:
    """What to expect, as short facts in HTML."""
    total = plan.trials + plan.sentinels
    long = estimate_minutes(plan)
    noun = "face" if plan.kind == "emotion" else "pair"
    facts = (
        f"about {long} {'minute' if long == 1 else 'minutes'}",
        f"{total:,} {noun if total == 1 else noun + 's'}",
        "no name, no account",
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


FEW_ANSWERS = 10
SHOWN_DEPARTURES = 2


def show_thanks(study: Study, rater: Rater) -> None:
    """Show the last page: thanks, and how others and the network answered."""
    st.title("Thank you", anchor=False)
    ratings = access.get_store().ratings(study.name, ["human"])
    own_ratings = ratings[ratings["rater"] == rater.rater]
    if own_ratings.empty:
        st.html(intro_html("You can close this page."))
        return
    st.html(intro_html(f"Your {len(own_ratings):,} answers are kept. Here is what they say so far."))
    kind = study.plan.kind
    together = overview.compare_with_others(ratings, rater.rater, kind, SHOWN_DEPARTURES)
    _compare_with_people(kind, together)
    title, network_answers = _find_network_answers(study)
    parted = _compare_with_network(ratings, rater.rater, kind, title, network_answers)
    _show_departures(study, ratings, rater.rater, together.departures, parted, title, network_answers)
    st.html(
        caption_html(
            "Every face was made by a computer; none belongs to a real person. What you saw in them is no test of you, and "
            "one study of generated faces proves nothing about real ones."
        )
        + caption_html(f"If you want your answers deleted, name this to whoever sent you the link: {rater.rater}")
    )


def _compare_with_people(kind: Kind, together: overview.AgreementWithOthers) -> None:
    if not together.people or math.isnan(together.share):
        st.html(_fact_html("You are the first", "Nobody else has judged these faces yet. Open this page again later to compare."))
        return
    people = "one other person" if together.people == 1 else f"{together.people:,} other people"
    few = " That is few: it may still change a lot." if together.people < FEW_ANSWERS else ""
    st.html(
        _fact_html(
            format_percent(together.share),
            f"of the answers of {people} to the same {'pairs' if kind == 'identity' else 'faces'} are the same as yours "
            f"({together.compared:,} compared; people who guess agree in {format_percent(overview.CHANCE_AGREEMENT[kind])}).{few}",
        )
    )


def _find_network_answers(study: Study) -> tuple[str, dict[str, NetworkAnswer]]:
    """The title of the sets' own network and its answers by stimulus; empty where the sets are gone."""
    try:
        name, answers = _load_network_answers(study.sample_sets)
        return (registry.find_entry(name).title if name else ""), answers
    except LiminalError:
        return "", {}


@st.cache_data(show_spinner=False, max_entries=8)
def _load_network_answers(set_ids: tuple[str, ...]) -> tuple[str, dict[str, NetworkAnswer]]:
    library = access.get_library()
    return overview.load_network_answers([library.folder_of(set_id) for set_id in set_ids])


def _compare_with_network(
    ratings: pd.DataFrame, rater: str, kind: Kind, title: str, network_answers: dict[str, NetworkAnswer]
) -> list[str]:
    same, compared, apart = overview.compare_with_network(ratings, rater, kind, network_answers)
    if compared:
        noun = "pairs" if kind == "identity" else "faces"
        st.html(
            _fact_html(
                format_percent(same / compared),
                f"of your answers are also those of {title}, a network that judged the same {noun} ({compared:,} compared).",
            )
        )
    return apart


def _show_departures(
    study: Study,
    ratings: pd.DataFrame,
    rater: str,
    departures: tuple[LoneAnswer, ...],
    parted: list[str],
    title: str,
    network_answers: dict[str, NetworkAnswer],
) -> None:
    """Show the images on which this rater stood most alone, else those on which rater and network differ most."""
    task = overview.MAIN_TASK[study.plan.kind]
    own_answers = ratings[(ratings["rater"] == rater) & (ratings["task"] == task)].set_index("stimulus")["value"]
    lines = [
        (departure.stimulus, f"You: {_describe_answer(departure.own)}. {_describe_others(departure)}") for departure in departures
    ]
    known = {stimulus for stimulus, _ in lines}
    for name in parted:
        if name not in known and len(lines) < SHOWN_DEPARTURES:
            lines.append(
                (
                    name,
                    f"You: {_describe_answer(str(own_answers[name]))}. {title}: {_describe_answer(network_answers[name].answer)}.",
                )
            )
    if not lines:
        return
    st.subheader("Where you saw something else", anchor=False)
    images = {stimulus.stimulus: stimulus.images for stimulus in access.load_stimuli(study)}
    figures = []
    for name, words in lines:
        faces = "".join(
            f'<img src="{html.escape(access.study_picture_url(study.token, image))}" alt="A generated face that you judged">'
            for image in images.get(name, ())
        )
        pictures = f'<div data-faces="{len(images.get(name, ()))}">{faces}</div>'
        figures.append(f"<figure>{pictures}<figcaption>{html.escape(words)}</figcaption></figure>")
    st.html(f'<div class="apart">{"".join(figures)}</div>')


def _describe_others(departure: LoneAnswer) -> str:
    best, share = max(departure.shares.items(), key=lambda item: item[1])
    who = "The one other person" if departure.n == 1 else f"{format_percent(share)} of {departure.n:,} others"
    return f"{who}: {_describe_answer(best)}."


def _describe_answer(value: str) -> str:
    return {"1": "the same person", "0": "two people"}.get(value, value)


def _fact_html(number: str, words: str) -> str:
    return f'<div class="fact"><b>{html.escape(number)}</b><p>{html.escape(words)}</p></div>'


DEMOGRAPHICS, INSTRUCTIONS = "demographics-done", "instructions-done"


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
            _show_notice("Something went wrong", str(error))


def _show_step(study: Study) -> None:
    code = st.query_params.get("code", "")
    if study.published or study.source != "human":
        _show_notice(
            "Nobody can take part in this study",
            "Its answers came from a publication."
            if study.published
            else "Its answers come from simulated observers, not from people.",
        )
        return
    rater = _find_rater(study, code)
    if code and rater is None:
        _show_unknown_code(study)
        return
    if rater is None:
        _show_start(study)
        return
    remember_code(study.token, code)
    _show_next_step(study, rater)


def _find_rater(study: Study, code: str) -> Rater | None:
    """The rater with a secret code, if there is one in this study."""
    if not code:
        return None
    try:
        rater = access.get_store().rater(code)
    except LiminalError:
        return None
    return rater if rater.study == study.name else None


def _show_start(study: Study) -> None:
    """Show the start for a visitor without a code: consent, or a way back for the same browser."""
    code = remember_code(study.token, forget=bool(st.session_state.get("forget-rater")))
    back = _find_rater(study, code) if not st.session_state.get("somebody-else") else None
    if back is not None:
        _show_welcome_back(study, back)
    elif study.closed:
        _show_closed(0)
    elif st.session_state.get("declined"):
        _show_notice("That is all right", "Nothing was kept. You can close this page.")
        st.button("I would like to take part after all", on_click=lambda: st.session_state.pop("declined"))
    else:
        _show_consent(study)


def _show_consent(study: Study) -> None:
    plan = study.plan
    st.title(markup.escape_markdown(plan.title or study.name), anchor=False)
    st.html(intro_html(describe_task(plan)))
    st.html(expectations_html(plan))
    with st.container(key="consent", border=True):
        st.subheader("Before you begin", anchor=False)
        st.html("".join(f"<p>{html.escape(part)}</p>" for part in plan.consent.splitlines() if part.strip()))
    with st.container(horizontal=True, gap="small"):
        st.button("I agree and take part", type="primary", key="agree", on_click=_enrol_rater, args=(study,))
        st.button("No, thank you", key="decline", on_click=lambda: st.session_state.update(declined=True))
    problem = st.session_state.pop("enrol-problem", None)
    if problem:
        st.warning(problem)


def _enrol_rater(study: Study) -> None:
    try:
        rater = access.get_store().enrol(study.name, assign_stimuli)
        access.get_store().update(rater.code, consented_at=datetime.now(UTC))
    except LiminalError as error:
        st.session_state["enrol-problem"] = str(error)
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


def _show_next_step(study: Study, rater: Rater) -> None:
    """Show the step of a rater who has consented."""
    plan = study.plan
    if rater.finished_at is not None:
        show_thanks(study, rater)
        return
    left = _list_open_trials(study, rater)
    begun = len(left) < len(rater.trials)
    if study.closed:
        _show_closed(len(rater.trials) - len(left))
    elif left:
        if plan.demographics and not begun and not rater.demographics and not st.session_state.get(DEMOGRAPHICS):
            _show_demographics(rater)
        elif not begun and not st.session_state.get(INSTRUCTIONS):
            _show_instructions(study)
        else:
            _show_trials(study, rater, left)
    elif plan.strategy_question:
        _show_last_question(rater)
    else:
        _finish_participation(rater, "")
        st.rerun()


def _show_demographics(rater: Rater) -> None:
    st.title("A word about you", anchor=False)
    st.html(intro_html("Both answers are voluntary. They help to say who took part, never who you are."))
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


def _show_last_question(rater: Rater) -> None:
    st.title("One last question", anchor=False)
    st.html(intro_html("How did you decide? For example: what in a face did you look at, and did that change on the way?"))
    with st.form("strategy", border=False):
        words = st.text_area("How did you decide?", max_chars=2000, height=150, label_visibility="collapsed")
        with st.container(horizontal=True, gap="small"):
            finished = st.form_submit_button("Finish", type="primary")
            skipped = st.form_submit_button("Skip")
    if finished or skipped:
        _finish_participation(rater, words.strip() if finished else "")
        st.rerun()


def _finish_participation(rater: Rater, strategy: str) -> None:
    access.get_store().update(rater.code, strategy=strategy or None, finished_at=datetime.now(UTC))


def _show_closed(answers: int) -> None:
    note = f" The answers that you gave ({answers:,}) are kept." if answers else ""
    _show_notice("This study is closed", f"It takes no more answers. Thank you for your interest.{note}")


def _show_notice(title: str, text: str) -> None:
    st.title(title, anchor=False)
    st.html(intro_html(text))
