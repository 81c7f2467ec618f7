"""Error rates of recognisers on people of a generator that knows who is who: by condition, as a DET curve, at calibrated limits.

From the genuine set (``core.sampling.stored.population``): P people in K pictures each. Genuine pairs are two pictures of one
person; impostor pairs two pictures of two of these people. The limits were calibrated on other people, the strangers, so that what
they do here is held out: false match rate and false non-match rate (FMR, FNMR; ISO/IEC 19795-1). Which condition a pair falls under
follows from the named values of its latents, which are drawn again from their seeds.

Intervals: 95 % percentile bootstrap over people (cluster bootstrap: all pairs of a person are drawn together, an impostor pair
counts by both of its people); where every pair or none is refused, Wilson's interval of as many trials as people.

Stored in ``assets/errors/<generator>.json`` (``build_error_rates``); reading it imports no torch.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.bootstrap import percentile_interval
from core.analysis.detection import find_equal_error
from core.analysis.estimate import Array, Proportion, safe_divide
from core.data_folder import ASSETS
from core.errors import LiminalError
from core.models import registry
from core.models.contracts import Generator, PairCondition
from core.progress import Progress
from core.sampling.building.population import redraw_genuine_latents
from core.sampling.stored.population import (
    THRESHOLDS_FOLDER,
    GenuineSet,
    ShareInterval,
    load_genuine_set,
    load_thresholds,
)
from core.sampling.stored.scores import get_metric, pairwise_distances, read_card
from core.writing import write_bytes

ERRORS_FOLDER = ASSETS / "errors"
ERRORS_COMMAND = "python -m core assets thresholds"
INTERVAL = "95 % bootstrap over people; Wilson over people where all or none are refused"
EVERYTHING = "all pairs"
CURVE_STEPS = 150
BOOTSTRAPS = 1000


@dataclass(frozen=True)
class LevelRates:
    """The genuine pairs at one level of a condition: how many pairs of how many people, and the share refused at each limit."""

    condition: str
    level: str
    pairs: int
    people: int
    refused: tuple[ShareInterval, ...]


@dataclass(frozen=True)
class ErrorCurve:
    """False match and false non-match rates (T,) at thresholds (T,) that rise."""

    thresholds: tuple[float, ...]
    false_match: tuple[float, ...]
    false_non_match: tuple[float, ...]


@dataclass(frozen=True)
class RecogniserErrors:
    """One recogniser. limits: false match rates and the distances calibrated to them on other people.

    false_match: what these limits do to the impostor pairs of these people. equal_error_alone: with the genuine pairs alone in
    which nothing worn has changed. levels: all pairs first, then every condition level by level.
    """

    recogniser: str
    limits: tuple[tuple[float, float], ...]
    false_match: tuple[ShareInterval, ...]
    equal_error: ShareInterval
    equal_error_distance: float
    equal_error_alone: ShareInterval
    levels: tuple[LevelRates, ...]
    curve: ErrorCurve
    genuine_pairs: int
    impostor_pairs: int
    images_without_face: int


@dataclass(frozen=True)
class ConditionRange:
    """What the named value that a condition reads was over the pictures: the middle 90 % and the ends that it cannot pass."""

    name: str
    unit: str
    low: float
    high: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class ErrorRates:
    """Error rates of all recognisers that judged the genuine set of a generator, and the ranges in which they hold."""

    generator: str
    people: int
    images: int
    ranges: tuple[ConditionRange, ...]
    recognisers: tuple[RecogniserErrors, ...]
    bootstraps: int
    seed: int
    command: str
    date: str

    def of(self, recogniser: str) -> RecogniserErrors:
        """The rates of one recogniser. Raises LiminalError where it did not judge these people."""
        for errors in self.recognisers:
            if errors.recogniser == recogniser:
                return errors
        raise LiminalError(f"{registry.title(recogniser)} did not judge the people of {registry.title(self.generator)} twice.")


def find_levels(condition: PairCondition, values: Mapping[str, Array]) -> NDArray[np.intp]:
    """Named values, each (P, K) -> the level of every pair of pictures of one person (P, K (K - 1) / 2), in order of triu."""
    read = np.stack([values[name] for name in condition.latents])  # (L, P, K)
    rows, columns = np.triu_indices(read.shape[2], k=1)
    first, second = read[:, :, rows], read[:, :, columns]
    if condition.measure == "presence":
        worn = (first[0] > 0.5).astype(np.intp), (second[0] > 0.5).astype(np.intp)
        return np.where(worn[0] == worn[1], worn[0], 2)  # in neither, in both, in one
    if condition.measure == "change":
        measured = np.abs(first - second).max(axis=0)
    elif condition.measure == "extreme":
        measured = np.maximum(np.abs(first), np.abs(second)).max(axis=0)
    else:
        measured = first[0]
    levels: NDArray[np.intp] = np.searchsorted(np.array(condition.edges), measured, side="right")
    return levels


def measure_recogniser(
    vectors: NDArray[Any],
    recogniser: str,
    limits: Sequence[tuple[float, float]],
    conditions: Sequence[PairCondition],
    values: Mapping[str, Array],
    *,
    bootstraps: int = BOOTSTRAPS,
    seed: int = 0,
) -> RecogniserErrors:
    """Descriptors (P, K, D), NaN rows without a face, and named values (P, K) -> all error rates of one recogniser.

    limits: (false match rate, distance). conditions: the first one says whether anything worn has changed, at its first level
    nothing has. Raises LiminalError where no two faces of one person were found.
    """
    people, images, _ = vectors.shape
    metric = get_metric(recogniser)
    rows, columns = np.triu_indices(images, k=1)
    genuine = np.stack([pairwise_distances(person, person, metric)[rows, columns] for person in vectors])  # (P, pairs)
    if not np.isfinite(genuine).any():
        raise LiminalError(f"{recogniser} found no two faces of one person; ask for more people.")
    impostor, first, second = _measure_impostors(vectors, recogniser)  # (people pairs, K * K)
    cuts = [distance for _, distance in limits]
    grid = _choose_thresholds(genuine, impostor, cuts)
    at = np.searchsorted(grid, cuts)
    found = find_levels(conditions[0], values) if conditions else np.zeros(genuine.shape, np.intp)
    alone = found == 0
    same, of_same = _count_below(genuine, grid)
    same_alone, of_alone = _count_below(np.where(alone, genuine, np.nan), grid)
    other, of_other = _count_below(impostor, grid)

    drawn = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=bootstraps)
    weights = np.vstack([np.ones(people), drawn]).astype(np.float64)  # the people as they are first
    both = weights[:, first] * weights[:, second]
    fmr = safe_divide(both @ other, (both @ of_other)[:, None])  # (1 + B, T)
    fnmr = 1 - safe_divide(weights @ same, (weights @ of_same)[:, None])
    fnmr_alone = 1 - safe_divide(weights @ same_alone, (weights @ of_alone)[:, None])
    equal = np.array([find_equal_error(grid, *rates) for rates in zip(fmr, fnmr, strict=True)])
    equal_alone = np.array([find_equal_error(grid, *rates) for rates in zip(fmr, fnmr_alone, strict=True)])

    levels = [_measure_level(EVERYTHING, "", genuine, np.ones_like(alone), cuts, weights)]
    for condition in conditions:
        level_of = find_levels(condition, values)
        within = alone if condition.alone else np.ones_like(alone)
        for number, words in enumerate(condition.levels):
            levels.append(_measure_level(condition.name, words, genuine, within & (level_of == number), cuts, weights))
    return RecogniserErrors(
        recogniser=recogniser,
        limits=tuple((float(rate), float(distance)) for rate, distance in limits),
        false_match=tuple(_summarise_draws(fmr[:, index], people) for index in at),
        equal_error=_summarise_draws(equal[:, 0], people),
        equal_error_distance=round(float(equal[0, 1]), 5),
        equal_error_alone=_summarise_draws(equal_alone[:, 0], people),
        levels=tuple(row for row in levels if row.pairs),
        curve=ErrorCurve(_round(grid), _round(fmr[0]), _round(fnmr[0])),
        genuine_pairs=int(of_same.sum()),
        impostor_pairs=int(of_other.sum()),
        images_without_face=int((~np.isfinite(vectors).all(axis=2)).sum()),
    )


def _round(values: Array) -> tuple[float, ...]:
    return tuple(float(f"{value:.5g}") for value in values)


def _measure_impostors(vectors: NDArray[Any], recogniser: str) -> tuple[Array, NDArray[np.intp], NDArray[np.intp]]:
    """Descriptors (P, K, D) -> distances between all pictures of two people (P (P - 1) / 2, K * K), and who the two are."""
    people, images, _ = vectors.shape
    first, second = np.triu_indices(people, k=1)
    flat = vectors.reshape(people * images, -1)
    apart = pairwise_distances(flat, flat, get_metric(recogniser)).reshape(people, images, people, images)
    return apart.transpose(0, 2, 1, 3)[first, second].reshape(len(first), images * images), first, second


def _choose_thresholds(genuine: Array, impostor: Array, cuts: Sequence[float]) -> Array:
    """Where the curve is taken: quantiles of both kinds of distances, dense where few are accepted or refused, and the limits."""
    tail = np.geomspace(1e-6, 0.5, CURVE_STEPS // 2)
    shares = np.concatenate([[0.0], tail, 1 - tail[::-1], [1.0]])
    both = [np.quantile(apart[np.isfinite(apart)], shares) for apart in (genuine, impostor)]
    ends = [np.nextafter(max(part[-1] for part in both), np.inf)]
    grid: Array = np.unique(np.concatenate([*both, np.asarray(cuts, np.float64), ends]))
    return grid


def _count_below(apart: Array, grid: Array) -> tuple[Array, Array]:
    """Distances (N, M), NaN left out -> how many of each row lie below each threshold (N, T), and how many are known (N,)."""
    known = np.isfinite(apart)
    steps = np.searchsorted(grid, np.where(known, apart, np.inf), side="right")  # accepted from this threshold on
    rows = np.repeat(np.arange(len(apart)), apart.shape[1])
    counts = np.bincount(rows * (len(grid) + 1) + steps.ravel(), minlength=len(apart) * (len(grid) + 1))
    below: Array = counts.reshape(len(apart), -1)[:, : len(grid)].cumsum(axis=1).astype(np.float64)
    return below, known.sum(axis=1).astype(np.float64)


def _measure_level(
    condition: str, level: str, genuine: Array, member: NDArray[np.bool_], cuts: Sequence[float], weights: Array
) -> LevelRates:
    """Share of the genuine pairs (P, pairs) in ``member`` that each limit refuses; weights (1 + B, P) of the people."""
    known = member & np.isfinite(genuine)
    totals = known.sum(axis=1).astype(np.float64)  # (P,)
    people = int((totals > 0).sum())
    refused = np.stack([(known & (genuine >= cut)).sum(axis=1) for cut in cuts], axis=1).astype(np.float64)  # (P, limits)
    rates = safe_divide(weights @ refused, (weights @ totals)[:, None])
    return LevelRates(
        condition, level, int(totals.sum()), people, tuple(_summarise_draws(rates[:, index], people) for index in range(len(cuts)))
    )


def _summarise_draws(rates: Array, people: int) -> ShareInterval:
    """The rate as it is, then its bootstrap draws (1 + B,) -> share and interval; Wilson's over people for 0 and 1."""
    share = float(rates[0])
    if not people or not np.isfinite(share):
        return ShareInterval(share if people else 0.0, 0.0, 1.0)
    if share in (0.0, 1.0):
        wilson = Proportion.of(round(share * people), people)
        return ShareInterval(share, wilson.low, wilson.high)
    low, high = percentile_interval(rates[1:][np.isfinite(rates[1:])])
    return ShareInterval(*(float(f"{value:.5g}") for value in (share, float(low), float(high))))


ENOUGH_PEOPLE = 40
"""Levels with fewer people are shown, but nothing is said of them."""


def find_costs(errors: RecogniserErrors, limit: int = 0) -> list[tuple[LevelRates, LevelRates]]:
    """By condition the levels that are refused most and least often; first the condition that costs most.

    The cost is the share of pairs that is refused beyond what it would be, were all pairs refused as rarely as at the best level.
    Conditions that say everything at once, and levels of few people, are left out.
    """
    costs = []
    for condition in list(dict.fromkeys(row.condition for row in errors.levels))[2:]:
        rows = [row for row in errors.levels if row.condition == condition and row.people >= ENOUGH_PEOPLE]
        if len(rows) < 2:
            continue
        worst, best = (choose(rows, key=lambda row: row.refused[limit].share) for choose in (max, min))
        excess = sum(row.pairs * (row.refused[limit].share - best.refused[limit].share) for row in rows)
        costs.append((excess / errors.genuine_pairs, worst, best))
    return [(worst, best) for _, worst, best in sorted(costs, key=lambda cost: -cost[0])]


def format_share(share: ShareInterval) -> str:
    """'11.4 % (9.9 to 12.8)'."""
    return f"{100 * share.share:.1f} % ({100 * share.low:.1f} to {100 * share.high:.1f})"


def explain_errors(errors: RecogniserErrors, limit: int = 0) -> str:
    """In two sentences how often a recogniser errs on these people, and which conditions cost it most."""
    rate, _ = errors.limits[limit]
    everything, alone = errors.levels[0].refused[limit], errors.levels[1].refused[limit]
    title = registry.title(errors.recogniser)
    sentence = (
        f"{title}: equal error rate (strangers let in as often as owners refused) {format_share(errors.equal_error)}. "
        f"At the limit that lets 1 stranger in {1 / rate:,.0f} in it refuses {format_share(everything)} of pairs of one person, "
        f"and {format_share(alone)} of those in which only scene and expression differ."
    )
    costs = [
        f"{worst.condition} ({worst.level}: {100 * worst.refused[limit].share:.1f} % refused; {best.level}: "
        f"{100 * best.refused[limit].share:.1f} %)"
        for worst, best in find_costs(errors, limit)[:2]
    ]
    return f"{sentence} What costs it most: {', then '.join(costs)}." if costs else sentence


def explain_ranges(rates: ErrorRates) -> str:
    """In one sentence in which scenes, expressions and ages the rates hold."""
    parts = []
    for item in rates.ranges:
        bounds = f"{item.low:.2f} to {item.high:.2f}" if item.unit == "share" else f"{item.low:.0f} to {item.high:.0f}"
        unit = "" if item.unit == "share" else f" {item.unit}"
        parts.append(f"{item.name} {bounds} of {item.lowest:g} to {item.highest:g}{unit}")
    return (
        f"{rates.people} people in {rates.images} pictures each; nine in ten of these lie within: {'; '.join(parts)}. In a third "
        "of the pictures glasses, hat, make-up and beard are drawn anew."
    )


def tabulate_levels(rates: ErrorRates) -> pd.DataFrame:
    """All levels as a table: recogniser, condition, level, limit (false match rate), share, low, high, pairs, people."""
    return pd.DataFrame(
        [
            {
                "recogniser": errors.recogniser,
                "condition": row.condition,
                "level": row.level,
                "limit": rate,
                **asdict(share),
                "pairs": row.pairs,
                "people": row.people,
            }
            for errors in rates.recognisers
            for row in errors.levels
            for (rate, _), share in zip(errors.limits, row.refused, strict=True)
        ]
    )


def list_named_values(generator: Generator, genuine: GenuineSet, images: int) -> dict[str, Array]:
    """The named values of all pictures of a genuine set, drawn again from its seeds: by name (P, K)."""
    rows = [
        generator.named_values(redraw_genuine_latents(generator, generator.sample([int(seed)]), int(seed), images))
        for seed in genuine.seeds
    ]
    return {name: np.array([[picture[name] for picture in person] for person in rows]) for name in rows[0][0]}


def _find_ranges(generator: Generator, values: Mapping[str, Array]) -> tuple[ConditionRange, ...]:
    """Of the values in degrees and shares that a single condition reads, and of the strongest feeling, where they lay."""
    named = {latent.name: latent for latent in generator.latent_names}
    ranges = []
    for condition in generator.pair_conditions:
        if condition.measure not in ("extreme", "person"):
            continue
        read = np.stack([values[name] for name in condition.latents])
        measured = read[0] if len(read) == 1 else read.max(axis=0)
        low, high = np.quantile(measured, [0.05, 0.95])
        latent = named[condition.latents[0]]
        ranges.append(
            ConditionRange(condition.name, latent.unit, round(float(low), 2), round(float(high), 2), latent.lowest, latent.highest)
        )
    return tuple(ranges)


def build_error_rates(
    generator: str,
    *,
    folder: Path = ERRORS_FOLDER,
    strangers: Path | None = None,
    thresholds: Path = THRESHOLDS_FOLDER,
    bootstraps: int = BOOTSTRAPS,
    seed: int = 0,
    progress: Progress | None = None,
) -> ErrorRates | None:
    """Measure on the stored genuine set, with the stored limits, and write ``<generator>.json``; None without such a set."""
    genuine = load_genuine_set(generator, strangers)
    if genuine is None:
        return None
    progress = progress or Progress()
    maker = registry.load(generator, "generator")
    images = next(iter(genuine.descriptors.values())).shape[1]
    values = list_named_values(maker, genuine, images) if maker.latent_names else {}
    measured = []
    for index, (name, vectors) in enumerate(genuine.descriptors.items()):
        progress.stage(f"Counting the errors of {name} by condition", index / len(genuine.descriptors))
        limits = [(cut.rate, cut.distance) for cut in load_thresholds(generator, name, thresholds).calibrated]
        measured.append(measure_recogniser(vectors, name, limits, maker.pair_conditions, values, bootstraps=bootstraps, seed=seed))
    result = ErrorRates(
        generator=generator,
        people=len(genuine.seeds),
        images=images,
        ranges=_find_ranges(maker, values),
        recognisers=tuple(measured),
        bootstraps=bootstraps,
        seed=seed,
        command=f"{ERRORS_COMMAND} --generators {generator} --seed {seed} --bootstraps {bootstraps}",
        date=dt.datetime.now(dt.UTC).date().isoformat(),
    )
    write_bytes(folder / f"{generator}.json", (json.dumps(asdict(result), indent=None) + "\n").encode())
    return result


def load_error_rates(generator: str, folder: Path = ERRORS_FOLDER) -> ErrorRates | None:
    """The stored error rates of a generator; None where it has none. Raises LiminalError where the file is damaged."""
    path = folder / f"{generator}.json"
    return (
        read_card(path, _parse_error_rates, f"No error rates of {generator} are stored", ERRORS_COMMAND) if path.is_file() else None
    )


def _parse_error_rates(card: dict[str, Any]) -> ErrorRates:
    return ErrorRates(
        **{
            **card,
            "ranges": tuple(ConditionRange(**row) for row in card["ranges"]),
            "recognisers": tuple(_parse_recogniser(row) for row in card["recognisers"]),
        }
    )


def _parse_recogniser(row: dict[str, Any]) -> RecogniserErrors:
    def shares(rows: Sequence[Mapping[str, float]]) -> tuple[ShareInterval, ...]:
        return tuple(ShareInterval(**share) for share in rows)

    return RecogniserErrors(
        **{
            **row,
            "limits": tuple((float(rate), float(distance)) for rate, distance in row["limits"]),
            "false_match": shares(row["false_match"]),
            "equal_error": ShareInterval(**row["equal_error"]),
            "equal_error_alone": ShareInterval(**row["equal_error_alone"]),
            "levels": tuple(LevelRates(**{**level, "refused": shares(level["refused"])}) for level in row["levels"]),
            "curve": ErrorCurve(**{name: tuple(values) for name, values in row["curve"].items()}),
        }
    )
