"""Master faces: the one face that opens most phones, and the few that together open most, honestly counted.

Roy, Memon and Ross 2017 (IEEE Transactions on Information Forensics and Security 12, "MasterPrint") name such a template; Shmelkin,
Wolf and Friedlander 2021 (IEEE FG, arXiv:2108.01077) search for such faces. A face that was picked because it opens many phones
opens fewer of others: every second person is here to pick by, and the share is counted on the phones of the rest. Several faces are
picked greedily: the next one is the one that opens most of what is still locked (at least 1 - 1/e of the best cover; Nemhauser,
Wolsey and Fisher 1978, Mathematical Programming 14). Candidates are strangers of the population; ``sampling.master_search`` makes
new ones. Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.sampling.stored.population import AcceptanceShare, Population, measure_acceptance
from core.sampling.stored.scores import get_metric, pairwise_distances

MASTER_FACES = 10
FEWEST_OWNERS = 10


@dataclass(frozen=True, eq=False)
class OwnerHalves:
    """Rows of the population: those to pick by, and those to count on. Only people in whom a face was found."""

    picking: NDArray[np.intp]
    counting: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class MasterFaces:
    """Faces in the order of picking, and what each is from the phones of both halves: distances (F, owners).

    rows: of strangers in the population; -1 for a face that a search made.
    """

    recogniser: str
    limit: float
    rows: tuple[int, ...]
    owners: OwnerHalves
    picking: NDArray[np.float64]
    counting: NDArray[np.float64]

    def opened(self, faces: int) -> NDArray[np.bool_]:
        """Which phones of the counting half (owners,) the first faces open together."""
        return np.asarray((self.counting[:faces] < self.limit).any(axis=0), np.bool_)

    def share(self, faces: int, *, picking: bool = False) -> AcceptanceShare:
        """The share of phones that the first faces open together, with Wilson's interval over owners.

        picking: on the half that the faces were picked by, which flatters them.
        """
        apart = self.picking if picking else self.counting
        return measure_acceptance(apart[:faces].min(axis=0), self.limit)


def split_owners(population: Population, recogniser: str) -> OwnerHalves:
    """Every second person in whom the recogniser found a face. Raises LiminalError for fewer than FEWEST_OWNERS people."""
    known = np.flatnonzero(np.isfinite(population.vectors(recogniser)).all(axis=1))
    if len(known) < FEWEST_OWNERS:
        raise LiminalError(
            f"A face that opens many phones needs at least {FEWEST_OWNERS} people to look among, but {recogniser} found a face in "
            f"{len(known)}; make more strangers."
        )
    return OwnerHalves(known[::2], known[1::2])


def pick_masters(population: Population, recogniser: str, limit: float, *, count: int = MASTER_FACES) -> MasterFaces:
    """The strangers that together open most phones at a limit; fewer than ``count`` where more would open nothing more.

    Raises LiminalError as ``split_owners`` does.
    """
    owners = split_owners(population, recogniser)
    vectors, metric = population.vectors(recogniser), get_metric(recogniser)
    candidates = vectors[owners.picking]
    apart = pairwise_distances(candidates, candidates, metric)
    np.fill_diagonal(apart, np.inf)  # nobody's face is counted on their own phone
    picked = cover_greedily(apart < limit, count)
    if not picked:  # nobody opens any phone: the one that came nearest to one
        picked = [int(np.argmin(apart.min(axis=1)))]
    return MasterFaces(
        recogniser,
        limit,
        tuple(int(owners.picking[index]) for index in picked),
        owners,
        apart[picked],
        pairwise_distances(candidates[picked], vectors[owners.counting], metric),
    )


def cover_greedily(opens: NDArray[np.bool_], count: int) -> list[int]:
    """Which of the candidates open what (C, O) -> at most ``count`` of them, each opening most of what those before left."""
    open_to, left, picked = opens.astype(np.float32), np.ones(opens.shape[1], np.float32), list[int]()
    while len(picked) < count:
        more = open_to @ left
        best = int(more.argmax())
        if more[best] == 0:
            break
        picked.append(best)
        left[opens[best]] = 0
    return picked
