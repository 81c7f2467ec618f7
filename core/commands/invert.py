"""``python -m core invert``: the face nearest to a photograph among those that a generator can make, in a folder.

Nothing of the photograph is kept: it is read into memory, and the folder gets the latent and the picture of the generated face.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.commands.terminal import TerminalProgress, name_flags
from core.errors import LiminalError
from core.models import photos, registry
from core.progress import Progress
from core.sampling.sample_set import encode_png
from core.writing import check_folder_is_free, new_folder

if TYPE_CHECKING:
    from core.sampling.inversion import Inversion

PICTURE, LATENT, NOTE = "likeness.png", "latent.npy", "README.txt"
SEARCH_OPTIONS = {
    "seed": "of the faces that the search starts among (default 0)",
    "draws": "faces that it starts among, beside the mean one (default 256)",
    "starts": "of them go on (default 4)",
    "steps": "of each (default 120)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    names, default = registry.list_names("generator"), registry.default_generator("phone")
    parser.add_argument(
        "--photo", type=Path, required=True, metavar="FILE", help="a JPEG, PNG or WebP of one face; your own, or with a yes"
    )
    parser.add_argument(
        "--generator", default=default, metavar="NAME", help=f"one of {', '.join(names)} that has a gradient (default {default})"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="the folder to write; must be new or empty")
    for name, meaning in SEARCH_OPTIONS.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=meaning)


def run(arguments: argparse.Namespace) -> int:
    """Find the face, write the folder, say how near it came."""
    options = {name: value for name in SEARCH_OPTIONS if (value := getattr(arguments, name)) is not None}
    title = registry.find_entry(arguments.generator, "generator").title
    check_folder_is_free(arguments.out)
    data = read_photo_file(arguments.photo)
    from core.models.framing import find_face_frame  # PyTorch, only once the arguments are known to be good
    from core.sampling.inversion import (
        NOT_YOU,
        InversionConfiguration,
        InversionModels,
        describe_verdict,
        invert_photo,
        list_facts,
    )

    with name_flags({name: f"--{name}" for name in SEARCH_OPTIONS}):
        configuration = InversionConfiguration(generator=arguments.generator, **options)
    photos.read_photo(data)  # what is no photograph of one face is refused at once
    with TerminalProgress() as terminal:
        progress = Progress(terminal)
        progress.stage("Loading the networks", 0.0)
        configuration = replace(configuration, judges=tuple(registry.list_usable("recogniser")))
        models = InversionModels.load(configuration)
        photo = photos.read_photo(data, find_face_frame(models.generator, progress))  # framed as the generator frames its faces
        inversion = invert_photo(photo.image, configuration, progress, models=models)
    note = (
        f"Made by {title}: the face that came nearest to a photograph. {NOT_YOU}\n"
        f"The photograph itself is not kept here. {LATENT} brings the face back: NumPy's float32, "
        f"{len(inversion.latent)} values.\n"
    )
    write_inversion(arguments.out, inversion, note)
    print(f"Wrote {arguments.out}: {PICTURE}, the generated face nearest to the photo, and {LATENT}.")
    print("Nothing of the photo was kept.")
    print(describe_verdict(inversion))
    for number, meaning in list_facts(inversion):
        print(f"  {number}  {meaning}")
    print(NOT_YOU)
    return 0


def read_photo_file(path: Path) -> bytes:
    """A photograph's file, or so much of it that its reader refuses it as too large. Raises LiminalError where there is none."""
    if not path.is_file():
        raise LiminalError(f"There is no file {path}; name a photo of one face.")
    try:
        with path.open("rb") as file:
            return file.read(photos.MOST_BYTES + 1)
    except OSError as error:
        raise LiminalError(f"The photo {path} cannot be read ({error.strerror or error}); check its rights.") from error


def write_inversion(target: Path, inversion: Inversion, note: str) -> None:
    """Picture, latent and a few words, whole or not at all; readable by their owner alone, since the face may resemble somebody."""
    with new_folder(target) as folder:
        folder.chmod(0o700)
        (folder / PICTURE).write_bytes(encode_png(inversion.picture))
        np.save(folder / LATENT, inversion.latent)
        (folder / NOTE).write_text(note, encoding="utf-8")
