"""What a study is: its plan, the images it asks about, and who takes part."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, get_args

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.sampling.configuration import Configuration
from core.studies.ratings import Source, Task, check_value
from core.studies.recruitment import StudySettings

Kind = Literal["identity", "emotion"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Question = Literal["identity", "emotion", "labels", "scale"]
QUESTIONS: tuple[Question, ...] = get_args(Question)
"""Same person and similarity (paper A), one of six emotions (paper B), one of the study's own labels, or a rating scale."""
TASKS: Mapping[Question, tuple[Task, ...]] = {
    "identity": ("similarity", "identity"),
    "emotion": ("emotion",),
    "labels": ("label",),
    "scale": ("scale",),
}
"""The tasks of one trial; the last one is the question's main one."""
READY_LABELS = ("neutral", "none of these")
"""Labels that have words in every language that ships, as the six emotions have."""
MIN_LABELS, MAX_LABELS = 2, 12
MIN_POINTS, MAX_POINTS = 2, 10
MAX_QUESTION_LETTERS = 200

ButtonOrder = Literal["fixed", "mirrored", "random"]
BUTTON_ORDERS: tuple[ButtonOrder, ...] = get_args(ButtonOrder)
"""Of the answers' buttons: as listed; turned around for every second rater; or drawn anew for every rater."""

Origin = Literal["here", "imported", "published"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)
"""Made here, answers from elsewhere, or values printed in a publication."""

NAME_LENGTH = 80
DIRECTION_MARKS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Unicode marks that change the direction of text: a name with them can look like another one."""
MAX_TRIALS, MAX_SENTINELS = 5000, 1000  # a rater's, of a plan
SECONDS_PER_TRIAL: Mapping[Question, float] = {"emotion": 2.2, "identity": 8.0, "labels": 3.0, "scale": 3.0}
"""Seconds of a trial with its breaks (paper B reports reaction times of 0.5 to 1.5 s)."""
CONSENT = (
    "You will see pictures of faces that a computer made and say what you see. Your answers and their times are kept without your "
    "name and may be published. Taking part is voluntary: you can stop at any time by closing the page."
)
OWN_PICTURES_CONSENT = CONSENT.replace("faces that a computer made", "faces")


def new_code() -> str:
    """A new secret of 128 bits that fits into a link."""
    return secrets.token_urlsafe(16)


def parse_labels(text: str) -> tuple[str, ...]:
    """The labels of a table, one a line; a first column is taken where there are several. Raises LiminalError without any."""
    lines = (line.replace("\t", ",").replace(";", ",").partition(",")[0].strip().strip('"') for line in text.splitlines())
    labels = tuple(line for line in lines if line)
    if not labels:
        raise LiminalError(f"The table of labels has no row; write one label a line, {MIN_LABELS} to {MAX_LABELS} of them.")
    return labels


@dataclass(frozen=True)
class RatingPlan(Configuration):
    """How people are asked. Raises LiminalError with one sentence where a value makes no sense."""

    samples: ClassVar[str] = "studies"
    later_parameters: ClassVar[tuple[str, ...]] = (
        *("question", "wording", "labels", "scale_points", "scale_low", "scale_high"),
        *("adaptive", "stop_width"),
        *("mask_ms", "deadline_ms", "button_order", "sentinel_share", "fastest_ms", "investigator", "contact"),
    )

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
    question: Question | Literal[""] = ""  # '': the kind's own
    wording: str = ""  # of the question, as raters read it; '': the usual one, where there is one
    labels: tuple[str, ...] = ()  # of the question 'labels'
    scale_points: int = 7  # of the question 'scale', from 1
    scale_low: str = ""  # the ends of the scale, in words
    scale_high: str = ""
    mask_ms: int = 0  # a pattern of the image's own tiles after it; 0: none
    deadline_ms: int = 0  # from the first moment at which one can answer; who misses it is asked again at the end; 0: none
    button_order: ButtonOrder = "fixed"
    sentinel_share: float = 0.7  # exclusion: with no more than this share of the attention checks right
    fastest_ms: float = 300.0  # exclusion: with a lower median reaction time
    investigator: str = ""  # whose study it is, as raters read it
    contact: str = ""  # where raters can ask about it
    adaptive: bool = False  # each next stimulus follows from the answers so far (``core.studies.adaptive``)
    stop_width: float = 0.1  # of an adaptive study: an axis is done once its threshold is known so well, in shares of the axis

    def __post_init__(self) -> None:
        for name in ("title", "wording", "scale_low", "scale_high", "investigator", "contact"):
            object.__setattr__(self, name, getattr(self, name).strip())
        object.__setattr__(self, "labels", tuple(label.strip() for label in self.labels))
        object.__setattr__(self, "question", "" if self.question == self.kind else self.question)
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

        if not 0 <= self.mask_ms <= 5000 or not (self.deadline_ms == 0 or 200 <= self.deadline_ms <= 60_000):
            raise LiminalError("A mask shows for at most 5 seconds, and a deadline lies from 200 ms to 60 s; choose other times.")
        if self.mask_ms and not self.image_ms:
            raise LiminalError("A mask follows an image that goes away: say for how many ms it shows, or leave the mask out.")
        if self.mask_ms and self.kind == "identity":
            raise LiminalError("A mask hides a single face; leave it out of a study of pairs.")
        if self.button_order not in BUTTON_ORDERS:
            raise LiminalError(f"Buttons are {', '.join(BUTTON_ORDERS)}, not '{self.button_order}'.")
        if not 0.0 <= self.sentinel_share < 1.0 or not 0.0 <= self.fastest_ms <= 60_000.0:
            raise LiminalError("Exclusion rules: a share of checks from 0 to below 1, a reaction time from 0 to 60,000 ms.")
        for name in ("title", "investigator", "contact", "wording", "scale_low", "scale_high"):
            text = getattr(self, name)
            if len(text) > MAX_QUESTION_LETTERS or not all(map(_is_showable, text)):
                what = name.replace("_", " ")
                raise LiminalError(f"What raters read as {what} is one line of at most {MAX_QUESTION_LETTERS} letters.")
        if not 0.01 <= self.stop_width <= 1.0:
            raise LiminalError(f"'stop_width' is a share of the axis from 0.01 to 1, not {self.stop_width!r}.")
        if self.adaptive and self.asks not in KINDS:
            raise LiminalError("An adaptive study asks 'identity' or 'emotion'; leave the other question out, or ask all in turn.")
        self._check_question()

    def _check_question(self) -> None:
        if self.question not in ("", *QUESTIONS) or (self.question in KINDS and self.question != self.kind):
            shown = "pairs" if self.kind == "identity" else "single faces"
            raise LiminalError(f"About {shown} one can ask {self.kind}, labels or scale, not '{self.question}'.")
        if self.asks == "labels":
            many, different = len(self.labels), {label.casefold() for label in self.labels}
            if not MIN_LABELS <= many <= MAX_LABELS or len(different) < many:
                raise LiminalError(f"A list has {MIN_LABELS} to {MAX_LABELS} different labels, and this one has {len(different)}.")
            for label in self.labels:
                check_value("label", label)
            if self.kind == "emotion" and set(self.labels) == set(EMOTIONS):
                raise LiminalError("These labels are the six emotions; ask 'emotion' instead, so that paper B's figures apply.")
        elif self.labels:
            raise LiminalError(f"Labels belong to the question 'labels', and this study asks '{self.asks}'.")
        if self.asks == "scale":
            if not MIN_POINTS <= self.scale_points <= MAX_POINTS:
                raise LiminalError(f"A rating scale has {MIN_POINTS} to {MAX_POINTS} points; choose a number between.")
            if not (self.wording and self.scale_low and self.scale_high):
                raise LiminalError("A rating scale needs a question and a name for each of its ends; write all three.")

    @property
    def asks(self) -> Question:
        """Which question a trial asks."""
        return self.question or self.kind

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks of one trial."""
        return TASKS[self.asks]

    @property
    def main_task(self) -> Task:
        """The task that rankings and comparisons are about."""
        return self.tasks[-1]

    @property
    def choices(self) -> tuple[str, ...]:
        """The answers to choose from, in their fixed order: of the main task."""
        points = tuple(str(point) for point in range(1, self.scale_points + 1))
        return {"identity": ("1", "0"), "emotion": EMOTIONS, "labels": self.labels, "scale": points}[self.asks]

    def check_answer(self, task: Task, value: object) -> str:
        """An answer to this study as text. Raises LiminalError for what is none."""
        text = check_value(task, value)
        if task not in self.tasks:
            raise LiminalError(f"This study does not ask about {task}.")
        if task != "similarity" and text not in self.choices:
            raise LiminalError(f"'{text}' is none of this study's answers; there are {', '.join(self.choices)}.")
        return text

    @property
    def minutes(self) -> int:
        """About how long it takes a person, in minutes, at least 1."""
        seconds = SECONDS_PER_TRIAL[self.asks] + self.mask_ms / 1000
        return max(1, round((self.trials + self.sentinels) * seconds / 60))


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
        object.__setattr__(self, "name", check_study_name(self.name))

    @property
    def asks_people(self) -> bool:
        """Whether people are asked here: it is neither simulated nor brought in from elsewhere."""
        return self.source == "human" and self.origin == "here"


def check_study_name(name: str) -> str:
    """A study's name without blanks around it. Raises LiminalError for nothing, for too much and for what cannot be shown."""
    stripped = name.strip()
    if not stripped or len(stripped) > NAME_LENGTH or not all(map(_is_showable, stripped)):
        raise LiminalError(f"A study needs a name of 1 to {NAME_LENGTH} printable characters.")
    return stripped


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
