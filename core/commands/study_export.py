"""``python -m core study export NAME``: the answers as a table, or the whole study as a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.errors import LiminalError

ENDINGS = (".csv", ".parquet", ".zip")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``study export``."""
    parser.add_argument("study", metavar="NAME")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE|DIR",
        help="FILE.csv or FILE.parquet: the answers; FILE.zip: everything; a folder gets all three",
    )  # fmt: skip
    parser.add_argument("--demographics", action="store_true", help="put what people said about themselves into the bundle")


def run(arguments: argparse.Namespace) -> int:
    """Write the files, each whole or not at all, and say what they hold."""
    from core.studies.exporting import tables
    from core.studies.exporting.bundle import write_bundle
    from core.studies.library import Library
    from core.studies.store import Store
    from core.writing import whole, write_bytes

    store = Store()
    store.study(arguments.study)  # the sentence about a wrong name comes before anything is written
    for path in _targets(arguments.out, arguments.study):
        try:
            if path.suffix == ".zip":
                with whole(path) as file:
                    made = write_bundle(store, Library(), arguments.study, file, demographics=arguments.demographics)
                print(f"Wrote {path}: {made.answers:,} answers and {made.pictures:,} pictures.")
                if made.missing:
                    print(f"Not in it are the pictures of {', '.join(made.missing)}, which the library does not hold.")
                continue
            ratings = store.ratings(arguments.study)
            write_bytes(path, tables.csv_bytes(ratings) if path.suffix == ".csv" else tables.parquet_bytes(ratings))
            print(f"Wrote {path}: {len(ratings):,} answers.")
        except OSError as error:
            raise LiminalError(f"{path} cannot be written ({error.strerror or error}); choose another place.") from error
    return 0


def _targets(out: Path, name: str) -> list[Path]:
    if out.suffix.lower() in ENDINGS and not out.is_dir():
        return [out.with_suffix(out.suffix.lower())]
    if out.suffix and not out.is_dir():
        raise LiminalError(f"The ending of {out.name} says no form; use {', '.join(ENDINGS)}, or a folder.")
    stem = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name).strip("-") or "study"
    return [out / f"{stem}{ending}" for ending in ENDINGS]
