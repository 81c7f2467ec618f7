"""CLIP's image encoder, and paper B's guiding classifier on its embeddings, as models that a user adds.

Encoder: paper B's embedding of 1,024 values is that of ViT-H/14. The source is a folder of transformers' ``save_pretrained`` of a
``CLIPVisionModelWithProjection``, or a folder of a repository, such as ``h94/IP-Adapter/models/image_encoder`` (ViT-H, 1,024
values; the one in ``sdxl_models/image_encoder`` is ViT-bigG with 1,280). The embedding is ``image_embeds``, neither scaled nor
normalised: what the prior and IP-Adapter were trained on. Classifier: an MLP with six outputs, as it was published. ``python -m
core train clip-mlp --images FOLDER --encoder NAME`` makes one from labelled pictures (RAF-DB's layout, or a folder for every
emotion). It guides the prior by its embedding and judges finished pictures through the encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from core.errors import LiminalError
from core.lazy_import import lazy_import
from core.models import registry
from core.models.builtin.emotion_mlp import EmotionMLP, EmotionMLPNetwork
from core.models.contracts import Encoder, ModelCard
from core.models.custom.catalogue import CustomModel
from core.models.custom.loading import (
    fill_network,
    make_custom_card,
    read_pretrained,
    read_tensors,
    read_training_configuration,
    require_library,
)
from core.models.custom.sources import FetchedSource, choose_usual_files, fetch_source, verify_source
from core.models.device import freeze_network
from core.models.engine.engine import batched
from core.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    import transformers
else:  # an optional extra
    transformers = lazy_import("transformers")

CHUNK = 4
CLIP_MEAN, CLIP_DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's training pictures, by channel (Radford et al. 2021); IP-Adapter's folder of the encoder lacks them."""


class ClipEncoder(Encoder):
    """Square images of any size -> (N, embedding_dim)."""

    def __init__(self, network: nn.Module, image_size: int, embedding_dim: int, device: torch.device, card: ModelCard) -> None:
        self.card, self.device = card, device
        self.network = freeze_network(network, device)
        self.preprocessing = Preprocessing(image_size, None, True, CLIP_MEAN, CLIP_DEVIATION)
        self.embedding_dim = embedding_dim
        self.spread = torch.ones(embedding_dim)

    def embed(self, images: Tensor) -> Tensor:
        return batched(self._embeddings, self.preprocessing(images.to(self.device)), CHUNK, cache=True)

    def _embeddings(self, pixels: Tensor) -> Tensor:
        vectors: Tensor = self.network(pixel_values=pixels).image_embeds
        return vectors.float()


def choose_safetensors(files: Sequence[str]) -> list[str]:
    """The files to fetch of a repository: the usual ones, without .bin weights where there are safetensors."""
    usual = choose_usual_files(files)
    has_safe = any(name.endswith(".safetensors") for name in usual)
    return [name for name in usual if not (has_safe and name.endswith(".bin"))]


def find_encoder_source(source: str) -> FetchedSource:
    """The folder, fetched where it is not on this machine."""
    return fetch_source(source, choose_safetensors)


def read_encoder(root: Path) -> transformers.CLIPVisionModelWithProjection:
    """The network, read strictly. Raises LiminalError where the folder holds no CLIP vision model with a projection."""
    require_library("transformers", "CLIP encoders")
    try:
        configuration, _ = transformers.CLIPVisionConfig.get_config_dict(root, local_files_only=True)
    except (OSError, ValueError) as error:
        raise LiminalError(f"{root} holds no config.json of transformers; name the folder with the image encoder.") from error
    if configuration.get("model_type") not in ("clip_vision_model", "clip"):
        kind = configuration.get("model_type") or "network of no named kind"
        raise LiminalError(f"{root} holds a {kind}, no CLIP image encoder; name another folder.")
    network: transformers.CLIPVisionModelWithProjection = read_pretrained(transformers.CLIPVisionModelWithProjection, root)
    return network


def make_encoder_card(custom: CustomModel) -> ModelCard:
    """The card of an added encoder."""
    return make_custom_card(custom, f"{custom.source} (transformers, CLIPVisionModelWithProjection)")


def load_encoder(custom: CustomModel, device: torch.device) -> ClipEncoder:
    """The encoder with the weights that were added."""
    network = read_encoder(verify_source(custom))
    image_size, embedding_dim = network.vision_model.embeddings.image_size, network.visual_projection.out_features
    return ClipEncoder(network, image_size, embedding_dim, device, make_encoder_card(custom))


def read_clip_mlp(tensors: Mapping[str, Tensor], path: Path) -> EmotionMLPNetwork:
    """The network, of the size that its first layer tells. Raises LiminalError that names the first key that is wrong."""
    first = tensors.get("0.weight")
    if first is None or first.ndim != 2 or 0 in first.shape:
        what = "lacks '0.weight'" if first is None else f"has the shape {tuple(first.shape)} at '0.weight'"
        raise LiminalError(f"{path.name} {what}; it is no emotion MLP of 'python -m core train clip-mlp'.")
    width, embedding_dim = first.shape
    network = EmotionMLPNetwork(embedding_dim, width)
    fill_network(network, tensors, path)
    return network


def validate_clip_mlp_options(custom: CustomModel, root: Path) -> dict[str, Any]:
    """The option ``encoder``, else the one on the card beside the file. Raises LiminalError where there is no such encoder."""
    if not root.is_file():
        raise LiminalError(f"{root} is a folder; name the file with the MLP's weights.")
    encoder = custom.options.get("encoder") or read_training_configuration(root).get("encoder")
    if not encoder:
        raise LiminalError("Say by the option encoder whose embeddings the MLP reads, such as encoder=clip.")
    registry.find_entry(str(encoder), "encoder")
    return {"encoder": str(encoder)}


def make_clip_mlp_card(custom: CustomModel) -> ModelCard:
    """The card of an added MLP."""
    return make_custom_card(custom, f"{custom.source}, on embeddings of {custom.options['encoder']}")


def load_clip_mlp(custom: CustomModel, device: torch.device) -> EmotionMLP:
    """The classifier with the weights that were added, on the embeddings of its encoder."""
    path = verify_source(custom)
    tensors = read_tensors(path)
    network, reads = read_clip_mlp(tensors, path), tensors["0.weight"].shape[1]
    encoder = registry.load(custom.options["encoder"], "encoder", str(device))
    if reads != encoder.embedding_dim:
        raise LiminalError(
            f"The MLP in {path.name} reads {reads} values, but {encoder.name} gives {encoder.embedding_dim}; name another encoder."
        )
    return EmotionMLP(encoder, network, make_clip_mlp_card(custom))


# What the catalogue finds by ``core.models.custom.clip:NAME``.
ENCODER = SimpleNamespace(find_source=find_encoder_source, make_card=make_encoder_card, load_custom=load_encoder)
CLASSIFIER = SimpleNamespace(validate_options=validate_clip_mlp_options, make_card=make_clip_mlp_card, load_custom=load_clip_mlp)
