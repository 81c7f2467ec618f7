"""Who may take part and whether they understood: what the device must have, and questions on the instructions.

A device is judged by what the browser says of it (``Device``), before anything is kept; the sentences say what to change. Questions
are a text that owners write: a question, and below it its answers, the right one after a star.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from core.errors import LiminalError
from core.studies.words import Words

if TYPE_CHECKING:
    from core.studies.recruitment import StudySettings
    from core.studies.study import Kind

InputDevice = Literal["any", "mouse", "touch", "keyboard"]
INPUT_DEVICES: tuple[InputDevice, ...] = get_args(InputDevice)
MAX_WINDOW = 4000  # pixels
MAX_REFRESH = 240  # Hz
MAX_PRACTICE = 20
MAX_QUESTIONS, MAX_ANSWERS, MAX_LETTERS = 10, 6, 300
TRIES = 2
"""How often somebody may answer the questions before they are screened out."""
REFRESH_TOLERANCE = 0.95
"""A screen of 60 Hz is measured as 59 to 61."""

EXAMPLE_QUESTIONS: Mapping[Kind, str] = {
    "emotion": """How long does a face show?
* only for a moment
- until I have answered

What do you do when you are not sure?
* choose the nearest feeling
- wait for the next face""",
    "identity": """How many questions are there about every pair?
- one
* two: how alike, and whether it is one person

What do you do when you are not sure?
* answer by my own view
- leave it out""",
}
"""Questions to begin with, by the kind of the study."""


@dataclass(frozen=True)
class ComprehensionQuestion:
    """A question on the instructions. right: index of the right answer."""

    text: str
    answers: tuple[str, ...]
    right: int


def parse_questions(text: str) -> tuple[ComprehensionQuestion, ...]:
    """The questions of a text, '' for none. Raises LiminalError with one sentence for a text that is none of questions."""
    questions = []
    for number, block in enumerate(_split_blocks(text), start=1):
        head, *lines = block
        if head[0] in "*-":
            raise LiminalError(f"Question {number} begins with an answer; write the question above its answers.")
        wrong = [line for line in lines if line[0] not in "*-" or not line[1:].strip()]
        if wrong:
            raise LiminalError(
                f"'{wrong[0][:40]}' is no answer to question {number}; begin the right one with * and others with -."
            )
        answers = tuple(line[1:].strip() for line in lines)
        right = [index for index, line in enumerate(lines) if line[0] == "*"]
        if not 2 <= len(answers) <= MAX_ANSWERS or len(right) != 1 or len(set(answers)) < len(answers):
            raise LiminalError(
                f"Question {number} needs 2 to {MAX_ANSWERS} different answers, one of them, the right one, after a star."
            )
        if max(map(len, (head, *answers))) > MAX_LETTERS:
            raise LiminalError(f"A question and an answer have at most {MAX_LETTERS} letters; shorten question {number}.")
        questions.append(ComprehensionQuestion(head, answers, right[0]))
    if len(questions) > MAX_QUESTIONS:
        raise LiminalError(f"There are at most {MAX_QUESTIONS} questions on the instructions; leave some out.")
    return tuple(questions)


def _split_blocks(text: str) -> list[list[str]]:
    """The lines of a text without empty ones, in the blocks that those part."""
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            blocks[-1].append(line.strip())
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


@dataclass(frozen=True)
class Device:
    """What a browser says of its device. width, height: of the window, CSS pixels; refresh: Hz, 0 where it was not measured."""

    width: int
    height: int
    phone: bool = False
    mouse: bool = False
    touch: bool = False
    keyboard: bool = False  # known once a key was pressed
    refresh: float = 0.0

    @classmethod
    def from_browser(cls, values: Mapping[str, Any]) -> Device:
        """The device that a browser describes; what it leaves out or says oddly counts as missing."""

        def number(name: str) -> float:
            value = values.get(name)
            return float(value) if isinstance(value, int | float) and 0 <= value < 1e6 else 0.0

        marks = {name: values.get(name) is True for name in ("phone", "mouse", "touch", "keyboard")}
        return cls(int(number("width")), int(number("height")), **marks, refresh=number("refresh"))


def needs_device(settings: StudySettings) -> bool:
    """Whether a study asks anything of the device."""
    window = settings.min_width or settings.min_height or settings.min_refresh
    return bool(window) or settings.input_device != "any" or not settings.phones


def find_faults(settings: StudySettings, device: Device, words: Words) -> list[str]:
    """What stands against taking part with a device: for each a sentence, in the rater's words, that says what to change."""
    if device.phone and not settings.phones:
        return [words.say("device.phone")]
    faults = []
    if device.width < settings.min_width or device.height < settings.min_height:
        least = {"min_width": max(settings.min_width, 1), "min_height": max(settings.min_height, 1)}
        faults.append(words.say("device.window", width=device.width, height=device.height, **least))
    if settings.input_device != "any" and not getattr(device, settings.input_device):
        faults.append(words.say(f"device.{settings.input_device}"))
    if device.refresh < REFRESH_TOLERANCE * settings.min_refresh:
        faults.append(words.say("device.refresh", found=round(device.refresh), needed=settings.min_refresh))
    return faults


def check_screening(settings: StudySettings) -> None:
    """Raises LiminalError with one sentence for settings of screening that make no sense."""
    if not (0 <= settings.min_width <= MAX_WINDOW and 0 <= settings.min_height <= MAX_WINDOW):
        raise LiminalError(f"The smallest window has at most {MAX_WINDOW:,} by {MAX_WINDOW:,} pixels; choose a smaller one.")
    if settings.input_device not in INPUT_DEVICES:
        raise LiminalError(f"People answer by {', '.join(INPUT_DEVICES[1:])} or any of them, not by '{settings.input_device}'.")
    if not 0 <= settings.min_refresh <= MAX_REFRESH:
        raise LiminalError(f"A screen shows at most {MAX_REFRESH} pictures a second; ask for fewer.")
    if not 0 <= settings.practice <= MAX_PRACTICE:
        raise LiminalError(f"There are 0 to {MAX_PRACTICE} practice trials; choose a number between.")
    parse_questions(settings.questions)
