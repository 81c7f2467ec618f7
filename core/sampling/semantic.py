"""Semantic samples: steps from a base along named directions, and the smallest such step that locks the base's owner out.

Paper A, section 6.3, asks which change of looks makes a recogniser reject the person who owns the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.directions import Direction, load_directions

if TYPE_CHECKING:
    import torch

    from core.models.contracts import Generator, Recogniser

STEP = 0.2
LEVELS = tuple(round(0.1 * level, 1) for level in range(1, 9))
"""Paper units of the coarse sweep; a step of 0.8 is eight standard deviations of one latent value at 100 of them."""

REFINEMENTS = 5
"""Halvings of the interval in which the verdict flips: a sweep in tenths becomes exact to 0.003."""


@dataclass(frozen=True, eq=False)
class SemanticStep:
    """One step: ``step`` in paper units (always positive), forward (sign 1) or back (-1), and where it leads (d,)."""

    direction: str
    sign: int
    step: float
    words: str  # what it looks like, for example 'smiling more'
    latent: NDArray[np.float32]

    @property
    def label(self) -> str:
        """For example 'smile+' or 'smile-': the ``direction`` of pairs of sample_type 'semantic'."""
        return f"{self.direction}{'+' if self.sign > 0 else '-'}"


@dataclass(frozen=True, eq=False)
class Swept:
    """One judged step of the search; the distance is NaN where no face was found."""

    label: str
    step: float
    distance: float


@dataclass(frozen=True, eq=False)
class Lockout:
    """The smallest change that locks out: the step, its picture uint8 (H, W, 3) and the distance judged on that picture."""

    step: SemanticStep
    picture: NDArray[np.uint8]
    distance: float


@dataclass(frozen=True, eq=False)
class LockoutSearch:
    """What the search found; ``smallest`` is None when no step up to the largest level locks out."""

    smallest: Lockout | None
    threshold: float
    largest: float  # paper units of the largest step tried
    swept: tuple[Swept, ...]  # everything judged, in order


def semantic_steps(
    base_latent: NDArray[np.float32], generator: Generator, step: float = STEP, directions: Sequence[Direction] | None = None
) -> list[SemanticStep]:
    """From a base (d,): one step forward and one back along each direction (the stored ones by default)."""
    if not 0 < step < np.inf:
        raise LiminalError(f"A semantic step must be a positive number of paper units, not {step}.")
    steps = []
    for direction in load_directions() if directions is None else directions:
        if direction.vector.shape != np.shape(base_latent):
            raise LiminalError(
                f"The direction '{direction.name}' was found in {len(direction.vector)} latent values, but {generator.name} has "
                f"{np.size(base_latent)}; use a generator of the same latent space."
            )
        for sign, words in ((1, direction.forward), (-1, direction.back)):
            moved = base_latent + np.float32(sign * step * generator.step_scale) * direction.vector
            steps.append(SemanticStep(direction.name, sign, step, words, moved.astype(np.float32)))
    return steps


def smallest_lockout(
    base_latent: NDArray[np.float32],
    generator: Generator,
    recogniser: Recogniser,
    threshold: float,
    directions: Sequence[Direction] | None = None,
    progress: Progress | None = None,
    *,
    levels: Sequence[float] = LEVELS,
    refinements: int = REFINEMENTS,
) -> LockoutSearch:
    """The smallest step along any direction after which the recogniser finds a face and rejects it (distance >= threshold).

    All directions advance together, level by level, until one is rejected; then the level is halved between acceptance and
    rejection for those that were. A step without a face is no rejection: it is 'no face found', and the direction goes on.
    Raises LiminalError where no face is found in the base, or the threshold refuses even the base.
    """
    progress = progress or Progress()
    directions = load_directions() if directions is None else directions
    levels = sorted(levels)
    if not levels or levels[0] <= 0:
        raise LiminalError("The steps of a lock-out search must be positive; leave them out for the usual ones.")
    owner = _judge_base(base_latent, generator, recogniser, threshold)
    swept: list[Swept] = []

    def judge(steps: Sequence[SemanticStep]) -> list[Lockout]:
        tried = [Lockout(*row) for row in zip(steps, *_judged(steps, owner, generator, recogniser), strict=True)]
        swept.extend(Swept(each.step.label, each.step.step, each.distance) for each in tried)
        return tried

    lower, rejected = 0.0, list[Lockout]()
    for place, level in enumerate(levels):
        progress.stage(f"Trying changes of {level:g}", 0.7 * place / len(levels))
        tried = judge(semantic_steps(base_latent, generator, level, directions))
        rejected = [each for each in tried if each.distance >= threshold]
        if rejected:
            break
        lower = level
    if not rejected:
        return LockoutSearch(None, threshold, levels[-1], tuple(swept))
    upper = rejected[0].step.step
    for halving in range(refinements):
        progress.stage("Looking for the smallest change", 0.7 + 0.3 * halving / refinements)
        middle = (lower + upper) / 2
        labels = {each.step.label for each in rejected}
        tried = judge([each for each in semantic_steps(base_latent, generator, middle, directions) if each.label in labels])
        # Whoever is rejected in the middle leads; if nobody is, all of them flip above it.
        if leading := [each for each in tried if each.distance >= threshold]:
            rejected, upper = leading, middle
        else:
            lower = middle
    # Equal steps: the one that is rejected most clearly.
    smallest = max(rejected, key=lambda each: each.distance)
    return LockoutSearch(smallest, threshold, levels[-1], tuple(swept))


def _judge_base(latent: NDArray[np.float32], generator: Generator, recogniser: Recogniser, threshold: float) -> torch.Tensor:
    """The descriptor (1, D) of the base."""
    import torch

    from core.sampling.pictures import quantised

    with torch.inference_mode():
        owner = recogniser.embed(quantised(generator.decode(torch.from_numpy(np.asarray(latent, np.float32)[None]))))
        if not bool(torch.isfinite(owner).all()):
            raise LiminalError(f"{recogniser.card.title} finds no face in this base; choose another one.")
        if not float(recogniser.distance(owner, owner)[0]) < threshold:
            raise LiminalError(f"A threshold of {threshold:g} refuses even the owner's own face; choose a larger one.")
        return owner


def _judged(
    steps: Sequence[SemanticStep], owner: torch.Tensor, generator: Generator, recogniser: Recogniser
) -> tuple[list[NDArray[np.uint8]], list[float]]:
    """Pictures of the steps and their distances to the owner, judged on these pictures."""
    import torch

    from core.sampling.pictures import to_images, to_pictures

    with torch.inference_mode():
        pictures = to_pictures(generator.decode(torch.from_numpy(np.stack([each.latent for each in steps]))))
        distances = recogniser.distance(owner, recogniser.embed(to_images(pictures)))
    return list(pictures), [float(value) for value in distances.cpu()]
