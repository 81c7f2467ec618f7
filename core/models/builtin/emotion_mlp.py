"""Emotion MLP on the embedding: paper B's guiding classifier (section III A), here distilled from real emotion networks.

It was **not** trained on RAF-DB or on any photograph: its teachers are mini-XCEPTION and the tanh network, its pupils' faces are
generated. Its output is trained to be the mean of its teachers' probabilities.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor, nn

from core.models import registry
from core.models.contracts import Classifier, Encoder, ModelCard
from core.models.device import freeze_network
from core.models.emotions import EMOTIONS
from core.models.engine.engine import batched
from core.models.trained_weights import read_trained, trained_weight_file

EMOTION_MLP_NAME = "emotion-mlp"

CARD = ModelCard(
    name=EMOTION_MLP_NAME,
    title="Emotion MLP (distilled here)",
    kind="classifier",
    source="trained here on generated faces, with mini-XCEPTION and the tanh network as teachers; not trained on RAF-DB",
    weights_licence="MIT (this repository)",
    data_licence="faces of the DCGAN (DigiFace-1M: non-commercial research use); teachers trained on FER2013 and CK+",
    input_size=64,
    not_for="telling what a real person feels; it repeats its teachers' mistakes",
    files=(trained_weight_file(EMOTION_MLP_NAME), trained_weight_file("face-embedding")),
)

CHUNK = 4
SENSITIVITY_DRAWS = 256


class EmotionMLPNetwork(nn.Sequential):
    """(N, E) -> (N, 6)."""

    def __init__(self, embedding_dim: int, width: int) -> None:
        super().__init__(
            nn.Linear(embedding_dim, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, len(EMOTIONS)),
        )


class EmotionMLP(Classifier):
    """Image -> embedding -> six logits; it has no 'neutral' output to drop."""

    has_neutral = False

    def __init__(self, encoder: Encoder, network: EmotionMLPNetwork, card: ModelCard = CARD) -> None:
        self.card = card
        self.encoder = encoder
        self.device = encoder.device
        self.network = freeze_network(network, encoder.device)

    def logits(self, images: Tensor) -> Tensor:
        return self.logits_of(self.encoder.embed(images))

    def logits_of(self, embeddings: Tensor) -> Tensor:
        """(N, E) -> (N, 6). Differentiable; guides the prior."""
        return batched(self.network, embeddings.to(self.device), CHUNK)

    @cached_property
    def sensitivity(self) -> Tensor:
        """How much the answer moves with each direction of the embedding: the mean of J^T J, (E, E), with J the derivative of the
        logits less their mean. One matrix for all faces, over embeddings drawn from N(0, I), which whitened ones nearly follow."""
        generator = torch.Generator().manual_seed(0)
        with torch.inference_mode(False), torch.enable_grad():
            drawn = torch.randn(SENSITIVITY_DRAWS, self.encoder.embedding_dim, generator=generator)
            drawn = drawn.to(self.device).requires_grad_()
            logits = self.network(drawn)
            centred = logits - logits.mean(dim=1, keepdim=True)
            rows = [torch.autograd.grad(centred[:, index].sum(), drawn, retain_graph=True)[0] for index in range(len(EMOTIONS))]
            jacobian = torch.stack(rows, dim=1)  # (draws, 6, E)
            matrix: Tensor = torch.einsum("nke,nkf->ef", jacobian, jacobian).cpu() / SENSITIVITY_DRAWS
        return matrix


def load(device: torch.device) -> EmotionMLP:
    """The classifier with its trained weights."""
    trained = read_trained(EMOTION_MLP_NAME)
    network = EmotionMLPNetwork(int(trained.configuration["embedding_dim"]), int(trained.configuration["width"]))
    trained.fill_network(network)
    return EmotionMLP(registry.load("face-embedding", "encoder", str(device)), network)
