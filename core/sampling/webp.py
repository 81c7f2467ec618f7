"""Pictures as they are stored in assets and shown on pages. Whatever verdict stands beside one was passed on the stored picture."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

QUALITY = 90
LOSSLESS_UP_TO = 64
"""Pixels of the side. Compression moves the dlib descriptor of a 64-pixel face by 0.12 (median), of a 256-pixel one by 0.05."""


def encode_webp(picture: NDArray[np.uint8], quality: int = QUALITY, *, lossless: bool = False) -> bytes:
    """uint8 (H, W, 3) -> WebP bytes; lossless where the picture is small or where asked (then quick rather than smallest)."""
    buffer = io.BytesIO()
    if lossless:
        Image.fromarray(picture).save(buffer, "WEBP", lossless=True, method=0, quality=30)
    else:
        small = max(picture.shape[:2]) <= LOSSLESS_UP_TO
        Image.fromarray(picture).save(buffer, "WEBP", quality=quality, lossless=small, method=6, use_sharp_yuv=True)
    return buffer.getvalue()


def decode_webp(data: bytes | Path) -> NDArray[np.uint8]:
    """WebP bytes, or a file of them -> uint8 (H, W, 3)."""
    with Image.open(data if isinstance(data, Path) else io.BytesIO(data), formats=["WEBP"]) as image:
        return np.array(image.convert("RGB"), dtype=np.uint8)


def keep_only(folder: Path, stems: Collection[str]) -> None:
    """Remove the pictures of an earlier making that are not among ``stems`` any more."""
    for path in folder.glob("*.webp"):
        if path.stem not in stems:
            path.unlink()
