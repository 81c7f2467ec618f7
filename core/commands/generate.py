"""``python -m core generate identity|emotion|study``: samples, judged, in a folder; or a whole data set of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from core.commands import generate_emotion, generate_identity, generate_study


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One subcommand a kind of samples."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="identity|emotion|study")
    meaning = "paper A's samples: who is still the same person?"
    _add_kind(kinds, "identity", meaning, generate_identity.add_arguments, generate_identity.run)
    meaning = "paper B's samples: which of two emotions is it?"
    _add_kind(kinds, "emotion", meaning, generate_emotion.add_arguments, generate_emotion.run)
    meaning = "a whole data set by a plan: in pieces, on many computers where wanted"
    _add_kind(kinds, "study", meaning, generate_study.add_arguments, generate_study.run)


def _add_kind(
    kinds: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    meaning: str,
    add: Callable[[argparse.ArgumentParser], None],
    make: Callable[[argparse.Namespace], int],
) -> None:
    """One subcommand with its options and what it does."""
    kind = kinds.add_parser(name, help=meaning)
    add(kind)
    kind.set_defaults(make=make)


def run(arguments: argparse.Namespace) -> int:
    """Make the set, save it, print a summary."""
    return int(arguments.make(arguments))
