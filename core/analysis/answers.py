"""Which answers count, and their columns as small integers, so that a million of them can be added up at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.studies.ratings import RATINGS, Source, Task, values

Array = NDArray[np.float64]
NEEDED = ("rater", "stimulus", "task", "value", "reaction_time_ms", "is_sentinel", "source")
PEOPLE: tuple[Source, ...] = ("human", "simulated")


def chosen(
    ratings: pd.DataFrame,
    task: Task,
    *,
    excluded: Collection[str] = (),
    sources: Collection[str] = PEOPLE,
    sentinels: bool = True,
) -> pd.DataFrame:
    """The answers of one task that count: without excluded raters, of some sources, with or without attention checks.

    ratings: rows of ``core.studies.ratings.RATINGS``. Returns the columns NEEDED; ``value`` is float64 for similarity and
    identity. Raises LiminalError where a column is missing.
    """
    missing = [name for name in NEEDED if name not in ratings]
    if missing:
        raise LiminalError(f"These answers lack the columns {', '.join(missing)}; a table of answers has {', '.join(RATINGS)}.")
    kept = (ratings["task"] == task).to_numpy(bool)
    if len(set(sources)) < 3:
        kept &= ratings["source"].isin(list(sources)).to_numpy(bool)
    if len(excluded):
        kept &= ~ratings["rater"].isin(list(excluded)).to_numpy(bool)
    if not sentinels:
        kept &= ~ratings["is_sentinel"].to_numpy(bool)
    return values(ratings.loc[kept, list(NEEDED)], task)


@dataclass(frozen=True)
class Coded:
    """Answers as integers: ``rater[k]`` and ``image[k]`` are places in ``raters`` and ``images``; ``value`` (K,) float64."""

    raters: tuple[str, ...]
    images: tuple[str, ...]
    rater: NDArray[np.intp]
    image: NDArray[np.intp]
    value: Array

    def of_images(self, of_each: Array) -> Array:
        """Sum of something per answer (K,) over each image (I,)."""
        return np.bincount(self.image, weights=of_each, minlength=len(self.images)).astype(np.float64)

    @property
    def votes(self) -> Array:
        """Answers of each image (I,)."""
        return np.bincount(self.image, minlength=len(self.images)).astype(np.float64)

    def means(self) -> Array:
        """Mean value of each image (I,), NaN where nobody answered."""
        return divided(self.of_images(self.value), self.votes)

    def matrix(self, of_each: Array) -> sparse.csr_array:
        """Something per answer (K,) -> its sums by image and rater (I, R)."""
        shape = (len(self.images), len(self.raters))
        return sparse.csr_array(sparse.coo_array((of_each, (self.image, self.rater)), shape=shape))


def coded(answers: pd.DataFrame, images: Collection[str] | None = None) -> Coded:
    """Answers of one task -> integers. ``images``: the images to look at, in order (others are dropped); default: those answered.

    An emotion becomes its place in EMOTIONS.
    """
    if images is None:
        image, names = pd.factorize(answers["stimulus"])
    else:
        names = pd.Index(list(images))
        image = names.get_indexer(pd.Index(answers["stimulus"]))
        answers, image = answers[image >= 0], image[image >= 0]
    rater, raters = pd.factorize(answers["rater"])
    value = answers["value"]
    numeric = pd.api.types.is_numeric_dtype(value)
    number = value.to_numpy(np.float64) if numeric else pd.Index(EMOTIONS).get_indexer(pd.Index(value)).astype(np.float64)
    return Coded(
        raters=tuple(map(str, raters)),
        images=tuple(map(str, names)),
        rater=np.asarray(rater, np.intp),
        image=np.asarray(image, np.intp),
        value=number,
    )


def divided(above: Array, below: Array) -> Array:
    """above / below, NaN where below is 0."""
    known = np.asarray(below) != 0
    shape = np.broadcast_shapes(np.shape(above), np.shape(below))
    result: Array = np.divide(above, below, out=np.full(shape, np.nan), where=np.broadcast_to(known, shape))
    return result
