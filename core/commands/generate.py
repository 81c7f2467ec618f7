"""``python -m core generate identity|emotion|study``: samples, judged, in a folder; or a whole data set of them."""

from __future__ import annotations

import argparse

from core.commands import generate_emotion, generate_identity, generate_study


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand a kind of samples."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="identity|emotion|study")
    for name, module, meaning in (
        ("identity", generate_identity, "paper A's samples: who is still the same person?"),
        ("emotion", generate_emotion, "paper B's samples: which of two emotions is it?"),
        ("study", generate_study, "a whole data set by a plan: in pieces, on many computers where wanted"),
    ):
        kind = kinds.add_parser(name, help=meaning)
        module.add_arguments(kind)
        kind.set_defaults(make=module.run)


def run(arguments: argparse.Namespace) -> int:
    """Make the set, save it, print a summary."""
    return int(arguments.make(arguments))
