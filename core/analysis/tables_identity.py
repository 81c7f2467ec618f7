"""Tables 1 and 2 of paper A from pairs and answers, with intervals, each cell beside the published one.

All intervals of one table come from the same resamples of people and images (``core.analysis.bootstrap``); images are drawn
within their type and step, so that every resample has the design of the study.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import pearsonr
from statsmodels.stats.multitest import multipletests

from core.analysis import published
from core.analysis.acceptance import ORDER, recognisers
from core.analysis.answers import Array, Coded, chosen, coded, divided
from core.analysis.bootstrap import (
    RESAMPLES,
    Votes,
    Weights,
    correlation_interval,
    correlations,
    crossed_weights,
    image_means,
    interval,
    pooled_means,
)
from core.analysis.boundary import Estimate
from core.analysis.published import PublishedCorrelation, PublishedMean
from core.analysis.results import Basis, Result, sentences, source_of

INTERVAL = "95 % crossed bootstrap over people and images, {} resamples, images drawn within type and step"


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
        return next((each for each in self.rows if (each.sample_type, each.step) == (sample_type, step)), None)


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
        return next((each for each in self.cells if (each.sample_type, each.column) == (sample_type, column)), None)


Key = tuple[str, float | None]


def mean_table(
    pairs: pd.DataFrame,
    ratings: pd.DataFrame,
    thresholds: Mapping[str, float],
    *,
    excluded: Collection[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> MeanTable:
    """Pairs, answers and a threshold by recogniser -> Table 1. Without answers, the models' columns are there all the same."""
    names = [name for name in recognisers(pairs) if name in thresholds]
    similar, same = (coded(chosen(ratings, task, excluded=excluded), pairs["pair_id"]) for task in ("similarity", "identity"))
    keys, cells, strata = _cells(pairs)
    of_people = {"similarity": Votes.of(similar), "identity": Votes.of(same)}
    of_models = _model_values(pairs, names, thresholds)
    negatives = keys.index(("negative", None)) if ("negative", None) in keys else None

    def statistics(weights: Weights) -> dict[str, Array]:
        found = {name: pooled_means(votes, _of(weights, place), cells) for place, (name, votes) in enumerate(of_people.items())}
        found |= {name: image_means(values, weights, cells) for name, values in of_models.items()}
        latent = found["latent"]
        found["latent_ratio"] = divided(latent, latent[negatives]) if negatives is not None else np.full_like(latent, np.nan)
        return found

    # both questions go to the same people, so that both share one draw of them
    raters = similar.raters.union(same.raters, sort=False)
    of_rater = [raters.get_indexer(each.raters) for each in (similar, same)]

    def _of(weights: Weights, place: int) -> Weights:
        return Weights(weights.images, weights.raters[of_rater[place]])

    points = statistics(Weights(np.ones((len(pairs), 1)), np.ones((len(raters), 1))))
    drawn = [statistics(each) for each in crossed_weights(len(pairs), len(raters), resamples=resamples, seed=seed, strata=strata)]
    numbers = _numbers(similar, same, of_models, cells)
    estimates = {
        name: _estimates(points[name][:, 0], np.concatenate([each[name] for each in drawn], axis=1), numbers[name])
        for name in points
    }
    rows = []
    for place, (sample_type, step) in enumerate(keys):
        of = {name: each[place] for name, each in estimates.items()}
        rows.append(
            MeanRow(
                sample_type=sample_type,
                step=step,
                pairs=int(cells[[place]].sum()),
                answers=of["identity"].n,
                similarity=of["similarity"],
                identity=of["identity"],
                distances={name: of[f"distance_{name}"] for name in names},
                accepted={name: of[f"accepted_{name}"] for name in names},
                lpips=of["lpips"],
                latent=of["latent"],
                latent_ratio=of["latent_ratio"],
                published=published.published_mean(sample_type, step),
            )
        )
    return MeanTable(
        basis=_basis(similar, same),
        interval=INTERVAL.format(f"{resamples:,}"),
        note=_note(len(pairs), len(raters)),
        thresholds={name: thresholds[name] for name in names},
        rows=tuple(rows),
    )


def correlation_table(
    pairs: pd.DataFrame,
    ratings: pd.DataFrame,
    *,
    excluded: Collection[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> CorrelationTable:
    """Pairs and answers -> Table 2. A cell where one of the two does not vary, or of fewer than 3 pairs, is NaN."""
    pairs = pairs[pairs["sample_type"] != "genuine"]
    similar, same = (coded(chosen(ratings, task, excluded=excluded), pairs["pair_id"]) for task in ("similarity", "identity"))
    keys, cells, strata = _cells(pairs)
    types = [place for place, (_, step) in enumerate(keys) if step is None]
    keys, cells = [keys[place] for place in types], cells[types]
    raters = similar.raters.union(same.raters, sort=False)
    places = {name: raters.get_indexer(each.raters) for name, each in (("similarity", similar), ("identity", same))}
    votes = {"similarity": Votes.of(similar), "identity": Votes.of(same)}
    columns = {f"distance_{name}": pairs[f"distance_{name}"].to_numpy(np.float64)[:, None] for name in recognisers(pairs)}
    columns |= {name: pairs[name].to_numpy(np.float64)[:, None] for name in ("lpips", "latent_distance")}
    titles = {"latent_distance": "latent", **{f"distance_{name}": name for name in recognisers(pairs)}}

    def rated(weights: Weights) -> dict[str, Array]:
        return {name: divided(*votes[name].weighted(weights.raters[places[name]])) for name in votes}

    def statistics(weights: Weights) -> dict[str, Array]:
        of_people = rated(weights)
        others = {"similarity": of_people["similarity"], **columns}
        return {name: correlations(of_people["identity"], each, weights.images, cells) for name, each in others.items()}

    whole = rated(Weights(np.ones((len(pairs), 1)), np.ones((len(raters), 1))))
    drawn = [statistics(each) for each in crossed_weights(len(pairs), len(raters), resamples=resamples, seed=seed, strata=strata)]
    found: list[tuple[str, str, Estimate, float]] = []
    for place, (sample_type, _) in enumerate(keys):
        inside = np.asarray(cells[[place]].todense()).ravel() > 0
        for name, other in {"similarity": whole["similarity"], **columns}.items():
            r, p, n = pearson(whole["identity"][inside, 0], other[inside, 0])
            low, high = correlation_interval(r, np.concatenate([each[name][place] for each in drawn]))
            found.append((sample_type, titles.get(name, name), Estimate(r, low, high, n), p))
    corrected = holm([p for *_, p in found])
    printed = published.table2()
    return CorrelationTable(
        basis=_basis(similar, same),
        interval=INTERVAL.format(f"{resamples:,}") + "; its standard error on Fisher's z",
        note=_note(len(pairs), len(raters)),
        cells=tuple(
            Correlation(sample_type, column, r, p, p_holm, printed.get(sample_type, {}).get(column))
            for (sample_type, column, r, p), p_holm in zip(found, corrected, strict=True)
        ),
    )


def pearson(first: Array, second: Array) -> tuple[float, float, int]:
    """Pearson's r over the rows where both are known, its two-sided p, and their number; NaN where one of the two is constant."""
    known = np.isfinite(first) & np.isfinite(second)
    x, y = first[known], second[known]
    if len(x) < 3 or _flat(x) or _flat(y):
        return math.nan, math.nan, len(x)
    found = pearsonr(x, y)
    return float(found.statistic), float(found.pvalue), len(x)


def holm(p: list[float]) -> list[float]:
    """P-values corrected over those that are known (Holm 1979, Scandinavian Journal of Statistics 6); NaN stays NaN."""
    values = np.array(p, np.float64)
    known = np.isfinite(values)
    if known.any():
        values[known] = multipletests(values[known], method="holm")[1]
    return [float(each) for each in values]


def _flat(values: Array) -> bool:
    """Constant up to rounding."""
    return float(np.ptp(values)) <= 1e-12 * max(1.0, float(np.abs(values).max()))


def _cells(pairs: pd.DataFrame) -> tuple[list[Key], sparse.csr_array, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Rows of Table 1, which pairs belong to each (C, I), and each pair's stratum: its type and step."""
    types, steps = pairs["sample_type"].to_numpy(object), pairs["step"].to_numpy(np.float64)
    keys: list[Key] = []
    masks = []
    for sample_type in ORDER:
        of_type = types == sample_type
        if not of_type.any():
            continue
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


def _model_values(pairs: pd.DataFrame, names: list[str], thresholds: Mapping[str, float]) -> dict[str, Array]:
    """What models say of every pair, NaN where they say nothing."""
    found = {"lpips": pairs["lpips"].to_numpy(np.float64), "latent": pairs["latent_distance"].to_numpy(np.float64)}
    for name in names:
        distance = pairs[f"distance_{name}"].to_numpy(np.float64)
        found[f"distance_{name}"] = distance
        found[f"accepted_{name}"] = np.where(np.isfinite(distance), (distance < thresholds[name]).astype(np.float64), np.nan)
    return found


def _numbers(similar: Coded, same: Coded, of_models: Mapping[str, Array], cells: sparse.csr_array) -> dict[str, Array]:
    """Of how many answers or pairs every mean is, (C,) each."""
    numbers = {"similarity": cells @ similar.votes, "identity": cells @ same.votes}
    numbers |= {name: cells @ np.isfinite(values).astype(np.float64) for name, values in of_models.items()}
    return {**numbers, "latent_ratio": numbers["latent"]}


def _estimates(points: Array, drawn: Array, numbers: Array) -> list[Estimate]:
    low, high = interval(drawn)
    return [Estimate(float(value), float(a), float(b), int(n)) for value, a, b, n in zip(points, low, high, numbers, strict=True)]


def _basis(similar: Coded, same: Coded) -> Basis:
    """Of both questions: images and raters counted once, all answers."""
    answered = (similar.votes + same.votes) > 0
    raters = similar.raters.union(same.raters, sort=False)
    sources = source_of([*similar.sources, *same.sources])
    return Basis(int(answered.sum()), len(raters), len(similar.value) + len(same.value), sources)


def _note(pairs: int, raters: int) -> str:
    return sentences(
        "There are no pairs to look at; loosen the filter." if not pairs else "",
        "Nobody has answered yet; only the models' figures are shown." if pairs and not raters else "",
        "One person answered: the intervals say nothing about other people." if raters == 1 else "",
    )
