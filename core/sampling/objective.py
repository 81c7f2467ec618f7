"""What a search minimises: the recogniser's distance between a latent's image and a descriptor that is sought.

Two paths. The *search* path may be fast and slightly inexact (``decode_for_search``, ``embed_for_search``); the *exact* path judges
the 8-bit picture in float32, as it is later shown and stored. Only the exact path decides what is kept.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.models.contracts import Generator, Recogniser
from core.sampling.pictures import quantised

SEARCH_MARGIN = 0.015
"""A candidate is confirmed when its search distance is under the target plus so much: two standard deviations of what dlib's fast
path moves distances by on generated faces (0.007)."""


SLICE = 16
"""Images that go through the recogniser at a time: enlarged pictures and chips of more would fall out of the processor's caches
(measured: 1.7 times the time, and 600 MB more memory, for 208 at once)."""


class Objective:
    """Latents to distances, through one generator and one recogniser. NaN where no face was found."""

    def __init__(self, generator: Generator, recogniser: Recogniser) -> None:
        self.generator = generator
        self.recogniser = recogniser
        self.sees_missing_faces = type(recogniser).embed_for_search is Recogniser.embed_for_search
        """Whether the search path itself says where no face is; a fast path may ask no detector."""

    def look(self, latents: NDArray[np.float32], wanted: Tensor, careful: NDArray[np.bool_]) -> tuple[NDArray[np.float64], Tensor]:
        """Latents (N, d), descriptors sought (N, D) -> search distances (N,), images (N, 3, H, W).

        careful: (N,), where the face is looked for in the image itself and not where the generator's faces usually lie.
        """
        with torch.inference_mode():
            images = self.generator.decode_for_search(torch.from_numpy(latents))
            boxes = self._boxes(images, careful)
            expected = [None] * len(images) if boxes is None else torch.split(boxes.nan_to_num(0.5), SLICE)
            parts = [
                self.recogniser.embed_for_search(part, box)
                for part, box in zip(torch.split(images, SLICE), expected, strict=boxes is not None)
            ]
            distances = self._distances(torch.cat(parts), wanted)
            if boxes is not None:
                distances[boxes.isnan().any(dim=1).numpy()] = np.nan
            return distances, images

    def confirm(self, latents: NDArray[np.float32], wanted: Tensor) -> NDArray[np.float64]:
        """Latents (N, d), descriptors sought (N, D) -> exact distances (N,)."""
        with torch.inference_mode():
            images = quantised(self.generator.decode(torch.from_numpy(latents)))
            return self._distances(torch.cat([self.recogniser.embed(part) for part in torch.split(images, SLICE)]), wanted)

    def _boxes(self, images: Tensor, careful: NDArray[np.bool_]) -> Tensor | None:
        """Where each image's face is expected (N, 4), NaN where none was found; None where the search path looks itself."""
        if self.generator.face_box is None or self.sees_missing_faces:
            return None
        boxes = torch.tensor(self.generator.face_box, dtype=torch.float64).repeat(len(images), 1)
        if careful.any():
            rows = torch.from_numpy(careful)
            boxes[rows] = self.find_boxes(images[rows.to(images.device)])
        return boxes

    def find_boxes(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) -> where the recogniser finds their faces (N, 4), in shares of the side; NaN where none."""
        with torch.inference_mode():
            height, width = images.shape[2:]
            faces = self.recogniser.find_faces(quantised(images))
            boxes = faces.boxes.cpu().double() / torch.tensor([width, height, width, height], dtype=torch.float64)
            boxes[~faces.found.cpu()] = torch.nan
            return boxes

    def _distances(self, vectors: Tensor, wanted: Tensor) -> NDArray[np.float64]:
        distances: NDArray[np.float64] = self.recogniser.distance(vectors, wanted.to(vectors.device)).cpu().double().numpy()
        return distances
