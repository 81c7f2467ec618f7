"""A visitor's answers, kept in their session: what was asked, what had been guessed before, and what they said.

Each guess is made before the face is shown and never changed afterwards, so that its score is one on answers not yet given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.models.emotions import EMOTIONS

if TYPE_CHECKING:
    from core.alignment.alignment import Alignment
    from core.alignment.controversial import Controversial
    from core.alignment.observer import Posterior, Prior

Array = NDArray[np.float64]

BLOCK, MORE = 30, 10
VISITOR = "you-visitor"


@dataclass(frozen=True, eq=False)
class Asked:
    """One question. own, group: guesses (6,) made before it was answered."""

    stimulus: str
    own: Array
    group: Array
    said: int = -1  # place in EMOTIONS; -1: not answered yet
    milliseconds: float = 0.0
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Visitor:
    """One visitor under one group's model. prior: how much the people of the study differ."""

    alignment: Alignment
    network: str
    prior: Prior
    informative: bool = True
    target: int = BLOCK
    answers: list[Asked] = field(default_factory=list)
    pending: Asked | None = None
    known: Posterior | None = None
    made: list[Controversial] = field(default_factory=list)  # images made for this visitor
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

    def learned(self) -> Posterior:
        """What is known of the visitor by now."""
        if self.known is None or self.known.n != self.n:
            from core.alignment.observer import observe

            self.known = observe(self.group, self.said, self.prior, self.known)
        return self.known

    def question(self, pictured: Mapping[str, str]) -> Asked | None:
        """The question that is open, else the next one with its guess; None where all have been asked."""
        if self.pending is None:
            name = self._next(pictured)
            if name is not None:
                said = self.crowd[[self.alignment.answers.images.index(name)]]
                self.pending = Asked(name, self.learned().probabilities(said)[0], said[0])
        return self.pending

    def _next(self, pictured: Mapping[str, str]) -> str | None:
        from core.alignment.information import next_question

        gone = {each.stimulus for each in self.answers}
        names = self.alignment.answers.images
        left = [place for place, name in enumerate(names) if name in pictured and name not in gone]
        if not left:
            return None
        if not self.informative:
            return names[int(np.random.default_rng().choice(left))]
        return next_question(self.learned(), self.crowd[left], [names[place] for place in left], seed=self.n)[0]

    def answer(self, given: Mapping[str, Any]) -> None:
        """Take the answer to the open question; one to another question, come twice, is passed over."""
        open_now = self.pending
        if open_now is None or given.get("stimulus") != open_now.stimulus or given.get("number") != self.n:
            return
        if given.get("emotion") in EMOTIONS:
            said = EMOTIONS.index(given["emotion"])
            took = float(given.get("milliseconds") or 0)
            self.answers.append(Asked(open_now.stimulus, open_now.own, open_now.group, said, took))
            self.pending = None

    def score(self) -> tuple[int, int]:
        """How many answers the own guess had right, and the group's."""
        said = self.said
        return int((self.own.argmax(axis=1) == said).sum()), int((self.group.argmax(axis=1) == said).sum())


def visitor(alignment: Alignment, network: str) -> Visitor:
    """The visitor of this session; somebody new where another study or network is looked at."""
    kept: dict[tuple[str, str], Visitor] = st.session_state.setdefault(VISITOR, {})
    key = (alignment.alignment_id, network)
    if key not in kept:
        kept[key] = Visitor(alignment, network, _prior(alignment.alignment_id, network, alignment))
    return kept[key]


@st.cache_resource(show_spinner="Looking at how much people differ", max_entries=8)
def _prior(alignment_id: str, network: str, _alignment: Alignment) -> Prior:
    from core.alignment.profile import crowd

    return crowd(_alignment, network)
