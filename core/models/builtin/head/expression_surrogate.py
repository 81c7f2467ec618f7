"""What a rendered head's embedding and its emotion networks' logits will be, predicted from its latents.

Kernel ridges as in ``surrogate``, fitted to heads with strong and mixed expressions (``draw_expressive_latents``). Two targets: the
embedding (``head-embedding``), and the logits of the networks that steer. The network that judges teaches nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from core.models.builtin.head.latents import FEELINGS, INDEX, LATENT_DIM, LATENTS, block
from core.models.builtin.head.surrogate import CHUNK, DRAW, LOGITS, KernelRidge, read_targets
from core.models.contracts import EncoderSurrogate, ModelCard
from core.models.emotions import EMOTIONS
from core.models.engine.engine import batched
from core.models.trained_weights import read_trained, trained_weight_file

EXPRESSION_SURROGATE_NAME = "head-expressions"
EMBEDDING = "embedding"
"""The target that is the embedding."""

CARD = ModelCard(
    name=EXPRESSION_SURROGATE_NAME,
    title="Expressions of a rendered head, predicted (surrogate)",
    kind="surrogate",
    source="fitted here on rendered heads with all expressions; teachers: the head's embedding, mini-XCEPTION, the tanh network",
    weights_licence="MIT (this repository)",
    data_licence="rendered heads (no data of people); teachers trained on photographs of faces, FER2013 and CK+",
    input_size=0,
    not_for="any statement about an image: it never sees one",
    files=(trained_weight_file(EXPRESSION_SURROGATE_NAME),),
)

SINGLE_FEELING, TWO_FEELINGS = 0.35, 0.40
"""Shares of the heads that show one feeling, and a mixture of two; the others are drawn as every head is."""
STRENGTHS = (0.15, 1.08)
"""Strength of the one feeling, or sum of the two, drawn evenly between these."""


def draw_expressive_latents(count: int, seed: int) -> Tensor:
    """Latents (count, LATENT_DIM) of random people, scenes and accessories with many expressions; row i depends on the seed and i
    alone.

    A feeling that is not meant is absent; other facial actions are drawn at a random share of their usual spread.
    """
    blocks = [_draw_block(torch.Generator().manual_seed(seed * 1_000_003 + 500_000 + index)) for index in range(-(-count // DRAW))]
    return torch.cat(blocks)[:count]


def _draw_block(random: torch.Generator) -> Tensor:
    latents = torch.randn(DRAW, LATENT_DIM, generator=random)
    kinds, strengths, shares, quiet = torch.rand(4, DRAW, generator=random)
    meant = torch.rand(DRAW, len(FEELINGS), generator=random).argsort(dim=1)[:, :2].tolist()
    columns = [INDEX[feeling] for feeling in FEELINGS]
    low, high = STRENGTHS
    for row, kind in enumerate(kinds.tolist()):
        if kind >= SINGLE_FEELING + TWO_FEELINGS:
            continue
        absent = torch.tensor([min(float(latents[row, column]), LATENTS[column].curve.latent(0.0)) for column in columns])
        latents[row, block("expression")] *= quiet[row]
        latents[row, columns] = absent
        strength = low + (high - low) * float(strengths[row])
        share = float(shares[row]) if kind < TWO_FEELINGS else 1.0
        for place, part in zip(meant[row], (share, 1 - share), strict=True):
            if part > 0:
                latents[row, columns[place]] = LATENTS[columns[place]].curve.latent(strength * part)
    return latents


class ExpressionSurrogate(EncoderSurrogate):
    """Kernel ridges, one for the embedding and one for the logits, as a surrogate."""

    def __init__(
        self, targets: Mapping[str, KernelRidge], classifiers: Sequence[str], device: torch.device, card: ModelCard = CARD
    ) -> None:
        self.card, self.device = card, device
        self.latent_dim, self.classifiers = LATENT_DIM, tuple(classifiers)
        self.targets = {name: target.to(device).eval().requires_grad_(False) for name, target in targets.items()}

    def embeddings(self, latents: Tensor) -> Tensor:
        return batched(self.targets[EMBEDDING], latents.to(self.device), CHUNK)

    def logits(self, latents: Tensor) -> Tensor:
        return batched(self.targets[LOGITS], latents.to(self.device), CHUNK).view(
            len(latents), len(self.classifiers), len(EMOTIONS)
        )


def load(device: torch.device) -> ExpressionSurrogate:
    """The surrogate with its fitted weights."""
    trained = read_trained(EXPRESSION_SURROGATE_NAME)
    return ExpressionSurrogate(read_targets(trained, draw_expressive_latents), trained.configuration["classifiers"], device)
