"""The gallery: generated people in whom, and around whom, every recogniser finds a face; the bases offered on the pages.

Stored in ``assets/gallery``, or in the data folder for a generator that the user added: ``gallery.json`` (configuration,
command, date,
bases), ``gallery.npz`` (latents, and the descriptors of the pictures as stored) and ``images/<generator>/<base_id>.webp`` in
the
generator's own size. Imports no torch; ``building.gallery`` makes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data_folder import ASSETS
from core.errors import LiminalError
from core.models.custom import catalogue
from core.sampling.stored import scores
from core.sampling.stored.scores import get_metric, read_arrays

GALLERY_FOLDER = ASSETS / "gallery"
GALLERY_COMMAND = "python -m core assets gallery"


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
        get_metric(recogniser)
        if recogniser in scores.list_custom_names("recogniser") and recogniser not in self.descriptors:
            raise scores.make_not_judged_error(recogniser, self.generator)
        if recogniser not in self.descriptors:
            raise LiminalError(f"The gallery was not judged by {recogniser}; make it again with '{GALLERY_COMMAND}'.")
        vector: NDArray[np.float32] = self.descriptors[recogniser][self.index(base_id)]
        return vector


def gallery_folder(generator: str) -> Path:
    """Where a generator's gallery lies: for one that the user added, in the data folder."""
    return catalogue.precomputed_folder(generator) if generator in scores.list_custom_names("generator") else GALLERY_FOLDER


def find_gallery_base(generator: str, base_id: str) -> GalleryBase:
    """A base of a generator's gallery by its id. Raises LiminalError that says where the ids stand."""
    gallery = load_gallery(generator)
    for base in gallery.bases:
        if base.base_id == base_id:
            return base
    raise LiminalError(
        f"The gallery holds no base '{base_id}'; its {len(gallery.bases)} ids are the names of the pictures in "
        f"{gallery.bases[0].image.parent}, for example {gallery.bases[0].base_id}."
    )


def load_gallery(generator: str = "dcgan-sharp", folder: Path | None = None) -> Gallery:
    """The stored gallery. Imports no torch. Raises LiminalError where there is none for the generator."""
    folder = folder or gallery_folder(generator)
    if folder != GALLERY_FOLDER and folder == gallery_folder(generator) and not (folder / "gallery.json").is_file():
        raise LiminalError(
            f"No faces of {generator} were prepared yet; do it on the page Models or by '{scores.PRECOMPUTE_COMMAND} {generator}'."
        )
    try:
        card = json.loads((folder / "gallery.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LiminalError(f"No gallery is stored in {folder}; make it with '{GALLERY_COMMAND}'.") from error
    if generator not in card["configuration"]["generators"]:
        raise LiminalError(
            f"The gallery has no pictures by {generator}; make it again with '{GALLERY_COMMAND} --generators {generator}'."
        )
    arrays = read_arrays(folder / "gallery.npz", GALLERY_COMMAND)
    bases = (
        GalleryBase(latent=latent, image=folder / "images" / generator / f"{row['base_id']}.webp", **row)
        for row, latent in zip(card["bases"], arrays["latents"], strict=True)
    )
    own = scores.load_custom_base_descriptors(generator, [row["base_id"] for row in card["bases"]])
    return Gallery(
        generator=generator,
        bases=tuple(bases),
        descriptors={name: arrays[f"{generator}.{name}"] for name in card["configuration"]["recognisers"]} | own,
        configuration=card["configuration"],
        command=card["command"],
        date=card["date"],
    )
