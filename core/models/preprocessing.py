"""Prepare images for a network, with a gradient: align faces, turn to grey, resize, crop and normalise.

Alignment: similarity transforms (rotation, one scale, shift; Umeyama 1991) that bring landmarks onto a template, and the sampling
grid that they give. Grey values are ITU-R BT.601's, as the emotion networks were trained on them. ``Preprocessing`` is what an
image processor of transformers does to square pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate


def fit_similarity(points: Tensor, template: Tensor) -> Tensor:
    """Least-squares similarity from ``points`` (N, L, 2) to ``template`` (L, 2) -> (N, 2, 3), in pixels.

    Umeyama 1991 (IEEE PAMI 13) in two dimensions, where it has a closed form: the best complex factor z in
    template = z * points + shift. Reflections are excluded.
    """
    source, target = points - points.mean(dim=1, keepdim=True), template - template.mean(dim=0)
    power = source.square().sum(dim=(1, 2))
    cosine = (source * target).sum(dim=(1, 2)) / power
    sine = (source[..., 0] * target[..., 1] - source[..., 1] * target[..., 0]).sum(dim=1) / power
    linear = torch.stack([torch.stack([cosine, -sine], dim=1), torch.stack([sine, cosine], dim=1)], dim=1)  # (N, 2, 2)
    shift = template.mean(dim=0) - (linear @ points.mean(dim=1)[..., None])[..., 0]
    return torch.cat([linear, shift[..., None]], dim=2)


def make_sampling_grid(matrices: Tensor, side: int, size: tuple[int, int]) -> Tensor:
    """Where each pixel of a ``side`` x ``side`` chip lies in an image of ``size`` (height, width): a grid for ``grid_sample``.

    matrices: (N, 2, 3), image -> chip. Returns (N, side, side, 2) for ``align_corners=True``, where -1 and 1 are the
    centres of the outermost pixels.
    """
    linear, shift = torch.linalg.inv(matrices[:, :, :2]), matrices[:, :, 2]
    steps = torch.arange(side, dtype=matrices.dtype)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    chip = torch.stack([x, y], dim=-1).reshape(1, -1, 2) - shift[:, None]
    pixels = (chip @ linear.transpose(1, 2)).reshape(-1, side, side, 2)
    extent = torch.tensor([size[1] - 1, size[0] - 1], dtype=matrices.dtype).clamp(min=1)
    grid: Tensor = pixels / extent * 2 - 1
    return grid


def cut_faces(images: Tensor, has_face: Tensor, matrices: Tensor, side: int) -> Tensor:
    """Chips (N, 3, side, side) of images (N, 3, H, W): bilinear, black outside the image, grey where no face was found.

    found: bool (N,); matrices: (F, 2, 3), image -> chip, for the F images with a face. Differentiable.
    """
    chips = images.new_full((len(images), 3, side, side), 0.5)
    if not bool(has_face.any()):
        return chips
    grid = make_sampling_grid(matrices, side, (images.shape[2], images.shape[3])).to(images)
    rows = has_face.nonzero()[:, 0].to(images.device)
    cut = grid_sample(images[rows], grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return chips.index_copy(0, rows, cut)


LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue: ITU-R BT.601, as in OpenCV's and Pillow's grey conversion."""


def to_grey(images: Tensor, side: int) -> Tensor:
    """(N, 3, H, W) in [0, 1] -> grey (N, 1, side, side) in [0, 1]; antialiased where the image shrinks. Differentiable."""
    luma = (images * images.new_tensor(LUMA)[:, None, None]).sum(dim=1, keepdim=True)
    if luma.shape[2:] == (side, side):
        return luma
    # Rounding may step outside [0, 1] by a trifle; faces are squares here, so the sides may be scaled apart.
    return interpolate(luma, size=(side, side), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


@dataclass(frozen=True)
class Preprocessing:
    """What an image processor does to square pictures, as operations with a gradient."""

    resized: int | None  # side after resizing; None: the picture's own
    cropped: int | None  # side of the middle that is cut out
    bicubic: bool
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, 3, S, S), normalised."""
        if self.resized is not None and tuple(images.shape[2:]) != (self.resized, self.resized):
            mode = "bicubic" if self.bicubic else "bilinear"
            size = (self.resized, self.resized)
            images = interpolate(images, size=size, mode=mode, antialias=True, align_corners=False).clamp(0, 1)
        if self.cropped is not None:
            top, left = (images.shape[2] - self.cropped) // 2, (images.shape[3] - self.cropped) // 2
            images = images[:, :, top : top + self.cropped, left : left + self.cropped]
        mean, deviation = images.new_tensor(self.mean), images.new_tensor(self.deviation)
        return (images - mean[:, None, None]) / deviation[:, None, None]
