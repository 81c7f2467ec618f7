"""``python -m core study ...``: studies made, simulated, imported, exported, backed up and deleted without a browser.

make: a study of people from sample sets; prints the path of the link to send. simulate: one with answers of simulated observers,
marked as such wherever it is shown. import: answers from a file, all or none. export: the answers as a table, or the whole study
as a bundle. settings: how people come and go, while the study runs. participants: what a panel calls them. backup and restore: all
studies with their answers in one file. list, forget, delete.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.alignment.store import delete_study, forget_rater
from core.analysis.answer_table import TableForm, make_table_files
from core.analysis.study_data import build_study_data, load_study_data
from core.commands.study_settings import (
    add_participants_arguments,
    add_question_arguments,
    add_setting_arguments,
    add_settings_arguments,
    add_words_arguments,
    read_question,
    read_settings,
    read_text,
    run_participants,
    run_settings,
    run_words,
)
from core.commands.study_size import add_plan_arguments, add_size_arguments, run_size
from core.commands.terminal import TerminalProgress, add_actions, count_noun, require_study, run_action
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.progress import Progress
from core.sampling.sample_set import SampleSet
from core.studies.exporting import tables
from core.studies.exporting.bundle import write_bundle
from core.studies.importing.bundles import import_bundle, is_bundle
from core.studies.importing.conversion import NOT_ASKED_ABOUT, ConvertedAnswers, convert_table
from core.studies.importing.guessing import PRESETS, find_preset, guess_mapping
from core.studies.importing.mapping import ColumnMapping
from core.studies.importing.pictures import RIGHTS_MISSING, ImportedPictures, import_pictures
from core.studies.importing.reading import ImportedTable, Problem, read_file
from core.studies.importing.storing import find_library_stimuli, find_study, store_answers
from core.studies.library import Library
from core.studies.planning import prepare_study
from core.studies.ratings import make_ratings_table
from core.studies.recruitment import StudySettings, extend_link
from core.studies.storage.backup import BackupContents, restore_backup, write_backup
from core.studies.store import Store
from core.studies.study import Study
from core.writing import open_atomic, write_bytes

if TYPE_CHECKING:
    from core.alignment import face_choice
    from core.studies import adaptive_simulation, simulation
    from core.studies.library import Library
    from core.studies.planning import PreparedStudy
else:  # SciPy
    face_choice = lazy_import("core.alignment.face_choice")
    adaptive_simulation = lazy_import("core.studies.adaptive_simulation")
    simulation = lazy_import("core.studies.simulation")


LINK_PATH = "/take-part?study="


def add_make_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="SET", dest="sets", help="folders of sample sets, or their ids in the library"
    )
    parser.add_argument(
        "--pictures", type=Path, metavar="FOLDER|ZIP", help="pictures of your own (JPEG, PNG, WebP), beside sample sets or instead"
    )
    parser.add_argument(
        "--pairs", type=Path, metavar="FILE.csv",
        help="which of them are shown in pairs: columns a, b and, where known, type, step, same, batch (default: a table that lies "
        "among the pictures; without one they are shown one by one)",
    )  # fmt: skip
    parser.add_argument(
        "--may-show-pictures", action="store_true", help="you have the right to show these pictures to the people who take part"
    )
    parser.add_argument("--name", required=True, metavar="NAME", help="the name of the new study")
    parser.add_argument("--title", default="", help="what people read above the study (default: none)")
    parser.add_argument("--consent", type=Path, metavar="FILE", help="text file of what people consent to (default: a short one)")
    add_plan_arguments(parser)
    add_question_arguments(parser)
    add_setting_arguments(parser)


def resolve_set_ids(library: Library, names: Sequence[str]) -> list[str]:
    """The ids of sample sets named by ids or folders; folders are added to the library. Raises LiminalError for anything else."""
    known = {entry.set_id for entry in library.sets()}
    return [name if name in known else library.add(SampleSet.load(name)) for name in names]


def prepare_plan(
    arguments: argparse.Namespace, library: Library, set_ids: Sequence[str], progress: Progress, **others: Any
) -> PreparedStudy:
    """Prepare the study that the options describe."""
    return prepare_study(
        library,
        set_ids,
        trials=arguments.trials,
        sentinels=arguments.sentinels,
        kept_only=not arguments.all_faces,
        seed=arguments.seed,
        progress=progress,
        **others,
    )


def run_make(arguments: argparse.Namespace) -> int:
    """Make the study and print where people take part."""
    others: dict[str, Any] = {"title": arguments.title, **read_question(arguments)}
    if arguments.consent is not None:
        others["consent"] = read_text(arguments.consent)
    if not arguments.sets and arguments.pictures is None:
        raise LiminalError("Say what the study asks about: sample sets with --set, or pictures of your own with --pictures.")
    if arguments.pairs is not None and arguments.pictures is None:
        raise LiminalError("--pairs names pairs of the pictures that --pictures gives; give both.")
    if arguments.pictures is not None and not arguments.may_show_pictures:
        raise LiminalError(f"{RIGHTS_MISSING} --may-show-pictures says so.")
    settings = read_settings(arguments, StudySettings())
    store, library = Store(), Library()
    if any(study.name == arguments.name.strip() for study in store.studies()):  # before pictures are judged for nothing
        raise LiminalError(f"There is a study '{arguments.name.strip()}' already; choose another name.")
    brought: ImportedPictures | None = None
    try:
        with TerminalProgress() as terminal:
            progress = Progress(terminal)
            set_ids = resolve_set_ids(library, arguments.sets)
            if arguments.pictures is not None:
                brought = import_pictures(
                    library,
                    arguments.pictures,
                    arguments.pairs,
                    may_show=arguments.may_show_pictures,
                    title=arguments.name,
                    progress=progress.stretch(0.0, 0.9),
                )
                set_ids.append(brought.set_id)
            prepared = prepare_plan(arguments, library, set_ids, progress, **others)
        study = Study(arguments.name, prepared.plan, sample_sets=prepared.sample_sets, settings=settings)
        study = store.create(study, prepared.stimuli)
    except BaseException:
        if brought is not None and brought.new:  # no study, no pictures
            library.remove_own_pictures(brought.set_id)
        raise
    for note in (*(brought.notes if brought is not None else ()), *prepared.notes):
        print(f"Note: {note}", file=sys.stderr)
    plan = study.plan
    print(
        f"The study '{study.name}' asks about {count_noun(len(prepared.stimuli), 'stimulus', 'stimuli')}: "
        f"{count_noun(plan.trials, 'trial')} and {count_noun(plan.sentinels, 'attention check')} a person, about "
        f"{count_noun(plan.minutes, 'minute')}."
    )
    print(extend_link(f"{LINK_PATH}{study.token}", study.settings))
    return 0


def add_simulate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--sets", nargs="+", required=True, metavar="SET", help="folders of sample sets, or their ids in the library; of one kind"
    )
    parser.add_argument("--study", required=True, metavar="NAME", help="the name of the new study")
    parser.add_argument("--raters", type=int, default=60, metavar="N", help="simulated observers (default %(default)s)")
    parser.add_argument("--adaptive", action="store_true", help="what each is asked next follows from the answers so far")
    add_plan_arguments(parser)


def run_simulate(arguments: argparse.Namespace) -> int:
    """Simulate the study and store it, all or nothing."""
    store, library = Store(), Library()
    if any(study.name == arguments.study.strip() for study in store.studies()):
        raise LiminalError(f"There is a study '{arguments.study}' already; choose another name.")
    with TerminalProgress() as terminal:
        planning, asking = (Progress(terminal).part(*part) for part in (("Plan", 0, 2), ("Answers", 1, 2)))
        set_ids = resolve_set_ids(library, arguments.sets)
        prepared = prepare_plan(arguments, library, set_ids, planning, **({"adaptive": True} if arguments.adaptive else {}))
        sets = {set_id: library.load(set_id) for set_id in prepared.sample_sets}
        amounts: dict[str, Any] = {"raters": arguments.raters, "seed": arguments.seed, "progress": asking}
        if arguments.adaptive:
            unasked = Study(arguments.study, prepared.plan, sample_sets=prepared.sample_sets)
            choice = face_choice.SimulatedChoice(build_study_data(unasked, prepared.stimuli, [], make_ratings_table([]), library))
            simulated = adaptive_simulation.simulate_adaptive_study(arguments.study, prepared, sets, choice.find_chooser, **amounts)
        else:
            simulated = simulation.simulate_study(arguments.study, prepared, sets, **amounts)
        store.restore(simulated.study, simulated.stimuli, simulated.ratings, simulated.raters)
        Progress(terminal).stage("Done", 1.0)
    for note in prepared.notes:
        print(f"Note: {note}", file=sys.stderr)
    answers, observers = count_noun(len(simulated.ratings), "simulated answer"), count_noun(len(simulated.raters), "observer")
    about = count_noun(len(simulated.stimuli), "stimulus", "stimuli")
    print(f"{answers} of {observers} about {about} in the study '{simulated.study.name}'.")
    return 0


def add_import_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``study import``."""
    parser.add_argument("file", type=Path, metavar="FILE", help="CSV, TSV, Parquet, JSON of jsPsych, or an exported bundle (zip)")
    parser.add_argument("--study", metavar="NAME", help="the study that gets the answers; made where there is none of that name")
    parser.add_argument("--preset", choices=list(PRESETS), help="the form of the table, instead of guessing it")
    parser.add_argument("--map", type=Path, metavar="FILE.json", help="what the columns mean, as --write-map writes it")
    parser.add_argument("--write-map", type=Path, metavar="FILE.json", help="write what the columns are taken for, and stop")
    parser.add_argument("--encoding", help="of a text file, instead of finding it out: utf-8, utf-16, cp1252, latin-1 ...")
    parser.add_argument("--leave-out", action="store_true", help="import although rows cannot be taken, without these rows")
    parser.add_argument("--dry-run", action="store_true", help="say what would happen and keep nothing")


def run_import(arguments: argparse.Namespace) -> int:
    """Import the file and print the outcome."""
    if is_bundle(arguments.file):
        if arguments.preset or arguments.map or arguments.write_map or arguments.dry_run:
            raise LiminalError(f"{arguments.file.name} is a bundle, which is imported as it is; leave the other options out.")
        study = import_bundle(Store(), Library(), arguments.file, arguments.study)
        print(f"Imported the study '{study.name}' with everything that belongs to it.")
        return 0
    imported = read_file(arguments.file, encoding=arguments.encoding)
    mapping = _choose_mapping(arguments, imported)
    if arguments.write_map:
        write_bytes(arguments.write_map, (json.dumps(mapping.to_dict(), indent=1, ensure_ascii=False) + "\n").encode())
        print(f"Wrote what the columns are taken for to {arguments.write_map}; change it and give it back with --map.")
        return 0
    if not arguments.study:
        raise LiminalError("Say which study gets the answers with --study NAME; it is made where there is none of that name.")
    store, library = Store(), Library()
    existing, known = find_study(store, arguments.study), find_library_stimuli(library)
    guessed = not (arguments.map or arguments.preset)
    try:
        converted = convert_table(
            imported,
            mapping,
            arguments.study,
            kind=existing.plan.kind if existing else None,
            stimuli=[stimulus.stimulus for stimulus in store.stimuli(existing.name)] if existing else None,
            pictures=known,
        )
    except LiminalError as error:
        raise LiminalError(f"{error} {MAPPING_HINT}" if guessed else str(error)) from error
    _print_conversion(imported, converted, guessed)
    if arguments.dry_run:
        print("Nothing was kept: this was a dry run.")
        return 0
    stored = store_answers(store, library, converted, leave_out=arguments.leave_out, known=known)
    if converted.published:
        print(f"Made the study '{stored.study.name}' with the published means of {count_noun(len(converted.stimuli), 'pair')}.")
    elif stored.created:
        sets = len(stored.study.sample_sets)
        pictures = f", with the pictures of {sets} sample {'set' if sets == 1 else 'sets'}" if sets else ""
        about = count_noun(len(converted.stimuli), "stimulus", "stimuli")
        print(f"Made the study '{stored.study.name}': {count_noun(stored.new, 'answer')} to {about}{pictures}.")
    else:
        again = len(converted.ratings) - stored.new
        before = f"; {again:,} were there already" if again else ""
        print(f"Added {count_noun(stored.new, 'answer')} to the study '{stored.study.name}'{before}.")
    return 0


def _choose_mapping(arguments: argparse.Namespace, imported: ImportedTable) -> ColumnMapping:
    """The mapping of --map, of --preset, or a guess, which is printed with its reasons."""
    if arguments.map:
        try:
            record = json.loads(arguments.map.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise LiminalError(
                f"{arguments.map} cannot be read as JSON; --write-map FILE.json writes one to start from."
            ) from error
        return ColumnMapping.from_dict(record)
    if arguments.preset:
        find_preset(arguments.preset).apply(list(imported.frame.columns))  # says so where the table has another form
    guessed = guess_mapping(imported.frame, arguments.preset)
    for guess in guessed.fields:
        if not guessed.mapping.exported:
            print(f"  {guess.target:<17} {guess.column or '(the file)':<24} {100 * guess.confidence:3.0f} %  {guess.reason}")
    return guessed.mapping


MAPPING_HINT = (
    "If a column was taken for something else: --write-map FILE.json writes what they were taken for; change it and give it back "
    "with --map FILE.json."
)
SHOWN_ALIKE = 3
"""Of rows that cannot be taken for the same reason, so many are shown."""


def _print_conversion(imported: ImportedTable, converted: ConvertedAnswers, guessed: bool) -> None:
    for note in (*imported.notes, *converted.notes):
        print(note)
    alike: dict[str, list[Problem]] = {}
    for problem in converted.problems:
        alike.setdefault(re.sub(r"'[^']*'", "''", problem.reason), []).append(problem)
    for problems in alike.values():
        for problem in problems[:SHOWN_ALIKE]:
            print(f"line {problem.line}: {problem.reason}")
        if len(problems) > SHOWN_ALIKE:
            print(f"... and {count_noun(len(problems) - SHOWN_ALIKE, 'more line')} like this, to line {problems[-1].line}")
        if problems[0].reason.startswith(NOT_ASKED_ABOUT):
            print(
                f"'{converted.study}' is there already and takes answers about its own pictures alone: name the study that these "
                "answers belong to, or a new one, with --study."
            )
    if converted.problems.more:
        print(f"... and {count_noun(converted.problems.more, 'more row')} that cannot be taken")
    if converted.problems.total and guessed:
        print(MAPPING_HINT)
    good = len(converted.stimuli) if converted.published else len(converted.ratings)
    print(
        f"{count_noun(converted.rows, 'row')}: {count_noun(good, 'pair' if converted.published else 'answer')} can be taken, "
        f"{count_noun(converted.problems.total, 'row')} cannot."
    )


EXPORT_ENDINGS = (".csv", ".parquet", ".zip")


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``study export``."""
    parser.add_argument("study", metavar="NAME")
    parser.add_argument(
        "--out", type=Path, metavar="FILE|DIR",
        help="FILE.csv or FILE.parquet: the answers; FILE.zip: everything; a folder gets all three",
    )  # fmt: skip
    parser.add_argument(
        "--table", type=Path, metavar="FILE",
        help="FILE.csv or FILE.parquet: one row an answer with what was shown, what every model says of it, times, device and "
        "whether it counts; beside it a data dictionary and an R script",
    )  # fmt: skip
    parser.add_argument(
        "--demographics", action="store_true", help="put what people said about themselves into the bundle and the table"
    )
    parser.add_argument("--with-participants", action="store_true", help="put what a panel calls them into every file")
    parser.add_argument(
        "--with-pictures", action="store_true", help="put pictures of your own, which may show real people, into the bundle"
    )


def run_export(arguments: argparse.Namespace) -> int:
    """Write the files, each whole or not at all, and print what they hold."""
    if arguments.table is None and arguments.out is None:
        raise LiminalError("Say where the answers go, with --table FILE.csv, or with --out and a file or folder.")
    store = Store()
    require_study(store, arguments.study)  # the sentence about a wrong name comes before anything is written
    named = {each.rater: each.participant for each in store.participants(arguments.study)} if arguments.with_participants else None
    if arguments.table is not None:
        _export_table(store, arguments, named)
    for path in _list_export_paths(arguments.out, arguments.study) if arguments.out is not None else ():
        try:
            if path.suffix == ".zip":
                with open_atomic(path) as file:
                    about = {"demographics": arguments.demographics, "participants": arguments.with_participants}
                    about["own_pictures"] = arguments.with_pictures
                    contents = write_bundle(store, Library(), arguments.study, file, **about)
                print(f"Wrote {path}: {count_noun(contents.answers, 'answer')} and {count_noun(contents.pictures, 'picture')}.")
                gone = [set_id for set_id in contents.missing if set_id not in contents.hidden]
                if gone:
                    print(f"Not in it are the pictures of {', '.join(gone)}, which the library does not hold.")
                if contents.hidden:
                    print("Not in it are the pictures that you brought along; --with-pictures puts them in.")
                continue
            ratings = store.ratings(arguments.study)
            to_bytes = tables.csv_bytes if path.suffix == ".csv" else tables.parquet_bytes
            write_bytes(path, to_bytes(ratings, named))
            print(f"Wrote {path}: {count_noun(len(ratings), 'answer')}.")
        except OSError as error:
            raise LiminalError(f"{path} cannot be written ({error.strerror or error}); choose another place.") from error
    return 0


TABLE_FORMS: Mapping[str, TableForm] = {".csv": "csv", ".parquet": "parquet"}


def _export_table(store: Store, arguments: argparse.Namespace, named: Mapping[str, str] | None) -> None:
    """Write the answer table, its data dictionary and the R script, and print what they are."""
    target: Path = arguments.table
    form = TABLE_FORMS.get(target.suffix.lower())
    if form is None or target.is_dir():
        raise LiminalError(f"The ending of {target.name or target} says no form of a table; use .csv or .parquet.")
    study_data = load_study_data(store, Library(), arguments.study)
    files = make_table_files(study_data, target.stem, form, participants=named, demographics=arguments.demographics)
    for name, content in files.items():
        path = target.parent / name
        try:
            write_bytes(path, content)
        except OSError as error:
            raise LiminalError(f"{path} cannot be written ({error.strerror or error}); choose another place.") from error
    table, dictionary, script = (target.parent / name for name in files)
    simulated = ", all simulated" if study_data.study.source == "simulated" else ""
    print(f"Wrote {table}: {count_noun(len(study_data.ratings), 'answer')}{simulated}; {dictionary} says what each column is.")
    print(f"Mixed models in R: Rscript {script}")


def _list_export_paths(target: Path, name: str) -> list[Path]:
    if target.suffix.lower() in EXPORT_ENDINGS and not target.is_dir():
        return [target.with_suffix(target.suffix.lower())]
    if target.suffix and not target.is_dir():
        raise LiminalError(f"The ending of {target.name} says no form; use {', '.join(EXPORT_ENDINGS)}, or a folder.")
    stem = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name).strip("-") or "study"
    return [target / f"{stem}{ending}" for ending in EXPORT_ENDINGS]


def add_backup_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``study backup``."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="where the backup goes; it holds the links' secrets, so keep it safe"
    )
    parser.add_argument("--replace", action="store_true", help="also where there is a file of that name already")


def add_restore_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``study restore``."""
    parser.add_argument("file", type=Path, metavar="FILE", help="what 'study backup' wrote, from SQLite or PostgreSQL")
    parser.add_argument("--replace", action="store_true", help="in the place of everything that the store holds")


def _describe_backup(contents: BackupContents) -> str:
    studies, answers = count_noun(contents.studies, "study", "studies"), count_noun(contents.answers, "answer")
    return f"{studies} with {answers}, {count_noun(contents.people, 'person', 'people')} enrolled"


def run_backup(arguments: argparse.Namespace) -> int:
    """Write the backup and print what it holds."""
    with TerminalProgress() as terminal:
        contents = write_backup(arguments.file, replace=arguments.replace, progress=Progress(terminal))
    print(f"Wrote {arguments.file}: {_describe_backup(contents)}.")
    print("The pictures of their sample sets lie in the folder 'sets' of the data folder; copy it as it is.")
    return 0


def run_restore(arguments: argparse.Namespace) -> int:
    """Restore the backup and print what it held."""
    with TerminalProgress() as terminal:
        contents = restore_backup(arguments.file, replace=arguments.replace, progress=Progress(terminal))
    print(f"Restored {_describe_backup(contents)}.")
    return 0


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``study list``."""
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def add_delete_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``study delete``."""
    parser.add_argument("study", metavar="NAME")
    parser.add_argument("--reason", default="", help="kept in the record of what was deleted")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def add_forget_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``study forget``."""
    parser.add_argument("study", metavar="NAME")
    parser.add_argument("--rater", required=True, metavar="ID", help="whose data goes")
    parser.add_argument("--reason", default="", help="kept in the record of what was deleted, without the person's name")


def run_list(arguments: argparse.Namespace) -> int:
    """Print a line for each study."""
    store = Store()
    counts = store.counts()
    rows: list[dict[str, Any]] = []
    for study in store.studies():
        people, answers = counts.get(study.name, (0, 0))
        rows.append({
            "name": study.name,
            "kind": study.plan.kind,
            "asks": study.plan.asks,
            "source": study.source,
            "published": study.origin != "here",
            "origin": study.origin,
            "closed": study.closed,
            "stimuli": len(store.stimuli(study.name)),
            "raters": people,
            "answers": answers,
            "created_at": study.created_at.isoformat(timespec="seconds"),
        })  # fmt: skip
    if arguments.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    if not rows:
        print("There are no studies yet; 'python -m core study --help' says how to make or import one.")
    for row in rows:
        marks = (
            [str(row["origin"])] * (row["origin"] != "here")
            + ["closed"] * row["closed"]
            + [str(row["source"])] * (row["source"] != "human")
        )
        print(
            f"{row['name']}  ({row['asks']}{', ' if marks else ''}{', '.join(marks)}): {count_noun(row['answers'], 'answer')} of "
            f"{count_noun(row['raters'], 'rater')} to {count_noun(row['stimuli'], 'stimulus', 'stimuli')}"
        )
    return 0


def run_delete(arguments: argparse.Namespace) -> int:
    """Delete a study with all that belongs to it; asks first where there is a terminal."""
    store = Store()
    require_study(store, arguments.study)  # the sentence about a wrong name comes before the question
    _, answers = store.counts().get(arguments.study, (0, 0))
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise LiminalError(f"This deletes {count_noun(answers, 'answer')} for good; add --yes to say that it is meant.")
        print(
            f"This deletes the study '{arguments.study}' with {count_noun(answers, 'answer')} for good. Type its name to go on: ",
            end="",
        )
        if input() != arguments.study:
            raise LiminalError("The name was another one, so nothing was deleted.")
    delete_study(store, Library(), arguments.study, arguments.reason)
    print(f"Deleted the study '{arguments.study}' with {count_noun(answers, 'answer')}; a record says that it was there.")
    return 0


def run_forget(arguments: argparse.Namespace) -> int:
    """Delete one person's data; the record does not name them."""
    store = Store()
    require_study(store, arguments.study)
    deletion = forget_rater(store, arguments.study, arguments.rater, arguments.reason)
    answers = count_noun(deletion.answers, "answer")
    print(f"Deleted one person's data from '{deletion.study}': {answers}; a record says so without the name.")
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a subcommand for each action."""
    add_actions(
        parser,
        (
            ("list", add_list_arguments, run_list, "which studies there are"),
            ("make", add_make_arguments, run_make, "a study of people, from sample sets"),
            ("size", add_size_arguments, run_size, "how many people a study needs, by simulated observers; a preregistration"),
            ("simulate", add_simulate_arguments, run_simulate, "a study of simulated observers with known truth"),
            ("import", add_import_arguments, run_import, "answers from a file, or a whole study from a bundle"),
            ("export", add_export_arguments, run_export, "answers as a table, or the whole study as a bundle"),
            (
                "settings",
                add_settings_arguments,
                run_settings,
                "where people are sent, how many are wanted; also while a study runs",
            ),
            ("words", add_words_arguments, run_words, "a table of all that raters read, to translate or change"),
            ("participants", add_participants_arguments, run_participants, "what a panel calls the raters and how far they are"),
            ("backup", add_backup_arguments, run_backup, "all studies and answers in one file, while people answer"),
            ("restore", add_restore_arguments, run_restore, "all studies and answers from such a file"),
            ("forget", add_forget_arguments, run_forget, "delete one person's data"),
            ("delete", add_delete_arguments, run_delete, "delete a study with all its answers"),
        ),
    )


run = run_action
