"""A gallery of bases for a generator that the user added, in the data folder: random faces that every recogniser finds.

The built-in gallery is screened and looked at; this one is neither, so that it can be made without a person in minutes.
"""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.progress import Progress
from core.sampling.descriptors import METRICS, write_arrays
from core.sampling.gallery import Gallery, base_id, folder_of, load_gallery
from core.sampling.own_judging import COMMAND, added
from core.sampling.seeds import sample_seed
from core.sampling.webp import decode_webp, encode_webp, keep_only
from core.writing import write_bytes

BATCH = 8
FEWEST = 4
"""Bases below which pages have too little to choose from: a batch of paper A has four."""
HOPELESS = 96
"""Pictures without any face after which no more are drawn."""


def build(generator: str, *, count: int = 24, most: int = 400, seed: int = 0, progress: Progress | None = None) -> Gallery:
    """Draw faces until ``count`` of them are found by every recogniser with stored descriptors, at most ``most``; write the files.

    Raises LiminalError where the generator was not added by the user, or shows too few faces.
    """
    import torch

    from core.models import registry
    from core.sampling.pictures import to_images, to_pictures

    if generator not in added("generator"):
        raise LiminalError(f"'{generator}' is no generator that was added; only those need a gallery made.")
    progress = progress or Progress()
    maker = registry.load(generator, "generator")
    judges = {name: registry.load(name, "recogniser") for name in METRICS}
    kept: list[tuple[int, NDArray[np.float32], bytes]] = []
    vectors: dict[str, list[NDArray[np.float32]]] = {name: [] for name in judges}
    for start in range(0, most, BATCH):
        progress.stage(f"Looking for faces of {generator}: {len(kept)} of {count}", len(kept) / count)
        seeds = [sample_seed(seed, "gallery", number) for number in range(start, min(most, start + BATCH))]
        with torch.inference_mode():
            latents = maker.sample(seeds)
            stored = [encode_webp(picture) for picture in to_pictures(maker.decode(latents))]
        images = to_images(np.stack([decode_webp(data) for data in stored]))
        rows = {name: judge.embed(images).cpu().numpy() for name, judge in judges.items()}
        found = np.logical_and.reduce([np.isfinite(row).all(axis=1) for row in rows.values()])
        for place in np.flatnonzero(found)[: count - len(kept)]:
            kept.append((seeds[place], latents[place].numpy(), stored[place]))
            for name, row in rows.items():
                vectors[name].append(row[place])
        if len(kept) == count or (not kept and start >= HOPELESS):
            break
    if len(kept) < FEWEST:
        raise LiminalError(
            f"In {start + len(seeds)} pictures of {generator} {' and '.join(METRICS)} found {len(kept) or 'no'} faces, too few for "
            "the pages to begin with; a generator of faces, seen from the front, is needed."
        )
    return _write(generator, kept, vectors, seed)


def _write(
    generator: str,
    kept: list[tuple[int, NDArray[np.float32], bytes]],
    vectors: dict[str, list[NDArray[np.float32]]],
    seed: int,
) -> Gallery:
    folder = folder_of(generator)
    bases = []
    for place, (drawn, latent, picture) in enumerate(kept):
        name = base_id(latent)
        bases.append({"base_id": name, "title": f"Face {place + 1:02d}", "number": place, "seed": drawn, "attributes": {}})
        write_bytes(folder / "images" / generator / f"{name}.webp", picture)
    arrays = {f"{generator}.{name}": np.stack(rows).astype(np.float32) for name, rows in vectors.items()}
    write_arrays(folder / "gallery.npz", {"latents": np.stack([latent for _, latent, _ in kept]), **arrays})
    card = {
        "configuration": {"count": len(kept), "seed": seed, "generators": [generator], "recognisers": list(METRICS)},
        "command": f"{COMMAND} {generator}",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "bases": bases,
    }
    write_bytes(folder / "gallery.json", (json.dumps(card, indent=1) + "\n").encode())
    keep_only(folder / "images" / generator, [str(row["base_id"]) for row in bases])
    return load_gallery(generator)
