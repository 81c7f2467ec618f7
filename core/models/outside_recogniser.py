"""Recognisers whose network runs outside PyTorch: faces are found by YuNet and cut here, and described one at a time."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from core.errors import LiminalError
from core.models import yunet
from core.models.contracts import Faces, ModelCard, Recogniser
from core.models.sface import TEMPLATE
from core.models.similarity import cut_faces, similarity_transform

Metric = Literal["cosine", "euclidean", "euclidean_l2"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean", "euclidean_l2")
Alignment = Literal["arcface", "box"]
ALIGNMENTS: tuple[Alignment, ...] = ("arcface", "box")

TEMPLATE_SIDE = 112


class OutsideRecogniser(Recogniser):
    """``describe`` is asked about one cut face after the other, so that neighbours cannot change an answer."""

    differentiable: ClassVar[bool] = False

    def __init__(self, card: ModelCard, *, alignment: Alignment, metric: Metric, threshold: float, threshold_source: str) -> None:
        self.card, self.device = card, torch.device("cpu")
        self.alignment, self.metric = alignment, metric
        self.threshold, self.threshold_source = threshold, threshold_source
        self.detector = yunet.load()

    @abstractmethod
    def describe(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One cut face, RGB (side, side, 3) -> (embedding_dim,)."""

    def find_faces(self, images: Tensor) -> Faces:
        return self.detector.find_largest(images)

    def align(self, images: Tensor, faces: Faces) -> Tensor:
        found, side = faces.found, self.card.input_size
        if self.alignment == "arcface":
            matrices = similarity_transform(faces.landmarks[found], TEMPLATE * (side / TEMPLATE_SIDE))
        else:
            matrices = box_transform(faces.landmarks[found], faces.boxes[found], side)
        return cut_faces(images.to(self.device), found, matrices, side)

    def embed_chips(self, chips: Tensor) -> Tensor:
        pixels = chips.detach().clamp(0, 1).mul(255).round().to(device="cpu", dtype=torch.uint8)
        pictures = np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())
        rows = [self._described(picture) for picture in pictures]
        return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, self.embedding_dim)

    def _described(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        vector = np.asarray(self.describe(picture), dtype=np.float32).reshape(-1)
        if not np.isfinite(vector).all():
            raise LiminalError(f"{self.card.title} gave values that are not finite; its weights cannot be used.")
        return vector

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """cosine: 1 - cosine, from 0 to 2. euclidean: L2. euclidean_l2: L2 of vectors of unit length, from 0 to 2."""
        if self.metric == "euclidean":
            plain: Tensor = torch.linalg.vector_norm(a - b, dim=-1)
            return plain
        squared = (normalize(a, dim=-1) - normalize(b, dim=-1)).square().sum(dim=-1)
        return squared / 2 if self.metric == "cosine" else squared.sqrt()


def box_transform(landmarks: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Level the eyes and fit the square around the box into the chip: (N, 5, 2), (N, 4) -> image -> chip, (N, 2, 3)."""
    across = landmarks[:, 1] - landmarks[:, 0]  # from the eye on the left of the picture to that on the right
    unit = across / torch.linalg.vector_norm(across, dim=1, keepdim=True)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    scale = (side / torch.maximum(width, height))[:, None, None]
    turn = torch.stack([unit, torch.stack([-unit[:, 1], unit[:, 0]], dim=1)], dim=1)  # (N, 2, 2)
    centre = torch.stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2], dim=1)
    linear = scale * turn
    shift = (side - 1) / 2 - (linear @ centre[:, :, None])[..., 0]
    return torch.cat([linear, shift[..., None]], dim=2)
