"""Making galleries: good, varied bases in whom, and around whom, every recogniser finds a face.

The built-in gallery is chosen in three steps. *Measures* screen many random faces: frontal, sharp, evenly lit, in proportion
(``GalleryCriteria``). *Looking*: the numbers of those in which a person saw no artefact are listed in ``looked_at.json``, since
no measure here sees a smeared eye. *Variety*: farthest-point selection (Gonzalez 1985, Theoretical Computer Science 38) over
descriptors and attributes, where a face is taken only if it is still found in 19 of 20 random steps of 0.2 (as paper A's bases
are drawn).

A generator that knows who is who (``Generator.blocks``) needs no screening: its people are shown at rest, nearly from the front,
in soft light, and chosen far apart by what recognisers see.

The gallery of a generator that the user added is neither screened nor looked at, so that it is made in minutes and without a
person: random faces that every built-in recogniser finds.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models import registry
from core.models.contracts import Generator, Recogniser
from core.models.custom import catalogue
from core.progress import Progress
from core.sampling.bases import make_portraits
from core.sampling.building.attributes import ATTRIBUTES, MEASURES, AttributeScale, measure_population
from core.sampling.building.population import redraw_genuine_latents
from core.sampling.configuration import sample_seed
from core.sampling.images import decode_webp, encode_webp, quantise, remove_other_pictures, to_images, to_pictures
from core.sampling.stored.gallery import APPROVED_FACES_FILE, GALLERY_COMMAND, GALLERY_FOLDER, Gallery, load_gallery
from core.sampling.stored.scores import METRICS, PRECOMPUTE_COMMAND, get_metric, list_custom_names, pairwise_distances, write_arrays
from core.writing import write_bytes

GALLERY_BATCH = 32
ATTRIBUTE_WEIGHT = 0.15
"""A standard deviation of one attribute counts as much in the choice as this share of the mean distance between strangers."""


@dataclass(frozen=True)
class GalleryCriteria:
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


def make_base_id(latent: NDArray[np.float32]) -> str:
    """A base's name: a hash of its latent, so that it stays the same when the gallery is made anew."""
    return hashlib.sha256(np.ascontiguousarray(latent, dtype="<f4").tobytes()).hexdigest()[:12]


def order_by_farthest_point(apart: NDArray[np.float64]) -> list[int]:
    """Distances (N, N) -> all N in an order in which each is farthest from those before it; the first is the most central."""
    chosen = [int(np.argmin(apart.sum(axis=1)))]
    nearest = apart[chosen[0]].copy()
    while len(chosen) < len(apart):
        nearest[chosen] = -np.inf
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, apart[chosen[-1]])
    return chosen


def screen_faces(measures: NDArray[np.float64], criteria: GalleryCriteria) -> NDArray[np.bool_]:
    """Which faces (N, len(MEASURES)) meet the criteria; NaN rows do not."""
    column = {name: measures[:, index] for index, name in enumerate(MEASURES)}
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


def build_gallery(
    *,
    count: int = 60,
    candidates: int = 2400,
    seed: int = 0,
    generators: Sequence[str] = ("dcgan-sharp", "dcgan"),
    recognisers: Sequence[str] = tuple(METRICS),
    criteria: GalleryCriteria | None = None,
    approved_file: Path | None = APPROVED_FACES_FILE,
    folder: Path = GALLERY_FOLDER,
    progress: Progress | None = None,
) -> Gallery:
    """Screen ``candidates`` random faces, choose ``count`` of them and write the files. Raises LiminalError if too few are left.

    approved_file: {seed, approved: candidate numbers} as JSON; None takes every face that passes the measures.
    """
    criteria, progress = criteria or GalleryCriteria(), progress or Progress()
    makers = [registry.load(name, "generator") for name in generators]
    judges = [registry.load(name, "recogniser") for name in recognisers]
    small = min(makers, key=lambda maker: maker.image_size)  # the measures see the same in its pictures, at a tenth of the time
    seeds = [sample_seed(seed, "gallery", number) for number in range(candidates)]
    latents, measures = measure_population(small.name, seeds, progress)
    numbers = [int(number) for number in np.flatnonzero(screen_faces(measures, criteria))]
    if approved_file is not None:
        approved = _read_approved_faces(approved_file, seed)
        numbers = [number for number in numbers if number in approved]
    pictures, vectors = _judge_candidates(latents[numbers], makers, judges, progress)
    with_face = np.logical_and.reduce([np.isfinite(rows).all(axis=1) for rows in vectors.values()])
    scale = AttributeScale.of(measures)
    attributes = scale.attributes(measures[numbers])
    apart = _measure_differences(vectors, attributes)
    rows = np.flatnonzero(with_face)
    chosen: list[int] = []
    for index in (int(rows[order]) for order in order_by_farthest_point(apart[np.ix_(rows, rows)])):
        if len(chosen) == count:
            break
        progress.stage(f"Looking around face {len(chosen) + 1} of {count}", len(chosen) / count)
        if all(_is_steady(latents[numbers[index]], seeds[numbers[index]], maker, judges, criteria) for maker in makers):
            chosen.append(index)
    if len(chosen) < count:
        raise LiminalError(
            f"Only {len(chosen)} of {candidates} faces are good enough for the gallery, not {count}; ask for fewer or try more."
        )
    bases = []
    for order, index in enumerate(chosen):
        name = make_base_id(latents[numbers[index]])
        looks = {key: round(float(value), 2) for key, value in zip(ATTRIBUTES, attributes[index], strict=True)}
        bases.append(
            {
                "base_id": name,
                "title": f"Face {order + 1:02d}",
                "number": numbers[index],
                "seed": seeds[numbers[index]],
                "attributes": looks,
            }
        )
        for maker in makers:
            write_bytes(folder / "images" / maker.name / f"{name}.webp", pictures[maker.name][index])
    stored = {name: rows[chosen].astype(np.float32) for name, rows in vectors.items()}
    write_arrays(folder / "gallery.npz", {"latents": latents[[numbers[index] for index in chosen]], **stored})
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
        "command": f"{GALLERY_COMMAND} --seed {seed} --count {count} --candidates {candidates}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "bases": bases,
    }
    write_bytes(folder / "gallery.json", (json.dumps(card, indent=1) + "\n").encode())
    for maker in makers:
        remove_other_pictures(folder / "images" / maker.name, [str(row["base_id"]) for row in bases])
    return load_gallery(generators[0], folder)


def _read_approved_faces(path: Path, seed: int) -> set[int]:
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


def _judge_candidates(
    latents: NDArray[np.float32], makers: Sequence[Generator], judges: Sequence[Recogniser], progress: Progress
) -> tuple[dict[str, list[bytes]], dict[str, NDArray[np.float32]]]:
    """Stored pictures by generator, and their descriptors (N, D) by '<generator>.<recogniser>'."""

    pictures: dict[str, list[bytes]] = {maker.name: [] for maker in makers}
    parts: dict[str, list[NDArray[np.float32]]] = {f"{maker.name}.{judge.name}": [] for maker in makers for judge in judges}
    for maker in makers:
        for start in range(0, len(latents), GALLERY_BATCH):
            progress.stage(f"Judging the faces of {maker.name} that passed", start / len(latents))
            with torch.inference_mode():
                drawn = to_pictures(maker.decode(torch.from_numpy(latents[start : start + GALLERY_BATCH])))
            stored = [encode_webp(picture) for picture in drawn]
            images = to_images(np.stack([decode_webp(data) for data in stored]))
            pictures[maker.name] += stored
            for judge in judges:
                parts[f"{maker.name}.{judge.name}"].append(judge.embed(images).cpu().numpy())
    if not len(latents):
        raise LiminalError("No face passed the measures; ask for more candidates.")
    return pictures, {name: np.concatenate(rows) for name, rows in parts.items()}


def _measure_differences(vectors: Mapping[str, NDArray[np.float32]], attributes: NDArray[np.float64]) -> NDArray[np.float64]:
    """How different faces are (N, N): mean over recognisers, in their mean distances, and over attributes."""
    total: NDArray[np.float64] = np.zeros((len(attributes), len(attributes)))
    for name, rows in vectors.items():
        apart = pairwise_distances(rows, rows, get_metric(name.rpartition(".")[2]))
        total += apart / np.nanmean(apart) / len(vectors)
    looks = np.nan_to_num(np.clip(attributes, -3, 3))
    total = np.nan_to_num(total) + ATTRIBUTE_WEIGHT * np.abs(looks[:, None] - looks[None]).mean(axis=2)
    return total


def _is_steady(
    latent: NDArray[np.float32], seed: int, maker: Generator, judges: Sequence[Recogniser], criteria: GalleryCriteria
) -> bool:
    """Whether every recogniser still finds a face after small steps; the same steps as ``bases.shows_faces`` takes."""

    steps = maker.sample([sample_seed(seed, "face check", index) for index in range(criteria.face_checks)])
    with torch.inference_mode():
        images = maker.decode(torch.from_numpy(latent) + criteria.face_step * steps)
        return all(int(judge.find_faces(images).found.sum()) >= criteria.faces_needed for judge in judges)


def build_portrait_gallery(
    generator: str,
    *,
    count: int = 60,
    candidates: int = 600,
    conditions: int = 100,
    seed: int = 0,
    first: Sequence[int] = (),
    folder: Path = GALLERY_FOLDER,
    progress: Progress | None = None,
) -> Gallery:
    """Choose ``count`` of ``candidates`` random people of a generator that knows who is who, far apart, and write the files.

    conditions: pictures of each in other scenes and with other expressions, from which it is known how often recognisers refuse
    them. first: places in the order of their choice, from 0, of those that pages begin with. Raises LiminalError where the
    generator does not, where recognisers find too few faces, and for a place beyond the gallery.
    """
    progress = progress or Progress()
    if len(set(first)) < len(first) or not all(0 <= place < count for place in first):
        raise LiminalError(f"--first takes different places from 0 to {count - 1}, not {', '.join(map(str, first))}.")
    maker = registry.load(generator, "generator")
    if not maker.knows_identity:
        raise LiminalError(f"{maker.card.title} does not know who is who; its gallery is made by screening.")
    judges = [registry.load(name, "recogniser") for name in METRICS]
    seeds = [sample_seed(seed, "gallery", number) for number in range(candidates)]
    latents: NDArray[np.float32] = make_portraits(maker.sample(seeds), maker).numpy()
    pictures, vectors = _judge_candidates(latents, [maker], judges, progress)
    rows = np.flatnonzero(np.logical_and.reduce([np.isfinite(row).all(axis=1) for row in vectors.values()]))
    if len(rows) < count:
        raise LiminalError(f"Recognisers found only {len(rows)} of {candidates} faces, not {count}; try more candidates.")
    apart = _measure_differences(vectors, np.zeros((candidates, 1)))
    order = order_by_farthest_point(apart[np.ix_(rows, rows)])[:count]
    chosen = [int(rows[order[place]]) for place in (*first, *(place for place in range(count) if place not in first))]
    faces = [(seeds[index], latents[index], pictures[generator][index]) for index in chosen]
    descriptors = {name.rpartition(".")[2]: [values[index] for index in chosen] for name, values in vectors.items()}
    command = f"{GALLERY_COMMAND} --generators {generator} --seed {seed} --count {count} --candidates {candidates}"
    command += f" --first {' '.join(map(str, first))}" if first else ""
    genuine = _measure_genuine_distances(maker, judges, faces, descriptors, conditions, progress)
    return _write_gallery(generator, faces, descriptors, seed, folder / generator, command, genuine)


def _measure_genuine_distances(
    maker: Generator,
    judges: Sequence[Recogniser],
    faces: Sequence[tuple[int, NDArray[np.float32], bytes]],
    descriptors: Mapping[str, list[NDArray[np.float32]]],
    conditions: int,
    progress: Progress,
) -> dict[str, NDArray[np.float16]]:
    """'genuine.<recogniser>' -> distances (N, K) of each face to the same person in K other scenes, NaN where no face was found."""
    parts: dict[str, list[NDArray[np.float64]]] = {judge.name: [] for judge in judges}
    for index, (seed, latent, _) in enumerate(faces):
        progress.stage(f"Looking at person {index + 1} of {len(faces)} in other scenes", index / len(faces))
        person = torch.from_numpy(latent[None])
        with torch.inference_mode():
            images = quantise(maker.decode(redraw_genuine_latents(maker, person, seed, conditions)))
            for judge in judges:
                vectors = judge.embed(images).cpu().numpy()
                descriptor = descriptors[judge.name][index]
                parts[judge.name].append(pairwise_distances(descriptor, vectors, get_metric(judge.name))[0])
    return {f"genuine.{name}": np.stack(rows).astype(np.float16) for name, rows in parts.items()}


CUSTOM_GALLERY_BATCH = 8
MIN_CUSTOM_BASES = 4
"""Bases below which pages have too little to choose from: a batch of paper A has four."""
MAX_PICTURES_WITHOUT_FACE = 96
"""Pictures without any face after which no more are drawn."""


def build_custom_gallery(
    generator: str, *, count: int = 24, most: int = 400, seed: int = 0, progress: Progress | None = None
) -> Gallery:
    """Draw faces until ``count`` of them are found by every recogniser with stored descriptors, at most ``most``; write the files.

    Raises LiminalError where the generator was not added by the user, or shows too few faces.
    """

    if generator not in list_custom_names("generator"):
        raise LiminalError(f"'{generator}' is no generator that was added; only those need a gallery made.")
    progress = progress or Progress()
    maker = registry.load(generator, "generator")
    judges = {name: registry.load(name, "recogniser") for name in METRICS}
    faces: list[tuple[int, NDArray[np.float32], bytes]] = []
    vectors: dict[str, list[NDArray[np.float32]]] = {name: [] for name in judges}
    for start in range(0, most, CUSTOM_GALLERY_BATCH):
        progress.stage(f"Looking for faces of {generator}: {len(faces)} of {count}", len(faces) / count)
        seeds = [sample_seed(seed, "gallery", number) for number in range(start, min(most, start + CUSTOM_GALLERY_BATCH))]
        with torch.inference_mode():
            latents = maker.sample(seeds)
            stored = [encode_webp(picture) for picture in to_pictures(maker.decode(latents))]
        images = to_images(np.stack([decode_webp(data) for data in stored]))
        rows = {name: judge.embed(images).cpu().numpy() for name, judge in judges.items()}
        with_face = np.logical_and.reduce([np.isfinite(row).all(axis=1) for row in rows.values()])
        for index in np.flatnonzero(with_face)[: count - len(faces)]:
            faces.append((seeds[index], latents[index].numpy(), stored[index]))
            for name, row in rows.items():
                vectors[name].append(row[index])
        if len(faces) == count or (not faces and start >= MAX_PICTURES_WITHOUT_FACE):
            break
    if len(faces) < MIN_CUSTOM_BASES:
        raise LiminalError(
            f"In {start + len(seeds)} pictures of {generator} {' and '.join(METRICS)} found {len(faces) or 'no'} faces, too few "
            "for the pages to begin with; a generator of faces, seen from the front, is needed."
        )
    return _write_gallery(
        generator, faces, vectors, seed, catalogue.precomputed_folder(generator), f"{PRECOMPUTE_COMMAND} {generator}"
    )


def _write_gallery(
    generator: str,
    faces: list[tuple[int, NDArray[np.float32], bytes]],
    vectors: Mapping[str, list[NDArray[np.float32]]],
    seed: int,
    folder: Path,
    command: str,
    genuine: Mapping[str, NDArray[np.float16]] | None = None,
) -> Gallery:
    bases = []
    for number, (drawn, latent, picture) in enumerate(faces):
        name = make_base_id(latent)
        bases.append({"base_id": name, "title": f"Face {number + 1:02d}", "number": number, "seed": drawn, "attributes": {}})
        write_bytes(folder / "images" / generator / f"{name}.webp", picture)
    arrays = {f"{generator}.{name}": np.stack(rows).astype(np.float32) for name, rows in vectors.items()}
    write_arrays(folder / "gallery.npz", {"latents": np.stack([latent for _, latent, _ in faces]), **arrays, **(genuine or {})})
    card = {
        "configuration": {"count": len(faces), "seed": seed, "generators": [generator], "recognisers": list(METRICS)},
        "command": command,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "bases": bases,
    }
    write_bytes(folder / "gallery.json", (json.dumps(card, indent=1) + "\n").encode())
    remove_other_pictures(folder / "images" / generator, [str(row["base_id"]) for row in bases])
    return load_gallery(generator, folder)
