"""Models of how people decide 'same person?': a group's and every individual's logistic model of the vector of distances.

Logistic regression of the answer on distances of recognisers, LPIPS and, where given, differences of looks. An individual's
coefficients are shrunk towards the group's by how much people differ (hierarchical shrinkage: the spread of every
coefficient is estimated from all people, Laplace and EM; Gelman & Hill 2007, chapter 14). Paper A (section 7) asks for models that
match a person's expectation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from core.alignment.configuration import AlignmentConfiguration
from core.alignment.data import (
    AnswerSet,
    DataSplit,
    IndexArray,
    count_people,
    encode_answers,
    select_last_answers,
    shuffle_answers,
    split_answers,
)
from core.alignment.evaluate import ModelGain, mean_gain, median_gain
from core.analysis.estimate import Array, Basis, Estimate, Result, bootstrap_estimate, join_notes
from core.analysis.study_data import StudyData
from core.errors import LiminalError
from core.sampling.configuration import sample_seed

PRIOR_VARIANCE = 25.0
"""Prior variance of the group's coefficients, on standardised distances: weak."""
ROUNDS, STEPS = 8, 25
FLOOR = 1e-6


@dataclass(frozen=True, eq=False)
class DecisionModel:
    """A fitted model. names: "same" (the intercept) and one for each column of distances, standardised by ``middle`` and ``scale``.

    group (C,): the group's coefficients; group_covariance (C, C); spread (C,): standard deviation between people; people: rater ->
    their coefficients (C,) and covariance (C, C).
    """

    names: tuple[str, ...]
    middle: Array
    scale: Array
    group: Array
    group_covariance: Array
    spread: Array
    people: dict[str, tuple[Array, Array]]

    def probabilities(self, pairs: pd.DataFrame, rater: str = "") -> Array:
        """P('same person') of pairs (P,), of the group or of a person. Raises LiminalError for a person without a model."""
        return _same_probability(self.design(pairs), self.weigh(rater))

    def weigh(self, rater: str = "") -> Array:
        """Coefficients (C,) of the group or of a person. Raises LiminalError for a person without a model."""
        if rater and rater not in self.people:
            raise LiminalError(f"'{rater}' gave too few answers for a model of their own; choose somebody else or ask for more.")
        return self.people[rater][0] if rater else self.group

    def design(self, pairs: pd.DataFrame) -> Array:
        """A column of ones and the standardised distances of pairs (P, C); where a recogniser found no face, the mean stands in."""
        return _standardise(pairs, self.names[1:], self.middle, self.scale)


@dataclass(frozen=True, kw_only=True)
class IdentityReport(Result):
    """Figures on held-out answers. base: the first recogniser's threshold; losses in bits an answer; gains group -> individual:
    means over people, of the null control medians.

    people: rater, answers, accuracy_<level>, loss_<level>, gain, loss_gain, null_gain, null_loss_gain. coefficients: name, group,
    low, high, spread.
    """

    features: tuple[str, ...]
    base: Estimate
    group: Estimate
    individual: Estimate
    group_loss: Estimate
    individual_loss: Estimate
    individual_gain: ModelGain
    individual_loss_gain: ModelGain
    null_gain: ModelGain
    null_loss_gain: ModelGain
    coefficients: pd.DataFrame
    people: pd.DataFrame


def align_identity(
    study_data: StudyData, configuration: AlignmentConfiguration | None = None, *, looks: pd.DataFrame | None = None, seed: int = 0
) -> tuple[DecisionModel, IdentityReport]:
    """Fit to an identity study and judge on held-out pairs. Takes a second or two.

    looks: differences of looks, a row a pair_id, columns of numbers. Raises LiminalError for an emotion study, without distances,
    with too few answers and where all answers are the same.
    """
    if study_data.study.plan.asks != "identity":
        raise LiminalError(
            "This study does not ask whether two faces show one person, so that it cannot be learned; choose one that does."
        )
    pairs = study_data.pairs
    if looks is not None:
        pairs = pairs.merge(looks, left_on="pair_id", right_index=True, how="left")
    names = [f"distance_{name}" for name in study_data.recognisers] + ["lpips", *([] if looks is None else map(str, looks.columns))]
    names = [name for name in names if pairs[name].notna().any()]
    if not names:
        raise LiminalError("No recogniser has judged the pairs of this study, so that there is nothing to decide by.")
    configuration = configuration or AlignmentConfiguration()
    answers = identity_answers(study_data)
    pairs = pairs.set_index("pair_id").loc[list(answers.images)]
    split = split_answers(answers, configuration)
    learned, judged = split.group()
    middle, scale = _column_scales(pairs, names, np.unique(answers.image[learned]))
    x = _standardise(pairs, names, middle, scale)
    coded = ("same", *names)
    model = _fit_decision_model(x, split, coded, middle, scale)
    mixed_up = DataSplit(split.images, shuffle_answers(answers, sample_seed(configuration.seed, "null control")), configuration)
    null = _fit_decision_model(x, mixed_up, coded, middle, scale)
    people = _judge_people(x, split, model).merge(_judge_people(x, mixed_up, null, "null_"), on="rater", how="left")
    named = study_data.recognisers[0] if study_data.recognisers else ""
    accepted = pairs[f"distance_{named}"].to_numpy() < study_data.thresholds.get(named, np.nan) if named else np.full(len(x), False)
    base = (accepted[answers.image[judged]] == (answers.emotion[judged] == 1)).astype(np.float64)

    def mean(column: str) -> Estimate:
        return bootstrap_estimate(people[column].dropna().to_numpy(np.float64), np.mean, seed=seed)

    of_people = pd.Series(base).groupby(answers.rater[judged]).mean().to_numpy(np.float64)
    error = 1.96 * np.sqrt(np.diag(model.group_covariance))
    missing = len(answers.raters) - len(model.people)
    report = IdentityReport(
        basis=Basis(len(np.unique(answers.image[judged])), len(np.unique(answers.rater[judged])), len(judged), answers.source),
        interval="95 %, bootstrap over people (of the control: of the median); of coefficients, Laplace",
        note=join_notes(f"{count_people(missing)} gave too few answers for a model of their own." if missing else ""),
        features=tuple(names),
        base=bootstrap_estimate(of_people, np.mean, seed=seed),
        group=mean("accuracy_group"),
        individual=mean("accuracy_individual"),
        group_loss=mean("loss_group"),
        individual_loss=mean("loss_individual"),
        individual_gain=mean_gain(people["gain"].to_numpy(np.float64), seed),
        individual_loss_gain=mean_gain(people["loss_gain"].to_numpy(np.float64), seed),
        null_gain=median_gain(people["null_gain"].to_numpy(np.float64), seed),
        null_loss_gain=median_gain(people["null_loss_gain"].to_numpy(np.float64), seed),
        coefficients=pd.DataFrame(
            {
                "name": model.names,
                "group": model.group,
                "low": model.group - error,
                "high": model.group + error,
                "spread": model.spread,
            }
        ),
        people=people,
    )
    return model, report


def rank_parting_pairs(model: DecisionModel, pairs: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Pairs by how surely two people's models say opposite things, surest first: pair_id, p_first, p_second, score.

    p: of 'same person'; score: how far the less sure of the two is from 1/2, times two, where they say opposite things, else 0.
    Raises LiminalError for a person without a model.
    """
    p_first, p_second = (model.probabilities(pairs, rater) for rater in (first, second))
    sure = np.minimum(np.abs(p_first - 0.5), np.abs(p_second - 0.5)) * 2
    score = np.where((p_first > 0.5) != (p_second > 0.5), sure, 0.0)
    table = pd.DataFrame({"pair_id": pairs["pair_id"].to_numpy(), "p_first": p_first, "p_second": p_second, "score": score})
    gap = (table["p_first"] - table["p_second"]).abs()
    order = table.assign(gap=gap).sort_values(["score", "gap", "pair_id"], ascending=[False, False, True]).index
    return table.loc[order].reset_index(drop=True)


def identity_answers(study_data: StudyData) -> AnswerSet:
    """Answers to 'same person?' as ``AnswerSet``; ``emotion`` is 1 for 'same', 0 for 'different'. Attention checks are left out."""
    table = select_last_answers(study_data.ratings, "identity", study_data.pairs["pair_id"].tolist(), study_data.excluded)
    if not len(table) or table["value"].nunique() < 2:
        raise LiminalError("People's answers to 'same person?' are missing or all the same; a model learns from both kinds.")
    return encode_answers(table, table["value"].to_numpy(np.float64).astype(np.intp))


def fit_logistic(x: Array, y: Array, mean: Array, precision: Array, start: Array | None = None) -> tuple[Array, Array]:
    """Logistic regression with a normal prior -> mode (C,) and its covariance (C, C). x (N, C), y (N,) of 0 and 1."""
    w = (mean if start is None else start).copy()

    def loss(weights: Array) -> float:
        z, difference = x @ weights, weights - mean
        return float(np.logaddexp(0, z).sum() - y @ z + 0.5 * difference @ (precision * difference))

    value = loss(w)
    for _ in range(STEPS):
        p = _same_probability(x, w)
        slope = x.T @ (p - y) + precision * (w - mean)
        step = np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + np.diag(precision), slope)
        while loss(w - step) > value + 1e-12 and np.abs(step).max() > 1e-9:
            step = step / 2
        w, before, value = w - step, value, loss(w - step)
        if before - value < 1e-9:
            break
    p = _same_probability(x, w)
    covariance: Array = np.linalg.inv((x * (p * (1 - p))[:, None]).T @ x + np.diag(precision)).astype(np.float64)
    return w, covariance


def _fit_decision_model(x: Array, split: DataSplit, names: tuple[str, ...], middle: Array, scale: Array) -> DecisionModel:
    answers = split.answers
    learned, _ = split.group()
    c = x.shape[1]
    y = answers.emotion.astype(np.float64)
    group, covariance = fit_logistic(x[answers.image[learned]], y[learned], np.zeros(c), np.full(c, 1 / PRIOR_VARIANCE))
    training_rows = {rater: split.person(rater)[0] for rater in split.eligible_raters}
    spread, people = np.full(c, 0.5), {}
    for _ in range(ROUNDS if len(training_rows) > 2 else 1):
        precision = spread**-2.0
        people = {rater: fit_logistic(x[answers.image[rows]], y[rows], group, precision) for rater, rows in training_rows.items()}
        if len(people) > 2:
            square = np.mean([(w - group) ** 2 + np.diag(v) for w, v in people.values()], axis=0)
            spread = np.clip(np.sqrt(square), 0.02, 5.0)
    return DecisionModel(names, middle, scale, group, covariance, spread, people)


def _judge_people(x: Array, split: DataSplit, model: DecisionModel, prefix: str = "") -> pd.DataFrame:
    """A table with a row for each person who has a model. prefix: of the null control, whose table has only the gains."""
    records = []
    for rater, (weights, _) in model.people.items():
        _, rows = split.person(rater)
        design, answered_same = x[split.answers.image[rows]], split.answers.emotion[rows] == 1
        row: dict[str, object] = {"rater": rater, "answers": len(rows)}
        for level, of_level in (("group", model.group), ("individual", weights)):
            p = np.clip(_same_probability(design, of_level), FLOOR, 1 - FLOOR)
            row[f"accuracy_{level}"] = float(((p > 0.5) == answered_same).mean())
            row[f"loss_{level}"] = float(-np.log2(np.where(answered_same, p, 1 - p)).mean())
        records.append(row)
    columns = ["rater", "answers", *(f"{name}_{level}" for level in ("group", "individual") for name in ("accuracy", "loss"))]
    table = pd.DataFrame(records, columns=columns)
    table[f"{prefix}gain"] = table["accuracy_individual"] - table["accuracy_group"]
    table[f"{prefix}loss_gain"] = table["loss_group"] - table["loss_individual"]
    return table[["rater", f"{prefix}gain", f"{prefix}loss_gain"]] if prefix else table


def _column_scales(pairs: pd.DataFrame, names: list[str], rows: IndexArray) -> tuple[Array, Array]:
    """Mean and standard deviation of each column over the pairs of the training."""
    values = pairs[names].to_numpy(np.float64)[rows]
    deviation = np.nanstd(values, axis=0)
    middle: Array = np.nan_to_num(np.nanmean(values, axis=0))
    return middle, np.where(deviation > 1e-12, deviation, 1.0)


def _standardise(pairs: pd.DataFrame, names: tuple[str, ...] | list[str], middle: Array, scale: Array) -> Array:
    """A column of ones and the standardised distances (P, C); where a recogniser found no face, the mean stands in."""
    values = np.nan_to_num((pairs[list(names)].to_numpy(np.float64) - middle) / scale)
    return np.column_stack([np.ones(len(pairs)), values])


def _same_probability(x: Array, weights: Array) -> Array:
    probability: Array = expit(x @ weights)
    return probability
