"""The gallery: generated people in whom, and around whom, every recogniser finds a face; the bases offered on the pages.

Stored in ``assets/gallery``, or in the data folder for a generator that the user added: ``gallery.json`` (configuration, command,
date, bases), ``gallery.npz`` (latents, and the descriptors of the pictures as stored) and ``images/<generator>/<base_id>.webp`` in
the generator's own size. A generator that knows who is who has a folder of its own, ``assets/gallery/<generator>``. Imports no
torch; ``building.gallery`` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data_folder import ASSETS
from core.errors import LiminalError
from core.sampling.stored.scores import (
    get_metric,
    list_custom_names,
    load_custom_base_descriptors,
    locate_tables,
    make_not_judged_error,
    read_arrays,
    read_card,
)

GALLERY_FOLDER = ASSETS / "gallery"
GALLERY_COMMAND = "python -m core assets gallery"
APPROVED_FACES_FILE = GALLERY_FOLDER / "looked_at.json"
"""The numbers of the candidates in which a person saw no artefact."""


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
    genuine_distances: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """By recogniser (N, K): each base to the same person in K other scenes and with other expressions, NaN where no face was found;
    empty where the generator does not know who is who."""

    def index(self, base_id: str) -> int:
        """The index of a base. Raises LiminalError for an unknown one."""
        for index, base in enumerate(self.bases):
            if base.base_id == base_id:
                return index
        raise LiminalError(f"The gallery holds no base '{base_id}'; choose one of its {len(self.bases)} faces.")

    def base(self, base_id: str) -> GalleryBase:
        """A base by its id. Raises LiminalError for an unknown one."""
        return self.bases[self.index(base_id)]

    def descriptor(self, base_id: str, recogniser: str) -> NDArray[np.float32]:
        """The descriptor (D,) of a base's stored picture. Raises LiminalError where none is stored."""
        get_metric(recogniser)
        if recogniser in list_custom_names("recogniser") and recogniser not in self.descriptors:
            raise make_not_judged_error(recogniser, self.generator)
        if recogniser not in self.descriptors:
            raise LiminalError(f"The gallery was not judged by {recogniser}; make it again with '{GALLERY_COMMAND}'.")
        vector: NDArray[np.float32] = self.descriptors[recogniser][self.index(base_id)]
        return vector


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


def load_gallery(generator: str, folder: Path | None = None) -> Gallery:
    """The stored gallery. Imports no torch. Raises LiminalError where there is none for the generator."""
    usual_folder, command = locate_tables(generator, GALLERY_FOLDER, "", GALLERY_COMMAND)
    own_folder = usual_folder / generator
    folder = folder or (own_folder if (own_folder / "gallery.json").is_file() else usual_folder)
    if folder == usual_folder != GALLERY_FOLDER and not (folder / "gallery.json").is_file():
        raise LiminalError(f"No faces of {generator} were prepared yet; do it on the page Models or by '{command}'.")

    def parse(card: dict[str, Any]) -> Gallery:
        if generator not in card["configuration"]["generators"]:
            raise LiminalError(
                f"The gallery has no pictures by {generator}; make it again with '{GALLERY_COMMAND} --generators {generator}'."
            )
        arrays = read_arrays(folder / "gallery.npz", command)
        bases = (
            GalleryBase(latent=latent, image=folder / "images" / generator / f"{row['base_id']}.webp", **row)
            for row, latent in zip(card["bases"], arrays["latents"], strict=True)
        )
        custom = load_custom_base_descriptors(generator, [row["base_id"] for row in card["bases"]])
        return Gallery(
            generator=generator,
            bases=tuple(bases),
            descriptors={name: arrays[f"{generator}.{name}"] for name in card["configuration"]["recognisers"]} | custom,
            configuration=card["configuration"],
            command=card["command"],
            date=card["date"],
            genuine_distances={
                name: arrays[f"genuine.{name}"].astype(np.float32)
                for name in card["configuration"]["recognisers"]
                if f"genuine.{name}" in arrays
            },
        )

    return read_card(folder / "gallery.json", parse, "No gallery is stored", command)
