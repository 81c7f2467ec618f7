"""What classifiers say of emotion samples: paper B's filter (3), its three outcomes, evenness and entropy of the answers.

All functions take the samples table of an emotion set (``core.sampling.tables.emotion_samples``) and look at its rows of
sample_type "boundary". Intervals are 95 %, with samples taken as independent: samples around one base are less so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.acceptance import Proportion
from core.errors import LiminalError
from core.models.emotions import EMOTIONS

LESSER = 0.25
"""Success: each emotion of the pair has more than this (paper B, 'Evaluation metrics', Fig. 4)."""
TOGETHER = 0.6
"""Success and bias: both together have more than this."""
DRAWS = 2000
"""Bootstrap samples behind an interval."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean or median of ``n`` values with its bootstrap interval; NaN over no values, and no interval over fewer than two."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Ratio:
    """One share divided by another, with its interval; infinite where only the second is 0, NaN where both are."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Outcomes:
    """Paper B's three outcomes as shares of the same samples; they add up to one."""

    success: Proportion  # both emotions are seen
    bias: Proportion  # the pair is seen, but mostly one of the two
    failure: Proportion  # something else is seen

    @classmethod
    def of(cls, named: NDArray[np.str_]) -> Outcomes:
        """What ``outcome`` says of each sample -> shares of those of which it says something."""
        n = int((named != "").sum())
        return cls(*(Proportion.of(int((named == each).sum()), n) for each in ("success", "bias", "failure")))


@dataclass(frozen=True)
class Answers:
    """One classifier's probabilities, raw or calibrated: p1 and p2 are those of the pair, among all six emotions."""

    outcomes: Outcomes  # of all samples
    outcomes_of_passed: Outcomes  # of those that passed the filter under this classifier; the paper showed people only such
    gap: Estimate  # median of |p1 - p2| over those that passed: 0 is the boundary itself
    together: Estimate  # median of p1 + p2 over those that passed
    entropy: Estimate  # mean over all samples, in bits: 0 to log2(6) = 2.58


@dataclass(frozen=True)
class ClassifierBoundary:
    """One classifier's view of a set."""

    classifier: str
    steerer: bool  # the set was made and filtered by this classifier
    passed: Proportion  # filter (3), of all samples
    passed_of_kept: Proportion  # the same, of those that passed under the steerer
    raw: Answers
    calibrated: Answers


@dataclass(frozen=True)
class Faces:
    """What the recogniser says: a face was found in the sample and in its base; the distance between the two."""

    recogniser: str
    threshold: float
    found: Proportion  # of all samples
    near: Proportion  # distance < threshold, of the samples with a face
    distance: Estimate  # median over the samples with a face


@dataclass(frozen=True)
class Boundary:
    """All that is said of a set: the steerer first, then the judges."""

    emotion1: str
    emotion2: str
    n: int
    guided: int  # so many of them with guidance
    classifiers: tuple[ClassifierBoundary, ...]
    faces: Faces

    def of(self, classifier: str) -> ClassifierBoundary:
        """Raises LiminalError for a classifier that was not asked."""
        for each in self.classifiers:
            if each.classifier == classifier:
                return each
        raise LiminalError(_unasked(classifier, [each.classifier for each in self.classifiers]))


def boundary(samples: pd.DataFrame, steerer: str, recogniser: str, threshold: float, *, seed: int = 0) -> Boundary:
    """All statistics of a table of samples of one pair. ``seed``: of the bootstrap.

    Raises LiminalError where the table has no boundary samples, several pairs, or was not judged by the recogniser.
    """
    rows = _rows(samples)
    emotion1, emotion2 = str(rows["emotion1"].iloc[0]), str(rows["emotion2"].iloc[0])
    column = f"distance_{recogniser}"
    if column not in rows:
        raise LiminalError(f"The recogniser '{recogniser}' did not judge these samples; name the one of their configuration.")
    if not (math.isfinite(threshold) and threshold > 0):
        raise LiminalError(f"A threshold must be a positive distance, not {threshold}.")
    distances = rows[column].dropna().to_numpy(np.float64)
    classifiers = [_classifier(rows, steerer, None, seed), *(_classifier(rows, name, name, seed) for name in judges(samples))]
    return Boundary(
        emotion1=emotion1,
        emotion2=emotion2,
        n=len(rows),
        guided=int(rows["guided"].fillna(False).sum()),
        classifiers=tuple(classifiers),
        faces=Faces(
            recogniser=recogniser,
            threshold=threshold,
            found=Proportion.of(len(distances), len(rows)),
            near=Proportion.of(int((distances < threshold).sum()), len(distances)),
            distance=bootstrap(distances, np.median, seed=seed),
        ),
    )


def judges(samples: pd.DataFrame) -> list[str]:
    """The classifiers beside the steerer that judged a table of samples."""
    named = (name.removeprefix("passed_") for name in samples.columns if name.startswith("passed_"))
    return [name for name in named if name != "filter"]


def outcome(p1: Array, p2: Array) -> NDArray[np.str_]:
    """Paper B's outcome of each sample, (N,) and (N,) -> (N,) of "success", "bias" and "failure".

    Success: min(p1, p2) > 0.25 and p1 + p2 > 0.6; bias: min < 0.25 and the same sum; failure: sum < 0.6. The paper leaves equality
    open. Here the better outcome demands strictly more: min = 0.25 is bias and sum = 0.6 is failure, both to within 1e-9, since
    0.4 + 0.2 is above 0.6 in binary. A NaN gives "".
    """
    lesser, together = np.minimum(p1, p2), np.asarray(p1) + np.asarray(p2)
    seen = together > TOGETHER + 1e-9
    named = np.where(seen, np.where(lesser > LESSER + 1e-9, "success", "bias"), "failure")
    return np.where(np.isnan(together), "", named)


def entropy(probabilities: Array) -> Array:
    """Shannon entropy of each row (N, K) in bits -> (N,). 0 log 0 is 0."""
    p = np.asarray(probabilities, np.float64)
    bits: Array = -np.where(p > 0, p * np.log2(np.where(p > 0, p, 1.0)), p * 0).sum(axis=1)
    return np.abs(bits)  # no -0.0


def bootstrap(values: Array, statistic: Callable[..., NDArray[np.float64]], *, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """``np.mean`` or ``np.median`` of the finite values among (N,), with the percentile interval (Efron 1979, Ann. Stat. 7)."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return Estimate(math.nan, math.nan, math.nan, 0)
    value = float(statistic(known))
    if len(known) < 2:
        return Estimate(value, math.nan, math.nan, 1)
    random = np.random.default_rng(seed)
    at_once = max(1, 1_000_000 // len(known))  # bounds the memory
    parts = []
    for start in range(0, draws, at_once):
        drawn = random.integers(0, len(known), size=(min(at_once, draws - start), len(known)))
        parts.append(statistic(known[drawn], axis=1))
    low, high = np.quantile(np.concatenate(parts), [0.025, 0.975])
    return Estimate(value, float(low), float(high), len(known))


def ratio(first: Proportion, second: Proportion) -> Ratio:
    """first / second, taken as independent; the interval follows from the two Wilson intervals and keeps to their width.

    Method of variance estimates recovery: Donner and Zou 2012, Statistical Methods in Medical Research 21.
    """
    if not first.n or not second.n or not (first.count or second.count):
        return Ratio(math.nan, 0.0, math.inf)
    product = first.share * second.share
    least, most = (end * (2 * first.share - end) for end in (first.low, first.high))
    under, over = (end * (2 * second.share - end) for end in (second.low, second.high))
    low = least / (product + math.sqrt(product**2 - least * over)) if first.count else 0.0
    if not second.count:
        return Ratio(math.inf, low, math.inf)
    return Ratio(first.share / second.share, low, (product + math.sqrt(product**2 - most * under)) / under)


def share(verdicts: pd.Series[bool]) -> Proportion:
    """How many of the verdicts that are known are true."""
    known = verdicts.dropna()
    return Proportion.of(int(known.sum()), len(known))


def _rows(samples: pd.DataFrame) -> pd.DataFrame:
    rows = samples[samples["sample_type"] == "boundary"]
    if not len(rows):
        raise LiminalError("These samples hold none of type 'boundary', so there is nothing to count; generate some first.")
    if len(rows[["emotion1", "emotion2"]].drop_duplicates()) > 1:
        raise LiminalError("These samples are of several pairs of emotions; look at one pair at a time.")
    return rows


def _classifier(rows: pd.DataFrame, name: str, judge: str | None, seed: int) -> ClassifierBoundary:
    """``judge``: the part of the columns' names; None: the steerer's, which have none."""
    verdicts = rows[f"passed_{judge or 'filter'}"]
    passed = verdicts.fillna(False).to_numpy(bool)
    return ClassifierBoundary(
        classifier=name,
        steerer=judge is None,
        passed=share(verdicts),
        passed_of_kept=share(verdicts[rows["passed_filter"].fillna(False)]),
        raw=_answers(rows, f"p_{judge}_" if judge else "p_", passed, seed),
        calibrated=_answers(rows, f"calibrated_{judge}_" if judge else "calibrated_", passed, seed),
    )


def _answers(rows: pd.DataFrame, prefix: str, passed: NDArray[np.bool_], seed: int) -> Answers:
    p = rows[[prefix + emotion for emotion in EMOTIONS]].to_numpy(np.float64)  # (N, 6)
    p1, p2 = (rows[prefix + str(rows[name].iloc[0])].to_numpy(np.float64) for name in ("emotion1", "emotion2"))
    named = outcome(p1, p2)
    return Answers(
        outcomes=Outcomes.of(named),
        outcomes_of_passed=Outcomes.of(named[passed]),
        gap=bootstrap(np.abs(p1 - p2)[passed], np.median, seed=seed),
        together=bootstrap((p1 + p2)[passed], np.median, seed=seed),
        entropy=bootstrap(entropy(p), np.mean, seed=seed),
    )


def _unasked(classifier: str, known: list[str]) -> str:
    return f"The classifier '{classifier}' did not judge these samples; those that did: {', '.join(known)}."
