"""A visitor's answers, held in their session: what was asked, what had been guessed before, what they said; and handing them in
to the study.

Each guess is made before the face is shown and never changed afterwards, so that its score is one on answers not yet given.
Answers stay in
the session alone until the visitor hands them in.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from ui.markup import caption_html
from ui.studies import access

if TYPE_CHECKING:
    from core.alignment.alignment import Alignment
    from core.alignment.observer import PersonPosterior, PersonPrior
    from core.alignment.stimulus_choice import ControversialImage
    from core.studies.study import Rater, Study
    from ui.analysis.study_choice import StudyChoice


Array = NDArray[np.float64]

BLOCK_SIZE, MORE_QUESTIONS = 30, 10
VISITOR_SLOT = "you-visitor"


@dataclass(frozen=True, eq=False)
class GuessedQuestion:
    """One question. own, group: guesses (6,) made before it was answered."""

    stimulus: str
    own: Array
    group: Array
    said: int = -1  # place in EMOTIONS; -1: not answered yet
    milliseconds: float = 0.0
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class VisitorAnswers:
    """One visitor under one group's model. prior: how much the people of the study differ."""

    alignment: Alignment
    network: str
    prior: PersonPrior
    informative: bool = True
    target: int = BLOCK_SIZE
    answers: list[GuessedQuestion] = field(default_factory=list)
    pending: GuessedQuestion | None = None
    known: PersonPosterior | None = None
    made: list[ControversialImage] = field(default_factory=list)  # images made for this visitor
    made_said: list[int] = field(default_factory=list)  # what they said of these, places in EMOTIONS
    rounds: int = 0  # of making images

    @property
    def n(self) -> int:
        """Answers so far."""
        return len(self.answers)

    @property
    def group(self) -> Array:
        """The group's guesses at what was answered (n, 6)."""
        return np.array([each.group for each in self.answers]).reshape(-1, len(EMOTIONS))

    @property
    def own(self) -> Array:
        """The guesses from the answers before each (n, 6)."""
        return np.array([each.own for each in self.answers]).reshape(-1, len(EMOTIONS))

    @property
    def said(self) -> NDArray[np.intp]:
        """Answers as places in EMOTIONS (n,)."""
        return np.array([each.said for each in self.answers], np.intp)

    @cached_property
    def crowd(self) -> Array:
        """What the group's model says of every image of the study (I, 6)."""
        return self.alignment.group(self.network).images

    def learned(self) -> PersonPosterior:
        """What is known of the visitor by now."""
        if self.known is None or self.known.n != self.n:
            from core.alignment.observer import fit_person

            self.known = fit_person(self.group, self.said, self.prior, self.known)
        return self.known

    def question(self, pictured: Mapping[str, str]) -> GuessedQuestion | None:
        """The question that is open, else the next one with its guess; None where all have been asked."""
        if self.pending is None:
            name = self._next(pictured)
            if name is not None:
                said = self.crowd[[self.alignment.answers.images.index(name)]]
                self.pending = GuessedQuestion(name, self.learned().probabilities(said)[0], said[0])
        return self.pending

    def _next(self, pictured: Mapping[str, str]) -> str | None:
        from core.alignment.stimulus_choice import choose_next_question

        gone = {each.stimulus for each in self.answers}
        names = self.alignment.answers.images
        left = [place for place, name in enumerate(names) if name in pictured and name not in gone]
        if not left:
            return None
        if not self.informative:
            return names[int(np.random.default_rng().choice(left))]
        return choose_next_question(self.learned(), self.crowd[left], [names[place] for place in left], seed=self.n)[0]

    def answer(self, given: Mapping[str, Any]) -> None:
        """Take the answer to the open question; one to another question, come twice, is passed over."""
        open_now = self.pending
        if open_now is None or given.get("stimulus") != open_now.stimulus or given.get("number") != self.n:
            return
        if given.get("emotion") in EMOTIONS:
            said = EMOTIONS.index(given["emotion"])
            took = float(given.get("milliseconds") or 0)
            self.answers.append(GuessedQuestion(open_now.stimulus, open_now.own, open_now.group, said, took))
            self.pending = None

    def score(self) -> tuple[int, int]:
        """How many answers the own guess had right, and the group's."""
        said = self.said
        return int((self.own.argmax(axis=1) == said).sum()), int((self.group.argmax(axis=1) == said).sum())


def current_visitor(alignment: Alignment, network: str) -> VisitorAnswers:
    """The visitor of this session; somebody new where another study or network is looked at."""
    kept: dict[tuple[str, str], VisitorAnswers] = st.session_state.setdefault(VISITOR_SLOT, {})
    key = (alignment.alignment_id, network)
    if key not in kept:
        kept[key] = VisitorAnswers(alignment, network, _load_prior(alignment.alignment_id, network, alignment))
    return kept[key]


@st.cache_resource(show_spinner="Looking at how much people differ", max_entries=8)
def _load_prior(alignment_id: str, network: str, _alignment: Alignment) -> PersonPrior:
    from core.alignment.personal import fit_crowd_prior

    return fit_crowd_prior(_alignment, network)


HANDED_IN_SLOT = "you-kept"


def show_hand_in(chosen: StudyChoice, you: VisitorAnswers) -> None:
    """What happens to the answers, and a way to hand them in where the study takes any."""
    study = chosen.study
    if study.source != "human" or study.published or study.closed:
        st.html(caption_html("Your answers stay in this visit and are gone when you close the page; this study takes none."))
        return
    kept: tuple[object, int] | None = st.session_state.get(HANDED_IN_SLOT)
    if kept is not None and kept[0] is you:
        st.success(f"Your first {kept[1]:,} answers are kept in the study. Those that you give from now on stay in this visit.")
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
    """Somebody new in the study with these answers -> who. Raises LiminalError where the store takes none."""
    from core.studies.ratings import Rating

    asked = [each.stimulus for each in you.answers]
    store = access.get_store()
    rater = store.enrol(study.name, lambda *_: asked)
    store.save(
        [
            Rating(
                study.name,
                rater.rater,
                each.stimulus,
                "emotion",
                EMOTIONS[each.said],
                rating_id=access.make_answer_id(rater.code, each.stimulus, "emotion"),
                trial=place,
                reaction_time_ms=each.milliseconds,
                presented={"trial_type": "self-paced", "chosen_by_information": you.informative},
                created_at=each.at,
            )
            for place, each in enumerate(you.answers)
        ]
    )
    now = datetime.now(UTC)
    return store.update(rater.code, consented_at=now, finished_at=now)
