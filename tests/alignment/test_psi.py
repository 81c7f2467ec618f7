"""The psi method beside a slow one written from the paper, and planted people found again."""

import math
import time

import numpy as np
import pandas as pd
import pytest

from core.alignment.psi import (
    LAPSE_PRIOR,
    LAPSES,
    THRESHOLDS,
    WIDTHS,
    AxisPosterior,
    PsiChooser,
    expect_entropies,
    make_prior,
    tabulate,
    update_posterior,
)
from core.errors import LiminalError
from core.studies.adaptive import Axis, AxisAnswer, list_axes, list_next_trials, make_adaptive_assignment, read_answers
from core.studies.ratings import Rating, make_ratings_table
from core.studies.study import RatingPlan, Stimulus, Study

LEVELS = tuple(np.linspace(0, 1, 21).tolist())


def make_axis(name="way", repeats=4):
    return Axis(name, LEVELS, tuple(tuple(f"{name}-{at}-{k}" for k in range(repeats)) for at in range(21)), "0", "1")


def slow_function(level, threshold, width, lapse):
    return lapse + (1 - 2 * lapse) / (1 + math.exp(-(level - threshold) * 2 * math.log(19) / width))


def slow_expected_entropy(posterior, level):
    """Kontsevich and Tyler 1999, equations 1 to 5, in their order and with plain loops."""
    total = 0.0
    for positive in (True, False):
        likely = {point: slow_function(level, *point) if positive else 1 - slow_function(level, *point) for point in posterior}
        answer = sum(posterior[point] * likely[point] for point in posterior)  # (1)
        after = {point: posterior[point] * likely[point] / answer for point in posterior}  # (2)
        entropy = -sum(share * math.log(share) for share in after.values() if share > 0)  # (3)
        total += answer * entropy  # (4)
    return total


def test_the_method_is_that_of_the_paper():
    answers = [(10, True), (4, False), (8, False), (12, True)]
    table, grid = tabulate(LEVELS), make_prior()
    points = [(a, w, g) for a in THRESHOLDS for w in WIDTHS for g in LAPSES]
    posterior = {point: LAPSE_PRIOR[LAPSES.index(point[2])] / len(THRESHOLDS) / len(WIDTHS) for point in points}
    for place, positive in answers:
        grid = update_posterior(grid, table[place], positive)
        for point in points:
            likely = slow_function(LEVELS[place], *point)
            posterior[point] *= likely if positive else 1 - likely
        norm = sum(posterior.values())
        posterior = {point: share / norm for point, share in posterior.items()}
    assert np.allclose(grid, list(posterior.values()), atol=1e-12)
    fast = expect_entropies(grid, table)
    for place in (0, 9, 20):
        assert fast[place] == pytest.approx(slow_expected_entropy(posterior, LEVELS[place]), abs=1e-9)


def answer(axis, place, truth, random):
    return AxisAnswer(axis.name, place, bool(random.random() < slow_function(axis.levels[place], *truth)))


def test_planted_thresholds_on_two_axes_are_found_in_forty_trials_each():
    truths = {"one": (0.35, 0.25, 0.02), "two": (0.62, 0.2, 0.02)}
    axes = [make_axis(name) for name in truths]
    off, counts, seconds = [], [], []
    for person in range(12):
        random, answers, chooser = np.random.default_rng(person), [], PsiChooser(0.1)
        left = {axis.name: [4] * 21 for axis in axes}
        for _ in range(40):
            free = {name: [at for at, many in enumerate(row) if many] for name, row in left.items()}
            began = time.perf_counter()
            chosen = chooser.choose_levels(axes, answers, free)
            seconds.append(time.perf_counter() - began)
            if not chosen:
                break
            for axis in axes:
                if axis.name in chosen:
                    left[axis.name][chosen[axis.name]] -= 1
                    answers.append(answer(axis, chosen[axis.name], truths[axis.name], random))
        for axis in axes:
            posterior = AxisPosterior.of(axis, answers)
            off.append(abs(posterior.summarise(0)[0] - truths[axis.name][0]))
            counts.append(posterior.n)
    assert np.median(off) < 0.05
    assert np.mean(np.array(off) < 0.05) > 0.7
    assert max(counts) <= 40
    assert np.median(seconds) < 0.05, "the next face is chosen in 50 ms"


def test_who_always_says_yes_has_no_threshold_on_the_axis():
    axis = make_axis()
    always = [AxisAnswer("way", place, True) for place in range(0, 21) for _ in range(2)]
    posterior = AxisPosterior.of(axis, always)
    assert not posterior.flipped
    assert posterior.summarise(0)[1] < 0, "the interval reaches beyond the axis"
    others = AxisPosterior.of(axis, [AxisAnswer("way", 10, None)] * 5)
    assert others.n == 0


def stimuli(axis):
    return [
        Stimulus(name, ("base", name), "interpolation", "base", details={"axis": axis.name, "level": level})
        for level, names in zip(axis.levels, axis.stimuli, strict=True)
        for name in names
    ] + [Stimulus("check", ("base", "base"), "genuine", "base", True, "1")]


def test_an_adaptive_study_asks_one_level_an_axis_until_its_number_of_trials():
    shown = [*stimuli(make_axis("one")), *stimuli(make_axis("two"))[:-1]]
    study = Study("adaptive", RatingPlan("identity", 9, sentinels=1, image_ms=0))
    axes = list_axes(study.plan, shown)
    assert [(axis.name, len(axis.levels), axis.positive) for axis in axes] == [("one", 21, "0"), ("two", 21, "0")]
    chooser, nothing = PsiChooser(0.1), make_ratings_table([])
    asked = make_adaptive_assignment(chooser, nothing)(study, shown, {}, 0)
    assert len(asked) == 2
    rows = []
    while True:
        ratings = make_ratings_table(rows)
        more = list_next_trials(study, shown, ratings, asked, chooser)
        if not more:
            break
        assert len(set(more) - {"check"}) <= 2
        asked = [*asked, *more]
        done = {row["stimulus"] for row in rows}
        rows += [
            {**Rating("adaptive", "r", name, "identity", "0").to_row(), "trial": at, "created_at": pd.Timestamp(0, tz="UTC")}
            for at, name in enumerate(asked)
            if name not in done and name != "check"
        ]
    assert len(asked) == 10
    assert "check" in asked[4:8], "attention checks are spread over the trials"
    assert len(set(asked)) == 10
    assert len(read_answers(study.plan, axes, make_ratings_table(rows))) == len(rows)
    with pytest.raises(LiminalError, match="lie on no axis"):
        list_axes(study.plan, shown[-1:])
    with pytest.raises(LiminalError, match="'stop_width'"):
        PsiChooser(0)
