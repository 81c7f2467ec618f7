"""Where a generator puts eyes and mouth in its pictures, so that a photograph can be cut like one of them (``photos``)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from core.errors import LiminalError
from core.models import yunet
from core.models.contracts import Generator
from core.models.photos import PHOTO_SIDE
from core.progress import Progress

DRAWS = 24
"""Faces measured: their mean differs by less than one per cent of the side from draw to draw."""
BATCH = 4
CORNER_LANDMARKS = [0, 1, 3, 4]
"""Eyes and corners of the mouth among YuNet's landmarks; the nose moves with the pose."""


def find_face_frame(generator: Generator, progress: Progress | None = None) -> NDArray[np.float64]:
    """Eyes and corners of the mouth (4, 2) in shares of the side: as the generator states, else measured on seeded draws.

    Measured points are the mean over the faces found, made symmetric. Raises LiminalError where no face is found in any draw.
    """
    if generator.face_points is not None:
        return np.array(generator.face_points, dtype=np.float64)
    frames = []
    for start in range(0, DRAWS, BATCH):
        if progress is not None:
            progress.check()
        with torch.inference_mode():
            images = generator.decode(generator.sample(range(start, start + BATCH))).float().cpu()
            # landmarks are pixel centres, shares are measured from the edge
            faces = yunet.load_detector().find_largest(
                interpolate(images, (PHOTO_SIDE, PHOTO_SIDE), mode="bilinear", antialias=True)
            )
        frames.append((faces.landmarks[faces.found][:, CORNER_LANDMARKS].numpy() + 0.5) / PHOTO_SIDE)
    points = np.concatenate(frames)
    if not len(points):
        raise LiminalError(
            f"No face was found in {DRAWS} pictures of {generator.card.title}, so a photograph cannot be cut like them; "
            "choose another generator."
        )
    mean = points.mean(axis=0)
    mirrored = np.array([1.0, 0.0]) + mean[[1, 0, 3, 2]] * [-1.0, 1.0]
    frame: NDArray[np.float64] = (mean + mirrored) / 2
    return frame
