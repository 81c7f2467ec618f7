"""New pairs of faces of which one person of a study should say that they show the same person, and another one that they do not.

Controversial stimuli (Golan, Raju and Kriegeskorte 2020, PNAS 117) for two named people: their models (``core.alignment.identity``)
are the opponents. Starts are the pairs of strangers on which these part most, or nearly do; ``gain_search`` then changes the second
face of each. What it climbs is the surer margin of both, in log odds,

    min(z_A, -z_B),  z = w_0 + sum_k w_k x_k,

of the person A who is to say the same and B who is to say two people; x: standardised distances of the recognisers that a
surrogate predicts. What the models weigh beside these (LPIPS, looks, other recognisers) is foretold from them by least squares over
the pairs of the study while the search runs, and corrected once by what the first pictures show. What counts in the end are the
models on the finished pictures, with everything measured.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import logit
from torch import Tensor

from core.alignment.identity import DecisionModel, rank_parting_pairs
from core.analysis.estimate import Array
from core.errors import LiminalError
from core.models import registry
from core.models.contracts import Recogniser
from core.progress import Progress
from core.sampling.configuration import CONTROVERSIAL_TYPE, IdentityConfiguration, check_whole, default_strategy
from core.sampling.controversial_pairs import FEWEST_PEOPLE, search_pairs, sign_runs, take_apart, take_smaller
from core.sampling.gain_search import Gain
from core.sampling.identity import IdentityPanel
from core.sampling.sample_set import CONTROVERSIAL_KEY, SampleSet
from core.sampling.stored.population import Population
from core.sampling.stored.scores import get_metric, pairwise_distances

MOST_PAIRS = 64
SOFTNESS = 0.3
"""Of the smooth minimum of two log odds."""


@dataclass(frozen=True, eq=False)
class LinearDecisions:
    """Two people's log odds of 'same person' as linear functions of some recognisers' distances.

    weights: rater -> (C + 1,), the intercept first; recognisers: of the C distances, in their own unit.
    """

    recognisers: tuple[str, ...]
    weights: Mapping[str, Array]

    def corrected(self, model: DecisionModel, pairs: pd.DataFrame) -> LinearDecisions:
        """With intercepts such that the odds are those of the whole model, on average over some pairs."""
        distances = np.column_stack([np.ones(len(pairs)), pairs[[f"distance_{name}" for name in self.recognisers]]])
        weights = {}
        for rater, reduced in self.weights.items():
            errors = logit(model.probabilities(pairs, rater)) - distances @ reduced
            weights[rater] = reduced + np.append(np.nan_to_num(np.nanmean(errors)), np.zeros(len(self.recognisers)))
        return LinearDecisions(self.recognisers, weights)


def reduce_decisions(
    model: DecisionModel, pairs: pd.DataFrame, raters: Sequence[str], recognisers: Sequence[str]
) -> LinearDecisions:
    """Models of these people in terms of some recognisers' distances; what else they weigh is its least squares on these.

    pairs: of the study, with every column of the model. Raises LiminalError for a person without a model, and where the model
    weighs none of these recognisers.
    """
    names = [name for name in recognisers if f"distance_{name}" in model.names]
    if not names:
        raise LiminalError(
            "People's models of this study weigh no recogniser that has judged the generator's strangers; no new pairs can be made."
        )
    columns = [model.names.index(f"distance_{name}") for name in names]
    design = model.design(pairs)  # (P, K), standardised, a column of ones first
    kept = design[:, [0, *columns]]
    solution, *_ = np.linalg.lstsq(kept, design, rcond=None)  # (C + 1, K): every column from the kept ones
    middle, scale = (values[[column - 1 for column in columns]] for values in (model.middle, model.scale))
    weights = {}
    for rater in raters:
        standardised = solution @ model.weigh(rater)  # (C + 1,)
        slopes = standardised[1:] / scale
        weights[rater] = np.concatenate([[standardised[0] - slopes @ middle], slopes])
    return LinearDecisions(tuple(names), weights)


@dataclass(frozen=True, eq=False)
class PartingGain:
    """How surely two people's models say opposite things of each run's face beside its base, in log odds.

    says_same: of each run; bases: descriptors (R, D) of the runs' bases by recogniser. softness: None: the very minimum.
    """

    decisions: LinearDecisions
    recognisers: Mapping[str, Recogniser]
    says_same: Sequence[str]
    bases: Mapping[str, Tensor]
    softness: float | None = SOFTNESS

    def __call__(self, descriptors: Mapping[str, Tensor], runs: Sequence[int]) -> Tensor:
        """Descriptors (A, D) of runs (A,) -> the smaller of both margins (A,)."""
        rows = torch.as_tensor(list(runs))
        apart = [self.recognisers[name].distance(descriptors[name], self.bases[name][rows]) for name in self.decisions.recognisers]
        margins = []
        for rater, weights in self.decisions.weights.items():
            odds = float(weights[0]) + sum(float(slope) * distance for slope, distance in zip(weights[1:], apart, strict=True))
            margins.append(sign_runs(self.says_same, runs, rater) * odds)
        return take_smaller(margins, self.softness)


def choose_parting_starts(population: Population, decisions: LinearDecisions, count: int) -> list[tuple[int, int, str]]:
    """Rows of two strangers each, and who is to say that they are one person: where the margin is widest, whichever way.

    Raises LiminalError for fewer than FEWEST_PEOPLE people.
    """
    names = decisions.recognisers
    known = np.flatnonzero(np.all([np.isfinite(population.vectors(name)).all(axis=1) for name in names], axis=0))
    if len(known) < FEWEST_PEOPLE:
        raise LiminalError(
            f"Such pairs are looked for among at least {FEWEST_PEOPLE} people, and there are {len(known)}; make more."
        )
    odds = {rater: np.full((len(known), len(known)), weights[0], np.float32) for rater, weights in decisions.weights.items()}
    for place, name in enumerate(names, start=1):
        vectors = population.vectors(name)[known]
        apart = pairwise_distances(vectors, vectors, get_metric(name)).astype(np.float32)
        for rater, weights in decisions.weights.items():
            odds[rater] += np.float32(weights[place]) * apart
    (first, of_first), (second, of_second) = odds.items()
    starts: list[tuple[float, tuple[int, int, str]]] = []
    for same, margin in ((first, np.minimum(of_first, -of_second)), (second, np.minimum(of_second, -of_first))):
        margin[np.tril_indices(len(known))] = -np.inf
        pool = min(margin.size, max(4000, 50 * count))
        near = np.argpartition(-margin, pool - 1, axis=None)[:pool]
        ranked = near[np.argsort(-margin.flat[near], kind="stable")]
        for start in take_apart(ranked, len(known), count, known, same):
            one, other = np.searchsorted(known, start[:2])
            starts.append((float(margin[one, other]), start))
    starts.sort(key=lambda item: -item[0])
    return [start for _, start in starts[:count]]


def generate_parting_pairs(
    model: DecisionModel,
    pairs: pd.DataFrame,
    first: str,
    second: str,
    population: Population,
    generator: str,
    *,
    study: str = "",
    count: int = 8,
    seed: int = 0,
    progress: Progress | None = None,
    panel: IdentityPanel | None = None,
) -> SampleSet:
    """Make ``count`` pairs on which the models of two people of a study part, as an identity sample set, the surest first.

    pairs: of the study, from which what no surrogate foretells is guessed. The manifest (``controversial``) says the people, of
    each pair both probabilities of 'same person' on the finished picture, and how many pairs part them. Raises LiminalError for
    numbers out of range, one person named twice or without a model; Cancelled.
    """
    check_whole("count", count, 1, MOST_PAIRS)
    if first == second:
        raise LiminalError("Nobody parts from themselves; name two people.")
    names = [name.removeprefix("distance_") for name in model.names if name.startswith("distance_")]
    seen = [name for name in names if name in population.descriptors]
    foretold = [name for name in seen if registry.find_descriptor_surrogate(generator, name) is not None]
    decisions = reduce_decisions(model, pairs, (first, second), foretold or seen)

    def make_gain(judges: Mapping[str, Recogniser], says_same: Sequence[str], bases: Mapping[str, Tensor]) -> tuple[Gain, Gain]:
        gain = PartingGain(decisions, judges, says_same, bases)
        return gain, dataclasses.replace(gain, softness=None)

    configuration = IdentityConfiguration(
        seed=seed,
        generator=generator,
        recogniser=decisions.recognisers[0],
        judges=tuple(dict.fromkeys([*decisions.recognisers, *names])),
        strategy=default_strategy(generator, decisions.recognisers[0]),
        positive_directions=0,
        targets=(),
    )
    progress, panel = progress or Progress(), panel or IdentityPanel.load(configuration)
    for part in (progress.stretch(0.0, 0.5), progress.stretch(0.5, 1.0)):  # the second time with what the first pictures showed
        starts = choose_parting_starts(population, decisions, count)
        made = search_pairs(configuration, population, starts, decisions.recognisers, make_gain, progress=part, panel=panel)
        asked = made.pairs[made.pairs["sample_type"] == CONTROVERSIAL_TYPE]
        decisions = decisions.corrected(model, asked)
    return _tell_people(made, model, (first, second), study)


def _tell_people(made: SampleSet, model: DecisionModel, people: tuple[str, str], study: str) -> SampleSet:
    """Order the pairs by what both models say of the finished pictures, and say so in the manifest."""
    asked = made.pairs[made.pairs["sample_type"] == CONTROVERSIAL_TYPE]
    table = rank_parting_pairs(model, asked, *people)
    place: NDArray[np.intp] = pd.Index(table["pair_id"]).get_indexer(pd.Index(made.pairs["pair_id"]))
    ordered = made.pairs.assign(_place=place).sort_values("_place", kind="stable").drop(columns="_place").reset_index(drop=True)
    records = table.rename(columns={"p_first": people[0], "p_second": people[1]}).to_dict("records")
    facts = {"people": list(people), "study": study, "count": len(table), "kept": int((table["score"] > 0).sum()), "pairs": records}
    return dataclasses.replace(made, pairs=ordered, manifest={**made.manifest, CONTROVERSIAL_KEY: facts})
