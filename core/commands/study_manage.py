"""``python -m core study list``, ``delete`` and ``forget``: which studies there are, and what goes on request."""

from __future__ import annotations

import argparse
import json
import sys

from core.alignment.forgetting import delete_study, forget_rater
from core.errors import LiminalError


def add_list(parser: argparse.ArgumentParser) -> None:
    """The options of ``study list``."""
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def add_delete(parser: argparse.ArgumentParser) -> None:
    """The options of ``study delete``."""
    parser.add_argument("study", metavar="NAME")
    parser.add_argument("--reason", default="", help="kept in the record of what was deleted")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def add_forget(parser: argparse.ArgumentParser) -> None:
    """The options of ``study forget``."""
    parser.add_argument("study", metavar="NAME")
    parser.add_argument("--rater", required=True, metavar="ID", help="whose data goes")
    parser.add_argument("--reason", default="", help="kept in the record of what was deleted, without the person's name")


def run_list(arguments: argparse.Namespace) -> int:
    """A line a study."""
    from core.studies.store import Store

    store = Store()
    counts = store.counts()
    rows = []
    for study in store.studies():
        people, answers = counts.get(study.name, (0, 0))
        rows.append({
            "name": study.name,
            "kind": study.plan.kind,
            "source": study.source,
            "published": study.published,
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
        marks = [word for word in ("published", "closed") if row[word]] + [str(row["source"])] * (row["source"] != "human")
        print(
            f"{row['name']}  ({row['kind']}{', ' if marks else ''}{', '.join(marks)}): {row['answers']:,} answers of "
            f"{row['raters']:,} raters to {row['stimuli']:,} stimuli"
        )
    return 0


def run_delete(arguments: argparse.Namespace) -> int:
    """A study with all that belongs to it; asked first where somebody can answer."""
    from core.studies.store import Store

    store = Store()
    store.study(arguments.study)  # the sentence about a wrong name comes before the question
    _, answers = store.counts().get(arguments.study, (0, 0))
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise LiminalError(f"This deletes {answers:,} answers for good; add --yes to say that it is meant.")
        print(f"This deletes the study '{arguments.study}' with {answers:,} answers for good. Type its name to go on: ", end="")
        if input() != arguments.study:
            raise LiminalError("The name was another one, so nothing was deleted.")
    delete_study(store, arguments.study, arguments.reason)
    print(f"Deleted the study '{arguments.study}' with {answers:,} answers; a record says that it was there.")
    return 0


def run_forget(arguments: argparse.Namespace) -> int:
    """One person's data; the record says that, not who."""
    from core.studies.store import Store

    deletion = forget_rater(Store(), arguments.study, arguments.rater, arguments.reason)
    print(f"Deleted one person's data from '{deletion.study}': {deletion.answers:,} answers; a record says so without the name.")
    return 0
