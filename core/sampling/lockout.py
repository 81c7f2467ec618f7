"""The smallest change of looks after which a recogniser refuses the owner.

Paper A, section 6.3, asks which change of looks makes a recogniser reject the person who owns the device. All named directions
(``stored.directions``) are swept together in steps of 0.1 paper units, single named latents in steps of one standard deviation; the
interval in which the verdict flips is then halved. A step after which no face is found is no rejection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LiminalError
from core.models import registry
from core.models.contracts import Generator, Recogniser
from core.progress import Progress
from core.sampling.images import quantise, to_images, to_pictures
from core.sampling.stored.directions import Direction, SemanticStep, find_directions, make_semantic_steps

SWEEP_LEVELS = tuple(round(0.1 * level, 1) for level in range(1, 9))
"""Paper units of the coarse sweep; a step of 0.8 is eight standard deviations of one latent value at 100 of them."""

SWEEP_SIGMAS = (1.0, 2.0, 3.0, 4.0)
"""Standard deviations of the coarse sweep where every direction is one named latent: beyond these its value hardly moves."""

STRIP_SHARES = (0.25, 0.5, 0.75)
"""Shares of the smallest step that lead to it from the owner: the way from in to out."""

REFINEMENTS = 5
"""Halvings of the interval in which the verdict flips: a sweep in tenths becomes exact to 0.003."""


@dataclass(frozen=True, eq=False)
class SweptStep:
    """One judged step of the search; the distance is NaN where no face was found."""

    label: str
    step: float
    distance: float


@dataclass(frozen=True, eq=False)
class Lockout:
    """A judged change of looks: the step, its picture uint8 (H, W, 3) and the distance judged on that picture."""

    step: SemanticStep
    picture: NDArray[np.uint8]
    distance: float


@dataclass(frozen=True, eq=False)
class LockoutSearch:
    """What the search found; ``smallest`` is None when no step up to the largest level locks out.

    strip: smaller steps of the same change that lead to the smallest, in order (``STRIP_SHARES``); empty where there is none.
    """

    smallest: Lockout | None
    threshold: float
    largest: float  # paper units of the largest step tried
    swept: tuple[SweptStep, ...]  # everything judged, in order
    strip: tuple[Lockout, ...] = ()


def find_smallest_lockout(
    base_latent: NDArray[np.float32],
    generator: Generator,
    recogniser: Recogniser,
    threshold: float,
    directions: Sequence[Direction] | None = None,
    progress: Progress | None = None,
    *,
    levels: Sequence[float] | None = None,
    refinements: int = REFINEMENTS,
) -> LockoutSearch:
    """The smallest step along any direction after which the recogniser finds a face and rejects it (distance >= threshold).

    All directions advance together, level by level, until one is rejected; then the level is halved between acceptance and
    rejection for those that were. A step without a face is no rejection: it is 'no face found', and the direction goes on.
    Raises LiminalError where no face is found in the base, or the threshold refuses even the base.
    """
    progress = progress or Progress()
    directions = find_directions(generator.name, every=True) if directions is None else directions
    if levels is None:
        named = any(direction.explain is not None for direction in directions)
        levels = [sigma / generator.step_scale for sigma in SWEEP_SIGMAS] if named else SWEEP_LEVELS
    levels = sorted(levels)
    if not levels or levels[0] <= 0:
        raise LiminalError("The steps of a lock-out search must be positive; leave them out for the usual ones.")
    owner = _embed_owner(base_latent, generator, recogniser, threshold)
    swept: list[SweptStep] = []

    def judge(steps: Sequence[SemanticStep]) -> list[Lockout]:
        judged = [Lockout(*row) for row in zip(steps, *_judge_steps(steps, owner, generator, recogniser), strict=True)]
        swept.extend(SweptStep(trial.step.label, trial.step.step, trial.distance) for trial in judged)
        return judged

    lower, rejected = 0.0, list[Lockout]()
    for index, level in enumerate(levels):
        progress.stage(f"Trying larger changes: {index + 1} of {len(levels)}", 0.7 * index / len(levels))
        steps = make_semantic_steps(base_latent, generator, level, directions)
        trials = judge([step for step in steps if step.words])  # a named value may be at the end of its range already
        rejected = [trial for trial in trials if trial.distance >= threshold]
        if rejected:
            break
        lower = level
    if not rejected:
        return LockoutSearch(None, threshold, levels[-1], tuple(swept))
    upper = rejected[0].step.step
    for halving in range(refinements):
        progress.stage("Looking for the smallest change", 0.7 + 0.3 * halving / refinements)
        middle = (lower + upper) / 2
        labels = {trial.step.label for trial in rejected}
        steps = make_semantic_steps(base_latent, generator, middle, directions)
        trials = judge([step for step in steps if step.label in labels])
        # The directions that are rejected in the middle lead; if none is, all of them flip above it.
        if leading := [trial for trial in trials if trial.distance >= threshold]:
            rejected, upper = leading, middle
        else:
            lower = middle
    # Equal steps: the one that is rejected most clearly.
    smallest = max(rejected, key=lambda trial: trial.distance)
    direction = [direction for direction in directions if direction.name == smallest.step.direction]
    strip = [
        step
        for share in STRIP_SHARES
        for step in make_semantic_steps(base_latent, generator, share * smallest.step.step, direction)
        if step.sign == smallest.step.sign
    ]
    return LockoutSearch(smallest, threshold, levels[-1], tuple(swept), tuple(judge(strip)))


def _embed_owner(latent: NDArray[np.float32], generator: Generator, recogniser: Recogniser, threshold: float) -> Tensor:
    """The descriptor (1, D) of the base."""
    with torch.inference_mode():
        owner = recogniser.embed(quantise(generator.decode(torch.from_numpy(np.asarray(latent, np.float32)[None]))))
        if not bool(torch.isfinite(owner).all()):
            raise LiminalError(f"{recogniser.card.title} finds no face in this base; choose another one.")
        if not float(recogniser.distance(owner, owner)[0]) < threshold:
            raise LiminalError(f"A threshold of {threshold:g} refuses even the owner's own face; choose a larger one.")
        return owner


def _judge_steps(
    steps: Sequence[SemanticStep], owner: Tensor, generator: Generator, recogniser: Recogniser
) -> tuple[list[NDArray[np.uint8]], list[float]]:
    """Pictures of the steps and their distances to the owner, judged on these pictures."""
    with torch.inference_mode():
        pictures = to_pictures(generator.decode(torch.from_numpy(np.stack([step.latent for step in steps]))))
        distances = recogniser.distance(owner, recogniser.embed(to_images(pictures)))
    return list(pictures), [float(value) for value in distances.cpu()]


@dataclass(frozen=True)
class JudgedLockout:
    """What the search found, and how far the changed face is from the owner for every usable recogniser (none: no lock-out)."""

    search: LockoutSearch
    distances: dict[str, float]


def find_lockout(
    latent: NDArray[np.float32], generator: str, recogniser: str, threshold: float, progress: Progress | None = None
) -> JudgedLockout:
    """The smallest lock-out of a base (d,) along the stored directions, with the models of these names, judged by all recognisers.

    Raises LiminalError as ``find_smallest_lockout`` does, and where the directions are not of this generator's latent space.
    """
    progress = progress or Progress()
    progress.stage("Loading the networks", 0.0)
    network = registry.load(generator, "generator")
    search = find_smallest_lockout(latent, network, registry.load(recogniser, "recogniser"), threshold, progress=progress)
    distances = {}
    if search.smallest is not None:
        with torch.inference_mode():
            before = quantise(network.decode(torch.from_numpy(latent)[None]))
        after = to_images(search.smallest.picture[None])
        for name in registry.list_usable("recogniser", recogniser):
            judge = registry.load(name, "recogniser")
            distances[name] = float(judge.distance(judge.embed(before), judge.embed(after))[0])
    return JudgedLockout(search, distances)
