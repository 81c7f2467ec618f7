"""The population: random, unfiltered people of a generator with every recogniser's descriptor, and thresholds calibrated on them.

Stored in ``assets/strangers``: ``<generator>.json`` (configuration, command, date, wall), ``<generator>.npz`` (seeds and one
descriptor a recogniser and person, NaN where no face was found) and ``images/<generator>/<seed>.webp`` for the wall, the first
people in whom every recogniser found a face. Descriptors are those of the pictures as they are stored: what is shown is what was
judged.

Stored in ``assets/thresholds``: ``<generator>-<recogniser>.json``. A default threshold is set on photographs of real people. A
generator's faces are less varied (one training set, one pose, one light), a recogniser places them closer together, and the default
accepts more of them. The calibrated threshold is the distance at which a stated share of *impostor pairs* (two seeds of one
generator) is accepted: the false match rate (FMR; ISO/IEC 19795-1). Imports no torch; ``building.population`` makes both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data_folder import ASSETS
from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.custom import catalogue
from core.models.custom.catalogue import list_custom_models
from core.sampling.stored.scores import (
    get_metric,
    list_custom_names,
    load_custom_descriptors,
    locate_tables,
    make_not_judged_error,
    pairwise_distances,
    read_arrays,
    read_card,
)

proportion = lazy_import("statsmodels.stats.proportion")

POPULATION_FOLDER = ASSETS / "strangers"
POPULATION_COMMAND = "python -m core assets strangers"
GENUINE_COMMAND = "python -m core assets genuine"


@dataclass(frozen=True)
class PopulationFace:
    """A stranger with a picture: ``index`` is the row in the population."""

    index: int
    seed: int
    image: Path  # WebP, the generator's own size


@dataclass(frozen=True)
class AcceptanceShare:
    """How many strangers would get in. The share is of those in whom a face was found; 95 % Wilson interval."""

    accepted: int
    judged: int
    no_face: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Population:
    """The stored population of one generator."""

    generator: str
    seeds: NDArray[np.int64]  # (N,)
    descriptors: dict[str, NDArray[np.float32]]  # by recogniser: (N, D), NaN rows where no face was found
    wall: tuple[PopulationFace, ...]
    command: str
    date: str

    def __len__(self) -> int:
        return len(self.seeds)

    def vectors(self, recogniser: str) -> NDArray[np.float32]:
        """Descriptors (N, D). Raises LiminalError where none are stored."""
        get_metric(recogniser)
        try:
            return self.descriptors[recogniser]
        except KeyError:
            raise LiminalError(
                f"The strangers of {self.generator} were not judged by {recogniser}; make them again with '{POPULATION_COMMAND}'."
            ) from None

    def count_without_face(self, recogniser: str) -> int:
        """In how many strangers this recogniser found no face."""
        return int(np.isnan(self.vectors(recogniser)).any(axis=1).sum())

    def distances(self, vector: NDArray[Any], recogniser: str) -> NDArray[np.float64]:
        """A descriptor (D,) against all strangers -> (N,), NaN where no face was found."""
        vectors = self.vectors(recogniser)
        if np.shape(vector) != (vectors.shape[1],) or not np.isfinite(vector).all():
            raise LiminalError(f"The face has no descriptor by {recogniser}; choose a face in which it finds one.")
        distances: NDArray[np.float64] = pairwise_distances(vector, vectors, get_metric(recogniser))[0]
        return distances

    def acceptance(self, vector: NDArray[Any], recogniser: str, threshold: float) -> AcceptanceShare:
        """The strangers nearer to a descriptor (D,) than ``threshold``."""
        return measure_acceptance(self.distances(vector, recogniser), threshold)


def measure_acceptance(distances: NDArray[np.float64], threshold: float) -> AcceptanceShare:
    """Distances (N,), NaN where no face was found -> the share accepted, with Wilson's interval (Wilson 1927, JASA 22)."""
    judged = distances[np.isfinite(distances)]
    accepted = int((judged < threshold).sum())
    if not len(judged):
        return AcceptanceShare(0, 0, len(distances), float("nan"), 0.0, 1.0)
    low, high = proportion.proportion_confint(accepted, len(judged), method="wilson")
    no_face = len(distances) - len(judged)
    return AcceptanceShare(accepted, len(judged), no_face, accepted / len(judged), float(low), float(high))


IMPOSTOR_SEARCHES = 4
"""Searches for an impostor, each from a stranger of its own."""


@dataclass(frozen=True)
class PopulationScores:
    """A population against one owner: distances (N,) by recogniser, NaN without a face; ``recogniser`` guards the phone."""

    population: Population
    recogniser: str
    distances: dict[str, NDArray[np.float64]]

    @property
    def guard_distances(self) -> NDArray[np.float64]:
        """Distances by the recogniser that guards the phone."""
        return self.distances[self.recogniser]

    @property
    def others(self) -> list[str]:
        """The other recognisers that know this owner."""
        return [name for name in self.distances if name != self.recogniser]

    def accepted(self, threshold: float) -> NDArray[np.bool_]:
        """(N,) who would unlock the phone."""
        result: NDArray[np.bool_] = np.nan_to_num(self.guard_distances, nan=np.inf) < threshold
        return result

    def find_least_alike(self, threshold: float) -> int | None:
        """Of those who get in, the one whom the other recogniser finds least like the owner; None when nobody gets in.

        Without a second recogniser, the one who only just gets in.
        """
        inside = np.flatnonzero(self.accepted(threshold))
        opinion = self.distances[self.others[0]] if self.others else self.guard_distances
        inside = inside[np.isfinite(opinion[inside])]
        return int(inside[np.argmax(opinion[inside])]) if len(inside) else None

    def find_nearest(self) -> int:
        """The stranger most like the owner."""
        return int(np.nanargmin(self.guard_distances))

    def count_agreement(self, threshold: float, other: str, other_threshold: float) -> tuple[int, int]:
        """(of those let in, how many the other recogniser lets in too; how many it lets in of all)."""
        inside = self.accepted(threshold)
        too = np.nan_to_num(self.distances[other], nan=np.inf) < other_threshold
        return int((inside & too).sum()), int(too.sum())

    def choose_starts(self, count: int = IMPOSTOR_SEARCHES, pool: int = 200) -> list[int]:
        """Where a search starts: of the ``pool`` nearest strangers those whom the other recogniser finds least like the owner."""
        order = np.argsort(np.nan_to_num(self.guard_distances, nan=np.inf))[:pool]
        if not self.others:
            return [int(index) for index in order[-count:]]
        opinion = np.nan_to_num(self.distances[self.others[0]][order], nan=-np.inf)
        return [int(index) for index in order[np.argsort(-opinion, kind="stable")[:count]]]


def score_population(population: Population, descriptors: Mapping[str, NDArray[np.float32]], recogniser: str) -> PopulationScores:
    """Every stranger against an owner's descriptors (D,), NaN where a recogniser found no face: those are left out.

    Raises LiminalError where the guarding recogniser has no descriptor of the owner.
    """
    distances = {recogniser: population.distances(descriptors.get(recogniser, np.array(np.nan)), recogniser)}
    for name in population.descriptors:
        if name != recogniser and np.isfinite(descriptors.get(name, np.nan)).all():
            distances[name] = population.distances(descriptors[name], name)
    return PopulationScores(population, recogniser, distances)


def has_population(generator: str) -> bool:
    """Whether strangers of a generator are stored."""
    folder, _ = locate_tables(generator, POPULATION_FOLDER, "strangers", POPULATION_COMMAND)
    return bool(generator) and (folder / f"{generator}.json").exists()


def load_population(generator: str, folder: Path | None = None, *, judged_by: str = "") -> Population:
    """The stored strangers of a generator. Imports no torch. Raises LiminalError where there are none.

    judged_by: a recogniser that must have judged them. One that the user added may have judged the first of them alone: these
    are the population then.
    """
    usual_folder, command = locate_tables(generator, POPULATION_FOLDER, "strangers", POPULATION_COMMAND)
    folder = folder or usual_folder

    def parse(card: dict[str, Any]) -> Population:
        arrays = read_arrays(folder / f"{generator}.npz", command)
        seeds = arrays["seeds"]
        return Population(
            generator=generator,
            seeds=seeds,
            descriptors={name: arrays[name].astype(np.float32) for name in card["recognisers"]},
            wall=tuple(
                PopulationFace(index, int(seeds[index]), folder / "images" / generator / f"{int(seeds[index])}.webp")
                for index in card["wall"]
            ),
            command=card["command"],
            date=card["date"],
        )

    stored = read_card(folder / f"{generator}.json", parse, f"No strangers of {generator} are stored", command)
    return _add_custom_descriptors(stored, judged_by)


def _add_custom_descriptors(population: Population, judged_by: str) -> Population:
    """Add the descriptors of added recognisers; the one that must have judged decides how many strangers there are."""
    names = list_custom_names("recogniser")
    custom = {}
    for name in names:
        if (scores := load_custom_descriptors(name, population.generator)) is not None:
            custom[name] = scores.strangers
    if judged_by in names and judged_by not in custom:
        raise make_not_judged_error(judged_by, population.generator)
    count = min(len(population), len(custom[judged_by])) if judged_by in custom else len(population)
    descriptors = {**population.descriptors, **{name: rows for name, rows in custom.items() if len(rows) >= count}}
    return replace(
        population,
        seeds=population.seeds[:count],
        descriptors={name: rows[:count] for name, rows in descriptors.items()},
        wall=tuple(face for face in population.wall if face.index < count),
    )


THRESHOLDS_FOLDER = ASSETS / "thresholds"
THRESHOLDS_COMMAND = "python -m core assets thresholds"


@dataclass(frozen=True)
class ShareInterval:
    """A share in [0, 1] with its 95 % interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class CalibratedThreshold:
    """The distance below which ``rate`` of impostor pairs lie, with its 95 % interval."""

    rate: float
    distance: float
    low: float
    high: float
    false_non_match: ShareInterval | None = None  # of genuine pairs; None where the generator does not know who is who


@dataclass(frozen=True)
class GenuineSet:
    """Descriptors of the same people under other scenes, expressions and accessories, of one generator.

    vectors: by recogniser (P, K, D), NaN rows where no face was found. seeds: (P,) of the people.
    """

    generator: str
    seeds: NDArray[np.int64]
    descriptors: Mapping[str, NDArray[np.float32]]
    command: str
    date: str


@dataclass(frozen=True)
class Thresholds:
    """A recogniser's default threshold and its calibrated ones on one generator's faces."""

    generator: str
    recogniser: str
    default: float
    default_source: str
    default_acceptance: ShareInterval  # of impostor pairs, at the default
    calibrated: tuple[CalibratedThreshold, ...]
    strangers: int
    no_face: int
    pairs: int
    bootstraps: int
    seed: int
    explanation: str
    command: str
    date: str
    default_false_non_match: ShareInterval | None = None  # of genuine pairs, at the default
    genuine_people: int = 0
    genuine_pairs: int = 0

    @property
    def opening(self) -> float:
        """The limit that pages open at: 1 stranger in 1,000 where genuine pairs are known too, else the recogniser's default."""
        return self.default if self.default_false_non_match is None else self.at(0.001).distance

    def at(self, rate: float) -> CalibratedThreshold:
        """The threshold calibrated to a false acceptance rate. Raises LiminalError with the rates there are."""
        for candidate in self.calibrated:
            if abs(candidate.rate - rate) < 1e-9:
                return candidate
        rates = ", ".join(f"{100 * candidate.rate:g} %" for candidate in self.calibrated)
        raise LiminalError(f"No threshold was calibrated to {100 * rate:g} % false acceptances, only to {rates}.")


def _read_share(stored: Mapping[str, float] | None) -> ShareInterval | None:
    return None if stored is None else ShareInterval(**stored)


def load_genuine_set(generator: str, folder: Path | None = None) -> GenuineSet | None:
    """The stored genuine set of a generator; None where it has none. Imports no torch."""
    usual_folder, command = locate_tables(generator, POPULATION_FOLDER, "strangers", GENUINE_COMMAND)
    folder = folder or usual_folder
    if not (folder / f"{generator}-genuine.json").is_file():
        return None

    def parse(card: dict[str, Any]) -> GenuineSet:
        arrays = read_arrays(folder / f"{generator}-genuine.npz", command)
        descriptors = {name: arrays[name].astype(np.float32) for name in card["recognisers"]}
        return GenuineSet(generator, arrays["seeds"], descriptors, card["command"], card["date"])

    return read_card(folder / f"{generator}-genuine.json", parse, f"No genuine pairs of {generator} are stored", command)


def load_thresholds(generator: str, recogniser: str, folder: Path = THRESHOLDS_FOLDER) -> Thresholds:
    """The thresholds of a recogniser on a generator's faces. Imports no torch.

    Models that a user added come with their default alone until they are prepared. Raises LiminalError where nothing is known.
    """
    file = f"{generator}-{recogniser}.json"
    custom = [model.name for model in list_custom_models() if model.name in (generator, recogniser)]
    precomputed = [catalogue.precomputed_folder(name) / "thresholds" / file for name in custom]
    path = next((path for path in precomputed if path.is_file()), folder / file)

    def parse(card: dict[str, Any]) -> Thresholds:
        return Thresholds(
            **{
                **card,
                "default_acceptance": ShareInterval(**card["default_acceptance"]),
                "calibrated": tuple(
                    CalibratedThreshold(**{**row, "false_non_match": _read_share(row.get("false_non_match"))})
                    for row in card["calibrated"]
                ),
                "default_false_non_match": _read_share(card.get("default_false_non_match")),
            }
        )

    try:
        missing = f"No calibrated threshold is stored for {recogniser} on faces of {generator}"
        return read_card(path, parse, missing, THRESHOLDS_COMMAND)
    except LiminalError:
        default = _load_default_threshold(generator, recogniser, folder)
        if default is None:
            raise
        return default


def _load_default_threshold(generator: str, recogniser: str, folder: Path) -> Thresholds | None:
    """The default threshold alone, where generator or recogniser was added by the user; None for built-in pairs."""
    custom = {model.name: model.facts for model in list_custom_models()}
    if recogniser in custom and "threshold" in custom[recogniser]:
        default, source = float(custom[recogniser]["threshold"]), str(custom[recogniser].get("threshold_source", ""))
    elif generator in custom and (others := sorted(folder.glob(f"*-{recogniser}.json"))):
        built_in = read_card(others[0], dict, "No calibrated threshold is stored", THRESHOLDS_COMMAND)
        default, source = float(built_in["default"]), str(built_in["default_source"])  # the same for all generators
    else:
        return None
    return Thresholds(
        generator=generator,
        recogniser=recogniser,
        default=default,
        default_source=source,
        default_acceptance=ShareInterval(math.nan, 0.0, 1.0),
        calibrated=(),
        strangers=0,
        no_face=0,
        pairs=0,
        bootstraps=0,
        seed=0,
        explanation=f"The limit is {recogniser}'s own default of {default:g}; it was not calibrated on faces of {generator}.",
        command="",
        date="",
    )


def find_threshold_range(distances: NDArray[np.float64], marks: list[float]) -> tuple[float, float]:
    """The range that a threshold can be dragged over: all strangers and all ready-made thresholds, with a little air."""
    low = min(float(np.nanmin(distances)), *marks) - 0.05
    high = max(float(np.nanquantile(distances, 0.999)), *marks) + 0.03
    return round(max(0.0, low), 2), round(high, 2)
