"""The design of single changes: which named latents are moved, on whom, how far, and what that costs.

An experiment, not a correlation: people are drawn at random, each in random scenes and with random expressions (contexts); then one
latent after the other is set to its low end and to its high end, ``reach`` standard deviations from the middle, and nothing else
moves. What changes in a network's answer is caused by that latent alone (Rubin 1974, Journal of Educational Psychology 66). Two
latents at once (``list_pair_treatments``) give a 2 x 2 factorial design. ``single_changes`` carries it out. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import ClassVar

from core.errors import LiminalError
from core.models import registry
from core.models.custom.catalogue import find_code
from core.sampling.configuration import Configuration, check_number, check_whole

FEWEST_PEOPLE, MOST_PEOPLE = 10, 1000
REACH = 1.645
"""Standard deviations of an end from the middle: 5 in 100 people lie beyond each."""
SECONDS_A_PICTURE, SECONDS_A_PREDICTION = 0.25, 0.0012
"""Of a picture of 256 pixels and of a latent, with two recognisers and three classifiers, on two cores; measured."""
CHANGES_KEY = "single_changes"
"""The manifest's entry of a set of such pairs: the design that made it."""


def load_changes(generator: str) -> ModuleType:
    """The module that lists a generator's named latents. Imports no torch. Raises LiminalError where they have no names."""
    entry = registry.find_entry(generator, "generator")
    if not entry.changes:
        raise LiminalError(
            f"The latents of {entry.title} have no names, so that no single one can be moved; choose the generator 'head'."
        )
    return find_code(entry.changes)  # type: ignore[no-any-return]


def choose_latents(generator: str, wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """The named latents to move: those that people have a word for, 'all', or some by name. Imports no torch.

    Raises LiminalError for an unknown name, and where latents have no names.
    """
    changes = load_changes(generator)
    if not wanted:
        return tuple(changes.MAIN_LATENTS)
    if tuple(wanted) == ("all",):
        return tuple(latent.name for latent in changes.LATENTS)
    return tuple(dict.fromkeys(changes.find_latent(name).name for name in wanted))


@dataclass(frozen=True)
class LatentWords:
    """A latent for people: its title, the group it belongs to, its low and high end in words ("" where there are none), unit."""

    name: str
    title: str
    group: str
    low: str
    high: str
    unit: str


def describe_latent(generator: str, name: str) -> LatentWords:
    """A latent in words. Imports no torch."""
    changes = load_changes(generator)
    named = changes.find_latent(name)
    low, dots, high = named.meaning.partition(" .. ")
    title = name.replace("_", " ")
    low, high = (
        (low.strip("01 "), high.strip("01 ")) if dots else ("younger", "older") if named.unit == "years" else ("less", "more")
    )
    return LatentWords(name, title, changes.group_latent(name), low, high, named.unit)


@dataclass(frozen=True)
class ChangeDesign(Configuration):
    """All that an experiment depends on. Raises LiminalError where a value makes no sense.

    people: drawn at random; contexts: scenes and expressions of each; enrolments: further pictures of each person in other scenes,
    which the moved picture is compared with.
    """

    samples: ClassVar[str] = "single changes"

    latents: tuple[str, ...]
    generator: str = field(default_factory=lambda: registry.default_generator("identity"))
    recognisers: tuple[str, ...] = field(default_factory=lambda: tuple(registry.list_built_in("recogniser")))
    classifiers: tuple[str, ...] = ("mini-xception", "tanh-cnn", "small-cnn")
    people: int = 50
    contexts: int = 1
    enrolments: int = 3
    reach: float = REACH
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("latents", "recognisers", "classifiers"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_whole("seed", self.seed, 0, 2**63 - 1)
        check_whole("contexts", self.contexts, 1, 20)
        check_whole("enrolments", self.enrolments, 1, 20)
        check_number("reach", self.reach, 0.1, 5.0)
        if not isinstance(self.people, int) or not FEWEST_PEOPLE <= self.people <= MOST_PEOPLE:
            raise LiminalError(
                f"'people' must be from {FEWEST_PEOPLE} to {MOST_PEOPLE:,}, not {self.people!r}: an interval over fewer people "
                "says nothing of others."
            )
        if not self.latents or not self.recognisers:
            raise LiminalError("An experiment needs a latent to move and a recogniser to ask; name at least one of each.")

    def count_pictures(self, treatments: int | None = None) -> int:
        """How many pictures it takes; treatments: None for both ends of each latent."""
        moved = 2 * len(self.latents) if treatments is None else treatments
        return self.people * (self.contexts * (moved + 1) + self.enrolments)


def list_unpredicted(design: ChangeDesign) -> list[str]:
    """The recognisers of a design that no surrogate predicts, so that it takes true pictures. Loads nothing."""
    return [name for name in design.recognisers if registry.find_descriptor_surrogate(design.generator, name) is None]


def describe_cost(design: ChangeDesign, *, predicted: bool, treatments: int | None = None) -> str:
    """What it takes, in words, to be told beforehand."""
    count = design.count_pictures(treatments)
    seconds = count * (SECONDS_A_PREDICTION if predicted else SECONDS_A_PICTURE)
    words = f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{max(2, round(seconds))} seconds"
    return f"{count:,} {'predictions' if predicted else 'true pictures'}, about {words} on two cores"


Treatment = Mapping[str, float]
"""Named latents and where they are set, in standard deviations."""


def list_treatments(design: ChangeDesign) -> list[Treatment]:
    """The low and the high end of every latent, in turn."""
    return [{name: end} for name in design.latents for end in (-design.reach, design.reach)]


def list_pair_treatments(design: ChangeDesign, first: str, second: str) -> list[Treatment]:
    """Two latents at both ends each: low-low, low-high, high-low, high-high. Raises LiminalError for a latent with itself."""
    if first == second:
        raise LiminalError(f"'{first}' cannot interact with itself; name two latents.")
    ends = (-design.reach, design.reach)
    return [{first: one, second: other} for one in ends for other in ends]
