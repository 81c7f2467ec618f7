"""Query large data sets with DuckDB: rows, sums and rankings, and a study's answers about them.

A large data set (``core.sampling.datasets``) was made and judged by models; the ranking shows where two of them disagree most.
Only the rows that are needed come into memory. Sample and pair ids are content hashes, so that a study's answers find their rows
wherever the study was made (from the data set itself, a bundle or a table); only the rows that were asked about are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from core.analysis.study_data import Rules, SetTables, StudyData, build_study_data
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.sampling.datasets.data_set import DataSet
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.sample_set import PAIR_COLUMNS, SAMPLE_COLUMNS, Kind, list_emotion_columns, make_table, set_column_types
from core.studies.library import Library
from core.studies.study import Rater, Stimulus, Study

HIDDEN_PREFIXES = ("logit_", "calibrated_")
"""Beginnings of column names that no page shows: two thirds of all columns."""
MIN_PROBABILITY = 1e-300
"""Stands for a probability of zero under a logarithm; the term is zero then."""


@dataclass(frozen=True)
class RowFilter:
    """Conditions on rows. types: sample types; pairs: pairs of emotions; an empty tuple means all."""

    kind: Kind
    types: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()

    def to_sql(self) -> tuple[str, list[Any]]:
        """A condition with question marks, and the values for them."""
        conditions, values = ["true"], list[Any]()
        if self.types:
            conditions.append(f"sample_type in ({', '.join('?' * len(self.types))})")
            values += self.types
        if self.pairs:
            conditions.append(f"({' or '.join(['(emotion1 = ? and emotion2 = ?)'] * len(self.pairs))})")
            values += [emotion for pair in self.pairs for emotion in pair]
        return " and ".join(conditions), values


@dataclass(frozen=True)
class ModelPair:
    """Two models of a data set: the recognisers of its pairs, or the classifiers of its faces."""

    kind: Kind
    first: str
    second: str


def list_models(data: DataSet, kind: Kind) -> list[str]:
    """Models that judged the data set: recognisers with a threshold, or classifiers, the guiding one first."""
    configuration = data.configuration(kind)
    if isinstance(configuration, EmotionConfiguration):
        return list(configuration.classifiers)
    columns = data.columns("pairs")
    return [name for name in data.thresholds(kind) if f"distance_{name}" in columns]


def list_types_and_pairs(data: DataSet, kind: Kind) -> tuple[list[str], list[tuple[str, str]]]:
    """Sample types and pairs of emotions that occur."""
    table = _name_table(kind)
    types = data.query(f"select distinct sample_type from {table} order by all")["sample_type"].tolist()
    if kind == "identity":
        return types, []
    pairs = data.query(f"select distinct emotion1, emotion2 from {table} order by all")
    return types, [(str(one), str(two)) for one, two in pairs.itertuples(index=False)]


def count_rows(data: DataSet, narrowed: RowFilter) -> int:
    """Number of rows that meet the conditions."""
    condition, values = narrowed.to_sql()
    return int(data.query(f"select count(*) as n from {_name_table(narrowed.kind)} where {condition}", values)["n"].iloc[0])


def load_faces(data: DataSet, narrowed: RowFilter, first: int, most: int) -> pd.DataFrame:
    """Faces ``first`` to ``first + most`` in the order of the data set, without columns of HIDDEN_PREFIXES, with ``place``.

    The first query reads the places only, so that the many other columns are read just for the rows between them.
    """
    columns = ", ".join(f'"{name}"' for name in data.columns(f"samples-{narrowed.kind}") if not name.startswith(HIDDEN_PREFIXES))
    table, (condition, values) = _name_table(narrowed.kind), narrowed.to_sql()
    places = data.query(f"select place from {table} where {condition} order by place limit ? offset ?", [*values, most, first])
    low, high = (int(places["place"].min()), int(places["place"].max())) if len(places) else (0, -1)
    rows = data.query(
        f"select {columns} from {table} where place between ? and ? and {condition} order by place", [low, high, *values]
    )
    return rows.head(most)


def load_pairs(data: DataSet, faces: pd.DataFrame) -> pd.DataFrame:
    """Pairs of which these faces are the sample; only the pieces (files) that hold the faces are read."""
    if faces.empty or not data.rows("pairs"):
        return data.query("select * from pairs limit 0").drop(columns="place") if data.rows("pairs") else pd.DataFrame()
    low, high = int(faces["piece"].min()), int(faces["piece"].max())
    wanted = faces[["sample_id"]].drop_duplicates()
    pairs = data.query(
        "select pairs.* from pairs join wanted using (sample_id) where piece between ? and ? order by place",
        [low, high],
        wanted=wanted,
    )
    return pairs.drop(columns="place")


def summarise_types(data: DataSet, narrowed: RowFilter) -> pd.DataFrame:
    """One row a sample type. Identity: pairs, mean distance and accepted share of every recogniser, mean LPIPS.

    Emotion: faces, share that passed filter (3) under each classifier.
    """
    condition, values = narrowed.to_sql()
    if narrowed.kind == "identity":
        columns = ["count(*) as pairs", "avg(lpips) as lpips"]
        for name in list_models(data, "identity"):
            columns += [f'avg("distance_{name}") as "distance_{name}"', f'avg("accepted_{name}"::int) as "accepted_{name}"']
        table = "pairs"
    else:
        steerer, *judges = list_models(data, "emotion")
        columns = ["count(*) as faces", f'avg(passed_filter::int) as "passed_{steerer}"']
        columns += [f'avg("passed_{name}"::int) as "passed_{name}"' for name in judges]
        table = _name_table("emotion")
    return data.query(
        f"select sample_type, {', '.join(columns)} from {table} where {condition} group by all order by 2 desc, 1", values
    )


def rank_rows(
    data: DataSet, narrowed: RowFilter, rivals: ModelPair, first: int, most: int, *, lowest: bool = False, of: int | None = None
) -> pd.DataFrame:
    """Rows ``first`` to ``first + most`` of a ranking: stimulus, score and its columns; the highest scores first.

    identity: score = d1 / t1 - d2 / t2, distances in units of each recogniser's own threshold: above 0 the second is more
    willing to take the pair for one person. emotion: Jensen-Shannon divergence of two classifiers' probabilities, 0 to 1 bit
    (Lin 1991). of: how many rows have a score (``count_rankable``), where known: the last pages are then read from the end.
    The first query reads places and scores; the other columns are read of those rows alone.
    """
    condition, values = narrowed.to_sql()
    score, columns = _build_score_sql(data, rivals)
    table = "pairs" if rivals.kind == "identity" else _name_table("emotion")
    behind = of is not None and first > of // 2
    most = most if of is None else max(0, min(most, of - first))
    skipped = of - first - most if behind and of is not None else first
    order = "asc, place" if lowest else "desc, place"
    back = "desc, place desc" if lowest else "asc, place desc"
    places = data.query(
        f"select place, {score} as score from {table} where {condition} and score is not null and not isnan(score) "
        f"order by score {back if behind else order} limit ? offset ?",
        [*values, most, skipped],
    )
    ranked = places[::-1].reset_index(drop=True) if behind else places
    stimulus = "pair_id" if rivals.kind == "identity" else "sample_id"
    rows = data.read_rows(table, ranked["place"].tolist(), columns=f"{stimulus} as stimulus, place, {columns}")
    return ranked.merge(rows, on="place", how="left")[["stimulus", "score", *rows.columns[1:]]]


def count_rankable(data: DataSet, narrowed: RowFilter, rivals: ModelPair) -> int:
    """Rows that have a score."""
    condition, values = narrowed.to_sql()
    score, _ = _build_score_sql(data, rivals)
    table = "pairs" if rivals.kind == "identity" else _name_table("emotion")
    scores = f"select {score} as score from {table} where {condition}"
    sql = f"select count(*) as n from ({scores}) where score is not null and not isnan(score)"
    return int(data.query(sql, values)["n"].iloc[0])


def load_row(data: DataSet, kind: Kind, stimulus: str) -> pd.Series[Any] | None:
    """The row of a pair or a face; None where there is none."""
    if kind == "identity":
        rows = data.query("select * from pairs where pair_id = ? limit 1", [stimulus])
    else:
        index = data.find_row(stimulus)
        rows = data.query(f"select * from {_name_table(kind)} where place = ?", [-1 if index is None else index])
        rows = rows[rows["sample_id"] == stimulus]
    return None if rows.empty else rows.iloc[0]


def spread_places(data: DataSet, kind: Kind, most: int) -> np.ndarray[Any, Any]:
    """Places of at most ``most`` faces of a kind, evenly spread from first to last, as a sample of the whole."""
    rows = data.rows("samples", kind)
    start = data.rows("samples", data.kinds[0]) if kind != data.kinds[0] else 0
    return start + np.unique(np.linspace(0, rows - 1, min(most, rows)).astype(np.int64))


def _name_table(kind: Kind) -> str:
    return f"samples_{kind}"


def _build_score_sql(data: DataSet, rivals: ModelPair) -> tuple[str, str]:
    """SQL of the score, and of the columns shown beside it."""
    known = list_models(data, rivals.kind)
    for name in (rivals.first, rivals.second):
        if name not in known:
            raise LiminalError(f"'{name}' did not judge this data set; those that did: {', '.join(known) or 'none'}.")
    if rivals.kind == "identity":
        limits = data.thresholds("identity")
        one, two = (f'"distance_{name}" / {limits[name]!r}' for name in (rivals.first, rivals.second))
        distances = [f'"distance_{name}"' for name in (rivals.first, rivals.second)]
        return f"({one} - {two})", ", ".join(["base_id", "sample_id", "sample_type", "step", "partner_id", "direction", *distances])
    first, second = (_list_probability_columns(known[0], name) for name in (rivals.first, rivals.second))
    terms = [f"{_build_divergence_term(p, q)} + {_build_divergence_term(q, p)}" for p, q in zip(first, second, strict=True)]
    choices = [f"{_build_most_probable_sql(columns)} as {name}" for name, columns in (("said", first), ("said_other", second))]
    score = f"greatest(0, least(1, 0.5 * ({' + '.join(terms)})))"
    return score, ", ".join(["base_id", "sample_id", "sample_type", "step", "emotion1", "emotion2", *choices])


def _list_probability_columns(steerer: str, name: str) -> list[str]:
    prefix = "p_" if name == steerer else f"p_{name}_"
    return [f'"{prefix}{emotion}"' for emotion in EMOTIONS]


def _build_divergence_term(p: str, q: str) -> str:
    """p log2(p / m), m the mean of both; 0 where p is 0."""
    return f"{p} * log2(greatest({p}, {MIN_PROBABILITY}) / greatest(0.5 * ({p} + {q}), {MIN_PROBABILITY}))"


def _build_most_probable_sql(columns: Sequence[str]) -> str:
    """The most probable emotion; of equal ones the first."""
    largest = f"greatest({', '.join(columns)})"
    cases = " ".join(f"when {column} = {largest} then '{emotion}'" for column, emotion in zip(columns, EMOTIONS, strict=True))
    return f"case {cases} end"


def count_known_stimuli(data: DataSet, narrowed: RowFilter, stimuli_by_study: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Study -> how many of its stimuli are rows of the data set that meet the conditions; studies without any are left out."""
    by_study = {study: set(stimuli) for study, stimuli in stimuli_by_study.items()}
    known = set(_find_places(data, narrowed, list(set().union(*by_study.values())))["stimulus"])
    return {study: len(stimuli & known) for study, stimuli in by_study.items() if stimuli & known}


def load_stimulus_rows(data: DataSet, narrowed: RowFilter, stimuli: Sequence[str]) -> pd.DataFrame:
    """The rows of pairs (identity) or faces (emotion) by their ids, in the order of the data set, each once; no others."""
    table = "pairs" if narrowed.kind == "identity" else "samples_emotion"
    return data.read_rows(table, _find_places(data, narrowed, stimuli)["place"].tolist())


def build_large_study_data(
    data: DataSet,
    set_id: str,
    narrowed: RowFilter,
    study: Study,
    stimuli: Sequence[Stimulus],
    raters: Sequence[Rater],
    ratings: pd.DataFrame,
    library: Library,
    *,
    rules: Rules = "planned",
) -> StudyData:
    """A study's answers about the data set as study data: stimuli, pairs, samples and answers of those rows.

    Raters are excluded by all of their answers in the study. library: holds what the data set lacks.
    """
    rows = load_stimulus_rows(data, narrowed, [stimulus.stimulus for stimulus in stimuli])
    present = set(rows["pair_id" if narrowed.kind == "identity" else "sample_id"])
    present_stimuli = [stimulus for stimulus in stimuli if stimulus.stimulus in present]
    images = list({name for stimulus in present_stimuli for name in (*stimulus.images, stimulus.base_id) if name})
    samples = data.read_rows(f"samples_{narrowed.kind}", data.find_rows(images))
    study_data = build_study_data(
        study, stimuli, raters, ratings, library, rules=rules, sets=[_build_set_tables(data, set_id, narrowed, rows, samples)]
    )
    answers = ratings[ratings["stimulus"].isin(list(present))].reset_index(drop=True)
    reasons = {rater: why for rater, why in study_data.excluded.items() if rater in set(answers["rater"])}
    return replace(
        study_data,
        stimuli=tuple(present_stimuli),
        ratings=answers,
        exclusions=replace(study_data.exclusions, raters=tuple(sorted(answers["rater"].unique())), reasons=reasons),
        pairs=study_data.pairs[study_data.pairs["pair_id"].isin(list(present))].reset_index(drop=True),
        samples=study_data.samples[study_data.samples["sample_id"].isin(list(present | set(images)))].reset_index(drop=True),
    )


def _build_set_tables(data: DataSet, set_id: str, narrowed: RowFilter, rows: pd.DataFrame, samples: pd.DataFrame) -> SetTables:
    configuration = data.configuration(narrowed.kind)
    samples = samples.drop(columns=["place", "piece"], errors="ignore").assign(image="")
    if isinstance(configuration, EmotionConfiguration):
        samples = set_column_types(samples, list_emotion_columns(configuration.judges, configuration.recogniser))
        pairs = make_table([], PAIR_COLUMNS)
    else:
        samples = set_column_types(samples, SAMPLE_COLUMNS)
        pairs = set_column_types(rows.drop(columns=["place", "piece"], errors="ignore"), PAIR_COLUMNS)
    width = data.latents([0]).shape[1] if data.rows("samples") else 0
    return SetTables(set_id, configuration, samples, pairs, data.thresholds(narrowed.kind), width)


def _find_places(data: DataSet, narrowed: RowFilter, stimuli: Sequence[str]) -> pd.DataFrame:
    """Columns place and stimulus of the stimuli that meet the conditions, in order, each once. Of pairs all ids are read once."""
    condition, values = narrowed.to_sql()
    if narrowed.kind == "emotion":
        columns = "place, sample_id as stimulus"
        rows = data.read_rows("samples_emotion", data.find_rows(stimuli), columns=columns, where=condition, values=values)
        rows = rows[rows["stimulus"].isin(list(stimuli))]  # the number of another one's id may be the same
    else:
        wanted = pd.DataFrame({"stimulus": list(dict.fromkeys(stimuli))}, dtype="str")
        rows = data.query(
            f"select place, stimulus from pairs join wanted on pair_id = stimulus where {condition}", values, wanted=wanted
        )
    return rows.sort_values("place").drop_duplicates("stimulus", ignore_index=True)
