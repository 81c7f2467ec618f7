"""Paper B's Fig. 5 on held-out answers: accuracy of BaseNet, GroupNet and IndivNet, entropy of models and people, and a control.

The control: the same individual training on answers that were shuffled between people within each image. It must show no
individual gain; what it shows is what more training brings by itself. It is summarised by the median over people, so that a few
people with few held-out answers do not decide it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata, wilcoxon

from core.alignment.alignment import Alignment
from core.alignment.answers import Places, counted
from core.alignment.kept import Probabilities
from core.alignment.shift import shifted
from core.alignment.splits import Parted
from core.analysis.answers import Array, divided
from core.analysis.bootstrap import RESAMPLES, correlation_interval, over_one
from core.analysis.boundary import Estimate, bootstrap, entropy
from core.analysis.choices import FLOOR, miller_madow
from core.analysis.results import Basis, Result, sentences, undefined

LEVELS = ("base", "group", "individual")
PUBLISHED = (
    "Paper B, Fig. 5: on people's answers the group's models gained 5 to 35 points, the individuals' another 1 to 3.5; Spearman of "
    "model and human entropy rose from 0.26 to 0.85 (DAN)."
)
FEWEST = 6
"""People under whom Wilcoxon's test can say nothing (its smallest p is 0.0625 with five)."""
DRAWS = 1000


@dataclass(frozen=True)
class Gain:
    """A difference per person between two models: its bootstrap interval over people, Wilcoxon's signed-rank p (two-sided).

    value: the mean over people (``gain``); of a null control, the median over people (``control``). p is NaN under FEWEST people
    or where nobody differs.
    """

    value: Estimate
    p: float


@dataclass(frozen=True, kw_only=True)
class AlignmentReport(Result):
    """One classifier. Accuracies are shares of answers that are the model's first choice, by LEVELS; losses in bits an answer.

    people: rater, answers (held out), accuracy_<level>, loss_<level>, gain and loss_gain (group -> individual; of the loss,
    positive is better), null_gain, null_loss_gain, shift_gain, shift_loss_gain, null_shift_loss_gain; NaN for those without one.
    entropies: stimulus, votes, human, base, group (bits), held-out images with two votes or more.
    """

    classifier: str
    reference: Mapping[str, Estimate]  # on reference faces
    group: Mapping[str, Estimate]  # on everybody's held-out answers
    own: Mapping[str, Estimate]  # on each person's held-out answers, mean over people who have a model
    loss: Mapping[str, Estimate]  # the same in bits
    group_gain: Gain  # base -> group, on each person's answers, all people
    individual_gain: Gain  # group -> individual
    individual_loss_gain: Gain
    null_gain: Gain  # median over people, as all controls
    null_loss_gain: Gain
    shift_gain: Gain  # group -> the group's model shifted by eight numbers (``shift``), no fine-tuning
    shift_loss_gain: Gain
    null_shift_loss_gain: Gain
    entropy_base: Estimate  # Spearman of model and human entropy over held-out images
    entropy_group: Estimate
    people: pd.DataFrame
    entropies: pd.DataFrame


def report(alignment: Alignment, classifier: str, *, seed: int = 0) -> AlignmentReport:
    """All figures of one classifier. Raises LiminalError where the group's model has not learned; individuals may be missing."""
    split = alignment.split
    base, group = alignment.base(classifier), alignment.group(classifier)
    own_nets = {rater: alignment.individual(classifier, rater) for rater in alignment.people(classifier)}
    people = _people(alignment, classifier, base.images, group.images, own_nets)
    have = people[people["rater"].isin(list(own_nets))]
    _, judged = split.group()
    entropies = _entropies(alignment, judged, base.images, group.images)
    able = split.able()
    truth = alignment.labels.labels.argmax(axis=1)[alignment.reference_held]

    def of_reference(p: Array) -> Array:
        right: Array = (p[alignment.reference_held].argmax(axis=1) == truth).astype(np.float64)
        return right

    def over_people(column: str) -> Estimate:
        return bootstrap(have[column].dropna().to_numpy(np.float64), np.mean, seed=seed)

    def gained(column: str) -> Gain:
        return (control if column.startswith("null_") else gain)(people[column].to_numpy(np.float64), seed)

    missing, few = len(able) - len(own_nets), len(alignment.answers.raters) - len(able)
    notes = [
        "" if own_nets else "No individual has learned yet.",
        f"{missing} people with enough answers have no model yet." if own_nets and missing > 0 else "",
        f"{few} people gave too few answers for a model of their own." if few else "",
        alignment.note,
    ]
    return AlignmentReport(
        basis=Basis(
            len(np.unique(split.answers.image[judged])),
            len(np.unique(split.answers.rater[judged])),
            len(judged),
            alignment.answers.source,
        ),
        interval="95 %, bootstrap over people (of controls: of the median); on reference faces over faces, of entropies over "
        "images (Fisher's z)",
        note=sentences(*notes),
        classifier=classifier,
        reference={
            "base": bootstrap(of_reference(base.reference), np.mean, seed=seed),
            "group": bootstrap(of_reference(group.reference), np.mean, seed=seed),
            "individual": bootstrap(
                np.array([of_reference(each.reference).mean() for each in own_nets.values()]), np.mean, seed=seed
            ),
        },
        group={
            "base": _pooled(split, judged, base.images, seed),
            "group": _pooled(split, judged, group.images, seed),
            "individual": bootstrap(
                np.array([hits(split, judged, each.images).mean() for each in own_nets.values()]), np.mean, seed=seed
            ),
        },
        own={level: over_people(f"accuracy_{level}") for level in LEVELS},
        loss={level: over_people(f"loss_{level}") for level in LEVELS},
        group_gain=gain((people["accuracy_group"] - people["accuracy_base"]).to_numpy(np.float64), seed),
        individual_gain=gained("gain"),
        individual_loss_gain=gained("loss_gain"),
        null_gain=gained("null_gain"),
        null_loss_gain=gained("null_loss_gain"),
        shift_gain=gained("shift_gain"),
        shift_loss_gain=gained("shift_loss_gain"),
        null_shift_loss_gain=gained("null_shift_loss_gain"),
        entropy_base=spearman(entropies["human"].to_numpy(), entropies["base"].to_numpy(), seed),
        entropy_group=spearman(entropies["human"].to_numpy(), entropies["group"].to_numpy(), seed),
        people=people,
        entropies=entropies,
    )


def gain(differences: Array, seed: int = 0) -> Gain:
    """Differences of people (P,), NaN where there is none -> their mean, and whether it may be none."""
    return _summary(differences, np.mean, seed)


def control(differences: Array, seed: int = 0) -> Gain:
    """The same of a null control -> their median over people, with the bootstrap interval of the median."""
    return _summary(differences, np.median, seed)


def _summary(differences: Array, statistic: Callable[..., Array], seed: int) -> Gain:
    known = differences[np.isfinite(differences)]
    p = math.nan
    if len(known) >= FEWEST and np.any(known != 0):
        p = float(wilcoxon(known).pvalue)
    return Gain(bootstrap(known, statistic, seed=seed), p)


def hits(split: Parted, rows: Places, p: Array) -> Array:
    """Whether each of these answers is the first choice of a model with probabilities (I, 6) -> 0 or 1 (rows,)."""
    right: Array = (p[split.answers.image[rows]].argmax(axis=1) == split.answers.emotion[rows]).astype(np.float64)
    return right


def losses(split: Parted, rows: Places, p: Array) -> Array:
    """-log2 of the probability that a model gave each of these answers (rows,)."""
    said: Array = -np.log2(np.maximum(p[split.answers.image[rows], split.answers.emotion[rows]], FLOOR))
    return said


def spearman(first: Array, second: Array, seed: int = 0) -> Estimate:
    """Spearman's rank correlation over images with its interval; NaN under three images or where one of them is constant."""
    n = len(first)
    if n < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return undefined(n)
    random = np.random.default_rng(seed)
    r = float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
    chosen = random.integers(0, n, (DRAWS, n))
    x, y = rankdata(first[chosen], axis=1), rankdata(second[chosen], axis=1)
    x, y = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    draws = divided((x * y).sum(axis=1), np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1)))
    return Estimate(r, *correlation_interval(r, draws), n)


def _pooled(split: Parted, rows: Places, p: Array, seed: int) -> Estimate:
    """Accuracy over all these answers, people resampled."""
    right, rater = hits(split, rows, p), split.answers.rater[rows]
    size = len(split.answers.raters)
    sums = np.column_stack([np.bincount(rater, right, size), np.bincount(rater, minlength=size)]).astype(np.float64)

    def ratio(values: Array, weights: Array) -> Array:
        return divided(values[:, 0] @ weights, values[:, 1] @ weights)

    return over_one(sums[sums[:, 1] > 0], ratio, resamples=RESAMPLES, seed=seed)


def _people(
    alignment: Alignment, classifier: str, base: Array, group: Array, own_nets: Mapping[str, Probabilities]
) -> pd.DataFrame:
    with_null = set(alignment.people(classifier, null=True))
    found = []
    for rater in alignment.answers.raters:
        _, rows = alignment.split.person(rater)
        if not len(rows):
            continue
        levels = {"base": base, "group": group}
        if rater in own_nets:
            levels["individual"] = own_nets[rater].images
        row: dict[str, object] = {"rater": rater, "answers": len(rows)}
        for name, measure in (("accuracy", hits), ("loss", losses)):
            for level in LEVELS:
                has = level in levels
                row[f"{name}_{level}"] = float(measure(alignment.split, rows, levels[level]).mean()) if has else math.nan
        of_null = _null(alignment, classifier, rater, group) if rater in with_null else (math.nan, math.nan)
        found.append({**row, "null_gain": of_null[0], "null_loss_gain": of_null[1]})
    table = pd.DataFrame(found)
    table["gain"] = table["accuracy_individual"] - table["accuracy_group"]
    table["loss_gain"] = table["loss_group"] - table["loss_individual"]
    for null in (False, True):
        table = table.merge(shifted(alignment, classifier, null=null), on="rater", how="left")
    return table


def _null(alignment: Alignment, classifier: str, rater: str, group: Array) -> tuple[float, float]:
    """Gain of accuracy and of loss of a model that learned from shuffled answers, judged by shuffled answers."""
    _, rows = alignment.null.person(rater)
    own = alignment.individual(classifier, rater, null=True).images
    if not len(rows):
        return math.nan, math.nan

    def mean(measure: Callable[[Parted, Places, Array], Array], p: Array) -> float:
        return float(measure(alignment.null, rows, p).mean())

    return mean(hits, own) - mean(hits, group), mean(losses, group) - mean(losses, own)


def _entropies(alignment: Alignment, judged: Places, base: Array, group: Array) -> pd.DataFrame:
    answers = alignment.answers
    counts = counted(answers.image[judged], answers.emotion[judged], len(answers.images))
    seen = np.flatnonzero(counts.sum(axis=1) >= 2)
    return pd.DataFrame(
        {
            "stimulus": [answers.images[place] for place in seen],
            "votes": counts[seen].sum(axis=1).astype(np.int64),
            "human": miller_madow(counts[seen]),
            "base": entropy(base[seen]),
            "group": entropy(group[seen]),
        }
    )


def reports(alignment: Alignment, classifiers: Sequence[str] | None = None, *, seed: int = 0) -> tuple[AlignmentReport, ...]:
    """Those of all classifiers whose group model has learned."""
    names = classifiers if classifiers is not None else alignment.configuration.classifiers
    return tuple(report(alignment, name, seed=seed) for name in names if alignment.ready(name))
