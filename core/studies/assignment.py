"""Who is asked what: every image gets about as many votes as every other, in an order of each rater's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.errors import LiminalError
from core.sampling.seeds import generator_for, sample_seed
from core.studies.planning import stratum
from core.studies.study import Stimulus, Study


def assign(study: Study, stimuli: Sequence[Stimulus], handed_out: Mapping[str, int], number: int) -> list[str]:
    """The stimuli of rater ``number`` in order, each once; the callable for ``Store.enrol``.

    handed_out: how often each stimulus was handed out before. Strata (batches of pairs) are taken whole as long as trials are
    left, the least used first; within one, the least used stimuli first: counts within a stratum never differ by more than 1.
    Chance, seeded by the study's seed and the rater's number, decides between equals and makes the order. Raises LiminalError
    without stimuli.
    """
    random = generator_for(sample_seed(study.plan.seed, "assign", number))
    groups: dict[str, list[Stimulus]] = {}
    for each in stimuli:
        if not each.is_sentinel:
            groups.setdefault(stratum(each), []).append(each)
    if not groups:
        raise LiminalError(f"The study '{study.name}' has nothing to ask about; make it again from a sample set.")
    usage = {name: sum(handed_out.get(each.stimulus, 0) for each in group) / len(group) for name, group in groups.items()}
    chosen: list[str] = []
    strata: list[str] = []
    for name in _least_used(list(groups), usage, random):
        left = study.plan.trials - len(chosen)
        if left <= 0:
            break
        strata.append(name)
        chosen += _least_used([each.stimulus for each in groups[name]], handed_out, random)[:left]
    return _mixed(chosen, _sentinels(study, stimuli, strata, handed_out, random), random)


def _sentinels(
    study: Study, stimuli: Sequence[Stimulus], strata: Sequence[str], handed_out: Mapping[str, int], random: np.random.Generator
) -> list[str]:
    """Those of the rater's own batches first: paper A's genuine pairs show bases of the same batch."""
    own = [each.stimulus for each in stimuli if each.is_sentinel and stratum(each) in strata]
    others = [each.stimulus for each in stimuli if each.is_sentinel and stratum(each) not in strata]
    return [*_least_used(own, handed_out, random), *_least_used(others, handed_out, random)][: study.plan.sentinels]


def _least_used(names: Sequence[str], usage: Mapping[str, float], random: np.random.Generator) -> list[str]:
    """Least used first, equals in random order."""
    mixed = [names[place] for place in random.permutation(len(names))]
    return sorted(mixed, key=lambda name: usage.get(name, 0))


def _mixed(trials: Sequence[str], sentinels: Sequence[str], random: np.random.Generator) -> list[str]:
    """Trials in random order; the sentinels spread over them: one at a random place in each equal part of the sequence."""
    total, checks = len(trials) + len(sentinels), len(sentinels)
    edges = [total * part // max(checks, 1) for part in range(checks + 1)]
    places = [int(random.integers(edges[part], edges[part + 1])) for part in range(checks)]
    order = [trials[place] for place in random.permutation(len(trials))]
    for place, which in zip(places, random.permutation(checks), strict=True):  # rising places: each insertion is final
        order.insert(place, sentinels[which])
    return order
