"""Emotion MLP on the embedding: paper B's guiding classifier (section III A), here distilled from real emotion networks.

It was **not** trained on RAF-DB or on any photograph: its pupils' faces are generated. ``emotion-mlp``, on faces of the DCGAN, is
trained to be the mean of the probabilities of mini-XCEPTION and the tanh network. ``head-emotion-mlp``, on rendered heads, has a
third teacher, which no photograph has: the feelings that the face was made to show. It comes with an action decoder, from the
embedding to the head's feelings and facial actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from core.models import registry
from core.models.contracts import Classifier, Encoder, ModelCard
from core.models.device import freeze_network
from core.models.emotions import EMOTIONS
from core.models.engine.engine import batched
from core.models.trained_weights import TrainedWeights, read_trained, trained_weight_file

CARD = ModelCard(
    name="emotion-mlp",
    title="Emotion MLP (distilled here)",
    kind="classifier",
    source="trained here on generated faces, with mini-XCEPTION and the tanh network as teachers; not trained on RAF-DB",
    weights_licence="MIT (this repository)",
    data_licence="faces of the DCGAN (DigiFace-1M: non-commercial research use); teachers trained on FER2013 and CK+",
    input_size=64,
    not_for="telling what a real person feels; it repeats its teachers' mistakes",
    files=(trained_weight_file("emotion-mlp"), trained_weight_file("face-embedding")),
)
HEAD_CARD = ModelCard(
    name="head-emotion-mlp",
    title="Emotion MLP of rendered heads",
    kind="classifier",
    source="trained here on rendered heads; teachers: mini-XCEPTION, the tanh network, and the feelings that each was made to show",
    weights_licence="MIT (this repository)",
    data_licence="rendered heads (no data of people); teachers trained on FER2013 and CK+",
    input_size=64,
    not_for="telling what a real person feels; it repeats its teachers' mistakes",
    files=(trained_weight_file("head-emotion-mlp"), trained_weight_file("head-embedding")),
)

CHUNK = 4


class EmotionMLPNetwork(nn.Sequential):
    """(N, E) -> (N, 6), or another number of outputs."""

    def __init__(self, embedding_dim: int, width: int, outputs: int = len(EMOTIONS)) -> None:
        super().__init__(
            nn.Linear(embedding_dim, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, outputs),
        )


class ActionDecoder(nn.Module):
    """Embeddings (N, E) -> strengths of the head's feelings and facial actions (N, A)."""

    mean: Tensor
    spread: Tensor
    weight: Tensor

    def __init__(self, embedding_dim: int, width: int, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.network = EmotionMLPNetwork(embedding_dim, width, len(self.names))
        self.register_buffer("mean", torch.zeros(len(self.names)))
        self.register_buffer("spread", torch.ones(len(self.names)))
        self.register_buffer("weight", torch.ones(len(self.names)))  # R2 on held-out heads: how well each value can be read

    def forward(self, embeddings: Tensor) -> Tensor:
        values: Tensor = self.network(embeddings) * self.spread + self.mean
        return values

    def standard(self, embeddings: Tensor) -> Tensor:
        """Values in standard deviations, times the root of how well they can be read: a metric of expressions (N, A)."""
        read: Tensor = self.network(embeddings) * self.weight.clamp_min(0).sqrt()
        return read


class EmotionMLP(Classifier):
    """Image -> embedding -> six logits; it has no 'neutral' output to drop."""

    has_neutral = False

    def __init__(
        self,
        encoder: Encoder,
        network: EmotionMLPNetwork,
        card: ModelCard = CARD,
        action_decoder: ActionDecoder | None = None,
    ) -> None:
        self.card = card
        self.encoder = encoder
        self.device = encoder.device
        self.network = freeze_network(network, encoder.device)
        self.action_decoder = None if action_decoder is None else freeze_network(action_decoder, encoder.device)
        self._read_standard = None if self.action_decoder is None else self.action_decoder.standard

    def logits(self, images: Tensor) -> Tensor:
        return self.logits_of(self.encoder.embed(images))

    def logits_of(self, embeddings: Tensor) -> Tensor:
        """(N, E) -> (N, 6). Differentiable; guides the prior."""
        return batched(self.network, embeddings.to(self.device), CHUNK)

    def standard_actions_of(self, embeddings: Tensor) -> Tensor | None:
        """Facial actions of embeddings (N, E), see ``ActionDecoder.standard`` -> (N, A). Differentiable. None without a decoder."""
        return None if self._read_standard is None else batched(self._read_standard, embeddings.to(self.device), CHUNK)


def read_emotion_mlp(trained: TrainedWeights) -> tuple[EmotionMLPNetwork, ActionDecoder | None]:
    """The stored networks, of the size that their card names; no action decoder where none was trained."""
    sizes = trained.configuration
    parts = nn.ModuleDict({"emotions": EmotionMLPNetwork(int(sizes["embedding_dim"]), int(sizes["width"]))})
    network = parts["emotions"]
    assert isinstance(network, EmotionMLPNetwork)
    if "actions" not in sizes:
        trained.fill_network(network)
        return network, None
    decoder = parts["actions"] = ActionDecoder(int(sizes["embedding_dim"]), int(sizes["width"]), sizes["actions"])
    trained.fill_network(parts)
    return network, decoder


def _load(device: torch.device, card: ModelCard, encoder: str) -> EmotionMLP:
    """The classifier with its trained weights."""
    network, decoder = read_emotion_mlp(read_trained(card.name))
    return EmotionMLP(registry.load(encoder, "encoder", str(device)), network, card, decoder)


# What the registry finds by ``core.models.builtin.emotion_mlp:NAME``.
EMOTION_MLP = SimpleNamespace(CARD=CARD, load=partial(_load, card=CARD, encoder="face-embedding"))
HEAD_EMOTION_MLP = SimpleNamespace(CARD=HEAD_CARD, load=partial(_load, card=HEAD_CARD, encoder="head-embedding"))
