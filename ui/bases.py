"""The base of a page by its name in the address: a face of the gallery, or one that was made from such a face and goes along.

A made face travels in its name: that of the gallery's face, and the latents in which it differs. So a link brings the same face
back to the bit, in any session and on any server with that gallery.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.lazy_import import lazy_import
from core.models import registry
from core.result_cache import ResultCache
from core.sampling.bases import rest_expressions
from core.sampling.images import to_pictures
from core.sampling.stored.gallery import GalleryBase
from ui import cache
from ui.pictures import asset_url, face_url

if TYPE_CHECKING:
    import torch
else:
    torch = lazy_import("torch")

MARK = "~"
"""Between the name of the gallery's face and what differs from it."""

MOST_SIGMA = 50.0
"""A latent of an address further out than this is no face."""

_PICTURES: ResultCache[tuple[str, bytes, int], NDArray[np.uint8]] = ResultCache(48 * 2**20, lambda picture: picture.nbytes)


def find_base(generator: str, name: str | None) -> GalleryBase:
    """The base of that name, the gallery's first face where there is none. A made face has a latent and a name of its own."""
    bases = cache.cached_gallery(generator).bases
    origin, _, code = (name or "").partition(MARK)
    base = next((base for base in bases if base.base_id == origin), None)
    if base is None or not code:
        return base or bases[0]
    latent = _apply_differences(base.latent, code)
    if latent is None:
        return base
    return replace(base, base_id=f"{origin}{MARK}{code}", title=f"made from {base.title}", latent=latent, image=Path())


def name_made_face(generator: str, base_name: str, latent: NDArray[np.float32]) -> str:
    """The name under which ``find_base`` gives a base with this latent (d,). base_name: of the face that it was made from."""
    origin = find_base(generator, base_name.partition(MARK)[0])
    differ = np.flatnonzero(np.asarray(latent, np.float32) != origin.latent)
    if not len(differ):
        return origin.base_id
    start, stop = int(differ[0]), int(differ[-1]) + 1
    content = np.array([start], "<u2").tobytes() + np.asarray(latent[start:stop], "<f4").tobytes()
    return f"{origin.base_id}{MARK}{base64.urlsafe_b64encode(content).decode().rstrip('=')}"


def is_made_face(base: GalleryBase) -> bool:
    """Whether a base came along from another page, so that the gallery has no picture of it."""
    return MARK in base.base_id


def short_name(base_name: str) -> str:
    """A base's name for the name of a file: that of the gallery's face."""
    return base_name.partition(MARK)[0]


def _apply_differences(latent: NDArray[np.float32], code: str) -> NDArray[np.float32] | None:
    """The latent (d,) with the differences of a name; None where that means nothing."""
    try:
        content = base64.urlsafe_b64decode(code + "=" * (-len(code) % 4))
        start, values = int(np.frombuffer(content[:2], "<u2")[0]), np.frombuffer(content[2:], "<f4")
    except (ValueError, IndexError, binascii.Error):
        return None
    if start + len(values) > len(latent) or not np.isfinite(values).all() or (np.abs(values) > MOST_SIGMA).any():
        return None
    changed = latent.astype(np.float32).copy()
    changed[start : start + len(values)] = values
    return changed


def base_url(generator: str, base: GalleryBase) -> str:
    """Where the browser finds a base's picture; a made face is drawn, which loads the generator."""
    return face_url(draw_face(generator, base.latent)) if is_made_face(base) else asset_url(base.image)


def draw_face(generator: str, latent: NDArray[np.float32], *, large: bool = False) -> NDArray[np.uint8]:
    """The picture (H, W, 3) of a latent (d,) in the generator's usual size, or in its largest."""
    model = registry.load(generator, "generator")
    size = max((model.image_size, *model.sizes)) if large else model.image_size
    key = (generator, latent.tobytes(), size)
    picture = _PICTURES.get(key)
    if picture is None:
        with torch.inference_mode():
            picture = to_pictures(model.decode_at(torch.from_numpy(latent.copy())[None], size))[0]
        _PICTURES.put(key, picture)
    return picture


def show_feeling(generator: str, latent: NDArray[np.float32], feeling: str | None) -> NDArray[np.float32]:
    """The same person in the same scene (d,), the face at rest or showing one feeling alone and fully.

    The generator's latents must have names.
    """
    model = registry.load(generator, "generator")
    rest = rest_expressions(torch.from_numpy(latent.copy())[None], model)
    shown = model.set_named_value(rest, feeling, 1.0) if feeling else rest
    result: NDArray[np.float32] = shown[0].numpy()
    return result
