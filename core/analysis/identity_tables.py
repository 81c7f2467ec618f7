"""Tables 1 and 2 of paper A: acceptance and means by sample type, correlations with rated identity, published values beside.

``build_acceptance_table`` needs pairs only (Table 1's models' columns, Wilson intervals, pairs taken as independent, which makes
them a little too narrow as pairs share bases). ``build_mean_table`` and ``build_correlation_table`` add people's answers; all
intervals of one table come from the same resamples of people and images (``core.analysis.bootstrap``), and images are drawn within
their type and step, so that every resample has the design of the study. The published tables are read from
``assets/published``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from core.analysis.bootstrap import (
    RESAMPLES,
    ResampleWeights,
    VoteSums,
    correlate_cells,
    correlation_interval,
    draw_weights,
    image_means,
    percentile_interval,
    pooled_means,
)
from core.analysis.encode import EncodedRatings, encode, explain_no_answers, list_recognisers, select_answers
from core.analysis.estimate import Array, Basis, Estimate, Proportion, Result, join_notes, name_sources, safe_divide
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.sampling.stored.population import load_thresholds

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = lazy_import("scipy.sparse")
multitest, stats = lazy_import("statsmodels.stats.multitest"), lazy_import("scipy.stats")

PUBLISHED_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "published"


@dataclass(frozen=True)
class PublishedMean:
    """A row of Table 1. ``step`` is None for a type as a whole and for 'all'."""

    sample_type: str
    step: float | None
    similarity: float  # 0 to 100
    identity: float  # share of people who said it is the same person
    distances: Mapping[str, float]  # mean distance by recogniser
    accepted: Mapping[str, float]  # share accepted at the recogniser's default threshold
    lpips: float
    latent: float  # z-space tiled over StyleGAN2's 18 layers
    latent_ratio: float  # to the negatives' mean: the only form that compares with another generator


@dataclass(frozen=True)
class PublishedCorrelation:
    """A cell of Table 2: Pearson's r with rated identity, and the level that it was significant at."""

    r: float
    level: float


@lru_cache(maxsize=1)
def load_table1() -> tuple[PublishedMean, ...]:
    """All rows of Table 1, in the paper's order."""
    table = _read_published("table1.json")
    models = list(table["models"])
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    negative = next(row["latent"] for row in rows if row["sample_type"] == "negative")
    return tuple(
        PublishedMean(
            sample_type=row["sample_type"],
            step=row["step"],
            similarity=row["similarity"],
            identity=row["identity"],
            distances={name: row[name] for name in models},
            accepted={name: row[f"{name}_accepted"] for name in models},
            lpips=row["lpips"],
            latent=row["latent"],
            latent_ratio=row["latent"] / negative,
        )
        for row in rows
    )


def find_published_mean(sample_type: str, step: float | None) -> PublishedMean | None:
    """The row of Table 1 for a type, or for a step of it; None where the paper has none."""
    for row in load_table1():
        if row.sample_type == sample_type and row.step == step:
            return row
    return None


def load_published_thresholds() -> dict[str, float]:
    """The default thresholds that the paper used, by recogniser."""
    return {name: model["threshold"] for name, model in _read_published("table1.json")["models"].items()}


@lru_cache(maxsize=1)
def load_table2() -> dict[str, dict[str, PublishedCorrelation | None]]:
    """Correlations by sample type and column; None where the paper's cell is empty (not significant)."""
    table = _read_published("table2.json")
    return {
        sample_type: {
            column: PublishedCorrelation(*cell) if cell else None for column, cell in zip(table["columns"], cells, strict=True)
        }
        for sample_type, cells in table["rows"].items()
    }


def _read_published(name: str) -> Any:
    return json.loads((PUBLISHED_FOLDER / name).read_text(encoding="utf-8"))


SAMPLE_TYPE_ORDER = ("genuine", "interpolation", "negative", "optimized", "positive", "semantic")


def order_sample_types(types: Iterable[object]) -> list[str]:
    """The types that occur: Table 1's in its order, then others, such as those of imported pairs and own pictures, by name."""
    present = set(map(str, types))
    return [name for name in SAMPLE_TYPE_ORDER if name in present] + sorted(present.difference(SAMPLE_TYPE_ORDER))


"""Table 1's order of types."""


@dataclass(frozen=True)
class AcceptanceRow:
    """A type of sample as a whole (step and direction None), one of its steps, or 'all'. Means are NaN over no values."""

    sample_type: str
    step: float | None
    direction: str | None  # semantic samples
    pairs: int
    no_face: Proportion  # of all pairs: no face found in one of the two images
    accepted: Proportion  # of the pairs with two faces: distance < threshold
    distance: float  # mean over the pairs with two faces
    lpips: float
    latent_distance: float  # Euclidean, in the generator's own units
    latent_ratio: float  # to the negatives' mean, which compares with the paper's


@dataclass(frozen=True)
class AcceptanceTable:
    """One recogniser at one threshold."""

    recogniser: str
    threshold: float
    rows: tuple[AcceptanceRow, ...]

    def row(self, sample_type: str, step: float | None = None) -> AcceptanceRow:
        """Raises LiminalError where the set has no such samples."""
        for row in self.rows:
            if row.sample_type == sample_type and row.step == step and row.direction is None:
                return row
        raise LiminalError(f"The sample set has no {sample_type} samples" + (f" of step {step:g}." if step is not None else "."))


def build_acceptance_table(pairs: pd.DataFrame, recogniser: str, threshold: float) -> AcceptanceTable:
    """A sample set's pairs -> Table 1's rows for one recogniser, re-judged at ``threshold``.

    The interval takes pairs as independent; pairs of one base are not quite, so that it is a little too narrow.
    Raises LiminalError where the recogniser did not judge this set or the threshold is no positive number.
    """
    if recogniser not in list_recognisers(pairs):
        known = ", ".join(list_recognisers(pairs)) or "none"
        raise LiminalError(f"The recogniser '{recogniser}' did not judge this sample set; those that did: {known}.")
    if not (math.isfinite(threshold) and threshold > 0):
        raise LiminalError(f"A threshold must be a positive distance, not {threshold}.")
    negatives = pairs.loc[pairs["sample_type"] == "negative", "latent_distance"].mean()
    rows = [
        _build_acceptance_row(part, sample_type, step, direction, f"distance_{recogniser}", threshold, float(negatives))
        for sample_type, step, direction, part in _split_by_type(pairs)
    ]
    return AcceptanceTable(recogniser, threshold, tuple(rows))


@dataclass(frozen=True)
class AcceptanceThreshold:
    """A recogniser's default threshold (rate None), or one calibrated on a generator's strangers, with its 95 % interval."""

    distance: float
    rate: float | None = None  # share of strangers that is accepted: the false match rate
    low: float = math.nan
    high: float = math.nan


def list_thresholds(recogniser: str, default: float | None, generator: str) -> list[AcceptanceThreshold]:
    """The default threshold where it is known, then the calibrated ones where they are stored for the generator."""
    thresholds = [] if default is None else [AcceptanceThreshold(default)]
    try:
        calibrated = load_thresholds(generator, recogniser).calibrated
    except LiminalError:
        return thresholds  # never calibrated for this generator
    return thresholds + [AcceptanceThreshold(row.distance, row.rate, row.low, row.high) for row in calibrated]


def build_acceptance_tables(
    pairs: pd.DataFrame, recogniser: str, default: float | None, generator: str
) -> list[tuple[AcceptanceThreshold, AcceptanceTable]]:
    """Table 1's rows for one recogniser at each of its thresholds (``list_thresholds``)."""
    thresholds = list_thresholds(recogniser, default, generator)
    return [(threshold, build_acceptance_table(pairs, recogniser, threshold.distance)) for threshold in thresholds]


def _split_by_type(pairs: pd.DataFrame) -> Iterator[tuple[str, float | None, str | None, pd.DataFrame]]:
    for sample_type in order_sample_types(pairs["sample_type"]):
        whole = pairs[pairs["sample_type"] == sample_type]
        yield sample_type, None, None, whole
        if sample_type == "semantic":
            for direction in sorted(whole["direction"].dropna().unique()):
                yield sample_type, None, str(direction), whole[whole["direction"] == direction]
        elif sample_type not in ("genuine", "negative"):
            for step in sorted(whole["step"].dropna().unique()):
                yield sample_type, float(step), None, whole[whole["step"] == step]
    yield "all", None, None, pairs


def _build_acceptance_row(
    part: pd.DataFrame,
    sample_type: str,
    step: float | None,
    direction: str | None,
    column: str,
    threshold: float,
    negatives: float,
) -> AcceptanceRow:
    distances = part[column].dropna()
    latent = float(part["latent_distance"].mean())
    return AcceptanceRow(
        sample_type=sample_type,
        step=step,
        direction=direction,
        pairs=len(part),
        no_face=Proportion.of(len(part) - len(distances), len(part)),
        accepted=Proportion.of(int((distances < threshold).sum()), len(distances)),
        distance=float(distances.mean()) if len(distances) else math.nan,
        lpips=float(part["lpips"].mean()),
        latent_distance=latent,
        latent_ratio=latent / negatives if negatives > 0 else math.nan,
    )


TABLE_INTERVAL = (
    "95 % crossed bootstrap over people and images, {} resamples, images drawn within type and step; of 0 and 100 %, Wilson"
)


@dataclass(frozen=True)
class MeanRow:
    """A row of Table 1. Means of people pool all answers, those of models all pairs with a value."""

    sample_type: str
    step: float | None  # None: the type as a whole, or 'all'
    pairs: int
    answers: int  # to 'same person?'
    similarity: Estimate  # 0 to 100
    identity: Estimate  # share of 'same person'
    distances: Mapping[str, Estimate]  # by recogniser
    accepted: Mapping[str, Estimate]  # share of the pairs with two faces
    lpips: Estimate
    latent: Estimate  # the generator's own units
    latent_ratio: Estimate  # to the negatives' mean, which compares with the published one
    published: PublishedMean | None


@dataclass(frozen=True, kw_only=True)
class MeanTable(Result):
    """Table 1."""

    thresholds: Mapping[str, float]
    rows: tuple[MeanRow, ...]

    def row(self, sample_type: str, step: float | None = None) -> MeanRow | None:
        """A type as a whole, one of its steps, or 'all'; None where the pairs have none."""
        return next((row for row in self.rows if (row.sample_type, row.step) == (sample_type, step)), None)


@dataclass(frozen=True)
class Correlation:
    """A cell of Table 2: Pearson's r over pairs, of the share who say 'same person' with ``column``."""

    sample_type: str
    column: str
    r: Estimate  # n: pairs
    p: float  # two-sided, of no correlation (scipy)
    p_holm: float  # corrected over all cells of the table (Holm 1979)
    published: PublishedCorrelation | None


@dataclass(frozen=True, kw_only=True)
class CorrelationTable(Result):
    """Table 2; genuine samples are left out, as in the paper, since their distances hardly vary."""

    cells: tuple[Correlation, ...]

    def cell(self, sample_type: str, column: str) -> Correlation | None:
        """One cell, None where the pairs have none."""
        return next((cell for cell in self.cells if (cell.sample_type, cell.column) == (sample_type, column)), None)


TypeStep = tuple[str, float | None]


def build_mean_table(
    pairs: pd.DataFrame,
    ratings: pd.DataFrame,
    thresholds: Mapping[str, float],
    *,
    excluded: Collection[str] = (),
    means: pd.DataFrame | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> MeanTable:
    """Pairs, answers and a threshold by recogniser -> Table 1. Without answers, the models' columns are there all the same.

    means: imported means by pair_id (``StudyData.imported_means``), which take the place of answers: every pair counts once, and
    intervals are over pairs alone.
    """
    names = [name for name in list_recognisers(pairs) if name in thresholds]
    similar, same = (
        encode(select_answers(ratings, task, excluded=excluded), pairs["pair_id"]) for task in ("similarity", "identity")
    )
    keys, cells, strata = _build_cells(pairs)
    of_people = {"similarity": VoteSums.of(similar), "identity": VoteSums.of(same)} if means is None else {}
    of_models = _collect_model_values(pairs, names, thresholds) | _align_means(pairs, means)
    negatives = keys.index(("negative", None)) if ("negative", None) in keys else None

    def statistics(weights: ResampleWeights) -> dict[str, Array]:
        means = {name: pooled_means(votes, _of(weights, index), cells) for index, (name, votes) in enumerate(of_people.items())}
        means |= {name: image_means(values, weights, cells) for name, values in of_models.items()}
        latent = means["latent"]
        means["latent_ratio"] = safe_divide(latent, latent[negatives]) if negatives is not None else np.full_like(latent, np.nan)
        return means

    # both questions go to the same people, so that both share one draw of them
    raters = similar.raters.union(same.raters, sort=False)
    of_rater = [raters.get_indexer(answers.raters) for answers in (similar, same)]

    def _of(weights: ResampleWeights, index: int) -> ResampleWeights:
        return ResampleWeights(weights.images, weights.raters[of_rater[index]])

    points = statistics(ResampleWeights(np.ones((len(pairs), 1)), np.ones((len(raters), 1))))
    drawn = [
        statistics(weights) for weights in draw_weights(len(pairs), len(raters), resamples=resamples, seed=seed, strata=strata)
    ]
    numbers = _count_values(similar, same, of_models, cells)
    estimates = {
        name: _combine_estimates(points[name][:, 0], np.concatenate([means[name] for means in drawn], axis=1), numbers[name])
        for name in points
    }
    rows = []
    for index, (sample_type, step) in enumerate(keys):
        of = {name: column[index] for name, column in estimates.items()}
        rows.append(
            MeanRow(
                sample_type=sample_type,
                step=step,
                pairs=int(cells[[index]].sum()),
                answers=of["identity"].n,
                similarity=of["similarity"],
                identity=_widen_certain(of["identity"], min(of["identity"].n, int(cells[[index]].sum()), len(raters))),
                distances={name: of[f"distance_{name}"] for name in names},
                accepted={name: _widen_certain(of[f"accepted_{name}"], of[f"accepted_{name}"].n) for name in names},
                lpips=of["lpips"],
                latent=of["latent"],
                latent_ratio=of["latent_ratio"],
                published=find_published_mean(sample_type, step),
            )
        )
    return MeanTable(
        basis=_join_bases(similar, same) if means is None else describe_means_basis(pairs, means),
        interval=(TABLE_INTERVAL if means is None else MEANS_INTERVAL).format(f"{resamples:,}"),
        note=_describe_missing(len(pairs), len(raters), ratings, excluded) if means is None else MEANS_NOTE,
        thresholds={name: thresholds[name] for name in names},
        rows=tuple(rows),
    )


def build_correlation_table(
    pairs: pd.DataFrame,
    ratings: pd.DataFrame,
    *,
    excluded: Collection[str] = (),
    means: pd.DataFrame | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> CorrelationTable:
    """Pairs and answers -> Table 2. A cell where one of the two does not vary, or of fewer than 3 pairs, is NaN.

    means: as of ``build_mean_table``.
    """
    pairs = pairs[pairs["sample_type"] != "genuine"]
    similar, same = (
        encode(select_answers(ratings, task, excluded=excluded), pairs["pair_id"]) for task in ("similarity", "identity")
    )
    keys, cells, strata = _build_cells(pairs)
    types = [index for index, (_, step) in enumerate(keys) if step is None]
    keys, cells = [keys[index] for index in types], cells[types]
    raters = similar.raters.union(same.raters, sort=False)
    places = {name: raters.get_indexer(answers.raters) for name, answers in (("similarity", similar), ("identity", same))}
    votes = {"similarity": VoteSums.of(similar), "identity": VoteSums.of(same)}
    columns = {f"distance_{name}": pairs[f"distance_{name}"].to_numpy(np.float64)[:, None] for name in list_recognisers(pairs)}
    columns |= {name: pairs[name].to_numpy(np.float64)[:, None] for name in ("lpips", "latent_distance")}
    titles = {"latent_distance": "latent", **{f"distance_{name}": name for name in list_recognisers(pairs)}}

    imported = {name: values[:, None] for name, values in _align_means(pairs, means).items()}

    def rated(weights: ResampleWeights) -> dict[str, Array]:
        if imported:
            return imported
        return {name: safe_divide(*votes[name].weighted(weights.raters[places[name]])) for name in votes}

    def statistics(weights: ResampleWeights) -> dict[str, Array]:
        of_people = rated(weights)
        others = {"similarity": of_people["similarity"], **columns}
        return {name: correlate_cells(of_people["identity"], other, weights.images, cells) for name, other in others.items()}

    whole = rated(ResampleWeights(np.ones((len(pairs), 1)), np.ones((len(raters), 1))))
    drawn = [
        statistics(weights) for weights in draw_weights(len(pairs), len(raters), resamples=resamples, seed=seed, strata=strata)
    ]
    rows: list[tuple[str, str, Estimate, float]] = []
    for index, (sample_type, _) in enumerate(keys):
        inside = np.asarray(cells[[index]].todense()).ravel() > 0
        for name, other in {"similarity": whole["similarity"], **columns}.items():
            r, p, n = correlate_pearson(whole["identity"][inside, 0], other[inside, 0])
            low, high = correlation_interval(r, np.concatenate([correlations[name][index] for correlations in drawn]))
            rows.append((sample_type, titles.get(name, name), Estimate(r, low, high, n), p))
    corrected = correct_holm([p for *_, p in rows])
    printed = load_table2()
    return CorrelationTable(
        basis=_join_bases(similar, same) if means is None else describe_means_basis(pairs, means),
        interval=(TABLE_INTERVAL if means is None else MEANS_INTERVAL).format(f"{resamples:,}")
        + "; its standard error on Fisher's z",
        note=_describe_missing(len(pairs), len(raters), ratings, excluded) if means is None else MEANS_NOTE,
        cells=tuple(
            Correlation(sample_type, column, r, p, p_holm, printed.get(sample_type, {}).get(column))
            for (sample_type, column, r, p), p_holm in zip(rows, corrected, strict=True)
        ),
    )


def correlate_pearson(first: Array, second: Array) -> tuple[float, float, int]:
    """Pearson's r over the rows where both are known, its two-sided p, and their number; NaN where one of the two is constant."""
    known = np.isfinite(first) & np.isfinite(second)
    x, y = first[known], second[known]
    if len(x) < 3 or _is_constant(x) or _is_constant(y):
        return math.nan, math.nan, len(x)
    result = stats.pearsonr(x, y)
    return float(result.statistic), float(result.pvalue), len(x)


def correct_holm(p: list[float]) -> list[float]:
    """P-values corrected over those that are known (Holm 1979, Scandinavian Journal of Statistics 6); NaN stays NaN."""
    values = np.array(p, np.float64)
    known = np.isfinite(values)
    if known.any():
        values[known] = multitest.multipletests(values[known], method="holm")[1]
    return [float(value) for value in values]


def _is_constant(values: Array) -> bool:
    """Constant up to rounding."""
    return float(np.ptp(values)) <= 1e-12 * max(1.0, float(np.abs(values).max()))


def _build_cells(pairs: pd.DataFrame) -> tuple[list[TypeStep], sparse.csr_array, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Rows of Table 1, which pairs belong to each (C, I), and each pair's stratum: its type and step."""
    types, steps = pairs["sample_type"].to_numpy(object), pairs["step"].to_numpy(np.float64)
    keys: list[TypeStep] = []
    masks = []
    for sample_type in order_sample_types(types):
        of_type = types == sample_type
        keys.append((sample_type, None))
        masks.append(of_type)
        if sample_type in ("interpolation", "optimized", "positive"):
            for step in np.unique(steps[of_type & np.isfinite(steps)]):
                keys.append((sample_type, float(step)))
                masks.append(of_type & (steps == step))
    keys.append(("all", None))
    masks.append(np.ones(len(pairs), bool))
    strata = pd.factorize(pd.MultiIndex.from_arrays([types, np.nan_to_num(steps, nan=-1.0)]))[0] if len(pairs) else np.empty(0)
    return keys, sparse.csr_array(np.array(masks, np.float64)), np.asarray(strata, np.intp)


def _collect_model_values(pairs: pd.DataFrame, names: list[str], thresholds: Mapping[str, float]) -> dict[str, Array]:
    """Values of models for every pair, NaN where a model found no face."""
    columns = {"lpips": pairs["lpips"].to_numpy(np.float64), "latent": pairs["latent_distance"].to_numpy(np.float64)}
    for name in names:
        distance = pairs[f"distance_{name}"].to_numpy(np.float64)
        columns[f"distance_{name}"] = distance
        columns[f"accepted_{name}"] = np.where(np.isfinite(distance), (distance < thresholds[name]).astype(np.float64), np.nan)
    return columns


MEANS_INTERVAL = "95 %, bootstrap over pairs alone, {} resamples"
MEANS_NOTE = (
    "Imported means: single answers are not known, so that every pair counts once, and intervals leave out that people differ."
)


def _align_means(pairs: pd.DataFrame, means: pd.DataFrame | None) -> dict[str, Array]:
    """Imported similarity and identity of every pair, NaN where there is none."""
    if means is None:
        return {}
    rows = means.reindex(pd.Index(pairs["pair_id"]))
    return {name: rows[name].to_numpy(np.float64) for name in ("similarity", "identity")}


def describe_means_basis(pairs: pd.DataFrame, means: pd.DataFrame) -> Basis:
    """The basis of imported means: pairs that have one; nobody's single answers."""
    rows = means.reindex(pd.Index(pairs["pair_id"]))
    return Basis(int(rows[["similarity", "identity"]].notna().any(axis=1).sum()), 0, 0, "published")


def _count_values(
    similar: EncodedRatings, same: EncodedRatings, of_models: Mapping[str, Array], cells: sparse.csr_array
) -> dict[str, Array]:
    """Number of answers or pairs behind every mean, (C,) each."""
    numbers = {"similarity": cells @ similar.votes, "identity": cells @ same.votes}
    # of imported means the number of pairs
    numbers |= {name: cells @ np.isfinite(values).astype(np.float64) for name, values in of_models.items()}
    return {**numbers, "latent_ratio": numbers["latent"]}


def _combine_estimates(points: Array, drawn: Array, numbers: Array) -> list[Estimate]:
    low, high = percentile_interval(drawn)
    return [Estimate(float(value), float(a), float(b), int(n)) for value, a, b, n in zip(points, low, high, numbers, strict=True)]


def _widen_certain(share: Estimate, n: int) -> Estimate:
    """A share of 0 or 1, of which resampling has no interval, with Wilson's over ``n`` values that are independent at most."""
    if share.value not in (0.0, 1.0) or math.isfinite(share.low) or not n:
        return share
    wide = Proportion.of(int(share.value) * n, n)
    return Estimate(share.value, wide.low, wide.high, share.n)


def _join_bases(similar: EncodedRatings, same: EncodedRatings) -> Basis:
    """The basis of both questions together: images and raters counted once, all answers."""
    answered = (similar.votes + same.votes) > 0
    raters = similar.raters.union(same.raters, sort=False)
    sources = name_sources([*similar.sources, *same.sources])
    return Basis(int(answered.sum()), len(raters), len(similar.value) + len(same.value), sources)


def _describe_missing(pairs: int, raters: int, ratings: pd.DataFrame, excluded: Collection[str]) -> str:
    return join_notes(
        "There are no pairs to look at; loosen the filter." if not pairs else "",
        f"{explain_no_answers(ratings, excluded)} Only the models' figures are shown." if pairs and not raters else "",
        "One person answered: the intervals say nothing about other people." if raters == 1 else "",
    )
