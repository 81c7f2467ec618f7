"""The form of a new study: what people are asked and how, how long it takes, what they read. It says at once what does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.sampling.sample_set import SampleSet, load_tables
from core.studies.adaptive import find_axes
from core.studies.planning import estimate_plan, join_stimuli, list_expected_answers, list_stimuli
from core.studies.study import (
    BUTTON_ORDERS,
    MAX_LABELS,
    MAX_POINTS,
    MAX_QUESTION_LETTERS,
    MAX_SENTINELS,
    MAX_TRIALS,
    MIN_LABELS,
    MIN_POINTS,
    NAME_LENGTH,
    READY_LABELS,
    ButtonOrder,
    Kind,
    Question,
    Stimulus,
    parse_labels,
)
from ui.markup import caption_html, count_noun
from ui.studies import access, sample_size

QUESTION_TITLES: dict[Question, str] = {
    "identity": "How alike, and the same person?",
    "emotion": "Which of six feelings?",
    "labels": "Which of your own labels?",
    "scale": "A rating scale",
}
ORDER_TITLES: dict[ButtonOrder, str] = {
    "fixed": "The same for everybody",
    "mirrored": "Turned around for every second person",
    "random": "Drawn anew for every person",
}


def show_plan_form(title: str, kind: Kind, set_ids: Sequence[str], *, consent: str, own: bool) -> dict[str, Any] | None:
    """The form -> its values once the study is to be made, else None.

    consent: what people agree to, to begin with. own: the study is about pictures of the owner's alone.
    """
    name = st.text_input("Name of the study (for you; people never see it)", title[:NAME_LENGTH], max_chars=NAME_LENGTH)
    heading = st.text_input(
        "Heading that people see", max_chars=120, placeholder="A study about faces, in each person's language", key="plan-heading"
    )
    agreed = st.text_area(
        "What people agree to before they begin",
        consent,
        height=130,
        help="Say what happens with the answers. Left as it is, everybody reads it in their own language.",
    )
    left, right = st.columns(2, gap="medium")
    investigator = left.text_input("Whose study is it? (people read it)", max_chars=MAX_QUESTION_LETTERS, key="plan-investigator")
    contact = right.text_input("Where can people ask about it?", max_chars=MAX_QUESTION_LETTERS, key="plan-contact")
    values: dict[str, Any] = {"title": heading, "consent": agreed, "investigator": investigator, "contact": contact}
    problems: list[str] = []
    values |= _show_question(kind, problems)
    values |= _offer_adaptive(kind, set_ids, values)
    values |= _show_amounts(kind, values, own=own)
    values |= _show_more_settings(kind)
    ready = _show_length(kind, set_ids, values, problems)
    of_own_question = "question" in values
    with st.container(horizontal=True, gap="small"):
        pressed = st.button("Make the study", type="primary", key="make-study", disabled=not ready)
        if st.button(
            "How many people do I need?", icon=":material/groups:", key="plan-ask-size", disabled=not ready or of_own_question
        ):
            sample_size.ask_size(values)
    if of_own_question:
        sample_size.forget_size()
        st.html(
            caption_html(
                "How many people you need cannot be worked out for a question of your own: simulated observers know feelings and "
                "who is who, and nothing of your answers."
            )
        )
    return {"name": name, **values} if pressed and ready else None


def _show_question(kind: Kind, problems: list[str]) -> dict[str, Any]:
    """What is asked. problems: gets a sentence on what does not fit."""
    offered: list[Question] = [kind, "labels", "scale"]
    asks = st.segmented_control(
        "What do people answer?", offered, default=kind, required=True, format_func=QUESTION_TITLES.__getitem__, key="plan-question"
    )
    if asks == kind:
        return {}
    values: dict[str, Any] = {"question": asks}
    usual = "Which of these fits best?" if asks == "labels" else "for example: How trustworthy is this face?"
    values["wording"] = st.text_input("Your question", max_chars=MAX_QUESTION_LETTERS, placeholder=usual, key="plan-wording")
    if asks == "labels":
        text = st.text_area(
            f"The labels, one a line ({MIN_LABELS} to {MAX_LABELS})",
            "\n".join(EMOTIONS if kind == "emotion" else ("the same person", "two people")),
            height=220,
            key="plan-labels",
            help="The six feelings are read in each person's language, other labels as you write them.",
        )
        ready = st.pills(
            "Add", READY_LABELS, selection_mode="multi", default=READY_LABELS[: kind == "emotion"], key="plan-ready-labels",
            help="Ready in every language that ships.",
        )  # fmt: skip
        try:
            values["labels"] = (*parse_labels(text), *ready)
        except LiminalError as error:
            problems.append(str(error))
        return values
    left, middle, right = st.columns([3, 2, 3], gap="medium")
    values["scale_low"] = left.text_input(
        "The low end is called", max_chars=60, placeholder="for example: not at all", key="plan-scale-low"
    )
    values["scale_points"] = middle.number_input("Points", MIN_POINTS, MAX_POINTS, 7, step=1, key="plan-scale-points")
    values["scale_high"] = right.text_input(
        "The high end is called", max_chars=60, placeholder="for example: very much", key="plan-scale-high"
    )
    return values


ADAPTIVE_HELP = {
    "axes": "These faces lie on a way from one end to another. Each person is asked where their next answer tells most about the "
    "point at which they change their mind, and is done once that is known.",
    "faces": "Each person is asked about some of the faces: those whose answers are expected to tell most about how this person "
    "differs from the others. Good for models of single people; faces get unequal numbers of votes. The first people, from whom "
    "the model of the group is learned, get faces at random.",
}


def _offer_adaptive(kind: Kind, set_ids: Sequence[str], values: dict[str, Any]) -> dict[str, Any]:
    """Whether each next face follows from the answers so far; offered where faces lie on axes, and of others where there are many.

    Usual along axes alone: of other faces it changes who sees which, and a study as in paper B shows them in random order.
    """
    stimuli = _load_stimuli(tuple(set_ids))
    try:
        plan = estimate_plan(stimuli, kind, **values, adaptive=True)
    except LiminalError:
        return {}
    on_axes = bool(find_axes(plan, stimuli))
    adaptive = st.toggle(
        "Choose each next face by the answers so far",
        on_axes,
        key=f"plan-adaptive-{'axes' if on_axes else 'faces'}",
        help=ADAPTIVE_HELP["axes" if on_axes else "faces"],
    )
    return {"adaptive": True} if adaptive else {}


def _show_amounts(kind: Kind, question: Mapping[str, Any], *, own: bool) -> dict[str, Any]:
    left, right = st.columns(2, gap="medium")
    noun = "faces" if kind == "emotion" else "pairs"
    as_paper = "" if own else "as the paper does: "
    usual = f"{as_paper}all, at most 390" if kind == "emotion" else f"{as_paper}one batch"
    if question.get("adaptive"):
        usual = "a part: the line below says how many"
    trials = left.number_input(f"How many {noun} a person?", 1, MAX_TRIALS, None, step=1, placeholder=usual, key="plan-trials")
    if not list_expected_answers(kind, question):
        right.html(caption_html("No attention checks: this question has no right answer."))
        return {"trials": trials, "sentinels": 0 if kind == "emotion" else None}
    placeholder = ("none" if own else "10") if kind == "emotion" else f"every {'picture' if own else 'base'} beside itself"
    sentinels = right.number_input(
        "How many attention checks a person?",
        0,
        MAX_SENTINELS,
        None,
        step=1,
        placeholder=placeholder,
        help="Faces with a clear feeling, spread over the feelings; people who miss many may not have looked."
        + (" They are generated, and shown among yours." if own else "")
        if kind == "emotion"
        else "A face beside itself: whoever calls it two people may not have looked.",
        key="plan-sentinels",
    )
    return {"trials": trials, "sentinels": sentinels}


def _show_more_settings(kind: Kind) -> dict[str, Any]:
    values: dict[str, Any] = {}
    with st.expander("More settings"):
        if kind == "emotion":
            first, second, third = st.columns(3, gap="medium", vertical_alignment="bottom")
            values["fixation_ms"] = first.number_input("The cross shows for (ms)", 0, 5000, 300, step=50, key="plan-fixation")
            values["image_ms"] = second.number_input(
                "The face shows for (ms; 0: until the answer)", 0, 60_000, 200, step=50, key="plan-image"
            )
            values["mask_ms"] = third.number_input(
                "A mask hides it for (ms; 0: none)", 0, 5000, 0, step=50, key="plan-mask",
                help="The face's own tiles in a random order, so that its after-image cannot be looked at.",
            )  # fmt: skip
        first, second = st.columns(2, gap="medium", vertical_alignment="bottom")
        values["deadline_ms"] = first.number_input(
            "Deadline for an answer (ms; 0: none)", 0, 60_000, 0, step=100, key="plan-deadline",
            help="Whoever misses it is asked again at the end.",
        )  # fmt: skip
        values["button_order"] = second.selectbox(
            "Order of the buttons", BUTTON_ORDERS, format_func=ORDER_TITLES.__getitem__, key="plan-order"
        )
        first, second = st.columns(2, gap="medium", vertical_alignment="bottom")
        share = first.number_input(
            "Left out: people with at most so many checks right (%)", 0, 99, 70, step=5, key="plan-share",
            help="Nothing is deleted; the rule can be switched off on the study's page.",
        )  # fmt: skip
        values["fastest_ms"] = float(
            second.number_input(
                "Left out: people with half of their answers within (ms)", 0, 60_000, 300, step=50, key="plan-fastest"
            )
        )
        values["sentinel_share"] = share / 100
        values["demographics"] = st.toggle("Ask for age and gender (people can skip it)", True, key="plan-demographics")
        values["strategy_question"] = st.toggle("Ask at the end how people decided", True, key="plan-strategy")
        values["seed"] = st.number_input("Seed of the random orders", 0, 2**31 - 1, 0, step=1, width=220, key="plan-seed")
    return values


def _show_length(kind: Kind, set_ids: Sequence[str], values: dict[str, Any], problems: list[str]) -> bool:
    """Say how many trials a person gets and how long they take, or what does not fit -> whether it fits."""
    if not problems:
        try:
            stimuli = _load_stimuli(tuple(set_ids))
            plan = estimate_plan(stimuli, kind, **values)
        except LiminalError as error:
            problems.append(str(error))
    if problems:
        st.warning(problems[0])
        return False
    noun = "pair" if kind == "identity" else "face"
    checks = f" and {count_noun(plan.sentinels, 'attention check')}" if plan.sentinels else ""
    most = "at most " if plan.adaptive and find_axes(plan, stimuli) else ""
    shown = f" Each face shows for {plan.image_ms:,} ms (More settings)." if plan.image_ms else ""
    st.html(
        f'<p class="plan-length"><b>A person gets {most}{count_noun(plan.trials, noun)}{checks}: '
        f"about {count_noun(plan.minutes, 'minute')}.</b>{shown}</p>"
    )
    return True


@st.cache_resource(show_spinner=False, max_entries=8)
def _load_stimuli(set_ids: tuple[str, ...]) -> list[Stimulus]:
    """What the sets can be asked about, without their pictures; the list must not be changed in place."""
    library = access.get_library()
    parts = []
    for set_id in set_ids:
        configuration, samples, pairs, manifest = load_tables(library.folder_of(set_id))
        parts.append(list_stimuli(SampleSet(configuration, samples, pairs, {}, {}, manifest), set_id))
    return join_stimuli(parts)
