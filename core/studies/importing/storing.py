"""Store converted answers: as a new study, or as more answers of one that exists; everything or nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import LiminalError
from core.studies.importing.conversion import ConvertedAnswers
from core.studies.library import Library, SetEntry
from core.studies.planning import list_stimuli
from core.studies.ratings import Source
from core.studies.store import Store
from core.studies.study import MAX_POINTS, MAX_SENTINELS, MAX_TRIALS, MIN_POINTS, RatingPlan, Stimulus, Study


@dataclass(frozen=True)
class ImportResult:
    """The outcome of an import. new: answers that were not stored before; left_out: rows with a problem."""

    study: Study
    created: bool
    new: int
    left_out: int


def find_study(store: Store, name: str) -> Study | None:
    """A study by its name, or None."""
    return next((study for study in store.studies() if study.name == name.strip()), None)


def find_library_stimuli(library: Library) -> dict[str, str]:
    """stimulus -> set_id of all stimuli of the library's sample sets. A damaged set is left out."""
    set_ids: dict[str, str] = {}
    for entry in library.sets():
        for name in _read_stimulus_ids(entry):
            set_ids.setdefault(name, entry.set_id)
    return set_ids


def store_answers(
    store: Store, library: Library, converted: ConvertedAnswers, *, leave_out: bool = False, known: Mapping[str, str] | None = None
) -> ImportResult:
    """Store converted answers -> the outcome. known: from ``find_library_stimuli``, which is called otherwise.

    A study that does not exist is created, marked as imported or published and closed, since nobody is asked here, and as simulated
    where any answer is. Its pictures are looked up in the library by their ids. Raises LiminalError where a row has a problem
    (unless leave_out) and where the study does not take the answers; nothing is stored then.
    """
    if not leave_out:
        converted.check()
    if converted.ratings.empty and not converted.stimuli:
        raise LiminalError("No row of the file can be taken, so nothing was imported; look at the reasons given for each.")
    existing = find_study(store, converted.study)
    if existing is not None:
        if converted.published:
            raise LiminalError(f"There is a study '{existing.name}' already, and means need one of their own; choose another name.")
        _check_answers(existing.plan, converted.ratings)
        return ImportResult(existing, False, store.save_table(converted.ratings), converted.problems.total)
    known = find_library_stimuli(library) if known is None else known
    stimuli, sets = _attach_pictures(library, converted.stimuli, known)
    study = Study(
        converted.study,
        _plan_from_answers(converted, pairs=any(len(stimulus.images) == 2 for stimulus in stimuli)),
        source=_combine_sources(converted),
        origin="published" if converted.published else "imported",
        closed=True,
        sample_sets=sets,
        note=" ".join(converted.notes),
    )
    return ImportResult(store.restore(study, stimuli, converted.ratings), True, len(converted.ratings), converted.problems.total)


def _check_answers(plan: RatingPlan, ratings: pd.DataFrame) -> None:
    """Raises LiminalError at the first answer that is none of the study's; any place on the scale of similarity is one."""
    for task, value in ratings[["task", "value"]].drop_duplicates().itertuples(index=False):
        plan.check_answer(task, value)


def _plan_from_answers(converted: ConvertedAnswers, *, pairs: bool) -> RatingPlan:
    """A plan with the largest numbers of trials and attention checks that a rater answered.

    pairs: whether the pictures at hand are pairs, of answers to a question that can be asked about either. Raises LiminalError for
    labels or ratings that no study can ask for.
    """
    ratings = converted.ratings
    if ratings.empty:
        return RatingPlan(converted.kind, trials=min(max(len(converted.stimuli), 1), MAX_TRIALS), image_ms=0, fixation_ms=0)
    checks = ratings[ratings["is_sentinel"]].groupby("rater")["stimulus"].nunique()
    others = ratings[~ratings["is_sentinel"]].groupby("rater")["stimulus"].nunique()
    question = _question_of_answers(ratings)
    plan = RatingPlan(
        "identity" if pairs and question else converted.kind,
        trials=min(max(int(others.max()) if len(others) else 1, 1), MAX_TRIALS),
        sentinels=min(int(checks.max()) if len(checks) else 0, MAX_SENTINELS),
        **question,
    )
    return replace(plan, image_ms=0, fixation_ms=0) if plan.kind == "identity" else plan


def _question_of_answers(ratings: pd.DataFrame) -> dict[str, Any]:
    """The values of a plan that asks for labels or ratings, as far as answers tell them; {} for the papers' own questions."""
    task, values = str(ratings["task"].iloc[0]), ratings["value"]
    if task == "label":
        return {"question": "labels", "labels": tuple(values.value_counts().index.map(str))}
    if task != "scale":
        return {}
    points = values.astype("float64")
    most = int(max(points.max(), MIN_POINTS))
    if most > MAX_POINTS or points.min() < 1 or (points % 1 != 0).any():
        raise LiminalError(
            f"The file's ratings lie from {points.min():g} to {points.max():g}; a rating scale has whole points from 1 to at most "
            f"{MAX_POINTS}."
        )
    ends = {"scale_low": "the low end", "scale_high": "the high end"}
    return {"question": "scale", "wording": "A rating (the file does not say of what)", "scale_points": most, **ends}


def _combine_sources(converted: ConvertedAnswers) -> Source:
    sources = set(converted.ratings["source"].unique())
    if "simulated" in sources:  # never passed over, however few
        return "simulated"
    return "model" if sources == {"model"} else "human"


def _attach_pictures(
    library: Library, stimuli: Collection[Stimulus], known: Mapping[str, str]
) -> tuple[list[Stimulus], tuple[str, ...]]:
    sets = tuple(dict.fromkeys(known[stimulus.stimulus] for stimulus in stimuli if stimulus.stimulus in known))
    library_stimuli = {
        stimulus.stimulus: stimulus for set_id in sets for stimulus in list_stimuli(library.load(set_id), set_id, kept_only=False)
    }
    attached = []
    for stimulus in stimuli:
        match = library_stimuli.get(stimulus.stimulus)
        if match is None:
            attached.append(stimulus)
        else:
            details = {**match.details, **stimulus.details}
            attached.append(
                replace(match, is_sentinel=stimulus.is_sentinel, expected=match.expected * stimulus.is_sentinel, details=details)
            )
    return attached, sets


def _read_stimulus_ids(entry: SetEntry) -> list[str]:
    table, column = ("pairs.parquet", "pair_id") if entry.kind == "identity" else ("samples.parquet", "sample_id")
    try:
        return [str(name) for name in pq.read_table(entry.folder / table, columns=[column])[column].to_pylist()]
    except (OSError, pa.ArrowException, ValueError, KeyError):
        return []
