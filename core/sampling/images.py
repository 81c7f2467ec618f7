"""Conversions between images (float tensors (N, 3, H, W) in [0, 1], inside the models), pictures (uint8 (N, H, W, 3), as shown
and stored) and WebP files.

What is shown is what is judged: everything that is kept is judged from its 8-bit picture, so that the stored file gives the
same verdict. Pages read pictures before torch is loaded.
"""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.lazy_import import lazy_import

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy_import("torch")


def to_pictures(images: Tensor) -> NDArray[np.uint8]:
    """(N, 3, H, W) in [0, 1] -> uint8 (N, H, W, 3)."""
    pixels = images.detach().clamp(0, 1).mul(255).round().to(device="cpu", dtype=torch.uint8)
    result: NDArray[np.uint8] = pixels.permute(0, 2, 3, 1).contiguous().numpy()
    return result


def to_images(pictures: NDArray[np.uint8]) -> Tensor:
    """Uint8 (N, H, W, 3) -> (N, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).to(torch.float32).div(255)


def quantise(images: Tensor) -> Tensor:
    """The images as they look once they are stored with 8 bits: same shape."""
    return images.detach().clamp(0, 1).mul(255).round().div(255)


WEBP_QUALITY = 90
LOSSLESS_UP_TO = 64
"""Pixels of the side. Compression moves the dlib descriptor of a 64-pixel face by 0.12 (median), of a 256-pixel one by 0.05."""


def encode_webp(picture: NDArray[np.uint8], quality: int = WEBP_QUALITY, *, lossless: bool = False, quick: bool = False) -> bytes:
    """uint8 (H, W, 3) -> WebP bytes; lossless where the picture is small or where asked (then quick rather than smallest).

    quick: in a tenth of the time, a tenth larger.
    """
    buffer = io.BytesIO()
    if lossless:
        Image.fromarray(picture).save(buffer, "WEBP", lossless=True, method=0, quality=30)
    else:
        small = max(picture.shape[:2]) <= LOSSLESS_UP_TO
        effort = {"method": 2} if quick else {"method": 6, "use_sharp_yuv": True}
        Image.fromarray(picture).save(buffer, "WEBP", quality=quality, lossless=small, **effort)
    return buffer.getvalue()


def decode_webp(data: bytes | Path) -> NDArray[np.uint8]:
    """WebP bytes, or a file of them -> uint8 (H, W, 3)."""
    with Image.open(data if isinstance(data, Path) else io.BytesIO(data), formats=["WEBP"]) as image:
        return np.array(image.convert("RGB"), dtype=np.uint8)


def remove_other_pictures(folder: Path, stems: Collection[str]) -> None:
    """Remove the pictures of an earlier making that are not among ``stems`` any more."""
    for path in folder.glob("*.webp"):
        if path.stem not in stems:
            path.unlink()
