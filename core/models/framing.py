"""Framing of faces: where a generator puts eyes and mouth, so that a photograph can be cut like one of its pictures (``photos``),
and what part of a picture classifiers of emotion are shown.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from core.errors import LiminalError
from core.models import yunet
from core.models.contracts import ClassifierFrame, Generator
from core.models.photos import PHOTO_SIDE
from core.progress import Progress

DRAWS = 24
"""Faces measured: their mean differs by less than one per cent of the side from draw to draw."""
BATCH = 4
CORNER_LANDMARKS = [0, 1, 3, 4]
"""Eyes and corners of the mouth among YuNet's landmarks; the nose moves with the pose."""


FACE_SIDE = 1.0
"""Side of the square that classifiers see, in the longer side of YuNet's box. Of 0.95, 1.1 and 1.25, mini-XCEPTION names 0.66, 0.60
and 0.61 of the intended feelings of rendered heads, and 0.55 on the whole picture; the tanh network 0.52, 0.56, 0.49 and 0.45."""


def frame_for_classifiers(images: Tensor, frame: ClassifierFrame) -> Tensor:
    """Pictures (N, 3, H, W) as classifiers are to see them, of the same size.

    whole: unchanged, as for generators whose pictures are cut to the face. face: the square around the detected face; the whole
    picture where none is found. Has no gradient.
    """
    if frame == "whole" or not len(images):
        return images
    with torch.inference_mode():
        faces = yunet.load_detector().find_largest(images)
        side = images.shape[-1]
        boxes = torch.where(faces.found[:, None], faces.boxes, faces.boxes.new_tensor([0.0, 0.0, side, side])).float()
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        sides = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1) * torch.where(faces.found, FACE_SIDE, 1.0)
        steps = (torch.arange(side) + 0.5) / side - 0.5
        across = (centres[:, 0, None] + steps * sides[:, None]) / side * 2 - 1
        down = (centres[:, 1, None] + steps * sides[:, None]) / side * 2 - 1
        grid = torch.stack([across[:, None, :].expand(-1, side, -1), down[:, :, None].expand(-1, -1, side)], dim=-1)
        return grid_sample(images, grid.to(images), mode="bilinear", padding_mode="border", align_corners=False)


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
