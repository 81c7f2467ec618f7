"""What people said of faces and pairs of a large data set, beside what its models say of them.

Ids are made of content, so that a study's answers find their rows wherever the study was made: from the data set itself, from a
bundle, from a table. The answers are few and stay in memory; of the data set only the rows that somebody was asked about are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from core.analysis.large import Narrowed
from core.analysis.material import RULES, Material, SetTables, assemble
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.many.data_set import DataSet
from core.sampling.tables import PAIRS, SAMPLES, emotion_samples, frame, typed
from core.studies.exclusions import Rules
from core.studies.library import Library
from core.studies.study import Rater, Stimulus, Study


def known_stimuli(data: DataSet, narrowed: Narrowed, asked: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Study -> how many of its stimuli are rows of the data set that are looked at; studies without any are left out."""
    by_study = {study: set(stimuli) for study, stimuli in asked.items()}
    found = set(_places(data, narrowed, list(set().union(*by_study.values())))["stimulus"])
    return {study: len(stimuli & found) for study, stimuli in by_study.items() if stimuli & found}


def rows_of(data: DataSet, narrowed: Narrowed, stimuli: Sequence[str]) -> pd.DataFrame:
    """The rows of pairs (identity) or faces (emotion) by their ids, in the order of the data set, each once; no others."""
    table = "pairs" if narrowed.kind == "identity" else "samples_emotion"
    return data.at(table, _places(data, narrowed, stimuli)["place"].tolist())


def people_in(
    data: DataSet,
    set_id: str,
    narrowed: Narrowed,
    study: Study,
    stimuli: Sequence[Stimulus],
    raters: Sequence[Rater],
    ratings: pd.DataFrame,
    library: Library,
    *,
    rules: Rules | None = RULES,
) -> Material:
    """A study's answers about the data set, in the form that all analyses take: stimuli, pairs, samples and answers of those rows.

    Who is left out is decided on all answers of the study. library: only where it is needed for what the data set lacks.
    """
    rows = rows_of(data, narrowed, [each.stimulus for each in stimuli])
    there = set(rows["pair_id" if narrowed.kind == "identity" else "sample_id"])
    kept = [each for each in stimuli if each.stimulus in there]
    shown = list({name for each in kept for name in (*each.images, each.base_id) if name})
    samples = data.at(f"samples_{narrowed.kind}", data.places_of(shown))
    found = assemble(study, stimuli, raters, ratings, library, rules=rules, sets=[_tables(data, set_id, narrowed, rows, samples)])
    told = ratings[ratings["stimulus"].isin(list(there))].reset_index(drop=True)
    reasons = {rater: why for rater, why in found.excluded.items() if rater in set(told["rater"])}
    return replace(
        found,
        stimuli=tuple(kept),
        ratings=told,
        exclusions=replace(found.exclusions, raters=tuple(sorted(told["rater"].unique())), reasons=reasons),
        pairs=found.pairs[found.pairs["pair_id"].isin(list(there))].reset_index(drop=True),
        samples=found.samples[found.samples["sample_id"].isin(list(there | set(shown)))].reset_index(drop=True),
    )


def _tables(data: DataSet, set_id: str, narrowed: Narrowed, rows: pd.DataFrame, samples: pd.DataFrame) -> SetTables:
    configuration = data.configuration(narrowed.kind)
    samples = samples.drop(columns=["place", "piece"], errors="ignore").assign(image="")
    if isinstance(configuration, EmotionConfiguration):
        samples = typed(samples, emotion_samples(configuration.judges, configuration.recogniser))
        pairs = frame([], PAIRS)
    else:
        samples = typed(samples, SAMPLES)
        pairs = typed(rows.drop(columns=["place", "piece"], errors="ignore"), PAIRS)
    width = data.latents([0]).shape[1] if data.rows("samples") else 0
    return SetTables(set_id, configuration, samples, pairs, data.thresholds(narrowed.kind), width)


def _places(data: DataSet, narrowed: Narrowed, stimuli: Sequence[str]) -> pd.DataFrame:
    """place and stimulus of those that are rows which are looked at, in order, each once. Pairs cost one look at all their ids."""
    condition, values = narrowed.where()
    if narrowed.kind == "emotion":
        columns = "place, sample_id as stimulus"
        found = data.at("samples_emotion", data.places_of(stimuli), columns=columns, where=condition, values=values)
        found = found[found["stimulus"].isin(list(stimuli))]  # the number of another one's id may be the same
    else:
        asked = pd.DataFrame({"stimulus": list(dict.fromkeys(stimuli))}, dtype="str")
        found = data.query(
            f"select place, stimulus from pairs join asked on pair_id = stimulus where {condition}", values, asked=asked
        )
    return found.sort_values("place").drop_duplicates("stimulus", ignore_index=True)
