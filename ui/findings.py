"""What the stored strangers say about an owner, in NumPy alone: nothing here waits for a model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.sampling.strangers import Strangers
from ui.owners import Owner


@dataclass(frozen=True)
class Crowd:
    """All strangers against one owner, by every recogniser. Distances (N,), NaN where no face was found."""

    strangers: Strangers
    owner: Owner
    recogniser: str
    distances: dict[str, NDArray[np.float64]]

    @property
    def lead(self) -> NDArray[np.float64]:
        """Distances by the recogniser that guards the phone."""
        return self.distances[self.recogniser]

    @property
    def others(self) -> list[str]:
        """The other recognisers that know this owner."""
        return [name for name in self.distances if name != self.recogniser]

    def accepted(self, threshold: float) -> NDArray[np.bool_]:
        """(N,) who would unlock the phone."""
        result: NDArray[np.bool_] = np.nan_to_num(self.lead, nan=np.inf) < threshold
        return result

    def least_alike(self, threshold: float) -> int | None:
        """Of those who get in, the one whom the other recogniser finds least like the owner; None when nobody gets in.

        Without a second opinion, the one who only just gets in.
        """
        inside = np.flatnonzero(self.accepted(threshold))
        opinion = self.distances[self.others[0]] if self.others else self.lead
        inside = inside[np.isfinite(opinion[inside])]
        return int(inside[np.argmax(opinion[inside])]) if len(inside) else None

    def nearest(self) -> int:
        """The stranger most like the owner."""
        return int(np.nanargmin(self.lead))

    def agreement(self, threshold: float, other: str, other_threshold: float) -> tuple[int, int]:
        """(of those let in, how many the other recogniser lets in too; how many it lets in of all)."""
        inside = self.accepted(threshold)
        too = np.nan_to_num(self.distances[other], nan=np.inf) < other_threshold
        return int((inside & too).sum()), int(too.sum())

    def starts(self, count: int, pool: int = 200) -> list[int]:
        """Where a search starts: of the ``pool`` nearest strangers those whom the other recogniser finds least like the owner."""
        order = np.argsort(np.nan_to_num(self.lead, nan=np.inf))[:pool]
        if not self.others:
            return [int(index) for index in order[-count:]]
        opinion = np.nan_to_num(self.distances[self.others[0]][order], nan=-np.inf)
        return [int(index) for index in order[np.argsort(-opinion, kind="stable")[:count]]]


def crowd(strangers: Strangers, owner: Owner, recogniser: str) -> Crowd:
    """Judge every stranger against the owner. Raises LiminalError where the leading recogniser found no face in the owner."""
    distances = {recogniser: strangers.distances(owner.descriptor(recogniser), recogniser)}
    for name in strangers.descriptors:
        if name != recogniser and np.isfinite(owner.descriptors.get(name, np.nan)).all():
            distances[name] = strangers.distances(owner.descriptor(name), name)
    return Crowd(strangers, owner, recogniser, distances)


def bounds(distances: NDArray[np.float64], marks: list[float]) -> tuple[float, float]:
    """The range that a threshold can be dragged over: all strangers and all ready-made thresholds, with a little air."""
    low = min(float(np.nanmin(distances)), *marks) - 0.05
    high = max(float(np.nanquantile(distances, 0.999)), *marks) + 0.03
    return round(max(0.0, low), 2), round(high, 2)
