"""Faces along one named latent, and the values of a whole face: what people move by a slider, drawn ahead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.models.contracts import Generator, LatentName
from core.models.emotions import EMOTIONS
from core.sampling.bases import rest_expressions
from core.sampling.images import to_pictures
from core.sampling.stored.gallery import load_gallery

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy_import("torch")

ASIDE = ("asymmetry", "jaw_side", "gaze_side", "gaze_up")
"""Ends of names of expression latents that are no action of the whole face; people move them only where they are named."""


def choose_latents(generator: str, names: Sequence[str] = ()) -> tuple[LatentName, ...]:
    """The named latents of a generator, in its order; without names the actions of the face, feelings left out.

    Raises LiminalError for an unknown name and for a generator whose latents have none.
    """
    model = _load_named(generator)
    known = {latent.name: latent for latent in model.latent_names}
    for name in names:
        if name not in known:
            raise LiminalError(f"{model.card.title} has no latent '{name}'; 'python -m core models show {generator}' lists them.")
    if names:
        return tuple(latent for latent in model.latent_names if latent.name in names)
    return tuple(
        latent
        for latent in model.latent_names
        if latent.block == "expression" and latent.name not in EMOTIONS and not latent.name.endswith(ASIDE)
    )


def _load_named(generator: str) -> Generator:
    model = registry.load(generator, "generator")
    if not model.latent_names:
        raise LiminalError(f"The latents of {model.card.title} have no names to move; choose a generator with named latents.")
    return model


def load_rested_base(generator: str, base_id: str) -> NDArray[np.float32]:
    """The latent (d,) of a person of the gallery, the face at rest. Raises LiminalError for an unknown one."""
    latent = torch.from_numpy(load_gallery(generator).base(base_id).latent.copy())[None]
    model = _load_named(generator)
    rested: NDArray[np.float32] = (rest_expressions(latent, model) if "expression" in model.blocks else latent)[0].numpy()
    return rested


def set_values(generator: Generator, base: NDArray[np.float32], faces: Sequence[Mapping[str, float]]) -> Tensor:
    """The base (d,) with the named values of each face -> (N, d).

    In the generator's order: what depends on age or femininity comes after them, so that every value is the one asked for.
    """
    rows = []
    for values in faces:
        row = torch.from_numpy(base.copy())[None]
        for latent in generator.latent_names:
            if latent.name in values:
                row = generator.set_named_value(row, latent.name, min(max(values[latent.name], latent.lowest), latent.highest))
        rows.append(row)
    return torch.cat(rows) if rows else torch.empty(0, generator.latent_dim)


def draw_slider(
    generator: str, base_id: str, values: Mapping[str, float], latent: str, positions: Sequence[float]
) -> NDArray[np.uint8]:
    """The face with ``values``, one latent at each of ``positions`` -> pictures (N, H, W, 3)."""
    model = _load_named(generator)
    faces = [{**values, latent: position} for position in positions]
    with torch.inference_mode():
        return to_pictures(model.decode(set_values(model, load_rested_base(generator, base_id), faces)))


def find_feeling_values(generator: str, base_id: str, latents: Mapping[str, Sequence[float]], feeling: str) -> dict[str, float]:
    """Values of single latents, each of those offered, whose facial actions come nearest to those of a whole feeling.

    Coordinate descent on the generator's own description of the feeling; no picture is made and no network asked.
    """
    model = _load_named(generator)
    base = load_rested_base(generator, base_id)
    with torch.inference_mode():
        goal = model.facial_actions(model.set_named_value(torch.from_numpy(base.copy())[None], feeling, 1.0))
        found = {name: min(offered, key=abs) for name, offered in latents.items()}
        for _ in range(4):
            for name, offered in latents.items():
                rows = set_values(model, base, [{**found, name: value} for value in offered])
                found[name] = offered[int((model.facial_actions(rows) - goal).square().sum(dim=1).argmin())]
    return found
