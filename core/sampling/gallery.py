"""A gallery of good, varied bases: generated people in whom, and around whom, every recogniser finds a face.

Chosen in three steps. *Measures* screen many random faces: frontal, sharp, evenly lit, in proportion (``Criteria``). *Looking*: the
numbers of those that showed no artefact to a person are listed in ``looked_at.json``, since no measure here sees a smeared eye.
*Variety*: farthest-point selection (Gonzalez 1985, Theoretical Computer Science 38) over descriptors and attributes, where a
face is taken only if it is still found in 19 of 20 random steps of 0.2 (as paper A's bases are drawn).

Stored in ``assets/gallery``: ``gallery.json`` (configuration, command, date, bases), ``gallery.npz`` (latents, and the descriptors
of the pictures as stored) and ``images/<generator>/<base_id>.webp`` in the generator's own size.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.own import prepared
from core.progress import Progress
from core.sampling import own_judging
from core.sampling.descriptors import ASSETS, METRICS, distances, metric_of, read_arrays, write_arrays
from core.sampling.seeds import sample_seed
from core.sampling.webp import decode_webp, encode_webp, keep_only
from core.writing import write_bytes

if TYPE_CHECKING:
    from core.models.contracts import Generator, Recogniser

FOLDER = ASSETS / "gallery"
LOOKED_AT = FOLDER / "looked_at.json"
COMMAND = "python -m core assets gallery"
BATCH = 32
ATTRIBUTE_WEIGHT = 0.15
"""A standard deviation of one attribute counts as much in the choice as this share of the mean distance between strangers."""


@dataclass(frozen=True)
class Criteria:
    """What a screened face must be like, in the measures of ``attributes`` (there: their units), and how steady it must be."""

    nose_offset: float = 0.2  # at most, to either side: frontal enough
    face_luminance: tuple[float, float] = (0.2, 0.75)
    contrast: float = 0.08  # at least
    harshness: float = 0.6  # contrast over luminance, at most: no half of the face in the dark
    sharpness: float = 0.22  # at least
    asymmetry: float = 0.75  # at most
    irregularity: float = 0.012  # at most
    face_checks: int = 20  # random steps around a face ...
    face_step: float = 0.2  # ... of this size in paper units ...
    faces_needed: int = 19  # ... and in how many of them a face must be found


@dataclass(frozen=True, eq=False)
class GalleryBase:
    """A base: its latent (d,), the seed that drew it, and its picture as WebP."""

    base_id: str
    title: str
    number: int  # of the candidate, as in ``looked_at.json``
    seed: int
    latent: NDArray[np.float32]
    image: Path
    attributes: Mapping[str, float]  # in standard deviations of the screened faces


@dataclass(frozen=True, eq=False)
class Gallery:
    """The stored bases as one generator shows them."""

    generator: str
    bases: tuple[GalleryBase, ...]
    descriptors: Mapping[str, NDArray[np.float32]]  # by recogniser: (N, D)
    configuration: Mapping[str, Any]
    command: str
    date: str

    def index(self, base_id: str) -> int:
        """The place of a base. Raises LiminalError for an unknown one."""
        for place, base in enumerate(self.bases):
            if base.base_id == base_id:
                return place
        raise LiminalError(f"The gallery holds no base '{base_id}'; choose one of its {len(self.bases)} faces.")

    def base(self, base_id: str) -> GalleryBase:
        """A base by its id. Raises LiminalError for an unknown one."""
        return self.bases[self.index(base_id)]

    def descriptor(self, base_id: str, recogniser: str) -> NDArray[np.float32]:
        """The descriptor (D,) of a base's stored picture. Raises LiminalError where none is stored."""
        metric_of(recogniser)
        if recogniser in own_judging.added("recogniser") and recogniser not in self.descriptors:
            raise own_judging.unasked(recogniser, self.generator)
        if recogniser not in self.descriptors:
            raise LiminalError(f"The gallery was not judged by {recogniser}; make it again with '{COMMAND}'.")
        vector: NDArray[np.float32] = self.descriptors[recogniser][self.index(base_id)]
        return vector


def folder_of(generator: str) -> Path:
    """Where a generator's gallery lies: for one that the user added, in the data folder."""
    return prepared.folder(generator) if generator in own_judging.added("generator") else FOLDER


def load_gallery(generator: str = "dcgan-sharp", folder: Path | None = None) -> Gallery:
    """The stored gallery. Imports no torch. Raises LiminalError where there is none for the generator."""
    folder = folder or folder_of(generator)
    if folder != FOLDER and folder == folder_of(generator) and not (folder / "gallery.json").is_file():
        raise LiminalError(
            f"No faces of {generator} were prepared yet; do it on the page Models or by '{own_judging.COMMAND} {generator}'."
        )
    try:
        card = json.loads((folder / "gallery.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LiminalError(f"No gallery is stored in {folder}; make it with '{COMMAND}'.") from error
    if generator not in card["configuration"]["generators"]:
        raise LiminalError(f"The gallery has no pictures by {generator}; make it again with '{COMMAND} --generators {generator}'.")
    arrays = read_arrays(folder / "gallery.npz", COMMAND)
    bases = (
        GalleryBase(latent=latent, image=folder / "images" / generator / f"{row['base_id']}.webp", **row)
        for row, latent in zip(card["bases"], arrays["latents"], strict=True)
    )
    own = own_judging.of_bases(generator, [row["base_id"] for row in card["bases"]])
    return Gallery(
        generator=generator,
        bases=tuple(bases),
        descriptors={name: arrays[f"{generator}.{name}"] for name in card["configuration"]["recognisers"]} | own,
        configuration=card["configuration"],
        command=card["command"],
        date=card["date"],
    )


def base_id(latent: NDArray[np.float32]) -> str:
    """A base's name: a hash of its latent, so that it stays the same when the gallery is made anew."""
    return hashlib.sha256(np.ascontiguousarray(latent, dtype="<f4").tobytes()).hexdigest()[:12]


def farthest_points(apart: NDArray[np.float64]) -> list[int]:
    """Distances (N, N) -> all N in an order in which each is farthest from those before it; the first is the most central."""
    chosen = [int(np.argmin(apart.sum(axis=1)))]
    nearest = apart[chosen[0]].copy()
    while len(chosen) < len(apart):
        nearest[chosen] = -np.inf
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, apart[chosen[-1]])
    return chosen


def screened(measures: NDArray[np.float64], criteria: Criteria) -> NDArray[np.bool_]:
    """Which faces (N, len(MEASURES)) meet the criteria; NaN rows do not."""
    from core.sampling.attributes import MEASURES

    column = {name: measures[:, place] for place, name in enumerate(MEASURES)}
    low, high = criteria.face_luminance
    with np.errstate(invalid="ignore"):
        passed: NDArray[np.bool_] = np.logical_and.reduce(
            [
                np.abs(column["nose_offset"]) <= criteria.nose_offset,
                (column["face_luminance"] >= low) & (column["face_luminance"] <= high),
                column["contrast"] >= criteria.contrast,
                column["contrast"] <= criteria.harshness * column["face_luminance"],
                column["sharpness"] >= criteria.sharpness,
                column["asymmetry"] <= criteria.asymmetry,
                column["irregularity"] <= criteria.irregularity,
            ]
        )
    return passed


def build(
    *,
    count: int = 60,
    candidates: int = 2400,
    seed: int = 0,
    generators: Sequence[str] = ("dcgan-sharp", "dcgan"),
    recognisers: Sequence[str] = tuple(METRICS),
    criteria: Criteria | None = None,
    looked_at: Path | None = LOOKED_AT,
    folder: Path = FOLDER,
    progress: Progress | None = None,
) -> Gallery:
    """Screen ``candidates`` random faces, choose ``count`` of them and write the files. Raises LiminalError if too few are left.

    ``looked_at``: a file of {seed, approved: candidate numbers}; None takes every face that passes the measures.
    """
    from core.models import registry
    from core.sampling.attributes import ATTRIBUTES, Scale, measure_population

    criteria, progress = criteria or Criteria(), progress or Progress()
    makers = [registry.load(name, "generator") for name in generators]
    judges = [registry.load(name, "recogniser") for name in recognisers]
    small = min(makers, key=lambda maker: maker.image_size)  # the measures see the same in its pictures, at a tenth of the time
    seeds = [sample_seed(seed, "gallery", number) for number in range(candidates)]
    latents, measures = measure_population(small.name, seeds, progress)
    numbers = [int(number) for number in np.flatnonzero(screened(measures, criteria))]
    if looked_at is not None:
        approved = _approved(looked_at, seed)
        numbers = [number for number in numbers if number in approved]
    pictures, vectors = _judged(latents[numbers], makers, judges, progress)
    kept = np.logical_and.reduce([np.isfinite(rows).all(axis=1) for rows in vectors.values()])
    scale = Scale.of(measures)
    attributes = scale.attributes(measures[numbers])
    apart = _differences(vectors, attributes)
    places = np.flatnonzero(kept)
    chosen: list[int] = []
    for place in (int(places[order]) for order in farthest_points(apart[np.ix_(places, places)])):
        if len(chosen) == count:
            break
        progress.stage(f"Looking around face {len(chosen) + 1} of {count}", len(chosen) / count)
        if all(_steady(latents[numbers[place]], seeds[numbers[place]], maker, judges, criteria) for maker in makers):
            chosen.append(place)
    if len(chosen) < count:
        raise LiminalError(
            f"Only {len(chosen)} of {candidates} faces are good enough for the gallery, not {count}; ask for fewer or try more."
        )
    bases = []
    for order, place in enumerate(chosen):
        name = base_id(latents[numbers[place]])
        looks = {key: round(float(value), 2) for key, value in zip(ATTRIBUTES, attributes[place], strict=True)}
        bases.append(
            {
                "base_id": name,
                "title": f"Face {order + 1:02d}",
                "number": numbers[place],
                "seed": seeds[numbers[place]],
                "attributes": looks,
            }
        )
        for maker in makers:
            write_bytes(folder / "images" / maker.name / f"{name}.webp", pictures[maker.name][place])
    stored = {name: rows[chosen].astype(np.float32) for name, rows in vectors.items()}
    write_arrays(folder / "gallery.npz", {"latents": latents[[numbers[place] for place in chosen]], **stored})
    card = {
        "configuration": {
            "count": count,
            "candidates": candidates,
            "seed": seed,
            "generators": list(generators),
            "recognisers": list(recognisers),
            "criteria": asdict(criteria),
            "passed_measures_and_looking": len(numbers),
        },
        "command": f"{COMMAND} --seed {seed} --count {count} --candidates {candidates}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "bases": bases,
    }
    write_bytes(folder / "gallery.json", (json.dumps(card, indent=1) + "\n").encode())
    for maker in makers:
        keep_only(folder / "images" / maker.name, [str(row["base_id"]) for row in bases])
    return load_gallery(generators[0], folder)


def _approved(path: Path, seed: int) -> set[int]:
    """The candidate numbers that were looked at and found good."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        numbers = {int(number) for number in card["approved"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiminalError(
            f"The list of faces that were looked at, {path}, is missing or damaged; leave it out or mend it."
        ) from error
    if card.get("seed") != seed:
        raise LiminalError(f"The faces listed in {path} were drawn with seed {card.get('seed')}, not {seed}; leave the list out.")
    return numbers


def _judged(
    latents: NDArray[np.float32], makers: Sequence[Generator], judges: Sequence[Recogniser], progress: Progress
) -> tuple[dict[str, list[bytes]], dict[str, NDArray[np.float32]]]:
    """Stored pictures by generator, and their descriptors (N, D) by '<generator>.<recogniser>'."""
    import torch

    from core.sampling.pictures import to_images, to_pictures

    pictures: dict[str, list[bytes]] = {maker.name: [] for maker in makers}
    parts: dict[str, list[NDArray[np.float32]]] = {f"{maker.name}.{judge.name}": [] for maker in makers for judge in judges}
    for maker in makers:
        for start in range(0, len(latents), BATCH):
            progress.stage(f"Judging the faces of {maker.name} that passed", start / len(latents))
            with torch.inference_mode():
                made = to_pictures(maker.decode(torch.from_numpy(latents[start : start + BATCH])))
            stored = [encode_webp(picture) for picture in made]
            images = to_images(np.stack([decode_webp(data) for data in stored]))
            pictures[maker.name] += stored
            for judge in judges:
                parts[f"{maker.name}.{judge.name}"].append(judge.embed(images).cpu().numpy())
    if not len(latents):
        raise LiminalError("No face passed the measures; ask for more candidates.")
    return pictures, {name: np.concatenate(rows) for name, rows in parts.items()}


def _differences(vectors: Mapping[str, NDArray[np.float32]], attributes: NDArray[np.float64]) -> NDArray[np.float64]:
    """How different faces are (N, N): mean over recognisers, in their mean distances, and over attributes."""
    total: NDArray[np.float64] = np.zeros((len(attributes), len(attributes)))
    for name, rows in vectors.items():
        apart = distances(rows, rows, metric_of(name.rpartition(".")[2]))
        total += apart / np.nanmean(apart) / len(vectors)
    looks = np.nan_to_num(np.clip(attributes, -3, 3))
    total = np.nan_to_num(total) + ATTRIBUTE_WEIGHT * np.abs(looks[:, None] - looks[None]).mean(axis=2)
    return total


def _steady(latent: NDArray[np.float32], seed: int, maker: Generator, judges: Sequence[Recogniser], criteria: Criteria) -> bool:
    """Whether every recogniser still finds a face after small steps; the same steps as ``bases.shows_faces`` takes."""
    import torch

    steps = maker.sample([sample_seed(seed, "face check", each) for each in range(criteria.face_checks)])
    with torch.inference_mode():
        images = maker.decode(torch.from_numpy(latent) + criteria.face_step * steps)
        return all(int(judge.find_faces(images).found.sum()) >= criteria.faces_needed for judge in judges)
