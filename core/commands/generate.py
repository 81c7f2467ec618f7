"""``python -m core generate identity|emotion``: samples, judged, in a folder."""

from __future__ import annotations

import argparse

from core.commands import generate_emotion, generate_identity


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand a kind of samples."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="identity|emotion")
    for name, module, meaning in (
        ("identity", generate_identity, "paper A's samples: who is still the same person?"),
        ("emotion", generate_emotion, "paper B's samples: which of two emotions is it?"),
    ):
        kind = kinds.add_parser(name, help=meaning)
        module.add_arguments(kind)
        kind.set_defaults(make=module.run)


def run(arguments: argparse.Namespace) -> int:
    """Make the set, save it, print a summary."""
    return int(arguments.make(arguments))
