"""A visitor's answers, held in their session: the questions, the guesses made before, the answers; and handing them in.

Each guess is made before the face is shown and never changed afterwards, so that it is scored on an answer that was not known
then. Answers stay in the session alone until the visitor hands them in.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.alignment.alignment import Alignment
from core.alignment.observer import PersonPrior
from core.alignment.personal import fit_crowd_prior
from core.alignment.response_patterns import PersonModel, learn_person
from core.alignment.stimulus_choice import ControversialImage, choose_next_question
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.studies.ratings import Rating
from core.studies.study import Rater, Study
from ui.analysis.study_choice import StudyChoice
from ui.markup import caption_html
from ui.studies import access

Array = NDArray[np.float64]

BLOCK_SIZE, MORE_QUESTIONS = 30, 10
VISITOR_SLOT = "you-visitor"


@dataclass(frozen=True, eq=False)
class GuessedQuestion:
    """One question. own_guess, group_guess: probabilities (6,) by the visitor's and the group's model, before it was answered."""

    stimulus: str
    own_guess: Array
    group_guess: Array
    answer: int = -1  # index in EMOTIONS; -1: not answered yet
    milliseconds: float = 0.0
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class VisitorAnswers:
    """One visitor under one group's model. prior: how much the people of the study differ. target: questions before the profile."""

    alignment: Alignment
    network: str
    prior: PersonPrior
    informative: bool = False
    target: int = BLOCK_SIZE
    answers: list[GuessedQuestion] = field(default_factory=list)
    pending: GuessedQuestion | None = None
    known: PersonModel | None = None
    stimuli: list[ControversialImage] = field(default_factory=list)  # images made for this visitor
    stimulus_answers: list[int] = field(default_factory=list)  # the answers to these, indices in EMOTIONS
    rounds: int = 0  # of making images

    @property
    def n(self) -> int:
        """The number of answers so far."""
        return len(self.answers)

    @property
    def group_predictions(self) -> Array:
        """The group's model on the faces that were answered (n, 6)."""
        return np.array([question.group_guess for question in self.answers]).reshape(-1, len(EMOTIONS))

    @property
    def own_predictions(self) -> Array:
        """The visitor's model on these faces, each from the answers before it (n, 6)."""
        return np.array([question.own_guess for question in self.answers]).reshape(-1, len(EMOTIONS))

    @property
    def answered_emotions(self) -> NDArray[np.intp]:
        """Answers as indices in EMOTIONS (n,)."""
        return np.array([question.answer for question in self.answers], np.intp)

    @cached_property
    def crowd(self) -> Array:
        """The group model's probabilities for every image of the study (I, 6)."""
        return self.alignment.group(self.network).images

    def learned(self) -> PersonModel:
        """The visitor's model from the answers so far."""
        if self.known is None or self.known.n != self.n:
            self.known = learn_person(self.group_predictions, self.answered_emotions, self.prior, self.known)
        return self.known

    def question(self, pictured: Mapping[str, str]) -> GuessedQuestion | None:
        """The open question, else the next one with its guess; None where all have been asked. pictured: stimulus -> address."""
        if self.pending is None:
            name = self._next(pictured)
            if name is not None:
                group = self.crowd[[self.alignment.answers.images.index(name)]]
                self.pending = GuessedQuestion(name, self.learned().probabilities(group)[0], group[0])
        return self.pending

    def _next(self, pictured: Mapping[str, str]) -> str | None:
        answered = {question.stimulus for question in self.answers}
        names = self.alignment.answers.images
        left = [index for index, name in enumerate(names) if name in pictured and name not in answered]
        if not left:
            return None
        if not self.informative:
            return names[int(np.random.default_rng().choice(left))]
        return choose_next_question(self.learned().shift, self.crowd[left], [names[index] for index in left], seed=self.n)[0]

    def answer(self, message: Mapping[str, Any]) -> None:
        """Take the answer to the open question; one to another question, or one that came twice, is passed over.

        message: stimulus, number (of the question, from 0), emotion and milliseconds, as the component sends them.
        """
        question = self.pending
        if question is None or message.get("stimulus") != question.stimulus or message.get("number") != self.n:
            return
        if message.get("emotion") in EMOTIONS:
            emotion = EMOTIONS.index(message["emotion"])
            milliseconds = float(message.get("milliseconds") or 0)
            self.answers.append(replace(question, answer=emotion, milliseconds=milliseconds, at=datetime.now(UTC)))
            self.pending = None

    def score(self) -> tuple[int, int]:
        """How many answers the visitor's model guessed right, and how many the group's."""
        emotions = self.answered_emotions
        visitor, group = (guesses.argmax(axis=1) == emotions for guesses in (self.own_predictions, self.group_predictions))
        return int(visitor.sum()), int(group.sum())


def current_visitor(alignment: Alignment, network: str) -> VisitorAnswers:
    """The answers of this session under an alignment and a network; begun where there are none."""
    visitors: dict[tuple[str, str], VisitorAnswers] = st.session_state.setdefault(VISITOR_SLOT, {})
    key = (alignment.alignment_id, network)
    if key not in visitors:
        visitors[key] = VisitorAnswers(alignment, network, _load_prior(alignment.alignment_id, network, alignment))
    return visitors[key]


@st.cache_resource(show_spinner="Looking at how much people differ", max_entries=8)
def _load_prior(alignment_id: str, network: str, _alignment: Alignment) -> PersonPrior:
    return fit_crowd_prior(_alignment, network)


HANDED_IN_SLOT = "you-kept"


def show_hand_in(chosen: StudyChoice, you: VisitorAnswers) -> None:
    """Say what happens to the answers, and offer to hand them in where the study takes any."""
    study = chosen.study
    if not study.asks_people or study.closed or study.settings.target is not None:
        st.html(caption_html("Your answers stay in this visit and are gone when you close the page; this study takes none."))
        return
    handed_in: tuple[object, int] | None = st.session_state.get(HANDED_IN_SLOT)
    if handed_in is not None and handed_in[0] is you:
        count = handed_in[1]
        st.success(f"Your first {count:,} answers are kept in the study. Those that you give from now on stay in this visit.")
        return
    st.html(caption_html("Your answers stay in this visit and are gone when you close the page, unless you hand them in."))
    with st.popover("Keep them in the study", icon=":material/inventory_2:"):
        st.html("".join(f"<p>{html.escape(part)}</p>" for part in study.plan.consent.splitlines() if part.strip()))
        st.html(
            caption_html("They are marked as given at one’s own pace. The crowd’s model learns from them only when it learns anew.")
        )
        if st.button(f"I agree: keep my {you.n:,} answers", type="primary", key="you-keep"):
            try:
                hand_in_answers(study, you)
            except LiminalError as error:
                st.error(str(error))
            else:
                st.session_state[HANDED_IN_SLOT] = (you, you.n)
                st.rerun()


def hand_in_answers(study: Study, you: VisitorAnswers) -> Rater:
    """Enrol a rater with these answers -> the rater. Raises LiminalError where the store takes none."""
    stimuli = [question.stimulus for question in you.answers]
    store = access.get_store()
    rater = store.enrol(study.name, lambda *_: stimuli)
    store.save(
        [
            Rating(
                study.name,
                rater.rater,
                question.stimulus,
                "emotion",
                EMOTIONS[question.answer],
                rating_id=access.make_answer_id(rater.code, question.stimulus, "emotion"),
                trial=trial,
                reaction_time_ms=question.milliseconds,
                presented={"trial_type": "self-paced", "chosen_by_information": you.informative},
                created_at=question.at,
            )
            for trial, question in enumerate(you.answers)
        ]
    )
    store.update(rater.code, consented_at=datetime.now(UTC))
    return store.finish(rater.code)
