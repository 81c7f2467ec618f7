"""A plan of tiny models (``tests.fakes``), whose pieces take milliseconds, and a maker of its pieces that any process can run."""

from __future__ import annotations

from unittest.mock import patch

from core.models.device import use_torch_threads
from core.sampling.datasets.plan import parse_plan
from core.sampling.datasets.storage import encode_piece
from core.sampling.identity import IdentityPanel
from tests.fakes import fake_panel

BATCHES = 6
PLAN = {
    "title": "Tiny",
    "seed": 3,
    "generator": "dcgan",
    "identity": {"batches": BATCHES, "bases_per_batch": 3, "iterations": 2, "sigma": 0.5},
}


def small_plan(**changes):
    return parse_plan({**PLAN, **changes})


def make_tiny(piece, log=None):
    """``make_piece`` with the tiny models; each making leaves a line in ``log``."""
    if log:
        with open(log, "a") as lines:  # noqa: PTH123 (one short write: lines of several processes never mix)
            lines.write(f"{piece.number}\n")
    with use_torch_threads(1), patch.object(IdentityPanel, "load", classmethod(lambda cls, configuration: fake_panel())):
        return encode_piece(piece, piece.make(), 0.01)


def tables(folder):
    """Content of all Parquet files of a data set by their place; not its manifest, which holds seconds."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}
