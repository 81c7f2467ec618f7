"""Named directions in latent space, along which generated faces smile, open the mouth, turn, brighten, darken their hair or
wear glasses, and the steps along them: semantic samples.

A generator whose latents have names (``registry.Entry.changes``) needs no search for directions: each is one latent, exactly.

Stored in ``assets/directions``: ``directions.npz`` (one unit vector a name) and ``directions.json`` (configuration, command, date
and the effect of each, measured on faces that took no part in finding it). Imports no torch; ``building.attributes`` finds them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.data_folder import ASSETS
from core.errors import LiminalError
from core.models import registry
from core.models.custom.catalogue import find_code
from core.sampling.stored.scores import read_arrays, read_card

if TYPE_CHECKING:
    from core.models.contracts import Generator


DIRECTIONS_FOLDER = ASSETS / "directions"
DIRECTIONS_COMMAND = "python -m core assets directions"

DIRECTION_WORDS = {
    "smile": ("smiling more", "smiling less"),
    "mouth-open": ("the mouth more open", "the mouth more closed"),
    "head-turn": ("the head turned to the right", "the head turned to the left"),
    "brightness": ("in brighter light", "in dimmer light"),
    "hair-darkness": ("with darker hair", "with lighter hair"),
    "glasses": ("with glasses", "without glasses"),
}
"""What a step forward and a step back look like, in words for people (right and left as the viewer sees them)."""


@dataclass(frozen=True)
class DirectionEffect:
    """What one step of ``building.attributes.EFFECT_STEP`` paper units does to held-out faces of one generator.

    change: the target attribute's change in the direction meant, in standard deviations of random faces, averaged over a step
    forward and one back; low, high: 95 % interval of its mean over faces; right: share of faces that changed as meant, with
    Wilson's interval; others: mean change of the other attributes; identity: median distance to the face itself by recogniser;
    no_face: share of steps after which a recogniser found no face.
    """

    faces: int
    change: float
    low: float
    high: float
    right: float
    right_low: float
    right_high: float
    others: Mapping[str, float]
    identity: Mapping[str, float]
    no_face: float


@dataclass(frozen=True, eq=False)
class Direction:
    """A unit vector (d,) in latent space with its name, words for a step forward and back, and its measured effects."""

    name: str
    forward: str
    back: str
    vector: NDArray[np.float32]
    explained: float  # R^2 of the regression on held-out faces
    orthogonal: bool  # to the gradients of the other attributes
    effects: Mapping[str, DirectionEffect]  # by generator
    explain: Callable[[NDArray[np.float32], NDArray[np.float32]], str] | None = None
    """What a change from one latent to another looks like, where that is known exactly; else ``forward`` and ``back`` say it."""


def load_directions(folder: Path = DIRECTIONS_FOLDER) -> tuple[Direction, ...]:
    """The stored directions. Imports no torch. Raises LiminalError where there are none."""

    def parse(card: dict[str, Any]) -> tuple[Direction, ...]:
        vectors = read_arrays(folder / "directions.npz", DIRECTIONS_COMMAND)
        return tuple(
            Direction(
                name=row["name"],
                forward=DIRECTION_WORDS[row["name"]][0],
                back=DIRECTION_WORDS[row["name"]][1],
                vector=vectors[row["name"]],
                explained=row["explained"],
                orthogonal=row["orthogonal"],
                effects={generator: DirectionEffect(**effect) for generator, effect in row["effects"].items()},
            )
            for row in card["directions"]
        )

    return read_card(folder / "directions.json", parse, "No directions are stored", DIRECTIONS_COMMAND)


def describe_semantic(label: str, generator: str, base: NDArray[np.float32], latent: NDArray[np.float32]) -> str:
    """What a semantic sample looks like beside its base, in words; label: its ``SemanticStep.label``, given back where unknown."""
    for direction in find_directions(generator):
        if direction.name == label[:-1]:
            known = direction.explain(base, latent) if direction.explain else ""
            return known or (direction.forward if label.endswith("+") else direction.back)
    return label


def has_directions(generator: str) -> bool:
    """Whether directions are known for a generator's latents: named ones, or those stored for the built-in ones."""
    entry = registry.find_entry(generator, "generator")
    return bool(entry.changes) or entry.custom is None


def find_directions(generator: str, *, every: bool = False) -> tuple[Direction, ...]:
    """The directions of a generator: of single named latents where it has them, else the stored ones. Imports no torch.

    every: all latents that one and the same person can change, instead of those of the semantic samples. Raises LiminalError where
    there are none.
    """
    module = next((entry.changes for entry in registry.list_entries() if entry.name == generator), "")
    if not module:
        return load_directions()
    changes = find_code(module)
    names = changes.list_changeable_latents() if every else changes.SEMANTIC_LATENTS
    directions = []
    for name in names:
        vector = np.zeros(changes.LATENT_DIM, np.float32)
        vector[changes.INDEX[name]] = 1.0
        words = name.replace("_", " ")
        explain = functools.partial(changes.explain_change, name=name)
        directions.append(Direction(name, f"more {words}", f"less {words}", vector, 1.0, True, {}, explain))
    return tuple(directions)


@dataclass(frozen=True)
class ActionChange:
    """One facial action that differs between two faces: what it looks like, and its strength in each, 1 a strong one."""

    words: str  # 'mouth open'
    before: float
    after: float

    @property
    def difference(self) -> float:
        return self.after - self.before


SMALLEST_CHANGE = 0.05
"""Differences of facial actions below this are not seen."""


def list_action_changes(generator: str, before: NDArray[np.float32], after: NDArray[np.float32]) -> tuple[ActionChange, ...]:
    """The facial actions that differ between the faces of two latents (d,), the largest difference first. Imports no torch.

    Empty where the latents of a generator have no names, so that nothing is known about its expressions.
    """
    module = registry.find_entry(generator, "generator").changes
    if not module:
        return ()
    old, new = (find_code(module).find_actions(latent) for latent in (before, after))
    changes = [ActionChange(words, old[words], new[words]) for words in old if abs(new[words] - old[words]) >= SMALLEST_CHANGE]
    return tuple(sorted(changes, key=lambda change: -abs(change.difference)))


def read_feelings(generator: str, latent: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """How much of each feeling is in the facial actions of a latent (d,) -> (6,) over EMOTIONS, 1 a strong one. Imports no torch.

    None where the latents of a generator have no names.
    """
    entry = next((entry for entry in registry.list_entries() if entry.name == generator), None)  # it may be gone again
    if entry is None or not entry.changes:
        return None
    feelings: NDArray[np.float64] = find_code(entry.changes).read_feelings(latent)
    return feelings


SEMANTIC_STEP = 0.2


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


def make_semantic_steps(
    base_latent: NDArray[np.float32],
    generator: Generator,
    step: float = SEMANTIC_STEP,
    directions: Sequence[Direction] | None = None,
) -> list[SemanticStep]:
    """From a base (d,): one step forward and one back along each direction (the stored ones by default).

    A step that is known to change nothing, such as the glasses taken off a face that wears none, is left out.
    """
    if not 0 < step < np.inf:
        raise LiminalError(f"A semantic step must be a positive number of paper units, not {step}.")
    steps = []
    for direction in find_directions(generator.name) if directions is None else directions:
        if direction.vector.shape != np.shape(base_latent):
            raise LiminalError(
                f"The direction '{direction.name}' was found in {len(direction.vector)} latent values, but {generator.name} has "
                f"{np.size(base_latent)}; use a generator of the same latent space."
            )
        for sign, words in ((1, direction.forward), (-1, direction.back)):
            moved = (base_latent + np.float32(sign * step * generator.step_scale) * direction.vector).astype(np.float32)
            explained = direction.explain(base_latent, moved) if direction.explain else words
            if not explained:
                continue
            steps.append(SemanticStep(direction.name, sign, step, explained, moved))
    return steps
