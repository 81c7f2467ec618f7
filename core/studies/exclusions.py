"""Whose answers are left out of an analysis: rules with their reasons. Nothing is ever deleted.

Paper B keeps people with *more than* 70 % of the sentinels right: 7 of 10 is not enough (section III).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pandas as pd

from core.errors import LiminalError
from core.sampling.configuration import Configuration
from core.studies.ratings import Task, select_task_values
from core.studies.study import RatingPlan, Stimulus


@dataclass(frozen=True)
class ExclusionRules(Configuration):
    """The rules and their limits; each can be switched off. A rule applies only to raters who gave enough answers for it."""

    samples: ClassVar[str] = "exclusion rules"

    sentinels: bool = True
    sentinel_share: float = 0.7  # included with more than this share of the attention checks right
    too_fast: bool = True
    fastest_ms: float = 300.0  # included with at least this median reaction time
    same_answer: bool = True  # one emotion, or one verdict on every pair
    constant_similarity: bool = True  # the slider never moved, or one point of the scale on everything
    least_answers: int = 10  # of one task, for all rules but the sentinels'

    def __post_init__(self) -> None:
        if not 0.0 <= self.sentinel_share < 1.0:
            raise LiminalError("The share of attention checks that is not enough lies from 0 to below 1; 0.7 is usual.")
        if not 0.0 <= self.fastest_ms <= 60_000.0:
            raise LiminalError("The shortest median reaction time lies from 0 to 60,000 ms; 300 is usual.")
        if self.least_answers < 2:
            raise LiminalError("A rule needs at least 2 answers to judge a person by; 10 is usual.")

    @classmethod
    def of_plan(cls, plan: RatingPlan) -> ExclusionRules:
        """All rules, with the limits that a study was planned with."""
        return cls(sentinel_share=plan.sentinel_share, fastest_ms=plan.fastest_ms)


@dataclass(frozen=True)
class Exclusions:
    """Who is excluded and why. reasons: rater -> one sentence for each rule that excludes them; raters: all who answered."""

    rules: ExclusionRules
    raters: tuple[str, ...]
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def included(self) -> tuple[str, ...]:
        """The raters whom no rule excludes, in order."""
        return tuple(rater for rater in self.raters if rater not in self.reasons)

    def filter(self, ratings: pd.DataFrame) -> pd.DataFrame:
        """The answers of the raters who are included."""
        return ratings[~ratings["rater"].isin(list(self.reasons))].reset_index(drop=True)


def apply_exclusion_rules(ratings: pd.DataFrame, stimuli: Sequence[Stimulus], rules: ExclusionRules | None = None) -> Exclusions:
    """Apply the rules to a table of RATINGS of one study. Neither the table nor the store is changed."""
    rules = rules or ExclusionRules()
    reasons: dict[str, list[str]] = {}
    for excluded in (
        _failed_sentinels(ratings, stimuli, rules) if rules.sentinels else {},
        _too_fast(ratings, rules) if rules.too_fast else {},
        _same_answer(ratings, rules) if rules.same_answer else {},
        _constant_similarity(ratings, rules) if rules.constant_similarity else {},
    ):
        for rater, sentence in excluded.items():
            reasons.setdefault(rater, []).append(sentence)
    raters = tuple(sorted(ratings["rater"].unique()))
    return Exclusions(rules, raters, {rater: tuple(reasons[rater]) for rater in raters if rater in reasons})


def count_sentinels(ratings: pd.DataFrame, stimuli: Sequence[Stimulus]) -> pd.DataFrame:
    """Columns right and asked by rater (index): the attention checks answered; those without an expected answer are left out."""
    expected = {stimulus.stimulus: stimulus.expected for stimulus in stimuli if stimulus.is_sentinel and stimulus.expected}
    checks = ratings[ratings["stimulus"].isin(list(expected)) & ~ratings["task"].isin(["similarity", "scale"])]
    right = checks["value"] == checks["stimulus"].map(expected)
    groups = right.groupby(checks["rater"])
    return pd.DataFrame({"right": groups.sum(), "asked": groups.size()}).astype("int64")


def _failed_sentinels(ratings: pd.DataFrame, stimuli: Sequence[Stimulus], rules: ExclusionRules) -> dict[str, str]:
    return {
        str(rater): (
            f"{row.right} of {row.asked} attention checks right ({row.right / row.asked:.0%}); more than "
            f"{rules.sentinel_share:.0%} are needed."
        )
        for rater, row in count_sentinels(ratings, stimuli).iterrows()
        if not row.right > rules.sentinel_share * row.asked + 1e-9
    }


def _too_fast(ratings: pd.DataFrame, rules: ExclusionRules) -> dict[str, str]:
    times = ratings.dropna(subset=["reaction_time_ms"]).groupby("rater")["reaction_time_ms"].agg(["median", "size"])
    return {
        str(rater): (
            f"Half of {row['size']:.0f} answers came within {row['median']:.0f} ms; a median of at least {rules.fastest_ms:.0f} ms "
            f"is needed."
        )
        for rater, row in times.iterrows()
        if row["size"] >= rules.least_answers and row["median"] < rules.fastest_ms
    }


def _same_answer(ratings: pd.DataFrame, rules: ExclusionRules) -> dict[str, str]:
    words = {"0": "'not the same person'", "1": "'the same person'"}
    chosen = ratings[ratings["task"].isin(["identity", "emotion", "label"])]
    counted = chosen.groupby("rater")["value"].agg(["nunique", "size", "first"])
    return {
        str(rater): f"The answer to all {row['size']} trials was {words.get(row['first'], row['first'])}."
        for rater, row in counted.iterrows()
        if row["nunique"] == 1 and row["size"] >= rules.least_answers
    }


CONSTANT_TASKS: Mapping[Task, str] = {"similarity": "similarity", "scale": "rating"}
"""Tasks that are answered on a scale, and what an answer is called."""


def _constant_similarity(ratings: pd.DataFrame, rules: ExclusionRules) -> dict[str, str]:
    return {
        str(rater): f"The {meaning} was {row['first']:g} in all {row['size']:.0f} trials."
        for task, meaning in CONSTANT_TASKS.items()
        for rater, row in select_task_values(ratings, task).groupby("rater")["value"].agg(["nunique", "size", "first"]).iterrows()
        if row["nunique"] == 1 and row["size"] >= rules.least_answers
    }
