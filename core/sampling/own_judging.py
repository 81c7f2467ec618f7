"""What a recogniser or classifier that the user added says of the stored faces of every generator, so that pages need not wait.

A recogniser describes the first strangers of a generator and the bases of its gallery; a classifier gives its logits of the first
faces of the reference population. Stored as ``<generator>.npz`` in the model's prepared folder (``core.models.own.prepared``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.own import prepared
from core.models.own.classes import model_class
from core.models.own.listing import own_models
from core.progress import Progress
from core.sampling.descriptors import read_arrays, write_arrays
from core.sampling.seeds import sample_seed
from core.sampling.webp import decode_webp, encode_webp

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.contracts import Generator

BATCH = 16
COMMAND = "python -m core models prepare"

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Described:
    """A recogniser's descriptors, NaN rows where it found no face: of the first strangers (n, D), and of bases by their ids."""

    strangers: Array
    bases: dict[str, Array]


def added(kind: str) -> list[str]:
    """The names of the added models of a kind."""
    return [each.name for each in own_models() if model_class(each.model_class).kind == kind]


def descriptors(recogniser: str, generator: str) -> Described | None:
    """What an added recogniser says of a generator's faces; None where it was never asked. Imports no torch."""
    path = _path(recogniser, generator)
    if not path.is_file():
        return None
    arrays = read_arrays(path, f"{COMMAND} {recogniser}")
    return Described(arrays["strangers"], dict(zip(arrays["base_ids"].tolist(), arrays["bases"], strict=True)))


def of_bases(generator: str, base_ids: Sequence[str]) -> dict[str, Array]:
    """Every added recogniser that has judged all these bases -> their descriptors (N, D)."""
    said = {name: descriptors(name, generator) for name in added("recogniser")}
    return {
        name: np.stack([each.bases[base] for base in base_ids])
        for name, each in said.items()
        if each is not None and all(base in each.bases for base in base_ids)
    }


def logits(classifier: str, generator: str) -> tuple[Array, float] | None:
    """An added classifier's logits (n, 6) of a generator's plain faces, and its temperature; None where it was never asked."""
    path = _path(classifier, generator)
    if not path.is_file():
        return None
    arrays = read_arrays(path, f"{COMMAND} {classifier}")
    return arrays["logits"], float(arrays["temperature"])


def unasked(recogniser: str, generator: str) -> LiminalError:
    """What to say where there is nothing."""
    title = next((each.title for each in own_models() if each.name == recogniser), "") or recogniser
    return LiminalError(
        f"{title} has not judged the faces of {generator} yet; prepare it on the page Models or by '{COMMAND} {recogniser}'."
    )


def describe(recogniser: str, generator: str, people: int, progress: Progress) -> None:
    """Have an added recogniser judge a generator's first ``people`` strangers and its bases; write what it says."""
    from core.models import registry
    from core.sampling.gallery import load_gallery
    from core.sampling.strangers import load_strangers
    from core.sampling.thresholds import build

    judge = registry.load(recogniser, "recogniser")
    population, gallery = load_strangers(generator), load_gallery(generator)
    seeds = [int(seed) for seed in population.seeds[:people]]
    maker = registry.load(generator, "generator")
    parts = [judge.embed(images).cpu().numpy() for images in _as_stored(maker, seeds, recogniser, progress)]
    pictures = [decode_webp(base.image.read_bytes()) for base in gallery.bases]
    bases = [judge.embed(images).cpu().numpy() for images in _in_batches(pictures)]
    write_arrays(
        _path(recogniser, generator),
        {
            "strangers": np.concatenate(parts).astype(np.float32),
            "bases": np.concatenate(bases).astype(np.float32),
            "base_ids": np.array([base.base_id for base in gallery.bases]),
        },
    )
    if int(np.isfinite(np.concatenate(parts)).all(axis=1).sum()) >= 3:
        build(generator, recogniser, folder=prepared.folder(recogniser) / "thresholds", progress=progress)


def ask(classifier: str, generator: str, people: int, progress: Progress) -> None:
    """Have an added classifier judge the first ``people`` faces of a generator's reference population; write what it says."""
    import torch

    from core.models import registry
    from core.sampling.emotion.reference import load_reference, temperature
    from core.sampling.pictures import quantised

    judge, maker = registry.load(classifier, "classifier"), registry.load(generator, "generator")
    reference = load_reference(generator)
    count = min(people, len(reference))
    parts = []
    for start in range(0, count, BATCH):
        progress.stage(f"{classifier} looks at plain face {start + 1} of {count} by {generator}", start / count)
        seeds = [sample_seed(reference.seed, "reference", index) for index in range(start, min(start + BATCH, count))]
        with torch.inference_mode():
            parts.append(judge.logits(quantised(maker.decode(maker.sample(seeds)))).float().cpu().numpy())
    said = np.concatenate(parts)
    others = {name: rows[:count] for name, rows in reference.logits.items()}
    found = temperature({**others, classifier: said}, classifier)
    write_arrays(_path(classifier, generator), {"logits": said, "temperature": np.array(found)})


def _as_stored(maker: Generator, seeds: Sequence[int], name: str, progress: Progress) -> Iterator[Tensor]:
    """The strangers' pictures, made again and through the file format that they are stored in: what is shown is what is judged."""
    import torch

    from core.sampling.pictures import to_images, to_pictures

    for start in range(0, len(seeds), BATCH):
        progress.stage(f"{name} looks at stranger {start + 1} of {len(seeds)} by {maker.name}", start / len(seeds))
        with torch.inference_mode():
            pictures = to_pictures(maker.decode(maker.sample(seeds[start : start + BATCH])))
        yield to_images(np.stack([decode_webp(encode_webp(picture)) for picture in pictures]))


def _in_batches(pictures: Sequence[NDArray[np.uint8]]) -> Iterator[Tensor]:
    from core.sampling.pictures import to_images

    for start in range(0, len(pictures), BATCH):
        yield to_images(np.stack(pictures[start : start + BATCH]))


def _path(model: str, generator: str) -> Path:
    return prepared.folder(model) / f"{generator}.npz"
