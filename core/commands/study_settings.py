"""``python -m core study settings`` and ``study participants``: how people come into a study and go, what panels call them."""

from __future__ import annotations

import argparse
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from core.commands.terminal import count_noun, require_study
from core.errors import LiminalError
from core.studies.exporting.tables import escape_cell
from core.studies.recruitment import DEPARTURES, Departure, StudySettings
from core.studies.screening import INPUT_DEVICES, parse_questions
from core.studies.store import Store
from core.studies.study import BUTTON_ORDERS, QUESTIONS, READY_LABELS, parse_labels
from core.studies.words import (
    BY_BROWSER,
    CODE_KEY,
    LANGUAGE_CHOICES,
    LANGUAGES,
    OWN_TABLE,
    load_words,
    read_word_table,
    write_word_table,
)
from core.writing import write_bytes

NO_VALUE = "none"
"""What stands for 'no target', 'the usual time-out' and 'nowhere' on the command line."""

OPTIONS: dict[Departure, str] = {
    "finished": "--finished-to",
    "declined": "--declined-to",
    "screened_out": "--screened-out-to",
    "full": "--full-to",
}


def add_setting_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a study's settings, the same for a new and for a running one."""
    group = parser.add_argument_group("how people come and go (can be changed while the study runs; 'none' takes a setting back)")
    group.add_argument(
        "--participant-parameter", metavar="NAME",
        help="the link's parameter that names the participant (default: guessed, for example PROLIFIC_PID)",
    )  # fmt: skip
    for departure, option in OPTIONS.items():
        group.add_argument(
            option, metavar="URL|CODE", dest=f"{departure}_to",
            help=f"where those go {DEPARTURES[departure]}: an https address, with {{participant}} and other parameters of the link "
            "in braces filled in, or a code to show",
        )  # fmt: skip
    group.add_argument("--target", metavar="N", help="close the study once so many have finished (default: never)")
    group.add_argument(
        "--timeout-minutes", metavar="N",
        help="without an answer for so long, a place is somebody else's (default: three times the study's length, 60 or more)",
    )  # fmt: skip

    group.add_argument("--min-window", metavar="WIDTHxHEIGHT", help="the smallest window in pixels, for example 900x600")
    group.add_argument("--input", choices=INPUT_DEVICES, help="what a device must have (default: any)")
    group.add_argument("--phones", choices=("yes", "no"), help="whether people may take part on a phone (default: yes)")
    group.add_argument("--min-refresh", metavar="HZ", help="pictures a second that a screen must show")
    group.add_argument("--practice", metavar="N", help="practice trials with feedback, with faces of no study (default: none)")
    group.add_argument(
        "--questions", metavar="FILE",
        help="text file with questions on the instructions: a question, below it its answers, the right one after a star, others "
        "after a dash, an empty line between two questions; whoever answers wrongly twice is screened out",
    )  # fmt: skip

    group.add_argument(
        "--language", choices=LANGUAGE_CHOICES,
        help="of what people read: what each browser asks for (the default), one of those that ship, or the study's own table",
    )  # fmt: skip
    group.add_argument(
        "--words", metavar="FILE.csv", help="the study's own table of words, as 'study words' writes one to translate"
    )


def add_question_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of what is asked and how; they hold for good once somebody takes part."""
    group = parser.add_argument_group("what is asked, and how")
    group.add_argument(
        "--ask", choices=QUESTIONS,
        help="same person and similarity, one of six emotions, one of your labels, or a rating scale (default: by the sets)",
    )  # fmt: skip
    group.add_argument("--question", metavar="TEXT", help="labels, scale: the question as people read it")
    group.add_argument(
        "--labels", nargs="+", metavar="LABEL", help=f"2 to 12 labels, or a table FILE.csv with one a line; "
        f"{' and '.join(repr(label) for label in READY_LABELS)} have words in every language",
    )  # fmt: skip
    group.add_argument("--scale", type=int, metavar="N", help="points of the rating scale, 2 to 10 (default 7)")
    group.add_argument("--scale-ends", nargs=2, metavar=("LOW", "HIGH"), help="what its ends are called")
    group.add_argument("--image-ms", type=int, metavar="MS", help="how long a face shows; 0: until the answer (default 200)")
    group.add_argument("--fixation-ms", type=int, metavar="MS", help="how long the cross before it shows (default 300)")
    group.add_argument("--mask-ms", type=int, metavar="MS", help="how long a pattern hides the face afterwards (default: none)")
    group.add_argument("--deadline-ms", type=int, metavar="MS", help="who answers later is asked again at the end (default: none)")
    group.add_argument("--button-order", choices=BUTTON_ORDERS, help="of the answers: as listed, turned around for half, or random")
    group.add_argument("--checks-share", type=float, metavar="SHARE", help="left out: no more attention checks right (default 0.7)")
    group.add_argument("--fastest-ms", type=float, metavar="MS", help="left out: a lower median reaction time (default 300)")
    group.add_argument(
        "--adaptive", action="store_true", default=None,
        help="each next face follows from the answers so far: along the axes of 'generate axis' or of a morph, else among faces "
        "between feelings the one whose answer is expected to tell most",
    )  # fmt: skip
    group.add_argument(
        "--stop-width",
        type=float,
        metavar="SHARE",
        help="adaptive: how well a threshold must be known, in axes (default 0.1)",
    )
    group.add_argument("--investigator", metavar="NAME", help="whose study it is, as people read it")
    group.add_argument("--contact", metavar="TEXT", help="where people can ask about it")


def read_question(arguments: argparse.Namespace) -> dict[str, object]:
    """The values of a plan that the options give. Raises LiminalError for a table of labels that cannot be read."""
    given = {
        "question": arguments.ask,
        "wording": arguments.question,
        "scale_points": arguments.scale,
        "button_order": arguments.button_order,
        "sentinel_share": arguments.checks_share,
        **{name: getattr(arguments, name) for name in ("image_ms", "fixation_ms", "mask_ms", "deadline_ms")},
        **{name: getattr(arguments, name) for name in ("fastest_ms", "investigator", "contact", "adaptive", "stop_width")},
    }
    if arguments.scale_ends is not None:
        given["scale_low"], given["scale_high"] = arguments.scale_ends
    if arguments.labels is not None:
        table = len(arguments.labels) == 1 and Path(arguments.labels[0]).suffix.lower() in (".csv", ".tsv", ".txt")
        given["labels"] = parse_labels(read_text(Path(arguments.labels[0]))) if table else tuple(arguments.labels)
    return {name: value for name, value in given.items() if value is not None}


def read_settings(arguments: argparse.Namespace, settings: StudySettings) -> StudySettings:
    """The settings with what the options change. Raises LiminalError where a value makes no sense."""
    values: dict[str, object] = {}
    if arguments.participant_parameter is not None:
        values["participant_parameter"] = "" if arguments.participant_parameter == NO_VALUE else arguments.participant_parameter
    for departure in OPTIONS:
        given = getattr(arguments, f"{departure}_to")
        if given is not None:
            values[departure] = "" if given == NO_VALUE else given
    for name in ("target", "timeout_minutes"):
        given = getattr(arguments, name)
        if given is not None:
            values[name] = None if given == NO_VALUE else _read_number(given)
    if arguments.min_window is not None:
        values["min_width"], values["min_height"] = _read_window(arguments.min_window)
    for name in ("min_refresh", "practice"):
        given = getattr(arguments, name)
        if given is not None:
            values[name] = 0 if given == NO_VALUE else _read_number(given)
    if arguments.input is not None:
        values["input_device"] = arguments.input
    if arguments.phones is not None:
        values["phones"] = arguments.phones == "yes"
    if arguments.questions is not None:
        values["questions"] = "" if arguments.questions == NO_VALUE else read_text(Path(arguments.questions))
    if arguments.words is not None:
        values["words"] = {} if arguments.words == NO_VALUE else read_word_table(_read_bytes(Path(arguments.words)))
        if arguments.words == NO_VALUE and settings.language == OWN_TABLE:
            values["language"] = BY_BROWSER
    if arguments.language is not None:
        values["language"] = arguments.language
    return replace(settings, **values)  # type: ignore[arg-type]


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LiminalError(f"The file {path} cannot be read ({error.strerror or error}); choose another one.") from error


def add_words_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``study words``."""
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.csv", help="where the table goes")
    parser.add_argument("--language", choices=LANGUAGES, default="en", help="whose texts stand in it (default: %(default)s)")


def run_words(arguments: argparse.Namespace) -> int:
    """Write a table of all that raters read, to edit and give back with ``study settings NAME --words``."""
    texts = load_words(arguments.language).texts
    try:
        write_bytes(arguments.out, write_word_table(texts))
    except OSError as error:
        raise LiminalError(f"{arguments.out} cannot be written ({error.strerror or error}); choose another place.") from error
    print(
        f"Wrote {arguments.out}: {len(texts)} texts. Change the last column; 'study settings NAME --words FILE.csv' takes it back."
    )
    return 0


def read_text(path: Path) -> str:
    """Read a text file. Raises LiminalError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LiminalError(f"The file {path} cannot be read as text in UTF-8; choose another one.") from error


def _read_window(text: str) -> tuple[int, int]:
    if text == NO_VALUE:
        return 0, 0
    width, cross, height = text.partition("x")
    if not cross:
        raise LiminalError(f"'{text[:40]}' is no size of a window; write for example 900x600, or '{NO_VALUE}'.")
    return _read_number(width), _read_number(height)


def _read_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise LiminalError(f"'{text[:40]}' is no whole number; give one, or '{NO_VALUE}'.") from None


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``study settings``."""
    parser.add_argument("study", metavar="NAME")
    add_setting_arguments(parser)


def run_settings(arguments: argparse.Namespace) -> int:
    """Change what the options say, and print all settings with how many have come."""
    store = Store()
    study = require_study(store, arguments.study)
    settings = read_settings(arguments, study.settings)
    if settings != study.settings:
        study = store.change(study.name, settings=settings)
    people = store.participation(study.name)
    print(f"{study.name}: {'closed' if study.closed else 'open'}")
    print(
        f"  {'the participant is named by':<41} {settings.participant_parameter or 'a parameter that is guessed, if there is one'}"
    )
    for departure, who in DEPARTURES.items():
        print(f"  {f'those {who}':<41} {getattr(settings, departure) or 'read a thank you'}")
    print(f"  {'closes itself after':<41} {'never' if settings.target is None else f'{settings.target:,} finished'}")
    minutes = settings.timeout(study.plan.minutes).total_seconds() / 60
    print(f"  {'a place is kept without an answer for':<41} {minutes:g} min")
    print(f"  {'a device must have':<41} {_describe_device(settings)}")
    questions = len(parse_questions(settings.questions))
    print(f"  {'before the block':<41} {count_noun(settings.practice, 'practice trial')}, {count_noun(questions, 'question')}")
    own = f"a table of its own ({settings.words.get(CODE_KEY, 'en')})" if settings.words else ""
    read = {BY_BROWSER: "what each browser asks for", OWN_TABLE: own}.get(settings.language, settings.language)
    print(f"  {'people read':<41} {read}{f'; {own} is there, too' if own and read != own else ''}")
    print(
        f"  {people.started:,} started, {people.finished:,} finished, {people.declined:,} declined, "
        f"{people.screened_out:,} screened out, {people.timed_out:,} timed out, {people.working:,} taking part"
    )
    return 0


def _describe_device(settings: StudySettings) -> str:
    parts = []
    if settings.min_width or settings.min_height:
        parts.append(f"a window of {settings.min_width:,} by {settings.min_height:,} pixels")
    if settings.input_device != "any":
        parts.append(f"a {settings.input_device}{' screen' if settings.input_device == 'touch' else ''}")
    if settings.min_refresh:
        parts.append(f"{settings.min_refresh} pictures a second")
    if not settings.phones:
        parts.append("more than a phone")
    return ", ".join(parts) or "nothing in particular"


def add_participants_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``study participants``."""
    parser.add_argument("study", metavar="NAME")
    parser.add_argument("--out", type=Path, metavar="FILE.csv", help="write them to a file, with every parameter of their links")
    parser.add_argument("--drop", action="store_true", help="delete all these names for good; the answers stay")
    parser.add_argument("--yes", action="store_true", help="with --drop: do not ask")


def run_participants(arguments: argparse.Namespace) -> int:
    """Print, write or drop what panels call the raters of a study."""
    store = Store()
    require_study(store, arguments.study)
    records = store.participants(arguments.study)
    if arguments.drop:
        asked = f"Type {arguments.study} to drop the names: "
        if not arguments.yes and (not sys.stdin.isatty() or input(asked) != arguments.study):
            raise LiminalError(f"This deletes {count_noun(len(records), 'name')} for good; add --yes to say that it is meant.")
        print(f"Dropped {count_noun(store.drop_participants(arguments.study), 'name')} from '{arguments.study}'; the answers stay.")
        return 0
    raters = {rater.rater: rater for rater in store.raters(arguments.study)}
    if arguments.out is None:
        for record in records:
            print(f"{record.participant or '(no name)'}  {record.rater}  {raters[record.rater].state}")
        print(f"{count_noun(len(records), 'participant')} of '{arguments.study}'.")
        return 0
    rows = [
        {"participant": each.participant, "rater": each.rater, "state": raters[each.rater].state,
         "parameters": json.dumps(each.parameters, ensure_ascii=False)}
        for each in records
    ]  # fmt: skip
    buffer = io.StringIO(newline="")
    table = pd.DataFrame(rows, columns=["participant", "rater", "state", "parameters"]).map(escape_cell)
    table.to_csv(buffer, index=False, lineterminator="\r\n")
    try:
        write_bytes(arguments.out, buffer.getvalue().encode("utf-8-sig"))
    except OSError as error:
        raise LiminalError(f"{arguments.out} cannot be written ({error.strerror or error}); choose another place.") from error
    print(f"Wrote {arguments.out}: {count_noun(len(records), 'participant')}.")
    return 0
