"""The search strategies by name. Adding one is one file and one line here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from core.models.contracts import Generator, Recogniser
from core.sampling import cmaes, gradient
from core.sampling.configuration import IdentityConfiguration, Strategy
from core.sampling.objective import Objective
from core.sampling.search import OnStep, SearchResult
from core.sampling.seeds import sample_seed

STRATEGIES = {"cmaes": cmaes.search, "gradient": gradient.search}


def search(
    starts: NDArray[np.float32],
    wanted: Tensor,
    generator: Generator,
    recogniser: Recogniser,
    configuration: IdentityConfiguration,
    *,
    seeds: Sequence[int] | None = None,
    labels: Sequence[tuple[int, int]] | None = None,
    on_step: OnStep | None = None,
) -> SearchResult:
    """Search from each start (R, latent_dim) toward a descriptor ``wanted`` (D,), or one a run (R, D): a base's or a photo's.

    Of ``configuration`` the strategy, targets, iterations and that strategy's own parameters are used. ``on_step`` hears one
    ``SearchStep`` a run and iteration and may raise Cancelled (``Progress.emit`` does). Raises LiminalError for starts of the
    wrong size and where the face that is sought has no descriptor.
    """
    strategy: Strategy = configuration.strategy
    seeds = seeds or [sample_seed(configuration.seed, "search", index) for index in range(len(starts))]
    return STRATEGIES[strategy](starts, wanted, Objective(generator, recogniser), configuration, seeds, labels, on_step)
