"""A walk through a study of which nothing is kept: its owner takes part in all of it, and nothing of it can ever be counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from core.studies.ratings import Rating, Source, Task, make_ratings_table
from core.studies.recruitment import Participant, Participation
from core.studies.study import Rater, Stimulus, Study

PREVIEW_CODE = "preview"
"""The code of the rater of a preview, which no rater of the store has."""


@dataclass
class Preview:
    """One preview, as the pages of a rater use the store. It lives as long as the visit, in memory alone."""

    study: Study
    stimuli: Sequence[Stimulus]
    person: Rater | None = None
    answers: dict[tuple[str, Task], str] = field(default_factory=dict)  # (stimulus, task) -> value

    def enrol(self, name: str, assign: Callable[..., Sequence[str]], *, participant: Participant | None = None) -> Rater:
        """Begin anew, with an order as the study's first rater gets it."""
        self.answers.clear()
        self.person = Rater(PREVIEW_CODE, name, PREVIEW_CODE, tuple(assign(self.study, self.stimuli, {}, 0)))
        return self.person

    def rater(self, code: str) -> Rater:
        """The rater, None of whom is anywhere but here."""
        assert self.person is not None
        return self.person

    def update(self, code: str, **values: Any) -> Rater:
        """Change fields of the rater."""
        self.person = replace(self.rater(code), **values)
        return self.person

    def resume(self, code: str) -> Rater:
        """The rater; a preview holds no place that it could lose."""
        return self.rater(code)

    def finish(self, code: str, strategy: str = "") -> Rater:
        """The walk is over."""
        return self.update(code, finished_at=datetime.now(UTC), strategy=strategy)

    def extend(self, code: str, trials: Sequence[str]) -> Rater:
        """Ask about further stimuli."""
        return self.update(code, trials=tuple(dict.fromkeys((*self.rater(code).trials, *trials))))

    def screen_out(self, code: str) -> Rater:
        """The rater may not go on."""
        return self.update(code, screened_out_at=datetime.now(UTC))

    def keep(self, answers: Sequence[Mapping[str, Any]]) -> None:
        """Take the answers of a block: stimulus, task and value of each; what was not asked is passed over."""
        asked = set(self.person.trials) if self.person else set()
        for answer in answers:
            stimulus, task = str(answer.get("stimulus")), str(answer.get("task"))
            known = next((known for known in self.study.plan.tasks if known == task), None)
            if stimulus in asked and known is not None:
                self.answers[stimulus, known] = self.study.plan.check_answer(known, answer.get("value"))

    def answered(self, rater: Rater) -> set[tuple[str, str]]:
        """The (stimulus, task) that were answered."""
        return {(stimulus, task) for stimulus, task in self.answers}

    def ratings(self, name: str, sources: Sequence[Source] | None = None) -> pd.DataFrame:
        """The answers of this walk alone, typed as RATINGS."""
        return make_ratings_table(
            [Rating(name, PREVIEW_CODE, stimulus, task, value).to_row() for (stimulus, task), value in self.answers.items()]
        )

    def rater_ratings(self, rater: Rater) -> pd.DataFrame:
        """The answers of this walk."""
        return self.ratings(self.study.name)

    def participant_of(self, rater: Rater) -> Participant:
        """Nobody: the link of a preview names no participant."""
        return Participant()

    def find_participant(self, name: str, participant: str) -> Rater | None:
        """Nobody."""
        return None

    def count_departure(self, name: str, departure: str, step: int = 1) -> None:
        """Count nothing."""

    def participation(self, name: str) -> Participation:
        """Nobody takes part in a preview."""
        return Participation(0, 0, 0, 0, 0, 0)
