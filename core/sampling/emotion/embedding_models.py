"""Generators whose latents are embeddings themselves (paper B's published models), and what follows for making emotion samples.

Such a generator names the classifier that reads its embeddings, this one its encoder, and the generator its prior: one name brings
all four. Stage 2 is then the generator; and the classifier foretells, from the latent alone, what it will say of the picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.models.contracts import Surrogate

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.emotion_mlp import EmotionMLP


class EmbeddingSurrogate(Surrogate):
    """The classifier on embeddings, asked about latents."""

    def __init__(self, mlp: EmotionMLP) -> None:
        self.card, self.device, self.mlp = mlp.card, mlp.device, mlp
        self.classifiers = (mlp.name,)

    def logits(self, latents: Tensor) -> Tensor:
        return self.mlp.logits_of(latents)[:, None]  # (N, 1, 6)
