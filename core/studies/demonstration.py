"""The demonstration: two simulated studies in ``assets/demonstration``, so that every page has something to show on first start.

``card.json`` (command, seed, counts, versions, planted relations, date), ``sets/<set_id>/`` (sample sets with pictures as WebP) and
for each study ``<kind>.json`` (plan, stimuli, observers) and ``<kind>.parquet`` (every answer, source 'simulated').
"""

from __future__ import annotations

import datetime as dt
import json
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

import core
from core.errors import LiminalError
from core.progress import Progress
from core.sampling.descriptors import ASSETS
from core.sampling.sample_set import SampleSet
from core.studies.demonstration_sets import GENERATOR, Size, emotion_sets, identity_set, sentinel_set
from core.studies.exporting.bundle import recorded_study, study_record
from core.studies.exporting.tables import parquet_bytes
from core.studies.library import content_id, described, write_set
from core.studies.observers.simulate import PLANTED
from core.studies.observers.simulated_study import SimulatedStudy, simulated_study
from core.studies.planning import CHECKS_TITLE, Prepared, emotion_plan, identity_plan, joined_stimuli, stimuli_of
from core.studies.ratings import typed
from core.studies.store import Store
from core.studies.study import KINDS, Kind, Rater, Stimulus, Study, new_code
from core.writing import write_bytes

FOLDER = ASSETS / "demonstration"
COMMAND = "python -m core assets demonstration"
NAMES: dict[Kind, str] = {"identity": "Demonstration: the same person?", "emotion": "Demonstration: which feeling?"}
EMOTION_TRIALS = 150
"""An emotion observer's, sentinels not counted."""


@dataclass(frozen=True)
class Demonstration:
    """One of the two studies, as ``Store.restore`` takes it; folders: those of its sample sets."""

    study: Study
    stimuli: tuple[Stimulus, ...]
    raters: tuple[Rater, ...]
    ratings: pd.DataFrame
    folders: tuple[Path, ...]


def build(
    work: Path,
    *,
    folder: Path = FOLDER,
    seed: int = 1,
    raters: tuple[int, int] = (60, 80),
    size: Size | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make everything anew -> the card. work: keeps finished sample sets, so that a stopped making goes on where it was.

    raters: observers of pairs and of faces.
    """
    size, progress = size or Size(), progress or Progress()
    pairs = identity_set(size, seed, work, progress.part("Pairs", 0, 3))
    faces = emotion_sets(size, seed, work, progress.part("Faces", 1, 3))
    checks, note = sentinel_set(size, faces[0], work, progress.part("Attention checks", 2, 3))
    start = dt.datetime.now(dt.UTC).replace(microsecond=0)
    identity = _study("identity", [pairs], raters[0], seed, start, [])
    emotion = _study("emotion", [*faces, *([checks] if checks else [])], raters[1], seed, start, [note] if note else [])
    card = {
        "command": f"{COMMAND} --seed {seed} --batches {size.batches} --faces {size.faces} --raters {raters[0]} {raters[1]}",
        "date": start.date().isoformat(),
        "seed": seed,
        "generator": GENERATOR,
        "size": asdict(size),
        "studies": {made.study.plan.kind: _counts(made) for made in (identity, emotion)},
        "planted": dict(PLANTED),
        "versions": {
            "liminal": core.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy")},
        },
    }
    _write_sets(folder / "sets", {content_id(each): each for each in (pairs, *faces, *([checks] if checks else []))}, checks)
    for made in (identity, emotion):
        write_bytes(folder / f"{made.study.plan.kind}.parquet", parquet_bytes(made.ratings))
        write_bytes(folder / f"{made.study.plan.kind}.json", _json(_record(made)))
    write_bytes(folder / "card.json", _json(card))
    return card


def load_demonstration(folder: Path = FOLDER) -> tuple[Demonstration, ...]:
    """Both studies, each with a link and observers' codes of its own. Raises LiminalError where they are not stored whole."""
    try:
        return tuple(_load(folder, kind) for kind in KINDS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiminalError(f"No demonstration study is stored in {folder}; make it with '{COMMAND}'.") from error


def ensure_demonstration(store: Store, folder: Path = FOLDER, progress: Progress | None = None) -> tuple[str, ...]:
    """Put both studies into the store, each once -> the names of those that were added now. progress hears of nothing else.

    What the owner has deleted does not come back: the store remembers deletions. Raises LiminalError like the store.
    """
    names = {study.name for study in store.studies()}
    wanted = [
        name for name in NAMES.values() if name not in names and not any(each.what == "study" for each in store.deletions(name))
    ]
    if not wanted:
        return ()
    added: list[str] = []
    progress = progress or Progress()
    progress.stage("Reading the two example studies", 0.1)
    for place, made in enumerate(load_demonstration(folder)):
        if made.study.name in wanted:
            progress.stage(f"Putting in the {len(made.ratings):,} answers of '{made.study.name}'", 0.4 + 0.3 * place)
            try:
                store.restore(made.study, made.stimuli, made.ratings, made.raters)
            except LiminalError:
                if made.study.name not in {study.name for study in store.studies()}:  # else somebody was faster
                    raise
                continue
            added.append(made.study.name)
    return tuple(added)


def _study(
    kind: Kind, sets: Sequence[SampleSet], raters: int, seed: int, start: dt.datetime, notes: Sequence[str]
) -> SimulatedStudy:
    by_id = {content_id(each): each for each in sets}
    stimuli = joined_stimuli(stimuli_of(each, set_id) for set_id, each in by_id.items())
    if kind == "identity":
        plan = identity_plan(stimuli, seed=seed)
    else:
        plan = emotion_plan(stimuli, trials=min(EMOTION_TRIALS, sum(not each.is_sentinel for each in stimuli)), seed=seed)
    return simulated_study(
        NAMES[kind], Prepared(plan, tuple(stimuli), tuple(by_id), tuple(notes)), by_id, raters=raters, seed=seed, start=start
    )


def _counts(made: SimulatedStudy) -> dict[str, int]:
    return {"stimuli": len(made.stimuli), "raters": len(made.raters), "answers": len(made.ratings)}


def _write_sets(place: Path, sets: dict[str, SampleSet], checks: SampleSet | None) -> None:
    shutil.rmtree(place, ignore_errors=True)
    for set_id, each in sets.items():
        title = CHECKS_TITLE if each is checks else described(each)
        write_set(place / set_id, each, title, lossy=True)


def _record(made: SimulatedStudy) -> dict[str, Any]:
    number = {each.stimulus: place for place, each in enumerate(made.stimuli)}
    return {
        **study_record(made.study),
        "stimuli": [asdict(each) for each in made.stimuli],
        "raters": [
            {
                "rater": each.rater,
                "trials": [number[name] for name in each.trials],
                "created_at": each.created_at.isoformat(),
                "finished_at": each.finished_at.isoformat() if each.finished_at else None,
            }
            for each in made.raters
        ],
    }


def _load(folder: Path, kind: Kind) -> Demonstration:
    record = json.loads((folder / f"{kind}.json").read_text(encoding="utf-8"))
    study = recorded_study(record)
    stimuli = tuple(Stimulus(**{**each, "images": tuple(each["images"])}) for each in record["stimuli"])
    raters = tuple(
        Rater(
            each["rater"],
            study.name,
            new_code(),
            tuple(stimuli[place].stimulus for place in each["trials"]),
            source="simulated",
            created_at=dt.datetime.fromisoformat(each["created_at"]),
            finished_at=dt.datetime.fromisoformat(each["finished_at"]) if each["finished_at"] else None,
        )
        for each in record["raters"]
    )
    ratings = typed(pd.read_parquet(folder / f"{kind}.parquet"))
    return Demonstration(study, stimuli, raters, ratings, tuple(folder / "sets" / set_id for set_id in study.sample_sets))


def _json(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n").encode()
