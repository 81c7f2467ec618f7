"""What a person who took part is told at the end: how often others, and the network, gave the same answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.studies.study import Kind

MAIN_TASK: Mapping[Kind, str] = {"identity": "identity", "emotion": "emotion"}
CHANCE: Mapping[Kind, float] = {"identity": 1 / 2, "emotion": 1 / 6}
"""How often two people who guess agree."""


@dataclass(frozen=True)
class Departure:
    """One image on which a person stood apart. shares: of the others' answers, in [0, 1]; n: how many others."""

    stimulus: str
    own: str
    shares: Mapping[str, float]
    n: int


@dataclass(frozen=True)
class Agreement:
    """One person's answers beside the others'.

    people: others who saw any of the same; compared: answers that somebody else gave too; share: of the others' answers that are
    this person's, averaged over what was compared, in [0, 1], NaN without any.
    """

    people: int
    compared: int
    share: float
    departures: tuple[Departure, ...] = ()


@dataclass(frozen=True)
class NetworkAnswer:
    """What a network says of one stimulus, and how far each possible answer is from what it says (0: the same)."""

    answer: str
    against: Mapping[str, float]


def agreement(ratings: pd.DataFrame, rater: str, kind: Kind, most: int = 2) -> Agreement:
    """ratings: the typed table of ``core.studies.ratings``; departures: at most ``most``, the most alone first."""
    rows = ratings[(ratings["task"] == MAIN_TASK[kind]) & ~ratings["is_sentinel"]]
    mine = rows[rows["rater"] == rater]
    own = dict(zip(mine["stimulus"], mine["value"], strict=True))
    others = rows[(rows["rater"] != rater) & rows["stimulus"].isin(list(own))]
    if others.empty:
        return Agreement(0, 0, float("nan"))
    same = (others["value"] == others["stimulus"].map(own)).groupby(others["stimulus"]).agg(["mean", "size"])
    alone = same[same["mean"] < 0.5].sort_values(["mean", "size"], ascending=[True, False]).head(most)
    departures = []
    for stimulus, n in alone["size"].items():
        shares = others.loc[others["stimulus"] == stimulus, "value"].value_counts(normalize=True)
        departures.append(
            Departure(str(stimulus), str(own[str(stimulus)]), {str(name): float(share) for name, share in shares.items()}, int(n))
        )
    return Agreement(int(others["rater"].nunique()), len(same), float(same["mean"].mean()), tuple(departures))


def with_network(ratings: pd.DataFrame, rater: str, kind: Kind, said: Mapping[str, NetworkAnswer]) -> tuple[int, int, list[str]]:
    """-> (answers that are the network's too, answers compared, stimuli on which they part, the furthest first)."""
    rows = ratings[(ratings["task"] == MAIN_TASK[kind]) & (ratings["rater"] == rater) & ratings["stimulus"].isin(list(said))]
    answers = list(zip(rows["stimulus"], rows["value"], strict=True))
    apart = [(said[name].against.get(value, 0.0), name) for name, value in answers if said[name].answer != value]
    return len(answers) - len(apart), len(answers), [name for _, name in sorted(apart, reverse=True)]


def network_answers(folders: Iterable[Path]) -> tuple[str, dict[str, NetworkAnswer]]:
    """Sample-set folders -> (name of the recogniser or steerer, its answer by stimulus). Images are not read."""
    name = ""
    said: dict[str, NetworkAnswer] = {}
    for folder in folders:
        try:
            manifest = json.loads((folder / "manifest.json").read_bytes())
            identity = manifest["kind"] == "identity"
            name = manifest["configuration"]["recogniser" if identity else "steerer"]
            table = pd.read_parquet(folder / ("pairs.parquet" if identity else "samples.parquet"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LiminalError(f"The sample set {folder} is damaged and cannot be read; copy the whole folder again.") from error
        said |= _identity(table, name) if identity else _emotion(table)
    return name, said


def _identity(pairs: pd.DataFrame, recogniser: str) -> dict[str, NetworkAnswer]:
    accepted, distance = pairs[f"accepted_{recogniser}"], pairs[f"distance_{recogniser}"]
    known = accepted.notna() & (pairs["sample_type"] != "genuine")
    limit = distance[accepted.fillna(False)].max()  # the boundary lies between the furthest accepted and the nearest refused
    middle = (limit + distance[~accepted.fillna(True)].min()) / 2
    found = {}
    for name, yes, far in zip(pairs["pair_id"][known], accepted[known], distance[known], strict=True):
        answer = "1" if yes else "0"
        apart = abs(float(far) - float(middle)) if pd.notna(middle) else 1.0
        found[str(name)] = NetworkAnswer(answer, {"1" if answer == "0" else "0": apart})
    return found


def _emotion(samples: pd.DataFrame) -> dict[str, NetworkAnswer]:
    found = {}
    for row in samples[["sample_id", *(f"calibrated_{emotion}" for emotion in EMOTIONS)]].to_dict("records"):
        p = {emotion: float(row[f"calibrated_{emotion}"]) for emotion in EMOTIONS}
        best = max(p, key=lambda emotion: p[emotion])
        found[str(row["sample_id"])] = NetworkAnswer(best, {emotion: 1 - share for emotion, share in p.items()})
    return found
