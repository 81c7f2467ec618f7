"""``python -m core study ...``: studies made, filled, taken in, taken out and deleted without a browser."""

from __future__ import annotations

import argparse

from core.commands import study_backup, study_export, study_import, study_make, study_manage, study_simulate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand an action."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, add, run_action, meaning in (
        ("list", study_manage.add_list, study_manage.run_list, "which studies there are"),
        ("make", study_make.add_arguments, study_make.run, "a study of people, from sample sets"),
        ("simulate", study_simulate.add_arguments, study_simulate.run, "a study of simulated observers with known truth"),
        ("import", study_import.add_arguments, study_import.run, "answers from a file, or a whole study from a bundle"),
        ("export", study_export.add_arguments, study_export.run, "answers as a table, or the whole study as a bundle"),
        ("backup", study_backup.add_backup, study_backup.run_backup, "all studies and answers in one file, while people answer"),
        ("restore", study_backup.add_restore, study_backup.run_restore, "all studies and answers from such a file"),
        ("forget", study_manage.add_forget, study_manage.run_forget, "delete one person's data"),
        ("delete", study_manage.add_delete, study_manage.run_delete, "delete a study with all its answers"),
    ):
        action = actions.add_parser(name, help=meaning, description=meaning)
        add(action)
        action.set_defaults(act=run_action)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked for."""
    return int(arguments.act(arguments))
