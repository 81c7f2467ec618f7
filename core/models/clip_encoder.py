"""CLIP's image encoder, as a model that a user adds: paper B's embedding of 1,024 values is that of ViT-H/14.

The source is a folder of transformers' ``save_pretrained`` of a ``CLIPVisionModelWithProjection``, or a folder of a repository,
such as ``h94/IP-Adapter/models/image_encoder`` (ViT-H, 1,024 values; the one in ``sdxl_models/image_encoder`` is ViT-bigG with
1,280). The embedding is ``image_embeds``, neither scaled nor normalised: what the prior and IP-Adapter were trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from core.errors import LiminalError
from core.models.contracts import Encoder, ModelCard
from core.models.engine import gathered
from core.models.hf_classifier import Preprocessing
from core.models.own.card import added_card
from core.models.own.extras import needed
from core.models.own.listing import OwnModel
from core.models.own.pretrained import read_pretrained
from core.models.own.sources import Fetched, described, fetch, verified

if TYPE_CHECKING:
    from transformers import CLIPVisionModelWithProjection

CHUNK = 4
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's training pictures, by channel (Radford et al. 2021); IP-Adapter's folder of the encoder does not say them."""


class ClipEncoder(Encoder):
    """Square images of any size -> (N, embedding_dim)."""

    def __init__(self, network: nn.Module, image_size: int, embedding_dim: int, device: torch.device, card: ModelCard) -> None:
        self.card, self.device = card, device
        self.network = network.to(device).eval().requires_grad_(False)
        self.preprocessing = Preprocessing(image_size, None, True, MEAN, DEVIATION)
        self.embedding_dim = embedding_dim
        self.spread = torch.ones(embedding_dim)

    def embed(self, images: Tensor) -> Tensor:
        return gathered(self._embeddings, self.preprocessing(images.to(self.device)), CHUNK, keep=True)

    def _embeddings(self, pixels: Tensor) -> Tensor:
        vectors: Tensor = self.network(pixel_values=pixels).image_embeds
        return vectors.float()


def safe_files(files: Sequence[str]) -> list[str]:
    """What is fetched of a repository: of weights that lie there twice, the safetensors ones."""
    wanted = described(files)
    has_safe = any(name.endswith(".safetensors") for name in wanted)
    return [name for name in wanted if not (has_safe and name.endswith(".bin"))]


def find(source: str) -> Fetched:
    """The folder, fetched where it is not on this machine."""
    return fetch(source, safe_files)


def read_network(root: Path) -> CLIPVisionModelWithProjection:
    """The network, strictly. Raises LiminalError where the folder holds no CLIP vision model with a projection."""
    needed("transformers", "CLIP encoders")
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    try:
        told, _ = CLIPVisionConfig.get_config_dict(root, local_files_only=True)
    except (OSError, ValueError) as error:
        raise LiminalError(f"{root} holds no config.json of transformers; name the folder with the image encoder.") from error
    if told.get("model_type") not in ("clip_vision_model", "clip"):
        kind = told.get("model_type") or "network of no named kind"
        raise LiminalError(f"{root} holds a {kind}, no CLIP image encoder; name another folder.")
    network: CLIPVisionModelWithProjection = read_pretrained(CLIPVisionModelWithProjection, root)
    return network


def card(own: OwnModel) -> ModelCard:
    """The card of an added encoder."""
    return added_card(own, f"{own.source} (transformers, CLIPVisionModelWithProjection)")


def load_own(own: OwnModel, device: torch.device) -> ClipEncoder:
    """The encoder with the weights that were added."""
    network = read_network(verified(own))
    image_size, embedding_dim = network.vision_model.embeddings.image_size, network.visual_projection.out_features
    return ClipEncoder(network, image_size, embedding_dim, device, card(own))
