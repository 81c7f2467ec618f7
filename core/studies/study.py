"""What a study is: its plan, the images it asks about, and who takes part."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, get_args

from core.errors import LiminalError
from core.sampling.configuration import Configuration
from core.studies.ratings import Source
from core.studies.recruitment import StudySettings

Kind = Literal["identity", "emotion"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Origin = Literal["here", "imported", "published"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)
"""Made here, answers from elsewhere, or values printed in a publication."""

NAME_LENGTH = 80
DIRECTION_MARKS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Unicode marks that change the direction of text: a name with them can look like another one."""
MAX_TRIALS, MAX_SENTINELS = 5000, 1000  # a rater's, of a plan
SECONDS_PER_TRIAL: dict[Kind, float] = {"emotion": 2.2, "identity": 8.0}
"""Seconds of a trial with its breaks (paper B reports reaction times of 0.5 to 1.5 s)."""
CONSENT = (
    "You will see pictures of faces that a computer made and say what you see. Your answers and their times are kept without your "
    "name and may be published. Taking part is voluntary: you can stop at any time by closing the page."
)


def new_code() -> str:
    """A new secret of 128 bits that fits into a link."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True)
class RatingPlan(Configuration):
    """How people are asked. Raises LiminalError with one sentence where a value makes no sense."""

    samples: ClassVar[str] = "studies"

    kind: Kind
    trials: int  # a rater's, sentinels not counted (paper A: 112 with its genuine pairs, paper B: 390)
    sentinels: int = 0  # a rater's (paper B: 10; paper A's genuine pairs are sentinels)
    seed: int = 0
    fixation_ms: int = 300  # paper B
    image_ms: int = 200  # paper B; 0: the images stay until the answer (identity)
    title: str = ""
    consent: str = CONSENT
    demographics: bool = True  # asked for, never required
    strategy_question: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise LiminalError(f"A study asks about {' or '.join(KINDS)}, not about '{self.kind}'.")
        if not 1 <= self.trials <= MAX_TRIALS or not 0 <= self.sentinels <= MAX_SENTINELS:
            raise LiminalError(
                f"A rater gets 1 to {MAX_TRIALS:,} trials and at most {MAX_SENTINELS:,} attention checks; choose fewer."
            )
        if not 0 <= self.fixation_ms <= 5000 or not 0 <= self.image_ms <= 60_000:
            raise LiminalError("The cross shows for at most 5 seconds and an image for at most 60; choose shorter times.")
        if not self.consent.strip():
            raise LiminalError("A study needs a text that people consent to; say what happens with their answers.")

    @property
    def minutes(self) -> int:
        """About how long it takes a person, in minutes, at least 1."""
        return max(1, round((self.trials + self.sentinels) * SECONDS_PER_TRIAL[self.kind] / 60))


@dataclass(frozen=True)
class Study:
    """A study as it is stored. ``token`` is the secret of the link that raters get."""

    name: str
    plan: RatingPlan
    token: str = field(default_factory=new_code)
    source: Source = "human"  # simulated: marked wherever it is shown
    origin: Origin = "here"  # else nobody was asked here
    closed: bool = False  # takes no new raters and no more answers
    sample_sets: tuple[str, ...] = ()  # ids of folders in the library of sample sets
    note: str = ""  # of simulated answers: the relations that were planted
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    settings: StudySettings = field(default_factory=StudySettings)

    def __post_init__(self) -> None:
        name = self.name.strip()
        if not name or len(name) > NAME_LENGTH or not all(map(_is_showable, name)):
            raise LiminalError(f"A study needs a name of 1 to {NAME_LENGTH} printable characters.")
        object.__setattr__(self, "name", name)

    @property
    def asks_people(self) -> bool:
        """Whether people are asked here: it is neither simulated nor brought in from elsewhere."""
        return self.source == "human" and self.origin == "here"


def _is_showable(letter: str) -> bool:
    # Not isprintable(), which refuses the joiners inside an emoji and of several scripts, and emoji that are newer than Python.
    return unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp") and letter not in DIRECTION_MARKS


@dataclass(frozen=True)
class Stimulus:
    """What one trial shows: one image, or a base and a sample."""

    stimulus: str  # pair_id or sample_id
    images: tuple[str, ...]  # sample_ids: (image,) or (base, sample)
    sample_type: str = ""
    base_id: str = ""
    is_sentinel: bool = False
    expected: str = ""  # a sentinel's right answer: an emotion, or '1' for a genuine pair
    details: Mapping[str, Any] = field(default_factory=dict)  # plain JSON values: step, pair of emotions, set ...


@dataclass(frozen=True)
class Rater:
    """Someone who takes part. ``code`` is the secret that lets them come back; ``rater`` is the name on their answers."""

    rater: str
    study: str
    code: str
    trials: tuple[str, ...]  # stimuli in this rater's order
    source: Source = "human"
    consented_at: datetime | None = None
    demographics: Mapping[str, Any] = field(default_factory=dict)
    strategy: str = ""
    finished_at: datetime | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    released_at: datetime | None = None  # stopped for so long that the place was handed out again
    screened_out_at: datetime | None = None
    understood_at: datetime | None = None  # when the questions on the instructions were answered
    tries: int = 0  # at those questions

    @property
    def state(self) -> str:
        """How far they are, in two words at most."""
        if self.finished_at is not None:
            return "finished"
        if self.screened_out_at is not None:
            return "screened out"
        return "timed out" if self.released_at is not None else "taking part"
