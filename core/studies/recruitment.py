"""How people come into a study and leave it: what the link says of them, where they are sent afterwards, how many are wanted.

A panel (Prolific, MTurk, SONA or any other) opens the study's link with parameters of its own; one of them names the participant.
Names are personal data: they are stored apart from the answers (``core.studies.storage.places``) and in no export unless asked for.
Whoever leaves gets an address to go on to, or a code to show there (``StudySettings``); both are the owner's words and are checked
here, and what a link brings along is percent-encoded into them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar, Literal
from urllib.parse import quote, urlsplit

from core.errors import LiminalError
from core.sampling.configuration import Configuration
from core.studies.screening import InputDevice, check_screening
from core.studies.words import BY_BROWSER, LANGUAGE_CHOICES, OWN_TABLE, RaterError

OWN_PARAMETERS = ("study", "code", "preview")
"""Parameters of a link that are the app's own: the study's secret, the rater's, and that its owner looks at it."""

PARTICIPANT_PARAMETERS = (
    "PROLIFIC_PID", "workerId", "survey_code", "participant", "participant_id", "participantId", "panelist_id", "pid", "psid",
    "rid", "subject", "uid", "user_id", "id",
)  # fmt: skip
"""Parameters that name the participant where no setting says which one does, the likeliest first: Prolific, MTurk, SONA, others."""

PANEL_LINKS: Mapping[str, str] = {
    "PROLIFIC_PID": "&PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}",
    "workerId": "",  # MTurk adds workerId, assignmentId and hitId itself
    "survey_code": "&survey_code=%SURVEY_CODE%",
}
"""What comes after a study's link where a panel is told of it, by the parameter that names the participant."""

MAX_PARAMETERS, MAX_PARAMETER_NAME, MAX_PARAMETER_VALUE = 30, 100, 500
MAX_ADDRESS = 2000
MAX_TARGET = 100_000
MAX_TIMEOUT_MINUTES = 60 * 24 * 30
SHORTEST_TIMEOUT_MINUTES = 60
"""The time-out of a short study where none is set."""

_NAME = re.compile(r"[\w.@:+~=/%-]{1,200}")
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_.-]{1,100})\}")
_ODD = re.compile(r"[\s\x00-\x20\x7f<>\"'`\\^|\u202a-\u202e\u2066-\u2069]")

Departure = Literal["finished", "declined", "screened_out", "full"]
DEPARTURES: Mapping[Departure, str] = {
    "finished": "who have finished",
    "declined": "who do not consent",
    "screened_out": "who are screened out",
    "full": "who come when it is full or closed",
}
"""The ways out of a study, each with the people who leave by it."""


class StudyFull(LiminalError):  # noqa: N818 (what it is about a study)
    """The study takes nobody more: it is closed, or all places are taken."""


@dataclass(frozen=True)
class Participant:
    """What a link says of whoever opened it. name: '' where it names nobody; parameters: all but the app's own."""

    name: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Participation:
    """People of one study. working: hold a place and are not done; timed_out: stopped for longer than the study waits."""

    started: int
    finished: int
    declined: int
    screened_out: int
    timed_out: int
    working: int


@dataclass(frozen=True)
class StudySettings(Configuration):
    """What can be changed while a study runs. Raises LiminalError with one sentence where a value makes no sense.

    The four ways out are each '' (the page says thank you), an https address in which {participant} and {any parameter of the link}
    are filled in, or a code to show.
    """

    samples: ClassVar[str] = "settings of studies"

    participant_parameter: str = ""  # the link's parameter that names the participant; '': guessed, and nobody has to have one
    finished: str = ""
    declined: str = ""
    screened_out: str = ""
    full: str = ""
    target: int | None = None  # finished raters; the study closes itself there
    timeout_minutes: int | None = None  # without an answer, until the place is somebody else's; None: as of ``timeout``
    min_width: int = 0  # of the window, CSS pixels
    min_height: int = 0
    input_device: InputDevice = "any"
    phones: bool = True  # whether people may take part on one
    min_refresh: int = 0  # of the screen, Hz
    practice: int = 0  # trials with feedback before the block, with faces of no study
    questions: str = ""  # on the instructions; see ``core.studies.screening.parse_questions``
    language: str = BY_BROWSER  # of what raters read: one of ``core.studies.words.LANGUAGE_CHOICES``
    words: Mapping[str, str] = field(default_factory=dict)  # a table of the study's own; see ``core.studies.words.read_word_table``

    def __post_init__(self) -> None:
        parameter = self.participant_parameter.strip()
        object.__setattr__(self, "participant_parameter", parameter)
        if parameter in OWN_PARAMETERS or (parameter and not _PLACEHOLDER.fullmatch(f"{{{parameter}}}")):
            raise LiminalError(
                f"'{parameter[:40]}' cannot name the participant: give the panel's own parameter, for example PROLIFIC_PID."
            )
        for departure in DEPARTURES:
            object.__setattr__(self, departure, check_destination(getattr(self, departure)))
        if self.target is not None and not 1 <= self.target <= MAX_TARGET:
            raise LiminalError(f"A study ends after 1 to {MAX_TARGET:,} finished people; leave the number out for no end.")
        if self.timeout_minutes is not None and not 1 <= self.timeout_minutes <= MAX_TIMEOUT_MINUTES:
            raise LiminalError(f"A place is kept for 1 to {MAX_TIMEOUT_MINUTES:,} minutes (30 days); choose a time between.")
        object.__setattr__(self, "questions", self.questions.strip())
        check_screening(self)
        if not all(isinstance(key, str) and isinstance(text, str) for key, text in self.words.items()):
            raise LiminalError("A study's own table of words has a text for every key; import it again.")
        if self.language not in LANGUAGE_CHOICES:
            raise LiminalError(f"'{self.language[:40]}' is no language that ships; there are {', '.join(LANGUAGE_CHOICES)}.")
        if self.language == OWN_TABLE and not self.words:
            raise LiminalError("The study has no table of words of its own; import one first, or choose another language.")

    def check_timeout(self, minutes: int) -> None:
        """Raises LiminalError where the time-out is shorter than the study, which takes about so many minutes."""
        if self.timeout_minutes is not None and self.timeout_minutes < minutes:
            raise LiminalError(
                f"A time-out of {self.timeout_minutes:,} min is shorter than the study, which takes about {minutes:,} min; "
                f"choose {minutes:,} or more."
            )

    def timeout(self, minutes: int) -> timedelta:
        """How long a place is kept without an answer. minutes: about how long the study takes."""
        usual = max(SHORTEST_TIMEOUT_MINUTES, 3 * minutes)
        return timedelta(minutes=usual if self.timeout_minutes is None else self.timeout_minutes)


def extend_link(link: str, settings: StudySettings) -> str:
    """A study's link as a panel is told of it: the panel replaces what stands in its own signs."""
    parameter = settings.participant_parameter
    return link + (PANEL_LINKS.get(parameter, f"&{parameter}=...") if parameter else "")


def is_address(destination: str) -> bool:
    """Whether a way out is an address, not a code to show."""
    return destination.startswith("https://")


def check_destination(text: str) -> str:
    """A way out in its one form: '', an https address or a code. Raises LiminalError for anything else."""
    text = text.strip()
    if not text or _CODE.fullmatch(text):
        return text
    shown = text if len(text) <= 60 else f"{text[:60]}…"
    refusal = LiminalError(
        f"'{shown}' is no place to send people to; give an address that begins with https://, or a code of letters, digits, - and "
        "_."
    )
    if len(text) > MAX_ADDRESS or _ODD.search(text):
        raise refusal
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise refusal from None
    if parts.scheme != "https" or not host or "@" in parts.netloc or "{" in parts.netloc or port == 0:
        raise refusal
    if re.search(r"[{}]", _PLACEHOLDER.sub("", text)):
        raise LiminalError(f"'{shown}' has braces that name no parameter; write for example {{participant}} or {{SESSION_ID}}.")
    return f"https://{text[8:]}"


def fill_destination(destination: str, participant: Participant) -> str:
    """The address with {participant} and {parameters} filled in, percent-encoded; what the link did not say is empty."""
    values = {**participant.parameters, "participant": participant.name}
    return _PLACEHOLDER.sub(lambda found: quote(values.get(found[1], ""), safe=""), destination)


def read_link(parameters: Mapping[str, Sequence[str]], settings: StudySettings) -> Participant:
    """What the parameters of a link say of the participant. parameters: every value of each, the app's own among them.

    Raises RaterError for a parameter that is there twice, for too many or too long ones, and for a name of a participant that is
    none.
    """
    for name, values in parameters.items():
        if len(values) > 1:
            raise RaterError("link.twice", parameter=name[:40], count=len(values))
    found = {name: values[0] for name, values in parameters.items() if name not in OWN_PARAMETERS and values}
    if len(found) > MAX_PARAMETERS:
        raise RaterError("link.many", count=len(found), most=MAX_PARAMETERS)
    for name, value in found.items():
        if len(name) > MAX_PARAMETER_NAME or len(value) > MAX_PARAMETER_VALUE:
            raise RaterError("link.long", parameter=name[:40], count=max(len(name), len(value)), most=MAX_PARAMETER_VALUE)
    key = settings.participant_parameter or guess_participant_parameter(list(found))
    name = found.get(key, "").strip()
    if not name:
        if settings.participant_parameter:
            raise RaterError("link.unnamed", parameter=key)
        return Participant("", found)
    if not _NAME.fullmatch(name):
        raise RaterError("link.name", parameter=key[:40])
    return Participant(name, found)


def guess_participant_parameter(names: Sequence[str]) -> str:
    """The parameter that probably names the participant, '' where none does."""
    by_small = {name.lower(): name for name in reversed(names)}
    return next((by_small[known.lower()] for known in PARTICIPANT_PARAMETERS if known.lower() in by_small), "")
