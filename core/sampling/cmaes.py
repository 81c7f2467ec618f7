"""CMA-ES toward a descriptor (paper A, sections 3.2.4 and 4.1), with the ``cma`` library's ask and tell.

The library proposes and is told; it knows no model. All candidates of a generation and all runs go through the networks as one
batch. Each run draws from its own random numbers, never from NumPy's global ones, so runs neither meet nor disturb each other.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.sampling.configuration import IdentityConfiguration
from core.sampling.objective import Objective
from core.sampling.search import Lockstep, OnStep, SearchResult
from core.sampling.seeds import generator_for

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="Could not import matplotlib", category=UserWarning)  # its plots are not used
    import cma

NO_FACE_PENALTY = 1e3
"""Told for candidates without a face: finite, and above every distance, so that they rank last. Never kept, never a distance."""

EXHAUSTED = frozenset({"tolx", "noeffectaxis", "noeffectcoord", "tolconditioncov"})
"""Of cma's own stopping criteria those after which float32 latents no longer change."""


def search(
    starts: NDArray[np.float32],
    wanted: Tensor,
    objective: Objective,
    configuration: IdentityConfiguration,
    seeds: Sequence[int],
    labels: Sequence[tuple[int, int]] | None = None,
    on_step: OnStep | None = None,
) -> SearchResult:
    """Search from each start (R, d) toward ``wanted``, one descriptor (D,) or one a run (R, D).

    Every run ends when its distance is under the lowest target or after ``configuration.iterations``. ``labels`` are the
    (base, partner) of the events; ``on_step`` hears them and may raise Cancelled. Raises LiminalError where no face is sought.
    """
    began = time.perf_counter()
    runs = Lockstep(starts, wanted, objective, configuration.targets, configuration.iterations, labels, on_step)
    everyone = range(len(runs.starts))
    if len(runs.starts):
        runs.look(everyone, [start[None] for start in runs.starts])  # iteration 0: the start itself
    strategies = {run: _strategy(runs.starts[run], configuration, seeds[run]) for run in runs.active()}
    while active := [run for run in runs.active() if run in strategies]:
        asked = [strategies[run].ask() for run in active]
        looked = runs.look(active, [np.asarray(candidates, np.float32) for candidates in asked])
        for run, candidates, distances in zip(active, asked, looked, strict=True):
            strategies[run].tell(candidates, np.where(np.isfinite(distances), distances, NO_FACE_PENALTY))
            if EXHAUSTED & strategies[run].stop().keys():
                del strategies[run]
    return runs.result("cmaes", time.perf_counter() - began)


def population_size(configuration: IdentityConfiguration, latent_dim: int) -> int:
    """Candidates a generation: cma's default is 4 + floor(3 ln d) (Hansen 2016, arXiv:1604.00772, table 1), 17 for d = 100."""
    return configuration.population or 4 + math.floor(3 * math.log(latent_dim))


def _strategy(start: NDArray[np.float32], configuration: IdentityConfiguration, seed: int) -> Any:
    random = generator_for(seed)
    options = {
        "popsize": population_size(configuration, len(start)),
        "randn": lambda *shape: random.standard_normal(shape),
        "seed": math.nan,  # leaves NumPy's global random numbers alone
        "verbose": -9,
        "verb_log": 0,
        "verb_disp": 0,
        "maxiter": math.inf,
    }
    return cma.CMAEvolutionStrategy(start.astype(np.float64), configuration.sigma, options)
