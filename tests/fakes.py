"""Tiny models with known answers: what a search should find can be written down, and a batch takes milliseconds.

The generator writes its latent into the image's first pixels; the recogniser reads it back. The distance of two faces is
SCALE times the squared distance of their latents, so that the optimum of a search is the base itself. A face is lost where the
first latent value exceeds ``face_until``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.models.contracts import (
    Classifier,
    DescriptorSurrogate,
    DetectedFaces,
    Generator,
    ModelCard,
    PerceptualDistance,
    Recogniser,
)
from core.sampling.identity import IdentityPanel

LATENT_DIM = 8
SIDE = 4
REACH = 8.0
"""Latent values from -8 to 8 fit into pixels from 0 to 1."""
SCALE = 0.05


def card(name, kind):
    return ModelCard(name, name.title(), kind, "made for tests", "none", "none", SIDE, "anything but tests", ())


class FakeGenerator(Generator):
    def __init__(self):
        self.card = card("fake-generator", "generator")
        self.latent_dim, self.image_size, self.device = LATENT_DIM, SIDE, torch.device("cpu")
        self.decoded = 0

    def decode(self, latents: Tensor) -> Tensor:
        self.decoded += len(latents)
        written = (0.5 + latents / (2 * REACH)).clamp(0, 1)
        rest = written.new_full((len(latents), 3 * SIDE * SIDE - LATENT_DIM), 0.5)
        return torch.cat([written, rest], dim=1).reshape(-1, 3, SIDE, SIDE)


class FakeRecogniser(Recogniser):
    def __init__(self, name="fake", threshold=0.6, face_until=100.0):
        self.card = card(name, "recogniser")
        self.embedding_dim, self.threshold, self.threshold_source = LATENT_DIM, threshold, "made for tests"
        self.device = torch.device("cpu")
        self.face_until = face_until
        self.batches = []

    def find_faces(self, images: Tensor) -> DetectedFaces:
        landmarks = torch.zeros(len(images), 5, 2, dtype=torch.float64)
        landmarks[self._read(images.detach())[:, 0] > self.face_until] = torch.nan
        return DetectedFaces(landmarks, torch.zeros(len(images), 4, dtype=torch.float64))

    def align(self, images: Tensor, faces: DetectedFaces) -> Tensor:
        return images

    def embed_chips(self, chips: Tensor) -> Tensor:
        self.batches.append(len(chips))
        return self._read(chips)

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return SCALE * (a - b).square().sum(dim=-1)

    def _read(self, images: Tensor) -> Tensor:
        return (images.flatten(1)[:, :LATENT_DIM] - 0.5) * 2 * REACH


class HastyRecogniser(FakeRecogniser):
    """Its search path is off by a little, always the same way for the same face, and never says that a face is missing."""

    def embed_for_search(self, images, boxes):
        seen = self._read(images)
        return seen + 0.02 * torch.sin(37 * seen)


class FakeSurrogate(DescriptorSurrogate):
    """Smooth and biased: it predicts 0.8 z + 0.5 sin(z) + 0.6 where the recogniser reads z."""

    def __init__(self):
        self.card, self.device = card("fake-surrogate", "surrogate"), torch.device("cpu")
        self.generator, self.latent_dim, self.recognisers, self.classifiers = "fake-generator", LATENT_DIM, ("fake",), ()
        self.r2 = {"fake": 0.9}

    def descriptors(self, latents: Tensor, recogniser: str) -> Tensor:
        return 0.8 * latents + 0.5 * torch.sin(latents) + 0.6

    def logits(self, latents: Tensor) -> Tensor:
        return latents.new_zeros(len(latents), 0, 6)


class FakeClassifier(Classifier):
    def __init__(self):
        self.card, self.device = card("fake-emotion", "classifier"), torch.device("cpu")

    def logits(self, images: Tensor) -> Tensor:
        return 10 * images.flatten(1)[:, :6]


class FakePerceptual(PerceptualDistance):
    def __init__(self):
        self.card, self.device = card("fake-lpips", "distance"), torch.device("cpu")

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean(dim=(1, 2, 3))


def fake_panel(recogniser=None, judges=None) -> IdentityPanel:
    recogniser = recogniser or FakeRecogniser()
    return IdentityPanel(FakeGenerator(), recogniser, judges or [recogniser], FakePerceptual(), [FakeClassifier()])
