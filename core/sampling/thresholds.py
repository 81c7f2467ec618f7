"""Thresholds calibrated on a generator's own faces, beside the default ones.

A default threshold is set on photographs of real people: dlib's 0.6 was chosen on photographs of faces, where a stranger is rarely
nearer than that. A generator's faces are drawn from fewer looks than mankind has: one training set, one pose, one light,
one camera, and the same small traces of the generator in every picture. A recogniser therefore places them closer together, and
the default accepts far more of them. The calibrated threshold is the distance at which a stated share of *impostor pairs*
(two different seeds of one generator) is accepted: the false acceptance rate (FAR; ISO/IEC 19795-1, false match rate).
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.own import prepared
from core.models.own.listing import own_models
from core.progress import Progress
from core.sampling.descriptors import ASSETS, distances, metric_of
from core.writing import write_bytes

FOLDER = ASSETS / "thresholds"
COMMAND = "python -m core assets thresholds"
RATES = (0.01, 0.001)
"""False acceptance rates that thresholds are calibrated to."""


@dataclass(frozen=True)
class Calibrated:
    """The distance below which ``rate`` of impostor pairs lie, with its 95 % interval."""

    rate: float
    distance: float
    low: float
    high: float


@dataclass(frozen=True)
class Share:
    """A share in [0, 1] with its 95 % interval."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Thresholds:
    """A recogniser's default threshold and its calibrated ones on one generator's faces."""

    generator: str
    recogniser: str
    default: float
    default_source: str
    default_acceptance: Share  # of impostor pairs, at the default
    calibrated: tuple[Calibrated, ...]
    strangers: int
    no_face: int
    pairs: int
    bootstraps: int
    seed: int
    explanation: str
    command: str
    date: str

    def at(self, rate: float) -> Calibrated:
        """The threshold calibrated to a false acceptance rate. Raises LiminalError with the rates there are."""
        for candidate in self.calibrated:
            if abs(candidate.rate - rate) < 1e-9:
                return candidate
        known = ", ".join(f"{100 * candidate.rate:g} %" for candidate in self.calibrated)
        raise LiminalError(f"No threshold was calibrated to {100 * rate:g} % false acceptances, only to {known}.")


def calibrate(
    vectors: NDArray[Any],
    recogniser: str,
    default: float,
    *,
    rates: Sequence[float] = RATES,
    bootstraps: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[tuple[Calibrated, ...], Share, int]:
    """Descriptors (N, D) of N different people -> thresholds at ``rates``, FAR at ``default``, number of pairs.

    Rows of NaN (no face found) take no part. Intervals are percentile bootstraps over *identities*: pairs share faces, so that
    resampling pairs would pretend to many more independent faces than there are. A person drawn k times counts k times in each
    of their pairs and never against themselves.
    """
    known = vectors[np.isfinite(vectors).all(axis=1)]
    if len(known) < 3:
        raise LiminalError(f"A threshold needs at least three faces, but {len(known)} were found; ask for more strangers.")
    first, second = np.triu_indices(len(known), k=1)
    apart = distances(known, known, metric_of(recogniser))[first, second]
    order = np.argsort(apart, kind="stable")
    # Only the near tail decides; the rest of the pairs enter through their number.
    reach = max(float(np.quantile(apart, min(1.0, 5 * max(rates)))), default)
    order = order[: int(np.searchsorted(apart[order], reach, side="right"))]
    near, first, second = apart[order], first[order], second[order]

    def measure(counts: NDArray[np.int64]) -> tuple[list[float], float]:
        mass = np.cumsum(counts[first] * counts[second])
        total = (counts.sum() ** 2 - (counts**2).sum()) / 2
        cuts = []
        for rate in rates:
            at = min(int(np.searchsorted(mass, rate * total, side="left")), len(near) - 1)
            cuts.append(float(near[at]))
        below = int(np.searchsorted(near, default, side="left"))  # accepted: strictly below
        return cuts, float(mass[below - 1] / total) if below else 0.0

    points, accepted = measure(np.ones(len(known), dtype=np.int64))
    rng = np.random.default_rng(seed)
    draws, shares = np.empty((bootstraps, len(rates))), np.empty(bootstraps)
    for index in range(bootstraps):
        counts = np.bincount(rng.integers(0, len(known), len(known)), minlength=len(known))
        draws[index], shares[index] = measure(counts)
        if progress is not None and index % 50 == 0:
            progress.stage(f"Resampling the people behind the {recogniser} threshold", index / bootstraps)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    calibrated = tuple(
        Calibrated(rate, point, float(below), float(above))
        for rate, point, below, above in zip(rates, points, low, high, strict=True)
    )
    interval = np.quantile(shares, [0.025, 0.975])
    return calibrated, Share(accepted, float(interval[0]), float(interval[1])), len(apart)


def explain(default: float, accepted: Share, strict: Calibrated) -> str:
    """One plain sentence for the page: why there is a second threshold."""
    many = 100 * accepted.share
    return (
        f"The default threshold of {default:g} was set on photographs of real people; generated faces are less varied, so that "
        f"two strangers lie closer together and it accepts {many:.{0 if many >= 10 else 1}f} % of them, where "
        f"{strict.distance:.2f} would accept {100 * strict.rate:g} %."
    )


def build(
    generator: str,
    recogniser: str,
    *,
    folder: Path = FOLDER,
    strangers: Path | None = None,
    bootstraps: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> Thresholds:
    """Calibrate on the stored strangers and write ``<generator>-<recogniser>.json``."""
    from core.models import registry
    from core.sampling.strangers import load_strangers

    population = load_strangers(generator, strangers, judged_by=recogniser)
    judge = registry.load(recogniser, "recogniser")
    vectors = population.vectors(recogniser)
    calibrated, accepted, pairs = calibrate(
        vectors, recogniser, judge.threshold, bootstraps=bootstraps, seed=seed, progress=progress
    )
    result = Thresholds(
        generator=generator,
        recogniser=recogniser,
        default=judge.threshold,
        default_source=judge.threshold_source,
        default_acceptance=accepted,
        calibrated=calibrated,
        strangers=len(vectors),
        no_face=population.no_face(recogniser),
        pairs=pairs,
        bootstraps=bootstraps,
        seed=seed,
        explanation=explain(judge.threshold, accepted, calibrated[0]),
        command=f"{COMMAND} --seed {seed} --bootstraps {bootstraps}",
        date=dt.datetime.now(dt.UTC).date().isoformat(),
    )
    write_bytes(folder / f"{generator}-{recogniser}.json", (json.dumps(asdict(result), indent=1) + "\n").encode())
    return result


def load_thresholds(generator: str, recogniser: str, folder: Path = FOLDER) -> Thresholds:
    """The thresholds of a recogniser on a generator's faces. Imports no torch.

    Models that a user added come with their default alone until they are prepared. Raises LiminalError where nothing is known.
    """
    own = [prepared.folder(each.name) / "thresholds" for each in own_models() if each.name in (generator, recogniser)]
    stored = [place / f"{generator}-{recogniser}.json" for place in own]
    path = next((each for each in stored if each.is_file()), folder / f"{generator}-{recogniser}.json")
    try:
        card: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Thresholds(
            **{
                **card,
                "default_acceptance": Share(**card["default_acceptance"]),
                "calibrated": tuple(Calibrated(**row) for row in card["calibrated"]),
            }
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        known = _uncalibrated(generator, recogniser, folder)
        if known is not None:
            return known
        raise LiminalError(
            f"No calibrated threshold is stored for {recogniser} on faces of {generator}; make it with '{COMMAND}'."
        ) from error


def _uncalibrated(generator: str, recogniser: str, folder: Path) -> Thresholds | None:
    """The default threshold alone, where generator or recogniser was added by the user; None for built-in pairs."""
    added = {each.name: each.facts for each in own_models()}
    if recogniser in added and "threshold" in added[recogniser]:
        default, source = float(added[recogniser]["threshold"]), str(added[recogniser].get("threshold_source", ""))
    elif generator in added and (others := sorted(folder.glob(f"*-{recogniser}.json"))):
        card = json.loads(others[0].read_text(encoding="utf-8"))  # a default is the same for all generators
        default, source = float(card["default"]), str(card["default_source"])
    else:
        return None
    return Thresholds(
        generator=generator,
        recogniser=recogniser,
        default=default,
        default_source=source,
        default_acceptance=Share(math.nan, 0.0, 1.0),
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
