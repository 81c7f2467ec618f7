"""Statistics of emotion samples (paper B): filter (3), the outcomes success, bias and failure, evenness, entropy.

``summarise_boundary`` describes the samples by the guiding and the held-out classifiers, ``build_outcome_table`` by people's
choices (paper B, 'Evaluation metrics', Fig. 4); ``classify_outcome`` is the rule for both. All functions take the samples table of
an emotion set (``core.sampling.sample_set.list_emotion_columns``) and use its rows of sample_type "boundary". Intervals are 95 %,
with samples taken as independent, although samples around one base are less so.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.choices import count_choices, shannon_entropy
from core.analysis.encode import explain_no_answers
from core.analysis.estimate import Array, Estimate, Proportion, Result, bootstrap_estimate, join_notes
from core.errors import LiminalError
from core.models.emotions import EMOTIONS
from core.sampling.emotion.configuration import EMOTION_PAIRS

MIN_SHARE_EACH = 0.25
"""Success: each emotion of the pair has more than this (paper B, 'Evaluation metrics', Fig. 4)."""
MIN_SHARE_TOGETHER = 0.6
"""Success and bias: both together have more than this."""


@dataclass(frozen=True)
class OutcomeShares:
    """Paper B's three outcomes as shares of the same samples; they add up to one."""

    success: Proportion  # both emotions are seen
    bias: Proportion  # the pair is seen, but mostly one of the two
    failure: Proportion  # something else is seen

    @classmethod
    def of(cls, named: NDArray[np.str_]) -> OutcomeShares:
        """Outcomes as ``classify_outcome`` returns them -> their shares, samples without an outcome ("") left out."""
        n = int((named != "").sum())
        return cls(*(Proportion.of(int((named == outcome).sum()), n) for outcome in ("success", "bias", "failure")))


@dataclass(frozen=True)
class ProbabilityStatistics:
    """One classifier's probabilities, raw or calibrated: p1 and p2 are those of the pair, among all six emotions."""

    outcomes: OutcomeShares  # of all samples
    outcomes_of_passed: OutcomeShares  # of those that passed the filter under this classifier; the paper showed people only such
    gap: Estimate  # median of |p1 - p2| over those that passed: 0 is the boundary itself
    together: Estimate  # median of p1 + p2 over those that passed
    entropy: Estimate  # mean over all samples, in bits: 0 to log2(6) = 2.58


@dataclass(frozen=True)
class ClassifierStatistics:
    """Statistics of a set under one classifier."""

    classifier: str
    steerer: bool  # the set was made and filtered by this classifier
    passed: Proportion  # filter (3), of all samples
    passed_of_kept: Proportion  # the same, of those that passed under the steerer
    raw: ProbabilityStatistics
    calibrated: ProbabilityStatistics


@dataclass(frozen=True)
class FaceStatistics:
    """Statistics of a recogniser: faces found in sample and base, and the distance between the two."""

    recogniser: str
    threshold: float
    found: Proportion  # of all samples
    near: Proportion  # distance < threshold, of the samples with a face
    distance: Estimate  # median over the samples with a face


@dataclass(frozen=True)
class BoundaryStatistics:
    """Statistics of a set under every classifier: the guiding one (``steerer``) first, then the held-out ones."""

    emotion1: str
    emotion2: str
    n: int
    guided: int  # so many of them with guidance
    classifiers: tuple[ClassifierStatistics, ...]
    faces: FaceStatistics

    def of(self, classifier: str) -> ClassifierStatistics:
        """The statistics of one classifier. Raises LiminalError for one that did not judge the set."""
        for statistics in self.classifiers:
            if statistics.classifier == classifier:
                return statistics
        raise LiminalError(_describe_unknown(classifier, [statistics.classifier for statistics in self.classifiers]))


def summarise_boundary(
    samples: pd.DataFrame, steerer: str, recogniser: str, threshold: float, *, seed: int = 0
) -> BoundaryStatistics:
    """All statistics of a table of samples of one pair. ``seed``: of the bootstrap.

    Raises LiminalError where the table has no boundary samples, several pairs, or was not judged by the recogniser.
    """
    rows = _select_boundary(samples)
    emotion1, emotion2 = str(rows["emotion1"].iloc[0]), str(rows["emotion2"].iloc[0])
    column = f"distance_{recogniser}"
    if column not in rows:
        raise LiminalError(f"The recogniser '{recogniser}' did not judge these samples; name the one of their configuration.")
    if not (math.isfinite(threshold) and threshold > 0):
        raise LiminalError(f"A threshold must be a positive distance, not {threshold}.")
    distances = rows[column].dropna().to_numpy(np.float64)
    classifiers = [
        _summarise_classifier(rows, steerer, None, seed),
        *(_summarise_classifier(rows, name, name, seed) for name in list_held_out_classifiers(samples)),
    ]
    return BoundaryStatistics(
        emotion1=emotion1,
        emotion2=emotion2,
        n=len(rows),
        guided=int(rows["guided"].fillna(False).sum()),
        classifiers=tuple(classifiers),
        faces=FaceStatistics(
            recogniser=recogniser,
            threshold=threshold,
            found=Proportion.of(len(distances), len(rows)),
            near=Proportion.of(int((distances < threshold).sum()), len(distances)),
            distance=bootstrap_estimate(distances, np.median, seed=seed),
        ),
    )


def list_held_out_classifiers(samples: pd.DataFrame) -> list[str]:
    """Classifiers other than the guiding one that judged a table of samples."""
    named = (name.removeprefix("passed_") for name in samples.columns if name.startswith("passed_"))
    return [name for name in named if name != "filter"]


def classify_outcome(p1: Array, p2: Array) -> NDArray[np.str_]:
    """Paper B's outcome of each sample, (N,) and (N,) -> (N,) of "success", "bias" and "failure".

    Success: min(p1, p2) > 0.25 and p1 + p2 > 0.6; bias: min < 0.25 and the same sum; failure: sum < 0.6. The paper leaves equality
    open. Here the better outcome demands strictly more: min = 0.25 is bias and sum = 0.6 is failure, both to within 1e-9, since
    0.4 + 0.2 is above 0.6 in binary. A NaN gives "".
    """
    lesser, together = np.minimum(p1, p2), np.asarray(p1) + np.asarray(p2)
    seen = together > MIN_SHARE_TOGETHER + 1e-9
    named = np.where(seen, np.where(lesser > MIN_SHARE_EACH + 1e-9, "success", "bias"), "failure")
    return np.where(np.isnan(together), "", named)


def count_true(verdicts: pd.Series[bool]) -> Proportion:
    """Number of true verdicts among those that are known."""
    known = verdicts.dropna()
    return Proportion.of(int(known.sum()), len(known))


def _select_boundary(samples: pd.DataFrame) -> pd.DataFrame:
    rows = samples[samples["sample_type"] == "boundary"]
    if not len(rows):
        raise LiminalError("These samples hold none of type 'boundary', so there is nothing to count; generate some first.")
    if len(rows[["emotion1", "emotion2"]].drop_duplicates()) > 1:
        raise LiminalError("These samples are of several pairs of emotions; look at one pair at a time.")
    return rows


def _summarise_classifier(rows: pd.DataFrame, name: str, judge: str | None, seed: int) -> ClassifierStatistics:
    """``judge``: the part of the columns' names; None: the steerer's, which have none."""
    verdicts = rows[f"passed_{judge or 'filter'}"]
    passed = verdicts.fillna(False).to_numpy(bool)
    return ClassifierStatistics(
        classifier=name,
        steerer=judge is None,
        passed=count_true(verdicts),
        passed_of_kept=count_true(verdicts[rows["passed_filter"].fillna(False)]),
        raw=_summarise_probabilities(rows, f"p_{judge}_" if judge else "p_", passed, seed),
        calibrated=_summarise_probabilities(rows, f"calibrated_{judge}_" if judge else "calibrated_", passed, seed),
    )


def _summarise_probabilities(rows: pd.DataFrame, prefix: str, passed: NDArray[np.bool_], seed: int) -> ProbabilityStatistics:
    p = rows[[prefix + emotion for emotion in EMOTIONS]].to_numpy(np.float64)  # (N, 6)
    p1, p2 = (rows[prefix + str(rows[name].iloc[0])].to_numpy(np.float64) for name in ("emotion1", "emotion2"))
    named = classify_outcome(p1, p2)
    return ProbabilityStatistics(
        outcomes=OutcomeShares.of(named),
        outcomes_of_passed=OutcomeShares.of(named[passed]),
        gap=bootstrap_estimate(np.abs(p1 - p2)[passed], np.median, seed=seed),
        together=bootstrap_estimate((p1 + p2)[passed], np.median, seed=seed),
        entropy=bootstrap_estimate(shannon_entropy(p), np.mean, seed=seed),
    )


def _describe_unknown(classifier: str, known: list[str]) -> str:
    return f"The classifier '{classifier}' did not judge these samples; those that did: {', '.join(known)}."


OUTCOME_RULE = (
    "success: each of the two emotions has more than 25 % of the votes and both together more than 60 %; bias: together more than "
    "60 %, but one has 25 % or less; failure: together 60 % or less"
)
PUBLISHED_SUCCESS_OR_BIAS = 0.8
"""'Nearly 80 %' of the images of varEmotion (paper B, Fig. 4b): the paper prints no other number."""


@dataclass(frozen=True, kw_only=True)
class OutcomeTable(Result):
    """Shares of images, of people's choices. ``table``: stimulus, emotion1, emotion2, p1, p2, votes, outcome ("" over no votes)."""

    rule: str
    every: OutcomeShares
    success_or_bias: Proportion
    published_success_or_bias: float
    pairs: dict[tuple[str, str], OutcomeShares]  # by pair of emotions, those that occur
    table: pd.DataFrame


def build_outcome_table(samples: pd.DataFrame, ratings: pd.DataFrame, *, excluded: Collection[str] = ()) -> OutcomeTable:
    """Samples of an emotion set and answers -> outcomes of its boundary images, on which alone it rests."""
    rows = samples[samples["sample_type"] == "boundary"]
    votes = count_choices(ratings, rows["sample_id"], excluded=excluded)
    p1, p2 = (_select_own_share(votes.shares(), rows[name]) for name in ("emotion1", "emotion2"))
    table = pd.DataFrame(
        {
            "stimulus": rows["sample_id"].to_numpy(),
            "emotion1": rows["emotion1"].to_numpy(),
            "emotion2": rows["emotion2"].to_numpy(),
            "p1": p1,
            "p2": p2,
            "votes": votes.table["votes"].to_numpy(),
            "outcome": classify_outcome(p1, p2),
        }
    )
    every = OutcomeShares.of(table["outcome"].to_numpy())
    known = table[table["outcome"] != ""]
    n = len(known)
    return OutcomeTable(
        basis=votes.basis,
        interval="95 % Wilson, images taken as independent",
        note=join_notes(
            "There are no boundary images to look at; loosen the filter." if not len(rows) else "",
            explain_no_answers(ratings, excluded) if len(rows) and not n else "",
            f"{len(table) - n} of {len(table)} images have no votes and are left out." if 0 < n < len(table) else "",
        ),
        rule=OUTCOME_RULE,
        every=every,
        success_or_bias=Proportion.of(every.success.count + every.bias.count, n),
        published_success_or_bias=PUBLISHED_SUCCESS_OR_BIAS,
        pairs={
            pair: OutcomeShares.of(known.loc[(known["emotion1"] == pair[0]) & (known["emotion2"] == pair[1]), "outcome"].to_numpy())
            for pair in _list_pairs(known)
        },
        table=table,
    )


def _select_own_share(shares: Array, emotions: pd.Series[str]) -> Array:
    """Each row's share of the emotion named for that row; NaN where it is not one of the six."""
    column = pd.Index(EMOTIONS).get_indexer(pd.Index(emotions))
    return np.where(column >= 0, shares[np.arange(len(shares)), column], np.nan)


def _list_pairs(known: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of emotions that occur: the paper's fifteen in their order, then any in reverse."""
    pairs = list(dict.fromkeys(zip(known["emotion1"], known["emotion2"], strict=True)))
    return [pair for pair in EMOTION_PAIRS if pair in pairs] + [pair for pair in pairs if pair not in EMOTION_PAIRS]
