"""The reference set: every classifier's logits of many random faces of a generator (paper B, filter (3) and Fig. 8).

Where a generator's expressions have names, a seventh of the faces shows each feeling and a seventh none, so that the set holds
every expression, as the photographs of a data set of feelings do; and what is a natural expression is measured on them.

From the stored logits come the 75th percentiles k of filter (3), the distributions that Fig. 8 shows, and each classifier's
temperature. Stored in ``assets/reference``: ``<generator>.npz`` (logits a classifier) and ``<generator>.json``.

Temperature (Guo et al. 2017, arXiv:1706.04599): nobody knows the true emotion of a generated face, so each network is made as sure
as it is right about what the *other* networks call most likely; the distilled MLP about its teachers' probabilities. The small CNN,
which judges what the others steer, labels nothing for them. Imports no torch; ``building.population`` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data_folder import ASSETS
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.sampling.stored.scores import (
    list_custom_names,
    load_custom_logits,
    locate_tables,
    make_not_judged_error,
    read_arrays,
    read_card,
)

special = lazy_import("scipy.special")

REFERENCE_FOLDER = ASSETS / "reference"
REFERENCE_COMMAND = "python -m core assets reference"
FILTER_PERCENTILE = 75.0
NATURAL_PERCENTILE = 95.0
ACTIONS = "facial actions"
"""Key of the stored facial actions (N, A) beside the classifiers' logits."""

TEMPERATURE_TEACHERS: Mapping[str, tuple[str, ...]] = {
    "mini-xception": ("tanh-cnn",),
    "tanh-cnn": ("mini-xception",),
    "emotion-mlp": ("mini-xception", "tanh-cnn"),
    "head-emotion-mlp": ("mini-xception", "tanh-cnn"),
    "small-cnn": ("mini-xception", "tanh-cnn"),
}
"""Whose opinion a classifier's temperature is fitted to; that of an added one, to what ``DEFAULT_TEACHERS`` call most likely."""
DISTILLED = ("emotion-mlp", "head-emotion-mlp")
"""Classifiers that learned their teachers' probabilities."""
DEFAULT_TEACHERS = ("mini-xception", "tanh-cnn")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ExpressionRange:
    """Where the facial actions of the reference faces lie.

    mean: (A,). precision: (A, A), the pseudo-inverse of their covariance. limit: the Mahalanobis distance within which 95 % of the
    reference faces are.
    """

    mean: Array
    precision: Array
    limit: float

    @classmethod
    def of(cls, actions: NDArray[Any]) -> ExpressionRange:
        """Of facial actions (N, A)."""
        rows = np.asarray(actions, np.float64)
        precision = np.asarray(np.linalg.pinv(np.cov(rows, rowvar=False), rcond=1e-6, hermitian=True), np.float64)
        spread = cls(rows.mean(axis=0), precision, 0.0)
        return cls(spread.mean, spread.precision, float(np.percentile(spread.measure_distance(rows), NATURAL_PERCENTILE)))

    def measure_distance(self, actions: NDArray[Any]) -> Array:
        """Facial actions (N, A) -> their Mahalanobis distances (N,)."""
        off = np.asarray(actions, np.float64) - self.mean
        distances: Array = np.sqrt(np.einsum("na,ab,nb->n", off, self.precision, off))
        return distances

    def contains(self, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """Facial actions (N, A) -> whether each is as near as 95 % of the reference faces (N,)."""
        inside: NDArray[np.bool_] = self.measure_distance(actions) <= self.limit
        return inside


@dataclass(frozen=True)
class ReferenceSet:
    """logits: classifier -> (N, 6) over EMOTIONS, of the same N plain faces; temperatures: classifier -> T > 0.

    expressions: None where a generator's expressions have no names.
    """

    generator: str
    seed: int
    logits: Mapping[str, NDArray[np.float32]]
    temperatures: Mapping[str, float]
    command: str
    date: str
    expressions: ExpressionRange | None = None

    def __len__(self) -> int:
        return len(next(iter(self.logits.values())))

    def percentiles(self, classifier: str) -> Array:
        """K of filter (3): the 75th percentile of every emotion's logit -> (6,)."""
        k: Array = np.percentile(self.classifier_logits(classifier).astype(np.float64), FILTER_PERCENTILE, axis=0)
        return k

    def exceeds_percentiles(self, classifier: str, logits: NDArray[Any], pair: tuple[int, int]) -> NDArray[np.bool_]:
        """(N, 6) -> (N, 2): whether each emotion of the pair is above its percentile. Both: the image passes filter (3)."""
        columns = list(pair)
        above: NDArray[np.bool_] = np.asarray(logits, np.float64)[:, columns] > self.percentiles(classifier)[columns]
        return above

    def calibrated(self, classifier: str, logits: NDArray[Any]) -> Array:
        """(N, 6) logits -> (N, 6) probabilities at this classifier's temperature."""
        self.classifier_logits(classifier)
        p: Array = special.softmax(np.asarray(logits, np.float64) / self.temperatures[classifier], axis=1)
        return p

    def count_passing(self, classifier: str, pair: tuple[int, int]) -> tuple[int, int]:
        """How many of the population pass filter (3) for this pair -> (passed, N)."""
        logits = self.classifier_logits(classifier)
        return int(self.exceeds_percentiles(classifier, logits, pair).all(axis=1).sum()), len(logits)

    def classifier_logits(self, classifier: str) -> NDArray[np.float32]:
        """A classifier's logits (N, 6). Raises LiminalError for one that was not asked."""
        try:
            return self.logits[classifier]
        except KeyError:
            if classifier in list_custom_names("classifier"):
                raise make_not_judged_error(classifier, self.generator) from None
            names = ", ".join(self.logits)
            raise LiminalError(
                f"The reference population of {self.generator} knows no classifier '{classifier}', only {names}; "
                f"make it again with '{REFERENCE_COMMAND}'."
            ) from None


def load_reference_set(generator: str, folder: Path | None = None) -> ReferenceSet:
    """The stored population of a generator, and what added classifiers said of its first faces. Imports no torch network.

    Raises LiminalError where there is none.
    """
    usual_folder, command = locate_tables(generator, REFERENCE_FOLDER, "reference", REFERENCE_COMMAND)
    folder = folder or usual_folder
    custom = {}  # classifier -> logits and temperature
    for name in list_custom_names("classifier"):
        if (scores := load_custom_logits(name, generator)) is not None:
            custom[name] = scores

    def parse(card: dict[str, Any]) -> ReferenceSet:
        temperatures = {name: float(value) for name, value in card["temperatures"].items()}
        arrays = dict(read_arrays(folder / f"{generator}.npz", command))
        actions = arrays.pop(ACTIONS, None)
        return ReferenceSet(
            generator=card["generator"],
            seed=card["seed"],
            logits=arrays | {name: logits for name, (logits, _) in custom.items()},
            temperatures=temperatures | {name: temperature for name, (_, temperature) in custom.items()},
            command=card["command"],
            date=card["date"],
            expressions=None if actions is None else ExpressionRange.of(actions),
        )

    return read_card(folder / f"{generator}.json", parse, f"No reference population of {generator} is stored", command)
