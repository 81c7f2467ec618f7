"""Which answers count, and their columns as small integers, so that a million of them can be added up at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from core.analysis.results import Basis, source_of
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.studies.ratings import RATINGS, SOURCES, Source, Task

Array = NDArray[np.float64]
NEEDED = ("rater", "stimulus", "value", "reaction_time_ms", "source")
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
    missing = [name for name in (*NEEDED, "task", "is_sentinel") if name not in ratings]
    if missing:
        raise LiminalError(f"These answers lack the columns {', '.join(missing)}; a table of answers has {', '.join(RATINGS)}.")
    kept = (ratings["task"] == task).to_numpy(bool)
    if len(set(sources)) < len(SOURCES):
        kept = kept & ratings["source"].isin(list(sources)).to_numpy(bool)
    if len(excluded):
        kept = kept & ~ratings["rater"].isin(list(excluded)).to_numpy(bool)
    if not sentinels:
        kept = kept & ~ratings["is_sentinel"].to_numpy(bool)
    answers = ratings[list(NEEDED)] if kept.all() else ratings.loc[kept, list(NEEDED)]
    return answers if task == "emotion" else answers.assign(value=answers["value"].astype("float64"))


@dataclass(frozen=True)
class Coded:
    """Answers as integers: ``rater[k]`` and ``image[k]`` are places in ``raters`` and ``images``; ``value`` (K,) float64."""

    raters: pd.Index[Any]
    images: pd.Index[Any]
    sources: tuple[str, ...]  # those that occur
    rater: NDArray[np.intp]
    image: NDArray[np.intp]
    value: Array

    @property
    def basis(self) -> Basis:
        """On what figures of these answers rest: images that somebody answered about, raters, answers."""
        return Basis(int((self.votes > 0).sum()), len(self.raters), len(self.value), source_of(self.sources))

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


def coded(answers: pd.DataFrame, images: pd.Series[Any] | None = None) -> Coded:
    """Answers of one task -> integers. ``images``: the images to look at, in order (others are dropped); default: those answered.

    An emotion becomes its place in EMOTIONS.
    """
    place, found = pd.factorize(pd.Index(answers["stimulus"]))
    names = found if images is None else pd.Index(images)
    image = place if images is None else names.get_indexer(found)[place]  # far fewer names than answers
    if images is not None and (image < 0).any():
        answers, image = answers[image >= 0], image[image >= 0]
    rater, raters = pd.factorize(pd.Index(answers["rater"]))
    value = answers["value"]
    numeric = pd.api.types.is_numeric_dtype(value)
    number = value.to_numpy(np.float64) if numeric else pd.Index(EMOTIONS).get_indexer(pd.Index(value)).astype(np.float64)
    return Coded(
        raters=raters,
        images=names,
        sources=tuple(map(str, answers["source"].unique())),
        rater=np.asarray(rater, np.intp),
        image=np.asarray(image, np.intp),
        value=number,
    )


def divided(above: NDArray[Any], below: NDArray[Any]) -> Array:
    """above / below, NaN where below is 0."""
    known = np.asarray(below) != 0
    shape = np.broadcast_shapes(np.shape(above), np.shape(below))
    result: Array = np.divide(above, below, out=np.full(shape, np.nan), where=np.broadcast_to(known, shape))
    return result
