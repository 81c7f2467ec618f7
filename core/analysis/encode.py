"""Select the answers that count and encode them as integer arrays; give models' decisions the same form.

Ratings come in the row schema of ``core.studies.ratings``. ``encode`` turns those of one task into indices into lists of raters
and images, so that a million of them can be added up at once. Decisions of recognisers and classifiers become rows of the same
schema (source "model"), so that a statistic treats them as it treats people; an answer's id is a hash of its content.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.estimate import Array, Basis, name_sources, safe_divide
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.emotions import EMOTIONS
from core.studies.ratings import RATINGS, SOURCES, TEXT_TASKS, Source, Task, type_columns

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = lazy_import("scipy.sparse")

ANSWER_COLUMNS = ("rater", "stimulus", "value", "reaction_time_ms", "source")
RATER_SOURCES: tuple[Source, ...] = ("human", "simulated")


def select_answers(
    ratings: pd.DataFrame,
    task: Task,
    *,
    excluded: Collection[str] = (),
    sources: Collection[str] = RATER_SOURCES,
    sentinels: bool = True,
) -> pd.DataFrame:
    """The answers of one task that count: without excluded raters, of some sources, with or without attention checks.

    ratings: rows of ``core.studies.ratings.RATINGS``. Returns the columns ANSWER_COLUMNS; ``value`` is float64 for all tasks but
    TEXT_TASKS. Raises LiminalError where a column is missing.
    """
    missing = [name for name in (*ANSWER_COLUMNS, "task", "is_sentinel") if name not in ratings]
    if missing:
        raise LiminalError(f"These answers lack the columns {', '.join(missing)}; a table of answers has {', '.join(RATINGS)}.")
    selected = (ratings["task"] == task).to_numpy(bool)
    if len(set(sources)) < len(SOURCES):
        selected = selected & ratings["source"].isin(list(sources)).to_numpy(bool)
    if len(excluded):
        selected = selected & ~ratings["rater"].isin(list(excluded)).to_numpy(bool)
    if not sentinels:
        selected = selected & ~ratings["is_sentinel"].to_numpy(bool)
    answers = ratings[list(ANSWER_COLUMNS)] if selected.all() else ratings.loc[selected, list(ANSWER_COLUMNS)]
    return answers if task in TEXT_TASKS else answers.assign(value=answers["value"].astype("float64"))


def explain_no_answers(ratings: pd.DataFrame, excluded: Collection[str] = ()) -> str:
    """Why there is nothing to count, for notes: nobody has answered, or everybody who did is left out."""
    answered = set(ratings.loc[ratings["source"].isin(list(RATER_SOURCES)), "rater"])
    if answered and answered <= set(excluded):
        return "Everybody who answered is left out, so that no answer counts."
    return "Nobody has answered about these images yet." if len(answered) else "Nobody has answered yet."


@dataclass(frozen=True)
class EncodedRatings:
    """Answers as integers: ``rater[k]`` and ``image[k]`` are indices into ``raters`` and ``images``; ``value`` (K,) float64."""

    raters: pd.Index[Any]
    images: pd.Index[Any]
    sources: tuple[str, ...]  # those that occur
    rater: NDArray[np.intp]
    image: NDArray[np.intp]
    value: Array

    @property
    def basis(self) -> Basis:
        """The basis of statistics of these answers: images with an answer, raters, answers."""
        return Basis(int((self.votes > 0).sum()), len(self.raters), len(self.value), name_sources(self.sources))

    def sum_by_image(self, values: Array) -> Array:
        """Sums of a value per answer (K,) by image (I,)."""
        return np.bincount(self.image, weights=values, minlength=len(self.images)).astype(np.float64)

    @property
    def votes(self) -> Array:
        """Answers of each image (I,)."""
        return np.bincount(self.image, minlength=len(self.images)).astype(np.float64)

    def means(self) -> Array:
        """Mean value of each image (I,), NaN where nobody answered."""
        return safe_divide(self.sum_by_image(self.value), self.votes)

    def sum_by_image_and_rater(self, values: Array) -> sparse.csr_array:
        """Sums of a value per answer (K,) by image and rater (I, R)."""
        shape = (len(self.images), len(self.raters))
        return sparse.csr_array(sparse.coo_array((values, (self.image, self.rater)), shape=shape))


def encode(answers: pd.DataFrame, images: pd.Series[Any] | None = None, labels: Sequence[str] | None = None) -> EncodedRatings:
    """Encode the answers of one task as integers; a name becomes its index in ``labels``.

    images: the images wanted, in order (answers about others are dropped); default: those with an answer. labels: the names to
    choose from (answers with others are dropped); default: EMOTIONS, or the names that occur where there are others.
    """
    if labels is not None:
        answers = answers[answers["value"].isin(list(labels))]
    position, stimuli = pd.factorize(pd.Index(answers["stimulus"]))
    names = stimuli if images is None else pd.Index(images)
    image = position if images is None else names.get_indexer(stimuli)[position]  # far fewer names than answers
    if images is not None and (image < 0).any():
        answers, image = answers[image >= 0], image[image >= 0]
    rater, raters = pd.factorize(pd.Index(answers["rater"]))
    value = answers["value"]
    if pd.api.types.is_numeric_dtype(value):
        number = value.to_numpy(np.float64)
    else:
        names_of = list(labels) if labels is not None else _list_names(value)
        number = pd.Index(names_of).get_indexer(pd.Index(value)).astype(np.float64)
    return EncodedRatings(
        raters=raters,
        images=names,
        sources=tuple(map(str, answers["source"].unique())),
        rater=np.asarray(rater, np.intp),
        image=np.asarray(image, np.intp),
        value=number,
    )


def _list_names(value: pd.Series[Any]) -> list[str]:
    occurring = set(value.unique())
    return list(EMOTIONS) if occurring <= set(EMOTIONS) else sorted(map(str, occurring))


ANSWER_ID_NAMESPACE = uuid.UUID("6c696d69-6e61-4c00-8000-6d6f64656c73")
"""Namespace of the ids of models' answers: the same answer has the same id."""
NO_TIME = pd.Timestamp(0, tz="UTC")
"""``created_at`` of models' answers, which has no meaning."""


def build_recogniser_answers(pairs: pd.DataFrame, thresholds: Mapping[str, float], *, study: str = "") -> pd.DataFrame:
    """Each recogniser's 'same person?' about every pair with two faces: 1 where the distance is below its threshold.

    Raises LiminalError for a recogniser that did not judge the pairs.
    """
    missing = [name for name in thresholds if name not in list_recognisers(pairs)]
    if missing:
        raise LiminalError(f"The recogniser '{missing[0]}' did not judge these pairs; leave it out.")
    parts = []
    for name, threshold in thresholds.items():
        distance = pairs[f"distance_{name}"].to_numpy(np.float64)
        known = np.isfinite(distance)
        decisions = np.where(distance[known] < threshold, "1", "0")
        parts.append(_build_answer_rows(name, pairs["pair_id"][known], "identity", decisions, study))
    return _join_answer_rows(parts)


def build_classifier_answers(samples: pd.DataFrame, steerer: str, classifiers: Sequence[str], *, study: str = "") -> pd.DataFrame:
    """Each classifier's most probable emotion for every sample that it judged; of equal ones the first in EMOTIONS.

    Raises LiminalError for a classifier that did not judge the samples.
    """
    parts = []
    for name in classifiers:
        p = select_probabilities(samples, name, steerer)
        known = np.asarray(np.isfinite(p).all(axis=1), bool)
        decisions = np.array(EMOTIONS)[p[known].argmax(axis=1)] if known.any() else np.empty(0, str)
        parts.append(_build_answer_rows(name, samples["sample_id"][known], "emotion", decisions, study))
    return _join_answer_rows(parts)


def select_probabilities(samples: pd.DataFrame, classifier: str, steerer: str, *, kind: str = "p") -> Array:
    """A classifier's probabilities of every sample, (N, 6) over EMOTIONS; kind: "p" or "calibrated".

    The columns of the guiding classifier (``steerer``) carry no name. Raises LiminalError where the classifier did not judge the
    samples.
    """
    prefix = f"{kind}_" if classifier == steerer else f"{kind}_{classifier}_"
    columns = [prefix + emotion for emotion in EMOTIONS]
    if not set(columns) <= set(samples.columns):
        raise LiminalError(f"The classifier '{classifier}' did not judge these samples; choose another one.")
    return samples[columns].to_numpy(np.float64)


def _build_answer_rows(name: str, stimuli: pd.Series[str], task: Task, decisions: NDArray[np.str_], study: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rating_id": [str(uuid.uuid5(ANSWER_ID_NAMESPACE, f"{study}/{name}/{task}/{stimulus}")) for stimulus in stimuli],
            "study": study,
            "rater": name,
            "session": "",
            "trial": np.arange(len(stimuli)),
            "stimulus": stimuli.to_numpy(),
            "task": task,
            "value": decisions,
            "reaction_time_ms": np.nan,
            "is_sentinel": False,
            "source": "model",
            "presented": "{}",
            "created_at": NO_TIME,
        }
    )


def _join_answer_rows(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return type_columns(pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(RATINGS)))


def list_recognisers(pairs: pd.DataFrame) -> list[str]:
    """The recognisers that judged a table of pairs."""
    return [name.removeprefix("distance_") for name in pairs.columns if name.startswith("distance_")]
