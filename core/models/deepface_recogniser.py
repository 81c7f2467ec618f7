"""Recognisers of the DeepFace library (Serengil and Ozpinar 2024), an optional extra: ``pip install deepface tf-keras``.

Paper A judged by three of them, with DeepFace's euclidean_l2: VGG-Face 0.86, Facenet512 1.04, OpenFace 0.55 (PAPERS.md). The
weights must lie where DeepFace keeps them; nothing is downloaded here. Faces are found by YuNet and cut here, eyes level, so
that distances differ a little from those of DeepFace's own detectors.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import LiminalError
from core.models.contracts import ModelCard
from core.models.outside_recogniser import OutsideRecogniser
from core.models.own.card import added_card
from core.models.own.extras import needed
from core.models.own.listing import OwnModel
from core.models.own.sources import Fetched, added_file, fetch


@dataclass(frozen=True)
class Network:
    """A network of DeepFace: its weights, the side of its input and its thresholds in euclidean_l2, by the embedding's length."""

    file: str
    side: int
    thresholds: Mapping[int, float]


PAPER = "paper A, section 6.1, by DeepFace's euclidean_l2"
NETWORKS: Mapping[str, Network] = {
    # DeepFace changed VGG-Face from 2622 to 4096 values, and its threshold with it; the paper's number belongs to the former
    "VGG-Face": Network("vgg_face_weights.h5", 224, {2622: 0.86, 4096: 1.17}),
    "Facenet512": Network("facenet512_weights.h5", 160, {512: 1.04}),
    "OpenFace": Network("openface_weights.h5", 96, {128: 0.55}),
    "Facenet": Network("facenet_weights.h5", 160, {128: 0.80}),
    "ArcFace": Network("arcface_weights.h5", 112, {512: 1.13}),
}
PAPERS_OWN = (("VGG-Face", 2622), ("Facenet512", 512), ("OpenFace", 128))


class DeepFaceRecogniser(OutsideRecogniser):
    """``DeepFace.represent`` behind the contract."""

    def __init__(self, network: str, card: ModelCard) -> None:
        needed("deepface", "DeepFace recognisers")
        self.network = network
        self.card = card
        from deepface import DeepFace

        self.represent = DeepFace.represent
        side = NETWORKS[network].side
        self.embedding_dim = len(self.describe(np.full((side, side, 3), 127, np.uint8)))
        known = NETWORKS[network].thresholds
        if self.embedding_dim not in known:
            raise LiminalError(
                f"DeepFace's {network} gave {self.embedding_dim} values, for which no threshold is known; install another version."
            )
        papers = (network, self.embedding_dim) in PAPERS_OWN
        super().__init__(
            card,
            alignment="box",
            metric="euclidean_l2",
            threshold=known[self.embedding_dim],
            threshold_source=PAPER if papers else "DeepFace's default for euclidean_l2",
        )

    def describe(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        # DeepFace turns the colours round whichever way a face came, and its detectors hand over RGB
        try:
            rows = self.represent(
                img_path=picture, model_name=self.network, detector_backend="skip", enforce_detection=False, align=False
            )
        except Exception as error:  # whatever TensorFlow and DeepFace raise
            raise LiminalError(f"DeepFace could not run {self.network} ({type(error).__name__}: {error}).") from error
        return np.asarray(rows[0]["embedding"], dtype=np.float32)


def weights_path(network: str) -> Path:
    """Where DeepFace keeps a network's weights."""
    home = os.environ.get("DEEPFACE_HOME") or str(Path.home())
    return Path(home) / ".deepface" / "weights" / NETWORKS[network].file


def find(source: str) -> Fetched:
    """A network by its name in DeepFace. Raises LiminalError where its weights are not here yet: DeepFace would fetch them."""
    needed("deepface", "DeepFace recognisers")
    if source not in NETWORKS:
        raise LiminalError(f"'{source}' is no network of DeepFace that is known here; there are {', '.join(NETWORKS)}.")
    path = weights_path(source)
    if not path.is_file():
        raise LiminalError(
            f"DeepFace's weights {path.name} are not in {path.parent}; let DeepFace download them once, by "
            f"""'python -c "from deepface import DeepFace; DeepFace.build_model(\\"{source}\\")"', or copy them there."""
        )
    return Fetched(path, source, "", "", fetch(str(path)).files)


def card(own: OwnModel) -> ModelCard:
    """The card of an added recogniser."""
    folder = weights_path(own.source).parent
    return added_card(
        own,
        f"DeepFace library, {own.source}; faces found by YuNet",
        input_size=NETWORKS[own.source].side,
        weights_licence="see DeepFace's own list: it differs between networks",
        data_licence="web-collected face photographs; consent of the people shown is not documented",
        files=tuple(added_file(own, folder / name, sha256) for name, sha256 in own.files.items()),
    )


def load_own(own: OwnModel, device: torch.device) -> DeepFaceRecogniser:
    """The recogniser; TensorFlow chooses its own device."""
    described = card(own)
    for file in described.files:
        file.verified()
    return DeepFaceRecogniser(own.source, described)
