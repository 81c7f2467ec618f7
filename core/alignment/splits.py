"""What is held out: by content, so that neither the order of rows nor who else is there changes anybody's share.

Paper B splits 4:1 (section V.A). Here, by default, an image that is held out is held out from everybody: it enters neither the
group's nor any person's training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from core.alignment.answers import Answered, Places
from core.alignment.configuration import AlignmentConfiguration, Split
from core.errors import LiminalError
from core.sampling.seeds import sample_seed

WORDS: dict[Split, str] = {
    "images": "Every fifth image is held out from everybody: no model has seen an answer to it.",
    "paper": (
        "As in the paper: a person's held-out answers are held out from that person's model, but the group's model has seen "
        "these images and everybody's answers to them."
    ),
}
"""What a result says of its split; 'fifth' is the default share."""


def held_out(names: Sequence[str], share: float, seed: int, *path: str) -> NDArray[np.bool_]:
    """Which of the names are held out: the ``share`` of them whose hashes come first, at least one and not all (of two or more)."""
    hashes = [sample_seed(seed, "held out", *path, name) for name in names]
    count = min(max(round(share * len(names)), 1), max(len(names) - 1, 0))
    held = np.zeros(len(names), bool)
    held[np.argsort(np.array(hashes, dtype=np.uint64), kind="stable")[:count]] = True
    return held


@dataclass(frozen=True, eq=False)
class Parted:
    """images (I,): those that the group holds out. Rows below are places among the answers."""

    images: NDArray[np.bool_]
    answers: Answered
    configuration: AlignmentConfiguration

    def group(self) -> tuple[Places, Places]:
        """Rows that the group's model learns from, and rows it is judged by."""
        out = self.images[self.answers.image]
        return np.flatnonzero(~out), np.flatnonzero(out)

    def person(self, rater: str) -> tuple[Places, Places]:
        """Rows that a person's model learns from, and rows it is judged by: their own answers. Either may be empty."""
        own = np.flatnonzero(self.answers.rater == self.answers.place(rater))
        out = self.images[self.answers.image[own]]
        if self.configuration.split == "images":
            return own[~out], own[out]
        own = own[~out]
        names = [self.answers.images[place] for place in self.answers.image[own]]
        mine = held_out(names, self.configuration.validation, self.configuration.seed, "rater", rater)
        return own[~mine], own[mine]

    def others(self, rater: str) -> Places:
        """Rows of the group's training that are not this person's: the group's part of their mix."""
        rows, _ = self.group()
        others: Places = rows[self.answers.rater[rows] != self.answers.place(rater)]
        return others

    def able(self) -> tuple[str, ...]:
        """People with enough answers to learn from and with some to be judged by."""
        return self._able

    @cached_property
    def _able(self) -> tuple[str, ...]:
        found = []
        for rater in self.answers.raters:
            learned, judged = self.person(rater)
            if len(learned) >= self.configuration.least_own and len(judged):
                found.append(rater)
        return tuple(found)

    def check_person(self, rater: str) -> tuple[Places, Places]:
        """As ``person``. Raises LiminalError where there are too few answers, or none to judge by."""
        learned, judged = self.person(rater)
        if not len(judged):
            raise LiminalError(
                f"'{rater}' has no answers to held-out images, so that their model could not be judged; ask for more."
            )
        least = self.configuration.least_own
        if len(learned) < least:
            raise LiminalError(f"'{rater}' has given {len(learned)} answers to learn from; it takes {least} at least.")
        return learned, judged


def parted(answers: Answered, configuration: AlignmentConfiguration) -> Parted:
    """Split the answers. Raises LiminalError where too few are left to learn from, or they all say the same."""
    found = Parted(held_out(answers.images, configuration.validation, configuration.seed, "images"), answers, configuration)
    learned, judged = found.group()
    if len(learned) < configuration.least_answers or not len(judged):
        raise LiminalError(
            f"There are {len(learned):,} answers to learn from and {len(judged):,} to judge by; learning takes at least "
            f"{configuration.least_answers:,}, so ask more people or about more images."
        )
    if len(np.unique(answers.emotion[learned])) < 2:
        raise LiminalError("All answers to learn from say the same emotion; a model learns from two different ones at least.")
    return found
