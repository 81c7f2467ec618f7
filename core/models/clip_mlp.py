"""Paper B's guiding classifier as it was published: an MLP with six outputs on CLIP's embeddings, as a model that a user adds.

``python -m core train clip-mlp --images FOLDER --encoder NAME`` makes one from labelled pictures (RAF-DB's layout, or a folder for
every emotion). It guides the prior by its embedding and judges finished pictures through the encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.errors import LiminalError
from core.models import registry
from core.models.cocog_prior import described_beside
from core.models.contracts import ModelCard
from core.models.emotion_mlp import EmotionMLP, EmotionMLPNetwork
from core.models.own.card import added_card
from core.models.own.listing import OwnModel
from core.models.own.sources import verified
from core.models.own.tensors import fill, read_tensors


def read_network(tensors: Mapping[str, Tensor], path: Path) -> EmotionMLPNetwork:
    """The network, of the size that its first layer tells. Raises LiminalError that names the first key that is wrong."""
    first = tensors.get("0.weight")
    if first is None or first.ndim != 2 or 0 in first.shape:
        what = "lacks '0.weight'" if first is None else f"has the shape {tuple(first.shape)} at '0.weight'"
        raise LiminalError(f"{path.name} {what}; it is no emotion MLP of 'python -m core train clip-mlp'.")
    width, embedding_dim = first.shape
    network = EmotionMLPNetwork(embedding_dim, width)
    fill(network, tensors, path)
    return network


def settle(own: OwnModel, root: Path) -> dict[str, Any]:
    """The encoder: as given, else as the card beside the file says. Raises LiminalError where it is not one, or another size."""
    if not root.is_file():
        raise LiminalError(f"{root} is a folder; name the file with the MLP's weights.")
    given = own.options.get("encoder") or described_beside(root).get("encoder")
    if not given:
        raise LiminalError("Say by the option encoder whose embeddings the MLP reads, such as encoder=clip.")
    registry.entry(str(given), "encoder")
    return {"encoder": str(given)}


def card(own: OwnModel) -> ModelCard:
    """The card of an added MLP."""
    return added_card(own, f"{own.source}, on embeddings of {own.options['encoder']}")


def load_own(own: OwnModel, device: torch.device) -> EmotionMLP:
    """The classifier with the weights that were added, on the embeddings of its encoder."""
    path = verified(own)
    tensors = read_tensors(path)
    network, reads = read_network(tensors, path), tensors["0.weight"].shape[1]
    encoder = registry.load(own.options["encoder"], "encoder", str(device))
    if reads != encoder.embedding_dim:
        raise LiminalError(
            f"The MLP in {path.name} reads {reads} values, but {encoder.name} gives {encoder.embedding_dim}; name another encoder."
        )
    return EmotionMLP(encoder, network, card(own))
