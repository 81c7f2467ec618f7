"""Components that ask: timed trials of a study, single emotion questions at one's own pace, and the rater's code in the browser.

A block's answers go to the server's own route; a single question's answer goes to the page and to no study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import streamlit as st

from core.models.emotions import EMOTIONS
from core.studies.study import RatingPlan
from core.studies.words import Words
from ui.components import mount

TRIAL_PARTS = ("presses", "rater_words", "answers", "timed_trial", "pair_trial")
BLOCK_WORDS = ("language.", "number.", "count.", "button.", "block.", "status.", "ask.")
"""Keys of the words that a block may say begin with one of these."""


@dataclass(frozen=True)
class Trial:
    """One trial that is still to be answered."""

    stimulus: str
    images: Sequence[str]  # addresses: one face, or the base and the sample
    ids: Mapping[str, str]  # task -> the UUID of its answer
    feedback: Mapping[str, Sequence[str]] = field(default_factory=dict)  # practice: answer -> (title, sentence)


def run_trial_block(
    trials: Sequence[Trial],
    *,
    plan: RatingPlan,
    choices: Sequence[str],
    words: Words,
    study: str,
    code: str,
    total: int,
    key: str,
    on_finished: Callable[[Any], None],
    practice: bool = False,
    preview: bool = False,
    answered: int = 0,
) -> None:
    """A block of timed trials, in the order of ``trials``. ``on_finished`` is called once the server has acknowledged every answer.

    choices: the answers in this rater's order; study: its token; total: all trials of this rater. practice: no answer is kept or
    sent; each gets its ``feedback``. answered: of an adaptive study, how many were before this part.
    preview: none is sent; all go to ``on_finished``, as {stimulus, task, value}.
    """

    def finished() -> None:
        value = st.session_state[key].get("finished")
        if value:
            on_finished(value)

    mount("trial", parts=TRIAL_PARTS)(
        data={
            "trials": [asdict(trial) for trial in trials],
            "shows": "pair" if plan.kind == "identity" else "face",
            "question": plan.asks,
            "prompt": plan.wording or (words.say("ask.labels") if plan.asks == "labels" else ""),
            "ends": [plan.scale_low, plan.scale_high],
            "words": {key: text for key, text in words.texts.items() if key.startswith(BLOCK_WORDS)},
            "study": study,
            "code": code,
            "total": total,
            "adaptive": plan.adaptive and not practice,
            "answered": answered,
            "fixation_ms": plan.fixation_ms,
            "image_ms": plan.image_ms,
            "mask_ms": plan.mask_ms,
            "deadline_ms": plan.deadline_ms,
            "choices": [[choice, words.say_answer(choice)] for choice in choices],
            "practice": practice,
            "preview": preview,
        },
        key=key,
        on_finished_change=finished,
    )


def ask_emotion(
    *,
    number: int,
    stimulus: str,
    src: str,
    key: str,
    on_answer: Callable[[Mapping[str, Any]], None],
    feedback: str = "",
    right: bool | None = None,
) -> None:
    """One face and six emotions to answer with. ``on_answer`` gets {number, stimulus, emotion, milliseconds}.

    number: of the question, from 0; feedback: a sentence on the one before; right: whether its answer had been guessed.
    """

    def answered() -> None:
        answer = st.session_state[key].get("answered")
        if answer:
            on_answer(answer)

    mount("question", parts=("presses",))(
        data={
            "number": number,
            "stimulus": stimulus,
            "src": src,
            "told": feedback,
            "right": None if right is None else "yes" if right else "no",
            "emotions": list(EMOTIONS),
        },
        key=key,
        on_answered_change=answered,
    )


def choose_face(
    *,
    study: str,
    chain: int,
    iteration: int,
    frames: Sequence[str],
    start: int,
    turned: bool,
    prompt: str,
    words: Words,
    problem: str,
    tries: int,
    key: str,
    on_chosen: Callable[[Mapping[str, Any]], None],
) -> None:
    """One face under a slider. ``on_chosen`` gets {chain, iteration, frame, moves, milliseconds, start, turned}.

    frames: addresses, from the lowest value to the highest; start: the one that the handle stands at; turned: the slider runs the
    other way. problem: why the choice before could not be kept, shown beside the same face; tries: how often that happened.
    """

    def chosen() -> None:
        choice = st.session_state[key].get("chosen")
        if choice:
            on_chosen(choice)

    said = {name: words.texts[f"making.{name}"] for name in ("slider", "position", "move", "drawing")}
    mount("face_slider", parts=("presses",))(
        data={
            "study": study,
            "chain": chain,
            "iteration": iteration,
            "frames": list(frames),
            "start": start,
            "turned": turned,
            "prompt": prompt,
            "words": {**said, "next": words.say("button.next")},
            "problem": problem,
            "tries": tries,
        },
        key=key,
        on_chosen_change=chosen,
    )


def report_device(*, refresh: bool, key: str) -> Mapping[str, Any] | None:
    """What the browser says of its device, None until it has; the page runs again when it changes.

    width and height of the window, phone, mouse, touch, keyboard (true once a key was pressed), and refresh in Hz where it is asked
    for, which takes a second.
    """
    value = mount("device", parts=("timed_trial",))(
        data={"refresh": refresh}, key=key, default={"device": None}, on_device_change=lambda: None
    )
    device = value.get("device")
    return device if isinstance(device, Mapping) else None


def remember_code(study: str, code: str = "", *, forget: bool = False, language: str) -> str:
    """Store ``code`` in the browser under the study's token -> the code stored there, '' until the browser has sent it.

    language: of the page, of which screen readers and the choice of fonts make use.
    """
    value = mount("remembered")(
        data={"study": study, "code": code, "forget": forget, "language": language},
        key=f"remembered-{study.encode().hex()}",  # a token may hold '__', which a component's key must not
        default={"code": ""},
        on_code_change=lambda: None,
    )
    return str(value.get("code") or "")
