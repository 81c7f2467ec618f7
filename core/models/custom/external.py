"""Recognisers whose network runs outside PyTorch: any ONNX file, and the networks of DeepFace.

Faces are found by YuNet and cut here, and described one at a time.
ONNX: a face embedding network, described by a small JSON file beside it::

    {"model": "arcface.onnx", "input_size": 112, "alignment": "arcface", "colours": "RGB", "layout": "NCHW",
     "mean": 127.5, "deviation": 127.5, "distance": "cosine", "threshold": 0.68, "threshold_source": "who chose it, and how"}

alignment: arcface (five landmarks onto ArcFace's template) or box (the detector's box, eyes level). Pixels from 0 to 255 become (x
- mean) / deviation. distance: cosine, euclidean or euclidean_l2 (of unit vectors). Run by onnxruntime (``onnx_network``). DeepFace
(Serengil and Ozpinar 2024) is an optional extra: ``pip install deepface tf-keras``. Paper A judged by three of its networks, with
euclidean_l2: VGG-Face 0.86, Facenet512 1.04, OpenFace 0.55 (paper A, section 6.1). The weights must lie where DeepFace keeps them;
nothing is downloaded here. Since faces are cut here, eyes level, distances differ a little from those of DeepFace's own detectors.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import yunet
from core.models.builtin.sface import ARCFACE_TEMPLATE
from core.models.contracts import DetectedFaces, ModelCard, Recogniser
from core.models.custom.catalogue import CustomModel
from core.models.custom.loading import is_number, make_custom_card, require_library
from core.models.custom.onnx_network import OnnxDescription, OnnxNetwork, find_described_source, quantise_pictures, read_description
from core.models.custom.sources import FetchedSource, added_weight_file, fetch_source, locate_source, verify_source
from core.models.preprocessing import cut_faces, fit_similarity

if TYPE_CHECKING:
    import deepface
else:  # an optional extra
    deepface = lazy_import("deepface")

Metric = Literal["cosine", "euclidean", "euclidean_l2"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean", "euclidean_l2")
Alignment = Literal["arcface", "box"]
ALIGNMENTS: tuple[Alignment, ...] = ("arcface", "box")

TEMPLATE_SIDE = 112


class ExternalRecogniser(Recogniser):
    """Describes one cut face after the other, so that neighbours cannot change a result."""

    differentiable: ClassVar[bool] = False

    def __init__(self, card: ModelCard, *, alignment: Alignment, metric: Metric, threshold: float, threshold_source: str) -> None:
        self.card, self.device = card, torch.device("cpu")
        self.alignment, self.metric = alignment, metric
        self.threshold, self.threshold_source = threshold, threshold_source
        self.detector = yunet.load_detector()

    @abstractmethod
    def describe(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One cut face, RGB (side, side, 3) -> (embedding_dim,)."""

    def find_faces(self, images: Tensor) -> DetectedFaces:
        return self.detector.find_largest(images)

    def align(self, images: Tensor, faces: DetectedFaces) -> Tensor:
        has_face, side = faces.found, self.card.input_size
        if self.alignment == "arcface":
            matrices = fit_similarity(faces.landmarks[has_face], ARCFACE_TEMPLATE * (side / TEMPLATE_SIDE))
        else:
            matrices = fit_box(faces.landmarks[has_face], faces.boxes[has_face], side)
        return cut_faces(images.to(self.device), has_face, matrices, side)

    def embed_chips(self, chips: Tensor) -> Tensor:
        rows = [self._described(picture) for picture in quantise_pictures(chips)]
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


def fit_box(landmarks: Tensor, boxes: Tensor, side: int) -> Tensor:
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


@dataclass(frozen=True, kw_only=True)
class OnnxRecogniserDescription(OnnxDescription):
    """The content of the JSON file. Raises LiminalError for a value that makes no sense."""

    required: ClassVar[tuple[str, ...]] = ("model", "threshold", "threshold_source")

    threshold: float
    threshold_source: str
    distance: Metric = "cosine"
    alignment: Alignment = "arcface"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_number(self.threshold) or self.threshold <= 0:
            raise LiminalError(f"'threshold' of the description is '{self.threshold}', which is no number that it can be.")

    def list_choices(self) -> Mapping[str, tuple[str, ...]]:
        return {**super().list_choices(), "distance": METRICS, "alignment": ALIGNMENTS}


class OnnxRecogniser(ExternalRecogniser):
    """The network of an ONNX file, one face at a time."""

    def __init__(self, network: Path, description: OnnxRecogniserDescription, card: ModelCard, device: torch.device) -> None:
        super().__init__(
            card,
            alignment=description.alignment,
            metric=description.distance,
            threshold=description.threshold,
            threshold_source=description.threshold_source,
        )
        self.network = OnnxNetwork(network, description, "ONNX recognisers", device)
        self.embedding_dim = self.network.outputs

    def describe(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.network.run(picture)


def find_onnx_source(source: str) -> FetchedSource:
    """The description and the ONNX file that it names, both to be hashed."""
    return find_described_source(source, OnnxRecogniserDescription)


def make_onnx_card(custom: CustomModel) -> ModelCard:
    """The card of an added recogniser."""
    size = read_description(locate_source(custom), OnnxRecogniserDescription).input_size
    return make_custom_card(custom, f"{custom.source}; faces found by YuNet", input_size=size)


def load_onnx(custom: CustomModel, device: torch.device) -> OnnxRecogniser:
    """The recogniser with the weights that were added; faces are found and cut on the CPU, whatever the device."""
    path = verify_source(custom)
    description = read_description(path, OnnxRecogniserDescription)
    return OnnxRecogniser(path.parent / description.model, description, make_onnx_card(custom), device)


@dataclass(frozen=True)
class DeepFaceNetwork:
    """A network of DeepFace: its weights, the side of its input and its thresholds in euclidean_l2, by the embedding's length."""

    file: str
    side: int
    thresholds: Mapping[int, float]


PAPER_THRESHOLD_SOURCE = "paper A, section 6.1, by DeepFace's euclidean_l2"
DEEPFACE_NETWORKS: Mapping[str, DeepFaceNetwork] = {
    # DeepFace changed VGG-Face from 2622 to 4096 values, and its threshold with it; the paper's number belongs to the former
    "VGG-Face": DeepFaceNetwork("vgg_face_weights.h5", 224, {2622: 0.86, 4096: 1.17}),
    "Facenet512": DeepFaceNetwork("facenet512_weights.h5", 160, {512: 1.04}),
    "OpenFace": DeepFaceNetwork("openface_weights.h5", 96, {128: 0.55}),
    "Facenet": DeepFaceNetwork("facenet_weights.h5", 160, {128: 0.80}),
    "ArcFace": DeepFaceNetwork("arcface_weights.h5", 112, {512: 1.13}),
}
PAPER_NETWORKS = (("VGG-Face", 2622), ("Facenet512", 512), ("OpenFace", 128))


class DeepFaceRecogniser(ExternalRecogniser):
    """``DeepFace.represent`` as a Recogniser."""

    def __init__(self, network: str, card: ModelCard) -> None:
        require_library("deepface", "DeepFace recognisers")
        self.network = network
        self.card = card
        self.represent = deepface.DeepFace.represent
        side = DEEPFACE_NETWORKS[network].side
        self.embedding_dim = len(self.describe(np.full((side, side, 3), 127, np.uint8)))
        thresholds = DEEPFACE_NETWORKS[network].thresholds
        if self.embedding_dim not in thresholds:
            raise LiminalError(
                f"DeepFace's {network} gave {self.embedding_dim} values, for which no threshold is known; install another version."
            )
        papers = (network, self.embedding_dim) in PAPER_NETWORKS
        super().__init__(
            card,
            alignment="box",
            metric="euclidean_l2",
            threshold=thresholds[self.embedding_dim],
            threshold_source=PAPER_THRESHOLD_SOURCE if papers else "DeepFace's default for euclidean_l2",
        )

    def describe(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        # DeepFace always reverses the channels, as its detectors give RGB
        try:
            rows = self.represent(
                img_path=picture, model_name=self.network, detector_backend="skip", enforce_detection=False, align=False
            )
        except Exception as error:  # TensorFlow and DeepFace raise many kinds
            raise LiminalError(f"DeepFace could not run {self.network} ({type(error).__name__}: {error}).") from error
        return np.asarray(rows[0]["embedding"], dtype=np.float32)


def find_deepface_weights(network: str) -> Path:
    """Where DeepFace keeps a network's weights."""
    home = os.environ.get("DEEPFACE_HOME") or str(Path.home())
    return Path(home) / ".deepface" / "weights" / DEEPFACE_NETWORKS[network].file


def find_deepface_source(source: str) -> FetchedSource:
    """A network by its name in DeepFace. Raises LiminalError where its weights are not here yet: DeepFace would fetch them."""
    require_library("deepface", "DeepFace recognisers")
    if source not in DEEPFACE_NETWORKS:
        raise LiminalError(f"'{source}' is no network of DeepFace that is known here; there are {', '.join(DEEPFACE_NETWORKS)}.")
    path = find_deepface_weights(source)
    if not path.is_file():
        raise LiminalError(
            f"DeepFace's weights {path.name} are not in {path.parent}; let DeepFace download them once, by "
            f"""'python -c "from deepface import DeepFace; DeepFace.build_model(\\"{source}\\")"', or copy them there."""
        )
    return FetchedSource(path, source, "", "", fetch_source(str(path)).files)


def make_deepface_card(custom: CustomModel) -> ModelCard:
    """The card of an added recogniser."""
    folder = find_deepface_weights(custom.source).parent
    return make_custom_card(
        custom,
        f"DeepFace library, {custom.source}; faces found by YuNet",
        input_size=DEEPFACE_NETWORKS[custom.source].side,
        weights_licence="see DeepFace's own list: it differs between networks",
        data_licence="web-collected face photographs; consent of the people shown is not documented",
        files=tuple(added_weight_file(custom, folder / name, sha256) for name, sha256 in custom.files.items()),
    )


def load_deepface(custom: CustomModel, device: torch.device) -> DeepFaceRecogniser:
    """The recogniser; TensorFlow chooses its own device."""
    described = make_deepface_card(custom)
    for file in described.files:
        file.verified()
    return DeepFaceRecogniser(custom.source, described)


# What the catalogue finds by ``core.models.custom.external:NAME``.
ONNX = SimpleNamespace(find_source=find_onnx_source, make_card=make_onnx_card, load_custom=load_onnx)
DEEPFACE = SimpleNamespace(find_source=find_deepface_source, make_card=make_deepface_card, load_custom=load_deepface)
