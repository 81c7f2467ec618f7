"""What matters: the effect of every named latent, moved alone, on recognisers, classifiers and people.

Tables in, results out: ``core.sampling.single_changes`` makes the pictures. Distances are in shares of a recogniser's limit, so
that recognisers compare: 1.0 is as far as the limit lets two pictures of one person be. ``refused`` is the change of the false
non-match rate at that limit (ISO/IEC 19795-1): moved pictures against the person's own other pictures, minus the unmoved ones
against the same. Of classifiers the total variation distance: the share of probability that moves to other emotions.

Intervals: 95 % percentile bootstrap over people, all faces of a person together (contexts are drawn anew for each person, so that
they are resampled with them); of answers, over raters and pairs (``bootstrap``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.bootstrap import RESAMPLES, ResampleWeights, VoteSums, draw_weights, percentile_interval, pooled_means
from core.analysis.encode import encode, select_answers
from core.analysis.estimate import Array, Basis, Estimate, Result, join_notes, safe_divide, undefined_estimate
from core.lazy_import import lazy_import
from core.models.emotions import EMOTIONS
from core.sampling.stored.population import load_thresholds
from core.studies.ratings import Task

if TYPE_CHECKING:
    from scipy import sparse

    from core.sampling.single_changes import JudgedChanges
else:
    sparse = lazy_import("scipy.sparse")

FEW_PEOPLE = 10
"""Fewer people, or raters, are shown with a sentence that says so."""
BY_PEOPLE = "95 % bootstrap over people, each with all of their pictures"
SEMANTIC = "semantic"


@dataclass(frozen=True)
class LatentEffect:
    """What moving one latent does. distance, refused: by recogniser; probability, leans: by classifier.

    distance: to the unmoved picture, in shares of the limit, mean of both ends; ends: the same of the low and of the high end.
    refused: change of the false non-match rate. probability: share of probability that moves; leans: the emotion that the high end
    gains or loses most against the low one, and by how much.
    """

    name: str
    distance: Mapping[str, Estimate]
    ends: Mapping[str, tuple[Estimate, Estimate]]
    refused: Mapping[str, Estimate]
    probability: Mapping[str, Estimate]
    leans: Mapping[str, tuple[str, Estimate]]


@dataclass(frozen=True, kw_only=True)
class EffectTable(Result):
    """The effects of all latents of an experiment. limits: by recogniser; usual: its false non-match rate without any change."""

    people: int
    faces: int  # of all people: each in every context
    predicted: bool
    limits: Mapping[str, float]
    usual: Mapping[str, Estimate]
    effects: tuple[LatentEffect, ...]

    def rank(self, network: str, measure: str = "distance") -> list[LatentEffect]:
        """The effects, the largest first, by a recogniser's ``distance`` or ``refused``, or a classifier's ``probability``."""

        def size(effect: LatentEffect) -> float:
            value = getattr(effect, measure)[network].value
            return abs(value) if np.isfinite(value) else -1.0

        return sorted(self.effects, key=size, reverse=True)


class _PeopleBootstrap:
    """Means over faces (K, R) of people (R,), and their intervals; the same resamples for all."""

    def __init__(self, person: NDArray[np.intp], seed: int, resamples: int = RESAMPLES) -> None:
        self.person, self.people = person, int(person.max()) + 1
        drawn = np.random.default_rng(seed).multinomial(self.people, np.full(self.people, 1 / self.people), size=resamples)
        self.weights = np.vstack([np.ones(self.people), drawn]).astype(np.float64)  # (1 + B, P)

    def sum(self, values: Array) -> tuple[Array, Array]:
        """Sums and numbers of the finite values (K, R) by person, both (K, P)."""
        member = np.zeros((len(self.person), self.people))
        member[np.arange(len(self.person)), self.person] = 1.0
        known = np.isfinite(values)
        return np.where(known, values, 0.0) @ member, known @ member

    def mean(self, values: Array) -> list[Estimate]:
        """The mean of each row of values (K, R), NaN left out; n is the number of people that it rests on."""
        sums, counts = self.sum(np.atleast_2d(values))
        draws = safe_divide(self.weights @ sums.T, self.weights @ counts.T).T  # (K, 1 + B)
        low, high = percentile_interval(draws[:, 1:])
        people = (counts > 0).sum(axis=1)
        if self.people < 2:
            low, high = np.full(len(draws), np.nan), np.full(len(draws), np.nan)
        return [
            Estimate(float(value), float(below), float(above), int(n)) if n else undefined_estimate()
            for value, below, above, n in zip(draws[:, 0], low, high, people, strict=True)
        ]


def refuse(distances: Array, limit: float) -> Array:
    """Distances (..., E) to a person's other pictures -> the share of them that a limit refuses (...), NaN without a face."""
    known = np.isfinite(distances)
    refused = (np.where(known, distances, -np.inf) >= limit).sum(axis=-1).astype(np.float64)
    return safe_divide(refused, known.sum(axis=-1))


@dataclass(frozen=True)
class Limit:
    """A recogniser's limit: the distance below which two pictures are one person, and the share of genuine pairs that it refuses
    (None where that is not known)."""

    distance: float
    refused: float | None = None


def load_limits(generator: str, recognisers: Sequence[str]) -> dict[str, Limit]:
    """The limit at which 1 stranger in 1,000 gets in, or the default where none was calibrated. Imports no torch."""
    limits = {}
    for name in recognisers:
        thresholds = load_thresholds(generator, name)
        known = next((cut.false_non_match for cut in thresholds.calibrated if cut.distance == thresholds.opening), None)
        limits[name] = Limit(thresholds.opening, None if known is None else known.share)
    return limits


def _find_cut(changes: JudgedChanges, name: str, limit: Limit) -> float:
    """The distance at which ``refused`` is counted.

    Predicted pictures of one person lie too near to each other, since what a surrogate cannot predict is missing: the cut among
    them is where as many genuine pairs are refused as the limit refuses of true pictures.
    """
    if not changes.predicted or limit.refused is None:
        return limit.distance
    return float(np.nanquantile(changes.usual[name], 1 - limit.refused))


def measure_effects(changes: JudgedChanges, limits: Mapping[str, Limit], *, seed: int = 0) -> EffectTable:
    """The effect of each latent of an experiment whose treatments are both ends of each in turn. limits: by recogniser."""
    draws = _PeopleBootstrap(changes.person, seed)
    latents = changes.design.latents
    distance: dict[str, list[Estimate]] = {}
    ends: dict[str, list[tuple[Estimate, Estimate]]] = {}
    refused: dict[str, list[Estimate]] = {}
    usual = {}
    for name, apart in changes.distances.items():
        both = (apart / limits[name].distance).reshape(len(latents), 2, -1)
        cut = _find_cut(changes, name, limits[name])
        distance[name] = draws.mean(_mean_known(both))
        low, high = draws.mean(both[:, 0]), draws.mean(both[:, 1])
        ends[name] = list(zip(low, high, strict=True))
        before = refuse(changes.usual[name], cut)  # (R,)
        after = refuse(changes.enrolled[name], cut).reshape(len(latents), 2, -1)
        refused[name] = draws.mean(_mean_known(after - before))
        usual[name] = draws.mean(before)[0]
    probability, leans = {}, {}
    for name, shares in changes.probabilities.items():
        moved = shares.reshape(len(latents), 2, -1, len(EMOTIONS))
        probability[name] = draws.mean(_mean_known(0.5 * np.abs(moved - changes.unmoved[name]).sum(axis=-1)))
        contrast = (moved[:, 1] - moved[:, 0]).transpose(0, 2, 1)  # (L, 6, R)
        gained = draws.mean(contrast.reshape(len(latents) * len(EMOTIONS), -1))
        rows = [gained[start : start + len(EMOTIONS)] for start in range(0, len(gained), len(EMOTIONS))]
        best = [int(np.argmax([abs(value.value) for value in row])) for row in rows]
        leans[name] = [(EMOTIONS[emotion], row[emotion]) for row, emotion in zip(rows, best, strict=True)]
    effects = tuple(
        LatentEffect(
            latent,
            distance={network: rows[place] for network, rows in distance.items()},
            ends={network: rows[place] for network, rows in ends.items()},
            refused={network: rows[place] for network, rows in refused.items()},
            probability={network: rows[place] for network, rows in probability.items()},
            leans={network: rows[place] for network, rows in leans.items()},
        )
        for place, latent in enumerate(latents)
    )
    return EffectTable(
        basis=Basis(changes.distances[next(iter(changes.distances))].size, 0, 0, "models"),
        interval=BY_PEOPLE,
        note=join_notes(changes.note, _note_few(changes.people, "people"), _note_lost(changes)),
        people=changes.people,
        faces=len(changes.person),
        predicted=changes.predicted,
        limits={name: limits[name].distance for name in changes.distances},
        usual=usual,
        effects=effects,
    )


def _mean_known(ends: Array) -> Array:
    """Mean of both ends (L, 2, R) -> (L, R), of the one that is known where the other is not."""
    known = np.isfinite(ends)
    return safe_divide(np.where(known, ends, 0.0).sum(axis=1), known.sum(axis=1))


def _note_few(people: int, noun: str) -> str:
    return f"Only {people} {noun}: intervals over fewer than {FEW_PEOPLE} say little of others." if people < FEW_PEOPLE else ""


def _note_lost(changes: JudgedChanges) -> str:
    lost = {name: int((~np.isfinite(apart)).sum()) for name, apart in changes.distances.items()}
    parts = [
        f"{count:,} of {changes.distances[name].size:,} pictures have no face for {name}" for name, count in lost.items() if count
    ]
    return f"{' and '.join(parts)}; they are left out." if parts else ""


@dataclass(frozen=True)
class Interaction:
    """One network on two latents at both ends each. cells: low-low, low-high, high-low, high-high; contrast: how much more the high
    end of the one does at the high end of the other than at its low end, 0 where they act independently."""

    network: str
    measure: str  # distance, refused, or an emotion
    cells: tuple[Estimate, Estimate, Estimate, Estimate]
    contrast: Estimate


@dataclass(frozen=True, kw_only=True)
class InteractionTable(Result):
    """The interactions of two latents by every network that was asked."""

    first: str
    second: str
    people: int
    predicted: bool
    rows: tuple[Interaction, ...]


def measure_interaction(changes: JudgedChanges, limits: Mapping[str, Limit], *, seed: int = 0) -> InteractionTable:
    """The interaction of the two latents of an experiment with ``list_pair_treatments``.

    Of a classifier the emotion whose probability shows most of it.
    """
    draws = _PeopleBootstrap(changes.person, seed)
    first, second = changes.treatments[0]
    rows = []
    for name, apart in changes.distances.items():
        cut = _find_cut(changes, name, limits[name])
        rows.append(_contrast(draws, name, "distance", apart / limits[name].distance))
        rows.append(_contrast(draws, name, "refused", refuse(changes.enrolled[name], cut)))
    for name, shares in changes.probabilities.items():
        every = [_contrast(draws, name, emotion, shares[:, :, place]) for place, emotion in enumerate(EMOTIONS)]
        rows.append(max(every, key=lambda row: abs(row.contrast.value)))
    return InteractionTable(
        basis=Basis(len(changes.person) * 4, 0, 0, "models"),
        interval=BY_PEOPLE,
        note=join_notes(changes.note, _note_few(changes.people, "people"), _note_lost(changes)),
        first=first,
        second=second,
        people=changes.people,
        predicted=changes.predicted,
        rows=tuple(rows),
    )


def _contrast(draws: _PeopleBootstrap, network: str, measure: str, cells: Array) -> Interaction:
    """Cells (4, R), low-low first -> their means, and the mean of high-high - high-low - low-high + low-low."""
    means = draws.mean(cells)
    return Interaction(
        network,
        measure,
        (means[0], means[1], means[2], means[3]),
        draws.mean(cells[3] - cells[2] - cells[1] + cells[0])[0],
    )


@dataclass(frozen=True)
class PeopleEffect:
    """What people say of pairs of a face and itself with one latent moved: 1 - similarity / 100, and share 'two people'."""

    name: str
    unlike: Estimate
    different: Estimate


@dataclass(frozen=True, kw_only=True)
class PeopleEffects(Result):
    """People's answers by latent."""

    effects: Mapping[str, PeopleEffect]


def select_single_changes(pairs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The pairs with one latent moved, and the latent of each; a direction is its name and '+' or '-'."""
    chosen = pairs[(pairs["sample_type"] == SEMANTIC) & pairs["direction"].notna()]
    return chosen, [str(direction)[:-1] for direction in chosen["direction"]]


def measure_people(pairs: pd.DataFrame, ratings: pd.DataFrame, *, excluded: Collection[str] = (), seed: int = 0) -> PeopleEffects:
    """What people answered about pairs with one latent moved, latent by latent; empty where there are none."""
    chosen, names = select_single_changes(pairs)
    latents = list(dict.fromkeys(names))
    parts: dict[str, list[Estimate]] = {}
    basis = Basis(0, 0, 0, "")
    tasks: tuple[tuple[Task, float], ...] = (("similarity", 100.0), ("identity", 1.0))
    for task, most in tasks:
        codes = encode(select_answers(ratings, task, excluded=excluded, sentinels=False), chosen["pair_id"])
        basis = codes.basis if codes.basis.answers or not basis.answers else basis
        if not latents or not len(codes.raters):
            parts[task] = [undefined_estimate() for _ in latents]
            continue
        cells = sparse.csr_array(np.array([[name == latent for name in names] for latent in latents], np.float64))
        votes = VoteSums.of(codes)
        every = ResampleWeights(np.ones((len(names), 1)), np.ones((len(codes.raters), 1)))
        value = 1 - pooled_means(votes, every, cells)[:, 0] / most
        drawn = [pooled_means(votes, weights, cells) for weights in draw_weights(len(names), len(codes.raters), seed=seed)]
        low, high = percentile_interval(1 - np.concatenate(drawn, axis=1) / most)
        parts[task] = [
            Estimate(float(value[row]), float(low[row]), float(high[row]), int(count))
            for row, count in enumerate(cells @ codes.votes)
        ]
    effects = {
        name: PeopleEffect(name, unlike, different)
        for name, unlike, different in zip(latents, parts["similarity"], parts["identity"], strict=True)
    }
    note = "" if basis.answers else "Nobody has answered about such pairs yet."
    if basis.answers:
        note = _note_few(basis.raters, "raters")
    return PeopleEffects(
        basis=basis, interval=f"95 % bootstrap over raters and pairs, {RESAMPLES:,} resamples", note=note, effects=effects
    )


def measure_pair_distances(pairs: pd.DataFrame, recogniser: str, limit: float, *, seed: int = 0) -> dict[str, Estimate]:
    """A recogniser's distances of a set's pairs with one latent moved, in shares of its limit, by latent; over people (bases)."""
    chosen, names = select_single_changes(pairs)
    if not names or f"distance_{recogniser}" not in chosen:
        return {}
    person, _ = pd.factorize(chosen["base_id"])
    values = chosen[f"distance_{recogniser}"].to_numpy(np.float64) / limit
    latents: Sequence[str] = list(dict.fromkeys(names))
    rows = np.where(np.array(names)[None] == np.array(latents)[:, None], values, np.nan)
    return dict(zip(latents, _PeopleBootstrap(np.asarray(person, np.intp), seed).mean(rows), strict=True))
