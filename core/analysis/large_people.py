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

TOGETHER = 2000
"""Rows asked for in one question, by their places: a list in a query is looked up by row group."""


def known_stimuli(data: DataSet, narrowed: Narrowed, asked: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Study -> how many of its stimuli are rows of the data set that are looked at; studies without any are left out.

    One look at one column of the data set, however many studies there are.
    """
    rows = [(study, stimulus) for study, stimuli in asked.items() for stimulus in stimuli]
    if not rows:
        return {}
    table, name = _table(narrowed)
    condition, values = narrowed.where()
    found = data.query(
        f"select study, count(distinct stimulus) as n from {table} join asked on {name} = stimulus where {condition} group by all",
        values,
        asked=pd.DataFrame(rows, columns=["study", "stimulus"]),
    )
    return {str(study): int(n) for study, n in found.itertuples(index=False)}


def rows_of(data: DataSet, narrowed: Narrowed, stimuli: Sequence[str]) -> pd.DataFrame:
    """The rows of pairs (identity) or faces (emotion) by their ids, in the order of the data set, each once; no others."""
    table, name = _table(narrowed)
    condition, values = narrowed.where()
    return _read(data, table, name, condition, values, stimuli)


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
    samples = _read(data, f"samples_{narrowed.kind}", "sample_id", "true", [], shown)
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


def _read(data: DataSet, table: str, name: str, condition: str, values: Sequence[object], wanted: Sequence[str]) -> pd.DataFrame:
    """Rows by their ids: their places first, by two columns; then all columns of those places alone."""
    asked = pd.DataFrame({"wanted": list(dict.fromkeys(wanted))}, dtype="str")
    found = data.query(
        f"select min(place) as place from {table} join asked on {name} = wanted where {condition} group by wanted order by place",
        list(values),
        asked=asked,
    )
    places = found["place"].tolist()
    parts = [places[start : start + TOGETHER] for start in range(0, len(places), TOGETHER)] or [[-1]]
    return pd.concat(
        [
            data.query(f"select * from {table} where place in ({', '.join(map(str, part))}) order by place")  # numbers of our own
            for part in parts
        ],
        ignore_index=True,
    )


def _table(narrowed: Narrowed) -> tuple[str, str]:
    return ("pairs", "pair_id") if narrowed.kind == "identity" else ("samples_emotion", "sample_id")
