"""Which differences between two faces make people find them less alike (paper A, section 5.5).

A random forest predicts a pair's mean similarity from how far sample and base differ in each facial feature; permutation importance
(Breiman 2001, Machine Learning 45) says what the prediction loses where one feature is shuffled. Both are measured on pairs whose
base the forest has not seen, so that knowing a base by its looks helps nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.boundary import Estimate
from core.analysis.results import Basis, Result, undefined
from core.progress import Progress

TREES = 120
FOLDS = 5
REPEATS = 3
SHUFFLES = 5
DRAWS = 2000
FEWEST_PAIRS = 20

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Importance(Result):
    """What ``similarity_importance`` returns.

    r2: share of variance explained out of sample, interval by drawing bases anew; may be below 0, where the mean would predict
    better. table: feature (column), title, importance (loss of R2, a mean over folds and shuffles), low, high (the middle 95 % of
    folds and repeats), sorted. predicted: pair_id, similarity, predicted (mean over repeats, out of sample).
    """

    r2: Estimate
    published: float = 0.45
    table: pd.DataFrame
    predicted: pd.DataFrame
    left_out: int  # pairs without a rating or without a face in one of the two images


def similarity_importance(
    pairs: pd.DataFrame,
    features: pd.DataFrame,
    *,
    titles: Mapping[str, str],
    basis: Basis,
    seed: int = 0,
    genuine: bool = False,
    progress: Progress | None = None,
) -> Importance:
    """pairs: pair_id, base_id, sample_id, sample_type, similarity (mean of a pair; NaN where not rated); features: a table indexed
    by sample_id (``core.analysis.features.features_of``); titles: column -> its name for people.

    genuine: also the pairs of a face with itself, whose differences are all 0; they are easy and raise R2. With fewer than two
    bases or FEWEST_PAIRS pairs there is a note and no number.
    """
    progress = progress or Progress()
    known = pairs if genuine else pairs[pairs["sample_type"] != "genuine"]
    both = known["similarity"].notna() & known["base_id"].isin(features.index) & known["sample_id"].isin(features.index)
    rated = known[both]
    apart = np.abs(
        features.loc[rated["sample_id"]].to_numpy(np.float64) - features.loc[rated["base_id"]].to_numpy(np.float64)
    )  # (N, features)
    usable = np.isfinite(apart).all(axis=1)
    rated, apart = rated[usable], apart[usable]
    target = rated["similarity"].to_numpy(np.float64)
    groups = pd.factorize(rated["base_id"])[0]
    bases = int(groups.max()) + 1 if len(groups) else 0
    left_out = len(known) - len(rated)
    note = ""
    if len(rated) < FEWEST_PAIRS:
        note = f"Only {len(rated)} rated pairs show two faces; {FEWEST_PAIRS} are needed to ask which features matter."
    elif bases < 2:
        note = "All rated pairs share one base; a prediction for a base that was not seen needs at least two."
    elif target.std() == 0:
        note = "All pairs were rated alike, so no feature can explain a difference."
    if note:
        return Importance(
            basis=basis,
            interval="",
            note=note,
            r2=undefined(len(rated)),
            table=pd.DataFrame(columns=["feature", "title", "importance", "low", "high"]),
            predicted=pd.DataFrame(columns=["pair_id", "similarity", "predicted"]),
            left_out=left_out,
        )
    predicted, losses = _cross_validated(apart, target, groups, bases, seed, progress)
    table = pd.DataFrame(
        {
            "feature": list(features.columns),
            "title": [titles.get(str(name), str(name)) for name in features.columns],
            "importance": losses.mean(axis=0),
            "low": np.quantile(losses, 0.025, axis=0),
            "high": np.quantile(losses, 0.975, axis=0),
        }
    ).sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    return Importance(
        basis=basis,
        interval=f"importance: middle 95 % of {len(losses)} folds and repeats; R²: bootstrap over {bases} bases",
        note="Features that go together share their importance: a low value does not say that people do not look there.",
        r2=_r2(target, predicted, groups, bases, seed),
        table=table,
        predicted=pd.DataFrame({"pair_id": rated["pair_id"].to_numpy(), "similarity": target, "predicted": predicted}),
        left_out=left_out,
    )


def _cross_validated(
    apart: Array, target: Array, groups: NDArray[np.intp], bases: int, seed: int, progress: Progress
) -> tuple[Array, Array]:
    """Predictions out of sample (N,), a mean over repeats, and the loss of R2 by fold and feature (FOLDS * REPEATS, F)."""
    from sklearn.ensemble import RandomForestRegressor

    folds = min(FOLDS, bases)
    predicted, losses = np.zeros(len(target)), []
    for repeat in range(REPEATS):
        rng = np.random.default_rng([seed, repeat])
        fold_of = (rng.permutation(bases) % folds)[groups]
        for fold in range(folds):
            progress.stage(
                f"Growing forest {repeat * folds + fold + 1} of {REPEATS * folds}", (repeat * folds + fold) / (REPEATS * folds)
            )
            held = fold_of == fold
            forest = RandomForestRegressor(TREES, max_features=1 / 3, min_samples_leaf=3, random_state=int(rng.integers(2**31)))
            forest.fit(apart[~held], target[~held])
            said = forest.predict(apart[held])
            predicted[held] += said / REPEATS
            losses.append(_losses(forest, apart[held], target[held], said, float(target.var()), rng))
    return predicted, np.stack(losses)


def _losses(forest: object, apart: Array, target: Array, said: Array, variance: float, rng: np.random.Generator) -> Array:
    """How much the squared error grows where one feature is shuffled, in variances of the target: (F,).

    All shuffled copies are predicted at once, which is far quicker than one call each. A fold of one pair has nothing to shuffle.
    """
    count, width = apart.shape
    error = float(((target - said) ** 2).mean())
    losses = np.zeros(width)
    for _ in range(SHUFFLES):
        copies = np.broadcast_to(apart, (width, count, width)).copy()
        for feature in range(width):
            copies[feature, :, feature] = rng.permutation(apart[:, feature])
        shuffled = forest.predict(copies.reshape(-1, width)).reshape(width, count)  # type: ignore[attr-defined]
        losses += (((target - shuffled) ** 2).mean(axis=1) - error) / variance / SHUFFLES
    return losses


def _r2(target: Array, predicted: Array, groups: NDArray[np.intp], bases: int, seed: int) -> Estimate:
    """1 - squared error / variance over all pairs out of sample; interval: bases drawn anew, all at once from sums by base."""

    def sums(values: Array) -> Array:
        return np.bincount(groups, values, minlength=bases).astype(np.float64)

    n, total, squares, error = sums(np.ones_like(target)), sums(target), sums(target**2), sums((target - predicted) ** 2)
    drawn = np.random.default_rng(seed).multinomial(bases, np.full(bases, 1 / bases), size=DRAWS)  # (DRAWS, bases)
    spread = drawn @ squares - (drawn @ total) ** 2 / (drawn @ n)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1 - (drawn @ error) / spread
    r2 = r2[np.isfinite(r2)]
    value = 1 - error.sum() / (squares.sum() - total.sum() ** 2 / n.sum())
    low, high = np.quantile(r2, [0.025, 0.975]) if bases > 2 and len(r2) else (np.nan, np.nan)
    return Estimate(float(value), float(low), float(high), len(target))
