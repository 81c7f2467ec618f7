"""Grey values, as both emotion networks were trained on them."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import interpolate

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue: ITU-R BT.601, as in OpenCV's and Pillow's grey conversion."""


def grey(images: Tensor, side: int) -> Tensor:
    """(N, 3, H, W) in [0, 1] -> grey (N, 1, side, side) in [0, 1]; antialiased where the image shrinks. Differentiable."""
    luma = (images * images.new_tensor(LUMA)[:, None, None]).sum(dim=1, keepdim=True)
    if luma.shape[2:] == (side, side):
        return luma
    # Rounding may step outside [0, 1] by a trifle; faces are squares here, so the sides may be scaled apart.
    return interpolate(luma, size=(side, side), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
