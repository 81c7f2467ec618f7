"""A population of strangers: random people of a generator, unfiltered, with their descriptors, against whom a face is judged.

Stored in ``assets/strangers``: ``<generator>.json`` (configuration, command, date, wall), ``<generator>.npz`` (seeds and one
descriptor a recogniser and person, NaN where it found no face) and ``images/<generator>/<seed>.webp`` for the wall, the first
strangers in whom every recogniser found a face. Pictures keep the generator's own size, and the descriptors are those of the
pictures as they are stored: what is shown is what was judged.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.own import prepared
from core.progress import Progress
from core.sampling import own_judging
from core.sampling.descriptors import ASSETS, METRICS, compact, distances, metric_of, read_arrays, write_arrays
from core.sampling.seeds import sample_seed
from core.sampling.webp import decode_webp, encode_webp, keep_only
from core.writing import write_bytes

FOLDER = ASSETS / "strangers"
COMMAND = "python -m core assets strangers"
BATCH = 32


@dataclass(frozen=True)
class WallFace:
    """A stranger with a picture: ``index`` is the row in the population."""

    index: int
    seed: int
    image: Path  # WebP, the generator's own size


@dataclass(frozen=True)
class Acceptance:
    """How many strangers would get in. The share is of those in whom a face was found; 95 % Wilson interval."""

    accepted: int
    judged: int
    no_face: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Strangers:
    """The stored population of one generator."""

    generator: str
    seeds: NDArray[np.int64]  # (N,)
    descriptors: dict[str, NDArray[np.float32]]  # by recogniser: (N, D), NaN rows where no face was found
    wall: tuple[WallFace, ...]
    command: str
    date: str

    def __len__(self) -> int:
        return len(self.seeds)

    def vectors(self, recogniser: str) -> NDArray[np.float32]:
        """Descriptors (N, D). Raises LiminalError where none are stored."""
        metric_of(recogniser)
        try:
            return self.descriptors[recogniser]
        except KeyError:
            raise LiminalError(
                f"The strangers of {self.generator} were not judged by {recogniser}; make them again with '{COMMAND}'."
            ) from None

    def no_face(self, recogniser: str) -> int:
        """In how many strangers this recogniser found no face."""
        return int(np.isnan(self.vectors(recogniser)).any(axis=1).sum())

    def distances(self, vector: NDArray[Any], recogniser: str) -> NDArray[np.float64]:
        """A descriptor (D,) against all strangers -> (N,), NaN where no face was found."""
        vectors = self.vectors(recogniser)
        if np.shape(vector) != (vectors.shape[1],) or not np.isfinite(vector).all():
            raise LiminalError(f"The face has no descriptor by {recogniser}; choose a face in which it finds one.")
        apart: NDArray[np.float64] = distances(vector, vectors, metric_of(recogniser))[0]
        return apart

    def acceptance(self, vector: NDArray[Any], recogniser: str, threshold: float) -> Acceptance:
        """The strangers nearer to a descriptor (D,) than ``threshold``."""
        return acceptance(self.distances(vector, recogniser), threshold)


def acceptance(apart: NDArray[np.float64], threshold: float) -> Acceptance:
    """Distances (N,), NaN where no face was found -> the share accepted, with Wilson's interval (Wilson 1927, JASA 22)."""
    from statsmodels.stats.proportion import proportion_confint

    found = apart[np.isfinite(apart)]
    accepted = int((found < threshold).sum())
    if not len(found):
        return Acceptance(0, 0, len(apart), float("nan"), 0.0, 1.0)
    low, high = proportion_confint(accepted, len(found), method="wilson")
    return Acceptance(accepted, len(found), len(apart) - len(found), accepted / len(found), float(low), float(high))


def build(
    generator: str,
    *,
    count: int = 2000,
    wall: int = 240,
    seed: int = 0,
    recognisers: Sequence[str] = tuple(METRICS),
    folder: Path = FOLDER,
    progress: Progress | None = None,
) -> Strangers:
    """Draw the strangers, have every recogniser judge their stored pictures, and write the files.

    A stranger depends on ``seed`` and their place alone, not on ``count``. Raises LiminalError for a count below one.
    """
    import torch

    from core.models import registry
    from core.sampling.pictures import to_images, to_pictures

    if count < 1 or wall < 0:
        raise LiminalError("The number of strangers must be at least one and the wall's not negative.")
    progress = progress or Progress()
    maker = registry.load(generator, "generator")
    judges = {name: registry.load(name, "recogniser") for name in recognisers}
    seeds = [sample_seed(seed, "stranger", index) for index in range(count)]
    found: dict[str, list[NDArray[np.float32]]] = {name: [] for name in judges}
    shown: list[int] = []
    for start in range(0, count, BATCH):
        progress.stage(f"Judging stranger {start + 1} of {count} made by {generator}", start / count)
        part = seeds[start : start + BATCH]
        with torch.inference_mode():
            stored = [encode_webp(picture) for picture in to_pictures(maker.decode(maker.sample(part)))]
        images = to_images(np.stack([decode_webp(data) for data in stored]))
        rows = {name: judge.embed(images).cpu().numpy() for name, judge in judges.items()}
        for name, row in rows.items():
            found[name].append(row)
        everywhere = np.all([np.isfinite(row).all(axis=1) for row in rows.values()], axis=0)
        for offset in np.flatnonzero(everywhere)[: wall - len(shown)]:
            shown.append(start + int(offset))
            write_bytes(folder / "images" / generator / f"{part[offset]}.webp", stored[offset])
    vectors = {name: compact(np.concatenate(parts), metric_of(name)) for name, parts in found.items()}
    write_arrays(folder / f"{generator}.npz", {"seeds": np.array(seeds, dtype=np.int64), **vectors})
    card = {
        "generator": generator,
        "count": count,
        "seed": seed,
        "recognisers": list(judges),
        "no_face": {name: int(np.isnan(rows).any(axis=1).sum()) for name, rows in vectors.items()},
        "stored_as": {name: str(rows.dtype) for name, rows in vectors.items()},
        "command": f"{COMMAND} --generators {generator} --seed {seed} --count {count} --wall {wall}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "wall": shown,
    }
    write_bytes(folder / f"{generator}.json", (json.dumps(card) + "\n").encode())
    keep_only(folder / "images" / generator, [str(seeds[index]) for index in shown])
    return load_strangers(generator, folder)


def folder_of(generator: str) -> Path:
    """Where a generator's strangers lie: of one that the user added, in the data folder."""
    return prepared.folder(generator) / "strangers" if generator in own_judging.added("generator") else FOLDER


def load_strangers(generator: str = "dcgan-sharp", folder: Path | None = None, *, judged_by: str = "") -> Strangers:
    """The stored strangers of a generator. Imports no torch. Raises LiminalError where there are none.

    judged_by: a recogniser that must have judged them. One that the user added may have judged the first of them alone: these
    are the population then.
    """
    folder = folder or folder_of(generator)
    try:
        card = json.loads((folder / f"{generator}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        own = generator in own_judging.added("generator")
        command = f"{own_judging.COMMAND} {generator}" if own else COMMAND
        raise LiminalError(f"No strangers of {generator} are stored in {folder}; make them with '{command}'.") from error
    arrays = read_arrays(folder / f"{generator}.npz", COMMAND)
    seeds = arrays["seeds"]
    stored = Strangers(
        generator=generator,
        seeds=seeds,
        descriptors={name: arrays[name].astype(np.float32) for name in card["recognisers"]},
        wall=tuple(
            WallFace(index, int(seeds[index]), folder / "images" / generator / f"{int(seeds[index])}.webp")
            for index in card["wall"]
        ),
        command=card["command"],
        date=card["date"],
    )
    return _with_own_judges(stored, judged_by)


def _with_own_judges(people: Strangers, judged_by: str) -> Strangers:
    """Add what added recognisers said; the one that must have judged decides how many strangers there are."""
    said = {name: own_judging.descriptors(name, people.generator) for name in own_judging.added("recogniser")}
    known = {name: each.strangers for name, each in said.items() if each is not None}
    if judged_by in said and judged_by not in known:
        raise own_judging.unasked(judged_by, people.generator)
    count = min(len(people), len(known[judged_by])) if judged_by in known else len(people)
    rows = {**people.descriptors, **{name: each for name, each in known.items() if len(each) >= count}}
    return replace(
        people,
        seeds=people.seeds[:count],
        descriptors={name: each[:count] for name, each in rows.items()},
        wall=tuple(face for face in people.wall if face.index < count),
    )
