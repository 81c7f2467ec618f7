"""A panel whose answers can be written down: embeddings are latents, logits are linear in them, the prior knows N(0, I)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from core.models.builtin.emotion_mlp import EmotionMLP, EmotionMLPNetwork
from core.models.builtin.prior import noise_beyond_gaussian
from core.models.contracts import Classifier, Decoder, Encoder, LatentName, Prior, Surrogate
from core.models.emotions import EMOTIONS
from core.sampling.bases import Base
from core.sampling.emotion.configuration import EmotionConfiguration
from core.sampling.emotion.judging import EmotionPanel
from core.sampling.stored.reference import ReferenceSet
from tests.fakes import LATENT_DIM, REACH, FakeGenerator, FakeRecogniser, card

STEERING = ("planted-one", "planted-two")
JUDGES = (*STEERING, "planted-judge")
CPU = torch.device("cpu")


def ways(seed=0):
    """(LATENT_DIM, 6): the directions of the six emotions, orthonormal, times 1.5."""
    random = torch.Generator().manual_seed(seed)
    return 1.5 * torch.linalg.qr(torch.randn(LATENT_DIM, LATENT_DIM, generator=random))[0][:, :6]


def read(images: Tensor) -> Tensor:
    """The latent that the fake generator wrote."""
    return (images.flatten(1)[:, :LATENT_DIM] - 0.5) * 2 * REACH


class PlantedEncoder(Encoder):
    card, embedding_dim, device = card("planted-embedding", "encoder"), LATENT_DIM, CPU
    spread = torch.ones(LATENT_DIM)

    def embed(self, images):
        return read(images)


class PlantedClassifier(Classifier):
    device = CPU

    def __init__(self, name, matrix):
        self.card, self.matrix = card(name, "classifier"), matrix

    def logits(self, images):
        return read(images) @ self.matrix


class PlantedMLP(EmotionMLP):
    def __init__(self, matrix):
        super().__init__(PlantedEncoder(), EmotionMLPNetwork(LATENT_DIM, 4), card("planted-mlp", "classifier"))
        self.matrix = matrix

    def logits_of(self, embeddings):
        return embeddings @ self.matrix


class PlantedPrior(Prior):
    card, embedding_dim, train_steps, device = card("planted-prior", "prior"), LATENT_DIM, 1000, CPU

    def noise(self, noised, step):
        return noise_beyond_gaussian(lambda x, _: torch.zeros_like(x), noised, step, self.train_steps)


class PlantedDecoder(Decoder):
    card, embedding_dim, latent_dim, device = card("planted-flow", "decoder"), LATENT_DIM, LATENT_DIM, CPU

    def latents(self, embeddings, seeds, kept=None):
        noise = [torch.randn(LATENT_DIM, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return embeddings + 0.3 * torch.stack(noise)


class PlantedSurrogate(Surrogate):
    card, classifiers, device, latent_dim = card("planted-surrogate", "surrogate"), STEERING, CPU, LATENT_DIM

    def __init__(self, matrices):
        self.matrices = matrices

    def logits(self, latents):
        return torch.stack([latents @ matrix for matrix in self.matrices], dim=1)


class HastyGenerator(FakeGenerator):
    """Its draft shows another face: what is searched on it must be corrected by looking at the picture itself."""

    has_draft = True
    OFF = 1.0

    def decode_draft(self, latents):
        return self.decode(latents + self.OFF)


class FeelingGenerator(FakeGenerator):
    """Its first six latents are the strengths of the feelings; the seventh is another expression."""

    def __init__(self):
        super().__init__()
        self.blocks = {"expression": slice(0, 7)}
        names = [*EMOTIONS, "smile", "age"]
        self.latent_names = tuple(
            LatentName("expression" if name != "age" else "identity", name, "share", -8, 8, "") for name in names
        )

    def named_values(self, latents):
        return [{named.name: float(value) for named, value in zip(self.latent_names, row, strict=True)} for row in latents]

    def set_named_value(self, latents, name, value):
        changed = latents.clone()
        changed[:, [named.name for named in self.latent_names].index(name)] = value
        return changed


def planted_panel(generator=None, recogniser=None, surrogate=None):
    matrices = {name: ways() * scale for name, scale in zip(JUDGES, (1.0, 1.3, 0.8), strict=True)}
    mlp = PlantedMLP(ways())
    classifiers = {"planted-mlp": mlp, **{name: PlantedClassifier(name, matrix) for name, matrix in matrices.items()}}
    plain = torch.randn(2000, LATENT_DIM, generator=torch.Generator().manual_seed(1))
    logits = {name: (plain @ (matrices[name] if name in matrices else ways())).numpy() for name in classifiers}
    return EmotionPanel(
        generator=generator or FakeGenerator(),
        encoder=PlantedEncoder(),
        mlp=mlp,
        prior=PlantedPrior(),
        decoder=PlantedDecoder(),
        surrogate=PlantedSurrogate([matrices[name] for name in STEERING] if surrogate is None else surrogate),
        steering=tuple(classifiers[name] for name in STEERING),
        classifiers=classifiers,
        recogniser=recogniser or FakeRecogniser(),
        reference=ReferenceSet("planted", 0, logits, dict.fromkeys(classifiers, 2.0), "command", "2026-01-01"),
    )


def configuration(**values):
    return EmotionConfiguration(
        **({"emotion1": "fear", "emotion2": "sadness", "steerer": "planted-mlp", "judges": JUDGES, "recogniser": "fake"} | values)
    )


def planted_base(seed=0):
    latent = np.random.default_rng(seed).normal(size=LATENT_DIM).astype(np.float32)
    return Base(latent, seed)


def pair_shares(panel, latents, pair):
    """What each steering network says of the finished pictures -> (K, N, 2)."""
    with torch.inference_mode():
        images = panel.generator.decode(latents)
        return torch.stack([network.probabilities(images)[:, list(pair)] for network in panel.steering])
