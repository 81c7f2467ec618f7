"""The demonstration: two simulated studies in ``assets/demonstration``, so that every page has something to show on first start.

``card.json`` (for each study command, seed, counts, generator, versions, date; planted relations), ``sets/<set_id>/`` (sample sets
with pictures as WebP) and for each study ``<kind>.json`` (plan, stimuli, observers) and ``<kind>.parquet`` (every answer, source
'simulated'). ``earlier/<set_id>/`` holds sets of demonstrations that were replaced: a data folder that has their studies shows them
on. ``load_demonstration`` and ``ensure_demonstration`` read what is stored; ``build_demonstration`` makes it anew, sample set by
sample set, so that a stopped run continues where it was.
"""

from __future__ import annotations

import datetime as dt
import json
import platform
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy.exc import SQLAlchemyError

import core
from core.data_folder import ASSETS
from core.errors import LiminalError
from core.progress import Progress
from core.sampling.configuration import IdentityConfiguration, Strategy
from core.sampling.emotion.configuration import EMOTION_PAIRS, EmotionConfiguration
from core.sampling.sample_set import SampleSet, join_identity_sets
from core.studies.exporting.bundle import study_from_record, study_to_record
from core.studies.exporting.tables import parquet_bytes
from core.studies.library import describe_sample_set, hash_sample_set, write_sample_set
from core.studies.planning import (
    CHECK_EMOTIONS,
    CHECKS_TITLE,
    PreparedStudy,
    join_stimuli,
    list_stimuli,
    make_emotion_plan,
    make_identity_plan,
    make_sentinels,
)
from core.studies.ratings import type_columns
from core.studies.simulation import PLANTED, SimulatedStudy, simulate_study
from core.studies.store import Store
from core.studies.study import KINDS, Kind, Rater, Stimulus, Study, new_code
from core.writing import write_bytes

DEMONSTRATION_FOLDER = ASSETS / "demonstration"
DEMONSTRATION_COMMAND = "python -m core assets demonstration"
STUDY_NAMES: dict[Kind, str] = {
    "identity": "Demonstration: one person or two?",
    "emotion": "Demonstration: which of six feelings?",
}
EARLIER_NAMES: dict[str, str] = {
    "Demonstration: one person or two?": "Demonstration: the same person?",
    "Demonstration: which of six feelings?": "Demonstration: which feeling?",
}
"""The study that a demonstration replaced: where its owner had deleted that one, the new one is not put in either."""
DEMONSTRATION_GENERATORS: dict[Kind, str] = {"identity": "head", "emotion": "head"}
OBSERVER_TRIALS = 150
"""Trials of one simulated observer of emotions, attention checks not counted."""


_adding = threading.Lock()


@dataclass(frozen=True)
class Demonstration:
    """One of the two studies, with what ``Store.restore`` takes. folders: those of its sample sets."""

    study: Study
    stimuli: tuple[Stimulus, ...]
    raters: tuple[Rater, ...]
    ratings: pd.DataFrame
    folders: tuple[Path, ...]


def build_demonstration(
    work: Path,
    *,
    folder: Path = DEMONSTRATION_FOLDER,
    seed: int = 1,
    raters: tuple[int, int] = (60, 80),
    size: DemonstrationSize | None = None,
    kinds: Sequence[Kind] = KINDS,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Make the studies of these kinds and their sample sets anew -> the card.

    work: folder of finished sample sets, so that a run that was stopped goes on where it was. raters: numbers of simulated
    observers of pairs and of faces. A study of another kind stays as it is.
    """
    size, progress = size or DemonstrationSize(), progress or Progress()
    start = dt.datetime.now(dt.UTC).replace(microsecond=0)
    card = _read_card(folder)
    options = f"--seed {seed} --batches {size.batches} --faces {size.faces} --raters {raters[0]} {raters[1]}"
    for index, kind in enumerate(kinds):
        part = progress.part("Pairs" if kind == "identity" else "Faces", index, len(kinds))
        notes: list[str] = []
        checks: SampleSet | None = None
        if kind == "identity":
            sets = [make_identity_set(size, seed, work, part)]
        else:
            sets = make_emotion_sets(size, seed, work, part)
            checks, note = make_sentinel_set(size, sets[0], work, part)
            sets, notes = [*sets, *([checks] if checks else [])], [note] if note else []
        simulated = _simulate_study(kind, sets, raters[KINDS.index(kind)], seed, start, notes)
        _write_sets(folder, kind, {hash_sample_set(sample_set): sample_set for sample_set in sets}, checks)
        write_bytes(folder / f"{kind}.parquet", parquet_bytes(simulated.ratings))
        write_bytes(folder / f"{kind}.json", _to_json(_study_to_record(simulated)))
        card["studies"][kind] = {
            **_count_contents(simulated),
            "command": f"{DEMONSTRATION_COMMAND} --kinds {kind} {options}",
            "date": start.date().isoformat(),
            "seed": seed,
            "generator": DEMONSTRATION_GENERATORS[kind],
            "size": asdict(size),
            "versions": {
                "liminal": core.__version__,
                "python": platform.python_version(),
                **{name: version(name) for name in ("torch", "numpy")},
            },
        }
    card["planted"] = dict(PLANTED)
    write_bytes(folder / "card.json", _to_json(card))
    return card


def _read_card(folder: Path) -> dict[str, Any]:
    """The card of what is stored; an empty one where nothing is."""
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        return {"studies": dict(card["studies"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"studies": {}}


def load_demonstration(folder: Path = DEMONSTRATION_FOLDER) -> tuple[Demonstration, ...]:
    """Read both studies, each with a new link and new codes of its observers. Raises LiminalError where a file is missing."""
    try:
        return tuple(_load_study(folder, kind) for kind in KINDS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiminalError(f"No demonstration study is stored in {folder}; make it with '{DEMONSTRATION_COMMAND}'.") from error


def ensure_demonstration(store: Store, folder: Path = DEMONSTRATION_FOLDER, progress: Progress | None = None) -> tuple[str, ...]:
    """Add the studies that the store lacks -> the names of those that were added. progress: used only where one is added.

    A study that its owner has deleted does not come back: the store remembers deletions. Threads of this process take turns; of
    two servers that add to one store at the same moment the second finds the studies there, which is no error. Raises what
    ``Store.restore`` raises.
    """
    with _adding:
        return _add_missing_studies(store, folder, progress)


def _add_missing_studies(store: Store, folder: Path, progress: Progress | None) -> tuple[str, ...]:
    names = {study.name for study in store.studies()}
    missing = [name for name in STUDY_NAMES.values() if name not in names and not _was_deleted(store, name)]
    if not missing:
        return ()
    added: list[str] = []
    progress = progress or Progress()
    progress.stage("Reading the two example studies", 0.1)
    for index, demonstration in enumerate(load_demonstration(folder)):
        if demonstration.study.name in missing:
            progress.stage(
                f"Putting in the {len(demonstration.ratings):,} answers of '{demonstration.study.name}'", 0.4 + 0.3 * index
            )
            try:
                store.restore(demonstration.study, demonstration.stimuli, demonstration.ratings, demonstration.raters)
            except (LiminalError, SQLAlchemyError):  # the second: PostgreSQL's unique names, if both servers write at once
                if demonstration.study.name not in {study.name for study in store.studies()}:
                    raise
                continue  # another server was faster
            added.append(demonstration.study.name)
    return tuple(added)


def _was_deleted(store: Store, name: str) -> bool:
    """Whether the owner deleted this study, or the one that it replaced."""
    earlier = EARLIER_NAMES.get(name, name)
    return any(deletion.what == "study" for each in {name, earlier} for deletion in store.deletions(each))


def _simulate_study(
    kind: Kind, sets: Sequence[SampleSet], raters: int, seed: int, start: dt.datetime, notes: Sequence[str]
) -> SimulatedStudy:
    by_id = {hash_sample_set(sample_set): sample_set for sample_set in sets}
    stimuli = join_stimuli(list_stimuli(sample_set, set_id) for set_id, sample_set in by_id.items())
    if kind == "identity":
        plan = make_identity_plan(stimuli, seed=seed)
    else:
        plan = make_emotion_plan(
            stimuli, trials=min(OBSERVER_TRIALS, sum(not stimulus.is_sentinel for stimulus in stimuli)), seed=seed
        )
    return simulate_study(
        STUDY_NAMES[kind],
        PreparedStudy(plan, tuple(stimuli), tuple(by_id), tuple(notes)),
        by_id,
        raters=raters,
        seed=seed,
        start=start,
    )


def _count_contents(study: SimulatedStudy) -> dict[str, int]:
    return {"stimuli": len(study.stimuli), "raters": len(study.raters), "answers": len(study.ratings)}


def _write_sets(folder: Path, kind: Kind, sets: dict[str, SampleSet], checks: SampleSet | None) -> None:
    """Write the sets of a study beside those of the other one; the sets that its last version had are removed."""
    try:
        before = list(json.loads((folder / f"{kind}.json").read_text(encoding="utf-8"))["study"]["sample_sets"])
    except (OSError, ValueError, KeyError, TypeError):
        before = []
    for set_id in {*before, *sets}:
        shutil.rmtree(folder / "sets" / set_id, ignore_errors=True)
    for set_id, sample_set in sets.items():
        title = CHECKS_TITLE if sample_set is checks else describe_sample_set(sample_set)
        write_sample_set(folder / "sets" / set_id, sample_set, title, lossy=True)


def _study_to_record(simulated: SimulatedStudy) -> dict[str, Any]:
    index = {stimulus.stimulus: number for number, stimulus in enumerate(simulated.stimuli)}
    return {
        **study_to_record(simulated.study),
        "stimuli": [asdict(stimulus) for stimulus in simulated.stimuli],
        "raters": [
            {
                "rater": rater.rater,
                "trials": [index[name] for name in rater.trials],
                "created_at": rater.created_at.isoformat(),
                "finished_at": rater.finished_at.isoformat() if rater.finished_at else None,
            }
            for rater in simulated.raters
        ],
    }


def _load_study(folder: Path, kind: Kind) -> Demonstration:
    record = json.loads((folder / f"{kind}.json").read_text(encoding="utf-8"))
    study = study_from_record(record)
    stimuli = tuple(Stimulus(**{**stimulus, "images": tuple(stimulus["images"])}) for stimulus in record["stimuli"])
    raters = tuple(
        Rater(
            rater["rater"],
            study.name,
            new_code(),
            tuple(stimuli[index].stimulus for index in rater["trials"]),
            source="simulated",
            created_at=dt.datetime.fromisoformat(rater["created_at"]),
            finished_at=dt.datetime.fromisoformat(rater["finished_at"]) if rater["finished_at"] else None,
        )
        for rater in record["raters"]
    )
    ratings = type_columns(pd.read_parquet(folder / f"{kind}.parquet"))
    return Demonstration(study, stimuli, raters, ratings, tuple(folder / "sets" / set_id for set_id in study.sample_sets))


def _to_json(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n").encode()


SENTINEL_COUNT = 20


@dataclass(frozen=True)
class DemonstrationSize:
    """How many samples ``build_demonstration`` makes."""

    batches: int = 3
    faces: int = 14  # for each pair of emotions
    pairs: tuple[tuple[str, str], ...] = EMOTION_PAIRS
    sentinels: int = SENTINEL_COUNT
    strategy: Strategy = "surrogate"


def make_identity_set(size: DemonstrationSize, seed: int, work: Path, progress: Progress) -> SampleSet:
    """Generate all batches of pairs as one sample set."""
    from core.sampling.identity import IdentityPanel, generate_identity_batch  # PyTorch

    configuration = IdentityConfiguration(seed=seed, generator=DEMONSTRATION_GENERATORS["identity"], strategy=size.strategy)
    batches = []
    for batch in range(size.batches):
        batch_progress = progress.part(f"Batch {batch + 1} of {size.batches}", batch, size.batches)

        def make(batch: int = batch, batch_progress: Progress = batch_progress) -> SampleSet:
            return generate_identity_batch(configuration, batch, batch_progress, panel=IdentityPanel.load(configuration))

        batches.append(_load_or_make(work / f"identity-{batch}", configuration, make))
    return join_identity_sets(batches)


def make_emotion_sets(size: DemonstrationSize, seed: int, work: Path, progress: Progress) -> list[SampleSet]:
    """Generate one sample set for each pair of emotions, by paper B's two stages."""
    from core.sampling.emotion.generate import generate_emotion_set  # PyTorch

    sets = []
    for index, (emotion1, emotion2) in enumerate(size.pairs):
        pair_progress = progress.part(f"{emotion1} and {emotion2}", index, len(size.pairs))
        generator = DEMONSTRATION_GENERATORS["emotion"]
        configuration = EmotionConfiguration(emotion1, emotion2, count=size.faces, seed=seed, generator=generator)

        def make(configuration: EmotionConfiguration = configuration, pair_progress: Progress = pair_progress) -> SampleSet:
            return generate_emotion_set(configuration, pair_progress)

        sets.append(_load_or_make(work / f"emotion-{emotion1}-{emotion2}", configuration, make))
    return sets


def make_sentinel_set(size: DemonstrationSize, beside: SampleSet, work: Path, progress: Progress) -> tuple[SampleSet | None, str]:
    """Make attention checks for the emotion sets -> (the set or None, a sentence where they are fewer than asked for)."""
    folder = work / "sentinels"
    note = ""
    if not folder.exists():
        wanted = [CHECK_EMOTIONS[number % len(CHECK_EMOTIONS)] for number in range(size.sentinels)]
        sentinels, note = make_sentinels(beside.emotion, wanted, progress)
        if sentinels is None:
            return None, note
        sentinels.save(folder)
    return SampleSet.load(folder), note


def _load_or_make(
    folder: Path, configuration: IdentityConfiguration | EmotionConfiguration, make: Callable[[], SampleSet]
) -> SampleSet:
    try:
        sample_set = SampleSet.load(folder)
        if sample_set.configuration == configuration:
            return sample_set
    except LiminalError:
        pass
    shutil.rmtree(folder, ignore_errors=True)
    make().save(folder)
    return SampleSet.load(folder)
