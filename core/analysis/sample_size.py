"""How many people a study needs: expected widths of intervals, and power, by simulated observers over raters x images.

Observers of ``core.studies.simulation`` look at the very faces that the study would ask about. For every number of raters and
images a study is drawn many times, observers and images anew each time: a 95 % interval is about 2 x 1.96 standard deviations of
the estimates wide, which is what the crossed bootstrap of the pages estimates from one study. Images are drawn with replacement,
so that more can be asked about than there are. Power: that the difference between two halves of the images, both seen by the same
people, is told from none at 5 % (normal approximation with the simulated standard error). The acceptance of a recogniser depends
on the number of images alone (Wilson's interval). Standard deviations are smoothed over the numbers by variance components.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.analysis.bootstrap import NORMAL
from core.analysis.choices import correct_entropy
from core.analysis.encode import list_recognisers
from core.analysis.estimate import Array, to_plain, wilson_interval
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.sample_set import SampleSet
from core.studies.planning import count_usual_checks, join_stimuli, list_stimuli, make_emotion_plan, make_identity_plan
from core.studies.simulation import (
    MAX_OBSERVERS,
    EmotionPopulation,
    IdentityPopulation,
    perceive_dissimilarities,
    perceive_evidence,
)
from core.studies.study import Kind, RatingPlan, Stimulus

optimize, stats = lazy_import("scipy.optimize"), lazy_import("scipy.stats")

RATERS = (10, 20, 30, 40, 60, 80, 120)
REPEATS = 150
"""Studies drawn for each number of raters and images: a standard deviation is then known to some 6 %."""
MAX_IMAGES = 20_000
LEAST_VOTES = 3
"""Votes an image for an entropy: of one or two answers it says nothing."""
POOL = 200
"""Observers whose parameters are drawn, and from whom the raters of each study are."""
DIFFERENCES: Mapping[Kind, float] = {"identity": 0.1, "emotion": 0.2}
"""Differences that power is worked out for where none is named: of the share of 'same person', and in bits of entropy."""
MEASURES: Mapping[Kind, tuple[str, ...]] = {
    "identity": ("acceptance", "identity rate", "entropy"),
    "emotion": ("first emotion", "entropy"),
}
"""acceptance: share of pairs that a recogniser accepts; identity rate: mean share of 'same person'; first emotion: mean share that
names the first of the two emotions that a face was made between (own pictures have none); entropy: mean over images of the
answers' entropy, bits."""
COMPARED: Mapping[Kind, str] = {"identity": "identity rate", "emotion": "entropy"}
"""The measure whose difference power is about."""


@dataclass(frozen=True)
class PlannedPrecision:
    """What a number of raters who count and of images gives. widths: measure -> expected width of its 95 % interval."""

    raters: int
    images: int
    votes: float  # an image
    widths: Mapping[str, float]
    power: float  # for the chosen difference, 0 to 1


@dataclass(frozen=True)
class SampleSizePlan:
    """Expected precision by numbers of raters and images, from simulated observers."""

    plan: RatingPlan
    images: int  # that the sample sets hold
    sets: tuple[str, ...]
    recogniser: str  # whose acceptance it is; "" where there is none
    difference: float
    counted: float  # share of simulated observers who pay attention: the others have to be recruited too
    seed: int
    repeats: int
    rows: tuple[PlannedPrecision, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with the mark that all of it is simulated."""
        return {"simulated": True, **dict(to_plain(self))}

    def recruited(self, raters: int) -> int:
        """People to recruit for a number who count."""
        return math.ceil(raters / self.counted - 1e-9)

    def find_enough(self, images: int, power: float = 0.8) -> PlannedPrecision | None:
        """The row with the fewest raters that has the power with these images; None where no row has."""
        enough = [row for row in self.rows if row.images == images and row.power >= power]
        return min(enough, key=lambda row: row.raters, default=None)


def plan_sample_size(
    sets: Mapping[str, SampleSet],
    *,
    trials: int | None = None,
    sentinels: int | None = None,
    kept_only: bool = True,
    raters: Sequence[int] = RATERS,
    images: Sequence[int] | None = None,
    difference: float | None = None,
    seed: int = 0,
    repeats: int = REPEATS,
    progress: Progress | None = None,
) -> SampleSizePlan:
    """Work out what numbers of raters and images give in a study of these sample sets.

    images: default half of what the sets hold, all of it, and twice as many. difference: of the share of 'same person' (identity)
    or in bits of entropy (emotion). Raises LiminalError for numbers that make no sense.
    """
    kinds = {sample_set.kind for sample_set in sets.values()}
    if len(kinds) != 1:
        raise LiminalError("A study asks about sets of one kind; choose identity sets or emotion sets, not both and not none.")
    kind: Kind = kinds.pop()
    stimuli = join_stimuli(list_stimuli(sample_set, set_id, kept_only=kept_only) for set_id, sample_set in sets.items())
    asked = [stimulus for stimulus in stimuli if not stimulus.is_sentinel]
    if kind == "identity":
        plan = make_identity_plan(stimuli, trials=trials, sentinels=sentinels, seed=seed)
    else:  # missing checks are drawn when the study is made
        plan = make_emotion_plan(stimuli, trials=trials, sentinels=0, seed=seed)
        plan = replace(plan, sentinels=count_usual_checks(stimuli) if sentinels is None else sentinels)
    numbers = _check_numbers(raters, 2, MAX_OBSERVERS, "people")
    amounts = _check_numbers(images or (max(len(asked) // 2, 4), len(asked), 2 * len(asked)), 4, MAX_IMAGES, "images")
    delta = DIFFERENCES[kind] if difference is None else difference
    most, unit = (1.0, "the share of 'same person'") if kind == "identity" else (math.log2(len(EMOTIONS)), "bits of entropy")
    if not 0 < delta <= most:
        raise LiminalError(f"The difference lies above 0 and up to {most:.3g}, in {unit}; {DIFFERENCES[kind]} is usual.")
    progress = progress or Progress()
    pool = _ObserverPool.draw(kind, asked, sets, seed)
    cells = [(number, amount) for amount in amounts for number in numbers]
    spreads = []
    for index, (number, amount) in enumerate(cells):
        progress.stage(f"Simulating {number:,} people and {amount:,} {_noun(kind)}", index / len(cells))
        spreads.append(_simulate_spread(pool, number, amount, plan.trials, seed, repeats))
    rows = _build_rows(pool, cells, _smooth_spreads(np.array(spreads), cells, plan.trials), plan.trials, delta)
    return SampleSizePlan(plan, len(asked), tuple(sets), pool.recogniser, delta, pool.counted, seed, repeats, rows)


def _noun(kind: Kind) -> str:
    return "pairs" if kind == "identity" else "faces"


def _check_numbers(numbers: Sequence[int], least: int, most: int, what: str) -> list[int]:
    for number in numbers:
        if not least <= number <= most:
            raise LiminalError(f"Numbers of {what} lie from {least} to {most:,}, not at {number:,}.")
    return sorted(set(numbers))


@dataclass(frozen=True)
class _ObserverPool:
    """Attentive observers' probabilities of every answer to every image: (observers, images, answers)."""

    kind: Kind
    p: Array
    first: NDArray[np.intp]  # emotion: index of each image's first emotion, -1: none (images,); identity: all 1, 'same person'
    recogniser: str
    accepted: float  # share of the pairs that it accepts
    counted: float

    @classmethod
    def draw(cls, kind: Kind, stimuli: Sequence[Stimulus], sets: Mapping[str, SampleSet], seed: int) -> _ObserverPool:
        names = [stimulus.stimulus for stimulus in stimuli]
        if kind == "identity":
            seen: dict[str, Any] = {}
            for sample_set in sets.values():
                seen |= perceive_dissimilarities(sample_set)
            pairs = IdentityPopulation(inattentive={})
            shown = np.array([seen[name] for name in names])
            same = np.stack([pairs.observer(seed, number).p_same(shown) for number in range(POOL)])
            recogniser, accepted = _find_acceptance(names, sets)
            lost = sum(IdentityPopulation().inattentive.values())
            first = np.ones(len(names), np.intp)
            return cls(kind, np.stack([1 - same, same], axis=2), first, recogniser, accepted, 1 - lost)
        evidence: dict[str, Array] = {}
        for sample_set in sets.values():
            evidence |= perceive_evidence(sample_set)
        faces = EmotionPopulation(inattentive={})
        rows = np.stack([evidence[name] for name in names])
        p = np.stack([faces.observer(seed, number).probabilities(rows) for number in range(POOL)])
        named = [str(stimulus.details.get("emotion1")) for stimulus in stimuli]
        first = np.array([EMOTIONS.index(name) if name in EMOTIONS else -1 for name in named], np.intp)
        return cls(kind, p, first, "", math.nan, 1 - sum(EmotionPopulation().inattentive.values()))


def _find_acceptance(names: Sequence[str], sets: Mapping[str, SampleSet]) -> tuple[str, float]:
    """The first recogniser that judged the pairs, and the share that it accepts."""
    for sample_set in sets.values():
        for recogniser in list_recognisers(sample_set.pairs):
            verdicts = [each.pairs.set_index("pair_id").get(f"accepted_{recogniser}") for each in sets.values()]
            known = [value.reindex(list(names)).dropna().astype(float) for value in verdicts if value is not None]
            judged = np.concatenate([value.to_numpy() for value in known]) if known else np.empty(0)
            if len(judged):
                return recogniser, float(judged.mean())
    return "", math.nan


def _simulate_spread(pool: _ObserverPool, raters: int, images: int, trials: int, seed: int, repeats: int) -> Array:
    """Standard deviations of the estimates of ``_draw_study`` over ``repeats`` studies (3,)."""
    random = np.random.default_rng([seed, raters, images])
    drawn = np.array([_draw_study(pool, raters, images, trials, random) for _ in range(repeats)])  # (repeats, 3)
    return np.asarray(drawn.std(axis=0, ddof=1), np.float64)


def _smooth_spreads(spreads: Array, cells: Sequence[tuple[int, int]], trials: int) -> Array:
    """Simulated standard deviations (cells, 3), smoothed: the variance of a mean over raters and images has three components,
    that of images, of raters, and of single answers. Cells with too few votes for an entropy are NaN there.
    """
    raters, images = np.array(cells, np.float64).T
    answers = raters * np.minimum(trials, images)
    parts = np.stack([1 / images, 1 / raters, 1 / answers], axis=1)  # (cells, 3)
    smooth = np.full_like(spreads, np.nan)
    for measure in range(spreads.shape[1]):
        use = np.isfinite(spreads[:, measure])
        if use.any():
            variance = spreads[use, measure] ** 2 + 1e-15
            components = optimize.nnls(parts[use] / variance[:, None], np.ones(use.sum()))[0]  # relative errors count
            smooth[use, measure] = np.sqrt(parts[use] @ components)
    return smooth


def _build_rows(
    pool: _ObserverPool, cells: Sequence[tuple[int, int]], spreads: Array, trials: int, difference: float
) -> tuple[PlannedPrecision, ...]:
    rows = []
    for (raters, images), (rate, entropy, apart) in zip(cells, spreads, strict=True):
        widths = {
            ("identity rate" if pool.kind == "identity" else "first emotion"): 2 * NORMAL * rate,
            "entropy": 2 * NORMAL * entropy,
        }
        if pool.recogniser:
            _, low, high = wilson_interval(np.array([pool.accepted * images]), np.array([float(images)]))
            widths["acceptance"] = high[0] - low[0]
        shift = difference / max(apart, 1e-12)
        power = float(stats.norm.cdf(shift - NORMAL) + stats.norm.cdf(-shift - NORMAL))
        ordered = {name: float(widths.get(name, math.nan)) for name in MEASURES[pool.kind]}
        rows.append(PlannedPrecision(raters, images, raters * min(trials, images) / images, ordered, power))
    return tuple(rows)


def _draw_study(pool: _ObserverPool, raters: int, images: int, trials: int, random: np.random.Generator) -> tuple[float, ...]:
    """One study: mean share of the first answer, mean entropy, and the difference of the compared measure between two halves."""
    observers, faces = random.integers(len(pool.p), size=raters), random.integers(pool.p.shape[1], size=images)
    seen = min(trials, images)
    # Everybody gets the next images in turn, so that votes an image differ by at most 1.
    place = random.permutation(images)[(np.arange(raters)[:, None] * seen + np.arange(seen)) % images]  # (raters, seen)
    edges = pool.p[observers[:, None], faces[place]].cumsum(axis=2)
    answers = edges.shape[2]
    choice = np.minimum((random.random((raters, seen, 1)) > edges).sum(axis=2), answers - 1)
    counts = np.bincount((place * answers + choice).ravel(), minlength=images * answers).reshape(images, answers).astype(np.float64)
    votes = counts.sum(axis=1)
    answered = votes > 0
    share = counts[np.arange(images), pool.first[faces]][answered] / votes[answered]
    if (pool.first < 0).any():  # own pictures were made between no two emotions
        share = np.full(len(share), np.nan)
    bits = correct_entropy(counts[answered]) if votes.min() >= LEAST_VOTES else np.full(int(answered.sum()), np.nan)
    compared = share if pool.kind == "identity" else bits
    return float(share.mean()), float(bits.mean()), float(compared[::2].mean() - compared[1::2].mean())
