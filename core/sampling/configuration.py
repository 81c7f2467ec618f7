"""All that a set of samples depends on: the parameters of paper A (section 4.1), with its values as defaults, and the seeds.

One seed a sample, derived by a hash from what the sample is (seed, batch, sample type, base, direction), never from how many
others are made with it: the same seed and path give the same sample on every machine. Imports no torch.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np

from core.errors import LiminalError
from core.models import registry

NO_GENERATOR = ""
"""The generator of pictures that none made: those that somebody brought along (``pictures``). They have no latents."""
FILES_KEY = "files"
"""Of such a set: the entry sample_id -> name of the file that was brought, and the names in the details of a stimulus."""
NO_LATENTS = "These pictures were not made by a generator, so there are no numbers that they were made from."

Strategy = Literal["cmaes", "gradient", "surrogate"]
StepsMove = Literal["everything", "person"]


@dataclass(frozen=True)
class Configuration:
    """What every configuration of samples does: to plain values and back."""

    samples: ClassVar[str]
    """What it makes, for people."""
    later_parameters: ClassVar[tuple[str, ...]] = ()
    """Parameters that the first version did not have: left out at their default, so that the ids of old sets stay."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; ``from_dict`` brings back an equal configuration."""
        usual = {field.name: field.default for field in fields(self) if field.name in self.later_parameters}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
            if name not in usual or value != usual[name]
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Raises LiminalError for names that are no parameters and for values that make no sense."""
        unknown = sorted(set(values) - {parameter.name for parameter in fields(cls)})
        if unknown:
            raise LiminalError(f"'{unknown[0]}' is no parameter of {cls.samples}; the set was made by another version.")
        return cls(**values)


@dataclass(frozen=True)
class BaseCriteria:
    """What a drawn face must be to become a base: a face is found in it and in ``faces_needed`` of ``face_checks`` random steps."""

    face_checks: int = 20
    faces_needed: int = 19
    face_step: float = 0.2  # size of the steps, times n ~ N(0, I)
    draws: int = 500  # for one base before giving up


@dataclass(frozen=True)
class IdentityConfiguration(Configuration):
    """All that a sample set depends on. Raises LiminalError with one sentence where a value makes no sense."""

    samples: ClassVar[str] = "identity samples"
    later_parameters: ClassVar[tuple[str, ...]] = ("steps_move",)

    seed: int = 0
    generator: str = field(default_factory=lambda: registry.default_generator("identity"))
    recogniser: str = field(default_factory=lambda: registry.list_names("recogniser")[0])  # finds the bases, steers the search
    judges: tuple[str, ...] = field(default_factory=lambda: tuple(registry.list_names("recogniser")))
    classifiers: tuple[str, ...] = ("mini-xception", "tanh-cnn", "small-cnn")
    perceptual: str = field(default_factory=lambda: registry.list_names("distance")[0])

    bases_per_batch: int = 4
    positive_directions: int = 2
    positive_steps: tuple[float, ...] = (0.2, 0.4, 0.6)  # times n ~ N(0, I)
    interpolation_steps: tuple[float, ...] = (0.25, 0.5, 0.75)  # fraction of the way to the negative
    steps_move: StepsMove = "everything"  # as in the paper; "person": the identity block alone, where the generator has one
    semantic: bool = False  # beyond the paper: steps forward and back along named directions
    semantic_steps: tuple[float, ...] = (0.2,)  # paper units

    strategy: Strategy = "cmaes"
    targets: tuple[float, ...] = (0.3, 0.4, 0.5)  # distances of the recogniser; the lowest one stops the search
    iterations: int = 100
    sigma: float = 1.0  # CMA-ES: first standard deviation, raw latent units
    population: int | None = None  # CMA-ES: candidates a generation; None: cma's own 4 + floor(3 ln d), 17 for 100 latents
    learning_rate: float = 0.05  # gradient: Adam's step, raw latent units
    plausibility: float = 1.0  # gradient, surrogate: weight of (|z|^2 / d - 1)^2, which keeps latents as long as drawn ones are

    face_checks: int = BaseCriteria.face_checks
    faces_needed: int = BaseCriteria.faces_needed
    face_step: float = BaseCriteria.face_step
    base_draws: int = BaseCriteria.draws

    def __post_init__(self) -> None:
        for name in ("judges", "classifiers", "positive_steps", "interpolation_steps", "semantic_steps", "targets"):
            value = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise LiminalError(f"'{name}' must be a list, not {value!r}.")
            object.__setattr__(self, name, tuple(value))
        check_whole("seed", self.seed, 0, 2**63 - 1)
        check_whole("bases_per_batch", self.bases_per_batch, 1, 64)
        check_whole("positive_directions", self.positive_directions, 0, 1000)
        check_whole("iterations", self.iterations, 1, 100_000)
        check_whole("face_checks", self.face_checks, 0, 10_000)
        check_whole("faces_needed", self.faces_needed, 0, self.face_checks)
        check_whole("base_draws", self.base_draws, 1, 1_000_000)
        if self.population is not None:
            check_whole("population", self.population, 4, 10_000)
        check_number("sigma", self.sigma, 1e-6, 1e3)
        check_number("learning_rate", self.learning_rate, 1e-6, 1e3)
        check_number("plausibility", self.plausibility, 0.0, 1e6)
        check_number("face_step", self.face_step, 0.0, 100.0)
        _check_rising("positive_steps", self.positive_steps, 1e-6, 100.0)
        _check_rising("interpolation_steps", self.interpolation_steps, 1e-6, 1 - 1e-6)
        _check_rising("semantic_steps", self.semantic_steps, 1e-6, 100.0)
        _check_rising("targets", self.targets, 1e-6, 1e3)
        if not isinstance(self.semantic, bool):
            raise LiminalError(f"'semantic' is yes or no, not {self.semantic!r}.")
        if self.steps_move not in get_args(StepsMove):
            raise LiminalError(f"'steps_move' is everything or person, not {self.steps_move!r}.")
        if self.strategy not in get_args(Strategy):
            raise LiminalError(f"There is no search strategy '{self.strategy}'; use cmaes, gradient or surrogate.")
        for names in (self.judges, self.classifiers):
            if len(set(names)) != len(names):
                raise LiminalError(f"A model is named twice in {', '.join(names)}; name each once.")

    @property
    def base_criteria(self) -> BaseCriteria:
        """What the bases must be."""
        return BaseCriteria(self.face_checks, self.faces_needed, self.face_step, self.base_draws)


def default_strategy(generator: str, recogniser: str) -> Strategy:
    """How pages and commands search where nobody says otherwise: by a surrogate where there is one, else as in the paper."""
    return "surrogate" if registry.find_descriptor_surrogate(generator, recogniser) else "cmaes"


MORPH_STEPS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Shares of the second owner; both ends are met at the same shares."""

MOST_PAIRS = 1000
FACE_CHECKS = 4
"""Steps around an owner in which a face must be found: owners are only looked at as they are."""


def configure_morphs(
    generator: str, recogniser: str, *, seed: int = 0, steps: Sequence[float] = MORPH_STEPS, judges: Sequence[str] = ()
) -> IdentityConfiguration:
    """The configuration of a set of morphs: two bases a batch, nothing but the way between them.

    Raises LiminalError for steps that are not the same from either end, and where a value makes no sense.
    """
    mirrored = sorted(round(1 - step, 6) for step in steps)
    if [round(step, 6) for step in sorted(steps)] != mirrored:
        raise LiminalError("'steps' must be the same from either end, such as 0.3 0.5 0.7: every morph is in front of both phones.")
    return IdentityConfiguration(
        seed=seed,
        generator=generator,
        recogniser=recogniser,
        strategy=default_strategy(generator, recogniser),
        bases_per_batch=2,
        positive_directions=0,
        interpolation_steps=tuple(round(step, 6) for step in sorted(steps)),
        targets=(),
        face_checks=FACE_CHECKS,
        faces_needed=FACE_CHECKS,
        judges=tuple(judges or registry.list_names("recogniser")),
    )


MOST_CONTROVERSIAL = 64
CONTROVERSIAL_TYPE = "controversial"
"""The sample type of the second face of a pair on which two recognisers part (``controversial_pairs``)."""


def configure_controversial(
    generator: str, recognisers: Sequence[str], *, seed: int = 0, judges: Sequence[str] = ()
) -> IdentityConfiguration:
    """The configuration of a set of pairs on which two recognisers part, each with a base of its own.

    Raises LiminalError for other than two different recognisers, and where a value makes no sense.
    """
    if len(set(recognisers)) != 2 or len(recognisers) != 2:
        raise LiminalError("'recognisers' must name two different ones: it is on them that the pairs part.")
    return IdentityConfiguration(
        seed=seed,
        generator=generator,
        recogniser=recognisers[0],
        judges=tuple(dict.fromkeys([*recognisers, *judges])),
        strategy=default_strategy(generator, recognisers[0]),
        positive_directions=0,
        targets=(),
    )


def check_whole(name: str, value: Any, low: int, high: int) -> None:
    """Raises LiminalError unless ``value`` is a whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise LiminalError(f"'{name}' must be a whole number from {low} to {high}, not {value!r}.")


def check_number(name: str, value: Any, low: float, high: float) -> None:
    """Raises LiminalError unless ``value`` is a finite number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not low <= value <= high:
        raise LiminalError(f"'{name}' must be a number from {low:g} to {high:g}, not {value!r}.")


def _check_rising(name: str, values: Sequence[Any], low: float, high: float) -> None:
    for value in values:
        check_number(name, value, low, high)
    if any(after <= before for before, after in itertools.pairwise(values)):
        raise LiminalError(f"'{name}' must rise and not repeat, but is {', '.join(f'{value:g}' for value in values)}.")


def sample_seed(seed: int, *path: str | int) -> int:
    """A seed in [0, 2**63) for the sample at ``path``, for example ``(batch, "positive", base, direction)``.

    A hash of the whole path: the same seed and path give the same number whatever else is drawn, on every machine.
    """
    text = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def numpy_generator(seed: int) -> np.random.Generator:
    """NumPy's random numbers for one sample: PCG64 behind a SeedSequence."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
