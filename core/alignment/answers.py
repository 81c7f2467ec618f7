"""The answers that models learn from: who said what of which image, as integers in an order that their origin does not change."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.answers import Array, chosen
from core.analysis.material import Material
from core.analysis.results import Basis, source_of
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.studies.ratings import Task

Places = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Answered:
    """Answers sorted by image and rater: ``image[k]`` and ``rater[k]`` are places in ``images`` and ``raters`` (both sorted),
    ``emotion[k]`` is a place in EMOTIONS. Each person answers about an image once."""

    images: tuple[str, ...]
    raters: tuple[str, ...]
    image: Places
    rater: Places
    emotion: Places
    source: str  # as results name it

    def __len__(self) -> int:
        return len(self.image)

    @cached_property
    def counts(self) -> Array:
        """Votes by image and emotion (I, 6)."""
        return counted(self.image, self.emotion, len(self.images))

    def place(self, rater: str) -> int:
        """A rater's place. Raises LiminalError where that person has given no answer that counts."""
        try:
            return self.raters.index(rater)
        except ValueError:
            raise LiminalError(f"'{rater}' has given no answer that counts in this study; choose one of those who have.") from None

    @property
    def basis(self) -> Basis:
        """On what figures of these answers rest."""
        return Basis(len(np.unique(self.image)), len(np.unique(self.rater)), len(self), self.source)

    @property
    def digest(self) -> str:
        """The same for the same answers, whatever their order: 20 hexadecimal digits."""
        digest = hashlib.blake2b(repr((self.images, self.raters)).encode(), digest_size=10)
        for column in (self.image, self.rater, self.emotion):
            digest.update(np.ascontiguousarray(column, "<i8").tobytes())
        return digest.hexdigest()


def answered(ratings: pd.DataFrame, *, images: Collection[str] | None = None, excluded: Collection[str] = ()) -> Answered:
    """Rows of RATINGS -> the answers of those who are not excluded, attention checks left out, to ``images`` alone (None: all).

    Raises LiminalError where there is nothing to learn from: no answers, or one emotion throughout.
    """
    table = last_answers(ratings, "emotion", images, excluded)
    if not len(table):
        raise LiminalError("There are no answers to learn from: the study has none yet, or everybody in it is excluded.")
    emotion = pd.Index(EMOTIONS).get_indexer(pd.Index(table["value"]))
    if (emotion < 0).any():
        unknown = str(table["value"].iloc[int(np.argmin(emotion))])
        raise LiminalError(f"The answer '{unknown}' is no emotion that the classifiers know; they know {', '.join(EMOTIONS)}.")
    if len(np.unique(emotion)) < 2:
        raise LiminalError(
            f"All {len(emotion):,} answers say '{EMOTIONS[int(emotion[0])]}'; a model learns from two different answers at least."
        )
    return coded(table, np.asarray(emotion, np.intp))


def last_answers(ratings: pd.DataFrame, task: Task, images: Collection[str] | None, excluded: Collection[str]) -> pd.DataFrame:
    """Everybody's last answer about each image, sorted by image and rater; without attention checks and the excluded."""
    table = chosen(ratings, task, excluded=excluded, sentinels=False)
    if images is not None:
        table = table[table["stimulus"].isin(list(images))]
    return table.drop_duplicates(["stimulus", "rater"], keep="last").sort_values(["stimulus", "rater"])


def coded(table: pd.DataFrame, said: Places) -> Answered:
    """Rows of ``last_answers`` with what each says as a whole number -> Answered."""
    image, names = pd.factorize(table["stimulus"], sort=True)
    rater, raters = pd.factorize(table["rater"], sort=True)
    return Answered(
        images=tuple(map(str, names)),
        raters=tuple(map(str, raters)),
        image=np.asarray(image, np.intp),
        rater=np.asarray(rater, np.intp),
        emotion=said,
        source=source_of(table["source"]),
    )


def answered_of(material: Material) -> Answered:
    """The answers of an emotion study to images whose pictures are at hand. Raises LiminalError for an identity study."""
    if material.kind != "emotion":
        raise LiminalError("This study asks about identity, so that no emotion can be learned from it; choose an emotion study.")
    shown = {each.stimulus for each in material.stimuli if each.stimulus in material.where}
    if not shown:
        raise LiminalError(
            f"The pictures of the study '{material.study.name}' are not in the library; bring its sample sets in with the study."
        )
    return answered(material.ratings, images=shown, excluded=material.excluded)


def counted(image: Places, emotion: Places, images: int) -> Array:
    """Votes by image and emotion (images, 6)."""
    k = len(EMOTIONS)
    return np.bincount(image * k + emotion, minlength=images * k).reshape(images, k).astype(np.float64)


def shuffled(answers: Answered, seed: int) -> Answered:
    """The null control: within each image the answers change hands at random, so that nobody's answers tell of themselves.

    Every image keeps its votes and every person their images; the group's model is the same. Answers to images that one person
    alone answered about cannot change hands and are left out.
    """
    random = np.random.default_rng(seed)
    order = np.lexsort((random.random(len(answers)), answers.image))  # a random order within each image
    emotion = answers.emotion[order]
    kept = np.bincount(answers.image, minlength=len(answers.images))[answers.image] > 1
    return replace(answers, image=answers.image[kept], rater=answers.rater[kept], emotion=emotion[kept])
