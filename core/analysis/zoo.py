"""Who is easily imitated, who imitates, who is refused: lambs, wolves and goats of one recogniser.

Doddington, Liggett, Martin, Przybocki and Reynolds 1998, "Sheep, goats, lambs and wolves", ICSLP: *goats* are people whose genuine
pairs lie far apart, *lambs* owners near whom many strangers lie, *wolves* strangers who lie near many owners. Whether there are
any is tested: Kruskal and Wallis's test and an F test over people. Lambs and wolves are read from a crossed table, every owner
against every stranger, so that F comes from the two-way layout without interaction, and Friedman's test (Durbin's with complete
blocks) ranks owners within each stranger and the other way round. For the tests every second person is an owner and the others are
strangers: no pair is counted twice and nobody is both.

How much of the differences between distances is the owner's and the stranger's is told by components of variance (Searle, Casella
and McCulloch 1992, section 4.3), with intervals by resampling owners and strangers (``bootstrap``: Owen 2007).

A distance between two pictures is the same from either side: who imitates others is imitated as easily, and the counts of false
matches by person are those of lambs and wolves alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis.bootstrap import percentile_interval
from core.analysis.estimate import Array, Estimate, Proportion, safe_divide
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.sampling.stored.population import GenuineSet, Population, Thresholds
from core.sampling.stored.scores import get_metric, pairwise_distances

stats = lazy_import("scipy.stats")

FEWEST_PEOPLE = 10
TENTHS = 10
BOOTSTRAPS = 500
CHANCE_DRAWS = 50
"""Simulated populations in which all owners are alike."""
LISTED = 10
"""People named of each kind."""
INTERVAL = "95 % bootstrap over people (of the heaviest tenth: over owners, with these strangers); Wilson for shares of people"


@dataclass(frozen=True)
class AnimalTest:
    """Whether people differ in one respect. share: of the variance of distances that is between people, with its interval.

    kruskal_p, f_p, friedman_p (NaN for goats, whose table is not crossed): p-values, 0 where they are too small for a number.
    """

    kruskal: float
    kruskal_p: float
    f: float
    f_p: float
    friedman: float
    friedman_p: float
    share: Estimate


@dataclass(frozen=True)
class Concentration:
    """How errors are spread over people at one limit.

    none: people without any. heaviest: the share of all errors that the tenth of people with most of them carries, and that share
    where all people are alike (``heaviest_alike``, ``none_alike``: binomial). tenths (10,): the share that each tenth carries, most
    first. most: rows of the people with most errors, and of how many trials.
    """

    rate: float
    none: Proportion
    none_alike: float
    heaviest: Estimate
    heaviest_alike: float
    tenths: tuple[float, ...]
    most: tuple[tuple[int, Proportion], ...]


@dataclass(frozen=True)
class ZooLimit:
    """One limit: false match rate that it was calibrated to (None: as delivered) and distance, lambs and goats (None: unknown)."""

    rate: float | None
    distance: float
    imitated: Concentration
    refused: Concentration | None


@dataclass(frozen=True)
class Zoo:
    """Lambs, wolves and goats of one recogniser. people: with a face; genuine_people: of the goats. seeds: of both, by row."""

    generator: str
    recogniser: str
    people: int
    genuine_people: int
    lambs: AnimalTest
    wolves: AnimalTest
    goats: AnimalTest | None
    limits: tuple[ZooLimit, ...]
    seeds: tuple[int, ...]
    genuine_seeds: tuple[int, ...]
    bootstraps: int
    seed: int


def measure_zoo(
    population: Population,
    genuine: GenuineSet | None,
    recogniser: str,
    thresholds: Thresholds,
    *,
    bootstraps: int = BOOTSTRAPS,
    seed: int = 0,
) -> Zoo:
    """The zoo of a recogniser among the strangers of a generator, and its goats where the same people were pictured twice.

    Raises LiminalError for fewer than FEWEST_PEOPLE people with a face.
    """
    vectors = population.vectors(recogniser)
    known = np.isfinite(vectors).all(axis=1)
    apart = measure_apart(vectors[known], recogniser)
    lambs, wolves = examine_crossed(apart[::2, 1::2], bootstraps=bootstraps, seed=seed)
    same, goats = None, None
    if genuine is not None and recogniser in genuine.descriptors:
        same = _measure_genuine(genuine.descriptors[recogniser], recogniser)
        goats = examine_groups(
            _take_disjoint_pairs(same, genuine.descriptors[recogniser].shape[1]), bootstraps=bootstraps, seed=seed
        )
    limits = [(None, thresholds.default), *((cut.rate, cut.distance) for cut in thresholds.calibrated)]
    return Zoo(
        generator=population.generator,
        recogniser=recogniser,
        people=len(apart),
        genuine_people=0 if genuine is None or same is None else len(same),
        lambs=lambs,
        wolves=wolves,
        goats=goats,
        limits=tuple(
            ZooLimit(
                rate,
                distance,
                concentrate_matches(apart < np.float32(distance), bootstraps=bootstraps, seed=seed),
                None if same is None else concentrate_refusals(same, distance, bootstraps=bootstraps, seed=seed),
            )
            for rate, distance in limits
        ),
        seeds=tuple(int(value) for value in population.seeds[known]),
        genuine_seeds=() if genuine is None or same is None else tuple(int(value) for value in genuine.seeds),
        bootstraps=bootstraps,
        seed=seed,
    )


def measure_apart(vectors: NDArray[Any], recogniser: str) -> NDArray[np.float32]:
    """Descriptors (N, D) of N people with a face -> their distances (N, N) in single precision, infinite on the diagonal.

    Raises LiminalError for fewer than FEWEST_PEOPLE.
    """
    if len(vectors) < FEWEST_PEOPLE:
        raise LiminalError(
            f"Who is easily imitated can be told from {FEWEST_PEOPLE} people on, but {recogniser} found a face in "
            f"{len(vectors)}; make more strangers."
        )
    apart = pairwise_distances(vectors, vectors, get_metric(recogniser)).astype(np.float32)
    np.fill_diagonal(apart, np.inf)
    return apart


def examine_crossed(apart: NDArray[Any], *, bootstraps: int = BOOTSTRAPS, seed: int = 0) -> tuple[AnimalTest, AnimalTest]:
    """Distances of owners to strangers (O, S) -> whether owners differ (lambs), and whether strangers do (wolves)."""
    table = np.asarray(apart, np.float64)
    rows, columns = table.shape
    ranks = _rank_all(table)
    random = np.random.default_rng(seed)
    weights = [np.vstack([np.ones(n), random.multinomial(n, np.full(n, 1 / n), size=bootstraps)]) for n in (rows, columns)]
    of_rows, of_columns, residual = _mean_squares(table, *weights)
    components = np.stack(
        [np.maximum(of_rows - residual, 0) / columns, np.maximum(of_columns - residual, 0) / rows, residual]
    )  # (3, 1 + B)
    shares = safe_divide(components[:2], components.sum(axis=0))
    sides = (rows, columns, of_rows, shares[0]), (columns, rows, of_columns, shares[1])
    tests = []
    for axis, (mine, other, squares, share) in enumerate(sides):
        kruskal, kruskal_p = _kruskal(ranks.mean(axis=1 - axis), np.full(mine, other), table.size)
        f = float(squares[0] / residual[0])
        friedman, friedman_p = _friedman(table if axis == 0 else table.T)
        low, high = percentile_interval(share[1:])
        tests.append(
            AnimalTest(
                kruskal,
                kruskal_p,
                f,
                float(stats.f.sf(f, mine - 1, (rows - 1) * (columns - 1))),
                friedman,
                friedman_p,
                Estimate(float(share[0]), float(low), float(high), mine),
            )
        )
    return tests[0], tests[1]


def _mean_squares(table: Array, row_weights: Array, column_weights: Array) -> tuple[Array, Array, Array]:
    """Mean squares of rows, columns and residual of a crossed table (O, S) under each draw of weights (1 + B, O) and (1 + B, S).

    Duplicates of a resample are weights: no row is copied.
    """
    table = table - table.mean()
    rows, columns = table.shape
    row_sums = table @ column_weights.T  # (O, 1 + B)
    column_sums = row_weights @ table  # (1 + B, S)
    total = (row_weights * row_sums.T).sum(axis=1)
    squares = np.einsum("bo,ob->b", row_weights, (table * table) @ column_weights.T)
    correction = total**2 / table.size
    of_rows = (row_weights * row_sums.T**2).sum(axis=1) / columns - correction
    of_columns = (column_weights * column_sums**2).sum(axis=1) / rows - correction
    residual = squares - correction - of_rows - of_columns
    return of_rows / (rows - 1), of_columns / (columns - 1), np.maximum(residual, 1e-30) / ((rows - 1) * (columns - 1))


def examine_groups(groups: NDArray[Any], *, bootstraps: int = BOOTSTRAPS, seed: int = 0) -> AnimalTest | None:
    """Distances (P, n) of independent pairs of each of P people, NaN where no face was found -> whether people differ (goats).

    None where fewer than two people have two pairs.
    """
    known = np.isfinite(groups)
    groups, known = groups[known.sum(axis=1) >= 2], known[known.sum(axis=1) >= 2]
    if len(groups) < 2:
        return None
    counts = known.sum(axis=1)
    values = groups[known]
    ranks = np.zeros(groups.shape)
    ranks[known] = stats.rankdata(values)
    kruskal, kruskal_p = _kruskal(ranks.sum(axis=1) / counts, counts, len(values))
    centred = np.where(known, groups - values.mean(), 0.0)
    sums, squares = centred.sum(axis=1), (centred**2).sum(axis=1)
    within = squares - sums**2 / counts
    weights = np.vstack(
        [
            np.ones(len(groups)),
            np.random.default_rng(seed).multinomial(len(groups), np.full(len(groups), 1 / len(groups)), size=bootstraps),
        ]
    )
    n = weights @ counts
    between = (weights @ (sums**2 / counts) - (weights @ sums) ** 2 / n) / (len(groups) - 1)
    inside = weights @ within / np.maximum(n - len(groups), 1)
    size = (n - weights @ counts.astype(np.float64) ** 2 / n) / (len(groups) - 1)  # Searle et al., equation 3.43: pairs a person
    component = np.maximum(between - inside, 0) / size
    share = safe_divide(component, component + inside)
    low, high = percentile_interval(share[1:])
    f = float(safe_divide(between[:1], inside[:1])[0])
    p = float(stats.f.sf(f, len(groups) - 1, len(values) - len(groups)))
    return AnimalTest(kruskal, kruskal_p, f, p, np.nan, np.nan, Estimate(float(share[0]), float(low), float(high), len(groups)))


def _rank_all(table: Array) -> Array:
    """Ranks of all cells of a table, 1 the smallest; ties in their order, which distances hardly have."""
    flat = table.ravel().astype(np.float32)
    ranks = np.empty(flat.size, np.float32)
    ranks[np.argsort(flat)] = np.arange(1, flat.size + 1, dtype=np.float32)
    return ranks.reshape(table.shape).astype(np.float64)


def _kruskal(mean_ranks: Array, counts: NDArray[Any], n: int) -> tuple[float, float]:
    """Kruskal and Wallis 1952, JASA 47: H and its p by chi-square."""
    h = float(12 / (n * (n + 1)) * (counts * (mean_ranks - (n + 1) / 2) ** 2).sum())
    return h, float(stats.chi2.sf(h, len(counts) - 1))


def _friedman(table: Array) -> tuple[float, float]:
    """Treatments (k, b) in complete blocks, one a column -> Friedman's statistic (1937, JASA 32) and its p by chi-square."""
    k, b = table.shape
    ranks = np.empty(table.shape, np.float32)
    np.put_along_axis(ranks, np.argsort(table, axis=0), np.arange(1, k + 1, dtype=np.float32)[:, None], axis=0)
    statistic = float(12 / (b * k * (k + 1)) * (ranks.sum(axis=1, dtype=np.float64) ** 2).sum() - 3 * b * (k + 1))
    return statistic, float(stats.chi2.sf(statistic, k - 1))


def concentrate_matches(opens: NDArray[np.bool_], *, bootstraps: int = BOOTSTRAPS, seed: int = 0) -> Concentration:
    """Who opens whose phone (N, N), no one their own -> how false matches are spread over owners."""
    return _concentrate(opens.sum(axis=1), np.full(len(opens), len(opens) - 1), bootstraps, seed)


def concentrate_refusals(same: Array, distance: float, *, bootstraps: int = BOOTSTRAPS, seed: int = 0) -> Concentration:
    """Genuine distances (P, pairs), NaN where no face was found -> how refusals at a limit are spread over people."""
    judged = np.isfinite(same)
    return _concentrate((judged & (same >= distance)).sum(axis=1), judged.sum(axis=1), bootstraps, seed)


def _concentrate(counts: NDArray[Any], trials: NDArray[Any], bootstraps: int, seed: int) -> Concentration:
    """Errors (N,) of so many trials (N,) of each person."""
    order = np.argsort(-counts, kind="stable")
    rate = float(counts.sum() / max(trials.sum(), 1))
    random = np.random.default_rng(seed)
    alike = [_share_by_tenth(np.sort(random.binomial(trials, rate))[::-1])[0] for _ in range(CHANCE_DRAWS)]
    drawn = random.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=bootstraps)
    tenths = _share_by_tenth(counts[order])
    low, high = percentile_interval(np.array([_share_by_tenth(np.repeat(counts[order], times[order]))[0] for times in drawn]))
    return Concentration(
        rate=rate,
        none=Proportion.of(int((counts == 0).sum()), len(counts)),
        none_alike=float(((1 - rate) ** trials).mean()),
        heaviest=Estimate(tenths[0], float(low), float(high), len(counts)),
        heaviest_alike=float(np.mean(alike)),
        tenths=tenths,
        most=tuple((int(row), Proportion.of(int(counts[row]), int(trials[row]))) for row in order[:LISTED]),
    )


def _share_by_tenth(sorted_counts: NDArray[Any]) -> tuple[float, ...]:
    """The share of all that each tenth of people carries; a person on the line between two tenths counts in both by their part."""
    n = len(sorted_counts)
    sums = np.concatenate([[0.0], np.cumsum(sorted_counts, dtype=np.float64)])
    upto = np.interp(np.linspace(0, n, TENTHS + 1), np.arange(n + 1), sums)
    return tuple(float(value) for value in safe_divide(np.diff(upto), np.array(sums[-1])))


def _measure_genuine(vectors: NDArray[Any], recogniser: str) -> Array:
    """Descriptors (P, K, D) -> distances of all pairs of one person (P, K (K - 1) / 2), NaN where no face was found."""
    first, second = np.triu_indices(vectors.shape[1], k=1)
    metric = get_metric(recogniser)
    return np.stack([pairwise_distances(person, person, metric)[first, second] for person in vectors])


def _take_disjoint_pairs(same: Array, images: int) -> Array:
    """Of all pairs of a person those of pictures 1 and 2, 3 and 4, ...: no picture is in two of them, as the tests ask."""
    first, second = np.triu_indices(images, k=1)
    return same[:, (first % 2 == 0) & (second == first + 1)]
