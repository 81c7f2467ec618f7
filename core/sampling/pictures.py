"""Between images (float tensors inside the models) and pictures (8 bits, as shown and stored).

What is shown is what is judged: everything that is kept is judged from its picture, so that a stored PNG gives the same verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def to_pictures(images: Tensor) -> NDArray[np.uint8]:
    """(N, 3, H, W) in [0, 1] -> uint8 (N, H, W, 3)."""
    import torch  # pages read pictures before torch is loaded

    pixels = images.detach().clamp(0, 1).mul(255).round().to(device="cpu", dtype=torch.uint8)
    result: NDArray[np.uint8] = pixels.permute(0, 2, 3, 1).contiguous().numpy()
    return result


def to_images(pictures: NDArray[np.uint8]) -> Tensor:
    """Uint8 (N, H, W, 3) -> (N, 3, H, W) in [0, 1]."""
    import torch  # as above

    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).to(torch.float32).div(255)


def quantised(images: Tensor) -> Tensor:
    """The images as they look once they are stored with 8 bits: same shape."""
    return images.detach().clamp(0, 1).mul(255).round().div(255)
