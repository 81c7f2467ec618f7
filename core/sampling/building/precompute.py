"""Precomputed data of a model that the user added: what the pages show at once is worked out here, once, by the real networks.

A generator gets a gallery of bases, a population judged by every built-in recogniser with calibrated thresholds, and a
reference set judged by every built-in classifier; then the added judges that were precomputed judge its faces too. An added
recogniser describes the first strangers and the bases of every generator that has some; an added classifier gives its logits of
the first faces of the reference set. Pictures go through the file format that they are stored in before they are judged.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LiminalError
from core.models import registry
from core.models.contracts import Generator
from core.models.custom import catalogue
from core.models.framing import frame_for_classifiers
from core.progress import Progress
from core.sampling.building import gallery as building_gallery
from core.sampling.building.population import (
    build_population,
    build_reference_set,
    build_thresholds,
    draw_reference_faces,
    fit_temperature,
)
from core.sampling.images import decode_webp, encode_webp, quantise, to_images, to_pictures
from core.sampling.stored.gallery import load_gallery
from core.sampling.stored.population import load_population
from core.sampling.stored.reference import load_reference_set
from core.sampling.stored.scores import (
    JUDGE_KINDS,
    METRICS,
    PRECOMPUTED_CARD,
    custom_scores_path,
    is_precomputed,
    needs_precomputing,
    write_arrays,
)
from core.writing import write_bytes

GALLERY_SIZE = 24
MIN_BASES = building_gallery.MIN_CUSTOM_BASES
MIN_POPULATION_SIZE = 40
POPULATION_SIZE = 300
"""Strangers, and faces of the reference population: 300 make 44,850 pairs, enough for a limit that lets one in a thousand in."""
MIN_REFERENCE_FACES = 40
"""The fewest faces of a reference population."""
WALL_SIZE = 240


@dataclass(frozen=True)
class PrecomputeResult:
    """What there is now. ``skipped``: a sentence for every generator whose faces could not be judged."""

    name: str
    words: str
    skipped: tuple[str, ...] = ()


def precompute_model(
    name: str, *, count: int = GALLERY_SIZE, people: int = POPULATION_SIZE, seed: int = 0, progress: Progress | None = None
) -> PrecomputeResult:
    """Work out what the pages need of an added model. Raises LiminalError where it needs nothing, or cannot give it."""
    progress = progress or Progress()
    entry = registry.find_entry(name)
    if not needs_precomputing(entry):
        raise LiminalError(f"'{name}' needs no preparing; only generators, recognisers and classifiers that were added do.")
    if count < MIN_BASES or people < MIN_POPULATION_SIZE:
        raise LiminalError(f"At least {MIN_BASES} faces to choose from and {MIN_POPULATION_SIZE} other people are needed.")
    result = (
        _precompute_generator(name, count, people, seed, progress)
        if entry.kind == "generator"
        else _precompute_judge(entry, people, progress)
    )
    card = {"name": name, "count": count, "people": people, "seed": seed, "date": dt.datetime.now(dt.UTC).date().isoformat()}
    write_bytes(catalogue.precomputed_folder(name) / PRECOMPUTED_CARD, (json.dumps(card, indent=1) + "\n").encode())
    progress.stage("Done", 1.0)
    return result


def _precompute_generator(name: str, count: int, people: int, seed: int, progress: Progress) -> PrecomputeResult:
    gallery = building_gallery.build_custom_gallery(name, count=count, seed=seed, progress=progress)
    folder = catalogue.precomputed_folder(name)
    build_population(name, count=people, wall=min(WALL_SIZE, people), seed=seed, folder=folder / "strangers", progress=progress)
    skipped = []
    for recogniser in METRICS:
        try:
            build_thresholds(name, recogniser, folder=folder / "thresholds", strangers=folder / "strangers", progress=progress)
        except LiminalError as error:  # too few of the strangers have a face that it finds
            skipped.append(f"{recogniser} was not calibrated: {error}")
    build_reference_set(name, count=max(people, MIN_REFERENCE_FACES), seed=seed, folder=folder / "reference", progress=progress)
    for judge in registry.list_entries():
        if needs_precomputing(judge) and judge.kind in JUDGE_KINDS and is_precomputed(judge.name):
            skipped += _judge_generator(judge, name, people, progress)
    words = f"{len(gallery.bases)} faces and {people} strangers of {name} are ready for the pages."
    return PrecomputeResult(name, words, tuple(skipped))


def _precompute_judge(entry: registry.Entry, people: int, progress: Progress) -> PrecomputeResult:
    known = [
        other.name
        for other in registry.list_entries()
        if other.kind == "generator" and (other.custom is None or is_precomputed(other.name))
    ]
    skipped = [sentence for generator in known for sentence in _judge_generator(entry, generator, people, progress)]
    if len(skipped) == len(known):
        raise LiminalError(skipped[0])
    seen = len(known) - len(skipped)
    faces = f"{people} faces of {seen} generator{'s' if seen > 1 else ''}"
    return PrecomputeResult(entry.name, f"{entry.name} has judged {faces}; the pages can show what it says.", tuple(skipped))


def _judge_generator(judge: registry.Entry, generator: str, people: int, progress: Progress) -> list[str]:
    """One judge, the faces of one generator -> a sentence where that does not work."""
    work = write_custom_descriptors if judge.kind == "recogniser" else write_custom_logits
    try:
        work(judge.name, generator, people, progress)
    except LiminalError as error:
        return [str(error)]
    return []


JUDGING_BATCH = 16


def write_custom_descriptors(recogniser: str, generator: str, people: int, progress: Progress) -> None:
    """Have an added recogniser judge a generator's first ``people`` strangers and its bases; write what it says."""

    judge = registry.load(recogniser, "recogniser")
    population, gallery = load_population(generator), load_gallery(generator)
    seeds = [int(seed) for seed in population.seeds[:people]]
    maker = registry.load(generator, "generator")
    parts = [judge.embed(images).cpu().numpy() for images in _remake_pictures(maker, seeds, recogniser, progress)]
    pictures = [decode_webp(base.image.read_bytes()) for base in gallery.bases]
    bases = [judge.embed(images).cpu().numpy() for images in _batch_images(pictures)]
    write_arrays(
        custom_scores_path(recogniser, generator),
        {
            "strangers": np.concatenate(parts).astype(np.float32),
            "bases": np.concatenate(bases).astype(np.float32),
            "base_ids": np.array([base.base_id for base in gallery.bases]),
        },
    )
    if int(np.isfinite(np.concatenate(parts)).all(axis=1).sum()) >= 3:
        build_thresholds(generator, recogniser, folder=catalogue.precomputed_folder(recogniser) / "thresholds", progress=progress)


def write_custom_logits(classifier: str, generator: str, people: int, progress: Progress) -> None:
    """Have an added classifier judge the first ``people`` faces of a generator's reference population; write what it says."""

    judge, maker = registry.load(classifier, "classifier"), registry.load(generator, "generator")
    reference = load_reference_set(generator)
    count = min(people, len(reference))
    parts = []
    for start in range(0, count, JUDGING_BATCH):
        progress.stage(f"{classifier} looks at plain face {start + 1} of {count} by {generator}", start / count)
        latents = draw_reference_faces(maker, range(start, min(start + JUDGING_BATCH, count)), reference.seed)
        with torch.inference_mode():
            images = frame_for_classifiers(quantise(maker.decode(latents)), maker.classifier_frame)
            parts.append(judge.logits(images).float().cpu().numpy())
    logits = np.concatenate(parts)
    others = {name: rows[:count] for name, rows in reference.logits.items()}
    temperature = fit_temperature({**others, classifier: logits}, classifier)
    write_arrays(custom_scores_path(classifier, generator), {"logits": logits, "temperature": np.array(temperature)})


def _remake_pictures(maker: Generator, seeds: Sequence[int], name: str, progress: Progress) -> Iterator[Tensor]:
    """The strangers' pictures, made again and through the file format that they are stored in: what is shown is what is judged."""

    for start in range(0, len(seeds), JUDGING_BATCH):
        progress.stage(f"{name} looks at stranger {start + 1} of {len(seeds)} by {maker.name}", start / len(seeds))
        with torch.inference_mode():
            pictures = to_pictures(maker.decode(maker.sample(seeds[start : start + JUDGING_BATCH])))
        yield to_images(np.stack([decode_webp(encode_webp(picture)) for picture in pictures]))


def _batch_images(pictures: Sequence[NDArray[np.uint8]]) -> Iterator[Tensor]:

    for start in range(0, len(pictures), JUDGING_BATCH):
        yield to_images(np.stack(pictures[start : start + JUDGING_BATCH]))
