"""What asking the next question saves, worked out beforehand for the usual choices, so that a first visitor waits for nothing.

``assets/next_question/<goal>.json``: a ``NextQuestion`` with people, answers and seed, the command, the version and the date. All
of these people are simulated.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import core
from core.alignment.kept import write_json
from core.alignment.next_simulation import GOALS, Goal, NextQuestion, simulate_next
from core.analysis.boundary import Estimate
from core.analysis.results import Basis
from core.models.weights import ROOT
from core.progress import Progress

FOLDER = ROOT / "assets" / "next_question"
COMMAND = "python -m core assets next-question"
PEOPLE, ANSWERS, SEED = 40, 80, 0
"""The usual choices, which are stored."""


def build(
    *,
    people: int = PEOPLE,
    answers: int = ANSWERS,
    seed: int = SEED,
    folder: Path = FOLDER,
    progress: Progress | None = None,
) -> list[NextQuestion]:
    """Ask the simulated people for each goal and store what came of it. Raises LiminalError like ``simulate_next``."""
    progress = progress or Progress()
    made = []
    for place, goal in enumerate(GOALS):
        part = progress.part(goal.capitalize(), place, len(GOALS))
        found = simulate_next(people=people, answers=answers, goal=goal, seed=seed, progress=part)
        card = {
            "people": people,
            "answers": answers,
            "seed": seed,
            "command": f"{COMMAND} --people {people} --answers {answers} --seed {seed}",
            "version": core.__version__,
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            "found": found.to_dict(),
        }
        write_json(folder / f"{goal}.json", card)
        made.append(found)
    return made


@cache
def stored(people: int, answers: int, goal: Goal, seed: int, folder: Path = FOLDER) -> tuple[NextQuestion, str] | None:
    """The stored result of these very choices, and the date (ISO) it was made on; None where there is none or it is damaged."""
    try:
        card = json.loads((folder / f"{goal}.json").read_bytes())
        if (card["people"], card["answers"], card["seed"]) != (people, answers, seed):
            return None
        return read(card["found"]), str(card["date"])
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None


def read(record: Mapping[str, Any]) -> NextQuestion:
    """``NextQuestion.to_dict`` back. Raises KeyError, TypeError or ValueError where the record is none."""
    series = {name: tuple(_estimate(each) for each in record[name]) for name in ("random", "chosen", "near")}
    return NextQuestion(
        basis=Basis(**record["basis"]),
        interval=str(record["interval"]),
        note=str(record["note"]),
        goal=next(each for each in GOALS if each == record["goal"]),
        pairs=tuple((str(first), str(second)) for first, second in record["pairs"]),
        answers=tuple(int(each) for each in record["answers"]),
        **series,
        needed=_estimate(record["needed"]),
        share=_estimate(record["share"]),
        near_share=_estimate(record["near_share"]),
        possible=_number(record["possible"]),
    )


def _estimate(record: Mapping[str, Any]) -> Estimate:
    return Estimate(_number(record["value"]), _number(record["low"]), _number(record["high"]), int(record["n"]))


def _number(value: float | None) -> float:
    """JSON has no NaN; null stands for it."""
    return math.nan if value is None else float(value)
