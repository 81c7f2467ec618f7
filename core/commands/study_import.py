"""``python -m core study import FILE``: answers from elsewhere, whole or not at all."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from core.errors import LiminalError
from core.studies.importing.conversion import Converted, convert
from core.studies.importing.guessing import guess
from core.studies.importing.mapping import Mapping
from core.studies.importing.presets import PRESETS, preset
from core.studies.importing.reading import Imported, read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``study import``."""
    parser.add_argument("file", type=Path, metavar="FILE", help="CSV, TSV, Parquet, JSON of jsPsych, or an exported bundle (zip)")
    parser.add_argument("--study", metavar="NAME", help="the study that gets the answers; made where there is none of that name")
    parser.add_argument("--preset", choices=list(PRESETS), help="the form of the table, instead of guessing it")
    parser.add_argument("--map", type=Path, metavar="FILE.json", help="what the columns mean, as --write-map writes it")
    parser.add_argument("--write-map", type=Path, metavar="FILE.json", help="write what the columns are taken for, and stop")
    parser.add_argument("--encoding", help="of a text file, instead of finding it out: utf-8, utf-16, cp1252, latin-1 ...")
    parser.add_argument("--leave-out", action="store_true", help="import although rows cannot be taken, without these rows")
    parser.add_argument("--dry-run", action="store_true", help="say what would happen and keep nothing")


def run(arguments: argparse.Namespace) -> int:
    """Import, and say what was done."""
    from core.studies.importing.bundles import import_bundle, is_bundle
    from core.studies.importing.storing import bring_in, existing, pictures
    from core.studies.library import Library
    from core.studies.store import Store

    if is_bundle(arguments.file):
        if arguments.preset or arguments.map or arguments.write_map or arguments.dry_run:
            raise LiminalError(f"{arguments.file.name} is a bundle, which is imported as it is; leave the other options out.")
        study = import_bundle(Store(), Library(), arguments.file, arguments.study)
        print(f"Imported the study '{study.name}' with everything that belongs to it.")
        return 0
    imported = read(arguments.file, encoding=arguments.encoding)
    mapping = _mapping(arguments, imported)
    if arguments.write_map:
        from core.writing import write_bytes

        write_bytes(arguments.write_map, (json.dumps(mapping.to_dict(), indent=1, ensure_ascii=False) + "\n").encode())
        print(f"Wrote what the columns are taken for to {arguments.write_map}; change it and give it back with --map.")
        return 0
    if not arguments.study:
        raise LiminalError("Say which study gets the answers with --study NAME; it is made where there is none of that name.")
    store, library = Store(), Library()
    there, known = existing(store, arguments.study), pictures(library)
    converted = convert(
        imported,
        mapping,
        arguments.study,
        kind=there.plan.kind if there else None,
        stimuli=[each.stimulus for each in store.stimuli(there.name)] if there else None,
        pictures=known,
    )
    _show(imported, converted)
    if arguments.dry_run:
        print("Nothing was kept: this was a dry run.")
        return 0
    stored = bring_in(store, library, converted, leave_out=arguments.leave_out, known=known)
    if converted.published:
        print(f"Made the study '{stored.study.name}' with the published means of {len(converted.stimuli):,} pairs.")
    elif stored.created:
        sets = len(stored.study.sample_sets)
        shown = f", with the pictures of {sets} sample {'set' if sets == 1 else 'sets'}" if sets else ""
        print(f"Made the study '{stored.study.name}': {stored.new:,} answers to {len(converted.stimuli):,} stimuli{shown}.")
    else:
        again = len(converted.ratings) - stored.new
        before = f"; {again:,} were there already" if again else ""
        print(f"Added {stored.new:,} answers to the study '{stored.study.name}'{before}.")
    return 0


def _mapping(arguments: argparse.Namespace, imported: Imported) -> Mapping:
    """From the file given, from the preset, or guessed; a guess is printed with its reasons."""
    if arguments.map:
        try:
            record = json.loads(arguments.map.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise LiminalError(
                f"{arguments.map} cannot be read as JSON; --write-map FILE.json writes one to start from."
            ) from error
        return Mapping.from_dict(record)
    if arguments.preset:
        preset(arguments.preset).apply(list(imported.frame.columns))  # says so where the table has another form
    guessed = guess(imported.frame, arguments.preset)
    for each in guessed.fields:
        if not guessed.mapping.exported:
            print(f"  {each.target:<17} {each.column or '(the file)':<24} {100 * each.confidence:3.0f} %  {each.reason}")
    return guessed.mapping


def _show(imported: Imported, converted: Converted) -> None:
    for note in (*imported.notes, *converted.notes):
        print(note)
    for problem in converted.problems:
        print(f"line {problem.line}: {problem.reason}")
    if converted.problems.more:
        print(f"... and {converted.problems.more:,} more rows that cannot be taken")
    good = len(converted.stimuli) if converted.published else len(converted.ratings)
    print(
        f"{converted.rows:,} rows: {good:,} {'pairs' if converted.published else 'answers'} can be taken, "
        f"{converted.problems.total:,} rows cannot."
    )
