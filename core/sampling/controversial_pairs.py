"""Pairs of faces of which one recogniser says the same person and another says two people, both by a margin.

Controversial stimuli (Golan, Raju and Kriegeskorte 2020, PNAS 117): where two models are sure of opposite things, the answers of
people tell them apart. Starts are the pairs of strangers on which the two part most; ``gain_search`` then changes the second face
of each so that both are surer. The margin of a pair is the smaller of two, each a share of the limit:

    min((limit_A - distance_A) / limit_A, (distance_B - limit_B) / limit_B),

of the recogniser A that says the same and B that says two people: above 0 both say what is wanted. Half of the pairs go one way,
half the other. What counts is the true picture. The result is an identity sample set, the widest margin first.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LiminalError
from core.models.contracts import Recogniser
from core.progress import Progress
from core.sampling.bases import Base
from core.sampling.configuration import CONTROVERSIAL_TYPE, MOST_CONTROVERSIAL, IdentityConfiguration, check_number, check_whole
from core.sampling.gain_search import Gain, GainResult, search_gain
from core.sampling.identity import VERSIONED_PACKAGES, IdentityPanel, SampleSpec, assemble_sample_set
from core.sampling.images import to_images, to_pictures
from core.sampling.sample_set import (
    CONTROVERSIAL_KEY,
    PAIR_COLUMNS,
    SampleSet,
    count_sample_types,
    describe_provenance,
    set_column_types,
)
from core.sampling.stored.population import Population
from core.sampling.stored.scores import get_metric, pairwise_distances

FEWEST_PEOPLE = 10
MARGIN = 0.1
"""Shares of the limits by which both recognisers are to be sure."""

ROUNDS = 2
SOFTNESS = 0.05
"""Of the smooth minimum of the two margins, whose gradient reaches both."""
CHECKS = 2
"""Faces beside themselves, for attention."""


def sign_runs(says_same: Sequence[str], runs: Sequence[int], judge: str) -> Tensor:
    """(A,): 1 where a judge is to say that the run's faces are one person, else -1. says_same: who is to say so, of each run."""
    return torch.tensor([1.0 if says_same[run] == judge else -1.0 for run in runs])


def take_smaller(margins: Sequence[Tensor], softness: float | None) -> Tensor:
    """The smaller of two judges' margins (A,), smooth so that its gradient reaches both; softness: None: the very minimum."""
    both = torch.stack(list(margins))  # (2, A)
    if softness is None:
        return both.amin(dim=0)
    return -softness * torch.logsumexp(-both / softness, dim=0)


@dataclass(frozen=True, eq=False)
class MarginGain:
    """The margin of each run's face to its own base. limits: by recogniser; says_same: of each run.

    bases: descriptors (R, D) of the runs' bases by recogniser. softness: None: the very minimum.
    """

    recognisers: Mapping[str, Recogniser]
    limits: Mapping[str, float]
    says_same: Sequence[str]
    bases: Mapping[str, Tensor]
    softness: float | None = SOFTNESS

    def __call__(self, descriptors: Mapping[str, Tensor], runs: Sequence[int]) -> Tensor:
        """Descriptors (A, D) of runs (A,) -> margins (A,)."""
        rows = torch.as_tensor(list(runs))
        margins = []
        for name, recogniser in self.recognisers.items():
            apart = recogniser.distance(descriptors[name], self.bases[name][rows])
            margins.append(sign_runs(self.says_same, runs, name) * (self.limits[name] - apart) / self.limits[name])
        return take_smaller(margins, self.softness)


def generate_controversial_pairs(
    configuration: IdentityConfiguration,
    population: Population,
    limits: Mapping[str, float],
    *,
    count: int = 24,
    margin: float = MARGIN,
    progress: Progress | None = None,
    panel: IdentityPanel | None = None,
) -> SampleSet:
    """Make ``count`` pairs on which the two recognisers of ``limits`` part, as a sample set; the widest margin first.

    The set's manifest says of each pair who says the same and the margin (``controversial``), and how many keep ``margin``. Without
    a surrogate this takes many minutes. Raises LiminalError for other than two recognisers, numbers out of range, and fewer than
    FEWEST_PEOPLE people; Cancelled when the user asks.
    """
    check_whole("count", count, 1, MOST_CONTROVERSIAL)
    check_number("margin", margin, 0.0, 1.0)
    if len(limits) != 2:
        raise LiminalError("Two recognisers part or agree; name two different ones.")

    def make_gain(judges: Mapping[str, Recogniser], says_same: Sequence[str], bases: Mapping[str, Tensor]) -> tuple[Gain, Gain]:
        gain = MarginGain(judges, limits, says_same, bases)
        return gain, dataclasses.replace(gain, softness=None)

    starts = choose_starts(population, limits, count)
    made = search_pairs(configuration, population, starts, list(limits), make_gain, progress=progress, panel=panel)
    pairs = made.manifest[CONTROVERSIAL_KEY]["pairs"]
    kept = sum(record["margin"] is not None and record["margin"] >= margin for record in pairs)
    facts = {"limits": dict(limits), "margin": margin, "kept": kept, "pairs": pairs}
    return dataclasses.replace(made, manifest={**made.manifest, CONTROVERSIAL_KEY: facts})


MakeGain = Callable[[Mapping[str, Recogniser], Sequence[str], Mapping[str, Tensor]], tuple[Gain, Gain]]
"""Recognisers, who is to say the same of each run, descriptors (R, D) of the runs' bases -> the gain to climb, and the score of
true pictures."""


def search_pairs(
    configuration: IdentityConfiguration,
    population: Population,
    starts: Sequence[tuple[int, int, str]],
    recognisers: Sequence[str],
    make_gain: MakeGain,
    *,
    progress: Progress | None = None,
    panel: IdentityPanel | None = None,
) -> SampleSet:
    """Change the second of two strangers each until a gain is as high as can be -> a sample set, the highest first.

    starts: rows of ``population`` and who is to say that both are one person; recognisers: whose descriptors the gain reads. The
    manifest says of each pair who says the same and its score (``controversial``, ``pairs``). Raises Cancelled.
    """
    progress = progress or Progress()
    began = time.perf_counter()
    progress.stage("Loading the networks", 0.0)
    panel = panel or IdentityPanel.load(configuration)
    judges = {judge.name: judge for judge in panel.judges if judge.name in recognisers}
    seeds = [(int(population.seeds[first]), int(population.seeds[second])) for first, second, _ in starts]
    ends = [panel.generator.sample(list(side)).numpy() for side in zip(*seeds, strict=True)]
    says_same = [name for _, _, name in starts]
    with torch.inference_mode():
        portraits = to_pictures(panel.generator.decode(torch.from_numpy(ends[0])))
    bases = {name: judge.embed(to_images(portraits)).cpu().float().clone() for name, judge in judges.items()}
    gain, score = make_gain(judges, says_same, bases)
    found = search_gain(
        ends[1],
        panel.generator,
        list(judges.values()),
        gain,
        score=score,
        rounds=ROUNDS,
        seed=configuration.seed,
        progress=progress.stretch(0.05, 0.7),
        words="Changing the pairs until both recognisers are sure",
    )
    progress.stage("Asking every model what it thinks", 0.7)
    order = np.argsort([-np.nan_to_num(result.gain, nan=-np.inf) for result in found], kind="stable")
    owners = [Base(ends[0][row], seeds[row][0]) for row in order]
    chosen = [found[row] for row in order]
    names = [says_same[row] for row in order]
    parts = [SampleSpec(row, "genuine", 0.0, owner.latent, owner.seed) for row, owner in enumerate(owners[:CHECKS])]
    parts += [
        SampleSpec(row, CONTROVERSIAL_TYPE, np.nan, result.latent, seeds[order[row]][1], direction=f"{names[row]} says the same")
        for row, result in enumerate(chosen)
    ]
    pictures = [*portraits[order[:CHECKS]], *(result.picture for result in chosen)]
    made = assemble_sample_set(configuration, 0, owners, portraits[order], parts, pictures, panel, progress.stretch(0.7, 1.0))
    records = _list_records(made, names, chosen)
    manifest = {
        "seed": configuration.seed,
        "batches": [0],
        "counts": count_sample_types(made.pairs),
        "base_draws": len(owners),
        "evaluations": 0,
        "seconds": {"total": time.perf_counter() - began},
        "searches": [],
        CONTROVERSIAL_KEY: {"pairs": records},
        "classifier_frame": panel.generator.classifier_frame,
        "thresholds": {judge.name: judge.threshold for judge in panel.judges},
        **describe_provenance(panel.cards(), panel.generator.device, VERSIONED_PACKAGES),
    }
    progress.stage("Done", 1.0)
    return dataclasses.replace(made, pairs=set_column_types(made.pairs, PAIR_COLUMNS), manifest=manifest)


def _list_records(made: SampleSet, names: Sequence[str], results: Sequence[GainResult]) -> list[dict[str, object]]:
    asked = made.pairs[made.pairs["sample_type"] == CONTROVERSIAL_TYPE]
    return [
        {"pair_id": str(pair), "says_same": name, "margin": float(result.gain) if np.isfinite(result.gain) else None}
        for pair, name, result in zip(asked["pair_id"], names, results, strict=True)
    ]


def choose_starts(population: Population, limits: Mapping[str, float], count: int) -> list[tuple[int, int, str]]:
    """Rows of two strangers each, and who is to say that they are one person: where the margin is widest, half each way.

    Nobody is in two pairs of one way while others are left. Raises LiminalError for fewer than FEWEST_PEOPLE people.
    """
    first, second = limits
    known = np.flatnonzero(np.all([np.isfinite(population.vectors(name)).all(axis=1) for name in limits], axis=0))
    if len(known) < FEWEST_PEOPLE:
        raise LiminalError(
            f"Pairs on which recognisers part are looked for among at least {FEWEST_PEOPLE} people, but {first} and {second} both "
            f"found a face in {len(known)}; make more strangers."
        )
    inside = {name: _measure_inside(population.vectors(name)[known], name, limit) for name, limit in limits.items()}
    starts = []
    for number, (same, two) in enumerate(((first, second), (second, first))):
        wanted = count // 2 + (count % 2 if number == 0 else 0)
        margin = np.minimum(inside[same], -inside[two])
        margin[np.tril_indices(len(known))] = -np.inf
        pool = min(margin.size, max(4000, 50 * wanted))
        near = np.argpartition(-margin, pool - 1, axis=None)[:pool]
        ranked = near[np.argsort(-margin.flat[near], kind="stable")]
        starts += take_apart(ranked, len(known), wanted, known, same)
    return starts


def _measure_inside(vectors: NDArray[np.float32], recogniser: str, limit: float) -> NDArray[np.float32]:
    """(limit - distance) / limit between all people (N, N)."""
    apart = pairwise_distances(vectors, vectors, get_metric(recogniser)).astype(np.float32)
    return (np.float32(limit) - apart) / np.float32(limit)


def take_apart(
    ranked: NDArray[np.intp], people: int, wanted: int, known: NDArray[np.intp], same: str
) -> list[tuple[int, int, str]]:
    """The first pairs of a ranking (places in a table of people by people), nobody twice while others are left.

    known: the people's rows.
    """
    taken, used, later = list[tuple[int, int, str]](), set[int](), list[tuple[int, int, str]]()
    for place in ranked:
        row, column = divmod(int(place), people)
        if row >= column:
            continue
        pair = (int(known[row]), int(known[column]), same)
        if used & {row, column}:
            later.append(pair)
        else:
            used |= {row, column}
            taken.append(pair)
        if len(taken) == wanted:
            break
    return list(itertools.islice(itertools.chain(taken, later), wanted))
