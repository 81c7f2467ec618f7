"""The psi method: the next level along an axis is the one whose answer tells most about a person's psychometric function.

Kontsevich and Tyler 1999 (Vision Research 39, 2729-2737): a posterior over threshold, slope and lapse on a grid; for every level
the expected entropy of the posterior after the answer (their equations 1 to 5); the level with the least is shown. The function is

    P(positive | level) = lapse + (1 - 2 lapse) / (1 + exp(-(level - threshold) / scale)),    scale = width / (2 ln 19),

with width from 5 to 95 %, lapses apart. Thresholds reach beyond the ends of the axis, so that an axis on which no answer flips is
told from one that flips at its end. Several axes are independent: each asks for its next level, and they are shown interleaved. An
axis is done once the 95 % credible interval of its threshold is narrower than asked for.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.analysis.estimate import Array
from core.errors import LiminalError
from core.studies.adaptive import Axis, AxisAnswer, list_axes, read_answers
from core.studies.study import RatingPlan, Stimulus

THRESHOLDS = tuple(np.linspace(-0.25, 1.25, 61))
WIDTHS = tuple(np.geomspace(0.05, 1.5, 12))
LAPSES = (0.0, 0.01, 0.02, 0.04, 0.08, 0.15)
"""The grid. Prior: even over thresholds and log widths; of lapses, small ones likelier."""
LAPSE_PRIOR = (0.25, 0.25, 0.2, 0.15, 0.1, 0.05)
FEWEST_TRIALS = 12
"""An axis is not done before: fewer answers can agree by luck."""
STOP_WIDTH = 0.1
INTERVAL = (0.025, 0.975)


@lru_cache(maxsize=256)
def tabulate(levels: tuple[float, ...]) -> Array:
    """P(positive) of every point of the grid at each level (L, THRESHOLDS x WIDTHS x LAPSES)."""
    threshold, width, lapse = np.meshgrid(THRESHOLDS, WIDTHS, LAPSES, indexing="ij")
    scale = (width / (2 * math.log(19))).ravel()
    apart = np.asarray(levels)[:, None] - threshold.ravel()
    guess = lapse.ravel()
    table: Array = guess + (1 - 2 * guess) / (1 + np.exp(-np.clip(apart / scale, -60, 60)))
    table.setflags(write=False)
    return table


def make_prior() -> Array:
    """The posterior before any answer (G,)."""
    prior = np.ones((len(THRESHOLDS), len(WIDTHS), 1)) * np.asarray(LAPSE_PRIOR)
    flat: Array = (prior / prior.sum()).ravel()
    return flat


def update_posterior(posterior: Array, likely: Array, positive: bool) -> Array:
    """Bayes' rule: posterior (G,), P(positive) at the level shown (G,) -> posterior (G,)."""
    after = posterior * (likely if positive else 1 - likely)
    normed: Array = after / after.sum()
    return normed


def expect_entropies(posterior: Array, table: Array) -> Array:
    """The entropy that the posterior is expected to have after an answer at each level, nats: table (L, G) -> (L,).

    With y an answer and i a point of the grid, the sum over y of P(y) H(i | y) is H(i, y) - H(y); the joint entropy needs no
    posterior of its own: - sum_iy p_i P(y|i) log(p_i P(y|i)).
    """
    yes = table @ posterior  # (L,)
    joint = -(posterior * np.log(np.maximum(posterior, 1e-300))).sum() + _binary_entropies(table) @ posterior
    entropies: Array = joint - _binary(yes)
    return entropies


def _binary(p: Array) -> Array:
    inside = np.clip(p, 1e-15, 1 - 1e-15)
    entropy: Array = -(inside * np.log(inside) + (1 - inside) * np.log1p(-inside))
    return entropy


_entropy_tables: dict[int, tuple[Array, Array]] = {}


def _binary_entropies(table: Array) -> Array:
    """Entropy of the answer at every point of the grid (L, G), worked out once a table."""
    known = _entropy_tables.get(id(table))
    if known is None or known[0] is not table:
        if len(_entropy_tables) > 64:
            _entropy_tables.clear()
        known = _entropy_tables[id(table)] = (table, _binary(table))
    return known[1]


@dataclass(frozen=True, eq=False)
class AxisPosterior:
    """What is known of one person on one axis after n answers that count; grid: the posterior (G,)."""

    grid: Array
    n: int
    flipped: bool  # both answers were given

    @classmethod
    def of(cls, axis: Axis, answers: Sequence[AxisAnswer]) -> AxisPosterior:
        """From the answers so far; those of other axes are passed over."""
        table, grid = tabulate(axis.levels), make_prior()
        said = [answer for answer in answers if answer.axis == axis.name and answer.positive is not None]
        for answer in said:
            grid = update_posterior(grid, table[answer.level], bool(answer.positive))
        return cls(grid, len(said), len({answer.positive for answer in said}) > 1)

    def marginal(self, parameter: int) -> Array:
        """The posterior of the thresholds (0), widths (1) or lapses (2) alone."""
        shaped = self.grid.reshape(len(THRESHOLDS), len(WIDTHS), len(LAPSES))
        summed: Array = shaped.sum(axis=tuple(other for other in range(3) if other != parameter))
        return summed

    def summarise(self, parameter: int) -> tuple[float, float, float]:
        """Posterior mean and 95 % credible interval of a parameter; interpolated between points of the grid."""
        values = np.asarray((THRESHOLDS, WIDTHS, LAPSES)[parameter], np.float64)
        mass = self.marginal(parameter)
        middle = np.cumsum(mass) - mass / 2
        low, high = np.interp(INTERVAL, middle, values)
        return float(mass @ values), float(low), float(high)

    def curve(self, levels: Sequence[float]) -> Array:
        """P(positive) at levels (L,), averaged over the posterior."""
        averaged: Array = tabulate(tuple(levels)) @ self.grid
        return averaged


@dataclass(frozen=True)
class PsiChooser:
    """The psi method as a ``core.studies.adaptive.StimulusChooser``. stop_width: of the threshold's interval, in axes."""

    stop_width: float = STOP_WIDTH

    def __post_init__(self) -> None:
        if not 0.01 <= self.stop_width <= 1:
            raise LiminalError(f"'stop_width' is a share of the axis from 0.01 to 1, not {self.stop_width!r}.")

    def is_done(self, posterior: AxisPosterior) -> bool:
        """Whether an axis needs no further answer."""
        _, low, high = posterior.summarise(0)
        return posterior.n >= FEWEST_TRIALS and high - low <= self.stop_width

    def choose_stimuli(
        self, plan: RatingPlan, stimuli: Sequence[Stimulus], ratings: pd.DataFrame, asked: Collection[str], seed: int
    ) -> list[str]:
        """One stimulus of each axis that is not done."""
        axes = list_axes(plan, stimuli)
        free = {
            axis.name: [level for level, names in enumerate(axis.stimuli) if any(name not in asked for name in names)]
            for axis in axes
        }
        chosen = self.choose_levels(axes, read_answers(plan, axes, ratings), free)
        return [next(name for name in axis.stimuli[chosen[axis.name]] if name not in asked) for axis in axes if axis.name in chosen]

    def choose_levels(
        self, axes: Sequence[Axis], answers: Sequence[AxisAnswer], free: Mapping[str, Sequence[int]]
    ) -> dict[str, int]:
        """Axis -> place of the level to show next, for every axis that is not done.

        answers: in the order in which they were given; free: by axis the levels that can still be shown.
        """
        chosen = {}
        for axis in axes:
            posterior = AxisPosterior.of(axis, answers)
            if free.get(axis.name) and not self.is_done(posterior):
                chosen[axis.name] = choose_level(axis, posterior, free[axis.name])
        return chosen


def choose_level(axis: Axis, posterior: AxisPosterior, free: Sequence[int]) -> int:
    """The place of the free level whose answer is expected to tell most."""
    places: NDArray[np.intp] = np.asarray(free, np.intp)
    entropies = expect_entropies(posterior.grid, tabulate(axis.levels))[places]
    return int(places[int(np.argmin(entropies))])
