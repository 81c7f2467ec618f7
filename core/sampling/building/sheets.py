"""Contact sheets of a generator with named latents: random people, feelings, and the way from one person to another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.models.contracts import Generator
from core.models.emotions import EMOTIONS
from core.progress import Progress
from core.sampling.configuration import sample_seed
from core.sampling.images import encode_webp, to_pictures
from core.writing import write_bytes

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")

PEOPLE_ACROSS, FEELING_ROWS, WAYS, WAY_STEPS = 8, 12, 8, 9
CELL = 128
"""Side of a picture on a sheet in pixels."""


def build_sheets(generator: str, folder: Path, *, seed: int = 0, progress: Progress | None = None) -> tuple[Path, ...]:
    """Draw ``faces.webp`` (64 random people), ``feelings.webp`` (12 people: at rest, then each feeling in full) and ``ways.webp``
    (8 ways from one person to another in 9 pictures) -> their paths.

    Raises LiminalError where the generator's latents have no names.
    """
    maker, progress = registry.load(generator, "generator"), progress or Progress()
    if not maker.latent_names:
        raise LiminalError(f"The latents of {maker.card.title} have no names, so that no sheet of feelings can be drawn.")
    sheets = {
        "faces": (maker.sample([sample_seed(seed, "sheet", index) for index in range(PEOPLE_ACROSS**2)]), PEOPLE_ACROSS),
        "feelings": (_list_feelings(maker, seed), 1 + len(EMOTIONS)),
        "ways": (_list_ways(maker, seed), WAY_STEPS),
    }
    paths = []
    for number, (name, (latents, columns)) in enumerate(sheets.items()):
        cells = []
        for index, latent in enumerate(latents):
            progress.stage(
                f"Drawing picture {index + 1} of {len(latents)} for '{name}'", (number + index / len(latents)) / len(sheets)
            )
            with torch.inference_mode():
                cells.append(_reduce(to_pictures(maker.decode(latent[None]))[0]))
        paths.append(folder / f"{name}.webp")
        write_bytes(paths[-1], encode_webp(_arrange(cells, columns)))
    return tuple(paths)


def _list_feelings(maker: Generator, seed: int) -> torch.Tensor:
    """Latents of people in a plain scene, each at rest and with each feeling in full."""
    people = maker.sample([sample_seed(seed, "feelings", index) for index in range(FEELING_ROWS)])
    for block in ("expression", "scene"):
        people[:, maker.blocks[block]] = 0.0
    columns = [people, *(maker.set_named_value(people, feeling, 1.0) for feeling in EMOTIONS)]
    return torch.stack(columns, dim=1).flatten(0, 1)


def _list_ways(maker: Generator, seed: int) -> torch.Tensor:
    """Latents on the straight way between two people, who keep their own scenes and expressions."""
    ends = maker.sample([sample_seed(seed, "ways", index) for index in range(2 * WAYS)])
    shares = torch.linspace(0, 1, WAY_STEPS)[None, :, None]
    ways: torch.Tensor = ((1 - shares) * ends[::2, None] + shares * ends[1::2, None]).flatten(0, 1)
    return ways


def _reduce(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, H, 3), H a multiple of CELL -> (CELL, CELL, 3), each the mean of a square."""
    factor = len(picture) // CELL
    small: NDArray[np.float64] = picture.reshape(CELL, factor, CELL, factor, 3).mean(axis=(1, 3))
    return np.round(small).astype(np.uint8)


def _arrange(cells: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    rows = [np.concatenate(cells[start : start + columns], axis=1) for start in range(0, len(cells), columns)]
    return np.concatenate(rows, axis=0)
